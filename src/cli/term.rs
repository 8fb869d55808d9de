//! What goes to a terminal: the only place that prints.
#![expect(clippy::print_stdout, reason = "this is the command line's own output")]

use std::io::{IsTerminal as _, Write as _};

use owo_colors::{OwoColorize, Stream};

use super::Failure;

/// One line, or several, to standard output.
pub(crate) fn say(text: impl std::fmt::Display) {
    println!("{text}");
}

/// One line to standard output, for output that may be long: a reader that stops (`| head`) is an error, not a panic.
pub(crate) fn line(text: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

/// One line to standard error that is not an error: a notice or a question's answer.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// An error with its hint to standard error.
pub(crate) fn fail(error: &Failure) {
    let word = "error:";
    // Where nobody reads it, that is no reason to panic.
    let _ = writeln!(std::io::stderr(), "{} {error}", word.if_supports_color(Stream::Stderr, |w| w.red()));
    if let Some(hint) = &error.hint {
        let word = "hint:";
        let _ =
            writeln!(std::io::stderr(), "{} {hint}", word.if_supports_color(Stream::Stderr, |w| w.cyan()));
    }
}

/// Whether errors go to a terminal that wants colours (<https://no-color.org>).
pub(crate) fn is_fancy() -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && std::io::stderr().is_terminal()
}
