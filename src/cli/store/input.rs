//! Where values come from: standard input as it is, or a prompt that does not echo.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;

use age::secrecy::SecretString;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use zeroize::Zeroizing;

use crate::cli::Failure;
use crate::providers::store::{VALUE_LIMIT, Wiping};

/// Reads a value: exact bytes from standard input, or, where that is a terminal, one line that is not shown.
pub(super) fn value(what: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if io::stdin().is_terminal() {
        let typed = prompt(&format!("Value of {what} (not shown): "))
            .map_err(|error| Failure::new(format!("cannot ask for the value: {error}")))?;
        return Ok(Zeroizing::new(typed.as_bytes().to_vec()));
    }
    // Not through std's reader: its buffer is not wiped.
    let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let value = stdin
        .and_then(|stdin| Wiping::read_from(stdin, VALUE_LIMIT))
        .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    if value.len() > VALUE_LIMIT {
        return Err(Failure::new(format!("the value of {what} is larger than {VALUE_LIMIT} bytes"))
            .hint("the store is for credentials; keep large files elsewhere, encrypted under one"));
    }
    Ok(value)
}

/// Asks for a text on the terminal without showing it.
pub(super) fn hidden(question: &str) -> io::Result<SecretString> {
    prompt(question).map(|typed| SecretString::from(typed.as_str()))
}

/// rpassword shows the question and then turns the echo off. Whoever answers at once would see the answer, so the echo is off
/// before.
fn prompt(question: &str) -> io::Result<Zeroizing<String>> {
    let _quiet = OpenOptions::new().read(true).write(true).open("/dev/tty").and_then(Quiet::new)?;
    rpassword::prompt_password(question).map(Zeroizing::new)
}

/// A terminal that does not echo, as long as this lives.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: File) -> io::Result<Self> {
        let before = termios::tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Asks yes or no on the terminal itself, whatever standard input is. `None`: there is no terminal.
pub(super) fn confirm(question: &str) -> Option<bool> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).ok()?;
    let mut answer = String::new();
    BufReader::new(terminal).read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}
