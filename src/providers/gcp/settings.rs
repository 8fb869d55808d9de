//! The settings of a provider of kind `gcp-secret-manager`; docs/gcp.md has them for people.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;

use super::http::{Http, stays_here};
use super::login::Login;
use super::name::{is_location, is_project};
use super::provider::{Asked, SecretManager};
use super::source::{Place, Surroundings, token_file};
use super::{NamedFile, Provider, Secrecy, SettingsError};
use crate::providers::settings::{Bounds, Wait, read, wrong};

/// The page that has every key.
const PAGE: &str = "gcp";

/// How often a request may be made again that met nobody, or a server in trouble.
const MOST_RETRIES: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    project: Option<String>,
    location: Option<String>,
    endpoint: Option<String>,
    credentials_file: Option<PathBuf>,
    credential: Option<String>,
    metadata_server: Option<String>,
    quota_project: Option<String>,
    #[serde(default)]
    notes: bool,
    ca_file: Option<PathBuf>,
    timeout: Option<Wait>,
    connect_timeout: Option<Wait>,
    retries: Option<u32>,
}

/// Reads the settings and names the files in them. The credentials are looked into, since they may name another file.
pub(super) fn check(table: toml::Table, base: &Path) -> Result<Vec<NamedFile>, SettingsError> {
    let settings = checked(table)?;
    let mut files = Vec::new();
    let place = settings.place(base, &Surroundings::ours());
    // Of a credential systemd is the owner, and a wrong name is an error where it is opened.
    if let Ok(place) = place
        && let Some(path) = place.named()
    {
        let key = "credentials_file";
        // A token that a kubelet or another agent renews is often for all of its host to read.
        let token = token_file(&path).map(|path| NamedFile { key, path, secret: Secrecy::Public });
        files.push(NamedFile { key, path, secret: Secrecy::Private });
        files.extend(token);
    }
    let ca = settings.ca_file.iter();
    files.extend(ca.map(|ca| NamedFile { key: "ca_file", path: base.join(ca), secret: Secrecy::Public }));
    Ok(files)
}

/// Opens the provider; reaches nobody and reads nothing.
pub(super) fn open(table: toml::Table, base: &Path) -> Result<Box<dyn Provider>, SettingsError> {
    let settings = checked(table)?;
    let bounds = Bounds::new(settings.timeout, settings.connect_timeout)?;
    let place = settings.place(base, &Surroundings::ours())?;
    let http = Http::new(bounds, settings.ca_file.map(|ca| base.join(ca)));
    let login = Login::new(place, settings.quota_project);
    let asked = Asked {
        project: settings.project,
        location: settings.location,
        endpoint: settings.endpoint.map(|url| url.trim_end_matches('/').to_owned()),
        notes: settings.notes,
        retries: settings.retries.unwrap_or(1),
    };
    Ok(Box::new(SecretManager::new(asked, http, login)))
}

fn checked(table: toml::Table) -> Result<Settings, SettingsError> {
    let settings: Settings = read(table, PAGE)?;
    Bounds::new(settings.timeout, settings.connect_timeout)?;
    for (key, project) in [("project", &settings.project), ("quota_project", &settings.quota_project)] {
        if project.as_deref().is_some_and(|project| !is_project(project)) {
            return Err(wrong(key, format!("`{key}` is no project"), "write its number or its id"));
        }
    }
    if settings.location.as_deref().is_some_and(|location| !is_location(location)) {
        return Err(wrong("location", "`location` is no location", "write one such as \"europe-west3\""));
    }
    if let Some(endpoint) = &settings.endpoint {
        let url = Url::parse(endpoint).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.username().is_empty()
        });
        let Some(url) = url else {
            return Err(wrong(
                "endpoint",
                "`endpoint` is no address",
                "write \"https://HOST\" or \"https://HOST:PORT\"",
            ));
        };
        if url.scheme() == "http" && !stays_here(&url) {
            let hint = "write https://…; http:// is for an address of this host";
            return Err(wrong("endpoint", "tokens and secrets would cross the network in plain text", hint));
        }
    }
    if settings.metadata_server.as_deref().is_some_and(|host| Place::metadata(host).is_none()) {
        let hint = "write its host, or HOST:PORT";
        return Err(wrong("metadata_server", "`metadata_server` is no host", hint));
    }
    if settings.retries.is_some_and(|retries| retries > MOST_RETRIES) {
        return Err(wrong(
            "retries",
            "`retries` is out of range",
            format!("choose from 0 to {MOST_RETRIES}"),
        ));
    }
    for (key, path) in [("credentials_file", &settings.credentials_file), ("ca_file", &settings.ca_file)] {
        if path.as_ref().is_some_and(|path| path.file_name().is_none()) {
            return Err(wrong(key, format!("`{key}` names no file"), "write the path of a file"));
        }
    }
    let ways = [
        ("metadata_server", settings.metadata_server.is_some()),
        ("credential", settings.credential.is_some()),
        ("credentials_file", settings.credentials_file.is_some()),
    ];
    let mut set = ways.iter().filter(|(_, set)| *set).map(|(key, _)| *key);
    if let (Some(key), Some(other)) = (set.next(), set.next()) {
        return Err(wrong(key, format!("`{key}` and `{other}` both say how to log in"), "keep one"));
    }
    let plain = |name: &String| {
        let mut parts = Path::new(name).components();
        matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none()
    };
    if settings.credential.as_ref().is_some_and(|name| !plain(name)) {
        let hint = "it is a file's name in $CREDENTIALS_DIRECTORY; for another file write a path as `credentials_file`";
        return Err(wrong("credential", "`credential` is a name, not a path", hint));
    }
    Ok(settings)
}

impl Settings {
    fn place(&self, base: &Path, around: &Surroundings) -> Result<Place, SettingsError> {
        if let Some(file) = &self.credentials_file {
            return Ok(Place::File(base.join(file)));
        }
        if let Some(name) = &self.credential {
            return match &around.credentials {
                Some(directory) => Ok(Place::File(directory.join(name))),
                None => Err(wrong(
                    "credential",
                    format!(
                        "`credential = \"{name}\"` means a file in $CREDENTIALS_DIRECTORY, which is not set"
                    ),
                    format!("add `LoadCredential={name}:/path/to/file` to the unit that runs hushfs"),
                )),
            };
        }
        Ok(match &self.metadata_server {
            Some(host) => Place::metadata(host).unwrap_or_else(|| around.usual()),
            None => around.usual(),
        })
    }
}

impl Surroundings {
    /// Of this process.
    fn ours() -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        Self {
            credentials: var("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            named: var("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from),
            gcloud: var("CLOUDSDK_CONFIG")
                .map(PathBuf::from)
                .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".config/gcloud"))),
            metadata: var("GCE_METADATA_HOST").and_then(|host| host.into_string().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(text: &str) -> Result<Vec<NamedFile>, SettingsError> {
        check(text.parse().unwrap(), Path::new("/etc/hushfs"))
    }

    #[test]
    fn each_wrong_setting_is_named_with_a_hint() {
        for (text, key) in [
            ("projet = 'a'", "projet"),
            ("project = 'A b'", "project"),
            ("quota_project = ''", "quota_project"),
            ("location = 'evil.example/'", "location"),
            ("endpoint = 'secretmanager.googleapis.com'", "endpoint"),
            ("endpoint = 'http://10.0.0.1'", "endpoint"),
            ("endpoint = 'https://me:pw@host'", "endpoint"),
            ("metadata_server = 'a/b'", "metadata_server"),
            ("retries = 9", "retries"),
            ("timeout = '1h'", "timeout"),
            ("notes = 'yes'", "notes"),
            ("credentials_file = '/'", "credentials_file"),
            ("credential = '../c'", "credential"),
            ("credential = 'c'\ncredentials_file = 'f'", "credential"),
            ("metadata_server = 'm'\ncredentials_file = 'f'", "metadata_server"),
        ] {
            let error = checks(text).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{text:?}: {error}");
            assert!(error.hint.is_some(), "{text:?}");
        }
    }

    #[test]
    fn the_files_are_named_and_the_one_that_the_credentials_name_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wif.json");
        std::fs::write(&file, r#"{"type": "external_account", "credential_source": {"file": "/run/token"}}"#)
            .unwrap();
        let files = checks(&format!("credentials_file = '{}'\nca_file = 'ca.pem'", file.display())).unwrap();
        let files: Vec<_> = files.iter().map(|file| (file.path.to_str().unwrap(), file.secret)).collect();
        let wif = file.to_str().unwrap();
        let wanted = [
            (wif, Secrecy::Private),
            ("/run/token", Secrecy::Public),
            ("/etc/hushfs/ca.pem", Secrecy::Public),
        ];
        assert_eq!(files, wanted);
    }

    #[test]
    fn an_endpoint_in_plain_text_is_for_this_host_alone() {
        for text in
            ["endpoint = 'http://127.0.0.1:1'", "endpoint = 'http://localhost:1'", "endpoint = 'https://x'"]
        {
            assert!(checks(text).is_ok(), "{text}");
        }
    }
}
