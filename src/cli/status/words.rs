//! Times and sizes in a few characters.

use jiff::Timestamp;

use crate::words::printable;

/// From `earlier` to `later` in its largest unit, rounded down; nothing where it is the other way round.
pub(super) fn between(earlier: Timestamp, later: Timestamp) -> String {
    let millis = later.as_millisecond().saturating_sub(earlier.as_millisecond()).max(0);
    let seconds = millis / 1000;
    match seconds {
        0..=1 => format!("{millis}ms"),
        2..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}min", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// A time that an answer took.
pub(super) fn took(micros: u64) -> String {
    match micros {
        0..=9_999 => format!("{}.{}ms", micros / 1000, micros % 1000 / 100),
        10_000..=9_999_999 => format!("{}ms", micros / 1000),
        _ => format!("{}s", micros / 1_000_000),
    }
}

/// A size in bytes.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} bytes"),
        10_000..=10_239_999 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// What is told of something, as one line that drives no terminal, in at most `room` characters: what is left out is in the
/// middle, as the beginning and the end tell references apart.
pub(super) fn shortened(text: &str, room: usize) -> String {
    let text: Vec<char> = printable(text).chars().collect();
    if text.len() <= room {
        return text.into_iter().collect();
    }
    let kept = room.saturating_sub(1);
    let (start, end) = (kept.div_ceil(2), kept / 2);
    let ends = text.iter().skip(text.len() - end);
    text.iter().take(start).chain(&['…']).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_largest_unit_that_says_something() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let told =
            [(5, 5), (5, 4), (0, 119), (0, 120), (0, 7200), (0, 172_800)].map(|(a, b)| between(at(a), at(b)));
        assert_eq!(told, ["0ms", "0ms", "119s", "2min", "2h", "2d"]);
        assert_eq!([340, 12_345, 30_000_000].map(took), ["0.3ms", "12ms", "30s"]);
        assert_eq!([7, 20_480, 32 << 20].map(bytes), ["7 bytes", "20 KiB", "32 MiB"]);
    }

    #[test]
    fn what_is_too_long_loses_its_middle() {
        assert_eq!(shortened("local:app", 9), "local:app");
        assert_eq!(shortened("local:app", 7), "loc…app");
        assert_eq!(shortened("local:app", 6), "loc…pp");
        assert_eq!(shortened("local:app", 1), "…");
        assert_eq!(shortened("a\x1bb", 40), r"a\u{1b}b");
    }
}
