//! The settings of both kinds, which differ in what is read and not in how AWS is reached. docs/aws.md has each key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::settings::{Bounds, Wait, read, wrong};
use super::{NamedFile, Secrecy, SettingsError};
use parts::{Origins, check_url, origin, regions, roles, session};
use written::Written;

mod parts;
mod written;

/// The page that has every key.
const PAGE: &str = "aws";
/// The settings, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// In the order in which they are asked; none: as the environment or a profile says.
    pub(super) regions: Vec<String>,
    endpoint: Option<String>,
    endpoints: BTreeMap<String, String>,
    pub(super) sts_endpoint: Option<String>,
    pub(super) imds_endpoint: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) bounds: Bounds,
    pub(super) origin: Origin,
    pub(super) profile_files: ProfileFiles,
    /// To be assumed one after the other.
    pub(super) roles: Vec<Role>,
    pub(super) session: Session,
    /// What stands before each name.
    pub(super) prefix: String,
    /// Whether several secrets may be asked for at once.
    pub(super) batch: bool,
}

/// Where the first credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// The first that is there, as AWS's own tools look.
    Chain,
    /// `AWS_ACCESS_KEY_ID` and so on.
    Environment,
    /// A profile of AWS's own files.
    Profile(String),
    /// Keys in a file.
    Keys(PathBuf),
    /// A token that somebody else issued, for a role.
    WebIdentity { role: String, token_file: PathBuf },
    /// What runs a container tells it; none: where the environment says.
    Container(Option<(String, Option<PathBuf>)>),
    /// What an instance can ask about itself.
    Instance,
}

/// Where the files of profiles are, where they are not where they usually are.
#[derive(Debug, Clone, Default)]
pub(super) struct ProfileFiles {
    pub(super) config: Option<PathBuf>,
    pub(super) credentials: Option<PathBuf>,
}

/// A role to be assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) arn: String,
    pub(super) external_id: Option<String>,
}

/// How sessions of roles are asked for.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) name: String,
    pub(super) lasts: Option<Duration>,
}

impl Settings {
    /// Where the service is in that region, where not where it usually is.
    pub(super) fn endpoint(&self, region: &str) -> Option<&str> {
        self.endpoints.get(region).or(self.endpoint.as_ref()).map(String::as_str)
    }
}

/// Checks the settings of Secrets Manager, and names their files.
pub(super) fn check_secrets(table: toml::Table, base: &Path) -> Result<Vec<NamedFile>, SettingsError> {
    check(read(table, PAGE)?, base)
}

/// Checks the settings of Parameter Store, and names their files.
pub(super) fn check_parameters(table: toml::Table, base: &Path) -> Result<Vec<NamedFile>, SettingsError> {
    check(of_parameters(table)?, base)
}

/// The settings of Secrets Manager.
pub(super) fn open_secrets(table: toml::Table, base: &Path) -> Result<Settings, SettingsError> {
    checked(read(table, PAGE)?, base, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
}

/// The settings of Parameter Store.
pub(super) fn open_parameters(table: toml::Table, base: &Path) -> Result<Settings, SettingsError> {
    let written = of_parameters(table)?;
    checked(written, base, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).as_deref())
}

fn of_parameters(table: toml::Table) -> Result<Written, SettingsError> {
    let written: Written = read(table, PAGE)?;
    if written.batch.is_some() {
        return Err(wrong("batch", "`batch` is a setting of aws-secrets-manager", "leave it out"));
    }
    if written.prefix.as_deref().is_some_and(|prefix| !prefix.starts_with('/')) {
        return Err(wrong("prefix", "`prefix` does not start with `/`", "write \"/prod/\", for example"));
    }
    Ok(written)
}

/// A credential of systemd is looked for when the provider is opened: who checks may be somebody else.
fn check(written: Written, base: &Path) -> Result<Vec<NamedFile>, SettingsError> {
    use Secrecy::{Private, Public};
    let token = written.web_identity.as_ref().map(|it| &it.token_file);
    let container = written.container.as_ref().and_then(|it| it.token_file.as_ref());
    let files = [
        ("ca_file", written.ca_file.as_ref(), Public),
        ("config_file", written.config_file.as_ref(), Private),
        ("shared_credentials_file", written.shared_credentials_file.as_ref(), Private),
        ("credentials_file", written.credentials_file.as_ref(), Private),
        ("web_identity", token, Private),
        ("container", container, Private),
    ];
    let named = |(key, path, secret): (_, Option<&PathBuf>, _)| {
        path.map(|path| NamedFile { key, path: base.join(path), secret })
    };
    let files = files.into_iter().filter_map(named).chain(usual_files()).collect();
    checked(written, base, Some(Path::new("/")))?;
    Ok(files)
}

/// The files that the environment names, or that AWS's own tools write, as far as they are there: what the usual order of
/// credentials looks for.
fn usual_files() -> impl Iterator<Item = NamedFile> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = |name: &str| set("HOME").map(|home| home.join(name));
    [
        (set("AWS_CONFIG_FILE").or_else(|| home(".aws/config")), Secrecy::Public),
        (set("AWS_SHARED_CREDENTIALS_FILE").or_else(|| home(".aws/credentials")), Secrecy::Private),
        (set("AWS_WEB_IDENTITY_TOKEN_FILE"), Secrecy::Public),
        (set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), Secrecy::Public),
    ]
    .into_iter()
    .filter_map(|(path, secret)| {
        let path = path.filter(|path| path.is_absolute() && path.is_file())?;
        Some(NamedFile { key: "source", path, secret })
    })
}

fn checked(written: Written, base: &Path, credentials: Option<&Path>) -> Result<Settings, SettingsError> {
    let regions = regions(written.region, written.regions)?;
    let endpoints = written.endpoints.unwrap_or_default();
    let urls = [
        ("endpoint", &written.endpoint),
        ("sts_endpoint", &written.sts_endpoint),
        ("imds_endpoint", &written.imds_endpoint),
    ];
    let one = urls.into_iter().filter_map(|(key, url)| url.as_ref().map(|url| (key, url)));
    for (key, url) in one.chain(endpoints.values().map(|url| ("endpoints", url))) {
        check_url(key, url)?;
    }
    if let Some(region) = endpoints.keys().find(|region| !regions.contains(region)) {
        let message = format!("`endpoints` has the region \"{region}\", which is none of `regions`");
        return Err(wrong("endpoints", message, "add it to `regions`, or leave it out"));
    }
    let origin = origin(
        Origins {
            named: written.source,
            profile: written.profile,
            keys: written.credentials_file,
            credential: written.credentials_credential,
            web_identity: written.web_identity,
            container: written.container,
        },
        base,
        credentials,
    )?;
    Ok(Settings {
        regions,
        endpoint: written.endpoint,
        endpoints,
        sts_endpoint: written.sts_endpoint,
        imds_endpoint: written.imds_endpoint,
        ca_file: written.ca_file.map(|path| base.join(path)),
        bounds: Bounds::new(written.timeout, written.connect_timeout)?,
        origin,
        profile_files: ProfileFiles {
            config: written.config_file.map(|path| base.join(path)),
            credentials: written.shared_credentials_file.map(|path| base.join(path)),
        },
        roles: roles(written.role, written.external_id, written.roles)?,
        session: session(written.session_name, written.session_duration)?,
        prefix: written.prefix.unwrap_or_default(),
        batch: written.batch.unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn each_wrong_setting_is_named_with_a_hint() {
        for (text, key) in [
            ("regoin = 'x'", "regoin"),
            ("region = 'EU'", "region"),
            ("region = 'a'\nregions = ['b']", "regions"),
            ("regions = []", "regions"),
            ("endpoint = 'localhost'", "endpoint"),
            ("endpoint = 'https://user:word@host'", "endpoint"),
            ("region = 'a'\nendpoints = { b = 'https://b' }", "endpoints"),
            ("timeout = '1ms'", "timeout"),
            ("source = 'file'", "source"),
            ("source = 'instance'\nprofile = 'a'", "profile"),
            ("profile = 'a'\ncredentials_file = 'b'", "credentials_file"),
            ("credentials_credential = '../a'", "credentials_credential"),
            ("web_identity = { role = 'r', token_file = 't' }", "web_identity"),
            ("web_identity = { token_file = 't' }", "web_identity"),
            ("container = { url = 'x' }", "container"),
            ("role = 'hushfs'", "role"),
            ("external_id = 'x'", "external_id"),
            ("role = 'arn:aws:iam::1:role/a'\nroles = []", "roles"),
            ("roles = [{ role = 'x' }]", "roles"),
            ("session_name = 'a b'", "session_name"),
            ("session_duration = '1m'", "session_duration"),
        ] {
            let error = check_secrets(table(text), Path::new("/")).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{text:?}: {error}");
            assert!(error.hint.is_some(), "{text:?}");
        }
        for (text, key) in [("batch = true", "batch"), ("prefix = 'prod/'", "prefix")] {
            let error = check_parameters(table(text), Path::new("/")).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{text:?}: {error}");
        }
    }

    #[test]
    fn each_file_is_named_and_only_authorities_are_public() {
        let text = "ca_file = 'ca'\nconfig_file = 'c'\nshared_credentials_file = 's'\nprofile = 'p'";
        let files = check_secrets(table(text), Path::new("/etc")).unwrap();
        let named: Vec<_> =
            files.iter().map(|file| (file.key, file.path.to_str().unwrap(), file.secret)).collect();
        assert_eq!(
            named,
            [
                ("ca_file", "/etc/ca", Secrecy::Public),
                ("config_file", "/etc/c", Secrecy::Private),
                ("shared_credentials_file", "/etc/s", Secrecy::Private),
            ]
        );
        for (text, path) in [
            ("credentials_file = 'k'", "/etc/k"),
            ("web_identity = { role = 'arn:aws:iam::1:role/r', token_file = '/t' }", "/t"),
            ("container = { url = 'http://127.0.0.1/c', token_file = 't' }", "/etc/t"),
        ] {
            let files = check_parameters(table(text), Path::new("/etc")).unwrap();
            assert_eq!(files.len(), 1, "{text}");
            assert_eq!((files[0].path.to_str().unwrap(), files[0].secret), (path, Secrecy::Private));
        }
    }

    #[test]
    fn a_credential_of_systemd_is_a_file_of_its_directory() {
        let written = || read(table("credentials_credential = 'k'"), PAGE).unwrap();
        assert!(check(written(), Path::new("/")).unwrap().is_empty());
        let error = checked(written(), Path::new("/"), None).unwrap_err();
        assert_eq!(error.key.as_deref(), Some("credentials_credential"));
        let settings = checked(written(), Path::new("/"), Some(Path::new("/run/c"))).unwrap();
        assert_eq!(settings.origin, Origin::Keys("/run/c/k".into()));
    }
}
