//! Owner, group and mode: of a scope, and of a file that has its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::{Host, as_user, says};

const SCOPE: &str = "[scope.s]\nallow = [{ uid = 1000 }, { uid = 1001 }]\nowner = 1000\n
    file.mine = \"local:mine\"\nfile.yours = { from = \"local:yours\", owner = 1001, mode = \"0600\" }
    file.ours = { from = \"local:ours\", owner = 0, group = 4321, mode = \"0640\" }\n";

const SECRETS: [(&str, &[u8]); 3] = [("mine", b"of 1000"), ("yours", b"of 1001"), ("ours", b"of both")];

fn reads(host: &Host, uid: u32, file: &str) -> Option<String> {
    let output = as_user(uid, "/usr/bin/cat").arg(host.file(file)).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

/// With gid 4321 as well, as `SupplementaryGroups=` gives it.
fn reads_in_group(host: &Host, uid: u32, file: &str) -> Option<String> {
    let mut command = Command::new("/usr/bin/setpriv");
    let ids = [format!("--reuid={uid}"), format!("--regid={uid}"), "--groups=4321".into()];
    let output = command.args(ids).arg("/usr/bin/cat").arg(host.file(file)).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn two_users_read_each_a_file_of_their_own_in_one_scope() {
    let mut host = Host::mounted(&SECRETS, SCOPE);
    for (uid, mine, yours) in [(1000, "mine", "yours"), (1001, "yours", "mine")] {
        assert_eq!(reads(&host, uid, &format!("s/{mine}")).unwrap(), format!("of {uid}"));
        assert_eq!(reads(&host, uid, &format!("s/{yours}")), None);
        assert_eq!(reads(&host, uid, "s/ours"), None);
        assert_eq!(reads_in_group(&host, uid, "s/ours").unwrap(), "of both");
    }
    // The kernel turned the others away, before a rule was asked.
    let records = host.all_records();
    assert!(records.iter().all(|record| record["outcome"] != "denied"), "{records:?}");
}

#[test]
fn a_file_shows_its_own_owner_group_and_mode_and_the_directory_lets_in_who_may_read_one() {
    let host = Host::mounted(&SECRETS, SCOPE);
    let of = |name: &str| {
        let meta = fs::metadata(host.file(name)).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(of("s"), (1000, 0, 0o511));
    assert_eq!(of("s/mine"), (1000, 0, 0o400));
    assert_eq!(of("s/yours"), (1001, 0, 0o600));
    assert_eq!(of("s/ours"), (0, 4321, 0o640));
    // Who may read a file may enter; listing is for the scope's owner.
    let lists = |uid| as_user(uid, "/usr/bin/ls").arg(host.file("s")).output().unwrap().status.success();
    assert!(lists(1000) && !lists(1001));
}

#[test]
fn a_writable_mode_lets_nobody_write() {
    let host = Host::mounted(&SECRETS, SCOPE);
    for open in ["r+", "w", "a"] {
        let program = format!(
            "import errno\ntry: open('{}', '{open}')\nexcept OSError as error: print(errno.errorcode[error.errno])",
            host.file("s/yours").display()
        );
        let said = says(as_user(1001, "/usr/bin/python3").args(["-c", &program]));
        assert_eq!(said, "EROFS\n", "{open}");
    }
    assert_eq!(reads(&host, 1001, "s/yours").unwrap(), "of 1001");
}

#[test]
fn a_reload_gives_a_file_to_somebody_else() {
    let host = Host::mounted(&SECRETS, SCOPE);
    assert_eq!(reads(&host, 1000, "s/yours"), None);
    host.configure("", &SCOPE.replace("owner = 1001", "owner = 1000"));
    assert!(host.reload().status.success(), "{}", host.log());
    assert_eq!(fs::metadata(host.file("s/yours")).unwrap().uid(), 1000);
    assert_eq!(reads(&host, 1000, "s/yours").unwrap(), "of 1001");
    assert_eq!(reads(&host, 1001, "s/yours"), None);
}

#[test]
fn explain_and_check_tell_of_the_files_own_owner() {
    let host = Host::mounted(&SECRETS, SCOPE);
    let mut sleeps = Command::new("/usr/bin/sleep").arg("60").uid(1001).gid(1001).spawn().unwrap();
    let pid = sleeps.id().to_string();
    let explained = host.run(&["explain", "--json", "s/yours", "--pid", &pid], b"");
    let denied = host.run(&["explain", "--json", "s/mine", "--pid", &pid], b"");
    sleeps.kill().unwrap();
    sleeps.wait().unwrap();
    let json = |output: &[u8]| serde_json::from_slice::<serde_json::Value>(output).unwrap();
    let (explained, denied) = (json(&explained.stdout), json(&denied.stdout));
    let file = &explained["kernel"]["file"];
    assert_eq!(
        (file["uid"].as_u64(), file["mode"].as_str(), file["passes_as"].as_str()),
        (Some(1001), Some("0600"), Some("owner")),
        "{explained}"
    );
    assert_eq!(explained["kernel"]["directory"]["passes_as"], "others", "{explained}");
    assert_eq!(
        (&denied["kernel"]["passes"], &denied["kernel"]["file"]["uid"]),
        (&false.into(), &1000.into())
    );
    let checked = json(&host.run_ok(&["check", "--json"], b"").stdout);
    let files = checked["scopes"][0]["files"].as_array().unwrap();
    let of: Vec<_> = files
        .iter()
        .map(|file| format!("{} {} {} {}", file["name"], file["uid"], file["gid"], file["mode"]))
        .collect();
    assert_eq!(of, ["\"mine\" 1000 0 \"0400\"", "\"ours\" 0 4321 \"0640\"", "\"yours\" 1001 0 \"0600\""]);
}
