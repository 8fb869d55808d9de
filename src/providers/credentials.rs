//! Credentials that systemd hands to the unit: files in `$CREDENTIALS_DIRECTORY`, named without a path (`*_credential`).

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::SettingsError;
use super::settings::wrong;

/// Where they are, if systemd handed out any.
pub(crate) fn directory() -> Option<OsString> {
    std::env::var_os("CREDENTIALS_DIRECTORY")
}

/// Checks the name that the setting `key` gives. `instead` says which setting takes a path.
///
/// # Errors
/// When it is no plain name.
pub(crate) fn check_name(key: &str, name: &str, instead: &str) -> Result<(), SettingsError> {
    let mut parts = Path::new(name).components();
    if matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none() {
        return Ok(());
    }
    let hint =
        format!("it is a file's name in $CREDENTIALS_DIRECTORY; for another file write a path as {instead}");
    Err(wrong(key, format!("`{key}` is a name, not a path"), hint))
}

/// The file of that name in `directory`.
///
/// # Errors
/// When there is no directory.
pub(crate) fn file(key: &str, name: &str, directory: Option<&Path>) -> Result<PathBuf, SettingsError> {
    directory.map(|directory| directory.join(name)).ok_or_else(|| {
        wrong(
            key,
            format!("`{key} = \"{name}\"` means a file in $CREDENTIALS_DIRECTORY, which is not set"),
            format!("add `LoadCredential={name}:/path/to/file` to the unit that runs hushfs"),
        )
    })
}
