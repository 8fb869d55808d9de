//! What is made for us alone: made for reads only, renewed, revoked, and over with the login that it hangs on.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hushfs::fetcher::{Link, ProviderSettings};
use hushfs::providers::{Fetched, Lease, LoginState, Mint, Provider, ProviderError};
use serde_json::{Value, json};

use super::database::{engine, psql};
use super::logins::approle;
use super::secrets::provider;
use super::server::{Bao, text_file, unique};
use super::{Vault, settings, values};
use crate::upstream::{At, Upstream, block_on, fetch, reference};

/// A role of the database that may be lent for so long.
pub(super) fn role(bao: &Bao, database: &str, name: &str, ttl: &str, max_ttl: &str) {
    let create = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';";
    let role =
        json!({ "db_name": "pg", "creation_statements": [create], "default_ttl": ttl, "max_ttl": max_ttl });
    bao.write(&format!("{database}/roles/{name}"), &role);
}

/// What a policy must hold to be lent logins, and to end them.
pub(super) fn lends(database: &str) -> String {
    format!(
        "path \"{database}/creds/*\" {{ capabilities = [\"read\"] }} path \"sys/leases/revoke\" {{ capabilities = [\"update\"] }}"
    )
}

fn user(fetched: &Fetched) -> String {
    values(fetched)["username"].as_str().unwrap().to_owned()
}

pub(super) fn exists(user: &str) -> bool {
    psql(&format!("SELECT count(*) FROM pg_roles WHERE rolname = '{user}'"), "postgres") == "1"
}

/// Whether the database has forgotten the login, in a while that is long for a busy machine.
pub(super) fn is_dropped(user: &str) -> bool {
    let since = Instant::now();
    while exists(user) {
        if since.elapsed() > Duration::from_secs(20) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    true
}

fn lease(fetched: &Fetched) -> Lease {
    fetched.lease.clone().expect("a lease")
}

/// Settings with an AppRole that has these rights and a token of an hour; answers where the role is mounted, too.
fn approle_with(bao: &Bao, rules: &str) -> (String, String) {
    let (mount, id, secret) = approle(bao, &json!({ "token_policies": [bao.policy(rules)] }));
    let made = bao.write(&secret, &json!({}));
    let file = text_file(made["data"]["secret_id"].as_str().unwrap());
    let auth = format!("approle = {{ mount = '{mount}', role_id = '{id}', secret_id_file = '{file}' }}");
    (settings(&At { url: bao.url.clone(), ca: None }, &auth), mount)
}

#[test]
fn a_lease_is_renewed_until_the_server_caps_it_and_a_revoked_one_takes_the_login_with_it() {
    let bao = Bao::shared();
    let database = engine(bao);
    role(bao, &database, "short", "40s", "45s");
    let provider = provider(bao, &lends(&database), "");
    let fetched = fetch(&*provider, &format!("{database}/creds/short")).unwrap();
    let first = lease(&fetched);
    assert_eq!((first.lasts.as_secs(), first.term.as_secs(), first.renewable), (40, 40, true));
    let at_once = block_on(provider.renew(&first)).unwrap();
    assert!((38..=40).contains(&at_once.lasts.as_secs()), "{at_once:?}");
    std::thread::sleep(Duration::from_secs(8));
    let capped = block_on(provider.renew(&at_once)).unwrap();
    assert!(capped.lasts.as_secs() <= 37 && capped.term == first.term, "{capped:?}");
    assert_eq!((&capped.handle, capped.under), (&first.handle, first.under), "it is the same lease");
    let user = user(&fetched);
    assert!(exists(&user));
    block_on(provider.revoke(&first.handle)).unwrap();
    assert!(!exists(&user), "once it is said to be revoked, it is");
    let error = block_on(provider.renew(&first)).unwrap_err();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
}

#[test]
fn what_cannot_be_renewed_and_who_may_not_revoke_is_told() {
    let bao = Bao::shared();
    let database = engine(bao);
    let rules = format!("path \"{database}/creds/*\" {{ capabilities = [\"read\"] }}");
    let provider = provider(bao, &rules, "");
    let fetched = fetch(&*provider, &format!("{database}/creds/app")).unwrap();
    let error = block_on(provider.revoke(&lease(&fetched).handle)).unwrap_err();
    let wanted = "path \"sys/leases/revoke\" { capabilities = [\"update\"] }";
    assert!(matches!(&error, ProviderError::Refused(message) if message.contains(wanted)), "{error}");
    assert!(exists(&user(&fetched)));
    let none = Lease { handle: format!("{database}/creds/app/nothing-of-that-name"), ..lease(&fetched) };
    assert!(matches!(block_on(provider.renew(&none)), Err(ProviderError::NotFound(_))));
    let certificate = Lease { handle: "0a:0b".into(), ..lease(&fetched) };
    assert!(matches!(block_on(provider.renew(&certificate)), Err(ProviderError::Misconfigured(_))));
    assert!(matches!(block_on(provider.revoke("0a:0b")), Err(ProviderError::Misconfigured(_))));
}

#[test]
fn a_lease_that_lasts_and_is_not_renewable_is_not_taken_for_one_that_is_over() {
    let bao = Bao::shared();
    let ssh = bao.mount("sys/mounts", "ssh", &json!({}));
    let role = json!({ "key_type": "otp", "default_user": "ubuntu", "cidr_list": "10.0.0.0/8" });
    bao.write(&format!("{ssh}/roles/otp"), &role);
    let rules = format!("path \"{ssh}/creds/*\" {{ capabilities = [\"update\"] }}");
    let provider = provider(bao, &rules, &format!("[params.\"{ssh}/creds/otp\"]\nip = '10.1.2.3'"));
    let fetched = fetch(&*provider, &format!("{ssh}/creds/otp")).unwrap();
    let error = block_on(provider.renew(&lease(&fetched))).unwrap_err();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
}

#[test]
fn what_cannot_be_ended_at_once_is_left_to_the_server() {
    let bao = Bao::shared();
    let database = engine(bao);
    let create = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}'";
    let fails = "SELECT * FROM there_is_no_such_table";
    let role = json!({ "db_name": "pg", "creation_statements": [create], "revocation_statements": [fails] });
    bao.write(&format!("{database}/roles/stuck"), &role);
    let provider = provider(bao, &lends(&database), "");
    let fetched = fetch(&*provider, &format!("{database}/creds/stuck")).unwrap();
    block_on(provider.revoke(&lease(&fetched).handle)).unwrap();
    assert!(exists(&user(&fetched)), "the database was not to end it");
    // It is the server's to try again: to it the lease has ended.
    let asked = json!({ "lease_id": lease(&fetched).handle });
    let (_, known) = bao.ask("POST", "sys/leases/lookup", &asked);
    assert_eq!(known["data"]["ttl"], 0, "{known}");
}

#[test]
fn a_token_that_was_made_is_revoked_by_its_accessor() {
    let bao = Bao::shared();
    let rules = "path \"auth/token/create\" { capabilities = [\"update\"] } path \"auth/token/revoke-accessor\" { capabilities = [\"update\"] }";
    let provider = provider(bao, rules, "[params.\"auth/token/create\"]\nttl = '10m'");
    let fetched = fetch(&*provider, "auth/token/create").unwrap();
    let token = json!({ "token": values(&fetched)["client_token"] });
    assert_eq!(bao.ask("POST", "auth/token/lookup", &token).0, 200);
    let handle = lease(&fetched).handle;
    block_on(provider.revoke(&handle)).unwrap();
    assert_ne!(bao.ask("POST", "auth/token/lookup", &token).0, 200);
    // The server says of one that is over that it is done.
    block_on(provider.revoke(&handle)).unwrap();
}

#[test]
fn with_a_revoked_token_all_leases_are_over_that_were_made_with_it_and_no_others() {
    let bao = Bao::shared();
    let database = engine(bao);
    let (settings, mount) = approle_with(bao, &lends(&database));
    let provider = Vault::open(&settings).unwrap();
    let told = provider.ended_logins().expect("it tells of logins that end");
    let path = format!("{database}/creds/app");
    let before = fetch(&*provider, &path).unwrap();
    let old = lease(&before).under.expect("it hangs on a login");
    assert!(*told.borrow() <= old, "nothing has ended");
    bao.write(&format!("sys/leases/revoke-prefix/auth/{mount}"), &json!({}));
    assert!(is_dropped(&user(&before)), "the server ends what was lent to a token with the token");
    let error = block_on(provider.renew(&lease(&before))).unwrap_err();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    assert!(*told.borrow() > old, "that login is over");
    let after = fetch(&*provider, &path).unwrap();
    assert!(*told.borrow() <= lease(&after).under.unwrap(), "the next one is not");
    assert!(exists(&user(&after)));
}

#[test]
fn a_token_file_that_was_only_touched_ends_nothing() {
    let bao = Bao::shared();
    let database = engine(bao);
    let file = text_file(&bao.token(&bao.policy(&lends(&database)), &json!({ "ttl": "1h" })));
    let at = At { url: bao.url.clone(), ca: None };
    let provider = Vault::open(&settings(&at, &format!("token_file = '{file}'"))).unwrap();
    let told = provider.ended_logins().unwrap();
    let path = format!("{database}/creds/app");
    let first = lease(&fetch(&*provider, &path).unwrap()).under.unwrap();
    assert!(Command::new("touch").arg(&file).status().unwrap().success());
    assert_eq!(lease(&fetch(&*provider, &path).unwrap()).under, Some(first));
    assert!(*told.borrow() <= first);
    std::fs::write(&file, bao.token(&bao.policy(&lends(&database)), &json!({ "ttl": "1h" }))).unwrap();
    assert!(lease(&fetch(&*provider, &path).unwrap()).under > Some(first));
    assert!(*told.borrow() > first, "nobody renews the token that is no longer in the file");
}

#[test]
fn what_must_not_mint_asks_no_engine_that_makes_credentials() {
    let bao = Bao::shared();
    let database = engine(bao);
    let path = unique("stored");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "a": "b" } }));
    // The names of its logins begin with what the engine is called by.
    role(bao, &database, "never", "30m", "1h");
    let fixed = database.replace('-', "_") + "_never";
    psql(&format!("CREATE ROLE \"{fixed}\" WITH LOGIN"), "postgres");
    let role = json!({ "db_name": "pg", "username": fixed, "rotation_period": "1h" });
    bao.write(&format!("{database}/static-roles/fixed"), &role);
    let rules = format!(
        "{} path \"{database}/static-creds/*\" {{ capabilities = [\"read\"] }} path \"secret/data/*\" {{ capabilities = [\"read\"] }} path \"auth/token/create\" {{ capabilities = [\"update\"] }}",
        lends(&database)
    );
    let provider = provider(bao, &rules, "params = { 'auth/token/create' = {} }");
    let ask = |path: &str, mint| block_on(provider.fetch(&reference(path, None), mint));
    for path in [format!("{database}/creds/never"), "auth/token/create".into()] {
        let error = ask(&path, Mint::Never).err().expect("it was fetched");
        assert!(matches!(&error, ProviderError::WouldMint(message) if message.contains(&path)), "{error}");
    }
    let made = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'v-%-never-%'";
    assert_eq!(psql(made, "postgres"), "0");
    for path in [format!("secret/{path}"), format!("{database}/static-creds/fixed")] {
        ask(&path, Mint::Never).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    ask(&format!("{database}/creds/never"), Mint::Allowed).unwrap();
    assert_eq!(psql(made, "postgres"), "1");
}

#[test]
fn two_hundred_fetches_at_once_are_one_login_in_the_records_of_the_server() {
    let (bao, log) = Bao::audited();
    let path = unique("many");
    bao.write(&format!("secret/data/{path}"), &json!({ "data": { "value": "there" } }));
    let (settings, mount) = approle_with(&bao, "path \"secret/data/*\" { capabilities = [\"read\"] }");
    let settings = settings.replace("timeout = '2s'", "timeout = '20s'");
    let provider: Arc<dyn Provider> = Vault::open(&settings).unwrap().into();
    assert_eq!(block_on(provider.login_state()), LoginState::LoggedOut);
    let asked = reference(&format!("secret/{path}"), None);
    block_on(async {
        let one = || {
            let (provider, asked) = (Arc::clone(&provider), asked.clone());
            tokio::spawn(async move { provider.fetch(&asked, Mint::Allowed).await.map(|_| ()) })
        };
        let all: Vec<_> = (0..200).map(|_| one()).collect();
        for task in all {
            task.await.unwrap().unwrap();
        }
    });
    let records = std::fs::read_to_string(log).unwrap();
    let requests = |path: &str, operation: &str| {
        let of = |line: &&str| {
            let record: Value = serde_json::from_str(line).unwrap();
            let request = &record["request"];
            record["type"] == "request" && request["path"] == path && request["operation"] == operation
        };
        records.lines().filter(of).count()
    };
    assert_eq!(requests(&format!("auth/{mount}/login"), "update"), 1);
    assert_eq!(requests(&format!("secret/data/{path}"), "read"), 200, "the provider keeps nothing");
    let LoginState::LoggedIn { until: Some(until) } = block_on(provider.login_state()) else {
        panic!("it says no end of its login");
    };
    let left = until.duration_since(std::time::SystemTime::now()).unwrap().as_secs();
    assert!((3000..=3600).contains(&left), "{left}");
}

fn of(name: &str, settings: &str) -> ProviderSettings {
    let (table, base) = (settings.parse().unwrap(), Path::new("/").to_owned());
    ProviderSettings { name: name.to_owned(), kind: "vault", table, base }
}

/// A fetcher with this provider as `p`, and how it is called among the processes.
fn link(settings: &str) -> (Link, String) {
    let name = unique("hushfs-of-a-test-");
    let called = name.clone();
    let start = move |_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
        command.arg0(&called).arg("fetcher");
        command
    };
    (Link::start(start, &[of("p", settings)]).unwrap(), name)
}

#[test]
fn a_login_stays_when_others_are_configured_anew_and_ends_when_its_own_provider_is() {
    let bao = Bao::shared();
    let database = engine(bao);
    let (settings, _) = approle_with(bao, &lends(&database));
    let path = reference(&format!("{database}/creds/app"), None);
    block_on(async {
        let (link, _) = link(&settings);
        let first = lease(&link.fetch(&path, Mint::Allowed).await.unwrap());
        let beside = [of("p", &settings), of("q", &settings)];
        link.configure(&beside).await.unwrap();
        let second = lease(&link.fetch(&path, Mint::Allowed).await.unwrap());
        assert_eq!(first.under, second.under, "it logged in again");
        assert!(!link.ended().borrow().has("p", &first));
        link.configure(&[of("p", &settings.replace("timeout = '2s'", "timeout = '3s'"))]).await.unwrap();
        let third = lease(&link.fetch(&path, Mint::Allowed).await.unwrap());
        let ended = link.ended().borrow().clone();
        assert!(ended.has("p", &first) && ended.has("p", &second) && !ended.has("p", &third));
        link.close().await;
    });
}

#[test]
fn what_was_made_for_somebody_who_gave_up_is_revoked() {
    let bao = Bao::shared();
    let database = engine(bao);
    let table = database.replace('-', "_") + "_made";
    psql(&format!("CREATE TABLE {table} (name text)"), "postgres");
    let create = format!(
        "CREATE ROLE \"{{{{name}}}}\" WITH LOGIN PASSWORD '{{{{password}}}}'; INSERT INTO {table} VALUES ('{{{{name}}}}'); SELECT pg_sleep(1);"
    );
    let role = json!({ "db_name": "pg", "creation_statements": [create] });
    bao.write(&format!("{database}/roles/slow"), &role);
    let (settings, _) = approle_with(bao, &lends(&database));
    block_on(async {
        let (link, _) = link(&settings.replace("timeout = '2s'", "timeout = '20s'"));
        link.log_in("p").await.unwrap();
        let path = reference(&format!("{database}/creds/slow"), None);
        let asked = tokio::time::timeout(Duration::from_millis(300), link.fetch(&path, Mint::Allowed)).await;
        assert!(asked.is_err(), "it was quicker than the database");
        let since = Instant::now();
        let made = loop {
            let made = psql(&format!("SELECT name FROM {table}"), "postgres");
            if !made.is_empty() {
                break made;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "none was made");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(is_dropped(&made), "it is nobody's, and lasts");
        link.close().await;
    });
}

#[test]
fn leases_are_over_with_the_process_that_held_the_login_and_revocations_are_done_before_it_ends() {
    let bao = Bao::shared();
    let database = engine(bao);
    let (settings, _) = approle_with(bao, &lends(&database));
    block_on(async {
        let (link, name) = link(&settings);
        assert_eq!(link.login_state("p").await, Ok(LoginState::LoggedOut));
        let path = reference(&format!("{database}/creds/app"), None);
        let error = link.fetch(&path, Mint::Never).await.err().expect("it was fetched");
        assert!(matches!(error, ProviderError::WouldMint(_)), "{error}");
        let before = link.fetch(&path, Mint::Allowed).await.unwrap();
        assert!(matches!(link.login_state("p").await, Ok(LoginState::LoggedIn { until: Some(_) })));
        let renewed = link.renew("p", &lease(&before)).await.unwrap();
        let mut ended = link.ended();
        assert!(!ended.borrow_and_update().has("p", &renewed));

        let parent = std::process::id().to_string();
        let found = Command::new("pgrep").args(["-P", &parent, "-f", &format!("^{name} fetcher")]).output();
        let pid = String::from_utf8(found.unwrap().stdout).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success(), "{pid}");
        let told = tokio::time::timeout(Duration::from_secs(20), ended.changed()).await;
        told.expect("nobody tells that it died").unwrap();
        assert!(ended.borrow().has("p", &renewed));
        let after = link.fetch(&path, Mint::Allowed).await.unwrap();
        assert!(!ended.borrow().has("p", &lease(&after)));

        // The new login may end what hung on the old one. Nobody waits for the answer but `close`.
        for fetched in [&before, &after] {
            let handle = lease(fetched).handle;
            let given_up = tokio::time::timeout(Duration::ZERO, link.revoke("p", &handle)).await;
            assert!(given_up.is_err(), "it was asked, and no more");
        }
        link.close().await;
        assert!(is_dropped(&user(&before)) && is_dropped(&user(&after)));
    });
}
