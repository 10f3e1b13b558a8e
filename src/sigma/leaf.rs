//! Single conditions of a rule: one test on one name, and the words of keywords.

use chrono::Datelike;
use chrono::Days;
use chrono::NaiveDate;
use chrono::Weekday;
use ipnet::IpNet;
use ipnet::Ipv4Net;
use rsigma_ir::IrEncoding;
use rsigma_ir::IrPattern;
use rsigma_ir::IrPatternPart;
use rsigma_ir::IrStrOp;
use rsigma_ir::IrTimePart;

use crate::event::field::Field;
use crate::event::field::FieldKind;
use crate::event::words::fold;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::WordPattern;
use crate::sigma::encoding;
use crate::sigma::error::SigmaError;
use crate::sigma::fields::Resolved;

/// Most prefixes that a network on a text field may become.
const MAX_PREFIXES: u32 = 256;

/// A question, or why there is none.
pub(super) type Lowered = Result<QueryAst, SigmaError>;

pub(super) fn equals(text: &str, cased: bool) -> Test {
    Test::Equals { text: text.to_owned(), cased }
}

pub(super) fn leaf(on: &Resolved, test: &Test) -> QueryAst {
    QueryAst::any_of(
        on.fields
            .iter()
            .map(|field| QueryAst::Field { field: field.clone(), test: test.clone() })
            .collect(),
    )
}

pub(super) fn text_leaf(on: &Resolved, op: IrStrOp, parts: &[GlobPart], cased: bool) -> QueryAst {
    let mut glob: Vec<GlobPart> = Vec::with_capacity(parts.len() + 2);
    if matches!(op, IrStrOp::Contains | IrStrOp::EndsWith) {
        glob.push(GlobPart::AnyRun);
    }
    glob.extend_from_slice(parts);
    if matches!(op, IrStrOp::Contains | IrStrOp::StartsWith) {
        glob.push(GlobPart::AnyRun);
    }
    glob.dedup_by(|b, a| *a == GlobPart::AnyRun && *b == GlobPart::AnyRun);
    match glob.as_slice() {
        [] => {
            let empty = leaf(on, &equals("", cased));
            if on.empty_is_absent {
                return QueryAst::any_of(vec![leaf(on, &Test::Present).negated(), empty]);
            }
            empty
        }
        [GlobPart::Text(text)] => leaf(on, &equals(text, cased)),
        // As `field:*` in a query; the public rules say "exists" with it.
        [GlobPart::AnyRun] => leaf(on, &Test::Present),
        _ => leaf(on, &Test::Like { glob: Glob(glob), cased }),
    }
}

pub(super) fn regex_leaf(on: &Resolved, pattern: &str, i: bool, m: bool, s: bool) -> Lowered {
    let flags: String =
        [(i, 'i'), (m, 'm'), (s, 's')].iter().filter(|(on, _)| *on).map(|(_, c)| *c).collect();
    let pattern =
        if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
    regex::Regex::new(&pattern)
        .map_err(|error| SigmaError::Unreadable(format!("regular expression: {error}")))?;
    Ok(leaf(on, &Test::Matches(pattern)))
}

/// Address fields know networks; on other fields a network is its address prefixes, as pySigma
/// expands it.
pub(super) fn cidr_leaf(on: &Resolved, network: &str) -> Lowered {
    let net: IpNet = match network.parse() {
        Ok(net) => net,
        Err(_) => match network.parse::<std::net::IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => return Err(SigmaError::Unreadable(format!("{network} is no network"))),
        },
    };
    let mut parts = Vec::new();
    for field in &on.fields {
        let one = Resolved { fields: vec![field.clone()], empty_is_absent: false };
        match net {
            IpNet::V4(net) if field.kind() != FieldKind::Address => {
                parts.push(prefix_leaf(&one, net));
            }
            // An address of version 6 can be spelt in many ways: no prefix of a text says it.
            _ => {
                let test = Test::Network { address: net.network(), prefix: net.prefix_len() };
                parts.push(leaf(&one, &test));
            }
        }
    }
    Ok(QueryAst::any_of(parts))
}

fn prefix_leaf(on: &Resolved, net: Ipv4Net) -> QueryAst {
    let bits = net.prefix_len();
    let whole = bits.div_ceil(8);
    let variants = 1_u32 << (u32::from(whole) * 8 - u32::from(bits));
    debug_assert!(variants <= MAX_PREFIXES, "at most the bits of one octet vary");
    let first = u32::from(net.network());
    let mut parts = Vec::new();
    for n in 0..variants.min(MAX_PREFIXES) {
        let step = u32::from(32 - whole * 8);
        let address = first | n.checked_shl(step).unwrap_or(0);
        let octets: Vec<String> = address
            .to_be_bytes()
            .iter()
            .take(usize::from(whole))
            .map(std::string::ToString::to_string)
            .collect();
        let text = octets.join(".");
        if whole == 4 {
            parts.push(leaf(on, &equals(&text, false)));
        } else {
            let text = if text.is_empty() { text } else { format!("{text}.") };
            let glob = Glob(vec![GlobPart::Text(text), GlobPart::AnyRun]);
            parts.push(leaf(on, &Test::Like { glob, cased: false }));
        }
    }
    QueryAst::any_of(parts)
}

/// Parts of a time are read from its text: API servers write UTC as `YYYY-MM-DDThh:mm:ss...Z`.
pub(super) fn time_part_leaf(on: &Resolved, part: IrTimePart, number: &str) -> Lowered {
    let value: u32 = number
        .parse()
        .map_err(|_| SigmaError::Unreadable(format!("{number} is no part of a time")))?;
    let pattern = match part {
        IrTimePart::Year => format!("{value:04}-*"),
        IrTimePart::Month => format!("????-{value:02}-*"),
        IrTimePart::Day => format!("????-??-{value:02}T*"),
        IrTimePart::Hour => format!("????-??-??T{value:02}:*"),
        IrTimePart::Minute => format!("????-??-??T??:{value:02}:*"),
        IrTimePart::Week => return Ok(leaf(&timed(on), &Test::Matches(week_pattern(value)))),
    };
    let mut glob: Vec<GlobPart> = Vec::new();
    for c in pattern.chars() {
        match (c, glob.last_mut()) {
            ('*', _) => glob.push(GlobPart::AnyRun),
            ('?', _) => glob.push(GlobPart::AnyOne),
            (c, Some(GlobPart::Text(text))) => text.push(c),
            (c, _) => glob.push(GlobPart::Text(c.to_string())),
        }
    }
    Ok(leaf(&timed(on), &Test::Like { glob: Glob(glob), cased: false }))
}

/// The same fields, by paths that hold texts of times.
fn timed(on: &Resolved) -> Resolved {
    let path = |field: &Field| match field {
        Field::Time => Field::path("requestReceivedTimestamp"),
        other => other.clone(),
    };
    Resolved { fields: on.fields.iter().map(path).collect(), empty_is_absent: false }
}

/// Years in which a week is looked for: audit logging is younger than the first.
const YEARS: std::ops::Range<i32> = 2015..2061;

/// The dates of a week by ISO 8601, in whatever year.
fn week_pattern(week: u32) -> String {
    let days = YEARS
        .filter_map(|year| NaiveDate::from_isoywd_opt(year, week, Weekday::Mon))
        .flat_map(|monday| (0..7).filter_map(move |day| monday.checked_add_days(Days::new(day))))
        .map(|date| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()));
    let days: Vec<String> = days.collect();
    if days.is_empty() {
        // No year has such a week, and nothing matches this.
        return r"[^\s\S]".to_owned();
    }
    format!(r"\A(?:{})T", days.join("|"))
}

pub(super) fn glob_of(pattern: &IrPattern) -> Vec<GlobPart> {
    let mut parts: Vec<GlobPart> = Vec::with_capacity(pattern.parts.len());
    for part in &pattern.parts {
        match (part, parts.last_mut()) {
            (IrPatternPart::Literal(text), _) if text.is_empty() => {}
            (IrPatternPart::Literal(text), Some(GlobPart::Text(before))) => before.push_str(text),
            (IrPatternPart::Literal(text), _) => parts.push(GlobPart::Text(text.clone())),
            (IrPatternPart::WildcardMulti, _) => parts.push(GlobPart::AnyRun),
            (IrPatternPart::WildcardSingle, _) => parts.push(GlobPart::AnyOne),
        }
    }
    parts
}

/// The texts that a value with encoding modifiers stands for, the encodings applied in order.
pub(super) fn encoded(encodings: &[IrEncoding], value: &str) -> Result<Vec<String>, SigmaError> {
    let mut texts: Vec<Vec<u8>> = vec![value.as_bytes().to_vec()];
    for encoding in encodings {
        let mut next: Vec<Vec<u8>> = Vec::new();
        for bytes in &texts {
            let text = String::from_utf8_lossy(bytes);
            match encoding {
                IrEncoding::Wide => next.push(encoding::utf16(&text, false, false)),
                IrEncoding::Utf16Be => next.push(encoding::utf16(&text, true, false)),
                IrEncoding::Utf16 => next.push(encoding::utf16(&text, false, true)),
                IrEncoding::Base64 => next.push(encoding::base64(bytes).into_bytes()),
                IrEncoding::Base64Offset => {
                    next.extend(
                        encoding::base64_offsets(bytes).into_iter().map(String::into_bytes),
                    );
                }
                IrEncoding::Windash => {
                    next.extend(encoding::windash(&text)?.into_iter().map(String::into_bytes));
                }
            }
        }
        texts = next;
    }
    Ok(texts.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect())
}

/// The words of a keyword; `*` in it separates phrases that must all be there.
pub(super) fn phrases(parts: &[GlobPart]) -> Lowered {
    let mut all = Vec::new();
    for segment in parts.split(|part| *part == GlobPart::AnyRun) {
        let words = segment_words(segment);
        if !words.is_empty() {
            all.push(QueryAst::Words(words));
        }
    }
    if all.is_empty() {
        return Err(SigmaError::Unsupported("a keyword without letters or digits".into()));
    }
    Ok(QueryAst::all_of(all))
}

pub(super) fn segment_words(segment: &[GlobPart]) -> Vec<WordPattern> {
    // One list of parts per word; whether the segment begins and ends inside a word.
    let mut words: Vec<Vec<GlobPart>> = Vec::new();
    let mut open = false;
    let mut starts_inside = false;
    for (at, part) in segment.iter().enumerate() {
        match part {
            GlobPart::AnyRun => {}
            GlobPart::AnyOne => {
                if !open {
                    words.push(Vec::new());
                    starts_inside |= at == 0;
                }
                open = true;
                if let Some(word) = words.last_mut() {
                    word.push(GlobPart::AnyOne);
                }
            }
            GlobPart::Text(text) => {
                for (n, c) in text.chars().enumerate() {
                    if !c.is_alphanumeric() {
                        open = false;
                        continue;
                    }
                    if !open {
                        words.push(Vec::new());
                        starts_inside |= at == 0 && n == 0;
                    }
                    open = true;
                    match words.last_mut().map(|word| (word.last_mut().is_some(), word)) {
                        Some((true, word)) => match word.last_mut() {
                            Some(GlobPart::Text(before)) => before.push(c),
                            _ => word.push(GlobPart::Text(c.to_string())),
                        },
                        Some((false, word)) => word.push(GlobPart::Text(c.to_string())),
                        None => {}
                    }
                }
            }
        }
    }
    let last = words.len().saturating_sub(1);
    words
        .into_iter()
        .enumerate()
        .map(|(n, mut word)| {
            for part in &mut word {
                if let GlobPart::Text(text) = part {
                    *text = fold(text);
                }
            }
            if n == 0 && starts_inside {
                word.insert(0, GlobPart::AnyRun);
            }
            if n == last && open {
                word.push(GlobPart::AnyRun);
            }
            match word.as_slice() {
                [GlobPart::Text(text)] => WordPattern::Is(text.clone()),
                _ => WordPattern::Like(Glob(word)),
            }
        })
        .collect()
}
