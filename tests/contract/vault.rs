//! HashiCorp Vault and OpenBao, against OpenBao.

use std::net::SocketAddr;

use hushfs::providers::Fetched;
use serde_json::{Value, json};

use crate::upstream::{At, Upstream, bytes};

mod database;
mod leases;
mod listing;
mod logins;
mod per_caller;
mod mortal;
mod mounted;
mod renewal;
mod secrets;
mod server;
mod servers;

use server::{Bao, text_file};

crate::contract!(vault, Vault);

/// What one test has at the server that all share: a token that may read what is stored below a prefix of its own.
pub(crate) struct Vault {
    bao: &'static Bao,
    prefix: String,
}

impl Vault {
    fn token_settings(&self, at: &At, token: &str) -> String {
        settings(at, &format!("token_file = '{}'", text_file(token)))
    }

    fn policy(&self, more: &str) -> String {
        let policy = server::unique(&self.prefix);
        let rules = format!("path \"secret/data/{}*\" {{ capabilities = [\"read\"] }} {more}", self.prefix);
        self.bao.write(&format!("sys/policies/acl/{policy}"), &json!({ "policy": rules }));
        policy
    }

    fn settings_with(&self, at: &At, more: &str) -> String {
        let rules = json!({ "policies": [self.policy(more)], "ttl": "1h" });
        let made = self.bao.write("auth/token/create", &rules);
        self.token_settings(at, made["auth"]["client_token"].as_str().unwrap())
    }
}

/// Settings that have an address, the waits that the cases count on, and a way to log in.
fn settings(at: &At, auth: &str) -> String {
    let ca = at.ca.as_ref().map(|ca| format!("ca_file = '{}'\n", ca.display())).unwrap_or_default();
    format!("address = '{}'\n{ca}timeout = '2s'\nconnect_timeout = '1s'\n{auth}\n", at.url)
}

/// The values of a secret.
fn values(fetched: &Fetched) -> Value {
    serde_json::from_slice(&bytes(fetched)).unwrap()
}

impl Upstream for Vault {
    const KIND: &'static str = "vault";
    const BINARY: bool = false;
    const VERSIONS: bool = true;

    fn start() -> Self {
        Self { bao: Bao::shared(), prefix: server::unique("t") }
    }

    fn address(&self) -> SocketAddr {
        self.bao.address
    }

    fn settings(&self, at: &At) -> String {
        self.settings_with(at, "")
    }

    fn settings_to_list(&self, at: &At) -> Option<String> {
        let rule = format!("path \"secret/metadata/{}/*\" {{ capabilities = [\"list\"] }}", self.prefix);
        Some(self.settings_with(at, &rule))
    }

    fn settings_without_rights(&self, at: &At) -> Option<String> {
        let made = self.bao.write("auth/token/create", &json!({ "policies": ["default"] }));
        Some(self.token_settings(at, made["auth"]["client_token"].as_str().unwrap()))
    }

    fn settings_with_wrong_credentials(&self, at: &At) -> Option<String> {
        Some(self.token_settings(at, "s.there-is-no-such-token"))
    }

    fn revoke(&self, settings: &str) -> bool {
        let table: toml::Table = settings.parse().unwrap();
        let token = std::fs::read_to_string(table["token_file"].as_str().unwrap()).unwrap();
        self.bao.write("auth/token/revoke", &json!({ "token": token }));
        true
    }

    fn put(&self, name: &str, value: &[u8]) -> String {
        let path = format!("{}/{name}", self.prefix);
        let value = std::str::from_utf8(value).unwrap();
        self.bao.write(&format!("secret/data/{path}"), &json!({ "data": { "value": value } }));
        format!("secret/{path}")
    }

    fn folder(&self, name: &str) -> String {
        format!("secret/{}/{name}", self.prefix)
    }

    fn nowhere(&self) -> String {
        format!("secret/{}/nothing-of-that-name", self.prefix)
    }

    fn no_version(&self) -> String {
        "999".to_owned()
    }

    fn value(&self, fetched: &Fetched) -> Vec<u8> {
        values(fetched)["value"].as_str().unwrap().as_bytes().to_vec()
    }
}
