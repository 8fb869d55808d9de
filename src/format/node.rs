//! A JSON value in a secret, as it is written there: read no further than is asked for.
//!
//! Numbers stay the text that they are, so that `1.50` and what is too long for 64 bits arrive as they were stored.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::FormatError;
use crate::secret::SecretBytes;
use crate::sys::stack;

/// How deep objects and lists may stand in each other where all of them are written. What wipes the stack reaches that deep.
pub(super) const DEPTH: usize = 48;

/// One value, borrowed from the secret.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(&'a RawValue);

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Bool,
    Null,
    List,
    Object,
}

/// Named values, in the order of the secret.
pub(super) type Entries<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

impl<'a> Node<'a> {
    #[expect(clippy::disallowed_methods, reason = "the value is parsed here, and errors say nothing of it")]
    pub(super) fn parse(secret: &'a SecretBytes) -> Result<Self, FormatError> {
        serde_json::from_slice(secret.expose_secret()).map(Self).map_err(|_| FormatError::NotNamed)
    }

    pub(super) fn kind(self) -> Kind {
        match self.0.get().as_bytes().first() {
            Some(b'"') => Kind::Text,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The text of a string; of anything else, the JSON that it is written as. `name` is for the error.
    pub(super) fn text(self, name: &str) -> Result<Cow<'a, str>, FormatError> {
        if self.kind() != Kind::Text {
            return Ok(Cow::Borrowed(self.0.get()));
        }
        match serde_json::from_str(self.0.get()) {
            Ok(Text(text)) => Ok(text),
            // Where the parser finds a mistake it looks for its line, with a copy of the text around in its frames.
            Err(_) => Err(stack::wiped_after(|| FormatError::NotText(name.to_owned()))),
        }
    }

    /// As it is written.
    pub(super) fn raw(self) -> &'a RawValue {
        self.0
    }

    /// The named values of an object; none of anything else.
    pub(super) fn entries(self) -> Result<Entries<'a>, FormatError> {
        if self.kind() != Kind::Object {
            return Ok(Vec::new());
        }
        match serde_json::from_str(self.0.get()) {
            Ok(Object(entries)) => Ok(last_of_each(entries)),
            Err(_) => Err(FormatError::NotNamed),
        }
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(self) -> Result<Vec<Self>, FormatError> {
        if self.kind() != Kind::List {
            return Ok(Vec::new());
        }
        serde_json::from_str(self.0.get()).map(|List(items)| items).map_err(|_| FormatError::NotNamed)
    }

    /// That all of it can be walked.
    pub(super) fn check_depth(self) -> Result<(), FormatError> {
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        for byte in self.0.get().bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = in_text,
                b'"' => in_text = !in_text,
                b'{' | b'[' if !in_text => depth += 1,
                b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEPTH {
                return Err(FormatError::TooDeep(DEPTH));
            }
        }
        Ok(())
    }
}

/// Of a name that is there twice the last value counts, as for nearly all who read JSON.
fn last_of_each(entries: Entries<'_>) -> Entries<'_> {
    let mut places = HashMap::with_capacity(entries.len());
    let mut kept: Entries<'_> = Vec::with_capacity(entries.len());
    for (name, node) in entries {
        match places.get(&name).and_then(|place| kept.get_mut(*place)) {
            Some((_, before)) => *before = node,
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, node));
            }
        }
    }
    kept
}

/// A string, borrowed where nothing in it is escaped. What had to be copied is wiped by the allocator (`main.rs`).
struct Text<'a>(Cow<'a, str>);

struct Object<'a>(Entries<'a>);

struct List<'a>(Vec<Node<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(from).map(Self)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for List<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = List<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(List(items))
            }
        }
        from.deserialize_seq(Items)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some((Text(name), node)) = map.next_entry()? {
                    entries.push((name, node));
                }
                Ok(Object(entries))
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
