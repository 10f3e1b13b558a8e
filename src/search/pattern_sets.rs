//! Tests that a batch of questions puts to the values at one path, put to each value all at once.
//!
//! A value is looked at once whatever the number of tests; what a set says is taken as a
//! suspicion, and the test itself decides.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use regex::bytes::RegexSet;
use regex::bytes::RegexSetBuilder;

use crate::event::json::decode;
use crate::index::pack::column::Dict;
use crate::search::question::Node;
use crate::search::question::Question;

/// Fewer tests than this are put one by one.
const FEWEST: usize = 3;
/// Bytes that a compiled set may take.
const SIZE: usize = 16 << 20;
/// Bytes of the states that each thread remembers of a set.
const STATES: usize = 2 << 20;

/// The sets of a batch, by joined path.
#[derive(Debug, Default)]
pub struct PatternSets {
    by_path: HashMap<String, PatternSet>,
    /// How often each condition is asked, by its number.
    asked: Vec<u32>,
}

/// The tests of one path.
#[derive(Debug)]
pub struct PatternSet {
    numbers: HashMap<String, usize>,
    set: RegexSet,
}

/// Which values of one dictionary may pass which tests.
#[derive(Debug, Default)]
pub struct Suspects {
    /// Values in which a pattern was found, ascending, by the number of the pattern.
    by_pattern: Vec<Vec<u32>>,
    /// Values outside ASCII, of which the patterns say nothing.
    odd: Vec<u32>,
}

impl PatternSets {
    /// Gathers the tests of all questions.
    pub fn of(questions: &[Question]) -> PatternSets {
        let mut patterns: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut asked = Vec::new();
        for question in questions {
            gather(&question.root, &mut patterns, &mut asked);
        }
        let by_path = patterns
            .into_iter()
            .filter(|(_, patterns)| patterns.len() >= FEWEST)
            .filter_map(|(path, patterns)| {
                let mut builder = RegexSetBuilder::new(&patterns);
                let set = builder.size_limit(SIZE).dfa_size_limit(STATES).build().ok()?;
                let numbers = patterns.into_iter().map(str::to_owned).zip(0..).collect();
                Some((path.to_owned(), PatternSet { numbers, set }))
            })
            .collect();
        PatternSets { by_path, asked }
    }

    /// Says whether a condition stands in one question only, and once.
    pub fn is_asked_once(&self, condition: u32) -> bool {
        self.asked.get(condition as usize) == Some(&1)
    }

    /// Returns the set of a path and the number in it of the test with this pattern.
    pub fn find(&self, path: &str, pattern: &str) -> Option<(&PatternSet, usize)> {
        let set = self.by_path.get(path)?;
        set.numbers.get(pattern).map(|number| (set, *number))
    }
}

/// The recursion is as deep as the question, which the parser bounds.
fn gather<'q>(
    node: &'q Node,
    found: &mut BTreeMap<&'q str, BTreeSet<&'q str>>,
    asked: &mut Vec<u32>,
) {
    match node {
        Node::And(parts) | Node::Or(parts) => {
            parts.iter().for_each(|part| gather(part, found, asked));
        }
        Node::Not(inner) | Node::Judged(inner, _) => gather(inner, found, asked),
        Node::Shared(number, inner) => {
            let number = *number as usize;
            asked.resize(asked.len().max(number + 1), 0);
            if let Some(times) = asked.get_mut(number) {
                *times += 1;
            }
            gather(inner, found, asked);
        }
        Node::Leaf { paths, test } | Node::FirstOf { paths, test, .. } => {
            if let Some(pattern) = &test.pattern {
                for path in paths {
                    found.entry(path).or_default().insert(pattern);
                }
            }
        }
        _ => {}
    }
}

impl PatternSet {
    /// Looks at every value once.
    pub fn suspects(&self, dict: &Dict) -> Suspects {
        let mut suspects =
            Suspects { by_pattern: vec![Vec::new(); self.set.len()], odd: Vec::new() };
        for id in 0..dict.len() as u32 {
            let value = dict.get(id);
            // Go escapes `&`, so that escapes are frequent in URIs.
            let text = decode(&value, memchr::memchr(b'\\', &value).is_some());
            if !text.is_ascii() {
                suspects.odd.push(id);
                continue;
            }
            for number in self.set.matches(text.as_bytes()).iter() {
                if let Some(ids) = suspects.by_pattern.get_mut(number) {
                    ids.push(id);
                }
            }
        }
        suspects
    }
}

impl Suspects {
    /// Returns the values that may pass a test.
    pub fn of(&self, pattern: usize) -> impl Iterator<Item = u32> + '_ {
        self.by_pattern.get(pattern).into_iter().flatten().chain(&self.odd).copied()
    }
}
