//! AWS: both kinds against ministack, which checks signatures and policies, and secrets against moto for a second opinion.

use std::net::SocketAddr;

use serde_json::json;

use crate::upstream::{At, Upstream};
use admin::{Aws, Keys, REGION};
use hushfs::providers::Fetched;

mod admin;
mod batches;
mod logins;
mod regions;
mod surroundings;
mod values;

/// What a reader needs.
const READ_SECRETS: &[&str] = &["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"];
const READ_PARAMETERS: &[&str] = &["ssm:GetParameter"];

mod secrets {
    use super::*;
    crate::contract!(secrets, Secrets);
}

mod parameters {
    use super::*;
    crate::contract!(parameters, Parameters);
}

mod moto {
    use super::*;
    crate::contract!(moto, Moto);
}

/// Settings with keys in a file.
fn settings(at: &At, keys_file: &str) -> String {
    let ca = at.ca.as_ref().map(|ca| format!("\nca_file = '{}'", ca.display())).unwrap_or_default();
    format!(
        "region = '{REGION}'\nendpoint = '{}'\ncredentials_file = '{keys_file}'\ntimeout = '2s'\nconnect_timeout = '1s'{ca}",
        at.url
    )
}

/// Keys that nobody has.
fn made_up() -> Keys {
    let of = |what: &str| what.to_owned();
    Keys {
        user: of("nobody"),
        id: of("AKIAIOSFODNN7EXAMPLE"),
        secret: of("c2VjcmV0LW9mLW5vYm9keQ"),
        token: None,
    }
}

fn revoke(aws: &Aws, settings: &str) {
    let settings: toml::Table = settings.parse().unwrap();
    let keys = Keys::read(settings["credentials_file"].as_str().unwrap());
    aws.call("iam", "delete_access_key", json!({"UserName": keys.user, "AccessKeyId": keys.id}));
}

struct Secrets(tempfile::TempDir);

impl Upstream for Secrets {
    const KIND: &'static str = "aws-secrets-manager";
    const BINARY: bool = true;
    const VERSIONS: bool = true;

    fn start() -> Self {
        Aws::ministack();
        Self(tempfile::tempdir().unwrap())
    }

    fn address(&self) -> SocketAddr {
        Aws::ministack().address
    }

    fn settings(&self, at: &At) -> String {
        settings(at, &Aws::ministack().user(READ_SECRETS).write(self.0.path()))
    }

    fn settings_without_rights(&self, at: &At) -> Option<String> {
        Some(settings(at, &Aws::ministack().user(&[]).write(self.0.path())))
    }

    fn settings_with_wrong_credentials(&self, at: &At) -> Option<String> {
        Some(settings(at, &made_up().write(self.0.path())))
    }

    fn revoke(&self, settings: &str) -> bool {
        revoke(Aws::ministack(), settings);
        true
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        let name = format!("contract/{name}");
        Aws::ministack().put_secret(REGION, &name, value);
        name
    }

    fn nowhere(&self) -> String {
        "contract/nowhere".to_owned()
    }

    fn no_version(&self) -> String {
        "00000000-0000-4000-8000-000000000000".to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        crate::upstream::bytes(fetched)
    }
}

struct Parameters(tempfile::TempDir);

impl Upstream for Parameters {
    const KIND: &'static str = "aws-parameter-store";
    const BINARY: bool = false;
    const VERSIONS: bool = true;

    fn start() -> Self {
        Aws::ministack();
        Self(tempfile::tempdir().unwrap())
    }

    fn address(&self) -> SocketAddr {
        Aws::ministack().address
    }

    fn settings(&self, at: &At) -> String {
        settings(at, &Aws::ministack().user(READ_PARAMETERS).write(self.0.path()))
    }

    fn settings_without_rights(&self, at: &At) -> Option<String> {
        Some(settings(at, &Aws::ministack().user(&[]).write(self.0.path())))
    }

    fn settings_with_wrong_credentials(&self, at: &At) -> Option<String> {
        Some(settings(at, &made_up().write(self.0.path())))
    }

    fn revoke(&self, settings: &str) -> bool {
        revoke(Aws::ministack(), settings);
        true
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        let value = std::str::from_utf8(value).unwrap();
        let args = json!({"Name": format!("/contract/{name}"), "Value": value, "Type": "SecureString", "Overwrite": true});
        Aws::ministack().call("ssm", "put_parameter", args);
        format!("contract/{name}")
    }

    fn nowhere(&self) -> String {
        "contract/nowhere".to_owned()
    }

    fn no_version(&self) -> String {
        "99".to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        crate::upstream::bytes(fetched)
    }
}

/// It checks no signature and no policy, so it has no cases of those.
struct Moto(tempfile::TempDir);

impl Upstream for Moto {
    const KIND: &'static str = "aws-secrets-manager";
    const BINARY: bool = true;
    const VERSIONS: bool = true;

    fn start() -> Self {
        Aws::moto();
        Self(tempfile::tempdir().unwrap())
    }

    fn address(&self) -> SocketAddr {
        Aws::moto().address
    }

    fn settings(&self, at: &At) -> String {
        settings(at, &made_up().write(self.0.path()))
    }

    fn settings_without_rights(&self, _: &At) -> Option<String> {
        None
    }

    fn settings_with_wrong_credentials(&self, _: &At) -> Option<String> {
        None
    }

    fn revoke(&self, _: &str) -> bool {
        false
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        let name = format!("contract/{name}");
        Aws::moto().put_secret(REGION, &name, value);
        name
    }

    fn nowhere(&self) -> String {
        "contract/nowhere".to_owned()
    }

    fn no_version(&self) -> String {
        "00000000-0000-4000-8000-000000000000".to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        crate::upstream::bytes(fetched)
    }
}
