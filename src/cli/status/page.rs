//! The page that people read.

use comfy_table::Color;
use jiff::Timestamp;

use super::grid::{Column, Said, grid};
use super::words::{between, bytes, shortened, took};
use crate::control::{ProviderRow, Report, SecretRow, Trouble};
use crate::resolve::Kept;

/// How a page is drawn.
pub(super) struct Page {
    /// The columns there are; `None` where there is no end of them.
    pub(super) width: Option<usize>,
    /// Whether in colour.
    pub(super) fancy: bool,
}

const PROVIDERS: [Column; 7] = [
    Column { name: "PROVIDER", least: Some(8), goes: 0 },
    Column { name: "KIND", least: None, goes: 3 },
    Column { name: "STATE", least: None, goes: 0 },
    Column { name: "ASKED", least: None, goes: 1 },
    Column { name: "FAILED", least: None, goes: 1 },
    Column { name: "TOOK", least: None, goes: 2 },
    Column { name: "LOGIN", least: None, goes: 3 },
];

const SECRETS: [Column; 7] = [
    Column { name: "SECRET", least: Some(14), goes: 0 },
    Column { name: "STATE", least: None, goes: 0 },
    Column { name: "VERSION", least: Some(8), goes: 1 },
    Column { name: "AGE", least: None, goes: 2 },
    Column { name: "NEXT", least: None, goes: 3 },
    Column { name: "READS", least: None, goes: 4 },
    Column { name: "HITS", least: None, goes: 5 },
];

impl Page {
    /// All of it.
    pub(super) fn whole(&self, report: &Report) -> String {
        let mut parts = vec![self.head(report), self.providers(report)];
        if !report.secrets.is_empty() {
            parts.push(self.secrets(report));
        }
        if report.troubles().next().is_some() {
            parts.push(self.troubles_of(report));
        }
        parts.join("\n\n")
    }

    /// What is not well, a line or two for each.
    pub(super) fn troubles_of(&self, report: &Report) -> String {
        let lines = report.troubles().map(|trouble| {
            let (what, why) = match trouble {
                Trouble::Provider(row) => (row.status.name.clone(), row.status.down.as_deref()),
                Trouble::Secret(row) => (row.status.named(), row.status.error.as_deref()),
            };
            let state = match trouble {
                Trouble::Provider(row) => left_alone(row, report.time),
                Trouble::Secret(row) => state(row, report.time).text,
            };
            // Whole words matter more than columns: a terminal wraps a line without a table.
            let what =
                self.width.map_or_else(|| shortened(&what, usize::MAX), |width| shortened(&what, width));
            format!("{what}: {state}: {}", shortened(why.unwrap_or("no reason is known"), usize::MAX))
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn head(&self, report: &Report) -> String {
        let Report { version, pid, time, mount, memory, audit_lost, configured, secrets, .. } = report;
        let point = shortened(&mount.point.to_string_lossy(), self.width.unwrap_or(usize::MAX));
        let open = match mount.open_handles {
            1 => "1 open file".to_owned(),
            count => format!("{count} open files"),
        };
        let locked = match &memory.unlocked_because {
            None => "locked".to_owned(),
            Some(why) => format!("NOT all locked ({why})"),
        };
        let mut lines = vec![
            format!("hushfs {version}, process {pid}"),
            point,
            format!("mounted {} ago, {open}", between(mount.since, *time)),
            format!("cache {} of {}, {locked}", bytes(memory.cache_used), bytes(memory.cache_max)),
            format!("secrets: {} known, {configured} configured", secrets.len()),
        ];
        if *audit_lost > 0 {
            lines.push(format!("{audit_lost} attempts are NOT on record"));
        }
        lines.join("\n")
    }

    fn providers(&self, report: &Report) -> String {
        let rows: Vec<Vec<Said>> = report.providers.iter().map(|row| provider(row, report.time)).collect();
        grid(&PROVIDERS, &rows, self.width, self.fancy)
    }

    fn secrets(&self, report: &Report) -> String {
        let rows: Vec<Vec<Said>> = report.secrets.iter().map(|row| secret(row, report.time)).collect();
        grid(&SECRETS, &rows, self.width, self.fancy)
    }
}

fn left_alone(row: &ProviderRow, now: Timestamp) -> String {
    match row.status.asked_again {
        Some(until) => format!("left alone for {}", between(now, until)),
        None => "failing".to_owned(),
    }
}

fn provider(row: &ProviderRow, now: Timestamp) -> Vec<Said> {
    let status = &row.status;
    let state = match (&status.down, status.asked) {
        (Some(_), _) => Said::in_colour(left_alone(row, now), Color::Red),
        (None, 0) => "not asked yet".into(),
        (None, _) => Said::in_colour("up", Color::Green),
    };
    vec![
        status.name.clone().into(),
        row.kind.clone().into(),
        state,
        status.asked.to_string().into(),
        status.failed.to_string().into(),
        status.took_micros.map_or_else(|| "-".to_owned(), took).into(),
        row.login_until.map_or_else(|| "-".to_owned(), |until| between(now, until)).into(),
    ]
}

/// Where a secret stands, and until when.
fn state(row: &SecretRow, now: Timestamp) -> Said {
    let status = &row.status;
    let until = |time: Option<Timestamp>| time.map(|time| between(now, time));
    match status.kept {
        Kept::Unknown => "being fetched".into(),
        Kept::Fresh => {
            let kind = if status.leased { "leased" } else { "fresh" };
            let text = until(status.fresh_until)
                .map_or_else(|| kind.to_owned(), |left| format!("{kind} for {left}"));
            Said::in_colour(text, Color::Green)
        }
        Kept::Aged => "aged".into(),
        Kept::Stale => {
            let left = until(status.usable_until).unwrap_or_default();
            Said::in_colour(format!("stale, for {left}"), Color::Yellow)
        }
        Kept::Failed => {
            let again = until(status.retried).unwrap_or_default();
            Said::in_colour(format!("failed, for {again}"), Color::Red)
        }
    }
}

fn secret(row: &SecretRow, now: Timestamp) -> Vec<Said> {
    let status = &row.status;
    let or_none = |text: Option<String>| Said::from(text.unwrap_or_else(|| "-".to_owned()));
    vec![
        status.named().into(),
        state(row, now),
        or_none(status.version.clone()),
        or_none(status.fetched.map(|fetched| between(fetched, now))),
        or_none(status.next_refresh.map(|next| between(now, next))),
        status.reads.to_string().into(),
        status.hits.to_string().into(),
    ]
}

#[cfg(test)]
mod tests;
