//! AWS: both kinds against ministack, which checks signatures and policies, and secrets against moto for a second opinion.

use std::net::SocketAddr;

use serde_json::json;

use crate::upstream::{At, Upstream};
use admin::{Aws, Keys, REGION};
use hushfs::providers::Fetched;

mod admin;
mod batches;
mod lists;
mod logins;
mod regions;
mod surroundings;
mod values;

/// What a reader needs.
const READ_SECRETS: &[&str] = &["secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"];
const READ_PARAMETERS: &[&str] = &["ssm:GetParameter"];
/// What it takes to list.
const LIST_SECRETS: &str = "secretsmanager:ListSecrets";
const LIST_PARAMETERS: &str = "ssm:DescribeParameters";

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

/// What one of them keeps, and where.
pub(crate) trait Kept {
    const KIND: &'static str;
    const BINARY: bool = true;
    /// What a reader needs; `None` where neither signatures nor policies are checked, so that there are no cases of those.
    const RIGHTS: Option<&'static [&'static str]>;
    /// What it takes to list.
    const LIST: &'static str;
    const NO_VERSION: &'static str;

    fn server() -> &'static Aws;

    fn put(name: &str, value: &[u8]);
}

/// Names no secret has as its version.
const NO_SECRET_VERSION: &str = "00000000-0000-4000-8000-000000000000";

pub(crate) struct InSecrets;

impl Kept for InSecrets {
    const KIND: &'static str = "aws-secrets-manager";
    const RIGHTS: Option<&'static [&'static str]> = Some(READ_SECRETS);
    const LIST: &'static str = LIST_SECRETS;
    const NO_VERSION: &'static str = NO_SECRET_VERSION;

    fn server() -> &'static Aws {
        Aws::ministack()
    }

    fn put(name: &str, value: &[u8]) {
        Self::server().put_secret(REGION, name, value);
    }
}

struct InParameters;

impl Kept for InParameters {
    const KIND: &'static str = "aws-parameter-store";
    const BINARY: bool = false;
    const RIGHTS: Option<&'static [&'static str]> = Some(READ_PARAMETERS);
    const LIST: &'static str = LIST_PARAMETERS;
    const NO_VERSION: &'static str = "99";

    fn server() -> &'static Aws {
        Aws::ministack()
    }

    fn put(name: &str, value: &[u8]) {
        let value = std::str::from_utf8(value).unwrap();
        let args =
            json!({"Name": format!("/{name}"), "Value": value, "Type": "SecureString", "Overwrite": true});
        Self::server().call("ssm", "put_parameter", args);
    }
}

struct InMoto;

impl Kept for InMoto {
    const KIND: &'static str = "aws-secrets-manager";
    const RIGHTS: Option<&'static [&'static str]> = None;
    const LIST: &'static str = LIST_SECRETS;
    const NO_VERSION: &'static str = NO_SECRET_VERSION;

    fn server() -> &'static Aws {
        Aws::moto()
    }

    fn put(name: &str, value: &[u8]) {
        Self::server().put_secret(REGION, name, value);
    }
}

pub(crate) type Secrets = Server<InSecrets>;
type Parameters = Server<InParameters>;
type Moto = Server<InMoto>;

/// One of them as the cases see it, with a directory for credentials.
pub(crate) struct Server<K>(tempfile::TempDir, std::marker::PhantomData<K>);

impl<K: Kept> Server<K> {
    fn keys(&self, rights: &[&str]) -> String {
        K::server().user(rights).write(self.0.path())
    }
}

impl<K: Kept> Upstream for Server<K> {
    const KIND: &'static str = K::KIND;
    const BINARY: bool = K::BINARY;
    const VERSIONS: bool = true;

    fn start() -> Self {
        K::server();
        Self(tempfile::tempdir().unwrap(), std::marker::PhantomData)
    }

    fn address(&self) -> SocketAddr {
        K::server().address
    }

    fn settings(&self, at: &At) -> String {
        let keys = K::RIGHTS.map(|rights| self.keys(rights));
        settings(at, &keys.unwrap_or_else(|| made_up().write(self.0.path())))
    }

    fn settings_to_list(&self, at: &At) -> Option<String> {
        let rights = K::RIGHTS?.iter().chain([&K::LIST]).copied().collect::<Vec<_>>();
        Some(settings(at, &self.keys(&rights)))
    }

    fn settings_without_rights(&self, at: &At) -> Option<String> {
        K::RIGHTS.map(|_| settings(at, &self.keys(&[])))
    }

    fn settings_with_wrong_credentials(&self, at: &At) -> Option<String> {
        K::RIGHTS.map(|_| settings(at, &made_up().write(self.0.path())))
    }

    fn revoke(&self, settings: &str) -> bool {
        K::RIGHTS.map(|_| revoke(K::server(), settings)).is_some()
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        let name = format!("contract/{name}");
        K::put(&name, value);
        name
    }

    fn folder(&self, name: &str) -> String {
        format!("contract/{name}")
    }

    fn nowhere(&self) -> String {
        "contract/nowhere".to_owned()
    }

    fn no_version(&self) -> String {
        K::NO_VERSION.to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        crate::upstream::bytes(fetched)
    }
}
