//! `.env` files: `KEY=value` lines, as shells and Compose read them, without interpolation.
//!
//! - `export ` before a name, blank lines and lines of `#` are skipped over.
//! - An unquoted value ends at the line's end or at ` #`; blanks around it are not part of it.
//! - `'…'` is taken as it is, `"…"` knows `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. Both may go over several lines.
//! - `$NAME` stays as it is written: there is nothing here to take a value from.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::providers::store::{Hidden, Name};

/// Why a file is not read, with the line. Never a part of the line: it may be a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub(super) struct DotenvError {
    line: usize,
    why: &'static str,
}

/// Reads a file.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, Hidden>, DotenvError> {
    let mut values = BTreeMap::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1_usize;
    while !rest.is_empty() {
        let failed = |why| DotenvError { line, why };
        let (this, next) = rest.split_once('\n').unwrap_or((rest, ""));
        let trimmed = this.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            (rest, line) = (next, line.saturating_add(1));
            continue;
        }
        let before = this.split_once('=').ok_or(failed("there is no `=`"))?.0;
        let key = name(before).ok_or(failed("the part before `=` is not a name: letters, digits and `_`"))?;
        let (_, from) = rest.split_once('=').unwrap_or_default();
        let (value, after) = value(from).map_err(failed)?;
        if values.insert(key.to_owned(), Hidden(value)).is_some() {
            return Err(failed("this name is there already"));
        }
        let used = rest.len().saturating_sub(after.len());
        let lines = rest.get(..used).unwrap_or_default().matches('\n').count();
        (rest, line) = (after, line.saturating_add(lines));
    }
    if values.is_empty() { Err(DotenvError { line, why: "there are no values in it" }) } else { Ok(values) }
}

fn name(text: &str) -> Option<&str> {
    let text = text.trim();
    let text = match text.split_once(char::is_whitespace) {
        Some(("export", name)) => name.trim_start(),
        _ => text,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts && text.chars().all(fits) && Name::check_key(text).is_ok()).then_some(text)
}

/// The value at the start of `text`, and what follows its line.
fn value(text: &str) -> Result<(Zeroizing<String>, &str), &'static str> {
    let (first, _) = text.split_once('\n').unwrap_or((text, ""));
    let start = first.trim_start();
    // Past the blanks of this line only: an empty value does not take the next line.
    let text = text.get(first.len().saturating_sub(start.len())..).unwrap_or_default();
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, after) = quoted.split_once('\'').ok_or("a `'` is not closed")?;
        return Ok((Zeroizing::new(value.to_owned()), end_of_line(after)?));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let end = closing_quote(quoted).ok_or("a `\"` is not closed")?;
        let (value, after) = quoted.split_at_checked(end).ok_or("a `\"` is not closed")?;
        return Ok((unescape(value), end_of_line(after.strip_prefix('"').unwrap_or(after))?));
    }
    let (this, next) = text.split_once('\n').unwrap_or((text, ""));
    let comment = this.char_indices().zip(std::iter::once(' ').chain(this.chars()));
    let comment =
        comment.filter(|((_, c), before)| *c == '#' && before.is_whitespace()).map(|((at, _), _)| at).next();
    let value = this.get(..comment.unwrap_or(this.len())).unwrap_or(this).trim();
    Ok((Zeroizing::new(value.to_owned()), next))
}

fn end_of_line(after: &str) -> Result<&str, &'static str> {
    let (this, next) = after.split_once('\n').unwrap_or((after, ""));
    match this.trim() {
        "" => Ok(next),
        comment if comment.starts_with('#') => Ok(next),
        _ => Err("there is something after the closing quote"),
    }
}

fn closing_quote(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    quoted.char_indices().find_map(|(at, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(at)
    })
}

fn unescape(text: &str) -> Zeroizing<String> {
    // As long as it can get, so that it never moves and leaves a copy.
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => value.push('\n'),
            ('\\', Some('r')) => value.push('\r'),
            ('\\', Some('t')) => value.push('\t'),
            ('\\', Some(plain @ ('"' | '\\' | '$' | '`'))) => value.push(plain),
            ('\\', Some(other)) => value.extend(['\\', other]),
            (c, _) => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|(key, value)| (key, value.0.to_string())).collect()
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        for (line, value) in [
            ("A=b", "b"),
            ("  export   A = b c  ", "b c"),
            ("A=b # comment", "b"),
            ("A=b#no comment", "b#no comment"),
            ("A= # comment", ""),
            ("A=#comment", ""),
            ("A=", ""),
            ("A=b=c==", "b=c=="),
            ("A='b \\n $c # d'", "b \\n $c # d"),
            ("A=\"b\\n\\t\\\"\\\\\\$c\\q # d\" # comment", "b\n\t\"\\$c\\q # d"),
            ("A=\"one\ntwo\n\"", "one\ntwo\n"),
            ("A='one\ntwo'", "one\ntwo"),
            ("A=b\r", "b"),
            ("A=\"b\"\r", "b"),
            ("\u{feff}A=\u{1f511}", "\u{1f511}"),
            ("A=\"b\\\\\"", "b\\"),
        ] {
            assert_eq!(
                pairs(&format!("{line}\nZ=z")),
                [("A".into(), value.into()), ("Z".into(), "z".into())],
                "{line:?}"
            );
        }
    }

    #[test]
    fn an_error_has_the_line_and_never_the_value() {
        for (text, line) in [
            ("A=b\ncanary\n", 2),
            ("A=\"one\ntwo\"\n\nB C=canary", 4),
            ("A=\"canary\n\n", 1),
            ("\nA='canary", 2),
            ("A='b' canary", 1),
            ("A=b\n# c\nA=canary", 3),
            ("1A=canary", 1),
            ("", 1),
        ] {
            let error = parse(text).err().unwrap();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[A=\"'\\\\n #\n\r\u{e9}]{0,30}") {
            let _: Result<_, DotenvError> = parse(&text);
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[ -!#-~\n\u{e9}\u{1f511}]{0,20}") {
            let escaped = value.replace('\\', "\\\\").replace('$', "\\$").replace('`', "\\`");
            prop_assert_eq!(pairs(&format!("A=\"{escaped}\"")), [("A".to_owned(), value)]);
        }
    }
}
