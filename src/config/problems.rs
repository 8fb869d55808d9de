//! What is wrong with a configuration, with places.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file it is in.
    #[serde(serialize_with = "readable")]
    pub file: PathBuf,
    /// The line, from 1; none when it is the file itself.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// Where in the file, in bytes, within one line.
    #[serde(skip)]
    pub span: Option<Range<usize>>,
    /// What is wrong: lower case, no value of a secret.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All mistakes of a configuration, in the order of files and lines.
#[derive(Clone, Default)]
pub struct Problems {
    /// The mistakes.
    pub problems: Vec<Problem>,
    /// What was found besides that does not make it wrong.
    pub warnings: Vec<String>,
    /// The files' texts with everything hidden that could be a secret.
    pub(super) shown: Vec<(PathBuf, Arc<str>)>,
}

impl Problems {
    /// The text of `file` as it may be shown: settings of providers and values of unknown keys are blank.
    pub(super) fn text(&self, file: &Path) -> Option<&Arc<str>> {
        self.shown.iter().find(|(path, _)| path == file).map(|(_, text)| text)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.message)
    }
}

/// A path that is no UTF-8 must not keep a program from its answer.
fn readable<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// One line for each mistake, with its place.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.problems).finish()
    }
}

impl std::error::Error for Problems {}
