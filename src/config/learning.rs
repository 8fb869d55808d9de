//! `learn_until`: how long a scope lets in, and puts on record, callers whose program no rule names yet.

use jiff::{SignedDuration, Timestamp};
use toml::de::DeValue;

use super::report::{Found, Report};
use super::table::Entry;
use crate::policy::Rules;

/// The longest that a scope may learn, from when the configuration is read.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Checks `learn_until` of the scope `scope`. The inner `None` is that it is not written, the outer that it is wrong.
pub(super) fn learn_until(
    scope: &str,
    entry: Option<&Entry<'_>>,
    now: Timestamp,
    report: &mut Report,
) -> Option<Option<Timestamp>> {
    let Some(entry) = entry else { return Some(None) };
    let until = time(entry, now, report)?;
    // At a whole second, as people write it.
    let latest = now.saturating_add(LONGEST).ok()?;
    if until > latest {
        let found = Found::at(&entry.at, "a scope may learn for 7 days at most");
        report
            .error(found.hint(format!("write {latest:.0} or earlier, and a later time when that has come")));
        return None;
    }
    if until <= now {
        let found = Found::at(&entry.at, format!("scope `{scope}` learns no more: that time has passed"));
        report.warn(found.hint("`hushfs suggest` makes rules of what it has learned; then remove the key"));
    } else {
        let message = format!("scope `{scope}` learns until {until}");
        let what =
            "until then a user whom a rule names may read with any program, and each time is on record";
        report.warn(Found::at(&entry.at, message).hint(what));
    }
    Some(Some(until))
}

/// Refuses learning where there is nobody whom it could be about.
pub(super) fn needs_uid(rules: &Rules, entry: Option<&Entry<'_>>, report: &mut Report) {
    if let Some(entry) = entry.filter(|_| !rules.can_learn()) {
        let message = "nothing can be learned safely: no rule of this scope says for which user it is";
        report
            .error(Found::at(&entry.key_at, message).hint("add `user` to a rule: who it is stays enforced"));
    }
}

fn time(entry: &Entry<'_>, now: Timestamp, report: &mut Report) -> Option<Timestamp> {
    let text = match entry.value {
        DeValue::Datetime(time) => time.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => {
            report.error(entry.wrong_type("a point in time").hint(example(now)));
            return None;
        }
    };
    let time = text.parse().ok();
    if time.is_none() {
        let message = "`learn_until` takes a date and a time with its offset from UTC (RFC 3339)";
        report.error(Found::at(&entry.at, message).hint(example(now)));
    }
    time
}

/// Tomorrow, as it is written.
fn example(now: Timestamp) -> String {
    let tomorrow = now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(now);
    format!("for example `learn_until = {tomorrow:.0}`")
}
