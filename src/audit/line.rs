//! A line of the log: a record, or how many were lost. Written by the writer, read by `hushfs audit`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize, Serializer};

use super::record::{LAYOUT, Outcome, Record};
use crate::words::printable;

/// The longest text in a field, in bytes. A longer one (only a hostile caller has one) is cut and ends with an ellipsis.
pub const FIELD_MAX: usize = 4096;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "nearly every line is a record")]
pub enum Line {
    /// Attempts that are not on record.
    Lost(Lost),
    /// An attempt.
    Record(Record),
}

/// Attempts that are not on record, because the ring was full or the sink failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Layout version, [`LAYOUT`].
    pub v: u32,
    /// When this line was made: the losses lie between the line before it and this time.
    #[serde(serialize_with = "time")]
    pub time: jiff::Timestamp,
    /// How many attempts.
    pub lost: u64,
}

/// Why a line cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is not a line of this log: cut short, or another program's.
    #[error("not an audit record: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A newer hushfs wrote it, with fields that mean something else.
    #[error("layout {0} is newer than this hushfs")]
    Newer(u32),
}

impl Line {
    /// The line that says `lost` attempts are not on record.
    pub fn lost(lost: u64) -> Self {
        Self::Lost(Lost { v: LAYOUT, time: jiff::Timestamp::now(), lost })
    }

    /// Reads one line, with or without its line break.
    ///
    /// # Errors
    /// [`LineError`] where it is none of ours.
    pub fn parse(bytes: &[u8]) -> Result<Self, LineError> {
        let line: Self = serde_json::from_slice(bytes)?;
        match line.v() {
            v if v > LAYOUT => Err(LineError::Newer(v)),
            _ => Ok(line),
        }
    }

    /// Appends the JSON of this line and a line break. JSON escapes control characters, so it is always one line.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        if serde_json::to_writer(&mut *bytes, self).is_err() {
            // Cannot happen: no map, no float, and a Vec takes every write.
            bytes.truncate(start);
        }
        bytes.push(b'\n');
    }

    /// When.
    pub fn time(&self) -> jiff::Timestamp {
        match self {
            Self::Lost(lost) => lost.time,
            Self::Record(record) => record.time,
        }
    }

    /// The same as a sentence, safe to print.
    pub fn sentence(&self) -> String {
        let record = match self {
            Self::Lost(lost) => return format!("lost: {} attempts are not on record", lost.lost),
            Self::Record(record) => record,
        };
        let how = if record.learned { " by learning" } else { "" };
        let (outcome, op) = (word(record.outcome), word(record.op));
        let mut text = format!("{outcome}{how} {op}: {}", printable(&record.path));
        // Writing to a String cannot fail.
        let _ = write!(text, " by uid {} pid {}", record.uid, record.pid);
        if !record.exe.is_empty() {
            let _ = write!(text, " ({})", printable(&record.exe));
        }
        if !record.reason.is_empty() {
            let _ = write!(text, ": {}", printable(&record.reason));
        }
        if record.count != 1 {
            let _ = write!(text, " ({} times)", record.count);
        }
        text
    }

    /// Cuts texts longer than `max` bytes.
    pub(super) fn shorten(&mut self, max: usize) {
        if let Self::Record(record) = self {
            shorten(record, max);
        }
    }

    fn v(&self) -> u32 {
        match self {
            Self::Lost(lost) => lost.v,
            Self::Record(record) => record.v,
        }
    }
}

/// Cuts each text of `record` that is longer than `max` bytes, at a character.
pub(super) fn shorten(record: &mut Record, max: usize) {
    let Record { request, path, scope, exe, unit, container, cgroup, rule, version, reason, errno, .. } =
        record;
    for text in [request, path, scope, exe, unit, container, cgroup, rule, version, reason, errno] {
        if text.len() > max {
            text.truncate(text.floor_char_boundary(max.saturating_sub('…'.len_utf8())));
            text.push('…');
        }
    }
}

/// The word that stands in the log for an [`Outcome`] or an [`Op`](super::Op).
pub fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The syslog level of a line: 6 (informational) allowed, 5 (notice) denied or allowed by learning, 4 (warning) failed or
/// lost.
pub(super) fn level(line: &Line) -> u8 {
    match line {
        Line::Record(Record { outcome: Outcome::Denied, .. } | Record { learned: true, .. }) => 5,
        Line::Record(Record { outcome: Outcome::Allowed, .. }) => 6,
        Line::Record(Record { outcome: Outcome::Failed, .. }) | Line::Lost(_) => 4,
    }
}

/// RFC 3339 in UTC, always with six decimals, so that lines sort as text.
pub(super) fn time<S: Serializer>(time: &jiff::Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::record::Op;

    fn any_record() -> impl Strategy<Value = Record> {
        let ops = [Op::Open, Op::Read, Op::Stat, Op::Operator, Op::Change];
        let op = proptest::sample::select(ops.to_vec());
        let outcome = prop_oneof![Just(Outcome::Allowed), Just(Outcome::Denied), Just(Outcome::Failed)];
        let ids = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>());
        let texts = proptest::array::uniform11(any::<String>());
        let flags = any::<(bool, bool)>();
        (0..4_102_444_800_000_000_i64, op, outcome, ids, texts, flags).prop_map(
            |(micros_since, op, outcome, (uid, gid, pid, micros, count), texts, flags)| {
                let [request, path, scope, exe, unit, container, cgroup, rule, version, reason, errno] =
                    texts;
                let (other_user_namespace, learned) = flags;
                let time = jiff::Timestamp::from_microsecond(micros_since).unwrap();
                Record {
                    v: LAYOUT,
                    time,
                    request,
                    op,
                    outcome,
                    path,
                    scope,
                    uid,
                    gid,
                    pid,
                    exe,
                    unit,
                    container,
                    cgroup,
                    other_user_namespace,
                    rule,
                    learned,
                    version,
                    stale: false,
                    reason,
                    errno,
                    micros,
                    count,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_record_comes_back_from_its_line_which_is_one_line(record in any_record()) {
            let mut bytes = Vec::new();
            Line::Record(record.clone()).append_to(&mut bytes);
            prop_assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(Line::parse(&bytes).unwrap(), Line::Record(record));
        }

        #[test]
        fn a_printable_text_has_no_control_characters(text in any::<String>()) {
            prop_assert!(!printable(&text).chars().any(char::is_control));
        }

        #[test]
        fn a_shortened_record_has_no_long_text(mut record in any_record(), max in 3_usize..40) {
            shorten(&mut record, max);
            prop_assert!(record.exe.len() <= max && record.path.len() <= max);
        }
    }

    #[test]
    fn the_time_has_always_six_decimals() {
        let time = jiff::Timestamp::from_second(0).unwrap();
        let mut bytes = Vec::new();
        Line::Lost(Lost { v: LAYOUT, time, lost: 3 }).append_to(&mut bytes);
        assert_eq!(bytes, b"{\"v\":1,\"time\":\"1970-01-01T00:00:00.000000Z\",\"lost\":3}\n");
    }

    #[test]
    fn a_line_of_a_newer_layout_is_not_guessed_at() {
        let error = Line::parse(br#"{"v":2,"time":"2026-11-01T00:00:00Z","lost":3}"#).unwrap_err();
        assert!(matches!(error, LineError::Newer(2)));
    }

    #[test]
    fn direction_marks_are_shown_not_obeyed() {
        assert_eq!(printable("a\u{202e}b\x1b[2J\n\\"), "a\\u{202e}b\\u{1b}[2J\\n\\\\");
    }
}
