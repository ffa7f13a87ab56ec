//! Points and spans of time as people read them.

use std::time::Duration;

use molecule_core::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// To the second, so that the columns after it stand in line.
pub(crate) fn to_the_second(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text,
    }
}

/// How long ago, in its largest unit.
pub(crate) fn ago(span: Duration) -> String {
    match span.as_secs() {
        0..5 => "just now".to_owned(),
        secs @ 5..MINUTE => format!("{secs} s ago"),
        secs @ MINUTE..HOUR => format!("{} min ago", secs / MINUTE),
        secs @ HOUR..DAY => format!("{} h ago", secs / HOUR),
        secs if secs < 2 * DAY => "1 day ago".to_owned(),
        secs => format!("{} days ago", secs / DAY),
    }
}

/// A span in its two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => two(seconds / MINUTE, "min", seconds % MINUTE, "s"),
        HOUR..DAY => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        _ => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        for (secs, said) in [
            (0, "just now"),
            (4, "just now"),
            (5, "5 s ago"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (86_399, "23 h ago"),
            (86_400, "1 day ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(secs)), said, "{secs}");
        }
        for (secs, said) in [
            (0, "0 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (7_260, "2 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(secs), said);
        }
        assert_eq!(to_the_second(Timestamp::from_micros(1_250_000)), "1970-01-01T00:00:01Z");
    }
}
