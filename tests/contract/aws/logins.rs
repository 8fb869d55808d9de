//! Where credentials come from, and what becomes of them.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hushfs::providers::{Mint, Provider, ProviderError};
use serde_json::{Value, json};

use super::admin::{ACCOUNT, Aws, Keys, REGION, unique};
use super::{READ_SECRETS, Secrets};
use crate::network::{Network, Weather};
use crate::upstream::{Upstream, bytes, fetch};

/// A secret, and the settings that all of these share.
struct Setup {
    directory: tempfile::TempDir,
    name: String,
}

impl Setup {
    fn new() -> Self {
        let name = unique("login");
        Aws::ministack().put_secret(REGION, &name, b"a value");
        Self { directory: tempfile::tempdir().unwrap(), name }
    }

    fn open(&self, more: &str) -> Box<dyn Provider> {
        let url = Aws::ministack().url();
        self.open_at(&format!("endpoint = '{url}'\nsts_endpoint = '{url}'\n{more}"))
    }

    fn open_at(&self, settings: &str) -> Box<dyn Provider> {
        let settings = format!("region = '{REGION}'\ntimeout = '2s'\n{settings}");
        Secrets::open(&settings).unwrap_or_else(|error| panic!("{error}: {settings}"))
    }

    fn reads(&self, provider: &dyn Provider) -> Result<(), ProviderError> {
        fetch(provider, &self.name).map(|fetched| assert_eq!(bytes(&fetched), b"a value"))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    fn keys(&self, keys: &Keys) -> String {
        keys.write(self.directory.path())
    }
}

fn trust(user: &Keys, condition: &Value) -> Value {
    let principal = format!("arn:aws:iam::{ACCOUNT}:user/{}", user.user);
    json!({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", "Condition": condition})
}

fn refused(error: Result<(), ProviderError>) -> String {
    match error {
        Err(ProviderError::Refused(text)) => text,
        other => panic!("it is not refused: {other:?}"),
    }
}

#[test]
fn a_role_is_assumed_with_its_external_id_and_not_without() {
    let (aws, setup) = (Aws::ministack(), Setup::new());
    let user = aws.user(&["sts:AssumeRole"]);
    let role = aws.role(READ_SECRETS, &trust(&user, &json!({"StringEquals": {"sts:ExternalId": "ours"}})));
    let keys = format!("credentials_file = '{}'\nrole = '{role}'", setup.keys(&user));
    setup.reads(&*setup.open(&format!("{keys}\nexternal_id = 'ours'"))).unwrap();
    for more in ["", "external_id = 'theirs'"] {
        let told = refused(setup.reads(&*setup.open(&format!("{keys}\n{more}"))));
        assert!(
            told.contains(&role) && told.contains("external id") && told.contains("AccessDenied"),
            "{told}"
        );
    }
}

#[test]
fn several_roles_are_assumed_in_order() {
    let (aws, setup) = (Aws::ministack(), Setup::new());
    let user = aws.user(&["sts:AssumeRole"]);
    let first = aws.role(&["sts:AssumeRole"], &trust(&user, &json!({})));
    let by_first = json!({"Effect": "Allow", "Principal": {"AWS": first}, "Action": "sts:AssumeRole"});
    let second = aws.role(READ_SECRETS, &by_first);
    let roles = |all: &[&String]| {
        let all: Vec<_> = all.iter().map(|role| format!("{{ role = '{role}' }}")).collect();
        format!("credentials_file = '{}'\nroles = [{}]", setup.keys(&user), all.join(", "))
    };
    setup.reads(&*setup.open(&roles(&[&first, &second]))).unwrap();
    let told = refused(setup.reads(&*setup.open(&roles(&[&second]))));
    assert!(told.contains(&second), "{told}");
}

#[test]
fn many_fetches_log_in_once() {
    let (aws, setup) = (Aws::ministack(), Setup::new());
    let user = aws.user(&["sts:AssumeRole"]);
    let role = aws.role(READ_SECRETS, &trust(&user, &json!({})));
    let network = Network::plain(aws.address, Weather::Fine);
    let settings = format!(
        "endpoint = '{}'\nsts_endpoint = '{}'\ncredentials_file = '{}'\nrole = '{role}'",
        aws.url(),
        network.at().url,
        setup.keys(&user)
    );
    let provider: std::sync::Arc<dyn Provider> = setup.open_at(&settings).into();
    crate::upstream::block_on(async {
        let mut all = Vec::new();
        for _ in 0..16 {
            let (provider, asked) = (provider.clone(), crate::upstream::reference(&setup.name, None));
            all.push(tokio::spawn(async move { provider.fetch(&asked, Mint::Allowed).await.map(|_| ()) }));
        }
        for one in all {
            one.await.unwrap().unwrap();
        }
    });
    assert_eq!(network.requests(), 1);
}

#[test]
fn a_session_that_has_expired_is_refused_and_a_new_one_is_taken_up() {
    let (aws, setup) = (Aws::ministack(), Setup::new());
    let user = aws.user(&["sts:AssumeRole"]);
    let role = aws.role(READ_SECRETS, &trust(&user, &json!({})));
    let file = setup.file("session", &aws.session(&role, &user, 1).lines());
    let provider = setup.open(&format!("credentials_file = '{file}'"));
    std::thread::sleep(Duration::from_millis(1500));
    let told = refused(setup.reads(&*provider));
    assert!(told.contains("ExpiredToken") && told.contains(&file), "{told}");
    let fresh = aws.session(&role, &user, 900);
    std::fs::write(&file, fresh.lines()).unwrap();
    setup.reads(&*provider).unwrap();
}

#[test]
fn keys_that_were_rotated_in_their_file_are_taken_up() {
    let (aws, setup) = (Aws::ministack(), Setup::new());
    let (old, new) = (aws.user(READ_SECRETS), aws.user(READ_SECRETS));
    let file = setup.file("rotated", &old.lines());
    let provider = setup.open(&format!("credentials_file = '{file}'"));
    setup.reads(&*provider).unwrap();
    aws.call("iam", "delete_access_key", json!({"UserName": old.user, "AccessKeyId": old.id}));
    refused(setup.reads(&*provider));
    std::fs::write(&file, new.lines()).unwrap();
    setup.reads(&*provider).unwrap();
}

#[test]
fn a_role_is_assumed_anew_when_its_session_is_refused() {
    let (aws, setup) = (Aws::ministack(), Setup::new());
    let user = aws.user(&["sts:AssumeRole"]);
    let role = aws.role(READ_SECRETS, &trust(&user, &json!({})));
    // Between us and AWS is somebody who refuses one session.
    let network = Network::plain(aws.address, Weather::Fine);
    let settings = format!(
        "endpoint = '{}'\nsts_endpoint = '{}'\ncredentials_file = '{}'\nrole = '{role}'",
        network.at().url,
        aws.url(),
        setup.keys(&user)
    );
    let provider = setup.open_at(&settings);
    setup.reads(&*provider).unwrap();
    let body = "{\"__type\": \"ExpiredTokenException\", \"message\": \"\"}".to_owned();
    network.turns(Weather::Answers(400, "", body));
    let before = network.requests();
    refused(setup.reads(&*provider));
    assert_eq!(network.requests() - before, 2, "once with the old session, once with a new one");
    network.turns(Weather::Fine);
    setup.reads(&*provider).unwrap();
}

/// A token as an issuer would give it; the server looks at what it says and not at its signature.
fn token(subject: &str) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": "https://issuer.example", "aud": "sts.amazonaws.com", "sub": subject});
    format!("{}.{}.c2ln", part(json!({"alg": "RS256"})), part(claims))
}

pub(super) fn role_by_token() -> String {
    let principal = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/issuer.example");
    let condition = json!({"StringEquals": {"issuer.example:sub": "hushfs"}});
    let trust = json!({
        "Effect": "Allow", "Principal": {"Federated": principal},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition
    });
    Aws::ministack().role(READ_SECRETS, &trust)
}

pub(super) fn good_token() -> String {
    token("hushfs")
}

#[test]
fn a_token_of_another_issuer_is_read_again_when_its_file_changes() {
    let setup = Setup::new();
    let role = role_by_token();
    let file = setup.file("token", &token("somebody"));
    let provider = setup.open(&format!("web_identity = {{ role = '{role}', token_file = '{file}' }}"));
    let told = refused(setup.reads(&*provider));
    assert!(told.contains(&role) && told.contains(&file), "{told}");
    std::fs::write(&file, good_token() + "\n").unwrap();
    setup.reads(&*provider).unwrap();
    std::fs::write(&file, token("somebody")).unwrap();
    refused(setup.reads(&*provider));
    std::fs::remove_file(&file).unwrap();
    let error = setup.reads(&*provider).unwrap_err();
    assert!(matches!(error, ProviderError::Misconfigured(_)) && error.to_string().contains(&file), "{error}");
}

#[test]
fn profiles_with_keys_and_with_roles() {
    let (aws, setup) = (Aws::ministack(), Setup::new());
    let user = aws.user(&["sts:AssumeRole"]);
    let reader = aws.user(READ_SECRETS);
    let role = aws.role(READ_SECRETS, &trust(&user, &json!({"StringEquals": {"sts:ExternalId": "ours"}})));
    let config = format!(
        "[profile app]\nrole_arn = {role}\nsource_profile = base\nexternal_id = ours\n[profile runs]\ncredential_process = /bin/false\n"
    );
    let keys = format!("[base]\n{}\n[reader]\n{}", user.lines(), reader.lines());
    let files = format!(
        "config_file = '{}'\nshared_credentials_file = '{}'",
        setup.file("config", &config),
        setup.file("credentials", &keys)
    );
    let with = |profile: &str| setup.reads(&*setup.open(&format!("profile = '{profile}'\n{files}")));
    with("app").unwrap();
    with("reader").unwrap();
    let told = refused(with("base"));
    assert!(told.contains("the profile `base`"), "{told}");
    for (profile, says) in [("runs", "credential_process"), ("nobody", "no profile `nobody`")] {
        let error = with(profile).unwrap_err();
        assert!(matches!(&error, ProviderError::Misconfigured(text) if text.contains(says)), "{error}");
    }
}

/// The metadata service gives keys that only a server which checks nothing takes.
fn nearby(settings: &str) -> Result<(), ProviderError> {
    let aws = Aws::unchecked();
    let name = unique("near");
    aws.put_secret(REGION, &name, b"a value");
    let settings = format!("timeout = '2s'\nendpoint = '{}'\n{settings}", aws.url());
    fetch(&*Secrets::open(&settings).unwrap(), &name).map(|fetched| assert_eq!(bytes(&fetched), b"a value"))
}

#[test]
fn an_instance_is_asked_in_its_second_version_and_for_its_region() {
    let url = Aws::unchecked().url();
    nearby(&format!("region = '{REGION}'\nsource = 'instance'\nimds_endpoint = '{url}'")).unwrap();
    // Its region is another than that of the secret: that it is found out shows in the message.
    let told = nearby(&format!("source = 'instance'\nimds_endpoint = '{url}'")).unwrap_err().to_string();
    assert!(told.contains("us-east-1"), "{told}");
    let nobody = crate::process::free_port();
    let settings = format!("region = '{REGION}'\nsource = 'instance'\nimds_endpoint = 'http://{nobody}'");
    let error = nearby(&settings).unwrap_err();
    assert!(matches!(&error, ProviderError::Misconfigured(text) if text.contains("instance")), "{error}");
}

#[test]
fn a_container_is_told_its_credentials() {
    let url = Aws::unchecked().url();
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "a-token\n").unwrap();
    let container = |url: &str, token: &Path| {
        let token = token.display();
        nearby(&format!("region = '{REGION}'\ncontainer = {{ url = '{url}', token_file = '{token}' }}"))
    };
    container(&format!("{url}/v2/credentials/some-id"), &token).unwrap();
    let error = container(&format!("{url}/v2/credentials/some-id"), Path::new("/nowhere")).unwrap_err();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
    let error = container("http://192.0.2.1/credentials", &token).unwrap_err();
    assert!(
        matches!(error, ProviderError::Misconfigured(_)),
        "a token goes to nobody far in plain text: {error}"
    );
    for (weather, wanted) in [
        (Weather::Answers(503, "", String::new()), "unavailable"),
        (Weather::Answers(403, "", String::new()), "refused"),
        (Weather::Answers(200, "", "{}".to_owned()), "malformed"),
        (Weather::Hangs, "unavailable"),
    ] {
        let network = Network::of_its_own(weather);
        let error = container(&format!("{}/x", network.at().url), &token).unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error}");
    }
}

#[test]
fn what_still_holds_is_used_while_nobody_renews_it() {
    let directory = tempfile::tempdir().unwrap();
    let end = std::time::SystemTime::now() + Duration::from_secs(8);
    let end = jiff::Timestamp::try_from(end).unwrap();
    let body =
        format!(r#"{{"AccessKeyId": "AKIDX", "SecretAccessKey": "x", "Token": "t", "Expiration": "{end}"}}"#);
    let agent = Network::of_its_own(Weather::Answers(200, "", body));
    let (aws, name) = (Aws::unchecked(), unique("renewed"));
    aws.put_secret(REGION, &name, b"a value");
    let token = directory.path().join("token");
    std::fs::write(&token, "t").unwrap();
    let settings = format!(
        "region = '{REGION}'\nendpoint = '{}'\ncontainer = {{ url = '{}/x', token_file = '{}' }}",
        aws.url(),
        agent.at().url,
        token.display()
    );
    let provider = Secrets::open(&settings).unwrap();
    for _ in 0..2 {
        fetch(&*provider, &name).unwrap();
    }
    assert_eq!(agent.requests(), 1, "they are kept");
    agent.turns(Weather::Answers(503, "", String::new()));
    std::thread::sleep(Duration::from_millis(6300));
    for _ in 0..2 {
        fetch(&*provider, &name).unwrap();
    }
    assert_eq!(agent.requests(), 2, "they were to be renewed, and are not asked for at each fetch");
    std::thread::sleep(Duration::from_secs(2));
    let error = fetch(&*provider, &name).err().unwrap();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
}
