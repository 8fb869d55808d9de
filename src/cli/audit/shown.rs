//! What is printed, and when: lines at once, or the last N as a table.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;

use super::Args;
use super::table::Table;
use crate::audit::Line;
use crate::cli::term;

/// Rows of a table unless --limit says otherwise: a table needs all its rows in memory.
const TABLE_ROWS: usize = 1000;

/// Rows before new ones, unless --limit says otherwise.
const FOLLOW_ROWS: usize = 10;

/// See the module.
pub(super) struct Shown {
    json: bool,
    follow: bool,
    /// The last lines so far, while they are held back.
    held: VecDeque<Line>,
    limit: Option<usize>,
    asked: bool,
    /// Lines go out as they come.
    live: bool,
    left_out: u64,
    records: u64,
    table: Table,
}

impl Shown {
    pub(super) fn new(args: &Args) -> Self {
        let limit = match (args.limit, args.follow, args.json) {
            (Some(0), _, _) => None,
            (Some(limit), _, _) => Some(limit),
            (None, true, _) => Some(FOLLOW_ROWS),
            (None, false, true) => None,
            (None, false, false) => Some(TABLE_ROWS),
        };
        Self {
            json: args.json,
            follow: args.follow,
            held: VecDeque::new(),
            limit,
            asked: args.limit.is_some() || args.follow,
            live: args.json && limit.is_none(),
            left_out: 0,
            records: 0,
            table: Table::default(),
        }
    }

    /// Prints a line that matches, or keeps it for later.
    pub(super) fn line(&mut self, line: Line) -> io::Result<ControlFlow<()>> {
        if matches!(line, Line::Record(_)) {
            self.records = self.records.saturating_add(1);
        }
        if self.live {
            return self.print(&line);
        }
        self.held.push_back(line);
        if self.limit.is_some_and(|limit| self.held.len() > limit) {
            self.held.pop_front();
            self.left_out = self.left_out.saturating_add(1);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Prints what was kept; from now on lines go out as they come.
    pub(super) fn caught_up(&mut self) -> io::Result<ControlFlow<()>> {
        self.live = true;
        let held = std::mem::take(&mut self.held);
        if self.json || self.follow {
            if !self.json {
                term::line(self.table.header())?;
            }
            for line in held {
                if self.print(&line)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            return Ok(ControlFlow::Continue(()));
        }
        if held.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        open(term::line(self.table.of(held)))
    }

    /// What is said at the end.
    pub(super) fn finish(&self) {
        if self.records == 0 && !self.follow {
            term::note("no records match");
        } else if self.left_out > 0 && !self.asked {
            term::note(format_args!("{} earlier records left out; --limit 0 shows all", self.left_out));
        }
    }

    fn print(&mut self, line: &Line) -> io::Result<ControlFlow<()>> {
        if self.json {
            let mut bytes = Vec::new();
            line.append_to(&mut bytes);
            return open(term::line(String::from_utf8_lossy(&bytes).trim_end()));
        }
        open(term::line(self.table.row(line)))
    }
}

/// Whether anybody still reads what is printed: `| head` may stop.
fn open(printed: io::Result<()>) -> io::Result<ControlFlow<()>> {
    match printed {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(error),
    }
}
