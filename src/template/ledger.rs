//! What is written down while a template is rendered: why it failed, and how much was done.
//!
//! The engine's own errors may quote a value. None of their words are passed on: what failed here says so in the ledger, and
//! of the others only the kind and the line are told.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use minijinja::{Error, ErrorKind};
use parking_lot::Mutex;

use super::Show;

/// What is said of bytes.
pub(super) const NO_TEXT: &str =
    "the value is not text (UTF-8): only `b64encode`, `hexencode` and `pem` take it";

/// What is looked at while values are walked, compared and written, beside what the engine counts: no rendering looks at more,
/// but that there are two for each byte that a file may have.
const STEPS: i64 = 1 << 21;

/// Why something cannot be done. Never carries a byte of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// A key that a secret does not have: which one, of what.
    NoSuchKey(String),
    /// More bytes than a file may have.
    TooLarge,
    /// Too many steps.
    TooMuch,
    /// A value that is not there.
    Undefined,
    /// Anything else.
    Other(String),
}

impl Failure {
    /// In these words.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self::Other(what.into())
    }
}

/// The ledger of one rendering.
pub(super) struct Ledger {
    /// What it was given.
    pub(super) show: Show,
    /// The longest file, in bytes.
    pub(super) max: u64,
    /// The keys that the template names.
    keys: Arc<BTreeSet<String>>,
    steps: AtomicI64,
    missed: Mutex<Option<String>>,
    failed: Mutex<Option<Failure>>,
}

impl Ledger {
    pub(super) fn new(show: Show, max: u64, keys: Arc<BTreeSet<String>>) -> Self {
        let steps = i64::try_from(max).unwrap_or(i64::MAX).saturating_mul(2).saturating_add(STEPS);
        let steps = AtomicI64::new(steps);
        Self { show, max, keys, steps, missed: Mutex::default(), failed: Mutex::default() }
    }

    /// Takes so many steps. Once there are none left there never are.
    pub(super) fn step(&self, steps: usize) -> Result<(), Failure> {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX / 2);
        let before = self.steps.load(Ordering::Relaxed);
        self.steps.store(before.saturating_sub(steps), Ordering::Relaxed);
        if before < steps {
            self.fail(Failure::TooMuch);
            return Err(Failure::TooMuch);
        }
        Ok(())
    }

    /// Notes a key that was looked for in the secret `of` and is not there. It may be well: there are defaults.
    pub(super) fn miss(&self, key: Option<&str>, of: &str) {
        // A key that is worked out may be part of a value.
        let said = match key.filter(|key| self.keys.contains(*key)) {
            Some(key) => format!("the key `{key}` is not there, in the secret `{of}`"),
            None => format!("what was looked up is not there, in the secret `{of}`"),
        };
        *self.missed.lock() = Some(said);
    }

    /// A key that was missed was taken care of.
    pub(super) fn found(&self) {
        self.missed.lock().take();
    }

    /// What was missed last.
    pub(super) fn missed(&self) -> Option<String> {
        self.missed.lock().take()
    }

    /// Notes why the rendering fails: what failed first, in words that are ours.
    pub(super) fn fail(&self, failure: Failure) {
        self.failed.lock().get_or_insert(failure);
    }

    /// Why the rendering fails.
    pub(super) fn failed(&self) -> Option<Failure> {
        self.failed.lock().clone()
    }

    /// For the engine: an error that says nothing itself.
    pub(super) fn error(&self, failure: Failure) -> Error {
        let kind = match failure {
            Failure::Undefined => return Error::from(ErrorKind::UndefinedError),
            _ => ErrorKind::InvalidOperation,
        };
        self.fail(failure);
        Error::from(kind)
    }
}

/// Says nothing of what was rendered.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}
