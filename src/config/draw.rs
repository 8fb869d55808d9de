//! Draws problems for people: the line, a pointer and the remedy.

use std::fmt;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
};
use miette::{SourceCode, SourceSpan, SpanContents};

use super::problems::{Problem, Problems};

/// What the drawing is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A terminal: lines and colours.
    Terminal,
    /// A file, a pipe or a terminal with `NO_COLOR`: ASCII without colour.
    Plain,
}

/// All problems, one below the other.
pub fn draw(problems: &Problems, look: Look) -> String {
    let theme = match look {
        Look::Terminal => GraphicalTheme::unicode(),
        Look::Plain => GraphicalTheme::none(),
    };
    // Lines are left whole: the commands in hints are there to be copied.
    let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_wrap_lines(false);
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

fn source(problems: &Problems, problem: &Problem) -> Option<OneLine> {
    let text = problem.span.as_ref().and(problems.text(&problem.file))?;
    Some(OneLine { name: problem.file.display().to_string(), text: Arc::clone(text) })
}

/// A text of which only the line with the mistake is shown, not its neighbours.
struct OneLine {
    name: String,
    text: Arc<str>,
}

impl SourceCode for OneLine {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let exact = self.text.read_span(span, 0, 0)?;
        let (line, column) = (exact.line(), exact.column());
        let name = self.name.clone();
        if before == 0 && after == 0 {
            let span = *exact.span();
            return Ok(Box::new(MietteSpanContents::new_named(name, exact.data(), span, line, column, 1)));
        }
        let start = self.text.get(..span.offset()).and_then(|text| text.rfind('\n')).map_or(0, |end| end + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        let whole = rest.lines().next().unwrap_or_default();
        let span = SourceSpan::from((start, whole.len()));
        Ok(Box::new(MietteSpanContents::new_named(name, whole.as_bytes(), span, line, 0, 1)))
    }
}

/// One problem, as miette wants it.
struct Drawn<'a> {
    problem: &'a Problem,
    source: Option<OneLine>,
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
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, span))))
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
