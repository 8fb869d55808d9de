//! A secret as it was fetched, and why there is none.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::clock::Moment;
use crate::format::FormatError;
use crate::providers::{Fetched, Lease, ProviderError, Stamp};
use crate::secret::SecretBytes;

/// A secret as it was fetched: the whole of it.
pub struct Secret {
    /// Its bytes.
    pub bytes: SecretBytes,
    /// The provider's name for this version.
    pub version: String,
    /// When the provider made this version.
    pub created: SystemTime,
    /// When it was fetched.
    pub fetched: SystemTime,
    /// What its owner noted beside it, which is no secret.
    pub notes: BTreeMap<String, String>,
    /// The terms on which it was made for us, where it was.
    pub(super) lease: Option<Lease>,
    /// Until when it holds, where the provider says so.
    pub(super) expires: Option<Moment>,
    stamp: Option<Stamp>,
}

impl Secret {
    /// What was fetched.
    pub fn new(fetched: Fetched) -> Self {
        Self {
            bytes: fetched.bytes,
            version: fetched.version,
            created: fetched.created,
            fetched: SystemTime::now(),
            notes: fetched.notes,
            lease: fetched.lease,
            // At once: who sets the clock later does not move it.
            expires: fetched.expires.map(Moment::at_wall),
            stamp: fetched.stamp,
        }
    }

    /// The state of the local file it came from, if it did.
    pub(super) fn stamp(&self) -> Option<&Stamp> {
        self.stamp.as_ref()
    }

    /// Whether the local file it came from, if it did, is as it was.
    pub(super) fn is_current(&self) -> bool {
        self.stamp.as_ref().is_none_or(Stamp::still_holds)
    }
}

#[cfg(test)]
impl Secret {
    /// A secret that no provider gave.
    pub(crate) fn made_up(bytes: &[u8], version: &str) -> std::sync::Arc<Self> {
        let fetched = Fetched::new(SecretBytes::copy_from(bytes), version, SystemTime::UNIX_EPOCH);
        std::sync::Arc::new(Self { fetched: SystemTime::UNIX_EPOCH, ..Self::new(fetched) })
    }
}

/// The longest time for which a provider can have itself left alone.
const LONGEST: Duration = Duration::from_hours(24);

/// Why there is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The provider says so.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider did not answer in time.
    #[error("the provider did not answer in time")]
    TimedOut,
    /// It waited so long for its turn that the provider was never asked.
    #[error("too much was asked of the provider before it")]
    NotAsked,
    /// There was a value, and it may no longer be served.
    #[error(
        "the last value may no longer be served (`stale_for`, or its lease ended), and there is no new one: {0}"
    )]
    Expired(Box<Self>),
}

impl ResolveError {
    /// That a value ended, for this reason.
    pub(super) fn expired(&self) -> Self {
        match self {
            Self::Expired(_) => self.clone(),
            why => Self::Expired(Box::new(why.clone())),
        }
    }

    /// What it is, now for this reason.
    pub(super) fn because(&self, why: &Self) -> Self {
        match self {
            Self::Expired(_) => why.expired(),
            _ => why.clone(),
        }
    }

    /// That the provider is left alone, for this reason: another secret than the one that is asked for, maybe.
    pub(super) fn left_alone(&self) -> Self {
        match self.cause() {
            Self::Provider(ProviderError::Unavailable { message, .. }) => ProviderError::unavailable(
                format!("the provider is left alone for now, since it failed: {message}"),
            )
            .into(),
            cause => cause.clone(),
        }
    }

    /// Why in the first place.
    pub(super) fn cause(&self) -> &Self {
        match self {
            Self::Expired(cause) => cause.cause(),
            cause => cause,
        }
    }

    /// That a secret has no named values.
    pub fn not_named(why: &FormatError) -> Self {
        ProviderError::Malformed(why.to_string()).into()
    }

    /// Whether it is an answer: there is no such thing.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::NotFound(_)))
    }

    /// Whether it is an answer: there is no such secret, or it is not for us.
    pub fn is_no(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::NotFound(_) | ProviderError::Refused(_)))
    }

    /// Whether somebody must act before it goes better.
    pub(super) fn needs_somebody(&self) -> bool {
        use ProviderError::{Misconfigured, Refused};
        matches!(self, Self::Provider(Refused(_) | Misconfigured(_)))
    }

    /// Whether the provider was not asked, since it would have had to make a credential.
    pub(super) fn would_mint(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::WouldMint(_)))
    }

    /// Whether it says that the provider could not be reached or had too much to do: it passes, and nobody must act.
    pub fn passes(&self) -> bool {
        matches!(self.cause(), Self::TimedOut | Self::Provider(ProviderError::Unavailable { .. }))
    }

    /// How long the provider wants to be left alone, where it says so.
    pub(super) fn asks_to_wait(&self) -> Option<Duration> {
        match self.cause() {
            Self::Provider(ProviderError::Unavailable { retry_after, .. }) => {
                retry_after.map(|asked| asked.min(LONGEST))
            }
            _ => None,
        }
    }
}
