//! What is inside a store: recipients, and every secret with its last versions.
//!
//! The layout is JSON so that a store can be read by `age --decrypt | jq` when hushfs is not at hand:
//! `{"layout":1,"keep":10,"recipients":["age1…"],"secrets":{"app/db":{"last":2,"versions":[{"version":"2",
//! "created":"…","value":{"named":{"password":"…"}}}]}}}`; a raw value is `{"bytes":"<base64>"}`.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::{StoreError, Wiping};

/// The layout this hushfs reads and writes.
pub(crate) const LAYOUT: u32 = 1;
/// How many versions of a secret are kept when the document does not say otherwise.
pub(crate) const KEEP: usize = 10;
/// Largest value, in bytes, as a provider hands it out.
pub(crate) const VALUE_LIMIT: usize = 1 << 20;

/// The whole content of a store. No `Debug`: it holds values.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    /// [`LAYOUT`]. A document with another one is refused, never rewritten.
    pub(crate) layout: u32,
    /// How many versions of each secret are kept.
    pub(crate) keep: usize,
    /// Public keys that every write encrypts to.
    pub(crate) recipients: Vec<String>,
    /// Secrets by name.
    pub(crate) secrets: BTreeMap<String, History>,
}

/// One secret. Without versions it is a removed one: it stays so that no version's id is ever used twice.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct History {
    /// The id given last.
    pub(crate) last: u64,
    /// What is kept, oldest first.
    pub(crate) versions: Vec<Version>,
}

/// One version of one secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    /// Its id: a counter, as text.
    pub(crate) version: String,
    /// When it was written.
    pub(crate) created: Timestamp,
    /// What it holds.
    pub(crate) value: Value,
}

/// A value.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Value {
    /// Bytes as they were given.
    Bytes(#[serde(serialize_with = "to_base64", deserialize_with = "from_base64")] Zeroizing<Vec<u8>>),
    /// Named values.
    Named(BTreeMap<String, Hidden>),
}

/// A text that is wiped when dropped and cannot be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) Zeroizing<String>);

impl Document {
    /// An empty store for `recipients`, with `keep` versions of each secret.
    pub(crate) fn new(recipients: Vec<String>, keep: usize) -> Self {
        Self { layout: LAYOUT, keep, recipients, secrets: BTreeMap::new() }
    }

    /// Reads a decrypted store. The parser's own message may quote what it read, so it is dropped.
    pub(crate) fn parse(plain: &[u8], path: &Path) -> Result<Self, StoreError> {
        #[derive(Deserialize)]
        struct Head {
            layout: u32,
        }
        let not = |why| StoreError::NotAStore { path: path.to_owned(), why };
        let head: Head = serde_json::from_slice(plain).map_err(|_| not("it decrypts to something else"))?;
        if head.layout != LAYOUT {
            return Err(StoreError::NewerLayout { path: path.to_owned(), layout: head.layout });
        }
        serde_json::from_slice(plain).map_err(|_| not("its content does not follow the layout"))
    }

    /// The text to encrypt.
    pub(crate) fn to_plain(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        json(self).ok_or_else(|| StoreError::NotAStore { path: path.to_owned(), why: "it cannot be written" })
    }

    /// The newest version of a secret, or the one asked for.
    pub(crate) fn version(&self, name: &str, version: Option<&str>) -> Result<&Version, StoreError> {
        let history = self.history(name)?;
        match version {
            None => history.versions.last().ok_or_else(|| StoreError::NoSecret(name.to_owned())),
            Some(id) => history
                .versions
                .iter()
                .find(|v| v.version == id)
                .ok_or_else(|| StoreError::NoVersion { name: name.to_owned(), version: id.to_owned() }),
        }
    }

    /// What is kept of a secret that is there.
    pub(crate) fn history(&self, name: &str) -> Result<&History, StoreError> {
        self.secrets
            .get(name)
            .filter(|history| !history.versions.is_empty())
            .ok_or_else(|| StoreError::NoSecret(name.to_owned()))
    }

    /// Adds a version and forgets the oldest beyond `keep`. Answers its id.
    pub(crate) fn put(&mut self, name: &str, value: Value, now: Timestamp) -> Result<String, StoreError> {
        if value.to_bytes()?.len() > VALUE_LIMIT {
            return Err(StoreError::TooLarge { what: format!("the value of `{name}`"), limit: VALUE_LIMIT });
        }
        let history = self.secrets.entry(name.to_owned()).or_default();
        history.last = history.last.saturating_add(1);
        let version = history.last.to_string();
        history.versions.push(Version { version: version.clone(), created: now, value });
        let surplus = history.versions.len().saturating_sub(self.keep.max(1));
        history.versions.drain(..surplus);
        Ok(version)
    }

    /// Forgets a secret with all its versions; its counter stays.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), StoreError> {
        self.history(name)?;
        if let Some(history) = self.secrets.get_mut(name) {
            history.versions.clear();
        }
        Ok(())
    }
}

impl Value {
    /// What a provider hands out: the bytes, or named values as a compact JSON object of strings.
    pub(crate) fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Named(values) => json(values).ok_or_else(|| StoreError::Unfit {
                message: "the named values cannot be written as JSON".to_owned(),
                hint: "this is a bug in hushfs".to_owned(),
            }),
        }
    }
}

fn json(value: &impl Serialize) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Wiping::default();
    serde_json::to_writer(&mut text, value).ok()?;
    Some(text.into_inner())
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

fn to_base64<S: Serializer>(bytes: &Zeroizing<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Zeroizing::new(STANDARD.encode(bytes.as_slice())))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<Vec<u8>>, D::Error> {
    let text = Hidden::deserialize(deserializer)?;
    // The decoder's message names the offending byte, so it is not passed on.
    STANDARD.decode(text.0.as_bytes()).map(Zeroizing::new).map_err(|_| serde::de::Error::custom("not base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(bytes: &[u8]) -> Value {
        Value::Bytes(Zeroizing::new(bytes.to_vec()))
    }

    #[test]
    fn every_byte_survives_a_round_trip() {
        let all: Vec<u8> = (0..=255).collect();
        let mut document = Document::new(vec![], KEEP);
        document.put("a", raw(&all), Timestamp::now()).unwrap();
        let named =
            BTreeMap::from([("k".to_owned(), Hidden(Zeroizing::new("\"\u{1f511}\\\n\0".to_owned())))]);
        document.put("b", Value::Named(named), Timestamp::now()).unwrap();
        let plain = document.to_plain(Path::new("x")).unwrap();
        let again = Document::parse(&plain, Path::new("x")).unwrap();
        assert!(again.version("a", None).unwrap().value == raw(&all));
        assert!(again.version("b", None).unwrap().value == document.version("b", None).unwrap().value);
        assert!(again.version("a", None).unwrap().created == document.version("a", None).unwrap().created);
    }

    #[test]
    fn history_keeps_the_newest_and_no_id_is_used_twice() {
        let mut document = Document::new(vec![], KEEP);
        for n in 1..=12_u8 {
            assert_eq!(document.put("a", raw(&[n]), Timestamp::now()).unwrap(), n.to_string());
        }
        assert!(matches!(document.version("a", Some("2")), Err(StoreError::NoVersion { .. })));
        assert!(document.version("a", Some("3")).unwrap().value == raw(&[3]));
        document.remove("a").unwrap();
        assert!(matches!(document.version("a", None), Err(StoreError::NoSecret(_))));
        assert!(matches!(document.remove("a"), Err(StoreError::NoSecret(_))));
        assert_eq!(document.put("a", raw(b"new"), Timestamp::now()).unwrap(), "13");
    }

    #[test]
    fn a_value_over_the_limit_is_refused_by_size_alone() {
        let mut document = Document::new(vec![], KEEP);
        document.put("a", raw(&vec![7; VALUE_LIMIT]), Timestamp::now()).unwrap();
        let error = document.put("a", raw(&vec![7; VALUE_LIMIT + 1]), Timestamp::now()).unwrap_err();
        assert_eq!(error.to_string(), "the value of `a` is larger than 1048576 bytes");
    }

    #[test]
    fn no_content_of_a_damaged_document_reaches_the_error() {
        let canary = "canary-3f9a";
        for text in [
            format!("\"{canary}\""),
            format!(r#"{{"layout":1,"keep":"{canary}"}}"#),
            format!(r#"{{"layout":1,"keep":1,"recipients":[],"secrets":{{"a":{{"last":"{canary}"}}}}}}"#),
            format!(r#"{{"layout":1,"keep":1,"recipients":[],"secrets":{{}},"{canary}":1}}"#),
        ] {
            let error = Document::parse(text.as_bytes(), Path::new("x")).err().unwrap();
            assert!(!format!("{error} {error:?}").contains(canary), "{error}");
        }
        let newer = Document::parse(br#"{"layout":2,"more":1}"#, Path::new("x")).err().unwrap();
        assert!(matches!(newer, StoreError::NewerLayout { layout: 2, .. }));
    }
}
