//! The time zone that hours, weekdays and shown times are told in.

use std::sync::Mutex;
use std::sync::PoisonError;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::tz::TimeZone;
use jiff::tz::TimeZoneDatabase;

use crate::event::time::Timestamp;

/// A time zone: a fixed offset or a name of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// So far east of UTC.
    Fixed(Offset),
    /// A named zone with its history.
    Named(&'static TimeZone),
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
    pub const UTC: Zone = Zone::Fixed(Offset::UTC);

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
        Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok().map(Zone::Fixed)
    }

    /// Returns the hour of `time` here, 0-23.
    pub fn hour(self, time: Timestamp) -> Option<u32> {
        self.local(time).and_then(|local| u32::try_from(local.hour()).ok())
    }

    /// Returns the weekday of `time` here, one of [`WEEKDAYS`].
    pub fn weekday(self, time: Timestamp) -> Option<&'static str> {
        let day = self.local(time)?.weekday().to_monday_zero_offset();
        WEEKDAYS.get(usize::try_from(day).ok()?).copied()
    }

    /// Returns the moment at which clocks here show what clocks in UTC show at `shown`; the first
    /// one where the clock was set back, the same distance on where it was set forward.
    pub fn moment(self, shown: Timestamp) -> Timestamp {
        let there = jiff::Timestamp::from_microsecond(shown.0).ok().and_then(|clock| {
            let clock = Offset::UTC.to_datetime(clock);
            match self {
                Zone::Fixed(offset) => offset.to_timestamp(clock).ok(),
                Zone::Named(zone) => zone.to_ambiguous_timestamp(clock).compatible().ok(),
            }
        });
        there.map_or(shown, |there| Timestamp(there.as_microsecond()))
    }

    /// Returns what clocks here show at a moment.
    fn local(self, time: Timestamp) -> Option<DateTime> {
        let time = jiff::Timestamp::from_microsecond(time.0).ok()?;
        Some(match self {
            Zone::Fixed(offset) => offset.to_datetime(time),
            Zone::Named(zone) => zone.to_datetime(time),
        })
    }
}

/// Finds a zone in the database that comes with the program, whatever the machine has.
fn named(text: &str) -> Option<Zone> {
    /// Zones that were asked for; they stay, so that a [`Zone`] is a copy like any number.
    static ASKED: Mutex<Vec<&'static TimeZone>> = Mutex::new(Vec::new());
    let zone = TimeZoneDatabase::bundled().get(text).ok()?;
    let mut asked = ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = asked.iter().find(|known| ***known == zone) {
        return Some(Zone::Named(known));
    }
    let zone: &'static TimeZone = Box::leak(Box::new(zone));
    asked.push(zone);
    Some(Zone::Named(zone))
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
        let shown = |text: &str| Timestamp::parse(text).unwrap();
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let at = |text: &str| berlin.moment(shown(text)).to_rfc3339();
        assert_eq!(at("2025-03-30T02:30:00Z"), "2025-03-30T01:30:00.000000Z", "skipped");
        assert_eq!(at("2025-10-26T02:30:00Z"), "2025-10-26T00:30:00.000000Z", "twice");
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
