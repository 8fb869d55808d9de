//! Texts as the formats of files write them.

use std::fmt::Write as _;

use zeroize::Zeroizing;

fn written(text: &str, around: &str, write: impl Fn(char, &mut String)) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len().saturating_mul(10).saturating_add(2)));
    out.push_str(around);
    text.chars().for_each(|c| write(c, &mut out));
    out.push_str(around);
    out
}

/// For a shell: single quotes.
pub(super) fn sh(text: &str) -> Zeroizing<String> {
    written(text, "'", |c, out| match c {
        '\'' => out.push_str("'\\''"),
        c => out.push(c),
    })
}

/// For dotenv: as `format = "dotenv"` writes it.
pub(super) fn dotenv(text: &str) -> Zeroizing<String> {
    match text.contains('\'') {
        false => written(text, "'", |c, out| out.push(c)),
        true => written(text, "\"", |c, out| {
            if matches!(c, '\\' | '"' | '$' | '`') {
                out.push('\\');
            }
            out.push(c);
        }),
    }
}

/// A scalar of YAML, in double quotes.
pub(super) fn yaml(text: &str) -> Zeroizing<String> {
    written(text, "\"", |c, out| match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => out.push(c),
    })
}

/// A string of TOML.
pub(super) fn toml(text: &str) -> Zeroizing<String> {
    written(text, "\"", |c, out| match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if c.is_control() => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
        c => out.push(c),
    })
}

/// A value of an ini file, in double quotes.
pub(super) fn ini(text: &str) -> Zeroizing<String> {
    written(text, "\"", |c, out| match c {
        '"' | '\\' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        c => out.push(c),
    })
}

/// A value of a file of Java properties.
pub(super) fn properties(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len().saturating_mul(12)));
    for (nth, c) in text.chars().enumerate() {
        match c {
            ' ' if nth == 0 => out.push_str("\\ "),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if !c.is_ascii() || c.is_control() => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out
}
