//! Points in time on the command line.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::cli::Failure;

/// The time that the value of the option `flag` means, in the local zone.
pub(in crate::cli) fn argument(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    parse(text, now, &TimeZone::system()).map_err(|message| Failure::new(format!("{flag}: {message}")))
}

/// Reads `7d` (before `now`; units s m h d w), `2026-11-01` and `2026-11-01T10:00` (in `zone`), or RFC 3339.
///
/// # Errors
/// A sentence for the user.
fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let mistake = || {
        format!(
            "{text:?} is no time: write a span back from now such as 90s, 30m, 24h, 7d or 2w, a date such as 2026-11-01, or a time such as 2026-11-01T10:00:00Z"
        )
    };
    if let Some((number, unit)) = span(text) {
        let seconds = number.checked_mul(unit).ok_or_else(mistake)?;
        return now.checked_sub(SignedDuration::from_secs(seconds)).map_err(|_| mistake());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil: DateTime = text.parse().map_err(|_| mistake())?;
    zone.to_timestamp(civil).map_err(|_| mistake())
}

/// The number and its unit in seconds.
fn span(text: &str) -> Option<(i64, i64)> {
    let (at, unit) = text.char_indices().last()?;
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number = text.get(..at).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<String, String> {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        parse(text, now, &zone).map(|time| time.to_string())
    }

    #[test]
    fn a_span_counts_back_from_now() {
        assert_eq!(at("90s").unwrap(), "2026-11-24T11:58:30Z");
        assert_eq!(at("5m").unwrap(), "2026-11-24T11:55:00Z");
        assert_eq!(at("2h").unwrap(), "2026-11-24T10:00:00Z");
        assert_eq!(at("7d").unwrap(), "2026-11-17T12:00:00Z");
        assert_eq!(at("2w").unwrap(), "2026-11-10T12:00:00Z");
    }

    #[test]
    fn a_date_is_its_first_moment_in_the_local_zone() {
        assert_eq!(at("2026-11-01").unwrap(), "2026-10-31T23:00:00Z");
        assert_eq!(at("2026-11-01T10:30").unwrap(), "2026-11-01T09:30:00Z");
    }

    #[test]
    fn an_rfc_3339_time_carries_its_own_zone() {
        assert_eq!(at("2026-11-01T10:00:00Z").unwrap(), "2026-11-01T10:00:00Z");
        assert_eq!(at("2026-11-01T10:00:00+02:00").unwrap(), "2026-11-01T08:00:00Z");
    }

    #[test]
    fn anything_else_is_an_error_that_says_what_to_write() {
        for text in
            ["", "d", "7", "7y", "-7d", "yesterday", "2026-13-01", "99999999999999999999d", "9999999999999d"]
        {
            assert!(at(text).unwrap_err().contains("2026-11-01"), "{text}");
        }
    }
}
