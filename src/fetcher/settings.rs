//! What the front knows of a provider.

use std::path::PathBuf;

/// A provider to open in the fetcher.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderSettings {
    /// Its name in references.
    pub name: String,
    /// Its kind's name.
    pub kind: &'static str,
    /// Its settings without `kind`.
    pub table: toml::Table,
    /// What relative paths start from.
    pub base: PathBuf,
}
