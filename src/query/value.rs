//! One value against one test: wildcards, regexes, ranges, networks, lists, words.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::net::IpAddr;
use std::net::Ipv6Addr;

use regex::Regex;
use regex::RegexBuilder;

use crate::event::field::FieldKind;
use crate::event::time::Timestamp;
use crate::event::time::parse_duration;
use crate::event::time::parse_period;
use crate::event::words::equals_folded;
use crate::event::words::fold;
use crate::event::words::words;
use crate::event::zone::Zone;
use crate::query::ast::Bound;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::query::ast::WordPattern;
use crate::query::error::QueryError;

/// A [`Test`] made ready to judge many values.
#[derive(Clone, Debug)]
pub struct CompiledTest(Judge);

#[derive(Clone, Debug)]
enum Judge {
    Any,
    Folded(String),
    Exact(String),
    Address { address: IpAddr },
    Period { start: i64, end: i64, folded: String },
    Glob(CompiledGlob),
    Regex(Regex),
    Range { low: Option<Limit>, high: Option<Limit>, address: bool },
    Network { address: IpAddr, prefix: u8 },
    OneOf { texts: HashSet<String>, networks: NetworkSet },
}

impl CompiledTest {
    /// Makes `test` ready for values of a field of `kind`.
    ///
    /// Dates without a zone are UTC whatever the question's zone is; the zone decides about
    /// `hour` and `weekday` alone, where [`crate::query::matcher::field_values`] applies it.
    ///
    /// # Errors
    /// A regex that does not compile, and [`Test::SameAs`], which is no test of one value.
    pub fn compile(test: &Test, kind: FieldKind, _zone: Zone) -> Result<CompiledTest, QueryError> {
        let judge = match test {
            Test::Present => Judge::Any,
            Test::Equals { text, cased: true } => Judge::Exact(text.clone()),
            Test::Equals { text, cased: false } => equality(text, kind),
            Test::Like { glob, cased } => Judge::Glob(CompiledGlob::compile(glob, *cased)),
            Test::Matches(pattern) => Judge::Regex(regex(pattern)?),
            Test::Range { low, high } => Judge::Range {
                low: Limit::of(low, kind),
                high: Limit::of(high, kind),
                address: kind == FieldKind::Address,
            },
            Test::Network { address, prefix } => {
                let (address, prefix) = normal_network(*address, *prefix);
                Judge::Network { address, prefix }
            }
            Test::OneOf(set) => Judge::OneOf {
                texts: set.texts.iter().map(|text| fold(text)).collect(),
                networks: NetworkSet::of(set, kind),
            },
            Test::SameAs(_) => {
                return Err(QueryError::new(0..0, "two fields are compared by the matcher alone"));
            }
        };
        Ok(CompiledTest(judge))
    }

    /// Says whether one decoded leaf text passes.
    ///
    /// Everything but regexes and cased tests gives the same answer for a text and its fold.
    pub fn accepts(&self, text: &str) -> bool {
        match &self.0 {
            Judge::Any => true,
            Judge::Folded(folded) => equals_folded(text, folded),
            Judge::Exact(exact) => text == exact,
            Judge::Address { address } => parse_address(text) == Some(*address),
            Judge::Period { start, end, folded } => match parse_period(text) {
                Some((Timestamp(at), _)) => (*start..*end).contains(&at),
                None => equals_folded(text, folded),
            },
            Judge::Glob(glob) => glob.accepts(text),
            Judge::Regex(regex) => regex.is_match(text),
            Judge::Range { low, high, address } => in_range(text, low, high, *address),
            Judge::Network { address, prefix } => {
                parse_address(text).is_some_and(|value| in_network(value, *address, *prefix))
            }
            Judge::OneOf { texts, networks } => {
                texts.contains(fold_cow(text).as_ref())
                    || (!networks.is_empty()
                        && parse_address(text).is_some_and(|value| networks.contains(value)))
            }
        }
    }

    /// Returns the one folded text that passes, if there is exactly one.
    pub fn exact_folded(&self) -> Option<&str> {
        match &self.0 {
            Judge::Folded(folded) => Some(folded),
            _ => None,
        }
    }

    /// Returns the folded texts that alone pass, if the test is a list of texts.
    pub fn folded_texts(&self) -> Option<&HashSet<String>> {
        match &self.0 {
            Judge::OneOf { texts, networks } if networks.is_empty() => Some(texts),
            _ => None,
        }
    }

    /// Returns a folded text that every passing value starts with once folded; empty if unknown.
    pub fn folded_prefix(&self) -> &str {
        match &self.0 {
            Judge::Folded(folded) => folded,
            Judge::Glob(glob) => glob.folded_prefix(),
            _ => "",
        }
    }

    /// Says whether case is lost on the test: it judges a text and its fold alike.
    pub fn ignores_case(&self) -> bool {
        match &self.0 {
            Judge::Exact(_) | Judge::Regex(_) => false,
            Judge::Glob(glob) => !glob.cased,
            _ => true,
        }
    }
}

fn equality(text: &str, kind: FieldKind) -> Judge {
    let folded = fold(text);
    match kind {
        FieldKind::Address => match parse_address(text) {
            Some(address) => Judge::Address { address },
            None => Judge::Folded(folded),
        },
        FieldKind::Time => match parse_period(text) {
            Some((start, end)) => Judge::Period { start: start.0, end: end.0, folded },
            None => Judge::Folded(folded),
        },
        FieldKind::Number => match duration(text) {
            Some(micros) => Judge::Folded(micros.to_string()),
            None => Judge::Folded(folded),
        },
        FieldKind::Text | FieldKind::Open => Judge::Folded(folded),
    }
}

/// Compiles a regex of the language: unanchored, case-sensitive.
///
/// # Errors
/// What the regex engine says about it.
pub fn regex(pattern: &str) -> Result<Regex, QueryError> {
    RegexBuilder::new(pattern).size_limit(1 << 24).build().map_err(|error| {
        let said = error.to_string();
        let last = said.lines().last().unwrap_or_default();
        let reason = last.strip_prefix("error: ").unwrap_or(last);
        QueryError::new(0..0, format!("this regex does not work: {reason}"))
    })
}

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
struct Limit {
    included: bool,
    folded: String,
    number: Option<Number>,
    period: Option<(i64, i64)>,
    address: Option<IpAddr>,
}

impl Limit {
    fn of(bound: &Bound, kind: FieldKind) -> Option<Limit> {
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
fn in_range(text: &str, low: &Option<Limit>, high: &Option<Limit>, address: bool) -> bool {
    let number = parse_number(text);
    let time_asked = [low, high].into_iter().flatten().any(|limit| limit.period.is_some());
    let time = if time_asked { parse_period(text).map(|(start, _)| start.0) } else { None };
    let value_address = if address { parse_address(text) } else { None };
    let folded = fold_cow(text);
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
        Some(folded.as_bytes().cmp(limit.folded.as_bytes()))
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

/// Folds without allocating where the text is folded already.
pub fn fold_cow(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|c| c.is_ascii() && !c.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(fold(text))
    }
}

/// Reads an address; a v4 address that v6 carries (`::ffff:10.0.0.1`) is the v4 address.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    // Cheaper than parsing what is no address.
    if !text.starts_with(|c: char| c.is_ascii_hexdigit() || c == ':') || text.len() > 45 {
        return None;
    }
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Reads `address/prefix`, host bits cleared, v4-mapped v6 as v4.
pub fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= longest).then(|| normal_network(address, prefix))
}

/// Clears the host bits and makes v4 of v4-mapped v6.
fn normal_network(address: IpAddr, prefix: u8) -> (IpAddr, u8) {
    let (address, prefix) = match (address, address.to_canonical()) {
        (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if prefix >= 96 => (v4, prefix - 96),
        (address, _) => (address, prefix),
    };
    (masked(address, prefix), prefix)
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

fn in_network(value: IpAddr, network: IpAddr, prefix: u8) -> bool {
    value.is_ipv4() == network.is_ipv4() && masked(value, prefix) == network
}

/// Networks by length of prefix: one lookup for each length that occurs.
#[derive(Clone, Debug, Default)]
struct NetworkSet {
    prefixes_v4: Vec<u8>,
    prefixes_v6: Vec<u8>,
    networks: HashSet<(IpAddr, u8)>,
}

impl NetworkSet {
    fn of(set: &ValueSet, kind: FieldKind) -> NetworkSet {
        let mut out = NetworkSet::default();
        if kind != FieldKind::Address {
            return out;
        }
        for (address, prefix) in &set.networks {
            let (address, prefix) = normal_network(*address, *prefix);
            let prefixes =
                if address.is_ipv4() { &mut out.prefixes_v4 } else { &mut out.prefixes_v6 };
            if !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
            out.networks.insert((address, prefix));
        }
        out
    }

    fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    fn contains(&self, value: IpAddr) -> bool {
        let prefixes = if value.is_ipv4() { &self.prefixes_v4 } else { &self.prefixes_v6 };
        prefixes.iter().any(|prefix| self.networks.contains(&(masked(value, *prefix), *prefix)))
    }
}

/// A [`Glob`] made ready: the runs of text between its stars.
///
/// The first run is bound to the start, the last to the end, each one between to the first place
/// where it fits: no backtracking over stars, so an evil pattern costs value times pattern at most.
#[derive(Clone, Debug)]
pub struct CompiledGlob {
    cased: bool,
    starred: bool,
    runs: Vec<Vec<Atom>>,
}

#[derive(Clone, Debug)]
enum Atom {
    Text(String),
    AnyOne,
}

impl CompiledGlob {
    /// Makes `glob` ready.
    pub fn compile(glob: &Glob, cased: bool) -> CompiledGlob {
        let mut runs: Vec<Vec<Atom>> = vec![Vec::new()];
        let mut starred = false;
        for part in &glob.0 {
            match (part, runs.last_mut()) {
                (GlobPart::AnyRun, _) => {
                    starred = true;
                    runs.push(Vec::new());
                }
                (GlobPart::AnyOne, Some(run)) => run.push(Atom::AnyOne),
                (GlobPart::Text(text), Some(_)) if text.is_empty() => {}
                (GlobPart::Text(text), Some(run)) => {
                    run.push(Atom::Text(if cased { text.clone() } else { fold(text) }));
                }
                (_, None) => {}
            }
        }
        CompiledGlob { cased, starred, runs }
    }

    /// Says whether the whole of `text` fits.
    pub fn accepts(&self, text: &str) -> bool {
        if self.cased || text.is_ascii() {
            return self.fits(text.as_bytes(), !self.cased);
        }
        self.fits(fold_cow(text).as_bytes(), false)
    }

    fn folded_prefix(&self) -> &str {
        match self.runs.first().and_then(|run| run.first()) {
            Some(Atom::Text(text)) if !self.cased => text,
            _ => "",
        }
    }

    fn fits(&self, text: &[u8], fold: bool) -> bool {
        let Some((first, rest)) = self.runs.split_first() else { return text.is_empty() };
        let Some(mut at) = run_at(first, text, 0, fold) else { return false };
        if !self.starred {
            return at == text.len();
        }
        let Some((last, middle)) = rest.split_last() else { return true };
        for run in middle {
            match find_run(run, text, at, fold) {
                Some(end) => at = end,
                None => return false,
            }
        }
        // The last run is bound to the end: try each start that is left, from the shortest.
        run_at_end(last, text, at, fold)
    }
}

/// Matches `run` at `at` and returns the offset behind it.
fn run_at(run: &[Atom], text: &[u8], at: usize, fold: bool) -> Option<usize> {
    let mut here = at;
    for atom in run {
        match atom {
            Atom::AnyOne => here += char_length(*text.get(here)?),
            Atom::Text(want) => {
                let found = text.get(here..here + want.len())?;
                let same = if fold {
                    found.iter().zip(want.as_bytes()).all(|(a, b)| a.to_ascii_lowercase() == *b)
                } else {
                    found == want.as_bytes()
                };
                if !same {
                    return None;
                }
                here += want.len();
            }
        }
    }
    (here <= text.len()).then_some(here)
}

fn find_run(run: &[Atom], text: &[u8], from: usize, fold: bool) -> Option<usize> {
    let mut at = from;
    loop {
        if let Some(Atom::Text(want)) = run.first() {
            // Jump to the next place where the first byte fits.
            let first = *want.as_bytes().first()?;
            let rest = text.get(at..)?;
            at += if fold {
                memchr::memchr2(first, first.to_ascii_uppercase(), rest)?
            } else {
                memchr::memchr(first, rest)?
            };
        }
        if let Some(end) = run_at(run, text, at, fold) {
            return Some(end);
        }
        at += char_length(*text.get(at)?);
    }
}

fn run_at_end(run: &[Atom], text: &[u8], from: usize, fold: bool) -> bool {
    // Walk back over the characters that the run takes.
    let mut start = text.len();
    for atom in run.iter().rev() {
        match atom {
            Atom::Text(want) => match start.checked_sub(want.len()) {
                Some(at) => start = at,
                None => return false,
            },
            Atom::AnyOne => {
                let Some(mut at) = start.checked_sub(1) else { return false };
                while at > 0 && text.get(at).is_some_and(|c| (0x80..0xC0).contains(c)) {
                    at -= 1;
                }
                start = at;
            }
        }
    }
    start >= from && run_at(run, text, start, fold) == Some(text.len())
}

fn char_length(first: u8) -> usize {
    match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// The words of a question made ready.
#[derive(Clone, Debug)]
pub struct CompiledWords(Vec<CompiledWord>);

/// One word of a [`CompiledWords`].
#[derive(Clone, Debug)]
pub enum CompiledWord {
    /// Exactly this folded word.
    Is(String),
    /// A word that fits.
    Like(CompiledGlob),
}

impl CompiledWord {
    /// Makes one word ready.
    pub fn compile(word: &WordPattern) -> CompiledWord {
        match word {
            WordPattern::Is(word) => CompiledWord::Is(fold(word)),
            WordPattern::Like(glob) => CompiledWord::Like(CompiledGlob::compile(glob, false)),
        }
    }

    /// Says whether `word` fits, folded or not.
    pub fn accepts(&self, word: &str) -> bool {
        match self {
            CompiledWord::Is(folded) => equals_folded(word, folded),
            CompiledWord::Like(glob) => glob.accepts(word),
        }
    }
}

impl CompiledWords {
    /// Makes `words` ready.
    pub fn compile(words: &[WordPattern]) -> CompiledWords {
        CompiledWords(words.iter().map(CompiledWord::compile).collect())
    }

    /// The words in their order.
    pub fn words(&self) -> &[CompiledWord] {
        &self.0
    }

    /// Says whether the words stand next to each other in this one text.
    pub fn accepts(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return true };
        words(text).any(|word| {
            first.accepts(word) && (rest.is_empty() || follow(rest, behind(text, word)))
        })
    }
}

/// Returns what stands behind `word`, which borrows from `text`.
fn behind<'t>(text: &'t str, word: &str) -> &'t str {
    let end = (word.as_ptr() as usize + word.len()).saturating_sub(text.as_ptr() as usize);
    text.get(end..).unwrap_or_default()
}

fn follow(patterns: &[CompiledWord], text: &str) -> bool {
    let mut words = words(text);
    patterns.iter().all(|pattern| words.next().is_some_and(|word| pattern.accepts(word)))
}

/// Returns the query part of a request URI with `%41` and `+` decoded, if there is any.
pub fn decoded_query_part(uri: &str) -> Option<String> {
    let (_, query) = uri.split_once('?')?;
    if !query.contains(['%', '+']) {
        return None;
    }
    let bytes = query.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&c) = bytes.get(at) {
        let hex = |from: usize| bytes.get(from).and_then(|c| (*c as char).to_digit(16));
        match (c, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(c);
                at += 1;
            }
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
