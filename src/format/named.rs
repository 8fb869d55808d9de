//! A secret of named values: a JSON object.
//!
//! Stores that keep any JSON also keep ports as numbers: what is no string is the text that it is written as.

use std::borrow::Cow;

use super::FormatError;
use super::node::{Entries, Kind, Node};
use crate::secret::SecretBytes;
use crate::sys::stack;

/// Names and values in the order in which the provider gave them, borrowed from the secret where nothing was escaped.
pub(super) struct Named<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Named<'a> {
    /// Those of an object; anything else has the name that it was found by.
    pub(super) fn of(node: Node<'a>, name: Option<&str>) -> Result<Self, FormatError> {
        let one = |name: &str| Ok(Self(vec![(Cow::Owned(name.to_owned()), node.text(name)?)]));
        match (node.kind(), name) {
            (Kind::Object, _) => Self::these(node.entries()?),
            (_, Some(name)) => one(name),
            (_, None) => Err(FormatError::NotNamed),
        }
    }

    pub(super) fn these(entries: Entries<'a>) -> Result<Self, FormatError> {
        let pair = |(name, node): (Cow<'a, str>, Node<'a>)| {
            let value = node.text(&name)?;
            Ok((name, value))
        };
        entries.into_iter().map(pair).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// The names of the values of a secret, in order.
///
/// # Errors
/// When it is one plain value.
pub fn keys(secret: &SecretBytes) -> Result<Vec<String>, FormatError> {
    stack::wiped_after(|| {
        let node = Node::parse(secret)?;
        match node.kind() {
            Kind::Object => Ok(node.entries()?.into_iter().map(|(name, _)| name.into_owned()).collect()),
            _ => Err(FormatError::NotNamed),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(secret: &SecretBytes) -> Result<Named<'_>, FormatError> {
        Named::of(Node::parse(secret)?, None)
    }

    #[test]
    fn what_is_no_string_is_its_text() {
        let text = br#"{"user": "a\"b\u00e9", "port": 5432, "rate": 1.50, "on": true, "none": null, "more": {"a": [1, "x"]}}"#;
        let secret = SecretBytes::copy_from(text);
        let named = parsed(&secret).unwrap();
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
        assert_eq!(keys(&secret).unwrap(), wanted.map(|(name, _)| name));
    }

    #[test]
    fn what_is_no_object_has_no_names() {
        for text in ["", "x", "5", "[\"a\"]", "\"a\"", "{\"a\":1", "{\"a\":\"\\x\"}", "{\"a\":1}{"] {
            let secret = SecretBytes::copy_from(text.as_bytes());
            assert!(matches!(parsed(&secret), Err(FormatError::NotNamed)), "{text}");
            assert_eq!(keys(&secret), Err(FormatError::NotNamed), "{text}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        let secret = SecretBytes::copy_from(br#"{"a":"\ud800","b":"x"}"#);
        assert_eq!(parsed(&secret).err(), Some(FormatError::NotText("a".into())));
    }

    #[test]
    fn of_a_name_that_is_there_twice_the_last_value_counts() {
        let secret = SecretBytes::copy_from(br#"{"a":"1","b":"2","a":"3"}"#);
        assert_eq!(parsed(&secret).unwrap().iter().collect::<Vec<_>>(), [("a", "3"), ("b", "2")]);
    }
}
