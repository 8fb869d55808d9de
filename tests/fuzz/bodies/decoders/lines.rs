//! Readers of lines of `name = value`.

use super::{Chars, Pairs};

/// java.util.Properties.load, of bytes.
pub(crate) fn properties(text: &str) -> Option<Pairs> {
    let (mut chars, mut pairs) = (Chars::of(text), Vec::new());
    while chars.peek().is_some() {
        let name = unit_text(&mut chars, |c| "=: \t\x0c".contains(c))?;
        if chars.peek() == Some('=') {
            chars.next();
        }
        while chars.peek().is_some_and(|c| " \t\x0c".contains(c)) {
            chars.next();
        }
        let value = unit_text(&mut chars, |_| false)?;
        if chars.next()? != '\n' {
            return None;
        }
        pairs.push((name, value));
    }
    Some(pairs)
}

/// Up to the end of the line, or what ends it before, which is left.
fn unit_text(chars: &mut Chars<'_>, ends: impl Fn(char) -> bool) -> Option<String> {
    let mut units = Vec::new();
    while let Some(c) = chars.peek().filter(|c| *c != '\n' && !ends(*c)) {
        chars.next();
        if !c.is_ascii() {
            return None;
        }
        let unit = match c {
            '\\' => match chars.next()? {
                'u' => {
                    let digits: String = (0..4).map_while(|_| chars.next()).collect();
                    u16::from_str_radix(&digits, 16).ok()?
                }
                'n' => 10,
                'r' => 13,
                't' => 9,
                'f' => 12,
                '\n' => return None,
                c => u16::try_from(u32::from(c)).ok()?,
            },
            c => u16::try_from(u32::from(c)).ok()?,
        };
        units.push(unit);
    }
    String::from_utf16(&units).ok()
}

/// Python's configparser without interpolation: values are stripped, and have no quotes.
pub(crate) fn ini(text: &str) -> Option<Pairs> {
    let text = text.strip_prefix("[default]\n")?.strip_suffix('\n')?;
    let is_space = |c: char| c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    let pair = |line: &str| {
        let (name, value) = line
            .split_once('=')
            .filter(|_| !line.contains('\r') && !line.starts_with(['#', ';', '[', ' ']))?;
        Some((name.trim_end().to_owned(), value.trim_matches(is_space).to_owned()))
    };
    text.split('\n').map(pair).collect()
}

/// git-config(1), Syntax.
pub(crate) fn git(text: &str) -> Option<Pairs> {
    let text = text.strip_prefix("[default]\n")?;
    let (mut chars, mut pairs) = (Chars::of(text), Vec::new());
    while chars.peek().is_some() {
        let name = chars.until('=')?;
        let (mut value, mut is_quoted, mut kept) = (String::new(), false, 0);
        loop {
            match chars.next()? {
                '\n' if is_quoted => return None,
                '\n' => break,
                '\r' => return None,
                '#' | ';' if !is_quoted => return None,
                '"' => is_quoted = !is_quoted,
                ' ' | '\t' if !is_quoted => {
                    if kept > 0 {
                        value.push(' ');
                    }
                    continue;
                }
                '\\' => value.push(match chars.next()? {
                    'n' => '\n',
                    't' => '\t',
                    'b' => '\x08',
                    c @ ('"' | '\\') => c,
                    _ => return None,
                }),
                c => value.push(c),
            }
            kept = value.len();
        }
        value.truncate(kept);
        pairs.push((name.trim().to_owned(), value));
    }
    Some(pairs)
}
