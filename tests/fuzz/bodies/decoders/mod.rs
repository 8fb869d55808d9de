//! Readers of formats, written from what their own documentation or source says they do; real ones are run by `tests/formats`.

mod environment;
mod lines;
mod trees;

pub(crate) use environment::{docker, node, python, shell, systemd};
pub(crate) use lines::{git, ini, properties};
pub(crate) use trees::{json, toml, yaml};

/// Names and values in order. `None` where the text is no such text.
pub(crate) type Pairs = Vec<(String, String)>;

/// The characters of a text, one after the other.
pub(crate) struct Chars<'t>(std::iter::Peekable<std::str::Chars<'t>>);

impl<'t> Chars<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        Self(text.chars().peekable())
    }

    pub(crate) fn next(&mut self) -> Option<char> {
        self.0.next()
    }

    pub(crate) fn peek(&mut self) -> Option<char> {
        self.0.peek().copied()
    }

    /// All up to `end`, which is passed. `None` where there is no such end.
    pub(crate) fn until(&mut self, end: char) -> Option<String> {
        let mut text = String::new();
        loop {
            match self.next()? {
                c if c == end => return Some(text),
                c => text.push(c),
            }
        }
    }
}
