//! `decode = "base64"` and `decode = "hex"`: stores that keep text alone keep bytes so.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::FormatError;

/// What a value is decoded from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decode {
    /// Base64, of either alphabet, with or without padding.
    Base64,
    /// Two hexadecimal digits for each byte.
    Hex,
}

/// Each by its name in the configuration.
pub const DECODES: &[(&str, Decode)] = &[("base64", Decode::Base64), ("hex", Decode::Hex)];

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Decode {
    /// The bytes that `text` stands for. White space in it means nothing.
    pub(super) fn decode(self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, FormatError> {
        let dense = text.iter().filter(|byte| !byte.is_ascii_whitespace());
        let decoded = match self {
            Self::Base64 => {
                let standard = dense.map(|byte| match byte {
                    b'-' => b'+',
                    b'_' => b'/',
                    other => *other,
                });
                BASE64.decode(Zeroizing::new(standard.collect::<Vec<_>>())).ok()
            }
            Self::Hex => hex(&Zeroizing::new(dense.copied().collect::<Vec<_>>())),
        };
        decoded.map(Zeroizing::new).ok_or(FormatError::Undecodable(self))
    }
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?));
    rest.is_empty().then(|| bytes.collect())?
}

impl fmt::Display for Decode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "base64",
            Self::Hex => "hex",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(decode: Decode, text: &str) -> Option<Vec<u8>> {
        decode.decode(text.as_bytes()).ok().map(|bytes| bytes.to_vec())
    }

    #[test]
    fn base64_of_every_dialect_is_decoded() {
        for text in ["++//AQ==", "--__AQ==", "++//AQ", "--__AQ", " ++//\r\n\tAQ=\n=\n"] {
            assert_eq!(
                decoded(Decode::Base64, text).as_deref(),
                Some(b"\xfb\xef\xff\x01".as_slice()),
                "{text:?}"
            );
        }
        assert_eq!(decoded(Decode::Base64, "\n"), Some(vec![]));
        for text in ["A", "AQ===", "=", "A=Q=", "AR==", "AQ==AQ==", "a.b", "é", "\0"] {
            assert_eq!(decoded(Decode::Base64, text), None, "{text:?}");
        }
    }

    #[test]
    fn hex_is_decoded() {
        assert_eq!(decoded(Decode::Hex, "00fF\n a 0 "), Some(vec![0, 255, 0xa0]));
        for text in ["0", "0g", "0x00", "+1", "00:ff"] {
            assert_eq!(decoded(Decode::Hex, text), None, "{text:?}");
        }
    }
}
