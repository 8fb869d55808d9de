//! A secret of named values: a JSON object.
//!
//! Stores that keep any JSON also keep ports as numbers: what is no string is the text that it is written as.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::FormatError;
use crate::secret::SecretBytes;
use crate::sys::stack;

/// Named values in the order in which the provider gave them, borrowed from the secret where nothing was escaped. What
/// had to be copied is wiped by the allocator (`main.rs`).
pub(super) struct Named<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

struct Text<'a>(Cow<'a, str>);

struct Value<'a>(Cow<'a, str>);

impl<'a> Named<'a> {
    #[expect(clippy::disallowed_methods, reason = "the value is parsed here, and errors say nothing of it")]
    pub(super) fn parse(secret: &'a SecretBytes) -> Result<Self, FormatError> {
        serde_json::from_slice(secret.expose_secret()).map_err(|_| {
            // Where the parser finds a mistake it looks for its line, with a copy of the text around in its frames.
            stack::wiped_after(|| FormatError::NotNamed)
        })
    }

    /// The value of one key, as bytes.
    pub(super) fn one(&self, key: &str) -> Result<SecretBytes, FormatError> {
        let (_, value) = self.find(key)?;
        Ok(SecretBytes::copy_from(value.as_bytes()))
    }

    /// Only this key.
    pub(super) fn only(self, key: &str) -> Result<Self, FormatError> {
        let (name, value) = self.find(key)?;
        Ok(Self(vec![(name.clone(), value.clone())]))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    fn find(&self, key: &str) -> Result<&(Cow<'a, str>, Cow<'a, str>), FormatError> {
        self.0.iter().find(|(name, _)| name == key).ok_or_else(|| FormatError::NoSuchKey(key.to_owned()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Named<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Text(name), Value(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Named(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(One)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let written = <&'de RawValue>::deserialize(from)?.get();
        if !written.starts_with('"') {
            return Ok(Self(Cow::Borrowed(written)));
        }
        let text = serde_json::from_str(written);
        text.map(|Text(text)| Self(text)).map_err(|_| D::Error::custom("a string that is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_string_is_its_text() {
        let text = br#"{"user": "a\"b\u00e9", "port": 5432, "rate": 1.50, "on": true, "none": null, "more": {"a": [1, "x"]}}"#;
        let secret = SecretBytes::copy_from(text);
        let named = Named::parse(&secret).unwrap();
        let pairs: Vec<_> = named.iter().collect();
        let wanted = [
            ("user", "a\"b\u{e9}"),
            ("port", "5432"),
            ("rate", "1.50"),
            ("on", "true"),
            ("none", "null"),
            ("more", r#"{"a": [1, "x"]}"#),
        ];
        assert_eq!(pairs, wanted);
    }

    #[test]
    fn what_is_no_object_has_no_names() {
        for text in ["", "x", "5", "[\"a\"]", "\"a\"", "{\"a\":1", "{\"a\":\"\\x\"}", "{\"a\":1}{"] {
            let secret = SecretBytes::copy_from(text.as_bytes());
            assert!(matches!(Named::parse(&secret), Err(FormatError::NotNamed)), "{text}");
        }
    }
}
