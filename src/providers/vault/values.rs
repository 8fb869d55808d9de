//! A JSON object as an object of strings, which is how named values leave a provider.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// The members of an object, in their order, borrowed from the answer. No `Debug`: it holds values.
pub(super) struct Values<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Values<'a> {
    /// Of an object; anything else is `None`.
    pub(super) fn parse(text: &'a RawValue) -> Option<Self> {
        serde_json::from_str(text.get()).ok()
    }

    /// A member as what it should be.
    pub(super) fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(value.get()).ok()
    }

    /// The object of strings: texts as they are; numbers, `true` and `false` as they are written; lists and objects as their
    /// JSON. What is `null` is no value and is left out. `None` where a text is none.
    pub(super) fn to_strings(&self) -> Option<Zeroizing<Vec<u8>>> {
        let room: usize = self.0.iter().map(|(name, value)| name.len() + value.get().len() + 8).sum();
        // Escaping can make it longer; a buffer that grows leaves copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(room.saturating_mul(2) + 2));
        out.push(b'{');
        for (name, value) in &self.0 {
            if value.get() == "null" {
                continue;
            }
            if out.len() > 1 {
                out.push(b',');
            }
            serde_json::to_writer(&mut *out, name).ok()?;
            out.push(b':');
            if value.get().starts_with('"') {
                // Parsed and written again, so that an escape that means no character is found here.
                let text: Text<'_> = serde_json::from_str(value.get()).ok()?;
                serde_json::to_writer(&mut *out, &text.0).ok()?;
            } else {
                serde_json::to_writer(&mut *out, value.get()).ok()?;
            }
        }
        out.push(b'}');
        Some(out)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Values<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Values<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Values(members))
            }
        }
        from.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Option<String> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        let bytes = Values::parse(raw)?.to_strings()?;
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn every_value_becomes_a_string_and_null_is_none() {
        for (text, wanted) in [
            ("{}", "{}"),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#"{"a": 1.50, "b" : true,"c":null,"d":-3e5}"#, r#"{"a":"1.50","b":"true","d":"-3e5"}"#),
            (r#"{"c":null,"a":["x","\n"]}"#, r#"{"a":"[\"x\",\"\\n\"]"}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":"{\"b\":\"c\"}"}"#),
            (r#"{"a\"\u00e9":"\u2603\u0000\\"}"#, "{\"a\\\"é\":\"☃\\u0000\\\\\"}"),
        ] {
            assert_eq!(strings(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_or_no_text_is_refused() {
        for text in ["[]", "\"a\"", "1", "null", r#"{"a":"\ud800"}"#] {
            assert_eq!(strings(text), None, "{text}");
        }
    }
}
