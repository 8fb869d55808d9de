//! What goes to a terminal: the only place that prints.

use std::fs::File;
use std::io::{IsTerminal, Write as _};
use std::os::fd::AsFd as _;

use comfy_table::ContentArrangement;
use owo_colors::{OwoColorize, Stream};

use super::Failure;

/// One line, or several, to standard output. Whether somebody reads them changes nothing for what was done.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = line(text);
}

/// One line to standard output, for output that may be long: a reader that stops (`| head`) is an error, not a panic.
pub(crate) fn line(text: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{text}")
}

/// A value's exact bytes to standard output; a terminal gets a line end as well. Not through std's writer: its buffer is not
/// wiped.
pub(crate) fn value(value: &[u8]) -> std::io::Result<()> {
    let mut out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    out.write_all(value)?;
    if out.is_terminal() && !value.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    Ok(())
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

/// How a table fits what standard output is. A terminal that does not tell its width (a serial console says 0) gets whole
/// lines.
pub(crate) fn arrangement() -> ContentArrangement {
    match rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col < 40 => ContentArrangement::Disabled,
        _ => ContentArrangement::Dynamic,
    }
}

/// The columns and rows of the terminal that standard output is; `None` where it is none, or does not tell.
pub(crate) fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_col > 0).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Puts a whole page in the place of the last one, as far as it fits. What is no terminal gets it below.
pub(crate) fn redraw(page: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let Some((_, rows)) = size().filter(|_| std::io::stdout().is_terminal()) else {
        writeln!(out, "{page}\n")?;
        return out.flush();
    };
    let lines: Vec<_> = page.lines().collect();
    let fits = if lines.len() < rows { lines.len() } else { rows.saturating_sub(2) };
    out.write_all(b"\x1b[H")?;
    for line in lines.iter().take(fits) {
        write!(out, "{line}\x1b[K\r\n")?;
    }
    if fits < lines.len() {
        write!(out, "{} more lines\x1b[K", lines.len() - fits)?;
    }
    out.write_all(b"\x1b[J")?;
    out.flush()
}

/// Whether errors go to a terminal that wants colours (<https://no-color.org>).
pub(crate) fn is_fancy() -> bool {
    wants_colours(&std::io::stderr())
}

/// Whether what is said goes to one.
pub(crate) fn says_fancy() -> bool {
    wants_colours(&std::io::stdout())
}

fn wants_colours(stream: &impl IsTerminal) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    wanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb") && stream.is_terminal()
}
