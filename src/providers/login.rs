//! Logins of providers: when one was made, and where a provider stands with its own.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// When a provider logged in, by a clock that goes on over a restart of ours: it tells one login from a later one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LoginTime(u64);

impl LoginTime {
    /// Now, in the clock that all processes of this host share and nobody sets.
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
        Self(
            seconds
                .unwrap_or_default()
                .saturating_mul(1_000_000_000)
                .saturating_add(nanos.unwrap_or_default()),
        )
    }

    /// The first moment that is later.
    pub fn just_after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Where a provider stands with its login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoginState {
    /// It needs none.
    NotNeeded,
    /// It has not logged in yet, or its login has ended.
    LoggedOut,
    /// It is logged in.
    LoggedIn {
        /// Until when, where that is known. It may be renewed before.
        until: Option<SystemTime>,
    },
}
