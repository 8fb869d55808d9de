//! Where values come from: standard input as it is, or a prompt that does not echo.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;

use age::secrecy::SecretString;
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

fn prompt(question: &str) -> io::Result<Zeroizing<String>> {
    rpassword::prompt_password(question).map(Zeroizing::new)
}

/// Asks yes or no on the terminal itself, whatever standard input is. `None`: there is no terminal.
pub(super) fn confirm(question: &str) -> Option<bool> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    write!(terminal, "{question} [y/N] ").and_then(|()| terminal.flush()).ok()?;
    let mut answer = String::new();
    BufReader::new(terminal).read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}
