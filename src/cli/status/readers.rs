//! `hushfs status --readers` and `--stale`: who read which version, and still runs.

use comfy_table::Color;

use super::grid::{Column, Said, grid};
use super::page::Page;
use super::words::between;
use crate::control::{ReaderRow, ReadersReport};

/// Characters of a container's id that tell it from others.
const SHORT_ID: usize = 12;

const READERS: [Column; 7] = [
    Column { name: "FILE", least: Some(14), goes: 0 },
    Column { name: "PID", least: None, goes: 0 },
    Column { name: "UID", least: None, goes: 3 },
    Column { name: "WHO", least: Some(12), goes: 1 },
    Column { name: "VERSION", least: Some(8), goes: 0 },
    Column { name: "READ", least: None, goes: 2 },
    Column { name: "STATE", least: None, goes: 0 },
];

/// Which readers are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// All.
    All,
    /// Those who hold an old version.
    Stale,
}

/// Leaves those who are meant.
pub(super) fn only(report: ReadersReport, of: Of) -> ReadersReport {
    let is_meant = |row: &ReaderRow| of == Of::All || row.stale;
    ReadersReport { readers: report.readers.into_iter().filter(is_meant).collect(), ..report }
}

impl Page {
    /// The table, or that there is nobody.
    pub(super) fn readers(&self, report: &ReadersReport, of: Of) -> String {
        let mut text = match (report.readers.is_empty(), of) {
            (false, _) => {
                let rows: Vec<Vec<Said>> =
                    report.readers.iter().map(|row| reader(row, report.time)).collect();
                grid(&READERS, &rows, self.width, self.fancy)
            }
            (true, Of::All) => "no process that runs has read anything".to_owned(),
            (true, Of::Stale) => "no process that runs holds an old version".to_owned(),
        };
        if report.forgotten > 0 {
            let count = report.forgotten;
            text += &format!(
                "\n\n{count} readings were forgotten because there were too many: somebody may be missing here"
            );
        }
        text
    }
}

fn reader(reader: &ReaderRow, now: jiff::Timestamp) -> Vec<Said> {
    let row = &reader.row;
    let who = match (row.container.as_str(), row.unit.as_str()) {
        ("", "") => row.exe.clone(),
        ("", unit) => unit.to_owned(),
        (container, _) => container.chars().take(SHORT_ID).collect(),
    };
    let state = match (reader.stale, reader.open) {
        (true, true) => Said::in_colour("old, open", Color::Red),
        (true, false) => Said::in_colour("old", Color::Yellow),
        (false, _) if !row.newest => "read before".into(),
        (false, true) => "open".into(),
        (false, false) => "read".into(),
    };
    vec![
        row.path.clone().into(),
        row.pid.to_string().into(),
        row.uid.to_string().into(),
        who.into(),
        row.version.clone().into(),
        format!("{} ago", between(row.last, now)).into(),
        state,
    ]
}
