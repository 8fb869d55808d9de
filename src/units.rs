//! Sizes and durations as people write them.

use std::time::Duration;

use toml::de::DeValue;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A size in bytes: a whole number, or a text such as `32MiB`.
///
/// # Errors
/// What to write instead.
pub fn size(value: &DeValue<'_>) -> Result<u64, String> {
    let wrong = || "write bytes as a number, or a text such as \"64KiB\", \"32MiB\" or \"1GiB\"".to_owned();
    if value.as_integer().is_some() {
        return whole(value).ok_or_else(wrong);
    }
    let (number, unit) = value.as_str().and_then(split).ok_or_else(wrong)?;
    let factor = match unit {
        "B" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A whole number that is not negative.
pub fn whole(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A duration: a text such as `10s` or `5min`; `None` is something that is no text.
///
/// # Errors
/// What to write instead.
pub fn duration(text: Option<&str>) -> Result<Duration, String> {
    let wrong = || "write a text such as \"500ms\", \"10s\", \"5min\" or \"1h\"".to_owned();
    let (number, unit) = text.and_then(split).ok_or_else(wrong)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        unit => return Err(meant(number, unit).unwrap_or_else(wrong)),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}

/// A duration of which the unit is written in another way.
fn meant(number: u64, unit: &str) -> Option<String> {
    let (number, unit) = match unit.to_ascii_lowercase().as_str() {
        "msec" | "msecs" | "millis" | "milliseconds" => (number, "ms"),
        "" | "s" | "sec" | "secs" | "second" | "seconds" => (number, "s"),
        "m" | "min" | "mins" | "minute" | "minutes" => (number, "min"),
        "h" | "hr" | "hrs" | "hour" | "hours" => (number, "h"),
        "d" | "day" | "days" => (number.checked_mul(24)?, "h"),
        _ => return None,
    };
    Some(format!("write \"{number}{unit}\"; units are ms, s, min and h"))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    fn integer(text: &str) -> DeValue<'_> {
        DeValue::parse(text).unwrap().into_inner()
    }

    #[test]
    fn sizes_take_binary_units_and_plain_numbers() {
        assert_eq!(size(&text("32MiB")), Ok(32 << 20));
        assert_eq!(size(&text("1 GiB")), Ok(1 << 30));
        assert_eq!(size(&text("512B")), Ok(512));
        assert_eq!(size(&integer("4096")), Ok(4096));
        assert_eq!(size(&integer("0x1000")), Ok(4096));
    }

    #[test]
    fn sizes_that_could_mean_two_things_are_refused() {
        for value in ["32", "32MB", "32M", "-1MiB", "1.5MiB", "MiB", "", "99999999999GiB"] {
            assert!(size(&text(value)).is_err(), "{value:?}");
        }
        assert!(size(&integer("-1")).is_err());
    }

    #[test]
    fn a_unit_that_is_written_in_another_way_is_answered_with_how_it_is_written() {
        for (text, meant) in [("2m", "2min"), ("5 sec", "5s"), ("30", "30s"), ("1H", "1h"), ("2d", "48h")] {
            let said = duration(Some(text)).unwrap_err();
            assert_eq!(said, format!("write \"{meant}\"; units are ms, s, min and h"), "{text}");
        }
        assert!(duration(Some("2y")).unwrap_err().starts_with("write a text such as"));
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration(Some("10s")), Ok(Duration::from_secs(10)));
        assert_eq!(duration(Some("5min")), Ok(Duration::from_secs(300)));
        assert_eq!(duration(Some("500 ms")), Ok(Duration::from_millis(500)));
        assert!(duration(Some("10")).is_err());
        assert!(duration(Some("5m")).is_err());
        assert!(duration(None).is_err());
    }
}
