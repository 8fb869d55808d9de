//! What is below a path of a key/value engine.

use hushfs::providers::{Provider, ProviderError};
use serde_json::json;

use super::secrets::{provider, without_mounts};
use super::server::{Bao, unique};
use crate::listing::list;
use crate::network::{Network, Weather};
use crate::upstream::{At, Upstream};

/// Names as they are, and as they stand in an address.
const ODD: [(&str, &str); 8] = [
    ("%", "%25"),
    ("-", "-"),
    (".hidden", ".hidden"),
    ("a b", "a%20b"),
    ("k#y", "k%23y"),
    ("x?version=1", "x%3Fversion=1"),
    ("~", "~"),
    ("ä", "%C3%A4"),
];

fn allow(path: &str, capability: &str) -> String {
    format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }} ")
}

fn is_refused(error: &ProviderError, wanted: &str) {
    assert!(matches!(error, ProviderError::Refused(m) if m.contains(wanted)), "{error}");
}

#[test]
fn names_of_any_letters_are_listed_as_they_are_and_harm_no_others() {
    let bao = Bao::shared();
    let old = bao.mount("sys/mounts", "kv", &json!({ "options": { "version": "1" } }));
    let at = unique("odd");
    for (_, encoded) in ODD {
        for below in [encoded.to_owned(), format!("{encoded}.d/{encoded}")] {
            bao.write(&format!("secret/data/{at}/{below}"), &json!({ "data": { "a": "b" } }));
            bao.write(&format!("{old}/{at}/{below}"), &json!({ "a": "b" }));
        }
    }
    let rules = allow(&format!("secret/metadata/{at}/*"), "list") + &allow(&format!("{old}/*"), "list");
    let provider = provider(bao, &rules, "");
    let mut flat: Vec<_> = ODD.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut deep: Vec<_> =
        ODD.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}.d/{name}")]).collect();
    flat.sort();
    deep.sort();
    for mount in ["secret", &old] {
        let under = format!("{mount}/{at}");
        assert_eq!(list(&*provider, &under, 1).unwrap(), flat);
        assert_eq!(list(&*provider, &under, 2).unwrap(), deep);
        assert_eq!(list(&*provider, &format!("{under}/a b.d"), 1).unwrap(), ["a b"]);
    }
}

#[test]
fn all_of_a_mount_is_below_its_name() {
    let bao = Bao::shared();
    for version in ["1", "2"] {
        let mount = bao.mount("sys/mounts", "kv", &json!({ "options": { "version": version } }));
        let (data, metadata) = if version == "2" { ("data/", "metadata/") } else { ("", "") };
        for name in ["one", "two/three"] {
            bao.write(&format!("{mount}/{data}{name}"), &json!({ "data": { "a": "b" } }));
        }
        let provider = provider(bao, &allow(&format!("{mount}/{metadata}*"), "list"), "");
        assert_eq!(list(&*provider, &mount, 1).unwrap(), ["one"], "{version}");
        assert_eq!(list(&*provider, &mount, 2).unwrap(), ["one", "two/three"], "{version}");
    }
}

#[test]
fn the_rule_that_a_refusal_names_is_the_one_that_is_needed() {
    let bao = Bao::shared();
    let at = unique("ruled");
    for name in ["a", "b/c"] {
        bao.write(&format!("secret/data/{at}/{name}"), &json!({ "data": { "a": "b" } }));
    }
    let under = format!("secret/{at}");
    let rule = allow(&format!("secret/metadata/{at}/*"), "list");
    let reads = allow(&format!("secret/data/{at}/*"), "read");
    let error = list(&*provider(bao, &reads, ""), &under, 2).unwrap_err();
    is_refused(&error, &format!("`{}`", rule.trim()));
    assert_eq!(list(&*provider(bao, &rule, ""), &under, 2).unwrap(), ["a", "b/c"]);
    // A hole would not be seen in what is left.
    let holed = rule + &allow(&format!("secret/metadata/{at}/b/*"), "deny");
    let error = list(&*provider(bao, &holed, ""), &under, 2).unwrap_err();
    is_refused(&error, &format!("secret/metadata/{at}/b/*"));
    assert_eq!(list(&*provider(bao, &holed, ""), &under, 1).unwrap(), ["a"]);
    // Who may do nothing there is not told what is there.
    let nothing = allow("nowhere/*", "read");
    let error = list(&*provider(bao, &nothing, ""), "kv1/app", 1).unwrap_err();
    is_refused(&error, "`path \"kv1/metadata/app/*\"");
    is_refused(&error, "`path \"kv1/app/*\"");
    let slip = format!("secret/data/{at}");
    let error = list(&*provider(bao, &reads, ""), &slip, 1).unwrap_err();
    is_refused(&error, &format!("if `{under}` is meant, leave `data/` out"));
}

#[test]
fn what_was_deleted_is_listed_as_long_as_the_server_lists_it() {
    let bao = Bao::shared();
    let at = unique("deleted");
    for name in ["deleted", "removed", "there"] {
        bao.write(&format!("secret/data/{at}/{name}"), &json!({ "data": { "a": "b" } }));
    }
    bao.write(&format!("secret/delete/{at}/deleted"), &json!({ "versions": [1] }));
    bao.ask("DELETE", &format!("secret/metadata/{at}/removed"), &json!(null));
    let provider = provider(bao, &allow("secret/metadata/*", "list"), "");
    assert_eq!(list(&*provider, &format!("secret/{at}"), 1).unwrap(), ["deleted", "there"]);
    for name in ["deleted", "there"] {
        bao.ask("DELETE", &format!("secret/metadata/{at}/{name}"), &json!(null));
    }
    let error = list(&*provider, &format!("secret/{at}"), 1).unwrap_err();
    assert!(matches!(error, ProviderError::NotFound(_)), "an empty folder is none: {error}");
}

#[test]
fn only_key_value_engines_are_listed_and_none_is_guessed() {
    let bao = Bao::shared();
    let pki = bao.mount("sys/mounts", "pki", &json!(null));
    let rules = allow(&format!("{pki}/*"), "list") + &allow("secret/metadata/*", "list");
    let error = list(&*provider(bao, &rules, ""), &format!("{pki}/certs"), 1).unwrap_err();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("no key/value")), "{error}");
    let at = unique("unknown");
    bao.write(&format!("secret/data/{at}/a"), &json!({ "data": { "a": "b" } }));
    let (unknown, _) = without_mounts(bao, &rules, "");
    let error = list(&*unknown, &format!("secret/{at}"), 1).unwrap_err();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("`mounts`")), "{error}");
    let (told, network) = without_mounts(bao, &rules, "mounts = { secret = 'kv-2' }");
    assert_eq!(list(&*told, &format!("secret/{at}"), 1).unwrap(), ["a"]);
    assert_eq!(network.requests(), 2, "what the token is, and the list");
}

#[test]
fn no_value_is_asked_for_and_each_folder_once() {
    let bao = Bao::shared();
    let at = unique("counted");
    for folder in 0..30 {
        bao.write(&format!("secret/data/{at}/{folder}/a/b"), &json!({ "data": { "a": "b" } }));
    }
    let rules = allow("secret/metadata/*", "list");
    let network = Network::plain(bao.address, Weather::Fine);
    let token = bao.token(&bao.policy(&rules), &json!({ "ttl": "1h" }));
    let auth = format!("token_file = '{}'", super::text_file(&token));
    let open = |at: &At| super::Vault::open(&super::settings(at, &auth)).unwrap();
    let provider: Box<dyn Provider> = open(&network.at());
    let under = format!("secret/{at}");
    assert_eq!(list(&*provider, &under, 1).unwrap(), [""; 0], "there is something, though deeper");
    assert_eq!(network.requests_of("list=true"), 1);
    assert_eq!(list(&*provider, &under, 3).unwrap().len(), 30);
    assert_eq!(network.requests_of("list=true"), 1 + 1 + 30 + 30);
    assert_eq!(network.requests_of("/data/"), 0);
}

#[test]
fn a_folder_that_no_path_leads_to_is_named_and_not_entered() {
    // The server stores no such names; what answers in its place may say anything.
    let keys = ["../", "..", "./", "/", "a/..", "a", "b/"];
    let body = json!({ "data": { "keys": keys, "ttl": 0 } }).to_string();
    let network = Network::of_its_own(Weather::Answers(200, "", body));
    let auth = format!("token_file = '{}'\nmounts = {{ secret = 'kv-1' }}", super::text_file("s.any"));
    let provider = super::Vault::open(&super::settings(&network.at(), &auth)).unwrap();
    assert_eq!(list(&*provider, "secret/app", 1).unwrap(), ["..", "../", "./", "/", "a"]);
    assert_eq!(network.requests_of("list=true"), 1);
    let names = list(&*provider, "secret/app", 2).unwrap();
    assert!(
        ["a", "a/..", "b/a", "b/../"].iter().all(|name| names.iter().any(|one| one == name)),
        "{names:?}"
    );
    assert_eq!(network.requests_of("list=true"), 3, "the path, and what is in `b`");
}
