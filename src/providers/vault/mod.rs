//! HashiCorp Vault and OpenBao: key/value secrets of both versions, and any other engine by its path, with its lease.
//!
//! This folder owns what is said to a Vault: how to log in, where a secret is, what its answers mean. Requests are made on
//! `reqwest` directly. The client library vaultrs reads bodies of any length into memory, repeats a body that it cannot
//! parse in its error, and drops lease id and time to live; each of the three would break a promise of this crate.
//!
//! ```text
//!  provider.rs    fetch: a session, the mount, the secret; once more with a new session if the old one is gone
//!    |-- session.rs    the token in use: one login for all who wait, renewal, failures that are not repeated at once
//!    |     '-- login.rs      what each way of logging in sends: credential.rs, wrapped.rs; what it gives: tokens.rs, or denied.rs
//!    |-- mounts.rs     which engine is mounted where
//!    |-- listing.rs    what is below a path of a key/value engine
//!    |-- leases.rs     what was lent is renewed, ended; what would be lent
//!    |-- secret.rs     answers -> values, versions, leases
//!    |     '-- values.rs     a JSON object -> an object of strings
//!    '-- cluster.rs    one request to whichever address answers it
//!          |-- client.rs     the HTTP client with its certificates
//!          |-- exchange.rs   one request to one address, bounded in time and length
//!          '-- trouble.rs    why an address is of no use
//!  answers.rs     what all answers have in common
//!  settings.rs    the table of the configuration, with auth.rs and address.rs
//! ```

use super::{
    Asks, Fetched, Kind, Lease, Listing, LoginState, LoginTime, Mint, NamedFile, Provider, ProviderError,
    Runs, Secrecy, SettingsError, Stamp,
};

mod address;
mod answers;
mod auth;
mod client;
mod cluster;
mod credential;
mod denied;
mod exchange;
mod leases;
mod listing;
mod login;
mod mounts;
mod provider;
mod secret;
mod session;
mod settings;
mod tokens;
mod trouble;
mod values;
mod wrapped;

/// The line in the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "vault",
    about: "HashiCorp Vault or OpenBao: key/value secrets, and any other engine by its path",
    runs: Runs::Confined,
    asks: Asks::Service,
    // Which engine a path leads to, the server alone knows.
    mints: |_| true,
    check: settings::check,
    open: provider::open,
};
