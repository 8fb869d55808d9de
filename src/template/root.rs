//! What a rendering is given, and how functions and filters come by it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, State, Value};

use super::ledger::{Failure, Ledger};

/// Under which name it is found. No variable can have it.
const PLACE: &str = " root";

/// The values by the text that they are called with.
pub(super) type Shown = BTreeMap<Arc<str>, Result<Value, Failure>>;

/// What a rendering is given.
pub(super) struct Root {
    pub(super) ledger: Arc<Ledger>,
    texts: Shown,
    trees: Shown,
}

impl Root {
    pub(super) fn new(ledger: Arc<Ledger>, texts: Shown, trees: Shown) -> Self {
        Self { ledger, texts, trees }
    }

    /// What `secret` gives.
    pub(super) fn text(&self, reference: &str) -> Result<Value, Failure> {
        one(&self.texts, reference)
    }

    /// What `secret_json` gives.
    pub(super) fn tree(&self, reference: &str) -> Result<Value, Failure> {
        one(&self.trees, reference)
    }
}

fn one(shown: &Shown, reference: &str) -> Result<Value, Failure> {
    shown.get(reference).cloned().unwrap_or(Err(Failure::Undefined))
}

/// The names that a template sees without setting them: none but the place of the root, which nobody can write.
struct Names(Value);

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str() == Some(PLACE)).then(|| self.0.clone())
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        (key == PLACE).then(|| self.0.clone())
    }
}

impl Object for Root {}

macro_rules! says_nothing {
    ($($value:ty),*) => {$(
        impl fmt::Debug for $value {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values")
            }
        }
    )*};
}
says_nothing!(Root, Names);

/// The context of a rendering.
pub(super) fn context(root: Root) -> Value {
    Value::from_object(Names(Value::from_object(root)))
}

/// Runs `call` with the ledger of a rendering.
pub(super) fn with<T>(
    state: &State<'_, '_>,
    call: impl FnOnce(&Root) -> Result<T, Failure>,
) -> Result<T, Error> {
    let place = state.lookup(PLACE);
    let root = place.as_ref().and_then(|place| place.downcast_object_ref::<Root>());
    let root = root.ok_or_else(|| Error::from(ErrorKind::InvalidOperation))?;
    call(root).map_err(|failure| root.ledger.error(failure))
}
