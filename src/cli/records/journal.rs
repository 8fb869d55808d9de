//! Lines from systemd's journal, by `journalctl`.

use std::io::{self, BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use serde::Deserialize;

use super::{Event, Take, Until, failure};
use crate::cli::Failure;

/// What is of use in an entry.
#[derive(Deserialize)]
struct Entry {
    /// Its place in the journal.
    #[serde(rename = "__CURSOR")]
    cursor: Option<String>,
    /// The line, where the sink is the journal. Journald gives bytes instead of text where it is not printable.
    #[serde(rename = "HUSHFS_RECORD")]
    record: Option<serde_json::Value>,
    /// The line, where the sink is standard error.
    #[serde(rename = "MESSAGE")]
    message: Option<serde_json::Value>,
}

/// Ends the child with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and nobody waits for what it says.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads the entries that hushfs wrote.
///
/// Anybody may write an entry that calls itself hushfs; journald itself adds the writer's uid, so only entries of root
/// and of the user who asks are read.
pub(super) fn read(since: Option<Timestamp>, until: Until, take: Take<'_>) -> Result<(), Failure> {
    let mut cursor = None;
    let flow = run(command(since), &mut cursor, take)?;
    if flow.is_break() || take(Event::CaughtUp).map_err(|error| failure(&error))?.is_break() {
        return Ok(());
    }
    match until {
        Until::End => Ok(()),
        Until::Stopped => run(following(cursor.as_deref()), &mut cursor, take).map(drop),
    }
}

/// Reads what one `journalctl` says, to its end.
fn run(
    mut command: Command,
    cursor: &mut Option<String>,
    take: Take<'_>,
) -> Result<ControlFlow<()>, Failure> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(|error| {
        Failure::new(format!("cannot run journalctl: {error}")).hint("name a log file with --file FILE")
    })?;
    let mut child = Running(child);
    if let Some(output) = child.0.stdout.take() {
        let flow = entries(BufReader::new(output), cursor, take).map_err(|error| failure(&error))?;
        if flow.is_break() {
            return Ok(flow);
        }
    }
    let status = child.0.wait().map_err(|error| failure(&error))?;
    match status.code() {
        // 1 is also the answer when nothing matches; of anything else it has told on standard error.
        Some(0 | 1) => Ok(ControlFlow::Continue(())),
        _ => Err(Failure::new(format!("journalctl failed ({status})"))),
    }
}

fn command(since: Option<Timestamp>) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--output=json", "--all", "--quiet", "--no-pager", "SYSLOG_IDENTIFIER=hushfs", "_UID=0"]);
    let uid = rustix::process::geteuid();
    if !uid.is_root() {
        command.arg(format!("_UID={}", uid.as_raw()));
    }
    if let Some(since) = since {
        // An entry is written after its attempt, so this never leaves out one that matches.
        command.arg(format!("--since=@{}", since.as_second()));
    }
    command
}

/// What comes after the entry at `cursor`.
fn following(cursor: Option<&str>) -> Command {
    let mut command = command(None);
    command.arg("--follow");
    match cursor {
        Some(cursor) => command.arg("--no-tail").arg(format!("--after-cursor={cursor}")),
        None => command.arg("--lines=0"),
    };
    command
}

fn entries(from: impl BufRead, cursor: &mut Option<String>, take: Take<'_>) -> io::Result<ControlFlow<()>> {
    for entry in from.split(b'\n') {
        let Ok(entry) = serde_json::from_slice::<Entry>(&entry?) else { continue };
        if entry.cursor.is_some() {
            cursor.clone_from(&entry.cursor);
        }
        let Some(line) = line(entry) else { continue };
        if take(Event::Line(&line))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The line of the log in an entry; none in those that hushfs wrote about something else.
fn line(entry: Entry) -> Option<Vec<u8>> {
    let record = entry.record.and_then(bytes);
    record.or_else(|| entry.message.and_then(bytes).filter(|message| message.starts_with(b"{\"v\":")))
}

fn bytes(value: serde_json::Value) -> Option<Vec<u8>> {
    match value {
        serde_json::Value::String(text) => Some(text.into_bytes()),
        serde_json::Value::Array(_) => serde_json::from_value(value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(output: &str) -> (Vec<String>, Option<String>) {
        let (mut lines, mut cursor) = (Vec::new(), None);
        let mut take = |event: Event<'_>| {
            if let Event::Line(line) = event {
                lines.push(String::from_utf8_lossy(line).into_owned());
            }
            Ok(ControlFlow::Continue(()))
        };
        assert!(entries(output.as_bytes(), &mut cursor, &mut take).unwrap().is_continue());
        (lines, cursor)
    }

    #[test]
    fn a_record_is_found_as_a_field_as_bytes_or_as_a_message() {
        let output = r#"{"__CURSOR":"a","HUSHFS_RECORD":"{\"v\":1}","MESSAGE":"denied"}
{"__CURSOR":"b","HUSHFS_RECORD":[123,125]}
{"__CURSOR":"c","MESSAGE":"{\"v\":2}"}"#;
        let (lines, cursor) = found(output);
        assert_eq!(lines, [r#"{"v":1}"#, "{}", r#"{"v":2}"#]);
        assert_eq!(cursor.as_deref(), Some("c"));
    }

    #[test]
    fn other_entries_are_no_records() {
        let (lines, _) = found("{\"MESSAGE\":\"mounted\"}\n{\"MESSAGE\":null}\n-- No entries --\n");
        assert!(lines.is_empty());
    }

    #[test]
    fn journalctl_is_asked_only_for_what_root_or_the_asker_wrote() {
        let command = command(Some(Timestamp::from_second(5).unwrap()));
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        assert!(args.contains(&"_UID=0".to_owned()));
        assert!(args.contains(&"--since=@5".to_owned()));
    }
}
