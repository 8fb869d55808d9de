//! What readers get while a provider is down, and how often it is asked meanwhile.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::service::Service;
use crate::support::{Host, as_user, open_errno, python, says};

/// A scope with files of these names, each of which shows the path of its name at the service.
fn scope(names: &[&str]) -> String {
    let files: String = names.iter().map(|name| format!("file.{name} = \"asked:{name}\"\n")).collect();
    format!("[scope.a]\nallow = [{{ uid = 0 }}, {{ uid = 1000 }}]\nmode = \"0444\"\n{files}")
}

fn mounted(host: &mut Host, service_settings: &str, cache: &str, names: &[&str]) {
    let provider = Service::of(host, "one").provider(service_settings);
    host.configure("", &format!("[limits]\ndeadline = \"2s\"\n[cache]\n{cache}\n{}{provider}", scope(names)));
    host.mount();
}

fn attribute(host: &Host, file: &str, name: &str) -> String {
    let program = "import os, sys; print(os.getxattr(sys.argv[1], sys.argv[2]).decode(), end='')";
    says(python(program).arg(host.file(file)).arg(name))
}

#[test]
fn the_last_value_is_served_while_the_provider_fails_and_for_no_longer_than_it_may() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"1s\"\nstale_for = \"3s\"", &["token"]);
    let service = Service::again(&host);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
    let read = Instant::now();
    service.is("down");
    host.eventually("it is stale", || attribute(&host, "a/token", "user.hushfs.stale") == "yes");
    while read.elapsed() < Duration::from_millis(2500) {
        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
        std::thread::sleep(Duration::from_millis(100));
    }
    let stale = host.recorded("a read of what is stale", |record| record["stale"] == true);
    assert_eq!((stale["outcome"].as_str(), stale["version"].as_str()), (Some("allowed"), Some("of one")));
    host.eventually("it is over", || open_errno(&host.file("a/token")) == Some(libc::EKEYEXPIRED));
    assert!(read.elapsed() >= Duration::from_secs(3), "it was to be served for 4 s");
    service.has("two");
    service.is("up");
    host.eventually("the provider's return is noticed", || {
        fs::read(host.file("a/token")).is_ok_and(|value| value == b"two")
    });
}

#[test]
fn with_a_stale_for_of_nothing_the_first_failure_is_loud() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"1s\"\nstale_for = \"0s\"\nidle_after = \"0s\"", &["token"]);
    let service = Service::again(&host);
    assert_eq!(says(Command::new("/usr/bin/cat").arg(host.file("a/token"))), "one");
    service.is("down");
    host.eventually("it is over", || open_errno(&host.file("a/token")) == Some(libc::EKEYEXPIRED));
}

#[test]
fn that_there_is_none_and_that_it_is_refused_is_remembered_for_a_while() {
    let mut host = Host::new();
    mounted(&mut host, "", "missing_for = \"2s\"\nrefused_for = \"2s\"", &["missing", "refused"]);
    let service = Service::again(&host);
    service.is("missing missing\nrefused");
    let since = Instant::now();
    for (name, errno) in [("missing", libc::ENOKEY), ("refused", libc::EIO)] {
        for _ in 0..20 {
            assert_eq!(open_errno(&host.file(&format!("a/{name}"))), Some(errno));
        }
        // A stat and an open of each, and maybe one more after two seconds.
        let most = 1 + since.elapsed().as_secs() / 2;
        assert!(service.asked_for(name) as u64 <= most, "{} of {most}", service.asked_for(name));
    }
    service.is("up");
    host.eventually("they are there", || {
        ["missing", "refused"].iter().all(|name| fs::read(host.file(&format!("a/{name}"))).is_ok())
    });
    assert!(since.elapsed() >= Duration::from_secs(2), "remembered");
}

#[test]
fn a_secret_that_is_gone_at_its_provider_is_gone_here_and_not_stale() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"1s\"\nmissing_for = \"0s\"", &["token"]);
    let service = Service::again(&host);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
    service.is("missing");
    host.eventually("it is gone", || open_errno(&host.file("a/token")) == Some(libc::ENOKEY));
}

#[test]
fn what_is_read_is_fetched_ahead_and_a_reader_never_waits_for_a_slow_provider() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"2s\"", &["token"]);
    let service = Service::again(&host);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
    service.is("slow");
    service.has("two");
    let since = Instant::now();
    let mut slowest = Duration::ZERO;
    while since.elapsed() < Duration::from_secs(5) {
        let before = Instant::now();
        fs::read(host.file("a/token")).unwrap();
        slowest = slowest.max(before.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(slowest < Duration::from_millis(250), "{slowest:?}: somebody waited for the provider");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"two");
    let asked = service.asked();
    assert!((3..=5).contains(&asked), "{asked} times in five seconds");
    let record = host.recorded("the new version", |record| record["op"] == "refresh");
    assert_eq!((record["path"].as_str(), record["version"].as_str()), (Some("asked:token"), Some("of two")));
}

#[test]
fn what_nobody_wants_any_more_is_not_fetched_and_what_a_living_process_read_is() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"1s\"\nidle_after = \"0s\"", &["ended", "lives"]);
    let service = Service::again(&host);
    assert_eq!(says(Command::new("/usr/bin/cat").arg(host.file("a/ended"))), "one");
    assert_eq!(fs::read(host.file("a/lives")).unwrap(), b"one", "this process lives on");
    // That a process has ended is noticed within a second, in which it may be fetched once more.
    host.eventually("it is fetched for who lives", || service.asked_for("lives") >= 3);
    let ended = service.asked_for("ended");
    assert!(ended <= 2, "{ended}");
    host.eventually("it goes on", || service.asked_for("lives") >= 6);
    assert_eq!(service.asked_for("ended"), ended);
}

#[test]
fn what_is_to_be_there_always_is_fetched_before_anybody_reads_and_kept_fresh() {
    let mut host = Host::new();
    let provider = Service::of(&host, "one").provider("");
    host.configure(
        "",
        &format!(
            "[cache]\nfresh_for = \"1s\"\n[scope.a]\nallow = {{ uid = 0 }}\nfile.lazy = \"asked:lazy\"\n\
             file.token = {{ from = \"asked:token\", prefetch = true }}{provider}"
        ),
    );
    host.mount();
    let service = Service::again(&host);
    host.eventually("it is fetched", || service.asked_for("token") >= 3);
    assert_eq!(service.asked_for("lazy"), 0, "lazy stays lazy");
    let record = host.recorded("it", |record| record["op"] == "prefetch");
    assert_eq!(record["version"], "of one");
    service.is("down");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one", "though nobody read it before");
}

#[test]
fn a_provider_that_is_down_is_asked_by_one_for_all_and_its_return_is_found_within_two_seconds() {
    let names: Vec<_> = (0..200).map(|n| format!("n{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"2s\"", &names);
    let service = Service::again(&host);
    let read_all = || {
        for name in &names {
            assert_eq!(fs::read(host.file(&format!("a/{name}"))).unwrap(), b"one");
        }
    };
    read_all();
    service.is("down");
    std::thread::sleep(Duration::from_millis(2500));
    // Each failed at most once before it was known that all do; from then on there is one question a second or two.
    let (before, since) = (service.asked(), Instant::now());
    while since.elapsed() < Duration::from_secs(6) {
        read_all();
    }
    let asked = service.asked() - before;
    println!("200 secrets of a provider that is down: {asked} questions in {:?}", since.elapsed());
    assert!(asked <= 24, "{asked} questions in {:?}", since.elapsed());
    service.has("two");
    service.is("up");
    let since = Instant::now();
    host.eventually("the new value", || fs::read(host.file("a/n0")).unwrap() == b"two");
    println!("its return was found after {:?}", since.elapsed());
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

#[test]
fn one_broken_secret_delays_no_other() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"1s\"\nstale_for = \"0s\"", &["broken", "fine"]);
    let service = Service::again(&host);
    service.is("hang broken\nup");
    assert!(open_errno(&host.file("a/broken")).is_some());
    for _ in 0..20 {
        assert!(open_errno(&host.file("a/broken")).is_some());
        assert_eq!(fs::read(host.file("a/fine")).unwrap(), b"one");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(service.asked_for("broken") <= 5, "{} times", service.asked_for("broken"));
}

#[test]
fn a_provider_that_says_when_to_come_again_is_not_asked_before() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"1s\"", &["token", "other"]);
    let service = Service::again(&host);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
    service.is("later");
    host.recorded("it said so", |record| record["op"] == "refresh" && record["outcome"] == "failed");
    let (asked, since) = (service.asked(), Instant::now());
    while since.elapsed() < Duration::from_millis(2000) {
        assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
        assert_eq!(
            open_errno(&host.file("a/other")),
            Some(libc::EIO),
            "it said so of itself, not of one secret"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(service.asked(), asked);
}

#[test]
fn a_crowd_of_first_readers_makes_one_question() {
    let mut host = Host::new();
    mounted(&mut host, "", "", &["token"]);
    let service = Service::again(&host);
    service.is("slow");
    let path = host.file("a/token");
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert_eq!(fs::read(&path).unwrap(), b"one"));
        }
    });
    assert_eq!(service.asked(), 1);
}

#[test]
fn rules_of_a_file_hold_over_those_of_its_scope_its_provider_and_all() {
    let mut host = Host::new();
    let service = Service::of(&host, "one");
    let provider = service.provider("fresh_for = \"1s\"");
    host.configure(
        "",
        &format!(
            "[cache]\nfresh_for = \"10min\"\n[scope.a]\nallow = {{ uid = 0 }}\nfile.provider = \"asked:p\"\n\
             file.own = {{ from = \"asked:f\", fresh_for = \"10min\" }}\n\
             [scope.b]\nallow = {{ uid = 0 }}\nfresh_for = \"10min\"\nfile.scope = \"asked:s\"{provider}"
        ),
    );
    host.mount();
    let service = Service::again(&host);
    for file in ["a/provider", "a/own", "b/scope"] {
        assert_eq!(fs::read(host.file(file)).unwrap(), b"one");
    }
    service.has("two");
    host.eventually("a second is over", || fs::read(host.file("a/provider")).unwrap() == b"two");
    assert_eq!(fs::read(host.file("a/own")).unwrap(), b"one");
    assert_eq!(fs::read(host.file("b/scope")).unwrap(), b"one");
}

#[test]
fn a_reload_with_other_rules_holds_for_what_is_known() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"10min\"", &["token"]);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
    Service::again(&host).has("two");
    let provider = Service::again(&host).provider("");
    host.configure(
        "",
        &format!("[limits]\ndeadline = \"2s\"\n[cache]\nfresh_for = \"0s\"\n{}{provider}", scope(&["token"])),
    );
    assert!(host.reload().status.success(), "{}", host.log());
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"two");
}

#[test]
fn a_change_of_the_store_is_noticed_though_nobody_reads_again() {
    let host = Host::mounted(&[("t", b"one")], "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"");
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
    let first = attribute(&host, "a/token", "user.hushfs.version");
    host.set("t", b"two");
    let record = host.recorded("the new version", |record| record["op"] == "refresh");
    assert_ne!(record["version"], first.as_str());
    host.eventually("it is known", || attribute(&host, "a/token", "user.hushfs.version") != first);
}

#[test]
fn whoever_waits_while_the_rules_change_is_judged_by_the_new_ones() {
    let mut host = Host::new();
    mounted(&mut host, "", "", &["token"]);
    let service = Service::again(&host);
    service.is("crawl");
    let reader =
        as_user(1000, "/usr/bin/cat").arg(host.file("a/token")).stdout(Stdio::piped()).spawn().unwrap();
    host.eventually("it waits", || service.asked() == 1);
    let scope = scope(&["token"]).replace("{ uid = 1000 }", "{ uid = 1001 }");
    host.configure("", &format!("[limits]\ndeadline = \"2s\"\n[cache]\n{scope}{}", service.provider("")));
    assert!(host.reload().status.success(), "{}", host.log());
    let said = reader.wait_with_output().unwrap();
    assert!(!said.status.success() && said.stdout.is_empty(), "{said:?}");
}

#[test]
fn what_has_aged_while_hushfs_stood_still_is_not_taken_for_fresh() {
    let mut host = Host::new();
    mounted(&mut host, "", "fresh_for = \"2s\"", &["token"]);
    let service = Service::again(&host);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"one");
    host.signal(Signal::STOP);
    service.has("two");
    std::thread::sleep(Duration::from_secs(3));
    host.signal(Signal::CONT);
    assert_eq!(fs::read(host.file("a/token")).unwrap(), b"two");
}
