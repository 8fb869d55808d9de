//! Which credentials there are: a file that somebody names, those that gcloud left, or the metadata server.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{ProviderError, Stamp, files};

/// Longest file of credentials in bytes.
const LIMIT: usize = 1 << 16;
/// What gcloud leaves in its directory.
const LEFT_BY_GCLOUD: &str = "application_default_credentials.json";
/// The metadata server's address, which needs no resolver.
const METADATA: &str = "http://169.254.169.254";

/// Where credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A file in one of Google's forms.
    File(PathBuf),
    /// A metadata server, by its address.
    Metadata(String),
    /// A file if it is there, and else a metadata server.
    Either(PathBuf, String),
}

/// What of a process's environment has to do with it.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// `$CREDENTIALS_DIRECTORY`, of systemd.
    pub(super) credentials: Option<PathBuf>,
    /// `$GOOGLE_APPLICATION_CREDENTIALS`.
    pub(super) named: Option<PathBuf>,
    /// gcloud's directory.
    pub(super) gcloud: Option<PathBuf>,
    /// `$GCE_METADATA_HOST`.
    pub(super) metadata: Option<String>,
}

/// Credentials as a file has them.
pub(super) enum Credentials {
    /// The key of a service account, which signs its own tokens.
    ServiceAccount(Value),
    /// Somebody's own, as gcloud leaves them.
    User(User),
    /// A token of somebody else's, exchanged for one of Google's.
    External(Box<External>),
    /// The same, of a machine at AWS: there a request is signed.
    Aws(Value),
    /// One account in the name of another.
    Impersonated(Box<Impersonated>),
    /// Those of the machine, from the metadata server at this address.
    Machine(String),
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) refresh_token: String,
    pub(super) token_uri: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct External {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) service_account_impersonation_url: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) workforce_pool_user_project: Option<String>,
    pub(super) credential_source: Subject,
}

/// Where the token of somebody else is.
#[derive(Deserialize)]
pub(super) struct Subject {
    pub(super) file: Option<PathBuf>,
    pub(super) url: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) format: Option<Format>,
}

#[derive(Deserialize)]
pub(super) struct Format {
    pub(super) r#type: String,
    pub(super) subject_token_field_name: Option<String>,
}

pub(super) struct Impersonated {
    pub(super) url: String,
    pub(super) delegates: Vec<String>,
    pub(super) of: Credentials,
}

/// Credentials, whose calls are counted to that project, and the state of the file that they come from.
pub(super) struct Read {
    pub(super) credentials: Credentials,
    pub(super) quota_project: Option<String>,
    pub(super) stamp: Option<Stamp>,
}

impl Surroundings {
    /// Google's application default credentials.
    pub(super) fn usual(&self) -> Place {
        if let Some(file) = &self.named {
            return Place::File(file.clone());
        }
        let metadata =
            self.metadata.as_deref().map_or_else(|| METADATA.to_owned(), |host| format!("http://{host}"));
        match &self.gcloud {
            Some(gcloud) => Place::Either(gcloud.join(LEFT_BY_GCLOUD), metadata),
            None => Place::Metadata(metadata),
        }
    }
}

impl Place {
    /// The metadata server at that host, if it can be one.
    pub(super) fn metadata(host: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        (!host.is_empty() && host.chars().all(plain)).then(|| Self::Metadata(format!("http://{host}")))
    }

    /// The file to be checked before it is used.
    pub(super) fn named(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Either(path, _) => path.is_file().then(|| path.clone()),
            Self::Metadata(_) => None,
        }
    }

    /// Reads what is there.
    pub(super) async fn read(&self) -> Result<Read, ProviderError> {
        let machine = |url: &String| {
            Ok(Read { credentials: Credentials::Machine(url.clone()), quota_project: None, stamp: None })
        };
        let path = match self {
            Self::Metadata(url) => return machine(url),
            Self::File(path) | Self::Either(path, _) => path,
        };
        let at = || format!("the credentials in {}", path.display());
        let (text, stamp) = match (files::read_stamped(path, LIMIT).await, self) {
            (Ok(read), _) => read,
            // Nor is one lent to the fetcher that was not there when the settings were read.
            (Err(error), Self::Either(_, url))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
            {
                return machine(url);
            }
            (Err(error), _) => {
                return Err(ProviderError::Misconfigured(format!("{} cannot be read: {error}", at())));
            }
        };
        let value: Value = serde_json::from_slice(&text)
            .map_err(|_| ProviderError::Misconfigured(format!("{} are not JSON", at())))?;
        let quota_project = value.get("quota_project_id").and_then(Value::as_str).map(str::to_owned);
        let credentials = Credentials::of(value)
            .map_err(|fault| ProviderError::Misconfigured(format!("{}: {fault}", at())))?;
        Ok(Read { credentials, quota_project, stamp: Some(stamp) })
    }
}

impl Credentials {
    /// What a file holds. An error says nothing of its values.
    fn of(value: Value) -> Result<Self, String> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let source = |name: &str| value.pointer(&format!("/credential_source/{name}")).is_some();
        match kind.as_str() {
            "service_account" => Ok(Self::ServiceAccount(value)),
            "authorized_user" => parse(value).map(Self::User),
            "external_account" if source("environment_id") => Ok(Self::Aws(value)),
            "external_account" if source("executable") => Err("`executable` is not run here; \
                have it write the token to a file, and name that one as `file`"
                .to_owned()),
            "external_account" => parse(value).map(|external| Self::External(Box::new(external))),
            "impersonated_service_account" => {
                #[derive(Deserialize)]
                struct Written {
                    service_account_impersonation_url: String,
                    #[serde(default)]
                    delegates: Vec<String>,
                    source_credentials: Value,
                }
                let written: Written = parse(value)?;
                let of = match Self::of(written.source_credentials)? {
                    Self::Impersonated(_) => {
                        return Err("one account in the name of another, once".to_owned());
                    }
                    of => of,
                };
                let (url, delegates) = (written.service_account_impersonation_url, written.delegates);
                Ok(Self::Impersonated(Box::new(Impersonated { url, delegates, of })))
            }
            _ => Err("`type` is none of service_account, authorized_user, external_account, \
                impersonated_service_account"
                .to_owned()),
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let message = error.inner().to_string();
        match message.strip_prefix("missing field ") {
            Some(field) => format!("{field} is missing"),
            None => format!("`{}` is not what it should be", error.path()),
        }
    })
}

/// The file that the credentials at `path` say another's token is in, if they do.
pub(super) fn token_file(path: &Path) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Outer {
        credential_source: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        file: PathBuf,
    }
    // Whether it is to be trusted is judged afterwards; a pipe would keep us waiting.
    path.is_file().then_some(())?;
    let mut text = zeroize::Zeroizing::new(Vec::new());
    files::open(path).ok()?.take(LIMIT as u64).read_to_end(&mut text).ok()?;
    let outer: Outer = serde_json::from_slice(&text).ok()?;
    Some(outer.credential_source.file).filter(|file| file.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        Credentials::of(serde_json::from_str(text).unwrap()).err().unwrap()
    }

    #[test]
    fn what_a_file_lacks_is_told_without_what_it_has() {
        let secret = "hunter2";
        for (text, told) in [
            (format!(r#"{{"type": "{secret}"}}"#), "`type` is none of"),
            (
                format!(r#"{{"type": "authorized_user", "client_id": "{secret}"}}"#),
                "`client_secret` is missing",
            ),
            (
                format!(r#"{{"type": "authorized_user", "client_id": ["{secret}"]}}"#),
                "`client_id` is not what",
            ),
            (
                format!(
                    r#"{{"type": "external_account", "credential_source": {{"executable": "{secret}"}}}}"#
                ),
                "`executable` is not run",
            ),
        ] {
            let fault = fault(&text);
            assert!(fault.contains(told) && !fault.contains(secret), "{text}: {fault}");
        }
    }

    #[test]
    fn the_environment_is_asked_in_googles_order() {
        let mut around = Surroundings::default();
        assert_eq!(around.usual(), Place::Metadata(METADATA.to_owned()));
        around.metadata = Some("127.0.0.1:80".to_owned());
        assert_eq!(around.usual(), Place::Metadata("http://127.0.0.1:80".to_owned()));
        around.gcloud = Some("/g".into());
        let file = PathBuf::from("/g/application_default_credentials.json");
        assert_eq!(around.usual(), Place::Either(file, "http://127.0.0.1:80".to_owned()));
        around.named = Some("/key.json".into());
        assert_eq!(around.usual(), Place::File("/key.json".into()));
    }
}
