//! What is fetched: both key/value engines, and engines that make what they answer.

use std::time::{Duration, SystemTime};

use hushfs::providers::{Mint, Provider, ProviderError};
use serde_json::json;

use super::server::{Bao, text_file, unique};
use super::{Vault, settings, values};
use crate::network::{Network, Weather};
use crate::upstream::{At, Upstream, block_on, fetch, reference};

/// A provider whose token may do all that `rules` says.
pub(super) fn provider(bao: &Bao, rules: &str, more: &str) -> Box<dyn Provider> {
    let token = bao.token(&bao.policy(rules), &json!({ "ttl": "1h" }));
    let at = At { url: bao.url.clone(), ca: bao.ca.clone() };
    Vault::open(&settings(&at, &format!("token_file = '{}'\n{more}", text_file(&token)))).unwrap()
}

fn left(expires: Option<SystemTime>) -> u64 {
    let expires = expires.unwrap_or_else(|| panic!("it says no end"));
    expires.duration_since(SystemTime::now()).unwrap().as_secs()
}

#[test]
fn all_keys_of_a_secret_come_as_an_object_of_strings() {
    let bao = Bao::shared();
    let path = unique("all");
    let data = json!({ "text": "a \"b\"", "number": 15, "yes": true, "list": ["a"], "nothing": null });
    bao.write(&format!("secret/data/{path}"), &json!({ "data": data }));
    let provider = provider(bao, "path \"secret/data/*\" { capabilities = [\"read\"] }", "");
    let fetched = fetch(&*provider, &format!("secret/{path}")).unwrap();
    let wanted = json!({ "text": "a \"b\"", "number": "15", "yes": "true", "list": "[\"a\"]" });
    assert!(values(&fetched) == wanted);
}

#[test]
fn a_refusal_names_the_rights_of_either_engine_and_the_commonest_slip() {
    let bao = Bao::shared();
    let told = |rules: &str, path: &str| {
        let error = fetch(&*provider(bao, rules, ""), path).err().unwrap();
        assert!(matches!(error, ProviderError::Refused(_)), "{error}");
        error.to_string()
    };
    let nothing = "path \"nowhere/*\" { capabilities = [\"read\"] }";
    let unknown = told(nothing, "kv1/app/api");
    for path in ["`path \"kv1/data/app/api\"", "`path \"kv1/app/api\""] {
        assert!(unknown.contains(path), "{unknown}");
    }
    assert!(!unknown.contains("leave"), "{unknown}");
    let known = "path \"secret/data/app/*\" { capabilities = [\"read\"] }";
    for rules in [nothing, known] {
        let slip = told(rules, "secret/data/app/db");
        assert!(slip.contains("if `secret/app/db` is meant, leave `data/` out"), "{slip}");
    }
}

#[test]
fn a_path_of_any_letters_is_asked_for_as_it_is() {
    let bao = Bao::shared();
    let provider = provider(bao, "path \"secret/data/*\" { capabilities = [\"read\"] }", "");
    for (name, encoded) in
        [("ключ", "%D0%BA%D0%BB%D1%8E%D1%87"), ("a b+c%", "a%20b+c%25"), ("x&y=z", "x&y=z")]
    {
        let at = unique("letters");
        bao.write(&format!("secret/data/{at}/{encoded}"), &json!({ "data": { "name": name } }));
        let fetched =
            fetch(&*provider, &format!("secret/{at}/{name}")).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(values(&fetched)["name"] == name);
    }
}

#[test]
fn custom_metadata_are_notes_and_a_planned_deletion_is_the_end() {
    let bao = Bao::shared();
    let path = unique("noted");
    let metadata =
        json!({ "custom_metadata": { "owner": "mail", "ticket": "7" }, "delete_version_after": "90m" });
    bao.write(&format!("secret/metadata/{path}"), &metadata);
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "a": "b" } }));
    let provider = provider(bao, "path \"secret/data/*\" { capabilities = [\"read\"] }", "");
    let fetched = fetch(&*provider, &format!("secret/{path}")).unwrap();
    assert_eq!(fetched.notes.get("owner").map(String::as_str), Some("mail"));
    assert_eq!(fetched.notes.len(), 2);
    assert!((5300..5400).contains(&left(fetched.expires)), "{:?}", fetched.expires);
    assert!(fetched.lease.is_none());
}

#[test]
fn a_deleted_and_a_destroyed_version_say_so() {
    let bao = Bao::shared();
    let path = unique("deleted");
    for value in ["one", "two", "three"] {
        bao.write(&format!("secret/data/{path}"), &json!({ "data": { "a": value } }));
    }
    bao.write(&format!("secret/delete/{path}"), &json!({ "versions": [3] }));
    bao.write(&format!("secret/destroy/{path}"), &json!({ "versions": [1] }));
    let provider = provider(bao, "path \"secret/data/*\" { capabilities = [\"read\"] }", "");
    let path = format!("secret/{path}");
    let latest = fetch(&*provider, &path).err().unwrap();
    assert!(matches!(&latest, ProviderError::NotFound(m) if m.contains("version 3 was deleted")), "{latest}");
    let first = block_on(provider.fetch(&reference(&path, Some("1")), Mint::Allowed)).err().unwrap();
    assert!(matches!(&first, ProviderError::NotFound(m) if m.contains("version 1 was destroyed")), "{first}");
    block_on(provider.fetch(&reference(&path, Some("2")), Mint::Allowed)).unwrap();
    let none = block_on(provider.fetch(&reference(&path, Some("zero")), Mint::Allowed)).err().unwrap();
    assert!(matches!(none, ProviderError::Misconfigured(_)), "{none}");
}

#[test]
fn an_engine_without_versions_is_found_out() {
    let bao = Bao::shared();
    let mount = bao.mount("sys/mounts", "kv", &json!({ "options": { "version": "1" } }));
    bao.write(&format!("{mount}/app/db"), &json!({ "password": "first", "ttl": "30s" }));
    let provider = provider(bao, &format!("path \"{mount}/*\" {{ capabilities = [\"read\"] }}"), "");
    let path = format!("{mount}/app/db");
    let first = fetch(&*provider, &path).unwrap();
    assert!(values(&first)["password"] == "first");
    assert_eq!((first.expires, first.lease.as_ref()), (None, None), "a stored `ttl` is the secret's own");
    let again = fetch(&*provider, &path).unwrap();
    assert_eq!((&first.version, first.created), (&again.version, again.created), "nothing has changed");
    bao.write(&path, &json!({ "password": "second" }));
    let second = fetch(&*provider, &path).unwrap();
    assert!(values(&second)["password"] == "second");
    assert_ne!(first.version, second.version);
    let pinned = block_on(provider.fetch(&reference(&path, Some("1")), Mint::Allowed)).err().unwrap();
    assert!(matches!(pinned, ProviderError::Misconfigured(_)), "{pinned}");
    let none = fetch(&*provider, &format!("{mount}/nothing")).err().unwrap();
    assert!(matches!(none, ProviderError::NotFound(_)), "{none}");
}

#[test]
fn a_mount_of_several_segments_is_found_and_an_upgrade_noticed() {
    let bao = Bao::shared();
    let mount = format!("teams/{}/kv", unique("team"));
    bao.write(&format!("sys/mounts/{mount}"), &json!({ "type": "kv", "options": { "version": "1" } }));
    bao.write(&format!("{mount}/a/b"), &json!({ "k": "v" }));
    let provider = provider(bao, &format!("path \"{mount}/*\" {{ capabilities = [\"read\"] }}"), "");
    let path = format!("{mount}/a/b");
    assert!(values(&fetch(&*provider, &path).unwrap())["k"] == "v");
    bao.write(&format!("sys/mounts/{mount}/tune"), &json!({ "options": { "version": "2" } }));
    // The engine is busy with it for a moment, and the first fetch may still be of the old kind.
    let since = std::time::Instant::now();
    loop {
        match fetch(&*provider, &path) {
            Ok(fetched) if fetched.version == "1" => break,
            other => assert!(since.elapsed() < Duration::from_secs(20), "{:?}", other.err()),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// In front of the server, where nobody is told what is mounted.
pub(super) fn without_mounts(bao: &Bao, rules: &str, more: &str) -> (Box<dyn Provider>, Network) {
    let network = Network::plain(bao.address, Weather::FineBut("sys/internal/ui/mounts", 403));
    let token = bao.token(&bao.policy(rules), &json!({ "ttl": "1h" }));
    let settings = settings(&network.at(), &format!("token_file = '{}'\n{more}", text_file(&token)));
    (Vault::open(&settings).unwrap(), network)
}

#[test]
fn where_the_server_does_not_say_what_is_mounted_both_are_tried() {
    let bao = Bao::shared();
    let path = unique("guessed");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "a": "two" } }));
    let mount = bao.mount("sys/mounts", "kv", &json!({ "options": { "version": "1" } }));
    bao.write(&format!("{mount}/{path}"), &json!({ "a": "one" }));
    let rules = format!(
        "path \"secret/data/*\" {{ capabilities = [\"read\"] }} path \"{mount}/*\" {{ capabilities = [\"read\"] }}"
    );
    let (provider, network) = without_mounts(bao, &rules, "");
    let pinned = reference(&format!("secret/{path}"), Some("9"));
    let error = block_on(provider.fetch(&pinned, Mint::Allowed)).err().unwrap();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    assert!(values(&fetch(&*provider, &format!("secret/{path}")).unwrap())["a"] == "two");
    let before = network.requests();
    fetch(&*provider, &format!("secret/{path}")).unwrap();
    assert_eq!(network.requests() - before, 1, "what turned out is remembered");
    assert!(values(&fetch(&*provider, &format!("{mount}/{path}")).unwrap())["a"] == "one");
    for nothing in ["secret/nothing", &format!("{mount}/nothing")] {
        let error = fetch(&*provider, nothing).err().unwrap();
        assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    }
    let error = fetch(&*provider, "elsewhere/nothing").err().unwrap();
    assert!(matches!(&error, ProviderError::Refused(m) if m.contains("elsewhere/data/nothing")), "{error}");
}

#[test]
fn what_the_settings_say_of_mounts_is_not_asked() {
    let bao = Bao::shared();
    let path = unique("told");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "a": "b" } }));
    let rules = "path \"secret/data/*\" { capabilities = [\"read\"] }";
    let (provider, network) = without_mounts(bao, rules, "mounts = { secret = 'kv-2' }");
    fetch(&*provider, &format!("secret/{path}")).unwrap();
    assert_eq!(network.requests(), 2, "what the token is, and the secret");
}

#[test]
fn what_a_policy_needs_is_said() {
    let bao = Bao::shared();
    let provider = provider(bao, "path \"secret/metadata/*\" { capabilities = [\"read\"] }", "");
    let error = fetch(&*provider, "secret/app/db").err().unwrap();
    let wanted = "path \"secret/data/app/db\" { capabilities = [\"read\"] }";
    assert!(matches!(&error, ProviderError::Refused(m) if m.contains(wanted)), "{error}");
}

#[test]
fn a_certificate_is_issued_with_its_parameters_and_ends_with_itself() {
    let bao = Bao::shared();
    let pki = bao.mount("sys/mounts", "pki", &json!(null));
    bao.write(
        &format!("{pki}/root/generate/internal"),
        &json!({ "common_name": "ca.example", "ttl": "24h" }),
    );
    let role = json!({ "allow_any_name": true, "max_ttl": "2h" });
    bao.write(&format!("{pki}/roles/web"), &role);
    let leased = json!({ "allow_any_name": true, "max_ttl": "2h", "generate_lease": true });
    bao.write(&format!("{pki}/roles/leased"), &leased);
    let params = format!(
        "[params.\"{pki}/issue/web\"]\ncommon_name = 'web.example'\nttl = '30m'\n[params.\"{pki}/issue/leased\"]\ncommon_name = 'web.example'\nttl = '30m'"
    );
    let rules = format!(
        "path \"{pki}/issue/*\" {{ capabilities = [\"update\"] }} path \"{pki}/issue/readable\" {{ capabilities = [\"read\"] }}"
    );
    let provider = provider(bao, &rules, &params);
    let fetched = fetch(&*provider, &format!("{pki}/issue/web")).unwrap();
    let issued = values(&fetched);
    assert!(issued["private_key"].as_str().unwrap().contains("PRIVATE KEY"));
    assert!((1700..=1800).contains(&left(fetched.expires)));
    assert_eq!(fetched.version, issued["serial_number"]);
    let lease = fetched.lease.as_ref().expect("it was made for us alone");
    assert!((1700..=1800).contains(&lease.lasts.as_secs()) && !lease.renewable && !lease.revocable);
    let other = fetch(&*provider, &format!("{pki}/issue/web")).unwrap();
    assert_ne!(fetched.version, other.version, "each is another");
    let lent = fetch(&*provider, &format!("{pki}/issue/leased")).unwrap();
    let lease = lent.lease.as_ref().expect("a lease");
    assert!(lease.handle.starts_with(&format!("{pki}/issue/leased/")), "{}", lease.handle);
    assert!((1700..=1800).contains(&lease.lasts.as_secs()));
    // Without parameters it is read, which the engine does not know and such policies do not allow.
    let error = fetch(&*provider, &format!("{pki}/issue/readable")).err().unwrap();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("params")), "{error}");
    let error = fetch(&*provider, &format!("{pki}/issue/other")).err().unwrap();
    assert!(matches!(&error, ProviderError::Refused(m) if m.contains("params")), "{error}");
}

#[test]
fn a_leased_credential_keeps_its_terms() {
    let bao = Bao::shared();
    let ssh = bao.mount("sys/mounts", "ssh", &json!({ "config": { "default_lease_ttl": "20m" } }));
    let role = json!({ "key_type": "otp", "default_user": "ubuntu", "cidr_list": "10.0.0.0/8" });
    bao.write(&format!("{ssh}/roles/otp"), &role);
    let rules = format!("path \"{ssh}/creds/*\" {{ capabilities = [\"update\"] }}");
    let params = |ip: &str| format!("[params.\"{ssh}/creds/otp\"]\nip = '{ip}'");
    let good = provider(bao, &rules, &params("10.1.2.3"));
    let fetched = fetch(&*good, &format!("{ssh}/creds/otp")).unwrap();
    let lease = fetched.lease.as_ref().expect("a lease");
    assert!(lease.handle.starts_with(&format!("{ssh}/creds/otp/")), "{}", lease.handle);
    assert_eq!((lease.lasts.as_secs(), lease.renewable), (1200, false));
    assert!((1190..=1200).contains(&left(fetched.expires)));
    assert!(values(&fetched)["username"] == "ubuntu");
    let bad = provider(bao, &rules, &params("192.168.1.1"));
    let error = fetch(&*bad, &format!("{ssh}/creds/otp")).err().unwrap();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("params")), "{error}");
}

#[test]
fn a_token_can_be_a_secret() {
    let bao = Bao::shared();
    let params = "[params.\"auth/token/create\"]\nttl = '10m'\npolicies = ['default']";
    let provider = provider(bao, "path \"auth/token/create\" { capabilities = [\"update\"] }", params);
    let fetched = fetch(&*provider, "auth/token/create").unwrap();
    assert!(values(&fetched)["client_token"].as_str().unwrap().starts_with("s."));
    assert!((590..=600).contains(&left(fetched.expires)));
    let lease = fetched.lease.as_ref().expect("it was made for us alone");
    assert!((590..=600).contains(&lease.lasts.as_secs()) && lease.revocable && !lease.renewable);
}

#[test]
fn what_is_lent_to_a_token_that_cannot_be_renewed_ends_with_it() {
    let bao = Bao::shared();
    let ssh = bao.mount("sys/mounts", "ssh", &json!({ "config": { "default_lease_ttl": "20m" } }));
    let role = json!({ "key_type": "otp", "default_user": "ubuntu", "cidr_list": "10.0.0.0/8" });
    bao.write(&format!("{ssh}/roles/otp"), &role);
    let policy = bao.policy(&format!("path \"{ssh}/creds/*\" {{ capabilities = [\"update\"] }}"));
    let token = bao.token(&policy, &json!({ "ttl": "60s", "renewable": false }));
    let auth = format!("token_file = '{}'\n[params.\"{ssh}/creds/otp\"]\nip = '10.0.0.1'", text_file(&token));
    let provider = Vault::open(&settings(&At { url: bao.url.clone(), ca: None }, &auth)).unwrap();
    assert!(left(fetch(&*provider, &format!("{ssh}/creds/otp")).unwrap().expires) <= 60);
}

#[test]
fn a_namespace_is_where_everything_is() {
    let bao = Bao::shared();
    let name = unique("namespace");
    bao.write(&format!("sys/namespaces/{name}"), &json!({}));
    bao.write_in(&name, "sys/mounts/kv", &json!({ "type": "kv", "options": { "version": "2" } }));
    bao.write_in(&name, "kv/data/a", &json!({ "data": { "k": "in the namespace" } }));
    let rules = json!({ "policy": "path \"kv/data/*\" { capabilities = [\"read\"] }" });
    bao.write_in(&name, "sys/policies/acl/reads", &rules);
    let made = bao.write_in(&name, "auth/token/create", &json!({ "policies": ["reads"] }));
    let token = text_file(made["auth"]["client_token"].as_str().unwrap());
    let at = At { url: bao.url.clone(), ca: None };
    let open = |more: &str| Vault::open(&settings(&at, &format!("token_file = '{token}'\n{more}"))).unwrap();
    let fetched = fetch(&*open(&format!("namespace = '{name}/'")), "kv/a").unwrap();
    assert!(values(&fetched)["k"] == "in the namespace");
    let error = fetch(&*open(""), "kv/a").err().unwrap();
    assert!(matches!(error, ProviderError::Refused(_) | ProviderError::NotFound(_)), "{error}");
}

#[test]
fn data_in_a_path_is_told_to_be_left_out() {
    let bao = Bao::shared();
    let path = unique("habit");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "a": "b" } }));
    let provider = provider(bao, "path \"secret/data/*\" { capabilities = [\"read\"] }", "");
    let error = fetch(&*provider, &format!("secret/data/{path}")).err().unwrap();
    assert!(matches!(&error, ProviderError::NotFound(m) if m.contains("`data/`")), "{error}");
}

#[test]
fn a_quota_of_the_server_says_when_to_come_again() {
    let bao = Bao::shared();
    let mount = bao.mount("sys/mounts", "kv", &json!({ "options": { "version": "1" } }));
    bao.write(&format!("{mount}/a"), &json!({ "k": "v" }));
    bao.write("sys/quotas/config", &json!({ "enable_rate_limit_response_headers": true }));
    let quota = json!({ "path": format!("{mount}/"), "rate": 0.05, "interval": "20s" });
    bao.write(&format!("sys/quotas/rate-limit/{mount}"), &quota);
    let provider = provider(bao, &format!("path \"{mount}/*\" {{ capabilities = [\"read\"] }}"), "");
    let errors: Vec<_> = (0..4).filter_map(|_| fetch(&*provider, &format!("{mount}/a")).err()).collect();
    let last = errors.last().expect("no quota");
    assert!(matches!(last, ProviderError::Unavailable { retry_after: Some(_), .. }), "{last}");
}
