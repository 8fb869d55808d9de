//! What the environment of hushfs says: each in a process of its own, since an environment is the whole process's.

use std::process::Command;

use super::admin::{Aws, REGION, unique};
use super::{READ_SECRETS, Secrets, logins};
use crate::network::{Network, Weather};
use crate::upstream::{Upstream, bytes, fetch};

const SETTINGS: &str = "HUSHFS_TEST_SETTINGS";
const PATH: &str = "HUSHFS_TEST_PATH";

/// What the processes of these tests run: prints the value, or the error.
#[test]
fn in_a_process_of_its_own() {
    let (Ok(settings), Ok(path)) = (std::env::var(SETTINGS), std::env::var(PATH)) else { return };
    match fetch(&*Secrets::open(&settings).unwrap(), &path) {
        Ok(fetched) => println!("value: {}", String::from_utf8(bytes(&fetched)).unwrap()),
        Err(error) => println!("error: {error}"),
    }
}

fn with(environment: &[(&str, &str)], settings: &str, path: &str) -> String {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "aws::surroundings::in_a_process_of_its_own", "--nocapture"]).env_clear();
    process
        .envs(environment.iter().copied())
        .env(SETTINGS, format!("timeout = '2s'\n{settings}"))
        .env(PATH, path);
    let output = process.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("value: ") || line.contains("error: "));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

fn stored(aws: &Aws, value: &str) -> String {
    let name = unique("surroundings");
    aws.put_secret(REGION, &name, value.as_bytes());
    name
}

#[test]
fn the_chain_takes_what_is_there() {
    let (aws, directory) = (Aws::ministack(), tempfile::tempdir().unwrap());
    let name = stored(aws, "of the chain");
    let url = aws.url();
    let settings = format!("endpoint = '{url}'\nsts_endpoint = '{url}'");
    let keys = aws.user(READ_SECRETS);
    let home = directory.path().join("home");
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    let text = format!("[default]\n{}\n", keys.lines());
    std::fs::write(home.join(".aws/credentials"), text).unwrap();
    std::fs::write(home.join(".aws/config"), format!("[default]\nregion = {REGION}\n")).unwrap();
    let home = home.display().to_string();
    let token = directory.path().join("token");
    std::fs::write(&token, logins::good_token()).unwrap();
    let (token, role) = (token.display().to_string(), logins::role_by_token());
    for environment in [
        vec![
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", keys.id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", keys.secret.as_str()),
        ],
        vec![("HOME", home.as_str())],
        vec![
            ("AWS_DEFAULT_REGION", REGION),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
            ("AWS_ROLE_ARN", role.as_str()),
        ],
    ] {
        let said = with(&environment, &settings, &name);
        assert!(said.contains("value: of the chain"), "{}: {said}", environment[0].0);
    }
    let none = [("AWS_REGION", REGION), ("AWS_EC2_METADATA_DISABLED", "true")];
    let said = with(&none, &settings, &name);
    assert!(said.contains("error: misconfigured: there are no AWS credentials"), "{said}");
    assert!(said.contains("credentials_file"), "it says what to do: {said}");
    let said = with(&[("AWS_EC2_METADATA_DISABLED", "true")], &settings, &name);
    assert!(said.contains("error: misconfigured: no region is known"), "{said}");
}

#[test]
fn the_chain_ends_at_a_container_or_an_instance() {
    let aws = Aws::unchecked();
    let name = stored(aws, "near");
    let url = aws.url();
    let full = format!("{url}/v2/credentials/some-id");
    let settings = format!("region = '{REGION}'\nendpoint = '{url}'");
    for environment in [
        [("AWS_CONTAINER_CREDENTIALS_FULL_URI", full.as_str()), ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t")],
        [("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str()), ("LANG", "C")],
    ] {
        let said = with(&environment, &settings, &name);
        assert!(said.contains("value: near"), "{}: {said}", environment[0].0);
    }
}

#[test]
fn proxies_are_used_and_not_for_what_is_near() {
    let aws = Aws::unchecked();
    let name = stored(aws, "x");
    let body =
        r#"{"ARN": "a", "Name": "n", "VersionId": "v", "SecretString": "by the proxy", "CreatedDate": 1}"#;
    let proxy = Network::of_its_own(Weather::Answers(200, "", body.to_owned()));
    let at = proxy.at().url;
    let imds = aws.url();
    let settings = format!(
        "region = '{REGION}'\nendpoint = 'http://secretsmanager.invalid'\nsource = 'instance'\nimds_endpoint = '{imds}'"
    );
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let said = with(&[(variable, at.as_str())], &settings, &name);
        assert!(said.contains("value: by the proxy"), "{variable}: {said}");
    }
    assert_eq!(proxy.requests(), 3, "the instance is asked directly");
    let said = with(&[("HTTP_PROXY", at.as_str()), ("NO_PROXY", "secretsmanager.invalid")], &settings, &name);
    assert!(said.contains("error: unavailable"), "{said}");
    assert_eq!(proxy.requests(), 3);
}
