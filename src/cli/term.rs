//! What goes to a terminal: the only place that prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is the command line's own output")]

use owo_colors::{OwoColorize, Stream};

use super::Failure;

/// One line, or several, to standard output.
pub(crate) fn say(text: impl std::fmt::Display) {
    println!("{text}");
}

/// One line to standard output, for output that may be long: a reader that stops (`| head`) is an error, not a panic.
pub(crate) fn line(text: impl std::fmt::Display) -> std::io::Result<()> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{text}")
}

/// One line to standard error that is not an error: a notice or a question's answer.
pub(crate) fn note(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// An error with its hint to standard error.
pub(crate) fn fail(error: &Failure) {
    let word = "error:";
    eprintln!("{} {error}", word.if_supports_color(Stream::Stderr, |w| w.red()));
    if let Some(hint) = &error.hint {
        let word = "hint:";
        eprintln!("{} {hint}", word.if_supports_color(Stream::Stderr, |w| w.cyan()));
    }
}
