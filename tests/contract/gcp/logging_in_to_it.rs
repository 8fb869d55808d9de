//! The ways to log in, and what can go wrong with each.

use super::*;

/// The secret that each way is tried on.
fn there(server: &Gcp) -> &'static str {
    server.put("ways", b"a value");
    "ways"
}

fn works(server: &Gcp, file: &Path) {
    let provider = server.open_with(file);
    block_on(provider.log_in()).unwrap();
    assert_eq!(bytes(&fetch(&*provider, there(server)).unwrap()), b"a value");
}

fn refused(server: &Gcp, file: &Path, told: &str) {
    let error = fetch(&*server.open_with(file), there(server)).err().unwrap();
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    assert!(error.to_string().contains(told), "{error}");
}

/// Credentials of a federation that take the token of somebody else from `source`.
fn federation(server: &Gcp, source: &Value) -> Value {
    json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://{}/sts", server.address),
        "credential_source": source,
    })
}

/// A token of somebody else's that the server knows, in a file.
fn token(server: &Gcp) -> (String, PathBuf) {
    let token = server.unused("subject");
    server.tell("/_subject", &json!({"token": token, "who": token}));
    (token.clone(), server.file("token", &format!("{token}\n")))
}

#[test]
fn with_what_gcloud_leaves_of_a_user() {
    let server = Gcp::start();
    let refresh = server.unused("refresh");
    server.tell("/_refresh", &json!({"token": refresh, "who": refresh}));
    let user = |token: &str| {
        server.json(&json!({
            "type": "authorized_user", "client_id": "gcloud", "client_secret": "hush", "refresh_token": token,
            "token_uri": format!("http://{}/token", server.address), "quota_project_id": "billed",
        }))
    };
    works(&server, &user(&refresh));
    assert!(server.asked(&[&refresh, "billed"]) > 0, "calls are counted to the file's project");
    refused(&server, &user("unknown"), "(invalid_grant) to the credentials; `gcloud auth");
}

#[test]
fn with_the_metadata_server() {
    let server = Gcp::start();
    let more = format!("project = '{PROJECT}'\nmetadata_server = '{}'", server.address);
    let provider = Gcp::open(&server.settings_of(&server.direct(), &more)).unwrap();
    block_on(provider.log_in()).unwrap();
    assert_eq!(bytes(&fetch(&*provider, there(&server)).unwrap()), b"a value");

    let nobody = format!("project = '{PROJECT}'\nmetadata_server = '{}'", crate::process::free_port());
    let error =
        fetch(&*Gcp::open(&server.settings_of(&server.direct(), &nobody)).unwrap(), "ways").err().unwrap();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("outside of Google Cloud"), "{error}");

    let none = Network::of_its_own(Weather::Answers(404, "", String::new()));
    let none =
        format!("project = '{PROJECT}'\nmetadata_server = '{}'", none.at().url.trim_start_matches("http://"));
    let error =
        fetch(&*Gcp::open(&server.settings_of(&server.direct(), &none)).unwrap(), "ways").err().unwrap();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
}

#[test]
fn with_a_federation_whose_token_is_in_a_file() {
    let server = Gcp::start();
    let (_, file) = token(&server);
    works(&server, &server.json(&federation(&server, &json!({"file": file}))));
    let strange = server.file("token", "unknown");
    refused(&server, &server.json(&federation(&server, &json!({"file": strange}))), "(invalid_grant)");

    let missing = server.files.join("no-such-token");
    let missing = server.json(&federation(&server, &json!({"file": missing})));
    let error = fetch(&*server.open_with(&missing), "ways").err().unwrap();
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
    assert!(error.to_string().contains("no-such-token"), "{error}");
}

#[test]
fn with_a_federation_whose_token_is_inside_of_json() {
    let server = Gcp::start();
    let (token, _) = token(&server);
    let file = server.file("token", &json!({"jwt": token}).to_string());
    let format = json!({"type": "json", "subject_token_field_name": "jwt"});
    works(&server, &server.json(&federation(&server, &json!({"file": file, "format": format}))));

    server.tell("/_subject", &json!({"token": "subject-by-url", "who": "subject-by-url"}));
    let url = format!("http://{}/subject", server.address);
    let source = json!({"url": url, "headers": {"X-From": "tests"}, "format": format});
    works(&server, &server.json(&federation(&server, &source)));
}

#[test]
fn with_a_federation_in_the_name_of_an_account() {
    let server = Gcp::start();
    let (subject, file) = token(&server);
    let account = format!("{}@x", server.unused("lent"));
    let mut credentials = federation(&server, &json!({"file": file}));
    let url =
        format!("http://{}/v1/projects/-/serviceAccounts/{account}:generateAccessToken", server.address);
    credentials["service_account_impersonation_url"] = url.clone().into();
    works(&server, &server.json(&credentials));
    assert!(server.asked(&["ways/", &account]) > 0);
    assert_eq!(server.asked(&["ways/", &subject]), 0, "only in the other's name");
    server.tell("/_without_rights", &json!({"who": subject}));
    refused(&server, &server.json(&credentials), "serviceAccountTokenCreator");

    let (_, own) = server.account();
    let own: Value = serde_json::from_slice(&std::fs::read(own).unwrap()).unwrap();
    let kind = "impersonated_service_account";
    let file = json!({"type": kind, "service_account_impersonation_url": url, "source_credentials": own});
    works(&server, &server.json(&file));
}

#[test]
fn a_token_of_somebody_else_is_read_again_when_it_is_needed() {
    let server = Gcp::start();
    let (first, file) = token(&server);
    let provider = server.open_with(&server.json(&federation(&server, &json!({"file": file}))));
    let path = there(&server);
    fetch(&*provider, path).unwrap();
    let (second, other) = token(&server);
    std::fs::rename(other, file).unwrap();
    server.tell("/_forget", &json!({"who": first}));
    fetch(&*provider, path).unwrap();
    assert!(server.asked(&["ways/", &second]) > 0);
}

#[test]
fn credentials_that_change_are_taken_up() {
    let server = Gcp::start();
    let path = there(&server);
    let (first, file) = server.account();
    let provider = server.open_with(&file);
    fetch(&*provider, path).unwrap();
    server.tell("/_forget", &json!({"who": first}));
    fetch(&*provider, path).err().unwrap();
    let (second, other) = server.account();
    std::fs::rename(other, file).unwrap();
    fetch(&*provider, path).unwrap();
    assert!(server.asked(&["ways/", &second]) > 0);
}

#[test]
fn one_login_serves_all_who_wait() {
    let server = Gcp::start();
    let path = there(&server);
    let (token, file) = token(&server);
    let network = Network::plain(server.address, Weather::Fine);
    let mut credentials = federation(&server, &json!({"file": file}));
    credentials["token_url"] = format!("{}/sts", network.at().url).into();
    let provider: std::sync::Arc<dyn Provider> = server.open_with(&server.json(&credentials)).into();
    let all_at_once = || {
        block_on(async {
            let tasks: Vec<_> = (0..16)
                .map(|_| {
                    let provider = std::sync::Arc::clone(&provider);
                    tokio::spawn(async move {
                        provider
                            .fetch(&reference(path, None), hushfs::providers::Mint::Allowed)
                            .await
                            .map(drop)
                    })
                })
                .collect();
            let mut all = Vec::new();
            for task in tasks {
                all.push(task.await.unwrap());
            }
            all
        })
    };
    for outcome in all_at_once() {
        outcome.unwrap();
    }
    assert_eq!(network.requests(), 1);

    server.tell("/_forget", &json!({"who": token}));
    for outcome in all_at_once() {
        let error = outcome.unwrap_err();
        assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    }
    // Each has its own moment to be refused in, and some share one.
    assert!(network.requests() <= 8, "{} times refused for 16 who waited", network.requests());
}

#[test]
fn trouble_with_the_login_is_mapped_too() {
    let server = Gcp::start();
    let (_, file) = token(&server);
    let with = |weather: Weather| {
        let network = Network::of_its_own(weather);
        let mut credentials = federation(&server, &json!({"file": file}));
        credentials["token_url"] = format!("{}/sts", network.at().url).into();
        let since = std::time::Instant::now();
        let error = fetch(&*server.open_with(&server.json(&credentials)), "ways").err().unwrap();
        assert!(since.elapsed() < Duration::from_secs(4), "{error}");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
        error
    };
    let error = with(Weather::Answers(429, "Retry-After: 9\r\n", CANARY.into()));
    let wanted = Some(Duration::from_secs(9));
    assert!(
        matches!(error, ProviderError::Unavailable { retry_after, .. } if retry_after == wanted),
        "{error}"
    );
    for weather in
        [Weather::Hangs, Weather::Trickles, Weather::Closes, Weather::Answers(500, "", CANARY.into())]
    {
        let error = with(weather);
        assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    }
    let garbage = json!({"access_token": [CANARY]}).to_string();
    for weather in
        [Weather::Answers(200, "", CANARY.into()), Weather::Answers(200, "", garbage), Weather::Endless]
    {
        let error = with(weather);
        assert!(matches!(error, ProviderError::Malformed(_)), "{error}");
    }
    let body = json!({"error": CANARY}).to_string();
    let error = with(Weather::Answers(400, "", body));
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    let error = with(Weather::Answers(307, "Location: http://127.0.0.1:1/\r\n", String::new()));
    assert!(matches!(error, ProviderError::Misconfigured(_)), "{error}");
}

#[test]
fn credentials_that_cannot_be_used_are_told_without_what_is_in_them() {
    let server = Gcp::start();
    let mut http = federation(&server, &json!({"file": "/nowhere"}));
    http["token_url"] = format!("http://{CANARY}.example/sts").into();
    let (_, key) = server.stranger();
    let mut key: Value = serde_json::from_slice(&std::fs::read(key).unwrap()).unwrap();
    key["private_key"] = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n").into();
    let files = [
        server.file("broken", CANARY),
        server.json(&json!({"type": CANARY})),
        server.json(&json!({"type": "authorized_user", "client_secret": CANARY})),
        server.json(&key),
        server.files.join("no-such-file"),
    ];
    for file in files {
        let error = fetch(&*server.open_with(&file), "ways").err().unwrap();
        assert!(matches!(error, ProviderError::Misconfigured(_)), "{}: {error}", file.display());
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
    let error = fetch(&*server.open_with(&server.json(&http)), "ways").err().unwrap();
    assert!(error.to_string().contains("is not https"), "{error}");
}
