//! Words in messages: which one was meant, several in a row, and those of strangers.

/// The known word that was probably meant.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let scored = known.iter().map(|known| (strsim::damerau_levenshtein(word, known), *known));
    let (distance, near) = scored.min_by_key(|(distance, _)| *distance)?;
    let allowed = near.chars().count().div_ceil(3).min(3);
    (distance <= allowed).then_some(near)
}

/// `a`, `b` and `c`.
pub fn listed(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}

/// `text` with everything escaped that could move a cursor, break a line or reorder what is read.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let unseen = matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || unseen || c == '\\' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a text shows all that is in it. A backslash does: units have some in their names.
pub fn is_plain(text: &str) -> bool {
    text.split('\\').all(|part| printable(part) == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_nearest_word_and_another_word_finds_none() {
        assert_eq!(nearest("mont", &["mount", "control"]), Some("mount"));
        assert_eq!(nearest("alow", &["allow", "owner"]), Some("allow"));
        assert_eq!(nearest("template", &["from", "format", "mode"]), None);
        assert_eq!(nearest("x", &["exe", "uid"]), None);
    }

    #[test]
    fn words_are_listed_as_in_a_sentence() {
        assert_eq!(listed(&[]), "none");
        assert_eq!(listed(&["a"]), "`a`");
        assert_eq!(listed(&["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
