//! Scopes with workloads.

use super::*;

/// What a test adds begins at line 6; these are the lines of a scope `db`.
fn scope(lines: &str) -> String {
    let command = "[provider.minted]\nkind = \"command\"\nprogram = \"/usr/bin/true\"\nuser = \"nobody\"\nmints = true\n";
    format!("{BEGIN}[scope.db]\n{lines}\n{command}")
}

/// The one problem.
fn problem(lines: &str) -> (String, String) {
    let found = problems(&scope(lines));
    assert_eq!(found.len(), 1, "{lines}: {found:?}");
    found[0].clone()
}

fn config(lines: &str) -> Config {
    check_text(&scope(lines)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The names of the rules of each scope, with what they demand.
fn rules(config: &Config) -> Vec<(String, String)> {
    let rules = config.scopes.iter().flat_map(|scope| scope.rules.iter());
    let described = |rule: &crate::policy::Rule| {
        rule.selectors().iter().map(|one| one.describe()).collect::<Vec<_>>().join(" ")
    };
    rules.map(|rule| (rule.name().to_owned(), described(rule))).collect()
}

fn pairs<'p>(pairs: &[(&'p str, &'p str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[test]
fn each_workload_is_a_directory_whose_readers_match_a_rule_of_both() {
    let config = config(
        "allow = { uid = 7 }\nmode = \"0444\"
         workload.web = { unit = \"web.service\" }
         workload.a = [{ unit = \"a.service\" }, { uid = 7, gid = 8 }]
         file.t = \"local:t\"\nfile.u = { from = \"local:u\", mode = \"0400\" }",
    );
    let names: Vec<_> = config.scopes.iter().map(|scope| scope.name.as_str()).collect();
    assert_eq!(names, ["db/a", "db/web"]);
    let expected = [
        ("db/a.1", "uid:7 unit:a.service"),
        ("db/a.2", "uid:7 gid:8"),
        ("db/web.1", "uid:7 unit:web.service"),
    ];
    assert_eq!(rules(&config), pairs(&expected));
    for scope in &config.scopes {
        let files: Vec<_> = scope.files.iter().map(|file| (file.name.as_str(), file.mode)).collect();
        assert_eq!(files, [("t", 0o444), ("u", 0o400)]);
        assert_eq!((scope.uid, scope.dir_mode), (7, 0o555));
    }
}

#[test]
fn pairs_that_contradict_each_other_are_no_rules_where_others_are() {
    let both = "allow = [{ uid = 7 }, { uid = 8 }]\nfile.t = \"local:t\"\n";
    let config = config(&format!("{both}workload.a = {{ uid = 7 }}\nworkload.b = {{ uid = 8 }}"));
    assert_eq!(rules(&config), pairs(&[("db/a.1", "uid:7"), ("db/b.1", "uid:8")]));
    let owners: Vec<_> = config.scopes.iter().map(|scope| (scope.uid, scope.dir_mode)).collect();
    assert_eq!(owners, [(7, 0o500), (8, 0o500)], "each belongs to whom it is for");
    for (lines, place, said) in [
        ("workload.a = { uid = 7 }\nworkload.b = { uid = 9 }", "9:14", "`uid:9` is not `uid:8`"),
        ("workload.a = { uid = 7 }", "6:23", "contradicts the rules of all workloads"),
    ] {
        let found = problems(&scope(&format!("{both}{lines}")));
        assert!(found.iter().any(|(one, _)| one.starts_with(place) && one.contains(said)), "{found:?}");
    }
    for (allow, workload) in [
        ("{ uid = 0, unit = \"a.service\" }", "{ unit = \"b.service\" }"),
        ("{ uid = 0, unit = \"a.service/*\" }", "{ unit = \"b.service/*\" }"),
        ("{ uid = 0, user_unit = \"a.service\" }", "{ user_unit = \"b.service\" }"),
        ("{ uid = 0, exe = \"/usr/bin/cat\" }", "{ exe = \"/usr/bin/tail\" }"),
    ] {
        let found = problems(&scope(&format!("allow = {allow}\nworkload.x = {workload}")));
        let hit = found.iter().any(|(one, _)| one.starts_with("7:14: this rule can never match"));
        assert!(hit, "{workload}: {found:?}");
    }
    let units = "allow = { uid = 0, unit = \"a@*.service\" }\nworkload.x = { unit = \"a@1.service\" }";
    check_text(&scope(&format!("{units}\nfile.t = \"local:t\""))).unwrap();
}

#[test]
fn without_an_allow_the_rules_of_the_workloads_say_it_all() {
    let config = config("workload.web = { uid = 7 }\nfile.t = \"local:t\"");
    assert_eq!(rules(&config), pairs(&[("db/web.1", "uid:7")]));
    let (message, _) = problem("workload.web = { user_unit = \"web.service\" }");
    assert!(message.starts_with("6:30: ") && message.contains("does not say whose it is"), "{message}");
}

#[test]
fn what_is_wrong_with_workloads_is_shown_once_at_its_place_with_a_remedy() {
    let allow = "allow = { uid = 7 }\nfile.t = \"local:t\"\n";
    for (lines, place, said, remedy) in [
        ("workload = {}", "8:1", "no workload", "web.service"),
        ("workload = \"web\"", "8:12", "takes a table", "web.service"),
        ("workload.web = []", "8:16", "lets nobody in", "`web = {"),
        ("workload.web = {}", "8:16", "without selectors", "`web = {"),
        ("workload.\"a/b\" = { gid = 5 }", "8:10", "workload: a name cannot contain `/`", ""),
        ("workload.web = { unti = \"a.service\" }", "8:18", "`unti`", "`unit`"),
        ("workloads.web = { gid = 5 }", "8:1", "`workloads` is not known", "the key is `workload`"),
        (
            "workload = { a = { gid = 5 }, b = { gid = 6 } }\nfile.x = { from = \"nowhere:t\" }\nmode = \"0644\"",
            "9:19",
            "no provider `nowhere`",
            "[provider.nowhere]",
        ),
    ] {
        let found = problems(&scope(&format!("{allow}{lines}")));
        let hits = found.iter().filter(|(one, hint)| {
            one.starts_with(&format!("{place}: ")) && one.contains(said) && hint.contains(remedy)
        });
        assert_eq!(hits.count(), 1, "{lines}: {found:?}");
    }
}

#[test]
fn per_caller_makes_a_secret_for_each_workload_alone() {
    let config = config(
        "workload = { a = { uid = 7 }, b = { uid = 8 } }
         file.own = { from = \"minted:db#user\", per_caller = true }
         file.too = { from = \"minted:db#password\", per_caller = true }
         file.all = { from = \"minted:db\", per_caller = false }
         bundle.both = [\"own\", \"all\"]",
    );
    let whole = |scope: usize, name: &str| {
        config.scopes[scope].files.iter().find(|file| file.name == name).unwrap().shows.secrets()[0].clone()
    };
    assert_eq!(whole(0, "own"), whole(0, "too"), "all keys of one");
    assert_ne!(whole(0, "own"), whole(1, "own"));
    assert_eq!(whole(0, "all"), whole(1, "all"));
    assert_eq!((whole(0, "own").whom(), whole(1, "own").whom()), (Some("db/a"), Some("db/b")));
    assert_eq!(config.cache_rules().len(), 3);
    let (_, bundle) = config.scopes[1].bundle_of("own").unwrap();
    assert_eq!(bundle, [whole(1, "all"), whole(1, "own")]);
}

#[test]
fn per_caller_without_workloads_is_refused_and_where_nothing_is_made_warned_of() {
    let file = "file.t = { from = \"minted:t\", per_caller = true }";
    let (message, hint) = problem(&format!("allow = {{ uid = 7 }}\n{file}"));
    assert!(message.starts_with("7:31: one file shows one thing"), "{message}");
    assert!(hint.contains("workload = {"), "{hint}");
    let (message, _) = problem("workload.a = { uid = 7 }\nfile.t = { from = \"minted:t\", per_caller = 1 }");
    assert!(message.starts_with("7:44: `per_caller` takes true or false"), "{message}");
    let (_, hint) = problem("workload.a = { uid = 7 }\nper_caller = true");
    assert!(hint.contains("it is said of a file"), "{hint}");
    let two = "workload = { a = { uid = 7 }, b = { uid = 8 } }\n";
    let unused = |config: Config| {
        config
            .warnings
            .into_iter()
            .filter(|one| !one.contains("no file uses the provider"))
            .collect::<Vec<_>>()
    };
    assert_eq!(unused(config(&format!("{two}{file}"))), [""; 0]);
    let found = unused(config(&format!("{two}{}", file.replace("minted", "local"))));
    assert_eq!(found.len(), 1, "once: {found:?}");
    assert!(found[0].contains(":7:30") && found[0].contains("`local` makes nothing"), "{found:?}");
}
