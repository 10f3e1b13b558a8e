//! Moments and spans: microseconds since 1970 UTC, and half-open ranges of them.

use chrono::DateTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::SecondsFormat;

/// A moment, in microseconds since 1970-01-01T00:00:00Z; finer digits are cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A half-open span of time: `since` belongs to it, `until` does not; `None` leaves a side open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// First moment inside.
    pub since: Option<Timestamp>,
    /// First moment behind.
    pub until: Option<Timestamp>,
}

impl TimeRange {
    /// Every moment, and events whose time is not known.
    pub const ALL: TimeRange = TimeRange { since: None, until: None };

    /// Says whether an event at `time` lies inside; an event without a time only lies in `ALL`.
    pub fn contains(&self, time: Option<Timestamp>) -> bool {
        match time {
            Some(time) => {
                self.since.is_none_or(|since| time >= since)
                    && self.until.is_none_or(|until| time < until)
            }
            None => self.since.is_none() && self.until.is_none(),
        }
    }

    /// Says whether whatever lies inside `other` lies inside this.
    pub fn covers(&self, other: &TimeRange) -> bool {
        let begins = self.since.is_none_or(|own| other.since.is_some_and(|since| own <= since));
        let ends = self.until.is_none_or(|own| other.until.is_some_and(|until| until <= own));
        // Only everything holds events without a time.
        begins && ends
    }

    /// Says whether some moment of `first..=last` can lie inside.
    pub fn overlaps(&self, first: Timestamp, last: Timestamp) -> bool {
        self.since.is_none_or(|since| last >= since) && self.until.is_none_or(|until| first < until)
    }
}

impl Timestamp {
    /// Parses an RFC 3339 time with a zone (`2025-12-09T12:57:08.837027Z`, `...+02:00`).
    ///
    /// The form the API server writes is read without chrono, because every event has two.
    pub fn parse(text: &str) -> Option<Timestamp> {
        parse_micros_utc(text.as_bytes()).map(Timestamp).or_else(|| {
            DateTime::parse_from_rfc3339(text).ok().map(|t| Timestamp(t.timestamp_micros()))
        })
    }

    /// Returns the time as RFC 3339 in UTC with six digits, the way the API server writes it.
    pub fn to_rfc3339(self) -> String {
        match DateTime::from_timestamp_micros(self.0) {
            Some(time) => time.to_rfc3339_opts(SecondsFormat::Micros, true),
            None => format!("{}us", self.0),
        }
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// Reads exactly `YYYY-MM-DDThh:mm:ss[.d{1,6}]Z`; anything else is `None`.
pub fn parse_micros_utc(text: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let mut value = 0_i64;
        for &c in text.get(range)? {
            if !c.is_ascii_digit() {
                return None;
            }
            value = value * 10 + i64::from(c - b'0');
        }
        Some(value)
    };
    let is = |at: usize, c: u8| text.get(at) == Some(&c);
    if !(is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':')) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if hour > 23 || minute > 59 || second > 59 || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day < 1 || day > days_in_month {
        return None;
    }
    let mut at = 19;
    let mut micros = 0_i64;
    if is(19, b'.') {
        let mut scale = 100_000_i64;
        at = 20;
        while let Some(c) = text.get(at).filter(|c| c.is_ascii_digit()) {
            if scale == 0 {
                return None;
            }
            micros += i64::from(c - b'0') * scale;
            scale /= 10;
            at += 1;
        }
        if at == 20 {
            return None;
        }
    }
    if !is(at, b'Z') || text.len() != at + 1 {
        return None;
    }
    // Days since 1970-01-01 after Howard Hinnant, "chrono-compatible low-level date algorithms".
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y - era * 400;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros)
}

/// Parses what a person types for a time and returns the whole period it stands for:
/// RFC 3339, a date and time without zone (UTC), `2025-12-09T12:57`, a date, a month or a year.
pub fn parse_period(text: &str) -> Option<(Timestamp, Timestamp)> {
    if let Some(at) = Timestamp::parse(text) {
        return Some((at, Timestamp(at.0 + step_of_fraction(text))));
    }
    let utc = |t: NaiveDateTime| t.and_utc().timestamp_micros();
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            let start = utc(time);
            return Some((Timestamp(start), Timestamp(start + step_of_fraction(text))));
        }
    }
    let bare = text.strip_suffix('Z').unwrap_or(text);
    for format in ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(bare, format) {
            let start = utc(time);
            return Some((Timestamp(start), Timestamp(start + 60_000_000)));
        }
    }
    if let Some((date, hour)) = bare.split_once(['T', ' ']) {
        let hour: u32 = hour.parse().ok().filter(|h| *h < 24)?;
        let start =
            utc(NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?.and_hms_opt(hour, 0, 0)?);
        return Some((Timestamp(start), Timestamp(start + 3_600_000_000)));
    }
    let day = |y: i32, m: u32, d: u32| {
        Some(Timestamp(utc(NaiveDate::from_ymd_opt(y, m, d)?.and_hms_opt(0, 0, 0)?)))
    };
    let parts: Option<Vec<u32>> = text
        .split('-')
        .map(|part| part.parse().ok().filter(|_| part.bytes().all(|c| c.is_ascii_digit())))
        .collect();
    match *parts? {
        [y, m, d] if text.len() == 10 => {
            let start = day(i32::try_from(y).ok()?, m, d)?;
            Some((start, Timestamp(start.0 + 86_400_000_000)))
        }
        [y, m] if text.len() == 7 => {
            let y = i32::try_from(y).ok()?;
            let end = if m == 12 { day(y + 1, 1, 1) } else { day(y, m + 1, 1) };
            Some((day(y, m, 1)?, end?))
        }
        [y] if text.len() == 4 => {
            let y = i32::try_from(y).ok()?;
            Some((day(y, 1, 1)?, day(y + 1, 1, 1)?))
        }
        _ => None,
    }
}

/// A time written to the second stands for that second, one with a fraction for that moment.
fn step_of_fraction(text: &str) -> i64 {
    if text.contains('.') { 1 } else { 1_000_000 }
}

/// Parses a length of time such as `24h`, `90m`, `5s`, `7d`, `2w`, `250ms` into microseconds.
pub fn parse_duration(text: &str) -> Option<i64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let scale = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "d" => 86_400_000_000,
        "w" => 604_800_000_000,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_and_slow_reading_agree() {
        for text in [
            "2025-12-09T12:57:08.837027Z",
            "1970-01-01T00:00:00Z",
            "2024-02-29T23:59:59.9Z",
            "2017-08-24T09:51:34Z",
            "1969-12-31T23:59:59.999999Z",
        ] {
            let slow = DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
            assert_eq!(parse_micros_utc(text.as_bytes()), Some(slow), "{text}");
        }
        for text in ["2025-02-29T00:00:00Z", "2025-13-01T00:00:00Z", "2025-12-09T12:57:08", "x"] {
            assert_eq!(parse_micros_utc(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn offsets_are_read_as_offsets() {
        assert_eq!(
            Timestamp::parse("2025-12-09T14:57:08+02:00"),
            Timestamp::parse("2025-12-09T12:57:08Z")
        );
    }

    #[test]
    fn a_partial_date_is_its_whole_period() {
        let span = |text: &str| {
            let (a, b) = parse_period(text).unwrap();
            format!("{a} {b}")
        };
        assert_eq!(span("2025-12-09"), "2025-12-09T00:00:00.000000Z 2025-12-10T00:00:00.000000Z");
        assert_eq!(span("2025-12"), "2025-12-01T00:00:00.000000Z 2026-01-01T00:00:00.000000Z");
        assert_eq!(span("2025"), "2025-01-01T00:00:00.000000Z 2026-01-01T00:00:00.000000Z");
        assert_eq!(
            span("2025-12-09T12:57"),
            "2025-12-09T12:57:00.000000Z 2025-12-09T12:58:00.000000Z"
        );
        assert_eq!(
            span("2025-12-09T12:57:00Z"),
            "2025-12-09T12:57:00.000000Z 2025-12-09T12:57:01.000000Z"
        );
        assert_eq!(parse_period("get"), None);
        assert_eq!(parse_period("403"), None);
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("24h"), Some(86_400_000_000));
        assert_eq!(parse_duration("5s"), Some(5_000_000));
        assert_eq!(parse_duration("h"), None);
        assert_eq!(parse_duration("5"), None);
    }
}
