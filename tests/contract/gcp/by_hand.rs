//! `hushfs get` and `hushfs check --online` in processes of their own: with what the environment says, and in the fetcher.

use std::process::Output;

use super::*;
use crate::network::Proxy;
use crate::tls::Certificate;

/// A configuration with that provider and one file.
fn config(server: &Gcp, settings: &str) -> PathBuf {
    let mount = server.files.join("mount");
    let provider = format!("[provider.cloud]\nkind = 'gcp-secret-manager'\n{settings}");
    let scope = "[scope.app]\nallow = { uid = 0 }\nfile.value = 'cloud:by-hand'";
    let audit = server.files.join("audit.log");
    let text = format!(
        "mount = '{}'\naudit = {{ to = '{}' }}\n{provider}\n{scope}\n",
        mount.display(),
        audit.display()
    );
    server.file("hushfs", &text)
}

fn hushfs(verb: &[&str], config: &Path, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
    command.args(verb).arg("--config").arg(config).env_clear().env("PATH", "/usr/bin:/bin");
    command.envs(environment.iter().copied()).output().unwrap()
}

fn shows(config: &Path, environment: &[(&str, &str)]) {
    let output = hushfs(&["get", "cloud:by-hand"], config, environment);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"a value");
}

#[test]
fn a_value_is_had_through_a_proxy_in_the_environment() {
    let server = Gcp::start();
    server.put("by-hand", b"a value");
    let proxy = Proxy::start();
    let there = proxy.url();

    let plain = config(&server, &server.settings(&server.direct()));
    shows(&plain, &[("HTTP_PROXY", &there)]);
    assert!(proxy.asked("GET http://127.0.0.1:") > 0, "in plain text the proxy gets the whole request");
    let before = proxy.asked("");
    shows(&plain, &[("HTTP_PROXY", &there), ("NO_PROXY", "127.0.0.1")]);
    assert_eq!(proxy.asked(""), before, "not past NO_PROXY");

    let secure = Network::secure(server.address, Certificate::Good);
    let secure = config(&server, &server.settings(&secure.at()));
    shows(&secure, &[("HTTPS_PROXY", &there)]);
    assert!(proxy.asked("CONNECT localhost:") > 0, "TLS goes through it unread");

    let machine = format!("project = '{PROJECT}'\nmetadata_server = '{}'", server.address);
    let machine = config(&server, &server.settings_of(&server.direct(), &machine));
    shows(&machine, &[("HTTP_PROXY", &there)]);
    assert_eq!(proxy.asked("computeMetadata"), 0, "the machine's own token is nobody else's business");
}

#[test]
fn a_proxy_that_is_down_is_told() {
    let server = Gcp::start();
    server.put("by-hand", b"a value");
    let config = config(&server, &server.settings(&server.direct()));
    let nobody = format!("http://{}", crate::process::free_port());
    let output = hushfs(&["get", "cloud:by-hand"], &config, &[("HTTP_PROXY", &nobody)]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("unavailable") && told.contains("cannot be reached"), "{told}");
}

#[test]
fn credentials_are_found_in_the_environment() {
    let server = Gcp::start();
    server.put("by-hand", b"a value");
    let config = config(&server, &server.settings_of(&server.direct(), &format!("project = '{PROJECT}'")));
    let (_, file) = server.account();
    shows(&config, &[("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())]);
    shows(&config, &[("GCE_METADATA_HOST", &server.address.to_string())]);

    let home = tempfile::tempdir().unwrap();
    let left = home.path().join(".config/gcloud/application_default_credentials.json");
    std::fs::create_dir_all(left.parent().unwrap()).unwrap();
    std::fs::copy(file, left).unwrap();
    let home = home.path().to_str().unwrap();
    shows(&config, &[("HOME", home)]);
    let empty = tempfile::tempdir().unwrap();
    let metadata = server.address.to_string();
    shows(&config, &[("HOME", empty.path().to_str().unwrap()), ("GCE_METADATA_HOST", &metadata)]);
}

#[test]
fn a_machine_at_aws_signs_for_its_token() {
    let server = Gcp::start();
    server.put("by-hand", b"a value");
    let id = server.unused("AKIA").to_uppercase().replace('-', "");
    server.tell("/_subject", &json!({"token": id, "who": id}));
    let file = server.json(&json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/aws",
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": format!("http://{}/sts", server.address),
        "credential_source": {
            "environment_id": "aws1",
            "regional_cred_verification_url":
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        },
    }));
    let config = config(&server, &server.settings_with(&file));
    let keys =
        [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", id.as_str()), ("AWS_SECRET_ACCESS_KEY", "hush")];
    shows(&config, &keys);
    server.tell("/_forget", &json!({"who": id}));
    let output = hushfs(&["get", "cloud:by-hand"], &config, &keys);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("refused") && !told.contains("invalid_grant"), "{told}");
}

#[test]
fn a_token_of_somebody_else_comes_to_the_fetcher_from_the_front() {
    let server = Gcp::start();
    server.put("by-hand", b"a value");
    let token = server.unused("subject");
    server.tell("/_subject", &json!({"token": token, "who": token}));
    let token = server.file("token", &token);
    let file = server.json(&json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/k8s",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("http://{}/sts", server.address),
        "credential_source": {"file": token},
    }));
    shows(&config(&server, &server.settings_with(&file)), &[]);
}

#[test]
fn check_asks_online_for_what_files_refer_to() {
    let server = Gcp::start();
    server.put("by-hand", b"a value");
    let right = config(&server, &server.settings(&server.direct()));
    let output = hushfs(&["check", "--online"], &right, &[]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("cloud (gcp-secret-manager)  logged in"), "{told}");
    assert!(
        told.contains("everything that the files refer to is there") && !told.contains("a value"),
        "{told}"
    );

    let refused = config(&server, &server.settings_without_rights(&server.direct()).unwrap());
    let output = hushfs(&["check", "--online"], &refused, &[]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("refused, for whoever gives hushfs its rights"), "{told}");
    assert!(told.contains("secretmanager.secretAccessor"), "{told}");
}
