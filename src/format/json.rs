//! `format = "json"`: named values as one JSON object, in the provider's order, with a line end.

use serde::ser::{SerializeMap, Serializer};
use zeroize::Zeroizing;

use super::FormatError;
use super::named::Named;
use crate::secret::SecretBytes;

pub(super) fn encode(named: &Named<'_>) -> Result<SecretBytes, FormatError> {
    let mut text = Zeroizing::new(Vec::with_capacity(1024));
    let mut write = || {
        let mut json = serde_json::Serializer::pretty(&mut *text);
        let mut map = json.serialize_map(None)?;
        named.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    };
    // Strings into memory: there is nothing to fail.
    let written: Result<(), serde_json::Error> = write();
    written.map_err(|_| FormatError::NotNamed)?;
    text.push(b'\n');
    Ok(SecretBytes::copy_from(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a made-up value")]
    fn order_and_odd_characters_stay() {
        let secret = SecretBytes::copy_from(br#"{"b":"1\n\"","a":"\u00e9 $x"}"#);
        let json = encode(&Named::parse(&secret).unwrap()).unwrap();
        assert_eq!(json.expose_secret(), "{\n  \"b\": \"1\\n\\\"\",\n  \"a\": \"é $x\"\n}\n".as_bytes());
    }
}
