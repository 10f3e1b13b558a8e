//! One value against one test.

use std::collections::HashSet;
use std::net::IpAddr;

use regex::Regex;
use regex::RegexBuilder;

use crate::event::field::FieldKind;
use crate::event::time::Timestamp;
use crate::event::time::parse_period;
use crate::event::words::equals_folded;
use crate::event::words::fold;
use crate::event::words::folded;
use crate::event::zone::Zone;
use crate::query::address::NetworkSet;
use crate::query::address::in_network;
use crate::query::address::normal_network;
use crate::query::address::parse_address;
use crate::query::ast::Test;
use crate::query::error::QueryError;
use crate::query::glob::CompiledGlob;
use crate::query::range::Limit;
use crate::query::range::duration;
use crate::query::range::in_range;
use crate::query::range::time_in_range;

pub use crate::query::phrase::CompiledWord;
pub use crate::query::phrase::CompiledWords;
pub use crate::query::phrase::decoded_query_part;

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
    /// A regex that does not compile, and tests with [`Test::other_field`], which are none of one value.
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
            Test::SameAs(_) | Test::Holds { .. } => {
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
                texts.contains(folded(text).as_ref())
                    || (!networks.is_empty()
                        && parse_address(text).is_some_and(|value| networks.contains(value)))
            }
        }
    }

    /// Says whether a moment passes, as [`Self::accepts`] does of its text, without the text.
    pub fn accepts_time(&self, time: Timestamp) -> bool {
        let quick = match &self.0 {
            Judge::Period { start, end, .. } => Some((*start..*end).contains(&time.0)),
            Judge::Range { low, high, .. } => time_in_range(time.0, low, high),
            _ => None,
        };
        quick.unwrap_or_else(|| self.accepts(&time.to_rfc3339()))
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
            Judge::Glob(glob) => !glob.is_cased(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::ast::Bound;

    #[test]
    fn a_moment_and_its_text_are_judged_alike() {
        let bounds =
            ["2025-12-09", "2025-12-09T12:57:08Z", "2025-12-09T12:57:08.837027Z", "x", "7"];
        let sides = bounds.iter().flat_map(|b| {
            [Bound::Open, Bound::Included((*b).to_owned()), Bound::Excluded((*b).to_owned())]
        });
        let sides: Vec<Bound> = sides.collect();
        let mut tests: Vec<Test> =
            bounds.iter().map(|b| Test::Equals { text: (*b).to_owned(), cased: false }).collect();
        for low in &sides {
            tests.extend(
                sides.iter().map(|high| Test::Range { low: low.clone(), high: high.clone() }),
            );
        }
        for test in tests {
            let compiled = CompiledTest::compile(&test, FieldKind::Time, Zone::UTC).unwrap();
            for text in [
                "2025-12-08T23:59:59.999999Z",
                "2025-12-09T00:00:00.000000Z",
                "2025-12-09T12:57:08.837026Z",
                "2025-12-09T12:57:08.837027Z",
                "2025-12-09T12:57:09.000000Z",
                "2025-12-10T00:00:00.000000Z",
            ] {
                let time = Timestamp::parse(text).unwrap();
                assert_eq!(compiled.accepts_time(time), compiled.accepts(text), "{test:?} {text}");
            }
        }
    }

    #[test]
    fn evil_patterns_take_bounded_time() {
        let star = |pattern: &str| {
            let parts = pattern.chars().map(|c| match c {
                '*' => crate::query::ast::GlobPart::AnyRun,
                '?' => crate::query::ast::GlobPart::AnyOne,
                c => crate::query::ast::GlobPart::Text(c.to_string()),
            });
            CompiledGlob::compile(&crate::query::ast::Glob(parts.collect()), false)
        };
        let started = std::time::Instant::now();
        let text = "a".repeat(100_000);
        assert!(!star(&"*a".repeat(50)).accepts(&format!("{text}b")));
        assert!(!star(&format!("{}b*c", "*a?".repeat(50))).accepts(&text));
        assert!(star(&"*a".repeat(50)).accepts(&text));
        assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    }
}
