//! The settings of a provider of kind `store`.
//!
//! ```toml
//! [provider.local]
//! kind = "store"
//! path = "/var/lib/hushfs/store.age"
//! # key = "store.key"                     default: `path` with the extension `.key`
//! # credential = "store-key"              or a file in $CREDENTIALS_DIRECTORY (systemd)
//! # passphrase_file = "store.passphrase"  or passphrase_credential = "...": when the key is under a passphrase
//! ```

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::super::credentials;
use super::super::settings::wrong;
use super::provider::Store;
use super::{NamedFile, Provider, Secrecy, SettingsError, Site};

const KEYS: [&str; 5] = ["path", "key", "credential", "passphrase_file", "passphrase_credential"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    path: PathBuf,
    key: Option<PathBuf>,
    credential: Option<String>,
    passphrase_file: Option<PathBuf>,
    passphrase_credential: Option<String>,
}

/// Reads the settings and names the files in them. Credentials are not named: systemd made them and guards them.
pub(super) fn check(settings: toml::Table, base: &Path) -> Result<Vec<NamedFile>, SettingsError> {
    let settings = read(settings)?;
    let named = |key, path: &Path| NamedFile { key, path: base.join(path), secret: Secrecy::Private };
    let mut files = vec![named("path", &settings.path)];
    match (&settings.key, &settings.credential) {
        (Some(key), _) => files.push(named("key", key)),
        (None, Some(_)) => {}
        (None, None) => files.push(named("path", &Site::default_key(&settings.path))),
    }
    files.extend(settings.passphrase_file.iter().map(|path| named("passphrase_file", path)));
    Ok(files)
}

/// Opens the provider. Its files are first read when something is fetched.
pub(super) fn open(settings: toml::Table, base: &Path) -> Result<Box<dyn Provider>, SettingsError> {
    open_in(settings, base, credentials::directory())
}

fn open_in(
    settings: toml::Table,
    base: &Path,
    directory: Option<OsString>,
) -> Result<Box<dyn Provider>, SettingsError> {
    let settings = read(settings)?;
    let path = base.join(&settings.path);
    let directory = directory.map(PathBuf::from);
    let credential = |key: &str, name: &str| credentials::file(key, name, directory.as_deref());
    let key = match (&settings.key, &settings.credential) {
        (Some(key), _) => base.join(key),
        (None, Some(name)) => credential("credential", name)?,
        (None, None) => Site::default_key(&path),
    };
    let passphrase = match (&settings.passphrase_file, &settings.passphrase_credential) {
        (Some(file), _) => Some(base.join(file)),
        (None, Some(name)) => Some(credential("passphrase_credential", name)?),
        (None, None) => None,
    };
    Ok(Box::new(Store::new(Site { path, key }, passphrase)))
}

fn read(table: toml::Table) -> Result<Settings, SettingsError> {
    let at_fault = table
        .iter()
        .find(|(key, value)| !KEYS.contains(&key.as_str()) || !value.is_str())
        .map_or("path", |(key, _)| key.as_str())
        .to_owned();
    let settings: Settings = table.try_into().map_err(|error: toml::de::Error| {
        let hint = format!("a store takes {}, each a text; `path` is required", KEYS.join(", "));
        wrong(&at_fault, error.message().to_owned(), hint)
    })?;
    for (key, path) in [
        ("path", Some(&settings.path)),
        ("key", settings.key.as_ref()),
        ("passphrase_file", settings.passphrase_file.as_ref()),
    ] {
        if path.is_some_and(|path| path.file_name().is_none()) {
            return Err(wrong(key, format!("`{key}` names no file"), "write the path of a file".to_owned()));
        }
    }
    for (key, name) in
        [("credential", &settings.credential), ("passphrase_credential", &settings.passphrase_credential)]
    {
        if let Some(name) = name {
            credentials::check_name(key, name, "`key` or `passphrase_file`")?;
        }
    }
    if settings.key.is_some() && settings.credential.is_some() {
        return Err(wrong(
            "credential",
            "`key` and `credential` both name the key".to_owned(),
            "keep one".to_owned(),
        ));
    }
    if settings.passphrase_file.is_some() && settings.passphrase_credential.is_some() {
        let message = "`passphrase_file` and `passphrase_credential` both name the passphrase".to_owned();
        return Err(wrong("passphrase_credential", message, "keep one".to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn relative_paths_start_at_the_base_and_the_key_is_named_too() {
        let files = check(table("path = 'a/store.age'"), Path::new("/etc/hushfs")).unwrap();
        let paths: Vec<_> =
            files.iter().map(|file| (file.key, file.path.to_str().unwrap(), file.secret)).collect();
        assert_eq!(
            paths,
            [
                ("path", "/etc/hushfs/a/store.age", Secrecy::Private),
                ("path", "/etc/hushfs/a/store.key", Secrecy::Private),
            ]
        );
        let files = check(table("path = '/s'\nkey = 'k'\npassphrase_file = 'p'"), Path::new("/b")).unwrap();
        let paths: Vec<_> = files.iter().map(|file| (file.key, file.path.to_str().unwrap())).collect();
        assert_eq!(paths, [("path", "/s"), ("key", "/b/k"), ("passphrase_file", "/b/p")]);
    }

    #[test]
    fn each_wrong_setting_is_named_with_a_hint() {
        for (text, key) in [
            ("", "path"),
            ("path = 1", "path"),
            ("path = '/'", "path"),
            ("path = 'a'\nkee = 'b'", "kee"),
            ("path = 'a'\nkey = 'b'\ncredential = 'c'", "credential"),
            ("path = 'a'\ncredential = '../c'", "credential"),
            ("path = 'a'\ncredential = ''", "credential"),
            ("path = 'a'\npassphrase_file = 'b'\npassphrase_credential = 'c'", "passphrase_credential"),
        ] {
            let error = check(table(text), Path::new("/")).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{text:?}: {error}");
            assert!(error.hint.is_some(), "{text:?}");
        }
    }

    #[test]
    fn a_credential_without_its_directory_is_an_error_at_open_only() {
        let settings = || table("path = 'a'\ncredential = 'k'");
        assert_eq!(check(settings(), Path::new("/")).unwrap().len(), 1);
        let error = open_in(settings(), Path::new("/"), None).err().unwrap();
        assert_eq!(error.key.as_deref(), Some("credential"));
        assert!(open_in(settings(), Path::new("/"), Some("/run/c".into())).is_ok());
    }
}
