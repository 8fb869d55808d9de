//! Keys in a file: `aws_access_key_id`, `aws_secret_access_key` and, of a session, `aws_session_token`.

use std::path::Path;

use aws_credential_types::Credentials;

use super::ini::{self, Section};
use super::{Found, ProviderError, files, unreadable};

/// Longest file of keys or profiles.
pub(super) const FILE_LIMIT: usize = 256 << 10;

/// The keys in the file at `path`: above all sections, in the section `default`, or in the only one.
pub(super) async fn find(path: &Path) -> Result<Found, ProviderError> {
    let (bytes, stamp) = files::read_stamped(path, FILE_LIMIT)
        .await
        .map_err(|error| unreadable("credentials_file", path, &error))?;
    let sections = ini::parse(&bytes).map_err(|line| no_ini(path, line))?;
    let mut all = sections.values();
    let only = all.next().filter(|_| all.next().is_none());
    let section = sections.get(ini::TOP).or_else(|| sections.get("default")).or(only);
    let whence = format!("the file {}", path.display());
    let credentials = section.map(|section| of_section(section, &whence)).transpose()?.flatten();
    let credentials = credentials.ok_or_else(|| {
        ProviderError::Misconfigured(format!(
            "there is no `aws_access_key_id` in {}, above all sections or in `[default]`",
            path.display()
        ))
    })?;
    Ok(Found { credentials, whence, stamps: vec![stamp], roles: Vec::new() })
}

/// The keys in a section, if it has any.
pub(super) fn of_section(section: &Section, whence: &str) -> Result<Option<Credentials>, ProviderError> {
    let value = |key: &str| section.get(key).map(|value| value.as_str()).filter(|value| !value.is_empty());
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(id), Some(secret)) => {
            let token = value("aws_session_token").map(str::to_owned);
            Ok(Some(Credentials::new(id, secret, token, None, "file")))
        }
        (None, None) => Ok(None),
        (id, _) => {
            let missing = if id.is_some() { "aws_secret_access_key" } else { "aws_access_key_id" };
            Err(ProviderError::Misconfigured(format!("{whence} has no `{missing}`")))
        }
    }
}

/// A file that is not in AWS's form. The line is not shown: it may be a key.
pub(super) fn no_ini(path: &Path, line: usize) -> ProviderError {
    let path = path.display();
    ProviderError::Misconfigured(format!("line {line} of {path} is neither `[section]` nor `key = value`"))
}
