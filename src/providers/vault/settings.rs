//! The settings of a provider of kind `vault`.
//!
//! ```toml
//! [provider.prod]
//! kind = "vault"
//! address = "https://vault.example.com:8200"      # or addresses = ["…", "…"]
//! approle = { role_id = "…", secret_id_file = "/etc/hushfs/secret-id" }
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::credentials;
use super::super::settings::{Bounds, Wait, read, wrong};
use super::address::Address;
use super::auth::{AppRole, Auth, Cert, Jwt, Kubernetes, Places, Userpass, Ways};
use super::client::Tls;
use super::mounts::Engine;
use super::{NamedFile, Secrecy, SettingsError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    address: Option<String>,
    addresses: Option<Vec<String>>,
    #[serde(default)]
    allow_http: bool,
    namespace: Option<String>,
    timeout: Option<Wait>,
    connect_timeout: Option<Wait>,
    ca_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_key: Option<PathBuf>,
    server_name: Option<String>,
    token_file: Option<PathBuf>,
    token_credential: Option<String>,
    approle: Option<AppRole>,
    kubernetes: Option<Kubernetes>,
    jwt: Option<Jwt>,
    cert: Option<Cert>,
    userpass: Option<Userpass>,
    #[serde(default)]
    mounts: BTreeMap<String, Engine>,
    #[serde(default)]
    params: BTreeMap<String, toml::Table>,
}

/// The settings, checked.
pub(super) struct Settings {
    pub(super) bounds: Bounds,
    pub(super) addresses: Vec<Address>,
    pub(super) namespace: Option<String>,
    pub(super) tls: Tls,
    pub(super) auth: Auth,
    /// Which engines are mounted where, as far as the operator says so.
    pub(super) mounts: Vec<(String, Engine)>,
    /// What to send to paths that are written to in order to read, in JSON.
    pub(super) params: BTreeMap<String, Vec<u8>>,
}

/// Reads the settings and names the files in them.
pub(super) fn check(settings: toml::Table, base: &Path) -> Result<Vec<NamedFile>, SettingsError> {
    let (written, auth) = both(settings)?;
    written.bounds()?;
    written.addresses()?;
    written.params()?;
    let mut files = auth.check(base, written.tls(base)?.own.is_some())?;
    let mut name = |key, path: &Option<PathBuf>, secret| {
        files.extend(path.iter().map(|path| NamedFile { key, path: base.join(path), secret }));
    };
    name("ca_file", &written.ca_file, Secrecy::Public);
    name("client_certificate", &written.client_certificate, Secrecy::Public);
    name("client_key", &written.client_key, Secrecy::Private);
    Ok(files)
}

impl Settings {
    /// # Errors
    /// As [`check`]; and where a credential is named and systemd handed out none.
    pub(super) fn new(settings: toml::Table, base: &Path) -> Result<Self, SettingsError> {
        let (written, auth) = both(settings)?;
        let tls = written.tls(base)?;
        auth.check(base, tls.own.is_some())?;
        let directory = credentials::directory().map(PathBuf::from);
        let auth = auth.auth(&Places { base, credentials: directory.as_deref() })?;
        Ok(Self {
            bounds: written.bounds()?,
            addresses: written.addresses()?,
            tls,
            auth,
            params: written.params()?,
            namespace: written.namespace.map(|name| name.trim_matches('/').to_owned()),
            mounts: written
                .mounts
                .into_iter()
                .map(|(at, engine)| (at.trim_matches('/').to_owned(), engine))
                .collect(),
        })
    }
}

/// The settings, and those of them that say how to log in.
fn both(settings: toml::Table) -> Result<(Written, Ways), SettingsError> {
    // Here, for a date cannot be told from a table once it has been read.
    let params = settings.get("params").and_then(toml::Value::as_table);
    if let Some((path, _)) = params.and_then(|params| params.iter().find(|(_, value)| has_date(value))) {
        return Err(not_json(path));
    }
    let mut written: Written = read(settings, "vault")?;
    let ways = Ways {
        token_file: written.token_file.take(),
        token_credential: written.token_credential.take(),
        approle: written.approle.take(),
        kubernetes: written.kubernetes.take(),
        jwt: written.jwt.take(),
        cert: written.cert.take(),
        userpass: written.userpass.take(),
    };
    Ok((written, ways))
}

impl Written {
    fn bounds(&self) -> Result<Bounds, SettingsError> {
        Bounds::new(self.timeout, self.connect_timeout)
    }

    fn addresses(&self) -> Result<Vec<Address>, SettingsError> {
        let usual = "write `address = \"https://vault.example.com:8200\"`, or several as `addresses`";
        let (key, all) = match (&self.address, &self.addresses) {
            (Some(one), None) => ("address", std::slice::from_ref(one)),
            (None, Some(all)) if !all.is_empty() => ("addresses", all.as_slice()),
            (None, Some(_)) => return Err(wrong("addresses", "`addresses` has none", usual)),
            (Some(_), Some(_)) => {
                return Err(wrong("addresses", "`address` and `addresses` are both set", "keep one"));
            }
            (None, None) => {
                let message = "nothing says where the server is".to_owned();
                return Err(SettingsError { key: None, message, hint: Some(usual.to_owned()) });
            }
        };
        let mut addresses = Vec::with_capacity(all.len());
        for text in all {
            let address =
                Address::parse(text).map_err(|why| wrong(key, format!("`{key}`: it {why}"), usual))?;
            if address.is_open() && !self.allow_http {
                let message = format!("`{}` would send tokens and secrets in plain text", address.shown());
                let hint = "use `https`, or say `allow_http = true` where the network itself is protected";
                return Err(wrong(key, message, hint));
            }
            addresses.push(address);
        }
        Ok(addresses)
    }

    fn tls(&self, base: &Path) -> Result<Tls, SettingsError> {
        let own = match (&self.client_certificate, &self.client_key) {
            (Some(certificate), Some(key)) => Some((base.join(certificate), base.join(key))),
            (None, None) => None,
            (Some(_), None) => {
                let message = "`client_certificate` needs `client_key`";
                return Err(wrong("client_certificate", message, "name the file of its private key"));
            }
            (None, Some(_)) => {
                let message = "`client_key` needs `client_certificate`";
                return Err(wrong("client_key", message, "name the file of its certificate"));
            }
        };
        if let Some(name) = &self.server_name {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            let number = name.parse::<std::net::IpAddr>().is_ok();
            if name.is_empty() || number || !name.chars().all(plain) {
                let message = "`server_name` is no name of a host";
                return Err(wrong("server_name", message, "write the name on the server's certificate"));
            }
        }
        let ca = self.ca_file.as_ref().map(|path| base.join(path));
        Ok(Tls { ca, own, server_name: self.server_name.clone() })
    }

    fn params(&self) -> Result<BTreeMap<String, Vec<u8>>, SettingsError> {
        let one = |(path, table): (&String, &toml::Table)| {
            let body = serde_json::to_vec(table).map_err(|_| not_json(path))?;
            Ok((path.trim_matches('/').to_owned(), body))
        };
        self.params.iter().map(one).collect()
    }
}

fn not_json(path: &str) -> SettingsError {
    let message = format!("`params.\"{path}\"` has what JSON cannot say");
    wrong("params", message, "write texts, numbers, `true`, `false`, lists and tables")
}

fn has_date(value: &toml::Value) -> bool {
    match value {
        toml::Value::Datetime(_) => true,
        toml::Value::Array(all) => all.iter().any(has_date),
        toml::Value::Table(table) => table.values().any(has_date),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<Vec<NamedFile>, SettingsError> {
        check(text.parse().unwrap(), Path::new("/etc/hushfs"))
    }

    #[test]
    fn every_file_is_named_with_whether_it_is_secret() {
        let all = "address = 'https://v'\nca_file = 'ca'\nclient_certificate = 'c'\nclient_key = '/k'";
        let named = |auth: &str| {
            let files = checked(&format!("{all}\n{auth}")).unwrap();
            let shown = |file: &NamedFile| {
                format!("{} {} {:?}", file.key, file.path.display(), file.secret == Secrecy::Private)
            };
            files.iter().map(shown).collect::<Vec<_>>()
        };
        let tls =
            ["ca_file /etc/hushfs/ca false", "client_certificate /etc/hushfs/c false", "client_key /k true"];
        for (auth, first) in [
            ("token_file = 't'", vec!["token_file /etc/hushfs/t true"]),
            ("token_credential = 't'", vec![]),
            (
                "approle = { role_id_file = 'r', secret_id_file = 's' }",
                vec!["approle /etc/hushfs/r false", "approle /etc/hushfs/s true"],
            ),
            ("approle = { role_id = 'r', wrapped_secret_id_file = 's' }", vec!["approle /etc/hushfs/s true"]),
            (
                "kubernetes = { role = 'r' }",
                vec!["kubernetes /var/run/secrets/kubernetes.io/serviceaccount/token false"],
            ),
            ("jwt = { token_file = 't' }", vec!["jwt /etc/hushfs/t true"]),
            ("cert = {}", vec![]),
            ("userpass = { username = 'u', password_file = 'p' }", vec!["userpass /etc/hushfs/p true"]),
        ] {
            assert_eq!(named(auth), [first, tls.to_vec()].concat(), "{auth}");
        }
    }

    #[test]
    fn each_wrong_setting_is_named_with_a_hint() {
        let there = "address = 'https://v'\n";
        let both = "address = 'https://v'\ntoken_file = 't'\n";
        for (text, key) in [
            ("token_file = 't'".to_owned(), None),
            (there.to_owned(), None),
            ("address = 'v:8200'\ntoken_file = 't'".to_owned(), Some("address")),
            ("address = 'http://v'\ntoken_file = 't'".to_owned(), Some("address")),
            ("addresses = []\ntoken_file = 't'".to_owned(), Some("addresses")),
            (format!("{both}addresses = ['https://w']"), Some("addresses")),
            (format!("{both}token = 's.x'"), Some("token")),
            (format!("{both}token_credential = 't'"), Some("token_file")),
            (format!("{there}token_credential = '/t'"), Some("token_credential")),
            (format!("{both}approle = {{ role_id = 'r' }}"), Some("approle")),
            (format!("{there}approle = {{}}"), Some("approle")),
            (format!("{there}approle = {{ role_id = 'r', secret_id = 's' }}"), Some("approle")),
            (format!("{there}approle = {{ role_id = 'r', secret_id_credential = '../s' }}"), Some("approle")),
            (format!("{there}kubernetes = {{}}"), Some("kubernetes")),
            (format!("{there}jwt = {{ role = 'r' }}"), Some("jwt")),
            (format!("{there}cert = {{}}"), Some("cert")),
            (format!("{there}userpass = {{ username = 'a/b', password_file = 'p' }}"), Some("userpass")),
            (format!("{there}userpass = {{ username = 'a' }}"), Some("userpass")),
            (format!("{both}client_key = 'k'"), Some("client_key")),
            (format!("{both}client_certificate = 'k'"), Some("client_certificate")),
            (format!("{both}server_name = '10.0.0.1'"), Some("server_name")),
            (format!("{both}timeout = '1h'"), Some("timeout")),
            (format!("{both}mounts = {{ secret = 'kv-3' }}"), Some("mounts")),
            (format!("{both}params = {{ a = {{ b = 2020-01-01 }} }}"), Some("params")),
        ] {
            let error = checked(&text).err().unwrap_or_else(|| panic!("{text}: it is taken"));
            assert_eq!(error.key.as_deref(), key, "{text}: {error}");
            assert!(error.hint.is_some(), "{text}");
        }
    }

    #[test]
    fn no_value_that_was_written_is_in_an_error() {
        for text in
            ["token = 'hvs.secret'", "token_file = 5", "approle = 'hvs.secret'", "mounts = 'hvs.secret'"]
        {
            let error = checked(&format!("address = 'https://v'\n{text}")).unwrap_err();
            assert!(!format!("{error:?}").contains("hvs.secret"), "{error:?}");
        }
    }
}
