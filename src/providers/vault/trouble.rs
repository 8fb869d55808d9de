//! Why an address is of no use, and what that comes to when none is.

use std::time::Duration;

use super::ProviderError;

/// What came instead of an answer.
pub(super) enum Trouble {
    /// This server does not answer; another may.
    Away {
        /// What was seen.
        message: String,
        /// Who must act.
        who: Who,
        retry_after: Option<Duration>,
        sent: Sent,
    },
    /// No other server would do better.
    Final(ProviderError),
}

/// How far the request got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was not carried out.
    No,
    /// The connection was closed before anything was answered, as happens to one that was kept for too long.
    Cut,
    /// Nobody knows whether it was carried out.
    Maybe,
}

/// Who must act before the address is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// It passes.
    Nobody,
    /// The settings are wrong.
    Operator,
}

/// What was seen at several addresses.
#[derive(Default)]
pub(super) struct Troubles {
    seen: Vec<String>,
    passes: bool,
    retry_after: Option<Duration>,
}

impl Troubles {
    pub(super) fn add(&mut self, address: &str, message: &str, who: Who, retry_after: Option<Duration>) {
        self.seen.push(format!("{address}: {message}"));
        self.passes |= who == Who::Nobody;
        self.retry_after = self.retry_after.max(retry_after);
    }

    /// What it comes to.
    pub(super) fn error(self) -> ProviderError {
        let message = self.seen.join("; ");
        if self.passes {
            ProviderError::Unavailable { message, retry_after: self.retry_after }
        } else {
            ProviderError::Misconfigured(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_at_one_address_passes() {
        let mut troubles = Troubles::default();
        troubles.add("https://a", "its certificate has expired", Who::Operator, None);
        troubles.add("https://b", "it is sealed", Who::Nobody, Some(Duration::from_secs(3)));
        let message = "https://a: its certificate has expired; https://b: it is sealed".to_owned();
        let retry_after = Some(Duration::from_secs(3));
        assert_eq!(troubles.error(), ProviderError::Unavailable { message, retry_after });
    }
}
