//! The table of rules and the decision say the same, and nobody is told what is not his business.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::checked::{CacheRules, File, Scope, Shows};
use crate::identity::{
    Caller, Evidence, Hardening, Identity, Inspected, Refusal, Subject, Tid, UserNamespace, selector,
    somebody,
};
use crate::policy::{self, Decision, Denial, Purpose, Rule, Rules};
use crate::reference::Reference;

fn rule(name: String, demands: &str) -> Rule {
    let table: toml::Table = demands.parse().unwrap();
    let parse = |(key, value): (&String, &toml::Value)| (selector(key).unwrap().parse)(value).unwrap();
    Rule::new(name, table.iter().map(parse).collect())
}

fn rules(demands: &[String]) -> Rules {
    Rules::new((1..).zip(demands).map(|(number, one)| rule(format!("s.{number}"), one)).collect())
}

/// A scope `s` with a file `f`, open to everybody unless `mode` says otherwise.
fn place(rules: Rules, mode: u16, name: &str) -> Place {
    let from: Reference = "local:f".parse().unwrap();
    let file = Arc::new(File {
        name: "f".into(),
        shows: Arc::new(Shows::secret(from, crate::format::Form::RAW)),
        uid: 0,
        gid: 0,
        mode: mode & 0o444,
        cache: vec![CacheRules::DEFAULT],
        on_change: Vec::new(),
    });
    let scope = Scope {
        name: "s".into(),
        rules_at: String::new(),
        uid: 1000,
        gid: 50,
        dir_mode: mode,
        rules: Arc::new(rules),
        learn_until: None,
        bundles: std::collections::BTreeMap::new(),
        files: vec![Arc::clone(&file)],
        dirs: Vec::new(),
    };
    Place { scope: Arc::new(scope), file: (name == "f").then_some(file), name: name.into() }
}

fn seen(who: Identity) -> Inspected {
    Inspected {
        caller: Caller { tid: Tid(who.process.pid.0), uid: who.uid, gid: who.gid },
        uids: [who.uid; 4],
        gids: [who.gids.real, who.gids.effective, who.gids.saved, who.gid],
        reads_everything: who.uid == 0,
        who: Ok(Arc::new(who)),
        sees_our_mounts: Some(true),
    }
}

fn asked(place: &Place, view: View) -> Asked<'_> {
    let now = jiff::Timestamp::from_second(1000).unwrap();
    Asked {
        place,
        view,
        only_of: None,
        judged_by: JudgedBy::Daemon,
        served_by: 0,
        outdated: None,
        now,
        counted: None,
    }
}

fn told(place: &Place, view: View, seen: &Inspected) -> Explanation {
    explain(&asked(place, view), seen, &Evidence::default()).unwrap()
}

/// One selector of a rule; a key may be there once.
fn selectors() -> impl Strategy<Value = String> {
    let one = |key: &'static str, values: &'static [&'static str]| {
        proptest::option::of(proptest::sample::select(values))
            .prop_map(move |value| value.map(|value| format!("{key} = {value}\n")).unwrap_or_default())
    };
    let all = (
        one("uid", &["0", "1000", "1001"]),
        one("gid", &["0", "50", "1000"]),
        one("no_new_privs", &["true"]),
        one("within", &["\"5s\"", "\"1h\""]),
        one("reads", &["1", "3"]),
    );
    all.prop_map(|(uid, gid, privs, within, reads)| [uid, gid, privs, within, reads].concat())
}

fn identity() -> impl Strategy<Value = Identity> {
    let id = || proptest::sample::select(vec![0_u32, 50, 1000, 1001]);
    (id(), id(), proptest::collection::vec(id(), 0..3), any::<bool>()).prop_map(|(uid, gid, groups, ours)| {
        let user_namespace = if ours { UserNamespace::Ours } else { UserNamespace::Other };
        Identity { uid, gid, groups, user_namespace, ..somebody() }
    })
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let age = proptest::option::of(proptest::sample::select(vec![1_u64, 60, 7200]));
    let hardening = proptest::option::of(proptest::option::of(any::<bool>()));
    let reads = proptest::option::of(0_u32..4);
    (age, hardening, reads).prop_map(|(age, hardening, reads)| Evidence {
        age: age.map(Duration::from_secs),
        reads,
        hardening: hardening.map(|found| {
            found
                .map(|no_new_privs| Hardening { no_new_privs, not_dumpable: Some(no_new_privs) })
                .ok_or_else(|| "nobody knows".into())
        }),
        ..Evidence::default()
    })
}

proptest! {
    #[test]
    fn the_table_and_the_decision_agree(
        demands in proptest::collection::vec(selectors(), 0..4),
        who in identity(),
        evidence in evidence(),
    ) {
        let place = place(rules(&demands), 0o555, "f");
        let of = Subject { who: &who, evidence: &evidence };
        let decision = policy::decide(&place.scope.rules, &of, Purpose::Read);
        let told = explain(&asked(&place, View::Whole), &seen(who.clone()), &evidence).unwrap();
        let first = told.rules.iter().find(|rule| rule.matches).map(|rule| rule.rule.clone());
        for rule in &told.rules {
            let all = rule.selectors.iter().all(|one| one.matched == Told::Yes);
            prop_assert_eq!(rule.matches, all && rule.holds_in_namespace);
        }
        match decision {
            Decision::Allow(grant) => {
                prop_assert_eq!(told.outcome, Outcome::Allowed);
                prop_assert_eq!(first.as_deref(), Some(grant.rule()));
                prop_assert_eq!((&told.rule, &told.to_change, &told.errno), (&first, &None, &None));
            }
            Decision::Deny(denial) => {
                prop_assert_eq!((told.outcome, first), (Outcome::Denied, None));
                prop_assert_eq!(told.errno.as_deref(), Some("EACCES"));
                prop_assert_eq!(told.reason, Some(denial.to_string()));
                prop_assert!(!told.to_change.unwrap().missing.is_empty());
            }
            Decision::Ask(_) => {
                prop_assert_eq!((told.outcome, first), (Outcome::Unknown, None));
                prop_assert!(told.rules.iter().flat_map(|rule| &rule.selectors).any(|one| one.matched == Told::Unknown));
            }
        }
    }

    #[test]
    fn what_an_ordinary_user_is_told_has_the_same_outcome_and_only_his_rules(
        demands in proptest::collection::vec(selectors(), 0..4),
        who in identity(),
        evidence in evidence(),
    ) {
        let place = place(rules(&demands), 0o555, "f");
        let look = |view| explain(&asked(&place, view), &seen(who.clone()), &evidence).unwrap();
        let (whole, own) = (look(View::Whole), look(View::Own));
        prop_assert_eq!((own.outcome, &own.rule, &own.errno), (whole.outcome, &whole.rule, &whole.errno));
        prop_assert_eq!(own.rules.len() + own.rules_not_shown, whole.rules.len());
        let ids: Vec<_> = [who.uid].iter().map(|uid| format!("uid:{uid}")).collect();
        let gids: Vec<_> = who.groups.iter().chain([&who.gid]).map(|gid| format!("gid:{gid}")).collect();
        for rule in own.rules {
            for one in rule.selectors {
                let is_id = one.selector.starts_with("uid:") || one.selector.starts_with("gid:");
                prop_assert!(!is_id || ids.contains(&one.selector) || gids.contains(&one.selector));
            }
        }
    }

    #[test]
    fn no_path_makes_the_search_panic(path in ".{0,40}") {
        let config = config();
        let _ = Place::find(&config, &path);
    }
}

#[test]
fn the_nearest_rule_is_named_with_all_that_it_misses() {
    let demands = ["uid = 1\ngid = 1\nwithin = \"5s\"", "uid = 1000\ngid = 50", "uid = 2\ngid = 2"];
    let place = place(rules(&demands.map(str::to_owned)), 0o555, "f");
    let change = told(&place, View::Whole, &seen(somebody())).to_change.unwrap();
    assert_eq!(change.rule.as_deref(), Some("s.2"));
    assert_eq!(change.missing, ["gid:50 is demanded: the caller's gid is 1000, its groups are []"]);
}

#[test]
fn a_rule_for_the_callers_own_ids_is_nearer_than_one_for_others_that_misses_less() {
    let nearest = |demands: &[&str]| {
        let demands: Vec<_> = demands.iter().map(|one| (*one).to_owned()).collect();
        let place = place(rules(&demands), 0o555, "f");
        told(&place, View::Whole, &seen(somebody())).to_change.unwrap().rule.unwrap()
    };
    let mine = "uid = 1000\nexe = \"/bin/cat\"\nunit = \"a.service\"";
    assert_eq!(nearest(&["uid = 1", mine]), "s.2", "the uid of another misses one, and is not the caller's");
    assert_eq!(
        nearest(&["unit = \"b.service\"", mine]),
        "s.2",
        "one that names no ids is for nobody in particular"
    );
    assert_eq!(nearest(&["uid = 1", "unit = \"b.service\""]), "s.2");
    assert_eq!(
        nearest(&[mine, "gid = 1000\nunit = \"a.service\""]),
        "s.2",
        "of those for the caller the least"
    );
    assert_eq!(nearest(&["uid = 1\ngid = 1", "uid = 1000\ngid = 1\nunit = \"a.service\""]), "s.2");
}

#[test]
fn the_kernel_goes_before_the_rules_and_root_passes_by_a_capability() {
    let open = |uid, gid, groups: &[u32], reads_everything| {
        let who = Identity { uid, gid, groups: groups.to_vec(), ..somebody() };
        let seen = Inspected { reads_everything, ..seen(who) };
        told(&place(rules(&["no_new_privs = true".into()]), 0o550, "f"), View::Whole, &seen)
    };
    let passes = |of: &Explanation| of.kernel.directory.passes_as;
    assert_eq!(passes(&open(1000, 1, &[], false)), Some(Passes::Owner));
    assert_eq!(passes(&open(1, 50, &[], false)), Some(Passes::Group));
    assert_eq!(passes(&open(1, 1, &[50], false)), Some(Passes::Group));
    assert_eq!(passes(&open(0, 0, &[], true)), Some(Passes::Capability));
    let closed = open(0, 0, &[], false);
    assert_eq!((passes(&closed), closed.outcome, closed.rule), (None, Outcome::Denied, None));
    let missing = closed.to_change.unwrap().missing;
    assert!(missing[0].contains("directory (owner 1000, group 50, mode 0550)"), "{missing:?}");
}

#[test]
fn a_mount_made_without_root_is_for_its_user_alone() {
    let place = place(rules(&["uid = 1001".into()]), 0o555, "f");
    let who = seen(Identity { uid: 1001, ..somebody() });
    for (served_by, outcome) in [(1001, Outcome::Allowed), (1000, Outcome::Denied), (0, Outcome::Allowed)] {
        let asked = Asked { served_by, ..asked(&place, View::Whole) };
        assert_eq!(explain(&asked, &who, &Evidence::default()).unwrap().outcome, outcome, "{served_by}");
    }
}

#[test]
fn a_name_is_told_only_to_who_may_enter_the_directory() {
    let own = |mode, name, uid| {
        let place = place(rules(&["uid = 1000".into()]), mode, name);
        explain(&asked(&place, View::Own), &seen(Identity { uid, ..somebody() }), &Evidence::default())
    };
    assert_eq!(own(0o555, "g", 1001).unwrap_err(), "scope `s` has no file `g`");
    let (there, not_there) = (own(0o500, "f", 1001).unwrap(), own(0o500, "g", 1001).unwrap());
    assert_eq!(there.outcome, Outcome::Denied);
    assert_eq!(Explanation { path: there.path.clone(), ..not_there }, there);
}

#[test]
fn what_a_rule_for_others_could_not_find_out_is_not_told() {
    let place = place(rules(&["no_new_privs = true".into()]), 0o555, "f");
    let evidence = Evidence { hardening: Some(Err("its runtime is away".into())), ..Evidence::default() };
    let reason = |view| explain(&asked(&place, view), &seen(somebody()), &evidence).unwrap().reason.unwrap();
    assert_eq!(reason(View::Whole), "no rule matches: its runtime is away");
    assert_eq!(reason(View::Own), Denial::NoRuleMatches.to_string());
}

#[test]
fn what_a_rule_for_others_turned_on_is_told_only_to_whom_the_rule_is_shown() {
    let evidence = Evidence { reads: Some(1), ..Evidence::default() };
    let reason = |demands: &str, view| {
        let place = place(rules(&[demands.into()]), 0o555, "f");
        explain(&asked(&place, view), &seen(somebody()), &evidence).unwrap().reason.unwrap()
    };
    let had = "no rule matches: the caller's process has had 1 of its 1 reads of the file";
    assert_eq!(reason("reads = 1", View::Whole), had);
    assert_eq!(reason("reads = 1", View::Own), Denial::NoRuleMatches.to_string());
    assert_eq!(reason("uid = 1000\nreads = 1", View::Own), had, "the rule is shown");
}

#[test]
fn what_learning_allows_is_marked_with_what_would_be_said_without() {
    let demands = ["uid = 1000\nwithin = \"5s\"".to_owned(), "reads = 1".to_owned()];
    let evidence = Evidence { age: Some(Duration::from_mins(1)), reads: Some(1), ..Evidence::default() };
    let told = |uid, until: i64, mode, view| {
        let mut place = place(rules(&demands), mode, "f");
        let until = jiff::Timestamp::from_second(until).unwrap();
        Arc::get_mut(&mut place.scope).unwrap().learn_until = Some(until);
        explain(&asked(&place, view), &seen(Identity { uid, ..somebody() }), &evidence).unwrap()
    };
    let own = told(1000, 1001, 0o555, View::Own);
    assert_eq!((own.outcome, own.rule.as_deref(), own.errno), (Outcome::Allowed, Some("s.1"), None));
    assert_eq!(own.learning_until.unwrap().as_second(), 1001);
    assert_eq!(own.reason.unwrap(), "no rule matches: the caller's process started 60s ago");
    assert_eq!(own.to_change.unwrap().rule.as_deref(), Some("s.1"));
    for (uid, until, mode) in [(1001, 1001, 0o555), (1000, 1000, 0o555), (1000, 1001, 0o000)] {
        let denied = told(uid, until, mode, View::Whole);
        assert_eq!((denied.outcome, denied.learning_until), (Outcome::Denied, None), "{uid} {until} {mode}");
    }
}

#[test]
fn a_caller_that_cannot_be_identified_is_denied_with_the_reason() {
    let place = place(rules(&["uid = 1000".into()]), 0o555, "f");
    let seen = Inspected { who: Err(Refusal::MixedUids), uids: [1000, 0, 0, 0], ..seen(somebody()) };
    let told = told(&place, View::Whole, &seen);
    assert_eq!((told.outcome, told.rules.len()), (Outcome::Denied, 0));
    assert_eq!(told.caller.refused.as_ref(), told.reason.as_ref());
}

/// A configuration with the scope `s`.
fn config() -> crate::config::Config {
    let audit = crate::config::checked::Audit {
        to: crate::config::checked::AuditSink::Stderr,
        on_failure: crate::config::checked::OnFailure::Deny,
    };
    crate::config::Config {
        path: "/c".into(),
        mount: "/run/hushfs".into(),
        control: "/run/hushfs.sock".into(),
        namespaces: crate::identity::Namespaces::Host,
        providers: Vec::new(),
        runtimes: crate::identity::Runtimes::default(),
        fetcher: None,
        scopes: vec![place(Rules::default(), 0o555, "f").scope],
        audit,
        metrics: None,
        limits: crate::config::checked::Limits::DEFAULT,
        print: crate::config::Print::default(),
        warnings: Vec::new(),
    }
}

#[test]
fn a_path_is_found_by_its_names_alone() {
    let config = config();
    let find = |path| Place::find(&config, path);
    for path in ["s/f", "/run/hushfs/s/f", "/run//hushfs/s/./f/"] {
        assert!(find(path).is_ok_and(|place| place.file.is_some()), "{path}");
    }
    assert!(find("s/g").is_ok_and(|place| place.file.is_none()));
    let refused = |path| find(path).err().unwrap();
    assert_eq!(refused("t/f"), NoSuchPath::NoScope("t".into(), Some("s".into())));
    assert_eq!(refused("/etc/passwd"), NoSuchPath::NotBelow("/etc/passwd".into(), "/run/hushfs".into()));
    for path in ["", "s", "s/f/x", "./s/f", "../s/f", "s/..", "/run/hushfs", "/run/hushfs/s/../s/f"] {
        assert_eq!(refused(path), NoSuchPath::NotAFile(path.into()), "{path}");
    }
}
