//! Any program as a provider: it is asked in JSON on its standard input and answers in JSON on its standard output.
//!
//! This folder owns starting the program, bounding it and reading its answer. No byte of what it says but the value, its
//! version and its times ever gets out of here: of an error only the kind, of standard error only the length.
//!
//! ```text
//!  settings.rs   what can be set
//!  provider.rs   one fetch, listing, renewal or revocation: question, program, answer
//!  program.rs    the program (crate::program) as it is run for one of them
//!  protocol.rs   question and answer in JSON
//! ```

use super::{
    Asks, Fetched, Kind, Lease, Listing, Mint, NamedFile, Provider, ProviderError, Runs, Secrecy,
    SettingsError,
};

mod program;
mod protocol;
mod provider;
mod settings;

/// The line in the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "command",
    about: "any program: JSON in, JSON out",
    runs: Runs::WithPrograms,
    asks: Asks::Service,
    mints: |settings| settings.get("mints").and_then(toml::Value::as_bool).unwrap_or(false),
    check: settings::check,
    open: settings::open,
};
