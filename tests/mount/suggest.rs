//! What `hushfs suggest` and `hushfs whoami` propose, configured as it stands: it lets in who was denied.

use std::path::Path;

use crate::groups::{Groups, inside};
use crate::support::{HUSHFS, Host, as_user, says};

const FILES: &str = "mode = \"0444\"\nfile.token = \"local:t\"\n";

/// A host whose scope `a` is for somebody else.
fn host() -> Host {
    Host::mounted(
        &[("t", b"the value")],
        &format!("[scope.a]\nallow = {{ unit = \"another.service\" }}\n{FILES}"),
    )
}

fn reads(host: &Host, group: &Path, uid: u32) -> bool {
    inside(group, uid, "/usr/bin/cat").arg(host.file("a/token")).output().unwrap().stdout == b"the value"
}

/// Configures the scope `a` so, and has the daemon read it.
fn allow(host: &Host, scope: &str) {
    host.configure("", &format!("{scope}\n{FILES}"));
    let output = host.reload();
    assert!(output.status.success(), "{}\n{scope}", String::from_utf8_lossy(&output.stderr));
}

/// Has the callers denied, takes what is suggested, and has them let in, but nobody in the group `other`.
fn suggested(groups: &[&Path], other: &Path, uid: u32, rule: &str) {
    let host = host();
    for group in groups {
        assert!(!reads(&host, group, uid));
    }
    let denied = || host.audit().iter().filter(|one| one["outcome"] == "denied").count();
    host.eventually("all are on record", || denied() >= groups.len());
    let printed = String::from_utf8(host.run_ok(&["suggest", "--scope", "a"], b"").stdout).unwrap();
    assert!(printed.contains(rule), "{rule}\n{printed}");
    allow(&host, &printed);
    for group in groups {
        assert!(reads(&host, group, uid), "{}\n{printed}", group.display());
    }
    assert!(!reads(&host, other, uid) && !reads(&host, groups[0], uid + 1), "{printed}");
}

#[test]
fn a_rule_for_a_group_below_a_unit_lets_in_who_is_in_that_group() {
    let slice = Groups::slice();
    let (own, main) = (slice.make("one.service"), slice.make("one.service/main"));
    let (jobs, other) =
        ([slice.make("two.service/job1"), slice.make("two.service/job2")], slice.make("x.service"));
    suggested(&[&main], &own, 1000, "unit = \"one.service/main\"");
    suggested(&[&own], &main, 1000, "unit = \"one.service\"");
    suggested(&[&jobs[0], &jobs[1]], &other, 1000, "unit = \"two.service/*\"");
    suggested(&[&slice.make("one.service/main/deep")], &other, 1000, "unit = \"one.service/*\"");
}

#[test]
fn a_rule_for_a_unit_of_a_user_lets_in_who_is_in_it() {
    const USER: u32 = 54_322;
    let user = Groups::at_path(&format!("user.slice/user-{USER}.slice"));
    let manager = format!("user@{USER}.service");
    user.lend(&manager, USER);
    let app = user.make(&format!("{manager}/app.slice/app.service"));
    let sub = user.make(&format!("{manager}/app.slice/app.service/sub"));
    let rule = |unit: &str| format!("{{ uid = {USER}, user_unit = \"{unit}\", exe = \"/usr/bin/cat\" }}");
    suggested(&[&app], &sub, USER, &rule("app.service"));
    suggested(&[&sub], &app, USER, &rule("app.service/sub"));
}

/// The lines of `in a rule` that `hushfs whoami` prints in that group, without what is said of them.
fn told(host: &Host, group: &Path, uid: u32) -> Vec<String> {
    let mut whoami = inside(group, uid, HUSHFS);
    let page = says(whoami.arg("whoami").env("HUSHFS_CONTROL", host.path("m.sock")));
    let (_, hints) = page.split_once("in a rule").unwrap_or_else(|| panic!("{page}"));
    hints.lines().map(|line| line.split("  (").next().unwrap().trim().to_owned()).collect()
}

#[test]
fn what_whoami_tells_is_a_rule_that_lets_in_who_asked() {
    const USER: u32 = 54_323;
    let (slice, user) = (Groups::slice(), Groups::at_path(&format!("user.slice/user-{USER}.slice")));
    let manager = format!("user@{USER}.service");
    user.lend(&manager, USER);
    let host = host();
    for (group, rule) in [
        (slice.make("one.service"), "unit = \"one.service\""),
        (slice.make("one.service/sub"), "unit = \"one.service/sub\""),
        (slice.make("one.service/sub/x"), "unit = \"one.service/*\""),
        (user.make(&format!("{manager}/app.slice/app.service")), "user_unit = \"app.service\""),
        (user.make(&format!("{manager}/app.slice/app.service/sub")), "user_unit = \"app.service/sub\""),
    ] {
        assert!(!reads(&host, &group, USER));
        let told = told(&host, &group, USER);
        assert_eq!(told.get(..2), Some(&[format!("uid = {USER}"), rule.to_owned()][..]), "{told:?}");
        allow(&host, &format!("[scope.a]\nallow = {{ {} }}", told[..2].join(", ")));
        assert!(reads(&host, &group, USER), "{told:?}");
        allow(&host, "[scope.a]\nallow = { unit = \"another.service\" }");
    }
}

#[test]
fn whoami_tells_no_rule_to_who_is_in_another_user_namespace_where_none_would_hold() {
    let host = host();
    let slice = Groups::slice();
    let asked = |group: &Path| {
        let mut unshared = inside(group, 1000, "/usr/bin/unshare");
        unshared.args(["--user", HUSHFS, "whoami"]).env("HUSHFS_CONTROL", host.path("m.sock"));
        says(&mut unshared)
    };
    let page = asked(&slice.make("lent"));
    assert!(page.contains("in a rule  none: you are in another user namespace"), "{page}");
    assert!(!page.contains("(strong)"), "{page}");
    let page = asked(&slice.make("one.service"));
    assert!(page.contains("unit = \"one.service\"  (strong)"), "{page}");
}

#[test]
fn a_rule_of_which_a_protection_did_not_hold_is_not_undone() {
    let host = Host::mounted(
        &[("t", b"the value")],
        &format!("[scope.a]\nallow = {{ uid = 1000, exe = \"/usr/bin/cat\", no_new_privs = true }}\n{FILES}"),
    );
    let cat = |program: &str, more: &[&str]| {
        let output = as_user(1000, program).args(more).arg(host.file("a/token")).output().unwrap();
        output.stdout == b"the value"
    };
    assert!(cat("/usr/bin/setpriv", &["--no-new-privs", "/usr/bin/cat"]));
    assert!(!cat("/usr/bin/cat", &[]));
    host.recorded("the denial", |record| record["outcome"] == "denied");
    let printed = String::from_utf8(host.run_ok(&["suggest", "--scope", "a"], b"").stdout).unwrap();
    assert!(printed.lines().all(|line| line.is_empty() || line.starts_with('#')), "{printed}");
    let words = printed.replace('#', " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("No rule: rule a.1 is for them, and its `no_new_privs:true` did not hold"),
        "{printed}"
    );
}
