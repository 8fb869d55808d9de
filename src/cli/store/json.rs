//! Named values as JSON, as an operator writes them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::providers::store::{Hidden, Name};

/// Why a text is not named values. No part of a value is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum JsonError {
    /// Not JSON, or no object. serde's own message may quote what it read.
    #[error("line {0}: not a JSON object")]
    NotAnObject(usize),
    /// `null`, a list or an object inside.
    #[error("the value of `{0}` is {1}; only texts, numbers, true and false can be values")]
    Nested(String, &'static str),
    /// A name that cannot stand in a reference.
    #[error("a name in the object cannot be used: {0}")]
    BadKey(String),
    /// The same name again.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// `{}`.
    #[error("there are no values in it")]
    Empty,
}

/// Reads an object. Numbers, `true` and `false` become texts, exactly as they are written.
pub(super) fn parse(text: &[u8]) -> Result<BTreeMap<String, Hidden>, JsonError> {
    let pairs: Pairs<'_> =
        serde_json::from_slice(text).map_err(|error| JsonError::NotAnObject(error.line()))?;
    let mut values = BTreeMap::new();
    for (key, raw) in pairs.0 {
        Name::check_key(&key).map_err(|error| JsonError::BadKey(error.to_string()))?;
        let raw = raw.get();
        let value = match raw.bytes().next() {
            Some(b'"') => serde_json::from_str(raw).map_err(|error| JsonError::NotAnObject(error.line()))?,
            Some(b'n') => return Err(JsonError::Nested(key, "null")),
            Some(b'[') => return Err(JsonError::Nested(key, "a list")),
            Some(b'{') => return Err(JsonError::Nested(key, "an object")),
            _ => Hidden(Zeroizing::new(raw.to_owned())),
        };
        if values.insert(key.clone(), value).is_some() {
            return Err(JsonError::Twice(key));
        }
    }
    if values.is_empty() { Err(JsonError::Empty) } else { Ok(values) }
}

/// The pairs in their order, values not yet read: borrowed from the text, so that no copy is left behind.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_become_texts_as_they_are_written() {
        let values =
            parse(br#"{"a":"x\n\u00e9","b":1.10,"c":true,"d":12345678901234567890123,"e":""}"#).unwrap();
        let values: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.0.as_str())).collect();
        assert_eq!(
            values,
            [("a", "x\n\u{e9}"), ("b", "1.10"), ("c", "true"), ("d", "12345678901234567890123"), ("e", "")]
        );
    }

    #[test]
    fn what_is_no_flat_object_is_refused_without_its_values() {
        for (text, error) in [
            ("\"canary\"", JsonError::NotAnObject(1)),
            ("{\"a\":\n\"canary", JsonError::NotAnObject(2)),
            ("[\"canary\"]", JsonError::NotAnObject(1)),
            ("{}", JsonError::Empty),
            ("{\"a\":null}", JsonError::Nested("a".into(), "null")),
            ("{\"a\":[\"canary\"]}", JsonError::Nested("a".into(), "a list")),
            ("{\"a\":{\"b\":\"canary\"}}", JsonError::Nested("a".into(), "an object")),
            ("{\"a\":\"canary\",\"a\":\"canary\"}", JsonError::Twice("a".into())),
        ] {
            let found = parse(text.as_bytes()).err().unwrap();
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains("canary"));
        }
        assert!(matches!(parse(b"{\"a?\":\"canary\"}"), Err(JsonError::BadKey(_))));
    }
}
