//! Readers of environment files.

use super::{Chars, Pairs};

/// A POSIX shell that reads assignments: 2.2, Quoting.
pub(crate) fn shell(text: &str) -> Option<Pairs> {
    let (mut chars, mut pairs) = (Chars::of(text), Vec::new());
    while chars.peek().is_some() {
        let (name, mut value) = (chars.until('=')?, String::new());
        loop {
            match chars.next()? {
                '\n' => break,
                '\'' => value += &chars.until('\'')?,
                '"' => double_quoted(&mut chars, &mut value)?,
                '\\' => value.push(chars.next().filter(|c| *c != '\n')?),
                c if c.is_ascii_alphanumeric() => value.push(c),
                _ => return None,
            }
        }
        pairs.push((name, value));
    }
    Some(pairs)
}

fn double_quoted(chars: &mut Chars<'_>, value: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '$' | '`' => return None,
            '\\' => match chars.next()? {
                c @ ('$' | '`' | '"' | '\\') => value.push(c),
                '\n' => {}
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

/// systemd.exec(5), `EnvironmentFile=`: quotes as those of a shell; variables with control characters are left out.
pub(crate) fn systemd(text: &str) -> Option<Pairs> {
    let pairs = shell(text)?;
    let is_left_out = |c: char| c.is_ascii_control() && !"\t\n".contains(c);
    pairs.iter().all(|(_, value)| !value.contains(is_left_out)).then_some(pairs)
}

/// docker run, `--env-file`: lines of at most 64 KiB, of which a carriage return at the end is no part.
pub(crate) fn docker(text: &str) -> Option<Pairs> {
    let pair = |line: &str| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (name, value) = line.trim_start().split_once('=').filter(|_| line.len() < 64 << 10)?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.strip_suffix('\n').map_or(Some(Vec::new()), |text| text.split('\n').map(pair).collect())
}

/// dotenv of npm: the quotes that it strips, and that it knows no escape of them.
pub(crate) fn node(text: &str) -> Option<Pairs> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut rest, mut pairs) = (text.as_str(), Vec::new());
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let quote = after.chars().next().filter(|c| "'\"`".contains(*c));
        let quoted = quote.and_then(|quote| {
            // The last that may end it: an escaped one is passed, where another follows.
            let ends = after.match_indices(quote).skip(1).filter(|(at, _)| after[at + 1..].starts_with('\n'));
            let mut ends = ends.map(|(at, _)| at).collect::<Vec<_>>().into_iter();
            let mut end = ends.next()?;
            while after[..end].ends_with('\\') {
                let Some(next) = ends.next() else { break };
                end = next;
            }
            Some((&after[1..end], &after[end + 2..]))
        });
        let value;
        (value, rest) = match quoted {
            Some((inner, after)) if quote == Some('"') => {
                (inner.replace("\\n", "\n").replace("\\r", "\r"), after)
            }
            Some((inner, after)) => (inner.to_owned(), after),
            None => {
                let (line, after) = after.split_once('\n')?;
                let line = line.split('#').next()?;
                (line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned(), after)
            }
        };
        pairs.push((name.to_owned(), value));
    }
    Some(pairs)
}

/// python-dotenv: universal line ends, escapes in both quotes, and variables everywhere.
pub(crate) fn python(text: &str) -> Option<Pairs> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut chars, mut pairs) = (Chars::of(&text), Vec::new());
    while chars.peek().is_some() {
        let (name, mut value) = (chars.until('=')?, String::new());
        let quote = chars.next().filter(|c| "'\"".contains(*c))?;
        loop {
            match chars.next()? {
                c if c == quote => break,
                '\\' => match (chars.next()?, quote) {
                    (c @ ('\\' | '\''), _) | (c @ '"', '"') => value.push(c),
                    ('n', '"') => value.push('\n'),
                    ('r', '"') => value.push('\r'),
                    ('t', '"') => value.push('\t'),
                    ('a' | 'b' | 'f' | 'v', '"') => return None,
                    (c, _) => value.extend(['\\', c]),
                },
                c => value.push(c),
            }
        }
        if chars.next()? != '\n' {
            return None;
        }
        pairs.push((name, interpolated(&value)));
    }
    Some(pairs)
}

/// `${name}` and `${name:-default}`, of variables that are not set.
fn interpolated(value: &str) -> String {
    let (mut rest, mut text) = (value, String::new());
    while let Some(at) = rest.find("${") {
        let inner = &rest[at + 2..];
        let name_end = inner.find(['}', ':']).unwrap_or(inner.len());
        let (default, end) = match inner[name_end..].strip_prefix(":-").map(|after| (after, after.find('}')))
        {
            Some((after, Some(end))) => (&after[..end], Some(name_end + 2 + end)),
            _ => ("", inner[name_end..].starts_with('}').then_some(name_end)),
        };
        let Some(end) = end else {
            text += &rest[..at + 2];
            rest = inner;
            continue;
        };
        text += &rest[..at];
        text += default;
        rest = &inner[end + 1..];
    }
    text + rest
}
