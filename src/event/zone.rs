//! The time zone that hours, weekdays and shown times are told in.

use chrono::DateTime;
use chrono::Datelike;
use chrono::FixedOffset;
use chrono::Offset;
use chrono::TimeZone;
use chrono::Timelike;

use crate::event::time::Timestamp;

/// A time zone: a fixed offset or a name of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// So many seconds east of UTC.
    Fixed(FixedOffset),
    /// A named zone with its history.
    Named(chrono_tz::Tz),
}

impl Default for Zone {
    fn default() -> Zone {
        Zone::UTC
    }
}

/// The values of `weekday`, Monday first.
pub const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone::Named(chrono_tz::Tz::UTC);

    /// Parses `UTC`, `Z`, `+02:00`, `-0530`, `+2`, or a name such as `Europe/Berlin`.
    pub fn parse(text: &str) -> Option<Zone> {
        if text.eq_ignore_ascii_case("utc") || text.eq_ignore_ascii_case("z") {
            return Some(Zone::UTC);
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return named(text),
        };
        let digits = text.get(1..)?.replacen(':', "", 1);
        if !digits.bytes().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i32>().ok();
        let (hours, minutes) = match digits.len() {
            1 | 2 => (number(0..digits.len())?, 0),
            4 => (number(0..2)?, number(2..4)?),
            _ => return None,
        };
        if hours > 23 || minutes > 59 {
            return None;
        }
        FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60)).map(Zone::Fixed)
    }

    /// Returns the hour of `time` here, 0-23.
    pub fn hour(self, time: Timestamp) -> Option<u32> {
        self.local(time).map(|local| local.hour())
    }

    /// Returns the weekday of `time` here, one of [`WEEKDAYS`].
    pub fn weekday(self, time: Timestamp) -> Option<&'static str> {
        let day = self.local(time)?.weekday().num_days_from_monday();
        WEEKDAYS.get(day as usize).copied()
    }

    /// Returns the moment at which clocks here show what clocks in UTC show at `shown`; the first
    /// one where the clock was set back, the same distance on where it was set forward.
    pub fn moment(self, shown: Timestamp) -> Timestamp {
        let Some(naive) = DateTime::from_timestamp_micros(shown.0).map(|t| t.naive_utc()) else {
            return shown;
        };
        let offset = match self {
            Zone::Fixed(offset) => offset,
            Zone::Named(zone) => match zone.offset_from_local_datetime(&naive).earliest() {
                Some(offset) => offset.fix(),
                None => zone.offset_from_utc_datetime(&naive).fix(),
            },
        };
        Timestamp(shown.0 - i64::from(offset.local_minus_utc()) * 1_000_000)
    }

    /// Returns the moment as local time with its offset.
    pub fn local(self, time: Timestamp) -> Option<DateTime<FixedOffset>> {
        let utc = DateTime::from_timestamp_micros(time.0)?;
        let offset = match self {
            Zone::Fixed(offset) => offset,
            Zone::Named(zone) => zone.offset_from_utc_datetime(&utc.naive_utc()).fix(),
        };
        Some(utc.with_timezone(&offset))
    }
}

fn named(text: &str) -> Option<Zone> {
    let exact = text.parse::<chrono_tz::Tz>().ok();
    exact
        .or_else(|| {
            let mut all = chrono_tz::TZ_VARIANTS.iter();
            all.find(|zone| zone.name().eq_ignore_ascii_case(text)).copied()
        })
        .map(Zone::Named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets_or_names() {
        let time = Timestamp::parse("2025-07-06T22:30:00Z").unwrap(); // a Sunday
        let told = |zone: &str| {
            let zone = Zone::parse(zone).unwrap();
            (zone.hour(time).unwrap(), zone.weekday(time).unwrap())
        };
        let noon = Timestamp::parse("2025-07-06T12:00:00Z").unwrap();
        let moment = |zone: &str| Zone::parse(zone).unwrap().moment(noon).to_rfc3339();
        assert_eq!(moment("Europe/Berlin"), "2025-07-06T10:00:00.000000Z");
        assert_eq!(moment("-0530"), "2025-07-06T17:30:00.000000Z");
        assert_eq!(told("UTC"), (22, "sun"));
        assert_eq!(told("+02:00"), (0, "mon"));
        assert_eq!(told("-0530"), (17, "sun"));
        assert_eq!(told("Europe/Berlin"), (0, "mon"));
        assert_eq!(told("europe/berlin"), (0, "mon"));
        for bad in ["", "+", "Mars", "+25:00", "+1:2:3:4", "+é"] {
            assert_eq!(Zone::parse(bad), None, "{bad}");
        }
        assert_eq!(Zone::UTC.hour(Timestamp(i64::MAX)), None);
    }
}
