//! Several servers, and servers that cannot serve.

use std::time::{Duration, Instant};

use hushfs::providers::{Provider, ProviderError};
use rcgen::{BasicConstraints, IsCa};
use serde_json::json;

use super::server::{Bao, text_file, unique};
use super::{Vault, settings};
use crate::network::{Network, Weather};
use crate::process::free_port;
use crate::tls::Certificate;
use crate::upstream::{At, Upstream, block_on, fetch};

/// A provider of servers at these addresses, and the path of a secret that it can read.
fn provider(bao: &Bao, addresses: &[&str]) -> (Box<dyn Provider>, String) {
    let (settings, path) = provider_settings(bao, addresses);
    (Vault::open(&settings).unwrap(), path)
}

fn provider_settings(bao: &Bao, addresses: &[&str]) -> (String, String) {
    let path = unique("servers");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "value": "there" } }));
    let token = bao.token(&bao.policy("path \"secret/data/*\" { capabilities = [\"read\"] }"), &json!({}));
    let settings = format!(
        "addresses = {addresses:?}\ntimeout = '2s'\nconnect_timeout = '1s'\ntoken_file = '{}'",
        text_file(&token)
    );
    (settings, format!("secret/{path}"))
}

fn told(provider: &dyn Provider, path: &str) -> String {
    let error = fetch(provider, path).err().unwrap_or_else(|| panic!("it was fetched"));
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    error.to_string()
}

#[test]
fn the_next_address_serves_where_the_first_does_not() {
    let bao = Bao::shared();
    let nobody = format!("http://{}", free_port());
    for weather in [Weather::Closes, Weather::Hangs, Weather::Answers(503, "", String::new())] {
        let ill = Network::of_its_own(weather.clone());
        let (provider, path) = provider(bao, &[&ill.at().url, &nobody, &bao.url]);
        fetch(&*provider, &path).unwrap_or_else(|error| panic!("{weather:?}: {error}"));
        let before = ill.requests();
        let since = Instant::now();
        fetch(&*provider, &path).unwrap();
        assert_eq!(ill.requests(), before, "{weather:?}: who answered last is asked first");
        assert!(since.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn when_no_address_serves_each_is_told() {
    let bao = Bao::shared();
    let (one, two) = (format!("http://{}", free_port()), format!("http://{}", free_port()));
    let (provider, path) = provider(bao, &[&one, &two]);
    let told = told(&*provider, &path);
    assert!(told.contains(&one) && told.contains(&two) && told.contains("refused"), "{told}");
}

#[test]
fn what_speaks_something_else_is_told_apart_from_wrong_credentials() {
    let told = |bao: &Bao, url: String, auth: &str| {
        let provider = Vault::open(&settings(&At { url, ca: bao.ca.clone() }, auth)).unwrap();
        let error = fetch(&*provider, "secret/a").err().unwrap();
        assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
        error.to_string()
    };
    let file = text_file("x");
    let token = format!("token_file = '{file}'");
    let userpass = format!("userpass = {{ username = 'u', password_file = '{file}' }}");
    let (plain, secure) = (Bao::shared(), Bao::secure());
    for auth in [&token, &userpass] {
        let http = told(secure, format!("http://{}", secure.address), auth);
        assert!(http.contains("does not speak Vault's API (HTTP 400): is it `https://`?"), "{http}");
        let https = told(plain, format!("https://{}", plain.address), auth);
        assert!(https.contains("does not speak TLS at this port: is it `http://`?"), "{https}");
    }
    let other = Network::secure(plain.address, Certificate::Good);
    let http = told(plain, other.at().url.replace("https", "http"), &token);
    assert!(http.contains("does not speak HTTP: is it `https://`?"), "{http}");
    let authority = Bao::self_signed(IsCa::Ca(BasicConstraints::Unconstrained));
    let told = told(&authority, format!("https://{}", authority.address), &token);
    assert!(told.contains("that of an authority (self-signed with `CA:TRUE`)"), "{told}");
    let remedy = Bao::self_signed(IsCa::ExplicitNoCa);
    let at = At { url: format!("https://{}", remedy.address), ca: remedy.ca.clone() };
    let error = fetch(&*Vault::open(&settings(&at, &token)).unwrap(), "secret/a").err().unwrap();
    assert!(error.to_string().contains("not initialised"), "{error}");
}

#[test]
fn a_sealed_server_says_so_and_serves_again_when_it_is_open() {
    let (bao, key) = Bao::own();
    let (provider, path) = provider(&bao, &[&bao.url]);
    fetch(&*provider, &path).unwrap();
    bao.write("sys/seal", &json!({}));
    let told = told(&*provider, &path);
    assert!(told.contains("sealed"), "{told}");
    assert!(told.contains("unseal"), "{told}");
    bao.write("sys/unseal", &key);
    let since = Instant::now();
    while let Err(error) = fetch(&*provider, &path) {
        assert!(since.elapsed() < Duration::from_secs(20), "{error}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_that_was_never_initialised_says_so() {
    let bao = Bao::new("bao-new");
    let at = At { url: bao.url.clone(), ca: None };
    let provider = Vault::open(&settings(&at, &format!("token_file = '{}'", text_file("s.x")))).unwrap();
    let told = told(&*provider, "secret/a");
    assert!(told.contains("not initialised"), "{told}");
}

#[test]
fn what_a_server_says_of_its_health_is_told_apart() {
    let bao = Bao::shared();
    for (health, wanted) in
        [(429, "standby"), (472, "disaster recovery"), (501, "not initialised"), (503, "sealed")]
    {
        let ill = Network::of_its_own(Weather::Sick(health));
        let (provider, path) = provider(bao, &[&ill.at().url]);
        let told = told(&*provider, &path);
        assert!(told.contains(wanted), "{health}: {told}");
    }
}

#[test]
fn a_standby_that_sends_to_another_of_the_addresses_is_followed() {
    let bao = Bao::shared();
    let to: &'static str = format!("Location: {}/v1/elsewhere\r\n", bao.url).leak();
    let standby = Network::of_its_own(Weather::Answers(307, to, String::new()));
    let (provider, path) = provider(bao, &[&standby.at().url, &bao.url]);
    fetch(&*provider, &path).unwrap();
    let before = standby.requests();
    fetch(&*provider, &path).unwrap();
    assert_eq!(standby.requests(), before, "from then on the active one is asked");
}

#[test]
fn a_standby_that_sends_to_a_stranger_is_told_by_where_it_sends() {
    let bao = Bao::shared();
    let standby =
        Network::of_its_own(Weather::Answers(307, "Location: http://127.0.0.9:1/x\r\n", String::new()));
    let (provider, path) = provider(bao, &[&standby.at().url]);
    let error = fetch(&*provider, &path).err().unwrap();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("http://127.0.0.9:1")), "{error}");
}

#[test]
fn a_name_on_the_certificate_can_be_expected_that_is_not_in_the_address() {
    let bao = Bao::shared();
    let network = Network::secure(bao.address, crate::tls::Certificate::OfAnotherName);
    let token = bao.token(&bao.policy("path \"secret/data/*\" { capabilities = [\"read\"] }"), &json!({}));
    let open = |name: &str| {
        let auth = format!("token_file = '{}'\nserver_name = '{name}'", text_file(&token));
        Vault::open(&settings(&network.at(), &auth)).unwrap()
    };
    block_on(open("elsewhere.example").log_in()).unwrap();
    let error = block_on(open("localhost.example").log_in()).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn a_server_that_wants_a_certificate_of_ours_is_told_from_one_that_is_down() {
    let bao = Bao::picky();
    let at = At { url: format!("https://{}", bao.address), ca: bao.ca.clone() };
    let provider = Vault::open(&settings(&at, &format!("token_file = '{}'", text_file("s.x")))).unwrap();
    let error = fetch(&*provider, "secret/a").err().unwrap();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("`client_key`")), "{error}");
}

#[test]
fn an_authority_that_changes_is_read_again() {
    let bao = Bao::shared();
    let network = Network::secure(bao.address, crate::tls::Certificate::Good);
    let token = bao.token(&bao.policy("path \"secret/data/*\" { capabilities = [\"read\"] }"), &json!({}));
    let ours = std::fs::read_to_string(network.at().ca.unwrap()).unwrap();
    let other = std::fs::read_to_string(Bao::secure().ca.as_ref().unwrap()).unwrap();
    let file = text_file(&other);
    let at = At { url: network.at().url, ca: Some(file.clone().into()) };
    let provider = Vault::open(&settings(&at, &format!("token_file = '{}'", text_file(&token)))).unwrap();
    let error = block_on(provider.log_in()).unwrap_err();
    assert!(error.to_string().contains("ca_file"), "{error}");
    std::fs::write(&file, ours).unwrap();
    block_on(provider.log_in()).unwrap();
    std::fs::write(&file, "no certificate").unwrap();
    let error = block_on(provider.log_in()).unwrap_err();
    assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains(&file)), "{error}");
}

#[test]
fn times_without_measure_are_bounded() {
    let long = u64::MAX;
    let data = json!({
        "ttl": long, "renewable": true, "path": "db/", "type": "database", "expiration": long,
        "data": { "value": "x" }, "metadata": { "created_time": "2026-01-01T00:00:00Z", "version": 1 }
    });
    let body =
        json!({ "data": data, "lease_id": "db/1", "lease_duration": long, "renewable": true }).to_string();
    let server = Network::of_its_own(Weather::Answers(200, "", body));
    let at = server.at();
    let provider = Vault::open(&settings(&at, &format!("token_file = '{}'", text_file("s.x")))).unwrap();
    let fetched = fetch(&*provider, "db/creds/app").unwrap();
    assert!(fetched.lease.unwrap().lasts < Duration::from_secs(1 << 40));
    let headers = "Retry-After: 18446744073709551615\r\n";
    let server = Network::of_its_own(Weather::Answers(429, headers, String::new()));
    let provider =
        Vault::open(&settings(&server.at(), &format!("token_file = '{}'", text_file("s.x")))).unwrap();
    let error = fetch(&*provider, "db/creds/app").err().unwrap();
    let ProviderError::Unavailable { retry_after: Some(wait), .. } = error else { panic!("{error}") };
    assert!(wait <= Duration::from_secs(86_400), "{wait:?}");
}

/// What a process with a proxy in its environment is told to fetch.
const SETTINGS: &str = "HUSHFS_TEST_PROXIED_SETTINGS";
const PATH: &str = "HUSHFS_TEST_PROXIED_PATH";

/// Runs in a process of its own, for the environment is everybody's; alone it has nothing to do.
#[test]
fn in_an_environment_with_a_proxy() {
    let (Ok(settings), Ok(path)) = (std::env::var(SETTINGS), std::env::var(PATH)) else { return };
    fetch(&*Vault::open(&settings).unwrap(), &path).unwrap();
}

#[test]
fn a_proxy_of_the_environment_is_used_and_passed_by_where_it_says_so() {
    let bao = Bao::shared();
    let proxy = Network::plain(bao.address, Weather::Fine);
    let (settings, path) = provider_settings(bao, &["http://vault.invalid:8200"]);
    let succeeds = |no_proxy: &str| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "vault::servers::in_an_environment_with_a_proxy"]);
        child.env(SETTINGS, format!("allow_http = true\n{settings}")).env(PATH, &path);
        child.env("HTTP_PROXY", proxy.at().url).env("NO_PROXY", no_proxy);
        child.output().unwrap().status.success()
    };
    assert!(succeeds(""));
    let before = proxy.requests();
    assert!(before >= 3);
    assert!(!succeeds("vault.invalid"));
    assert_eq!(proxy.requests(), before);
}
