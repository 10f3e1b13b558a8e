//! Times as envelopes write them.

use crate::event::time::Timestamp;
use chrono::NaiveDateTime;

/// Reads RFC 3339, `YYYY-MM-DD hh:mm:ss[.fff]` (taken as UTC), or a number since 1970.
pub(crate) fn loose_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let bare = text.strip_suffix(" UTC").unwrap_or(text);
    Timestamp::parse(text)
        .or_else(|| epoch_time(text))
        .or_else(|| {
            let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
            let time = formats.iter().find_map(|f| NaiveDateTime::parse_from_str(bare, f).ok())?;
            Some(Timestamp(time.and_utc().timestamp_micros()))
        })
        .or_else(|| {
            // `+0000`, without the colon RFC 3339 wants.
            let time = chrono::DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").ok()?;
            Some(Timestamp(time.timestamp_micros()))
        })
}

/// Reads a number since 1970; its size tells seconds, milliseconds, microseconds and nanoseconds
/// apart (all of them lie between 1973 and 5138).
pub(crate) fn epoch_time(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || whole.len() > 19 || !whole.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let micros = match number {
        n if n >= 100_000_000_000_000_000 => n / 1_000,
        n if n >= 100_000_000_000_000 => n,
        n if n >= 100_000_000_000 => n.checked_mul(1_000)?,
        n if n >= 100_000_000 => {
            let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
            n.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)?
        }
        _ => return None,
    };
    Some(Timestamp(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_of_one_moment() {
        for text in [
            "2025-07-02T10:15:00.100Z",
            "2025-07-02T12:15:00.1+02:00",
            "2025-07-02T12:15:00.100+0200",
            "2025-07-02 10:15:00.100",
            "2025-07-02 10:15:00.1 UTC",
            "1751451300.1",
            "1751451300100",
            "1751451300100000",
            "1751451300100000000",
        ] {
            let time = loose_time(text).map(Timestamp::to_rfc3339);
            assert_eq!(time.as_deref(), Some("2025-07-02T10:15:00.100000Z"), "{text}");
        }
        for text in ["", "12", "yesterday", "99999999999999999999999"] {
            assert_eq!(loose_time(text), None, "{text}");
        }
    }
}
