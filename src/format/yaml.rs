//! `format = "yaml"`: the secret as YAML that readers of version 1.1 and of 1.2 read alike, in the provider's order.
//!
//! Every string stands in double quotes: no reader takes `no`, `012` or `~` there for something else. Numbers are written so
//! that 1.1 knows them for numbers as well.

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::FormatError;
use super::node::{Kind, Node};

/// A key of more than 1024 characters must be announced.
const LONG_KEY: usize = 1000;

pub(super) fn encode(node: Node<'_>, name: Option<&str>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    node.check_depth()?;
    let mut text = Zeroizing::new(String::with_capacity(1024));
    match (node.kind(), name) {
        (Kind::Object, _) if node.entries()?.is_empty() => text.push_str("{}\n"),
        (Kind::List, _) if node.items()?.is_empty() => text.push_str("[]\n"),
        (Kind::Object | Kind::List, _) => block(node, 0, name.unwrap_or_default(), &mut text)?,
        (_, Some(name)) => entry(name, node, 0, &mut text)?,
        (_, None) => return Err(FormatError::NotNamed),
    }
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// The lines of an object or a list that is not empty.
fn block(node: Node<'_>, indent: usize, name: &str, text: &mut String) -> Result<(), FormatError> {
    for (name, node) in node.entries()? {
        pad(indent, text);
        entry(&name, node, indent, text)?;
    }
    for node in node.items()? {
        pad(indent, text);
        text.push('-');
        value(node, indent, name, text)?;
    }
    Ok(())
}

fn entry(name: &str, node: Node<'_>, indent: usize, text: &mut String) -> Result<(), FormatError> {
    let key = key(name);
    if key.len() > LONG_KEY {
        text.extend(["? ", &key, "\n"]);
        pad(indent, text);
    } else {
        text.push_str(&key);
    }
    text.push(':');
    value(node, indent, name, text)
}

/// What follows `:` or `-`, with the line's end.
fn value(node: Node<'_>, indent: usize, name: &str, text: &mut String) -> Result<(), FormatError> {
    match node.kind() {
        Kind::Object if node.entries()?.is_empty() => text.push_str(" {}\n"),
        Kind::List if node.items()?.is_empty() => text.push_str(" []\n"),
        Kind::Object | Kind::List => {
            text.push('\n');
            block(node, indent + 2, name, text)?;
        }
        Kind::Text => {
            text.push(' ');
            quote(&node.text(name)?, text);
            text.push('\n');
        }
        Kind::Number => {
            text.push(' ');
            number(node.raw().get(), text);
            text.push('\n');
        }
        Kind::Bool | Kind::Null => text.extend([" ", node.raw().get(), "\n"]),
    }
    Ok(())
}

fn pad(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

/// Plain where it is a word that means nothing else anywhere.
fn key(name: &str) -> String {
    const MEANT: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "_"];
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_word && !MEANT.contains(&name.to_ascii_lowercase().as_str()) {
        return name.to_owned();
    }
    let mut key = String::new();
    quote(name, &mut key);
    key
}

/// In YAML 1.1 a number with an exponent has a point, and the exponent a sign.
fn number(json: &str, text: &mut String) {
    let Some((digits, exponent)) = json.split_once(['e', 'E']) else { return text.push_str(json) };
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    text.extend([digits, point, "e", sign, exponent]);
}

/// In double quotes. What is not printable in YAML, or ends a line in 1.1, is escaped; so is a BOM, which some leave out.
pub(super) fn quote(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\x1f'
            | '\x7f'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}
