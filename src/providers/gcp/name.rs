//! What a reference names at Secret Manager.

use super::ProviderError;
use crate::reference::Reference;

const NO_PLACE: &str = "this is no project's number or id, or no location's name";

/// One secret at one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    /// `projects/P/secrets/S`, or `projects/P/locations/L/secrets/S`.
    pub(super) resource: String,
    /// Its project.
    pub(super) project: String,
    /// Where it is kept, for a regional secret.
    pub(super) location: Option<String>,
    /// The secret's own name.
    pub(super) secret: String,
    /// A number, an alias, or `latest`.
    pub(super) version: String,
}

impl Name {
    /// The name that `reference` stands for where nothing else is said: in that project and at that location.
    ///
    /// # Errors
    /// When it can be no secret's name, with what to write instead.
    pub(super) fn of(
        reference: &Reference,
        project: Option<&str>,
        location: Option<&str>,
    ) -> Result<Self, ProviderError> {
        let path = reference.path();
        let wrong = |what: &str| Err(ProviderError::Misconfigured(format!("`{path}`: {what}")));
        let parts: Vec<_> = path.split('/').collect();
        let (project, location, secret) = match *parts.as_slice() {
            [secret] => match project {
                Some(project) => (project, location, secret),
                None => return wrong("in which project? set `project`, or write `projects/P/secrets/NAME`"),
            },
            ["projects", project, "secrets", secret] => (project, None, secret),
            ["projects", project, "locations", location, "secrets", secret] => {
                (project, Some(location), secret)
            }
            ["projects", .., "versions", _] => return wrong("write the version as `?version=`"),
            _ => return wrong("write the secret's name, or `projects/P/secrets/NAME`"),
        };
        if !is_project(project) || !location.is_none_or(is_location) {
            return wrong(NO_PLACE);
        }
        if !is_plain(secret) {
            return wrong("a secret's name has letters, digits, `-` and `_`, at most 255");
        }
        let version = reference.version().unwrap_or("latest");
        if !is_plain(version) {
            return wrong("a version is a number, an alias or `latest`");
        }
        let at = location.map(|location| format!("/locations/{location}")).unwrap_or_default();
        Ok(Self {
            resource: format!("projects/{project}{at}/secrets/{secret}"),
            project: project.to_owned(),
            location: location.map(str::to_owned),
            secret: secret.to_owned(),
            version: version.to_owned(),
        })
    }

    /// What gcloud is to be told with a command about one of its versions.
    pub(super) fn command(&self, verb: &str) -> String {
        let Self { project, secret, version, .. } = self;
        let at = self.location.as_ref().map(|location| format!(" --location={location}")).unwrap_or_default();
        let what = match verb {
            "list" => secret.clone(),
            _ => format!("{version} --secret={secret}"),
        };
        format!("gcloud secrets versions {verb} {what} --project={project}{at}")
    }
}

/// Where secrets are: all of one project, or of one location of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Collection {
    /// `projects/P/secrets`, or `projects/P/locations/L/secrets`.
    pub(super) resource: String,
    /// Where they are kept, for regional secrets.
    pub(super) location: Option<String>,
}

impl Collection {
    /// What is below `under`. A secret's name has no segments, so that only what stands before a whole one has secrets below it.
    ///
    /// # Errors
    /// When it can be no such thing, with what to write instead.
    pub(super) fn of(under: &Reference) -> Result<Self, ProviderError> {
        let path = under.path();
        let wrong = |what: &str| Err(ProviderError::Misconfigured(format!("`{path}`: {what}")));
        let parts: Vec<_> = path.split('/').collect();
        let (project, location) = match *parts.as_slice() {
            ["projects", project, "secrets"] => (project, None),
            ["projects", project, "locations", location, "secrets"] => (project, Some(location)),
            _ => {
                return wrong(
                    "names of secrets have no `/` in them, so that nothing is below one; write `projects/P/secrets`, or `projects/P/locations/L/secrets`",
                );
            }
        };
        if !is_project(project) || !location.is_none_or(is_location) {
            return wrong(NO_PLACE);
        }
        Ok(Self { resource: path.to_owned(), location: location.map(str::to_owned) })
    }
}

/// Whether it can be a project: a number, an id, or an id with its domain.
pub(super) fn is_project(text: &str) -> bool {
    is_made_of(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c))
}

/// Whether it can be a location, which becomes part of a host's name.
pub(super) fn is_location(text: &str) -> bool {
    is_made_of(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_plain(text: &str) -> bool {
    is_made_of(text, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn is_made_of(text: &str, of: impl Fn(char) -> bool) -> bool {
    (1..=255).contains(&text.len()) && text.chars().all(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(reference: &str) -> Result<Name, ProviderError> {
        Name::of(&reference.parse().unwrap(), Some("shop"), Some("europe-west3"))
    }

    #[test]
    fn a_bare_name_is_completed_from_the_settings_and_a_whole_one_is_not() {
        for (reference, resource, location, version) in [
            ("g:db", "projects/shop/locations/europe-west3/secrets/db", Some("europe-west3"), "latest"),
            ("g:projects/12/secrets/db#k?version=3", "projects/12/secrets/db", None, "3"),
            (
                "g:projects/example.com:p/locations/us-east1/secrets/db?version=prod",
                "projects/example.com:p/locations/us-east1/secrets/db",
                Some("us-east1"),
                "prod",
            ),
        ] {
            let name = name(reference).unwrap();
            assert_eq!((name.resource.as_str(), name.location.as_deref()), (resource, location));
            assert_eq!((name.secret.as_str(), name.version.as_str()), ("db", version));
        }
    }

    #[test]
    fn commands_name_all_that_gcloud_needs() {
        let enable = name("g:db?version=3").unwrap().command("enable");
        assert_eq!(
            enable,
            "gcloud secrets versions enable 3 --secret=db --project=shop --location=europe-west3"
        );
        let list = name("g:projects/12/secrets/db").unwrap().command("list");
        assert_eq!(list, "gcloud secrets versions list db --project=12");
    }

    #[test]
    fn secrets_are_below_what_stands_before_a_whole_name() {
        let of = |text: &str| Collection::of(&text.parse().unwrap());
        for (reference, location) in [
            ("g:projects/shop/secrets", None),
            ("g:projects/12/locations/us-east1/secrets", Some("us-east1")),
        ] {
            let collection = of(reference).unwrap();
            assert_eq!(format!("g:{}", collection.resource), reference);
            assert_eq!(collection.location.as_deref(), location);
        }
        for reference in [
            "g:app",
            "g:app/db",
            "g:projects/shop",
            "g:projects/P/secrets",
            "g:projects/p/locations/e.x/secrets",
        ] {
            assert!(matches!(of(reference), Err(ProviderError::Misconfigured(_))), "{reference}");
        }
    }

    #[test]
    fn what_can_be_no_name_is_told() {
        for (reference, told) in [
            ("g:a/b", "write the secret's name"),
            ("g:projects/p/secrets/s/versions/3", "as `?version=`"),
            ("g:projects/P/secrets/s", "no project's number"),
            ("g:projects/p/locations/evil.example/secrets/s", "no location's name"),
            ("g:a b", "a secret's name has letters"),
            ("g:a:access", "a secret's name has letters"),
            ("g:a?version=1:destroy", "a version is a number"),
        ] {
            let error = name(reference).unwrap_err().to_string();
            assert!(error.starts_with("misconfigured: ") && error.contains(told), "{reference}: {error}");
        }
        let error = Name::of(&"g:db".parse().unwrap(), None, None).unwrap_err().to_string();
        assert!(error.contains("set `project`"), "{error}");
    }
}
