//! The embedded store: one age-encrypted file on this host, no server needed.
//!
//! This folder owns the file and its key: layout, encryption, locking and atomic replacement. It must not know a
//! terminal or an operator (`cli/store/` does), and no plaintext ever leaves it for a file.
//!
//! ```text
//!  provider.rs   fetches: snapshot in memory -> the value          (runs in the fetcher)
//!  site.rs       reads and changes: lock, open, change, seal, replace   (used by the command line)
//!    |-- file.rs      stamp, lock, atomic replacement
//!    |-- seal.rs      age: ciphertext <-> plaintext
//!    |-- key.rs       the key file, plain or under a passphrase
//!    '-- document.rs  what is inside: recipients, secrets, versions
//! ```

use super::{
    Asks, Fetched, Kind, Listing, Mint, NamedFile, Provider, ProviderError, Runs, Secrecy, SettingsError,
    Stamp, listing,
};

mod document;
mod error;
mod file;
mod key;
mod name;
mod provider;
mod seal;
mod settings;
mod site;
mod snapshot;
mod wiping;

pub(crate) use document::{Document, Hidden, KEEP, VALUE_LIMIT, Value, Version};
pub(crate) use error::StoreError;
pub(crate) use key::{Keys, Protection, passphrase_from};
pub(crate) use name::Name;
pub(crate) use site::{Change, Site, check_recipient, write_key};
pub(crate) use wiping::Wiping;

/// The line in the table of kinds.
pub(super) const KIND: Kind = Kind {
    name: "store",
    about: "an age-encrypted file on this host; no server needed",
    runs: Runs::Confined,
    asks: Asks::LocalFile,
    mints: |_| false,
    check: settings::check,
    open: settings::open,
};
