//! `format = "ini"` and `format = "git-config"`: objects are sections, in the provider's order; values that stand beside them come
//! first, in a section `default`, because most readers want one.
//!
//! There is no common quoting. `ini` writes a value as it is, as Python's configparser and the SDKs of AWS read it; git has quotes
//! and escapes, and takes `#` and `;` for comments without them.

use std::collections::HashSet;

use zeroize::Zeroizing;

use super::FormatError;
use super::env::{self, Quoting};
use super::error::Unfit;
use super::named::Named;
use super::node::{Kind, Node};

const DEFAULT: &str = "default";

/// What its readers make of sections, names and values.
pub(super) struct Dialect {
    name: &'static str,
    quote: Quoting,
    is_section: fn(&str) -> bool,
    is_name: fn(&str) -> bool,
}

/// For readers that know no quoting.
pub(super) const PLAIN: Dialect = Dialect {
    name: "ini",
    quote: plain,
    is_section: |name| {
        !name.is_empty()
            && name.trim() == name
            && !name.contains([']', '['])
            && !name.contains(char::is_control)
    },
    is_name: |name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    },
};

/// For git.
pub(super) const GIT: Dialect = Dialect {
    name: "git-config",
    quote: git,
    is_section: |name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
    },
    is_name: |name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    },
};

pub(super) fn encode(
    node: Node<'_>,
    name: Option<&str>,
    dialect: &Dialect,
) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    if node.kind() != Kind::Object {
        section(DEFAULT, &Named::of(node, name)?, dialect, &mut text)?;
        return Ok(Zeroizing::new(text.as_bytes().to_vec()));
    }
    let (sections, beside): (Vec<_>, Vec<_>) =
        node.entries()?.into_iter().partition(|(_, node)| node.kind() == Kind::Object);
    let mut seen = HashSet::new();
    if !beside.is_empty() {
        section(DEFAULT, &Named::these(beside)?, dialect, &mut text)?;
        seen.insert(DEFAULT.to_owned());
    }
    for (name, node) in sections {
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(dialect.unfit("another section has that name").of(format!("the section `{name}`")));
        }
        section(&name, &Named::of(node, None)?, dialect, &mut text)?;
    }
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

fn section(name: &str, named: &Named<'_>, dialect: &Dialect, text: &mut String) -> Result<(), FormatError> {
    if !(dialect.is_section)(name) {
        let why = "it has a character that cannot be in a section's name";
        return Err(dialect.unfit(why).of(format!("the section `{name}`")));
    }
    text.extend(["[", name, "]\n"]);
    let mut seen = HashSet::new();
    for (name, value) in named.iter() {
        let why = match (dialect.is_name)(name) {
            false => Some("it has a character that cannot be in a name"),
            true if !seen.insert(name.to_ascii_lowercase()) => {
                Some("another key has that name but for its case")
            }
            true => None,
        };
        if let Some(why) = why {
            return Err(dialect.unfit(why).of(format!("the key `{name}`")));
        }
        text.extend([name, " ="]);
        if !value.is_empty() {
            text.push(' ');
        }
        (dialect.quote)(value, text).map_err(|unfit| unfit.of_value(name))?;
        text.push('\n');
    }
    Ok(())
}

/// As it is.
pub(super) fn plain(value: &str, text: &mut String) -> Result<(), Unfit> {
    let why = "it has a line end or another control character, and this format has no escapes";
    env::without(value, "ini", why, |c| c.is_control() && c != '\t')?;
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}';
    if value.starts_with(is_space) || value.ends_with(is_space) {
        let why = "it begins or ends with white space, and this format has no quotes";
        return Err(PLAIN.unfit(why));
    }
    text.push_str(value);
    Ok(())
}

fn git(value: &str, text: &mut String) -> Result<(), Unfit> {
    env::without(value, "git-config", "it has a NUL, which git does not hold", |c| c == '\0')?;
    env::without(value, "git-config", "it has a carriage return, which git may leave out", |c| c == '\r')?;
    text.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\x08' => text.push_str("\\b"),
            other => text.push(other),
        }
    }
    text.push('"');
    Ok(())
}

impl Dialect {
    fn unfit(&self, why: &'static str) -> Unfit {
        Unfit { format: self.name, why }
    }
}
