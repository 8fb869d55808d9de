//! Profiles, in the files that AWS's own tools write: `~/.aws/config` and `~/.aws/credentials`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;

use super::super::settings::{Origin, Role};
use super::ini::{self, Section, Sections};
use super::keys::{self, FILE_LIMIT};
use super::{ProviderError, Stamp, Tools, files, unreadable};

/// What needs a program or a person, and so is not done here.
const NEEDS_MORE: [&str; 5] =
    ["credential_process", "sso_session", "sso_start_url", "login_session", "mfa_serial"];

/// All profiles.
pub(super) struct Profiles(Sections);

/// A profile, followed to its end.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) base: Base,
    /// To be assumed with what the base gives, in order.
    pub(super) roles: Vec<Role>,
}

/// What a profile starts from.
#[derive(Debug)]
pub(super) enum Base {
    Keys(Credentials),
    Elsewhere(Origin),
}

/// The profile that is meant where none is named.
pub(super) fn usual(tools: &Tools<'_>) -> String {
    (tools.environment)("AWS_PROFILE").unwrap_or_else(|| "default".into())
}

/// The region that the profile names.
pub(super) async fn region(origin: &Origin, tools: &Tools<'_>) -> Result<Option<String>, ProviderError> {
    let name = match origin {
        Origin::Profile(name) => name.clone(),
        _ => usual(tools),
    };
    let (profiles, _) = read(tools).await?;
    Ok(profiles
        .0
        .get(&name)
        .and_then(|section| section.get("region"))
        .map(|region| region.as_str().to_owned()))
}

/// Where profiles are looked for, for a message.
pub(super) fn places(tools: &Tools<'_>) -> String {
    let places: Vec<_> =
        paths(tools).into_iter().flatten().map(|(path, _)| path.display().to_string()).collect();
    if places.is_empty() {
        "any file: HOME is not set; name them with `config_file` and `shared_credentials_file`".into()
    } else {
        places.join(" and ")
    }
}

/// The files of `config` and of `credentials`, each with the setting that names it.
fn paths(tools: &Tools<'_>) -> [Option<(PathBuf, Option<&'static str>)>; 2] {
    let home = (tools.environment)("HOME").map(PathBuf::from);
    let of = |named: &Option<PathBuf>, key, variable: &str, usual: &str| {
        if let Some(path) = named {
            return Some((path.clone(), Some(key)));
        }
        let elsewhere = (tools.environment)(variable).map(PathBuf::from);
        elsewhere.or_else(|| home.as_ref().map(|home| home.join(usual))).map(|path| (path, None))
    };
    let named = &tools.settings.profile_files;
    [
        of(&named.config, "config_file", "AWS_CONFIG_FILE", ".aws/config"),
        of(&named.credentials, "shared_credentials_file", "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    ]
}

/// Reads both files. One that is not named in the settings may be missing.
pub(super) async fn read(tools: &Tools<'_>) -> Result<(Profiles, Vec<Stamp>), ProviderError> {
    let mut profiles = Sections::new();
    let mut stamps = Vec::new();
    let [config, credentials] = paths(tools);
    if let Some((path, key)) = config
        && let Some((sections, stamp)) = read_one(&path, key).await?
    {
        // `[profile default]` counts more than `[default]`, so it comes later.
        let (long, short): (Vec<_>, Vec<_>) =
            sections.into_iter().partition(|(name, _)| name.starts_with("profile "));
        let short = short.into_iter().filter(|(name, _)| name == "default");
        let long =
            long.into_iter().map(|(name, section)| (name.trim_start_matches("profile ").to_owned(), section));
        for (name, section) in short.chain(long) {
            profiles.insert(name, section);
        }
        stamps.push(stamp);
    }
    if let Some((path, key)) = credentials
        && let Some((sections, stamp)) = read_one(&path, key).await?
    {
        for (name, section) in sections {
            profiles.entry(name).or_default().extend(section);
        }
        stamps.push(stamp);
    }
    Ok((Profiles(profiles), stamps))
}

async fn read_one(
    path: &Path,
    key: Option<&'static str>,
) -> Result<Option<(Sections, Stamp)>, ProviderError> {
    let (bytes, stamp) = match files::read_stamped(path, FILE_LIMIT).await {
        Ok(read) => read,
        Err(error)
            if key.is_none() && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(key.unwrap_or("profile"), path, &error)),
    };
    ini::parse(&bytes).map(|sections| Some((sections, stamp))).map_err(|line| keys::no_ini(path, line))
}

impl Profiles {
    /// What the profile `name` starts from, and the roles on its way; `None` where it has nothing of the kind.
    pub(super) fn resolve(&self, name: &str) -> Result<Option<Resolved>, ProviderError> {
        self.follow(name, &mut Vec::new())
    }

    fn follow<'a>(
        &'a self,
        name: &'a str,
        before: &mut Vec<&'a str>,
    ) -> Result<Option<Resolved>, ProviderError> {
        let wrong = |what: String| ProviderError::Misconfigured(format!("the profile `{name}` {what}"));
        let Some(section) = self.0.get(name) else { return Ok(None) };
        if before.contains(&name) {
            return Err(wrong("has itself for a `source_profile`, in the end".into()));
        }
        if let Some(key) = NEEDS_MORE.into_iter().find(|key| section.contains_key(*key)) {
            return Err(wrong(format!(
                "has `{key}`, which needs a program or a person: take a role, or keys in a file"
            )));
        }
        let whence = format!("the profile `{name}`");
        let Some(role) = role(section) else {
            let keys = keys::of_section(section, &whence)?;
            return Ok(keys.map(|keys| Resolved { base: Base::Keys(keys), roles: Vec::new() }));
        };
        let value = |key: &str| section.get(key).map(|value| value.as_str());
        let mut resolved = if let Some(token_file) = value("web_identity_token_file") {
            let origin = Origin::WebIdentity { role: role.arn, token_file: token_file.into() };
            return Ok(Some(Resolved { base: Base::Elsewhere(origin), roles: Vec::new() }));
        } else if let Some(source) = value("source_profile").filter(|source| *source != name) {
            before.push(name);
            let none = || wrong(format!("has the `source_profile` `{source}`, which has no credentials"));
            self.follow(source, before)?.ok_or_else(none)?
        } else if let Some(source) = value("credential_source") {
            let origin = match source {
                "Environment" => Origin::Environment,
                "Ec2InstanceMetadata" => Origin::Instance,
                "EcsContainer" => Origin::Container(None),
                _ => return Err(wrong("has a `credential_source` that AWS does not know".into())),
            };
            Resolved { base: Base::Elsewhere(origin), roles: Vec::new() }
        } else {
            let none =
                || wrong("has a `role_arn`, and nothing to assume it with: add `source_profile`".into());
            Resolved {
                base: Base::Keys(keys::of_section(section, &whence)?.ok_or_else(none)?),
                roles: Vec::new(),
            }
        };
        resolved.roles.push(role);
        Ok(Some(resolved))
    }
}

fn role(section: &Section) -> Option<Role> {
    let arn = section.get("role_arn")?.as_str().to_owned();
    Some(Role { arn, external_id: section.get("external_id").map(|id| id.as_str().to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profiles(text: &str) -> Profiles {
        Profiles(ini::parse(text.as_bytes()).unwrap())
    }

    fn error(text: &str) -> String {
        profiles(text).resolve("a").unwrap_err().to_string()
    }

    #[test]
    fn roles_are_assumed_from_the_source_on() {
        let text = "[a]\nrole_arn = A\nsource_profile = b\nexternal_id = x\n[b]\nrole_arn = B\nsource_profile = c\n\
                    [c]\naws_access_key_id = K\naws_secret_access_key = S\n";
        let resolved = profiles(text).resolve("a").unwrap().unwrap();
        let Base::Keys(keys) = resolved.base else { panic!("not keys") };
        assert_eq!((keys.access_key_id(), keys.session_token()), ("K", None));
        let roles: Vec<_> =
            resolved.roles.iter().map(|role| (role.arn.as_str(), role.external_id.as_deref())).collect();
        assert_eq!(roles, [("B", None), ("A", Some("x"))]);
    }

    #[test]
    fn what_a_profile_starts_from() {
        let base = |text: &str| match profiles(text).resolve("a").unwrap().unwrap().base {
            Base::Elsewhere(origin) => origin,
            Base::Keys(_) => panic!("keys"),
        };
        assert_eq!(base("[a]\nrole_arn = A\ncredential_source = Ec2InstanceMetadata\n"), Origin::Instance);
        assert_eq!(
            base("[a]\nrole_arn = A\nweb_identity_token_file = /t\n"),
            Origin::WebIdentity { role: "A".into(), token_file: "/t".into() }
        );
        assert!(profiles("[b]\n").resolve("a").unwrap().is_none());
        assert!(profiles("[a]\nregion = r\n").resolve("a").unwrap().is_none());
        // A profile may name itself: then its own keys assume its role.
        let own = profiles(
            "[a]\nrole_arn = A\nsource_profile = a\naws_access_key_id = K\naws_secret_access_key = S\n",
        );
        assert_eq!(own.resolve("a").unwrap().unwrap().roles.len(), 1);
    }

    #[test]
    fn what_cannot_be_followed_says_why() {
        for (text, says) in [
            ("[a]\nrole_arn = A\nsource_profile = b\n[b]\nrole_arn = B\nsource_profile = a\n", "itself"),
            ("[a]\nrole_arn = A\nsource_profile = b\n", "no credentials"),
            ("[a]\nrole_arn = A\n", "source_profile"),
            ("[a]\nrole_arn = A\ncredential_source = x\n", "credential_source"),
            ("[a]\ncredential_process = /bin/x\n", "credential_process"),
            ("[a]\naws_access_key_id = K\n", "aws_secret_access_key"),
        ] {
            assert!(error(text).contains(says), "{}", error(text));
        }
    }
}
