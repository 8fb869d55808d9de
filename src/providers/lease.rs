//! Values that are made for whoever asks: on which terms they hold, and who may have one made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LoginTime;

/// The terms on which a value was made for us alone: a login that was lent, a token, a certificate. To fetch it again would
/// make another, so that whoever has it keeps it for as long as it holds. What is stored somewhere, or is the same for all
/// who ask (as of a role whose password the engine rotates), has no lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What [`Provider::renew`](super::Provider::renew) and [`Provider::revoke`](super::Provider::revoke) of the provider
    /// that gave it take. Means nothing to others.
    pub handle: String,
    /// How long it lasts from now on, if it is not renewed.
    pub lasts: Duration,
    /// How long it lasted when it was made: as much as a renewal asks for. One that is granted less is near its longest life.
    pub term: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// Whether it can be ended before its time.
    pub revocable: bool,
    /// The login that it hangs on: it ends with that one, however long it lasts by itself.
    pub under: Option<LoginTime>,
}

/// Whether a fetch may have something made. Nothing but a read mints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mint {
    /// It may.
    Allowed,
    /// It must not: where it would, it fails with [`ProviderError::WouldMint`](super::ProviderError::WouldMint).
    Never,
}
