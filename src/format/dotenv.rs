//! `format = "dotenv"`: named values as `NAME='value'` lines, in the provider's order.
//!
//! Readers disagree on escapes, so the form with the fewest is written: single quotes, in which nothing is special, for
//! every value without a single quote; else double quotes with `\`, `"`, `$` and `` ` `` escaped. bash `source`
//! reads both back exactly (the tests below); other readers may leave the backslash before `$` or `` ` ``.

use zeroize::Zeroizing;

use super::FormatError;
use super::named::Named;
use crate::secret::SecretBytes;

pub(super) fn encode(named: &Named<'_>) -> Result<SecretBytes, FormatError> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    for (name, value) in named.iter() {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(FormatError::BadName(name.to_owned()));
        }
        text.push_str(name);
        if value.contains('\'') {
            text.push_str("=\"");
            for c in value.chars() {
                if matches!(c, '\\' | '"' | '$' | '`') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push_str("\"\n");
        } else {
            text.push_str("='");
            text.push_str(value);
            text.push_str("'\n");
        }
    }
    Ok(SecretBytes::copy_from(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bash_reads_back(secret: &str) -> Vec<u8> {
        let secret = SecretBytes::copy_from(secret.as_bytes());
        #[expect(clippy::disallowed_methods, reason = "a made-up value")]
        let text = encode(&Named::parse(&secret).unwrap()).unwrap().expose_secret().to_vec();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("env");
        std::fs::write(&path, text).unwrap();
        let script = format!("source {}; printf %s \"$A\"", path.display());
        std::process::Command::new("bash").args(["-c", &script]).output().unwrap().stdout
    }

    #[test]
    fn bash_reads_back_the_exact_value() {
        for value in
            ["plain", "", "a b", "#no comment", "$HOME `id`", "it's $HOME", "\"q\" \\n", "two\nlines", "é"]
        {
            let secret = serde_json::json!({ "A": value }).to_string();
            assert_eq!(bash_reads_back(&secret), value.as_bytes(), "{value:?}");
        }
    }

    #[test]
    fn a_name_that_is_no_variable_is_refused() {
        let secret = SecretBytes::copy_from(br#"{"a-b":"1"}"#);
        assert_eq!(encode(&Named::parse(&secret).unwrap()).err(), Some(FormatError::BadName("a-b".into())));
    }
}
