//! A scope that learns which programs read it, and what comes of it.

use jiff::{SignedDuration, Timestamp};

use crate::support::{Host, Record, as_user, says};

/// A rule for uid 1000 that names another program than the one that reads.
const WRONG: &str = "{ uid = 1000, exe = \"/usr/bin/head\" }";

/// The scope `a` with these rules, learning until that many seconds from now.
fn scope(allow: &str, seconds: i64) -> String {
    let until = Timestamp::now() + SignedDuration::from_secs(seconds);
    format!(
        "[scope.a]\nmode = \"0444\"\nallow = {allow}\nlearn_until = {until:.3}\n\
         file.token = \"local:t\"\nfile.other = \"local:t\""
    )
}

fn host(allow: &str) -> Host {
    Host::mounted(&[("t", b"the value")], &scope(allow, 3600))
}

fn reads(host: &Host, uid: u32, program: &str) -> bool {
    let output = as_user(uid, program).arg(host.file("a/token")).output().unwrap();
    output.stdout == b"the value"
}

fn reload(host: &Host) {
    let output = host.reload();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), host.log());
}

#[test]
fn learning_lets_the_user_of_a_rule_in_with_another_program_and_says_so() {
    let host = host(WRONG);
    assert!(reads(&host, 1000, "/usr/bin/cat"));
    let learned = host.recorded("what was learned", |record| record["learned"] == true);
    assert_eq!((&learned["outcome"], &learned["rule"]), (&"allowed".into(), &"a.1".into()), "{learned}");
    assert_eq!(learned["reason"], "no rule matches: the caller runs /usr/bin/cat");
    let size = |uid| says(as_user(uid, "/usr/bin/stat").args(["-c", "%s"]).arg(host.file("a/other")));
    assert_eq!(
        (size(1001).as_str(), size(1000).as_str()),
        ("1\n", "9\n"),
        "a stat is decided in the same way"
    );
    assert!(!reads(&host, 1001, "/usr/bin/cat"), "another user");
    assert!(!reads(&host, 1001, "/usr/bin/head"), "another user, with the program of the rule");
    assert!(!reads(&host, 0, "/usr/bin/cat"), "root");
    assert!(reads(&host, 1000, "/usr/bin/head"));
    let is_matched = |record: &Record| record["exe"] == "/usr/bin/head" && record["outcome"] == "allowed";
    let matched = host.recorded("what a rule allows", is_matched);
    assert_eq!((&matched["learned"], &matched["reason"]), (&Record::Null, &Record::Null), "{matched}");
    assert!(host.log().contains("scope `a` learns until"), "{}", host.log());
}

#[test]
fn learning_lets_nobody_of_another_user_namespace_in() {
    let host = host(WRONG);
    let mut command = as_user(1000, "/usr/bin/unshare");
    let output = command.args(["--user", "/usr/bin/cat"]).arg(host.file("a/token")).output().unwrap();
    assert!(output.stdout.is_empty() && !output.status.success());
    let denied = host.recorded("the refusal", |record| record["outcome"] == "denied");
    assert_eq!(denied["other_user_namespace"], true, "{denied}");
}

#[test]
fn once_the_time_is_over_only_the_rules_decide() {
    let host = host(WRONG);
    assert!(reads(&host, 1000, "/usr/bin/cat"));
    host.configure("", &scope(WRONG, 2));
    reload(&host);
    host.eventually("it learns no more", || !reads(&host, 1000, "/usr/bin/cat"));
    assert!(reads(&host, 1000, "/usr/bin/head"));
    host.eventually("the log says so", || host.log().contains("learning ended"));
    host.configure("", &scope(WRONG, 3600));
    reload(&host);
    assert!(reads(&host, 1000, "/usr/bin/cat"), "a reload may have it learn for longer");
}

#[test]
fn what_was_learned_becomes_a_rule_for_that_caller_and_nobody_else() {
    let mut host = host(WRONG);
    assert!(reads(&host, 1000, "/usr/bin/cat"));
    host.recorded("what was learned", |record| record["learned"] == true);
    let printed = String::from_utf8(host.run_ok(&["suggest", "--scope", "a"], b"").stdout).unwrap();
    let whole: toml::Table = printed.parse().unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(whole["scope"]["a"]["allow"].as_array().unwrap().len(), 1, "{printed}");
    let words = |printed: &str| printed.replace('#', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&printed).contains("Rule a.1 is for them but for its `exe:/usr/bin/head`"), "{printed}");
    assert!(words(&printed).contains("/usr/bin/cat, allowed by learning, "), "{printed}");
    // As it was printed, with what else the scope has.
    host.configure("", &format!("{printed}\nmode = \"0444\"\nfile.token = \"local:t\""));
    host.run_ok(&["check"], b"");
    reload(&host);
    assert!(reads(&host, 1000, "/usr/bin/cat"));
    for (uid, program) in
        [(1001, "/usr/bin/cat"), (0, "/usr/bin/cat"), (1000, "/usr/bin/head"), (1000, "/usr/bin/tail")]
    {
        assert!(!reads(&host, uid, program), "{program} of uid {uid}");
    }
    let (_, code) = host.stop();
    assert_eq!(code, Some(0));
    let again = String::from_utf8(host.run_ok(&["suggest", "--scope", "a"], b"").stdout).unwrap();
    assert!(words(&again).contains("Rule a.1 is for them as it stands now"), "{again}");
}
