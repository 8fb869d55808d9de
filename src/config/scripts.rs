//! Which executables are scripts: the kernel runs another program for them, and that is what a rule by executable sees.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// As much of the first line as the kernel reads (`BINPRM_BUF_SIZE`).
const LONGEST: u64 = 256;
/// How long a disk may take to show it. What does not answer is not found to be a script.
const PATIENCE: Duration = Duration::from_secs(1);

/// The program that the kernel runs for the file at `path`, where that is a script: for one that `env` looks up its name.
pub(super) fn interpreter(path: &Path) -> Option<PathBuf> {
    let (to, from) = mpsc::channel();
    let path = path.to_owned();
    // On a thread that may be lost: a FUSE or the network may never answer.
    std::thread::Builder::new().spawn(move || to.send(first_line(&path))).ok()?;
    of_line(&from.recv_timeout(PATIENCE).ok()??)
}

fn first_line(path: &Path) -> Option<Vec<u8>> {
    // NONBLOCK: were it exchanged for a named pipe just now, open would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let mut begin = Vec::new();
    file.take(LONGEST).read_to_end(&mut begin).ok()?;
    begin.split(|byte| *byte == b'\n').next().map(<[u8]>::to_vec)
}

fn of_line(line: &[u8]) -> Option<PathBuf> {
    let line = str::from_utf8(line.strip_prefix(b"#!")?).ok()?;
    // It is going to be shown, and whose the file is has not been looked at.
    if !line.bytes().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) {
        return None;
    }
    let mut words = line.split_ascii_whitespace();
    let program = Path::new(words.next()?);
    if program.file_name().is_none_or(|name| name != "env") {
        return Some(program.to_owned());
    }
    // `env` runs what it is told to in its own stead: the first word that is neither an option nor a variable.
    let named = words.find(|word| !word.starts_with('-') && !word.contains('='));
    Some(named.map_or_else(|| program.to_owned(), PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_script_names_the_program_that_runs() {
        for (line, program) in [
            ("#!/bin/sh", Some("/bin/sh")),
            ("#! /usr/bin/python3 -I", Some("/usr/bin/python3")),
            ("#!/usr/bin/env node", Some("node")),
            ("#!/usr/bin/env -S A=b node --x", Some("node")),
            ("#!/usr/bin/env", Some("/usr/bin/env")),
            ("#!", None),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            assert_eq!(of_line(line.as_bytes()), program.map(PathBuf::from), "{line}");
        }
        assert_eq!(of_line(b"#!\xff"), None);
        assert_eq!(of_line(b"#!/bin/sh\x1b[2J"), None);
        assert_eq!(interpreter(Path::new("/bin/true")), None);
    }
}
