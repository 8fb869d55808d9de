//! Every way to log in that OpenBao has.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hushfs::providers::{Mint, Provider, ProviderError};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};

use super::server::{Bao, text_file, unique};
use super::{Vault, settings, values};
use crate::network::{Network, Weather};
use crate::upstream::{At, Upstream, block_on, fetch, reference};

const READS: &str = "path \"secret/data/*\" { capabilities = [\"read\"] }";

/// A secret that everybody who logs in here may read.
fn secret(bao: &Bao) -> String {
    let path = unique("login");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "value": "there" } }));
    format!("secret/{path}")
}

fn open(bao: &Bao, auth: &str) -> Box<dyn Provider> {
    let at = At { url: bao.url.clone(), ca: bao.ca.clone() };
    Vault::open(&settings(&at, auth)).unwrap_or_else(|error| panic!("{error}"))
}

fn reads(bao: &Bao, auth: &str) {
    let provider = open(bao, auth);
    let fetched = fetch(&*provider, &secret(bao)).unwrap_or_else(|error| panic!("{auth}: {error}"));
    assert!(values(&fetched)["value"] == "there");
    block_on(provider.log_in()).unwrap();
}

fn is_refused(bao: &Bao, auth: &str) -> String {
    let provider = open(bao, auth);
    let error = fetch(&*provider, &secret(bao)).err().unwrap_or_else(|| panic!("{auth}: it got in"));
    assert!(matches!(error, ProviderError::Refused(_)), "{auth}: {error}");
    assert!(matches!(block_on(provider.log_in()), Err(ProviderError::Refused(_))));
    assert!(!error.to_string().contains("wr0ng"), "a credential is in the error");
    error.to_string()
}

/// An AppRole: its mount, role id and the path that makes secret ids.
pub(super) fn approle(bao: &Bao, more: &Value) -> (String, String, String) {
    let mount = bao.mount("sys/auth", "approle", &json!(null));
    let mut role = json!({ "token_policies": [bao.policy(READS)], "token_ttl": "1h" });
    role.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    bao.write(&format!("auth/{mount}/role/app"), &role);
    let (_, id) = bao.ask("GET", &format!("auth/{mount}/role/app/role-id"), &Value::Null);
    let id = id["data"]["role_id"].as_str().unwrap().to_owned();
    (mount.clone(), id, format!("auth/{mount}/role/app/secret-id"))
}

/// Settings of an AppRole with a new secret id.
pub(super) fn approle_settings(bao: &Bao, more: &Value) -> String {
    let (mount, id, secret) = approle(bao, more);
    let made = bao.write(&secret, &json!({}));
    let file = text_file(made["data"]["secret_id"].as_str().unwrap());
    format!("approle = {{ mount = '{mount}', role_id = '{id}', secret_id_file = '{file}' }}")
}

#[test]
fn approle_by_secret_id() {
    let bao = Bao::shared();
    reads(bao, &approle_settings(bao, &json!({})));
    let (mount, id, _) = approle(bao, &json!({}));
    let (id, wrong) = (text_file(&id), text_file("wr0ng"));
    let auth =
        format!("approle = {{ mount = '{mount}', role_id_file = '{id}', secret_id_file = '{wrong}' }}");
    is_refused(bao, &auth);
}

#[test]
fn approle_without_a_secret_id() {
    let bao = Bao::shared();
    let (mount, id, _) =
        approle(bao, &json!({ "bind_secret_id": false, "token_bound_cidrs": ["127.0.0.0/8"] }));
    reads(bao, &format!("approle = {{ mount = '{mount}', role_id = '{id}' }}"));
}

#[test]
fn approle_by_a_wrapped_secret_id_which_is_unwrapped_once() {
    let bao = Bao::shared();
    let (mount, id, secret_id) = approle(bao, &json!({ "token_ttl": "2s", "token_max_ttl": "2s" }));
    let file = text_file(&bao.wrapped(&secret_id));
    let auth =
        format!("approle = {{ mount = '{mount}', role_id = '{id}', wrapped_secret_id_file = '{file}' }}");
    let (provider, path) = (open(bao, &auth), secret(bao));
    fetch(&*provider, &path).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    fetch(&*provider, &path).expect("a later login has the secret id still");
    let told = is_refused(bao, &auth);
    assert!(told.contains("used before"), "{told}");
    // Another, in the same file.
    std::fs::write(&file, bao.wrapped(&secret_id)).unwrap();
    reads(bao, &auth);
}

#[test]
fn a_login_in_a_namespace_with_a_wrapped_secret_id() {
    let bao = Bao::shared();
    let name = unique("namespace");
    bao.write(&format!("sys/namespaces/{name}"), &json!({}));
    bao.write_in(&name, "sys/mounts/kv", &json!({ "type": "kv", "options": { "version": "2" } }));
    bao.write_in(&name, "kv/data/a", &json!({ "data": { "value": "there" } }));
    let rules = json!({ "policy": "path \"kv/data/*\" { capabilities = [\"read\"] }" });
    bao.write_in(&name, "sys/policies/acl/reads", &rules);
    bao.write_in(&name, "sys/auth/approle", &json!({ "type": "approle" }));
    bao.write_in(&name, "auth/approle/role/app", &json!({ "token_policies": ["reads"] }));
    let (_, id) = bao.ask_in(&name, "GET", "auth/approle/role/app/role-id", &Value::Null);
    let id = id["data"]["role_id"].as_str().unwrap();
    let file = text_file(&bao.wrapped_in(&name, "auth/approle/role/app/secret-id"));
    let auth =
        format!("namespace = '{name}'\napprole = {{ role_id = '{id}', wrapped_secret_id_file = '{file}' }}");
    let fetched = fetch(&*open(bao, &auth), "kv/a").unwrap_or_else(|error| panic!("{error}"));
    assert!(values(&fetched)["value"] == "there");
}

#[test]
fn what_was_wrapped_elsewhere_is_not_taken_for_a_secret_id() {
    let bao = Bao::shared();
    let (mount, id, _) = approle(bao, &json!({}));
    let file = text_file(&bao.wrapped("auth/token/create"));
    let auth =
        format!("approle = {{ mount = '{mount}', role_id = '{id}', wrapped_secret_id_file = '{file}' }}");
    let told = is_refused(bao, &auth);
    assert!(told.contains("not made at"), "{told}");
}

#[test]
fn userpass() {
    let bao = Bao::shared();
    let mount = bao.mount("sys/auth", "userpass", &json!(null));
    let user = json!({ "password": "pass \"word\"", "token_policies": [bao.policy(READS)] });
    bao.write(&format!("auth/{mount}/users/hush"), &user);
    let auth = |password: &str| {
        let file = text_file(password);
        format!("userpass = {{ mount = '{mount}', username = 'hush', password_file = '{file}' }}")
    };
    reads(bao, &auth("pass \"word\"\n"));
    let told = is_refused(bao, &auth("wr0ng"));
    assert!(told.contains(&bao.url) && told.contains("compare `username` and /"), "{told}");
}

#[test]
fn who_is_locked_out_is_told_how_to_get_in_again() {
    let bao = Bao::shared();
    let mount = bao.mount("sys/auth", "userpass", &json!(null));
    bao.write(&format!("auth/{mount}/users/hush"), &json!({ "password": "good" }));
    for _ in 0..6 {
        bao.ask("POST", &format!("auth/{mount}/login/hush"), &json!({ "password": "wr0ng" }));
    }
    let file = text_file("good");
    let auth = format!("userpass = {{ mount = '{mount}', username = 'hush', password_file = '{file}' }}");
    let told = is_refused(bao, &auth);
    assert!(told.contains("sys/locked-users") && told.contains(&format!("`touch {file}`")), "{told}");
}

/// A token with these claims, signed with `key`.
fn jwt(key: &KeyPair, claims: &Value) -> String {
    jwt_of("EdDSA", key, claims)
}

/// The same, which says that it is signed in another way: whoever lets another server check it does not.
fn jwt_of(algorithm: &str, key: &KeyPair, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&json!({ "alg": algorithm, "typ": "JWT" })), part(claims));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes()).unwrap()))
}

fn in_seconds(seconds: u64) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() + seconds
}

#[test]
fn jwt_by_a_token_that_is_read_anew_for_each_login() {
    let bao = Bao::shared();
    let mount = bao.mount("sys/auth", "jwt", &json!(null));
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    // Without the line breaks that `public_key_pem` might have in another way.
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(rcgen::PublicKeyData::subject_public_key_info(&key))
    );
    let config = json!({ "jwt_validation_pubkeys": [pem], "jwt_supported_algs": ["EdDSA"] });
    bao.write(&format!("auth/{mount}/config"), &config);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["hushfs"],
        "token_policies": [bao.policy(READS)], "token_ttl": "2s", "token_max_ttl": "2s"
    });
    bao.write(&format!("auth/{mount}/role/app"), &role);
    let claims =
        |sub: &str| json!({ "sub": sub, "aud": "hushfs", "exp": in_seconds(300), "iat": in_seconds(0) });
    let file = text_file(&jwt(&key, &claims("one")));
    let auth = format!("jwt = {{ mount = '{mount}', role = 'app', token_file = '{file}' }}");
    let (provider, path) = (open(bao, &auth), secret(bao));
    fetch(&*provider, &path).unwrap();
    // Another key's is refused, and the right one taken at once when it is there.
    let stranger = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    std::fs::write(&file, jwt(&stranger, &claims("two"))).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    let error = fetch(&*provider, &path).err().unwrap();
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    std::fs::write(&file, jwt(&key, &claims("three, of another length"))).unwrap();
    fetch(&*provider, &path).unwrap();
}

#[test]
fn kubernetes_by_the_token_of_a_service_account() {
    let bao = Bao::shared();
    let user = json!({ "username": "system:serviceaccount:default:app", "uid": "u-1", "groups": ["system:serviceaccounts"] });
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "status": { "authenticated": true, "user": user, "audiences": ["https://kubernetes.default.svc"] }
    });
    let cluster = Network::of_its_own(Weather::Answers(201, "", review.to_string()));
    let mount = bao.mount("sys/auth", "kubernetes", &json!(null));
    let config = json!({
        "kubernetes_host": cluster.at().url, "token_reviewer_jwt": "a.b.c", "disable_local_ca_jwt": true,
        "kubernetes_ca_cert": std::fs::read_to_string(&crate::tls::Authority::ours().file).unwrap()
    });
    bao.write(&format!("auth/{mount}/config"), &config);
    let role = json!({
        "bound_service_account_names": ["app"], "bound_service_account_namespaces": ["default"],
        "token_policies": [bao.policy(READS)]
    });
    bao.write(&format!("auth/{mount}/role/app"), &role);
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let claims = |name: &str| {
        json!({
            "iss": "https://kubernetes.default.svc", "sub": format!("system:serviceaccount:default:{name}"),
            "aud": ["https://kubernetes.default.svc"], "exp": in_seconds(600), "iat": in_seconds(0),
            "kubernetes.io": { "namespace": "default", "serviceaccount": { "name": name, "uid": "u-1" } }
        })
    };
    let auth = |name: &str| {
        let file = text_file(&jwt_of("ES256", &key, &claims(name)));
        format!("kubernetes = {{ mount = '{mount}', role = 'app', token_file = '{file}' }}")
    };
    reads(bao, &auth("app"));
    is_refused(bao, &auth("other"));
}

#[test]
fn cert_by_the_certificate_of_the_connection() {
    let bao = Bao::secure();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["app.example".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "app.example");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&key).unwrap();
    let mount = bao.mount("sys/auth", "cert", &json!(null));
    let role = json!({ "certificate": certificate.pem(), "token_policies": [bao.policy(READS)] });
    bao.write(&format!("auth/{mount}/certs/app"), &role);
    let files = |pem: &str, key: &KeyPair| {
        format!(
            "client_certificate = '{}'\nclient_key = '{}'\ncert = {{ mount = '{mount}', role = 'app' }}",
            text_file(pem),
            text_file(&key.serialize_pem())
        )
    };
    reads(bao, &files(&certificate.pem(), &key));
    let other = KeyPair::generate().unwrap();
    let stranger = CertificateParams::new(["app.example".to_owned()]).unwrap().self_signed(&other).unwrap();
    is_refused(bao, &files(&stranger.pem(), &other));
    // A key of another certificate is a mistake in the settings.
    let error = fetch(&*open(bao, &files(&certificate.pem(), &other)), "secret/a").err().unwrap();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
}

#[test]
fn where_nobody_can_log_in_the_settings_are_wrong() {
    let bao = Bao::shared();
    let file = text_file("x");
    let auth = format!("userpass = {{ mount = 'nowhere', username = 'u', password_file = '{file}' }}");
    let error = fetch(&*open(bao, &auth), "secret/a").err().unwrap();
    assert!(matches!(error, ProviderError::Misconfigured(_) | ProviderError::Refused(_)), "{error}");
}

#[test]
fn thirty_two_fetches_log_in_once() {
    let bao = Bao::shared();
    let network = Network::plain(bao.address, Weather::Fine);
    let provider: std::sync::Arc<dyn Provider> =
        Vault::open(&settings(&network.at(), &approle_settings(bao, &json!({})))).unwrap().into();
    let asked = reference(&secret(bao), None);
    block_on(async {
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (provider, asked) = (std::sync::Arc::clone(&provider), asked.clone());
                tokio::spawn(async move { provider.fetch(&asked, Mint::Allowed).await.map(|_| ()) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    assert_eq!(network.requests_of("/login HTTP"), 1);
}

#[test]
fn a_login_that_is_refused_is_not_repeated_at_once() {
    let bao = Bao::shared();
    let network = Network::plain(bao.address, Weather::Fine);
    let (mount, id, secret_id) = approle(bao, &json!({}));
    let file = text_file("wr0ng");
    let auth = format!("approle = {{ mount = '{mount}', role_id = '{id}', secret_id_file = '{file}' }}");
    let provider = Vault::open(&settings(&network.at(), &auth)).unwrap();
    let path = secret(bao);
    for _ in 0..8 {
        let error = fetch(&*provider, &path).err().unwrap();
        assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    }
    assert_eq!(network.requests_of("/login HTTP"), 1);
    // With another credential it is, at once.
    let made = bao.write(&secret_id, &json!({}));
    std::fs::write(&file, made["data"]["secret_id"].as_str().unwrap()).unwrap();
    fetch(&*provider, &path).unwrap();
}
