//! Lines as rows. Everything a caller could have chosen is escaped: an executable's name must not drive the terminal.

use std::io::IsTerminal;

use comfy_table::{Table as Grid, presets};
use jiff::tz::TimeZone;

use crate::audit::Line;
use crate::audit::line::word;
use crate::cli::names::Names;
use crate::cli::term;
use crate::words::printable;

/// The columns and, for rows that are printed one by one, their widths.
const COLUMNS: [(&str, usize); 8] = [
    ("TIME", 19),
    ("OUTCOME", 7),
    ("OP", 8),
    ("PATH", 28),
    ("USER", 14),
    ("PID", 7),
    ("PROGRAM", 24),
    ("DETAIL", 0),
];

/// Makes rows, with times in the local zone.
pub(super) struct Table {
    zone: TimeZone,
    names: Names,
}

impl Default for Table {
    fn default() -> Self {
        Self { zone: TimeZone::system(), names: Names::default() }
    }
}

impl Table {
    /// A whole table: fitted to the terminal, or one row on one line where there is none.
    pub(super) fn of(&mut self, lines: impl IntoIterator<Item = Line>) -> String {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING).set_header(COLUMNS.map(|(name, _)| name));
        if std::io::stdout().is_terminal() {
            grid.set_content_arrangement(term::arrangement());
        }
        for line in lines {
            grid.add_row(self.cells(&line));
        }
        for column in grid.column_iter_mut() {
            column.set_padding((0, 2));
        }
        grid.trim_fmt()
    }

    /// The header above rows that are printed one by one.
    pub(super) fn header(&self) -> String {
        spaced(&COLUMNS.map(|(name, _)| name.to_owned()))
    }

    /// One row by itself.
    pub(super) fn row(&mut self, line: &Line) -> String {
        spaced(&self.cells(line))
    }

    fn cells(&mut self, line: &Line) -> [String; 8] {
        let time = line.time().to_zoned_datetime(self.zone.clone()).strftime("%F %T").to_string();
        let record = match line {
            Line::Record(record) => record,
            Line::Lost(lost) => {
                let none = || "-".to_owned();
                let detail = format!("{} attempts are not on record", lost.lost);
                return [time, "lost".to_owned(), none(), none(), none(), none(), none(), detail];
            }
        };
        let mut detail = Vec::new();
        if record.count != 1 {
            detail.push(format!("{} times", record.count));
        }
        // As engines show ids.
        let container = record.container.chars().take(12).collect();
        let labelled = [
            ("", &record.errno),
            ("", &record.reason),
            ("rule ", &record.rule),
            ("unit ", &record.unit),
            ("container ", &container),
        ];
        for (label, text) in labelled {
            if !text.is_empty() {
                detail.push(format!("{label}{}", printable(text)));
            }
        }
        [
            time,
            if record.learned { "learned".to_owned() } else { word(record.outcome) },
            word(record.op),
            printable(&record.path),
            printable(&self.names.shown(record.uid)),
            record.pid.to_string(),
            if record.exe.is_empty() { "-".to_owned() } else { printable(&record.exe) },
            detail.join(", "),
        ]
    }
}

fn spaced(cells: &[String; 8]) -> String {
    let mut row = String::new();
    for (cell, (_, width)) in cells.iter().zip(COLUMNS) {
        row.push_str(&format!("{cell:<width$}  "));
    }
    row.truncate(row.trim_end().len());
    row
}
