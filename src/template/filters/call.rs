//! One call of a filter.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr, ValueKind};
use zeroize::Zeroizing;

use crate::template::Show;
use crate::template::json;
use crate::template::ledger::{Failure, Ledger};
use crate::template::tree::{Blob, plain};
use crate::template::writer::Writer;

/// How a mark begins.
const MARK: char = '‹';

/// What a filter is given.
pub(super) struct Call<'c> {
    pub(super) input: &'c Value,
    pub(super) args: &'c [Value],
    pub(super) ledger: &'c Arc<Ledger>,
}

/// What a filter makes.
pub(super) enum Made {
    /// Text or bytes.
    Bytes(Writer),
    /// Any value.
    Value(Value),
}

impl Made {
    pub(super) fn value(self, ledger: &Arc<Ledger>) -> Result<Value, Failure> {
        Ok(match self {
            Self::Bytes(bytes) => plain(bytes.bytes(), ledger),
            Self::Value(value) => value,
        })
    }
}

impl<'c> Call<'c> {
    /// What is made is written there: it stops where a file would be too large.
    pub(super) fn writer(&self, expected: usize) -> Writer {
        Writer::new(self.ledger.max, expected)
    }

    /// The input as it is printed. Whoever reads it takes a step for each few bytes.
    pub(super) fn text(&self) -> Result<Cow<'c, str>, Failure> {
        let text = json::text(self.input, self.ledger)?;
        self.ledger.step(1 + text.len() / 4)?;
        Ok(text)
    }

    /// The input as it is.
    pub(super) fn bytes(&self) -> Result<Cow<'c, [u8]>, Failure> {
        if let Some(blob) = self.input.downcast_object_ref::<Blob>() {
            self.ledger.step(1 + blob.bytes.len() / 4)?;
            return Ok(Cow::Borrowed(&blob.bytes));
        }
        Ok(match self.text()? {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// An argument that is text.
    pub(super) fn arg_text(&self, nth: usize, name: &str) -> Result<&'c str, Failure> {
        let text = self.args.get(nth).and_then(Value::as_str);
        text.ok_or_else(|| Failure::Other(format!("`{name}` must be a text")))
    }

    /// An argument that is text, where there is one.
    pub(super) fn arg_text_or(&self, nth: usize, name: &str, left_out: &'c str) -> Result<&'c str, Failure> {
        match self.args.get(nth).filter(|arg| !arg.is_none()) {
            None => Ok(left_out),
            Some(_) => self.arg_text(nth, name),
        }
    }

    /// An argument that is a small number.
    pub(super) fn arg_number(&self, nth: usize, name: &str, max: usize) -> Result<Option<usize>, Failure> {
        match self.args.get(nth).filter(|arg| !arg.is_none()) {
            None => Ok(None),
            Some(given) => {
                let number = given.as_usize().filter(|number| given.is_integer() && *number <= max);
                let wrong = || Failure::Other(format!("`{name}` must be a whole number up to {max}"));
                number.map(Some).ok_or_else(wrong)
            }
        }
    }

    /// An argument that says yes or no.
    pub(super) fn arg_switch(&self, nth: usize, name: &str) -> Result<bool, Failure> {
        match self.args.get(nth).filter(|arg| !arg.is_none()) {
            None => Ok(false),
            Some(switch) if switch.kind() == ValueKind::Bool => Ok(switch.is_true()),
            Some(_) => Err(Failure::Other(format!("`{name}` must be true or false"))),
        }
    }

    /// The items of a list, or the keys of an object.
    pub(super) fn items(&self) -> Result<Vec<Value>, Failure> {
        let object = self.input.as_object();
        let listed = object.filter(|object| object.repr() != ObjectRepr::Plain);
        let items = listed.and_then(|object| object.try_iter());
        let items = items.ok_or_else(|| Failure::new("this is no list and no object"))?;
        self.collect(items)
    }

    /// The pairs of an object.
    pub(super) fn pairs(&self) -> Result<Vec<(Value, Value)>, Failure> {
        let object = self.input.as_object().filter(|object| object.repr() == ObjectRepr::Map);
        let pairs = object.and_then(|object| object.try_iter_pairs());
        let pairs = pairs.ok_or_else(|| Failure::new("this is no object"))?;
        self.collect(pairs)
    }

    /// These, each a step: what is lazy may go on for long.
    pub(super) fn collect<T>(&self, items: impl Iterator<Item = T>) -> Result<Vec<T>, Failure> {
        let counted = items.map(|item| self.ledger.step(4).map(|()| item));
        let items: Result<Vec<_>, _> = counted.collect();
        items.and_then(|items| self.ledger.failed().map_or(Ok(items), Err))
    }

    /// Whether the input has a mark in it that stands for a value.
    pub(super) fn is_mark(&self) -> bool {
        self.ledger.show == Show::Marks && self.input.as_str().is_some_and(|text| text.contains(MARK))
    }
}

/// A list whose every place holds the mark that it was made of.
#[derive(Debug)]
struct Everywhere(Zeroizing<String>);

impl Object for Everywhere {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        key.is_integer().then(|| Value::from(self.0.as_str()))
    }

    fn enumerate(self: &Arc<Self>) -> minijinja::value::Enumerator {
        minijinja::value::Enumerator::Seq(1)
    }
}

/// What a mark is taken apart to.
pub(super) fn everywhere(mark: &str) -> Made {
    Made::Value(Value::from_object(Everywhere(Zeroizing::new(mark.to_owned()))))
}
