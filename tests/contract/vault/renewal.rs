//! The token of our own: renewed, replaced, and not asked for more often than needed.

use std::time::Duration;

use hushfs::providers::ProviderError;
use serde_json::json;

use super::logins::{approle, approle_settings};
use super::server::{Bao, text_file, unique};
use super::{Vault, settings};
use crate::network::{Network, Weather};
use crate::upstream::{At, Upstream, block_on, fetch};

fn secret(bao: &Bao) -> String {
    let path = unique("renewal");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "value": "there" } }));
    format!("secret/{path}")
}

fn reads(bao: &Bao) -> String {
    bao.policy("path \"secret/data/*\" { capabilities = [\"read\"] }")
}

/// Time passes, in which what runs beside the fetches goes on.
fn wait(time: Duration) {
    block_on(async { tokio::time::sleep(time).await });
}

#[test]
fn a_token_is_renewed_while_nothing_is_fetched() {
    let bao = Bao::shared();
    let network = Network::plain(bao.address, Weather::Fine);
    let token = bao.token(&reads(bao), &json!({ "period": "5s" }));
    let auth = format!("token_file = '{}'", text_file(&token));
    let provider = Vault::open(&settings(&network.at(), &auth)).unwrap();
    let path = secret(bao);
    fetch(&*provider, &path).unwrap();
    wait(Duration::from_secs(9));
    let renewed = network.requests_of("renew-self");
    assert!((2..=3).contains(&renewed), "renewed {renewed} times in 9 s");
    fetch(&*provider, &path).unwrap();
}

#[test]
fn nothing_is_renewed_for_a_provider_that_was_closed() {
    let bao = Bao::shared();
    let network = Network::plain(bao.address, Weather::Fine);
    let token = bao.token(&reads(bao), &json!({ "period": "2s" }));
    let auth = format!("token_file = '{}'", text_file(&token));
    let provider = Vault::open(&settings(&network.at(), &auth)).unwrap();
    fetch(&*provider, &secret(bao)).unwrap();
    drop(provider);
    wait(Duration::from_secs(3));
    assert_eq!(network.requests_of("renew-self"), 0);
}

#[test]
fn near_its_longest_life_a_token_is_replaced() {
    let bao = Bao::shared();
    let network = Network::plain(bao.address, Weather::Fine);
    let auth = approle_settings(bao, &json!({ "token_ttl": "4s", "token_max_ttl": "6s" }));
    let provider = Vault::open(&settings(&network.at(), &auth)).unwrap();
    let path = secret(bao);
    for _ in 0..10 {
        fetch(&*provider, &path).unwrap();
        wait(Duration::from_secs(1));
    }
    let logins = network.requests_of("/login HTTP");
    assert!((2..=4).contains(&logins), "logged in {logins} times in 10 s");
}

#[test]
fn a_token_that_was_revoked_is_replaced_by_one_login() {
    let bao = Bao::shared();
    let network = Network::plain(bao.address, Weather::Fine);
    let (mount, id, secret_id) = approle(bao, &json!({}));
    let made = bao.write(&secret_id, &json!({}));
    let file = text_file(made["data"]["secret_id"].as_str().unwrap());
    let auth = format!("approle = {{ mount = '{mount}', role_id = '{id}', secret_id_file = '{file}' }}");
    let provider = Vault::open(&settings(&network.at(), &auth)).unwrap();
    let path = secret(bao);
    fetch(&*provider, &path).unwrap();
    bao.write(&format!("sys/leases/revoke-prefix/auth/{mount}"), &json!({}));
    fetch(&*provider, &path).unwrap();
    assert_eq!(network.requests_of("/login HTTP"), 2);
    // What the policies do not allow is no reason to log in.
    for _ in 0..3 {
        let error = fetch(&*provider, "sys/policies/acl/default").err().unwrap();
        assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    }
    assert_eq!(network.requests_of("/login HTTP"), 2);
}

#[test]
fn a_token_file_that_changes_is_read_again() {
    let bao = Bao::shared();
    let policy = reads(bao);
    let first = bao.token(&policy, &json!({ "ttl": "1h" }));
    let file = text_file(&first);
    let at = At { url: bao.url.clone(), ca: None };
    let provider = Vault::open(&settings(&at, &format!("token_file = '{file}'"))).unwrap();
    let path = secret(bao);
    fetch(&*provider, &path).unwrap();
    bao.write("auth/token/revoke", &json!({ "token": first }));
    let error = fetch(&*provider, &path).err().unwrap();
    assert!(matches!(&error, ProviderError::Refused(m) if m.contains(&file)), "{error}");
    std::fs::write(&file, format!("{}\n", bao.token(&policy, &json!({ "ttl": "1h" })))).unwrap();
    fetch(&*provider, &path).unwrap();
    std::fs::write(&file, "").unwrap();
    let error = fetch(&*provider, &path).err().unwrap();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
}

#[test]
fn a_token_that_may_not_even_ask_for_itself_is_used() {
    let bao = Bao::shared();
    let token = bao.token(&reads(bao), &json!({ "no_default_policy": true }));
    let at = At { url: bao.url.clone(), ca: None };
    let auth = format!("token_file = '{}'", text_file(&token));
    let provider = Vault::open(&settings(&at, &auth)).unwrap();
    fetch(&*provider, &secret(bao)).unwrap();
}
