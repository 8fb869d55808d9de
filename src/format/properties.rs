//! `format = "properties"`: for `java.util.Properties`, which reads bytes as ISO 8859-1: all that is not ASCII is escaped, so it
//! is the same to those who read UTF-8.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::named::Named;

pub(super) fn encode(named: &Named<'_>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    for (name, value) in named.iter() {
        for c in name.chars() {
            match c {
                ' ' | '=' | ':' | '#' | '!' => text.extend(['\\', c]),
                other => escape(other, &mut text),
            }
        }
        text.push('=');
        quote(value, &mut text);
        text.push('\n');
    }
    Zeroizing::new(text.as_bytes().to_vec())
}

/// As it stands after `=`.
pub(super) fn quote(value: &str, text: &mut String) {
    let mut chars = value.chars().peekable();
    // Spaces before a value are none of it; one that is escaped begins it.
    if chars.peek() == Some(&' ') {
        text.push('\\');
    }
    chars.for_each(|c| escape(c, text));
}

fn escape(c: char, text: &mut String) {
    match c {
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\x0c' => text.push_str("\\f"),
        ' '..='~' => text.push(c),
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
}
