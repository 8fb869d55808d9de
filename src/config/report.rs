//! Where every step puts what it finds, so that one mistake does not hide the next.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problems::{Problem, Problems};

/// A place in one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At {
    /// The number of the file.
    pub(super) source: usize,
    /// Bytes.
    pub(super) span: Range<usize>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Report {
    texts: Vec<(PathBuf, String)>,
    found: Vec<Found>,
    hidden: Vec<At>,
    incomplete: bool,
}

/// One finding, not yet with line and column.
#[derive(PartialEq)]
pub(super) struct Found {
    place: Place,
    message: String,
    hint: Option<String>,
    severity: Severity,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

#[derive(PartialEq)]
enum Place {
    File(PathBuf),
    Text(At),
}

impl Found {
    /// Something wrong at a place in a file.
    pub(super) fn at(at: &At, message: impl Into<String>) -> Self {
        Self {
            place: Place::Text(at.clone()),
            message: message.into(),
            hint: None,
            severity: Severity::Error,
        }
    }

    /// Something wrong with a file as a whole.
    pub(super) fn file(file: &Path, message: impl Into<String>) -> Self {
        let place = Place::File(file.to_owned());
        Self { place, message: message.into(), hint: None, severity: Severity::Error }
    }

    /// Adds what to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds what to do about it, where that is known.
    pub(super) fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint: hint.or(self.hint), ..self }
    }
}

impl Report {
    /// Takes the text of the next file and numbers it.
    pub(super) fn add_text(&mut self, path: &Path, text: &str) -> usize {
        self.texts.push((path.to_owned(), text.to_owned()));
        self.texts.len().saturating_sub(1)
    }

    /// It is wrong.
    pub(super) fn error(&mut self, found: Found) {
        self.add(found);
    }

    /// It is allowed but should be looked at.
    pub(super) fn warn(&mut self, found: Found) {
        self.add(Found { severity: Severity::Warning, ..found });
    }

    /// Once, also where what is written once is checked for several workloads.
    fn add(&mut self, found: Found) {
        if !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    /// Whatever stands at `at` is never shown: it may be a secret that somebody put where none belongs.
    pub(super) fn hide(&mut self, at: &At) {
        self.hidden.push(at.clone());
    }

    /// A part of a file could not be read, so that what seems to be missing may be there.
    pub(super) fn set_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Whether all files could be read whole.
    pub(super) fn is_complete(&self) -> bool {
        !self.incomplete
    }

    /// Whether anything is wrong.
    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error)
    }

    /// `file:line:column`, for a message about two places.
    pub(super) fn place(&self, at: &At) -> String {
        let (file, line, column) = self.locate(at);
        format!("{}:{line}:{column}", file.display())
    }

    /// What is wrong, in order.
    pub(super) fn into_problems(mut self) -> Problems {
        self.sort();
        let errors = self.found.iter().filter(|found| found.severity == Severity::Error);
        Problems {
            problems: errors.map(|found| self.problem(found)).collect(),
            warnings: self.warnings(),
            shown: self.shown(),
        }
    }

    /// What should be looked at, in order: one line each, with its place.
    pub(super) fn into_warnings(mut self) -> Vec<String> {
        self.sort();
        self.warnings()
    }

    fn warnings(&self) -> Vec<String> {
        let warnings = self.found.iter().filter(|found| found.severity == Severity::Warning);
        let line = |found: &Found| match &found.hint {
            Some(hint) => format!("{}; {hint}", self.problem(found)),
            None => self.problem(found).to_string(),
        };
        warnings.map(line).collect()
    }

    fn sort(&mut self) {
        self.found.sort_by_key(|found| match &found.place {
            Place::File(_) => (0, 0, 0),
            Place::Text(at) => (1, at.source, at.span.start),
        });
    }

    fn problem(&self, found: &Found) -> Problem {
        let (file, line, column, span) = match &found.place {
            Place::File(file) => (file.clone(), None, None, None),
            Place::Text(at) => {
                let (file, line, column) = self.locate(at);
                (file.to_owned(), Some(line), Some(column), Some(self.within_line(at)))
            }
        };
        Problem { file, line, column, span, message: found.message.clone(), hint: found.hint.clone() }
    }

    fn locate(&self, at: &At) -> (&Path, usize, usize) {
        let Some((path, text)) = self.texts.get(at.source) else { return (Path::new(""), 1, 1) };
        let before = text.get(..at.span.start).unwrap_or(text);
        let line = before.matches('\n').count().saturating_add(1);
        let last = before.rsplit('\n').next().unwrap_or(before);
        (path, line, last.chars().count().saturating_add(1))
    }

    /// The part of the place that lies on its first line.
    fn within_line(&self, at: &At) -> Range<usize> {
        let text = self.texts.get(at.source).map_or("", |(_, text)| text);
        let spanned = text.get(at.span.clone()).unwrap_or("");
        let first = spanned.lines().next().unwrap_or("");
        at.span.start..at.span.start.saturating_add(first.len())
    }

    fn shown(&self) -> Vec<(PathBuf, Arc<str>)> {
        let hide = |(number, (path, text)): (usize, &(PathBuf, String))| {
            let spans = self.hidden.iter().filter(|at| at.source == number).map(|at| &at.span);
            (path.clone(), Arc::from(blank(text, spans)))
        };
        self.texts.iter().enumerate().map(hide).collect()
    }
}

/// `text` with each span blank but for its line ends, and every byte where it was.
fn blank<'a>(text: &str, spans: impl Iterator<Item = &'a Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        for (offset, byte) in bytes.get_mut(span.clone()).unwrap_or_default().iter_mut().enumerate() {
            if *byte != b'\n' && *byte != b'\r' {
                *byte = if offset < 3 { b'.' } else { b' ' };
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}
