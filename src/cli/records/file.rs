//! Lines from a log file, its rotated siblings, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Event, Take, Until, failure};
use crate::cli::{Failure, term};

/// How long to wait between two looks at a file that is followed.
const LOOK: Duration = Duration::from_millis(200);

/// How long a rotated file is still read: logrotate may make the new one before the daemon lets go of the old.
const GRACE: Duration = Duration::from_secs(1);

/// No line is longer; what is, is no record and must not fill the memory.
const LINE_MAX: u64 = 1 << 20;

/// Reads `path` after its rotated siblings, oldest first.
pub(super) fn read(path: &Path, until: Until, take: Take<'_>) -> Result<(), Failure> {
    let (files, compressed) = siblings(path).map_err(|error| cannot_read(path, &error))?;
    if !compressed.is_empty() {
        let names: Vec<_> = compressed.iter().map(|path| path.display().to_string()).collect();
        term::note(format_args!("compressed and not read: {} (zcat them into --file -)", names.join(" ")));
    }
    let mut open = open(path, files)?;
    let last = open.pop();
    let flow = (|| {
        for file in open {
            if lines(BufReader::new(file), take)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        match last {
            None => Ok(ControlFlow::Continue(())),
            Some(last) if until == Until::Stopped => follow(path, last, take),
            Some(last) => lines(BufReader::new(last), take),
        }
    })();
    match flow.map_err(|error| failure(&error))? {
        ControlFlow::Break(()) => Ok(()),
        ControlFlow::Continue(()) => take(Event::CaughtUp).map(drop).map_err(|error| failure(&error)),
    }
}

/// Reads standard input. What is there and what comes later cannot be told apart there.
pub(super) fn read_stdin(until: Until, take: Take<'_>) -> Result<(), Failure> {
    let read = (|| {
        if until == Until::Stopped && take(Event::CaughtUp)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        match lines(io::stdin().lock(), take)? {
            ControlFlow::Continue(()) if until == Until::End => take(Event::CaughtUp),
            flow => Ok(flow),
        }
    })();
    read.map(drop).map_err(|error| failure(&error))
}

/// Opens the newest first, so that a rotation meanwhile shows a file twice (and is noticed) instead of not at all.
fn open(path: &Path, mut files: Vec<PathBuf>) -> Result<Vec<File>, Failure> {
    let mut open: Vec<(File, (u64, u64))> = Vec::new();
    files.push(path.to_owned());
    while let Some(next) = files.pop() {
        let file = match File::open(&next) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && next != path => continue,
            Err(error) => return Err(cannot_read(&next, &error)),
        };
        let id = id(&file).map_err(|error| cannot_read(&next, &error))?;
        if !open.iter().any(|(_, seen)| *seen == id) {
            open.push((file, id));
        }
    }
    Ok(open.into_iter().rev().map(|(file, _)| file).collect())
}

/// The rotated siblings of `path`, oldest first, and those that are compressed.
fn siblings(path: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else {
        return Ok((Vec::new(), Vec::new()));
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (mut files, mut compressed) = (Vec::new(), Vec::new());
    for entry in folder.unwrap_or(Path::new(".")).read_dir()? {
        let entry = entry?;
        let found = entry.file_name();
        let Some(suffix) = found.to_str().and_then(|found| found.strip_prefix(&*name)) else { continue };
        let (plain, packed) = match suffix.rsplit_once('.') {
            Some((plain, "gz" | "xz" | "zst" | "bz2")) => (plain, true),
            _ => (suffix, false),
        };
        match (age(plain), packed) {
            (Some(_), true) => compressed.push(entry.path()),
            (Some(age), false) => files.push((age, entry.path())),
            (None, _) => {}
        }
    }
    files.sort();
    compressed.sort();
    Ok((files.into_iter().map(|(_, path)| path).collect(), compressed))
}

/// Sorts `.2` before `.1`, and `-20261101` (logrotate's `dateext`) before `-20261102`.
fn age(suffix: &str) -> Option<i64> {
    let (sign, number) = match suffix.split_at_checked(1)? {
        (".", number) => (-1, number),
        ("-", number) => (1, number),
        _ => return None,
    };
    let number = Some(number).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    number.parse::<i64>().ok().map(|number| sign * number)
}

/// Reads to the end; the last line may lack its line break.
fn lines(mut from: impl BufRead, take: Take<'_>) -> io::Result<ControlFlow<()>> {
    let mut line = Vec::new();
    while next(&mut from, &mut line)? {
        if pass(&mut line, take)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Appends up to a line break to `line`; `false` at the end.
fn next(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    Ok(from.by_ref().take(LINE_MAX).read_until(b'\n', line)? > 0)
}

fn pass(line: &mut Vec<u8>, take: Take<'_>) -> io::Result<ControlFlow<()>> {
    line.pop_if(|last| *last == b'\n');
    let flow = if line.is_empty() { ControlFlow::Continue(()) } else { take(Event::Line(line))? };
    line.clear();
    Ok(flow)
}

/// Reads `file` and whatever takes its place at `path`, until somebody stops us.
fn follow(path: &Path, file: File, take: Take<'_>) -> io::Result<ControlFlow<()>> {
    let mut current = id(&file)?;
    let mut from = BufReader::new(file);
    let mut line = Vec::new();
    let mut caught_up = false;
    loop {
        if whole_lines(&mut from, &mut line, take)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let there = File::open(path).ok().and_then(|file| Some((id(&file).ok()?, file)));
        if let Some((id, file)) = there.filter(|(id, _)| *id != current) {
            std::thread::sleep(GRACE);
            let flow = whole_lines(&mut from, &mut line, take)?;
            if flow.is_break() || pass(&mut line, take)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            current = id;
            from = BufReader::new(file);
            continue;
        }
        let position = from.stream_position()?;
        if from.get_ref().metadata()?.len() < position {
            // logrotate's copytruncate.
            line.clear();
            from.rewind()?;
            continue;
        }
        if !caught_up {
            caught_up = true;
            if take(Event::CaughtUp)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// Passes every line that has its end; one that is half written stays in `line` until the rest comes.
fn whole_lines(from: &mut impl BufRead, line: &mut Vec<u8>, take: Take<'_>) -> io::Result<ControlFlow<()>> {
    while next(from, line)? {
        let whole = line.last() == Some(&b'\n') || line.len() as u64 >= LINE_MAX;
        if whole && pass(line, take)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn id(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("cannot read {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            failure.hint("only root and the log's owner may read it: use sudo")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_come_oldest_first_and_strangers_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["a.log", "a.log.1", "a.log.10", "a.log.2", "a.log.3.gz", "a.log.bak", "a.log.1x", "b.log.1"]
        {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let (files, compressed) = siblings(&dir.path().join("a.log")).unwrap();
        let names = |paths: Vec<PathBuf>| -> Vec<String> {
            paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names(files), ["a.log.10", "a.log.2", "a.log.1"]);
        assert_eq!(names(compressed), ["a.log.3.gz"]);
    }

    #[test]
    fn dated_siblings_are_ordered_by_date() {
        assert!(age("-20261101") < age("-20261102"));
        assert!(age(".2") < age(".1"));
        assert_eq!(age("."), None);
        assert_eq!(age(""), None);
    }
}
