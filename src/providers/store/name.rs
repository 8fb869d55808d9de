//! The name of a secret in the store, or of one value of it.

use std::fmt;

use super::StoreError;
use crate::reference::Reference;

/// Longest name of a secret, in bytes.
const NAME_LIMIT: usize = 512;
/// Longest name of one value, in bytes.
const KEY_LIMIT: usize = 255;

/// `NAME` or `NAME#KEY`: exactly what can stand after `provider:` in a reference, so that whatever is stored can be
/// referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The secret.
    pub(crate) secret: String,
    /// One named value of it.
    pub(crate) key: Option<String>,
}

impl Name {
    /// The name of a whole secret: no `#KEY`.
    pub(crate) fn whole(text: &str) -> Result<Self, StoreError> {
        let name: Self = text.parse()?;
        match name.key {
            None => Ok(name),
            Some(_) => Err(StoreError::BadName("this takes a whole secret: leave `#KEY` out".to_owned())),
        }
    }

    /// Checks the name of one value alone.
    pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
        let named: Self = format!("x#{key}").parse()?;
        debug_assert_eq!(named.key.as_deref(), Some(key));
        Ok(())
    }
}

impl std::str::FromStr for Name {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let bad = |why: &str| Err(StoreError::BadName(why.to_owned()));
        let reference: Reference = match format!("store:{text}").parse() {
            Ok(reference) => reference,
            Err(error) => return bad(&error.to_string()),
        };
        if text.contains('?') || reference.version().is_some() {
            return bad("a name holds no `?`; a version is named by --version");
        }
        if reference.path().len() > NAME_LIMIT {
            return bad(&format!("a name has at most {NAME_LIMIT} bytes"));
        }
        if reference.key().is_some_and(|key| key.len() > KEY_LIMIT) {
            return bad(&format!("a key has at most {KEY_LIMIT} bytes"));
        }
        Ok(Self { secret: reference.path().to_owned(), key: reference.key().map(str::to_owned) })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            None => f.write_str(&self.secret),
            Some(key) => write!(f, "{}#{key}", self.secret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_stand_in_a_reference_is_a_name_and_nothing_else() {
        for good in ["a", "app/db", "app/db#pass word", "a:b", "a#b#c"] {
            assert_eq!(good.parse::<Name>().unwrap().to_string(), good);
        }
        let long = "x".repeat(NAME_LIMIT + 1);
        for bad in ["", "../a", "a//b", "/a", "a#", "a?version=1", "a\nb", "a#b?", long.as_str()] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
        assert!(Name::whole("a#b").is_err());
        assert!(
            Name::check_key("a").is_ok() && Name::check_key("").is_err() && Name::check_key("a\tb").is_err()
        );
    }
}
