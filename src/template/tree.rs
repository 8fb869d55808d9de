//! A secret as a template sees it: a text, bytes, or what is in its JSON, in its order.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::json;
use super::ledger::{Failure, Ledger, NO_TEXT};

/// Objects with more keys than that are looked up by a table.
const FEW: usize = 16;

/// How far values stand in one another: as far as serde_json follows.
const LEVELS: usize = 127;

/// What is read of a secret belongs to it and to one rendering.
#[derive(Clone)]
pub(super) struct Origin {
    /// The reference.
    pub(super) secret: Arc<str>,
    pub(super) ledger: Arc<Ledger>,
}

/// An object, in the order of the secret. Of a key that is there twice the last counts, as in `#key`.
pub(super) struct Branch {
    origin: Origin,
    pairs: Vec<(Value, Value)>,
    places: Option<HashMap<String, usize>>,
}

/// A list.
pub(super) struct Row {
    origin: Origin,
    items: Vec<Value>,
}

/// A number that would be written otherwise: it stays as it is.
pub(super) struct Number(pub(super) Arc<str>);

/// Bytes that are no text.
pub(super) struct Blob {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) ledger: Arc<Ledger>,
}

/// These bytes, as text where they are.
pub(super) fn plain(bytes: &[u8], ledger: &Arc<Ledger>) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => {
            let bytes = Zeroizing::new(bytes.to_vec());
            Value::from_object(Blob { bytes, ledger: Arc::clone(ledger) })
        }
    }
}

/// Reads JSON.
pub(super) fn read(json: &[u8], origin: &Origin) -> Result<Value, Failure> {
    origin.ledger.step(1 + json.len() / 8)?;
    let read =
        serde_json::from_slice(json).ok().and_then(|raw: &RawValue| one(raw.get(), origin, 0).transpose());
    read.unwrap_or_else(|| Err(Failure::Other(format!("the secret `{}` is not JSON", origin.secret))))
}

/// One value; none where it is not JSON, or nested too deep.
fn one(text: &str, origin: &Origin, level: usize) -> Result<Option<Value>, Failure> {
    // What stands in one another is looked over once for each level.
    origin.ledger.step(1 + text.len() / 8)?;
    if level > LEVELS {
        return Ok(None);
    }
    let value = match text.as_bytes().first() {
        Some(b'{') => {
            let Ok(Pairs(read)) = serde_json::from_str(text) else { return Ok(None) };
            let mut branch = Branch { origin: origin.clone(), pairs: Vec::new(), places: None };
            if read.len() > FEW {
                branch.places = Some(HashMap::with_capacity(read.len()));
            }
            branch.pairs.reserve_exact(read.len());
            for (key, value) in read {
                let Some(value) = one(value.get(), origin, level + 1)? else { return Ok(None) };
                // A key that is there twice is what it is last, as to most who read JSON and to `#key`.
                if let Some(at) = branch.place(&key)
                    && let Some((_, known)) = branch.pairs.get_mut(at)
                {
                    *known = value;
                    continue;
                }
                branch.pairs.push((Value::from(key.as_str()), value));
                if let Some(places) = &mut branch.places {
                    places.insert(key, branch.pairs.len() - 1);
                }
            }
            Value::from_object(branch)
        }
        Some(b'[') => {
            let Ok(read) = serde_json::from_str::<Vec<&RawValue>>(text) else { return Ok(None) };
            let mut items = Vec::with_capacity(read.len());
            for item in read {
                let Some(item) = one(item.get(), origin, level + 1)? else { return Ok(None) };
                items.push(item);
            }
            Value::from_object(Row { origin: origin.clone(), items })
        }
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(text) => Value::from(Zeroizing::new(text).as_str()),
            Err(_) => return Ok(None),
        },
        Some(b't') => Value::from(true),
        Some(b'f') => Value::from(false),
        Some(b'n') => Value::from(()),
        _ => number(text),
    };
    Ok(Some(value))
}

fn number(text: &str) -> Value {
    if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
        return Value::from(number);
    }
    if let Some(number) = text.parse::<f64>().ok().filter(|number| number.to_string() == text) {
        return Value::from(number);
    }
    Value::from_object(Number(text.into()))
}

/// An object as it is written.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Written)
    }
}

impl Branch {
    fn find(&self, key: &str) -> Option<Value> {
        self.pairs.get(self.place(key)?).map(|(_, value)| value.clone())
    }

    /// Where a key stands.
    fn place(&self, key: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(key).copied(),
            None => self.pairs.iter().position(|(name, _)| name.as_str() == Some(key)),
        }
    }
}

impl Object for Branch {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some(key) => self.get_value_by_str(key),
            None => {
                self.origin.ledger.miss(None, &self.origin.secret);
                None
            }
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.origin.ledger.step(1).ok()?;
        let found = self.find(key);
        if found.is_none() {
            self.origin.ledger.miss(Some(key), &self.origin.secret);
        }
        found
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        if self.origin.ledger.step(1 + self.pairs.len()).is_err() {
            return Enumerator::Empty;
        }
        let this = Arc::clone(self);
        let keys = (0..self.pairs.len()).filter_map(move |at| this.pairs.get(at).map(|(key, _)| key.clone()));
        Enumerator::Iter(Box::new(keys))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.pairs.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json::render(&Value::from_dyn_object(Arc::clone(self)), &self.origin.ledger, f)
    }
}

impl Object for Row {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.origin.ledger.step(1).ok()?;
        let found = key.as_usize().and_then(|at| self.items.get(at)).cloned();
        if found.is_none() {
            self.origin.ledger.miss(None, &self.origin.secret);
        }
        found
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.origin.ledger.step(1 + self.items.len()) {
            Ok(()) => Enumerator::Seq(self.items.len()),
            Err(_) => Enumerator::Empty,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json::render(&Value::from_dyn_object(Arc::clone(self)), &self.origin.ledger, f)
    }
}

impl Object for Number {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is printed is text, and what is put into one: bytes are neither.
impl Object for Blob {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ledger.fail(Failure::new(NO_TEXT));
        Ok(())
    }
}

macro_rules! says_nothing {
    ($($value:ty),*) => {$(
        impl fmt::Debug for $value {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
        }
    )*};
}
says_nothing!(Branch, Row, Number, Blob);
