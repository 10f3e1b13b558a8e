//! Bounds and what they are compared as: numbers, times, addresses, bytes.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::event::field::FieldKind;
use crate::event::time::parse_duration;
use crate::event::time::parse_period;
use crate::event::words::fold;
use crate::event::words::folded;
use crate::query::address::parse_address;
use crate::query::ast::Bound;

/// Reads a length of time such as `2s`, `1.5s`, `250ms` as microseconds.
pub fn duration(text: &str) -> Option<i64> {
    let Some((whole, rest)) = text.split_once('.') else { return parse_duration(text) };
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    let (fraction, unit) = rest.split_at(digits);
    let one = parse_duration(&format!("1{unit}"))?;
    let whole = parse_duration(&format!("{whole}{unit}"))?;
    let fraction_digits = fraction.get(..fraction.len().min(9)).filter(|d| !d.is_empty())?;
    let scale = 10_i128.pow(u32::try_from(fraction_digits.len()).ok()?);
    let part = i128::from(one) * fraction_digits.parse::<i128>().ok()? / scale;
    whole.checked_add(i64::try_from(part).ok()?)
}

/// A number as evidence writes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number of up to 128 bits.
    Whole(i128),
    /// Anything else.
    Float(f64),
}

/// Reads a number: digits with an optional sign, fraction and exponent, nothing else around it.
pub fn parse_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|c| c.is_ascii_digit()) {
        if let Ok(whole) = text.parse::<i128>() {
            return Some(Number::Whole(whole));
        }
    }
    if !digits.bytes().all(|c| c.is_ascii_digit() || b".eE+-".contains(&c)) {
        return None;
    }
    text.parse::<f64>().ok().map(Number::Float)
}

#[expect(clippy::cast_precision_loss, reason = "only beside a number that is no whole one")]
fn compare_numbers(a: Number, b: Number) -> Option<Ordering> {
    let float = |n: Number| match n {
        Number::Whole(n) => n as f64,
        Number::Float(n) => n,
    };
    match (a, b) {
        (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
        (a, b) => float(a).partial_cmp(&float(b)),
    }
}

/// One side of a range, with every reading of its text.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    included: bool,
    folded: String,
    number: Option<Number>,
    period: Option<(i64, i64)>,
    address: Option<IpAddr>,
}

impl Limit {
    pub(crate) fn of(bound: &Bound, kind: FieldKind) -> Option<Limit> {
        let (text, included) = match bound {
            Bound::Open => return None,
            Bound::Included(text) => (text, true),
            Bound::Excluded(text) => (text, false),
        };
        let micros = if kind == FieldKind::Number { duration(text) } else { None };
        Some(Limit {
            included,
            folded: fold(text),
            number: micros.map(|m| Number::Whole(m.into())).or_else(|| parse_number(text)),
            period: parse_period(text).map(|(start, end)| (start.0, end.0)),
            address: parse_address(text),
        })
    }
}

/// Bounds compare as numbers if both sides are, else as times if both are, else bytewise; the
/// bytes compared are those of the folded texts, because values compare without case.  On address
/// fields two addresses compare as addresses.
pub(crate) fn in_range(
    text: &str,
    low: &Option<Limit>,
    high: &Option<Limit>,
    address: bool,
) -> bool {
    let number = parse_number(text);
    let time_asked = [low, high].into_iter().flatten().any(|limit| limit.period.is_some());
    let time = if time_asked { parse_period(text).map(|(start, _)| start.0) } else { None };
    let value_address = if address { parse_address(text) } else { None };
    let folded_text = folded(text);
    // How the value stands to the limit; a period is one point for both sides of it.
    let stands = |limit: &Limit| -> Option<Ordering> {
        if let (Some(value), Some(bound)) = (number, limit.number) {
            return compare_numbers(value, bound);
        }
        if let (Some(value), Some((start, end))) = (time, limit.period) {
            return Some(match value {
                v if v < start => Ordering::Less,
                v if v >= end => Ordering::Greater,
                _ => Ordering::Equal,
            });
        }
        if let (Some(value), Some(bound)) = (value_address, limit.address) {
            return Some(value.cmp(&bound));
        }
        Some(folded_text.as_bytes().cmp(limit.folded.as_bytes()))
    };
    let holds = |limit: &Option<Limit>, side: Ordering| {
        limit.as_ref().is_none_or(|limit| match stands(limit) {
            Some(Ordering::Equal) => limit.included,
            Some(order) => order == side,
            None => false,
        })
    };
    holds(low, Ordering::Greater) && holds(high, Ordering::Less)
}

/// As [`in_range`] for a moment; `None` where a bound is no time.
pub(crate) fn time_in_range(time: i64, low: &Option<Limit>, high: &Option<Limit>) -> Option<bool> {
    let above = match low {
        None => true,
        Some(limit) => {
            let (start, end) = limit.period?;
            if limit.included { time >= start } else { time >= end }
        }
    };
    let below = match high {
        None => true,
        Some(limit) => {
            let (start, end) = limit.period?;
            if limit.included { time < end } else { time < start }
        }
    };
    Some(above && below)
}
