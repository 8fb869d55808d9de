//! `newline`: what becomes of the line end after a value.

use zeroize::Zeroize;

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Newline {
    /// It stays as it is.
    Keep,
    /// One is taken away, `\n` or `\r\n`: what an editor added.
    Strip,
    /// One is added where there is none.
    Add,
}

/// Each by its name in the configuration.
pub const NEWLINES: &[(&str, Newline)] =
    &[("keep", Newline::Keep), ("strip", Newline::Strip), ("add", Newline::Add)];

impl Newline {
    pub(super) fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Keep => {}
            Self::Strip if bytes.ends_with(b"\r\n") => bytes.truncate(bytes.len() - 2),
            Self::Strip if bytes.ends_with(b"\n") => bytes.truncate(bytes.len() - 1),
            Self::Strip => {}
            Self::Add if bytes.ends_with(b"\n") => {}
            Self::Add => bytes.push(b'\n'),
        }
        // What was cut off stays behind the end.
        bytes.spare_capacity_mut().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_taken_away_or_there_is_one() {
        for (text, stripped, added) in [
            ("", "", "\n"),
            ("a", "a", "a\n"),
            ("a\n", "a", "a\n"),
            ("a\r\n", "a", "a\r\n"),
            ("a\n\n", "a\n", "a\n\n"),
            ("a\r", "a\r", "a\r\n"),
            ("\n", "", "\n"),
        ] {
            for (newline, wanted) in
                [(Newline::Keep, text), (Newline::Strip, stripped), (Newline::Add, added)]
            {
                let mut bytes = text.as_bytes().to_vec();
                newline.apply(&mut bytes);
                assert_eq!(bytes, wanted.as_bytes(), "{newline:?} {text:?}");
            }
        }
    }
}
