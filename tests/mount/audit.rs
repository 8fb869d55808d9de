//! One record for each attempt, with who, what and why, and never the value.

use std::fs;
use std::io::Read;

use crate::support::{Host, as_user, open_errno, says};

#[test]
fn each_open_is_one_record_with_who_what_and_why() {
    let scopes = "[scope.a]\nmode = \"0444\"\nallow = { uid = 1000, exe = \"/usr/bin/cat\" }
        file.token = \"local:t\"\nfile.missing = \"local:nothing\"";
    let mut host = Host::mounted(&[("t", b"the value")], scopes);
    let cat = |uid: u32, file: &str| as_user(uid, "/usr/bin/cat").arg(host.file(file)).output().unwrap();
    assert_eq!(cat(1000, "a/token").stdout, b"the value");
    assert_eq!(cat(1000, "a/token").stdout, b"the value");
    assert!(cat(1001, "a/token").stdout.is_empty());
    assert!(cat(1000, "a/missing").stdout.is_empty());
    let records = host.all_records();
    let opens = |outcome: &str| {
        let is = |r: &&crate::support::Record| r["op"] == "open" && r["outcome"] == outcome;
        records.iter().filter(is).collect::<Vec<_>>()
    };
    let (allowed, denied, failed) = (opens("allowed"), opens("denied"), opens("failed"));
    assert_eq!((allowed.len(), denied.len(), failed.len()), (2, 1, 1), "{records:?}");
    for record in &records {
        assert_eq!(record["v"], 1);
        assert_eq!(record["scope"], "a");
        assert_eq!(record["exe"], "/usr/bin/cat");
        assert!(record["pid"].as_u64().unwrap() > 0 && record["micros"].is_u64());
        assert!(record["time"].as_str().unwrap().ends_with('Z') && record["request"].is_string());
    }
    let text =
        |record: &crate::support::Record, field: &str| record[field].as_str().unwrap_or_default().to_owned();
    assert_eq!((text(allowed[0], "path"), text(allowed[0], "rule")), ("a/token".into(), "a.1".into()));
    assert_eq!((text(allowed[0], "errno"), text(allowed[0], "version")), (String::new(), "1".into()));
    assert_eq!((denied[0]["uid"].as_u64(), denied[0]["gid"].as_u64()), (Some(1001), Some(1001)));
    assert_eq!((text(denied[0], "errno"), text(denied[0], "rule")), ("EACCES".into(), String::new()));
    assert_eq!(text(denied[0], "reason"), "no rule matches");
    assert_eq!((text(failed[0], "path"), text(failed[0], "errno")), ("a/missing".into(), "ENOKEY".into()));
    let mut requests: Vec<_> = records.iter().map(|r| text(r, "request")).collect();
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), records.len(), "each has a number of its own");
}

#[test]
fn no_log_and_no_record_has_the_value_or_its_length() {
    let canary = "canary-5f0b7c1a-d2e4";
    let named = format!("{{\"key\":\"{canary}\"}}");
    let scopes = "[limits]\nsize_max = \"64B\"\n[scope.a]\nmode = \"0444\"\nallow = { uid = 0 }\nfile.token = \"local:t\"\nfile.key = \"local:n#key\"
        file.nokey = \"local:n#other\"\nfile.plain = \"local:t#x\"\nfile.env = { from = \"local:n\", format = \"dotenv\" }
        file.over = \"local:big\"";
    let big = canary.repeat(100);
    let secrets = [("t", canary.as_bytes()), ("n", named.as_bytes()), ("big", big.as_bytes())];
    let mut host = Host::mounted(&secrets, scopes);
    for name in ["token", "key", "env"] {
        let mut text = String::new();
        fs::File::open(host.file("a").join(name)).unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains(canary));
        assert!(
            !as_user(1000, "/usr/bin/cat").arg(host.file("a").join(name)).output().unwrap().status.success()
        );
    }
    for name in ["nokey", "plain", "over"] {
        assert!(open_errno(&host.file("a").join(name)).is_some());
    }
    assert!(
        !says(
            std::process::Command::new(crate::support::HUSHFS)
                .arg("check")
                .arg("--config")
                .arg(host.path("hushfs.toml"))
        )
        .contains(canary)
    );
    let pid = host.daemon_pid();
    for name in ["environ", "cmdline"] {
        for pid in [pid, host.fetcher_pid().unwrap()] {
            let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains(canary));
        }
    }
    host.stop();
    for entry in fs::read_dir(host.path("")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains(canary), "{} has the value", path.display());
        }
    }
    assert!(!host.audit().iter().any(|record| record.to_string().contains("\"size\"")));
}

#[test]
fn repeated_denials_become_one_line_with_a_count() {
    let scopes =
        "[scope.a]\nmode = \"0444\"\nallow = { uid = 0, exe = \"/usr/bin/cat\" }\nfile.token = \"local:t\"";
    let mut host = Host::mounted(&[("t", b"v")], scopes);
    for _ in 0..100 {
        assert_eq!(open_errno(&host.file("a/token")), Some(libc::EACCES));
    }
    let records = host.all_records();
    let total: u64 = records.iter().map(|record| record["count"].as_u64().unwrap_or(1)).sum();
    assert!(total == 100 && records.len() <= 4, "{} lines for {total} denials", records.len());
}

#[test]
fn nothing_is_served_that_cannot_be_put_on_record() {
    let scopes = "[scope.a]\nallow = { uid = 0 }\nfile.token = \"local:t\"";
    let mut host = Host::new();
    host.set("t", b"v");
    host.configure("", scopes);
    // The log is on a file system without room.
    fs::create_dir(host.path("full")).unwrap();
    rustix::mount::mount(
        "tmpfs",
        host.path("full"),
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        Some(c"size=4k,mode=700"),
    )
    .unwrap();
    let config = fs::read_to_string(host.path("hushfs.toml")).unwrap();
    host.write("hushfs.toml", config.replace("/audit.log", "/full/audit.log").as_bytes(), 0o600);
    host.mount();
    fs::write(host.path("full/filler"), vec![0; 8192]).unwrap_err();
    let mut served = 0;
    host.eventually("an open is refused", || match open_errno(&host.file("a/token")) {
        None => {
            served += 1;
            false
        }
        errno => errno == Some(libc::EIO),
    });
    assert!(host.log().contains("audit records cannot be written"), "{}", host.log());
    fs::remove_file(host.path("full/filler")).unwrap();
    host.eventually("with room again it is served", || open_errno(&host.file("a/token")).is_none());
    host.stop();
    rustix::mount::unmount(host.path("full"), rustix::mount::UnmountFlags::DETACH).unwrap();
}
