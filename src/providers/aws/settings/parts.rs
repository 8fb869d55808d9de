//! The settings that are checked by more than their form.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Origin, Role, Session, SettingsError, Wait, written, wrong};

/// AWS's shortest and longest session of a role.
const SESSIONS: std::ops::RangeInclusive<Duration> = Duration::from_secs(900)..=Duration::from_secs(43_200);

/// The regions, by either key.
pub(super) fn regions(
    one: Option<String>,
    several: Option<Vec<String>>,
) -> Result<Vec<String>, SettingsError> {
    let (key, regions) = match (one, several) {
        (Some(_), Some(_)) => {
            return Err(wrong("regions", "`region` and `regions` both name the region", "keep one"));
        }
        (Some(region), None) => ("region", vec![region]),
        (None, Some(regions)) if regions.is_empty() => {
            return Err(wrong("regions", "`regions` is empty", "name one, or leave it out"));
        }
        (None, Some(regions)) => ("regions", regions),
        (None, None) => ("regions", Vec::new()),
    };
    let plain = |region: &String| {
        !region.is_empty()
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match regions.iter().find(|region| !plain(region)) {
        Some(_) => Err(wrong(key, "that is no region", "regions look like \"eu-central-1\"")),
        None => Ok(regions),
    }
}

/// Whether it is a URL without a user, a password or a question.
pub(super) fn check_url(key: &str, url: &str) -> Result<(), SettingsError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['@', ' ', '?', '#']) => Ok(()),
        _ => Err(wrong(
            key,
            format!("`{key}` is no URL"),
            "write it as \"https://HOST\" or \"https://HOST:PORT\"",
        )),
    }
}

/// The settings that each name where credentials come from.
pub(super) struct Origins {
    pub(super) named: Option<written::Named>,
    pub(super) profile: Option<String>,
    pub(super) keys: Option<PathBuf>,
    pub(super) credential: Option<String>,
    pub(super) web_identity: Option<written::WebIdentity>,
    pub(super) container: Option<written::Container>,
}

/// The one of them that is written.
pub(super) fn origin(
    written: Origins,
    base: &Path,
    credentials: Option<&Path>,
) -> Result<Origin, SettingsError> {
    let mut found = Vec::new();
    if let Some(named) = written.named {
        let origin = match named {
            written::Named::Environment => Origin::Environment,
            written::Named::Container => Origin::Container(None),
            written::Named::Instance => Origin::Instance,
        };
        found.push(("source", origin));
    }
    found.extend(written.profile.map(|name| ("profile", Origin::Profile(name))));
    found.extend(written.keys.map(|path| ("credentials_file", Origin::Keys(base.join(path)))));
    if let Some(name) = written.credential {
        found.push(("credentials_credential", Origin::Keys(credential(&name, credentials)?)));
    }
    if let Some(it) = written.web_identity {
        check_role("web_identity", &it.role)?;
        found.push((
            "web_identity",
            Origin::WebIdentity { role: it.role, token_file: base.join(it.token_file) },
        ));
    }
    if let Some(it) = written.container {
        check_url("container", &it.url)?;
        found.push((
            "container",
            Origin::Container(Some((it.url, it.token_file.map(|path| base.join(path))))),
        ));
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((first, _)), Some((second, _))) => {
            let message = format!("`{first}` and `{second}` both say where credentials come from");
            Err(wrong(second, message, "keep one; a role is assumed with what comes from there"))
        }
        (Some((_, origin)), None) => Ok(origin),
        (None, _) => Ok(Origin::Chain),
    }
}

/// The file of a credential of systemd.
fn credential(name: &str, directory: Option<&Path>) -> Result<PathBuf, SettingsError> {
    let key = "credentials_credential";
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        let hint = "it is a file's name in $CREDENTIALS_DIRECTORY; for another file use `credentials_file`";
        return Err(wrong(key, format!("`{key}` is a name, not a path"), hint));
    }
    let Some(directory) = directory else {
        return Err(wrong(
            key,
            format!("`{key} = \"{name}\"` means a file in $CREDENTIALS_DIRECTORY, which is not set"),
            format!("add `LoadCredential={name}:/path/to/file` to the unit that runs hushfs"),
        ));
    };
    Ok(directory.join(name))
}

/// The roles, by either key.
pub(super) fn roles(
    role: Option<String>,
    external_id: Option<String>,
    roles: Option<Vec<written::Role>>,
) -> Result<Vec<Role>, SettingsError> {
    let (key, roles) = match (role, roles) {
        (Some(_), Some(_)) => {
            return Err(wrong(
                "roles",
                "`role` and `roles` both name roles",
                "write all of them in `roles`, in order",
            ));
        }
        (Some(arn), None) => ("role", vec![Role { arn, external_id }]),
        (None, _) if external_id.is_some() => {
            return Err(wrong(
                "external_id",
                "`external_id` belongs to a `role`, and there is none",
                "add `role`; in `roles` write it beside the role",
            ));
        }
        (None, roles) => {
            let of = |it: written::Role| Role { arn: it.role, external_id: it.external_id };
            ("roles", roles.unwrap_or_default().into_iter().map(of).collect())
        }
    };
    roles.iter().try_for_each(|role| check_role(key, &role.arn))?;
    Ok(roles)
}

fn check_role(key: &str, arn: &str) -> Result<(), SettingsError> {
    let plain = arn.starts_with("arn:") && arn.contains(":role/") && !arn.contains(char::is_whitespace);
    if plain {
        return Ok(());
    }
    Err(wrong(key, "that is no role's ARN", "roles look like \"arn:aws:iam::123456789012:role/hushfs\""))
}

/// How sessions are to be named and how long they last.
pub(super) fn session(name: Option<String>, lasts: Option<Wait>) -> Result<Session, SettingsError> {
    let name = name.unwrap_or_else(|| "hushfs".to_owned());
    let plain = |c: char| c.is_ascii_alphanumeric() || "_=,.@-+".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(plain) {
        let hint = "2 to 64 letters, digits and any of `_=,.@-+`";
        return Err(wrong("session_name", "`session_name` is not one that AWS takes", hint));
    }
    let lasts = lasts.map(|lasts| lasts.0);
    if lasts.is_some_and(|lasts| !SESSIONS.contains(&lasts)) {
        return Err(wrong(
            "session_duration",
            "`session_duration` is out of range",
            "choose from \"15m\" to \"12h\"",
        ));
    }
    Ok(Session { name, lasts })
}
