//! AWS: Secrets Manager and Parameter Store, on the AWS SDK.
//!
//! This folder owns signing in at AWS and the two services. Of the SDK it takes signatures, endpoints and the services'
//! protocols. Files of the host are read by `providers::files` alone, and credentials are found, kept and renewed here: so
//! it is known where they came from, and what to do when they are refused.
//!
//! ```text
//!  secrets.rs   aws-secrets-manager        parameters.rs   aws-parameter-store
//!    |-- batch.rs, value.rs   many secrets at once, and one
//!    |-- list.rs              what is below a name, page by page
//!    '-- session.rs           one question: credentials, regions in turn, what is asked again
//!          |-- login/           credentials: where from, roles, when anew
//!          |-- fault.rs         what went wrong, and who must act
//!          '-- http.rs          TLS, proxies, the limit of an answer
//! ```

use super::{
    Asks, Fetched, Kind, Listing, LoginState, Mint, NamedFile, Provider, ProviderError, Runs, Secrecy,
    SettingsError, Stamp, files, listing,
};

mod arn;
mod batch;
mod fault;
mod http;
mod list;
mod login;
mod parameters;
mod secrets;
mod session;
mod settings;
mod value;

/// The line of Secrets Manager in the table of kinds.
pub(super) const SECRETS_MANAGER: Kind = Kind {
    name: "aws-secrets-manager",
    about: "AWS Secrets Manager: by name or ARN, version or stage",
    runs: Runs::Confined,
    asks: Asks::Service,
    mints: |_| false,
    check: settings::check_secrets,
    open: secrets::open,
};

/// The line of Parameter Store in the table of kinds.
pub(super) const PARAMETER_STORE: Kind = Kind {
    name: "aws-parameter-store",
    about: "AWS Systems Manager Parameter Store: decrypted, by path, version or label",
    runs: Runs::Confined,
    asks: Asks::Service,
    mints: |_| false,
    check: settings::check_parameters,
    open: parameters::open,
};
