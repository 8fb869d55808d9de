//! Secret references: `provider:path#key?version=…`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Names one secret, or one key of it, at one provider.
///
/// ```
/// let r: hushfs::reference::Reference = "prod:app/db#password?version=3".parse().unwrap();
/// assert_eq!((r.provider(), r.path(), r.key(), r.version()), ("prod", "app/db", Some("password"), Some("3")));
/// assert_eq!(r.to_string(), "prod:app/db#password?version=3");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    provider: String,
    path: String,
    key: Option<String>,
    version: Option<String>,
    made_for: Option<Arc<str>>,
}

/// Why a text is not a reference. Each says what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No colon.
    #[error("a reference is `provider:path`; there is no `:` in this one")]
    NoProvider,
    /// The part before the colon is not a provider's name.
    #[error("the part before `:` is a provider's name: letters, digits, `-` and `_`")]
    BadProvider,
    /// Nothing after the colon.
    #[error("the path after `:` is empty")]
    NoPath,
    /// A path that climbs, or has empty segments or control characters.
    #[error("the path has an empty, `.` or `..` segment, or a control character")]
    BadPath,
    /// `#` with nothing after it.
    #[error("the key after `#` is empty; leave `#` out to mean the whole secret")]
    NoKey,
    /// A parameter other than `version`.
    #[error("`?version=…` is the only parameter, once, and not empty")]
    BadParameter,
}

impl Reference {
    /// The provider's name as configured.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The secret's path at its provider.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// One key of a secret with several named values.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// A pinned version, in the provider's own words.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The same reference to the whole secret: what is fetched and cached, once for all keys.
    pub fn whole(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// One key of what it refers to. Whatever a secret's key is called: the text of such a reference may not be one that can be read.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same reference to whatever version is the current one.
    pub fn unpinned(&self) -> Self {
        Self { version: None, ..self.clone() }
    }

    /// The same reference pinned to `version`.
    pub fn at_version(&self, version: &str) -> Self {
        Self { version: Some(version.to_owned()), ..self.clone() }
    }

    /// The same reference to what is made for `whom` alone (`scope/workload`): another secret to all who keep secrets by their
    /// references, and the same question to the provider. Not part of the text.
    pub fn made_for(&self, whom: &str) -> Self {
        Self { made_for: Some(whom.into()), ..self.clone() }
    }

    /// Whom it is made for, where it is for one alone.
    pub fn whom(&self) -> Option<&str> {
        self.made_for.as_deref()
    }

    /// Its text, and for whom it is made: for people who are to tell one from another.
    pub fn named(&self) -> String {
        named(&self.to_string(), self.whom())
    }

    /// The same reference without whom it is made for: what its text says.
    pub fn as_asked(&self) -> Self {
        Self { made_for: None, ..self.clone() }
    }
}

/// The text of a reference, and for whom it is made.
pub fn named(text: &str, whom: Option<&str>) -> String {
    whom.map_or_else(|| text.to_owned(), |whom| format!("{text} for {whom}"))
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (provider, rest) = text.split_once(':').ok_or(ReferenceError::NoProvider)?;
        let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if provider.is_empty() || !provider.chars().all(name) {
            return Err(ReferenceError::BadProvider);
        }
        let (rest, version) = match rest.split_once('?') {
            None => (rest, None),
            Some((rest, query)) => match query.strip_prefix("version=") {
                Some(v) if !v.is_empty() && !v.contains(['&', '?', '#']) => (rest, Some(v.to_owned())),
                _ => return Err(ReferenceError::BadParameter),
            },
        };
        let (path, key) = match rest.split_once('#') {
            None => (rest, None),
            Some((_, "")) => return Err(ReferenceError::NoKey),
            Some((path, key)) => (path, Some(key.to_owned())),
        };
        if path.is_empty() {
            return Err(ReferenceError::NoPath);
        }
        let climbs = |segment: &str| matches!(segment, "" | "." | "..");
        if path.split('/').any(climbs) || text.chars().any(char::is_control) {
            return Err(ReferenceError::BadPath);
        }
        Ok(Self { provider: provider.to_owned(), path: path.to_owned(), key, version, made_for: None })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.path)?;
        if let Some(key) = &self.key {
            write!(f, "#{key}")?;
        }
        if let Some(version) = &self.version {
            write!(f, "?version={version}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_malformed_form_has_its_own_error() {
        for (text, error) in [
            ("token", ReferenceError::NoProvider),
            (":token", ReferenceError::BadProvider),
            ("a b:token", ReferenceError::BadProvider),
            ("local:", ReferenceError::NoPath),
            ("local:#k", ReferenceError::NoPath),
            ("local:../x", ReferenceError::BadPath),
            ("local:a//b", ReferenceError::BadPath),
            ("local:/a", ReferenceError::BadPath),
            ("local:a\nb", ReferenceError::BadPath),
            ("local:a#", ReferenceError::NoKey),
            ("local:a?version=", ReferenceError::BadParameter),
            ("local:a?stage=x", ReferenceError::BadParameter),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_made_for_one_is_another_secret_with_the_same_text() {
        let reference: Reference = "p:db#user".parse().unwrap();
        let (web, worker) = (reference.made_for("db/web"), reference.made_for("db/worker"));
        assert!(web != worker && web != reference && web.to_string() == reference.to_string());
        for derived in [web.whole(), web.unpinned(), web.at_version("3")] {
            assert_eq!(derived.whom(), Some("db/web"));
        }
        assert_eq!((web.named().as_str(), reference.named().as_str()), ("p:db#user for db/web", "p:db#user"));
        assert_eq!((web.as_asked(), web.as_asked().whom()), (reference, None));
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(text in "[a-z]{1,4}:[a-z]{1,4}(/[a-z .]{2,5}x){0,2}(#[a-z]{1,4})?(\\?version=[0-9a-f]{1,4})?") {
            let parsed: Reference = text.parse().unwrap();
            prop_assert_eq!(parsed.to_string(), text);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _: Result<Reference, ReferenceError> = text.parse();
        }
    }
}
