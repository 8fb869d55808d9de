//! Draws problems for people: the line, a pointer and the remedy.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use super::problems::{Problem, Problems};

/// What the drawing is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A terminal: lines and colours.
    Terminal,
    /// A file, a pipe or a terminal with `NO_COLOR`: ASCII without colour.
    Plain,
}

/// All problems, one below the other, at most `width` columns wide.
pub fn draw(problems: &Problems, look: Look, width: usize) -> String {
    let theme = match look {
        Look::Terminal => GraphicalTheme::unicode(),
        Look::Plain => GraphicalTheme::none(),
    };
    // A word is never broken: the commands in hints are there to be copied.
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_context_lines(0)
        .with_width(width)
        .with_break_words(false);
    let mut out = String::new();
    for problem in &problems.problems {
        let drawn = Drawn { problem, source: source(problems, problem) };
        if handler.render_report(&mut out, &drawn).is_err() {
            out.push_str(&problem.to_string());
        }
        out.push('\n');
    }
    out
}

fn source(problems: &Problems, problem: &Problem) -> Option<NamedSource<Arc<str>>> {
    let text = problem.span.as_ref().and(problems.text(&problem.file))?;
    Some(NamedSource::new(problem.file.to_string_lossy(), Arc::clone(text)))
}

/// One problem, as miette wants it.
struct Drawn<'a> {
    problem: &'a Problem,
    source: Option<NamedSource<Arc<str>>>,
}

impl Diagnostic for Drawn<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.problem.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".to_owned()), span))))
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source {
            Some(_) => f.write_str(&self.problem.message),
            None => write!(f, "{}", self.problem),
        }
    }
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for Drawn<'_> {}
