//! The settings as they are written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::Wait;

/// All of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) region: Option<String>,
    pub(super) regions: Option<Vec<String>>,
    pub(super) endpoint: Option<String>,
    pub(super) endpoints: Option<BTreeMap<String, String>>,
    pub(super) sts_endpoint: Option<String>,
    pub(super) imds_endpoint: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) timeout: Option<Wait>,
    pub(super) connect_timeout: Option<Wait>,
    pub(super) source: Option<Named>,
    pub(super) profile: Option<String>,
    pub(super) config_file: Option<PathBuf>,
    pub(super) shared_credentials_file: Option<PathBuf>,
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) credentials_credential: Option<String>,
    pub(super) web_identity: Option<WebIdentity>,
    pub(super) container: Option<Container>,
    pub(super) role: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) roles: Option<Vec<Role>>,
    pub(super) session_name: Option<String>,
    pub(super) session_duration: Option<Wait>,
    pub(super) prefix: Option<String>,
    pub(super) batch: Option<bool>,
}

/// A source that needs no further setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Named {
    Environment,
    Container,
    Instance,
}

/// `web_identity = { … }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebIdentity {
    pub(super) role: String,
    pub(super) token_file: PathBuf,
}

/// `container = { … }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Container {
    pub(super) url: String,
    pub(super) token_file: Option<PathBuf>,
}

/// One of `roles = [{ … }]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    pub(super) role: String,
    pub(super) external_id: Option<String>,
}
