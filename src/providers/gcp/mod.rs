//! Google Cloud's Secret Manager.
//!
//! This folder owns its REST interface and the ways to log in to it. The requests are our own, on one bounded client:
//! Google's client library reads an answer whole however long it is, takes no authority of one's own, and repeats a server's
//! words in its errors. What has to be signed (keys of service accounts, requests to AWS) is left to `google-cloud-auth`.
//!
//! ```text
//!  provider.rs     a fetch from top to bottom: log in, ask, check, and once more where that helps
//!    |-- login.rs      one token for all fetches, until it ends or is refused
//!    |     |-- source.rs    which credentials there are: file, environment, metadata server
//!    |     '-- exchange.rs  a token for them: OAuth, STS, impersonation, metadata
//!    |-- name.rs       reference -> resource
//!    |-- answer.rs     what Secret Manager answers, and its errors by who must act
//!    '-- http.rs       the client: bounds, authority, no redirects
//! ```

use super::{
    Asks, Fetched, Kind, Listing, LoginState, Mint, NamedFile, Provider, ProviderError, Runs, Secrecy,
    SettingsError, Stamp, files,
};

mod answer;
mod exchange;
mod http;
mod login;
mod name;
mod provider;
mod settings;
mod source;

/// The line in the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "gcp-secret-manager",
    about: "Secret Manager of Google Cloud",
    runs: Runs::Confined,
    asks: Asks::Service,
    mints: |_| false,
    check: settings::check,
    open: settings::open,
};
