//! One question over one pack: which of its events match, exactly.
//!
//! Conditions are put to dictionaries, once per different value; the numbers of the columns and
//! the templates then tell the events.  Only `path{ }`, comparisons of two fields and events that
//! are kept whole are judged from their text.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::event::audit_event::AuditEvent;
use crate::event::field::Field;
use crate::event::json::Tape;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::words::fold;
use crate::event::zone::Zone;
use crate::index::pack::build::META_CLUSTER;
use crate::index::pack::build::META_FLAGS;
use crate::index::pack::build::META_LOG;
use crate::index::pack::build::META_NODE;
use crate::index::pack::column::Dict;
use crate::index::pack::column::parse_uuid;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::stored_event::Texts;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::intake::parse::Scratch;
use crate::intake::parse::parse_json;
use crate::query::matcher::Matcher;
use crate::query::matcher::field_values;
use crate::search::bits::Bits;
use crate::search::evidence::EventId;
use crate::search::pack_words::among_with_words;
use crate::search::pack_words::events_with_words;
use crate::search::pattern_sets::PatternSets;
use crate::search::pattern_sets::Suspects;
use crate::search::question::Node;
use crate::search::question::Question;
use crate::search::question::ValueTest;
use crate::search::question::WordTest;

type Result<T> = std::result::Result<T, Damage>;

/// A pack and the names of the sources its events stand in.
#[derive(Clone, Copy, Debug)]
pub struct PackScope<'p> {
    /// The pack.
    pub pack: &'p Pack,
    /// Names of all sources of the index, by number.
    pub sources: &'p [String],
    /// Time of its first and last event, where all have one.
    pub span: Option<(i64, i64)>,
    /// Number of the pack.
    pub number: u32,
    /// Events whose auditID conflicts; `None` where nobody asked.
    pub conflicts: Option<&'p BTreeSet<EventId>>,
}

impl PackScope<'_> {
    /// Returns the events of this pack whose auditID conflicts, as far as somebody asked.
    pub fn conflicting(&self) -> impl Iterator<Item = usize> + '_ {
        let (first, last) = (self.id(0), self.id(u32::MAX as usize));
        let all = self.conflicts.into_iter().flat_map(move |all| all.range(first..=last));
        all.map(|id| split_id(*id).1 as usize)
    }

    /// Returns the id of an event of this pack.
    pub fn id(&self, event: usize) -> EventId {
        event_id(self.number, event as u32)
    }
}

/// Returns the id of an event of a pack, by their numbers.
pub fn event_id(pack: u32, event: u32) -> EventId {
    EventId(u64::from(pack) << 32 | u64::from(event))
}

/// Returns the numbers of pack and event.
pub fn split_id(id: EventId) -> (u32, u32) {
    ((id.0 >> 32) as u32, id.0 as u32)
}

/// Returns the matching events of a pack, without regard to time where `range` covers it all.
///
/// # Errors
/// On damage.
pub fn matching(scope: PackScope<'_>, question: &Question) -> Result<Bits> {
    matching_shared(scope, question, &mut BatchOfPack::default())
}

/// What the questions of a batch share about one pack.
#[derive(Debug, Default)]
pub struct BatchOfPack<'s> {
    /// Tests that are put to values together.
    sets: Option<&'s PatternSets>,
    /// What conditions were answered already, by their number.
    answered: Vec<Option<Bits>>,
    /// What the sets said of columns, by section and column.
    suspects: HashMap<(u8, u32), Arc<Suspects>>,
}

impl<'s> BatchOfPack<'s> {
    /// Nothing is known of the pack yet.
    pub fn new(sets: &'s PatternSets) -> BatchOfPack<'s> {
        BatchOfPack { sets: Some(sets), ..BatchOfPack::default() }
    }
}

/// The same for one question of a batch.
///
/// # Errors
/// On damage.
pub fn matching_shared(
    scope: PackScope<'_>,
    question: &Question,
    batch: &mut BatchOfPack<'_>,
) -> Result<Bits> {
    matching_among(scope, question, &inside_of(scope, question.range)?, batch)
}

/// Returns the events of a pack in a range of time.
///
/// # Errors
/// On damage.
pub fn inside_of(scope: PackScope<'_>, range: TimeRange) -> Result<Bits> {
    let pack = scope.pack;
    let mut mask = Bits::all(pack.len());
    let inside = |time| range.contains(Some(Timestamp(time)));
    let all_inside = scope.span.is_some_and(|(first, last)| inside(first) && inside(last));
    if range != TimeRange::ALL && !all_inside {
        mask = Bits::none(pack.len());
        for (event, time) in pack.times()?.iter().enumerate() {
            if *time != NO_TIME && inside(*time) {
                mask.set(event);
            }
        }
    }
    Ok(mask)
}

/// Returns those of some events of a pack that match, whatever the question's range.
///
/// # Errors
/// On damage.
pub fn matching_among(
    scope: PackScope<'_>,
    question: &Question,
    mask: &Bits,
    batch: &mut BatchOfPack<'_>,
) -> Result<Bits> {
    let pack = scope.pack;
    if mask.is_empty() {
        return Ok(mask.clone());
    }
    let whole = pack.whole()?;
    let columns_can = match &question.root {
        Node::All => true,
        _ => pack.may_hold(|filter| question.may_match(filter))?,
    };
    let mut bits = if columns_can {
        let mut eval = Eval { scope, zone: question.zone, batch };
        eval.node(&question.root, mask)?
    } else {
        Bits::none(pack.len())
    };
    bits.and(mask);
    for (event, texts) in whole.iter() {
        let event = *event as usize;
        if mask.has(event) {
            if judge(scope, event, texts, |event| question.matcher.matches(event))? {
                bits.set(event);
            } else {
                bits.unset(event);
            }
        }
    }
    Ok(bits)
}

/// Parses an event and asks `verdict` about it.
///
/// # Errors
/// On damage.
pub fn judge<T>(
    scope: PackScope<'_>,
    number: usize,
    texts: &Texts,
    verdict: impl FnOnce(&AuditEvent<'_>) -> T,
) -> Result<T> {
    let damage = |what| Damage { offset: 0, what };
    let mut scratch = Scratch::default();
    let (mut tape, mut envelope) = (Tape::default(), Tape::default());
    parse_json(&texts.event, &mut scratch, &mut tape)
        .map_err(|_| damage("an event is no JSON any more"))?;
    let root = tape.root(&texts.event).ok_or_else(|| damage("an event is empty"))?;
    if let Some(text) = &texts.envelope {
        if parse_json(text, &mut scratch, &mut envelope).is_err() {
            envelope.nodes.clear();
        }
    }
    let origin = origin(scope.pack, number)?;
    let flags = flags(scope, number)?;
    let time = scope.pack.times()?.get(number).copied().filter(|time| *time != NO_TIME);
    let event = AuditEvent {
        event: root,
        envelope: texts.envelope.as_ref().and_then(|text| envelope.root(text)),
        origin: &origin,
        source: source_name(scope, number)?,
        flags: &flags,
        time: time.map(Timestamp),
    };
    Ok(verdict(&event))
}

/// Returns the name of the source an event stands in.
///
/// # Errors
/// On damage.
pub fn source_name<'p>(scope: PackScope<'p>, number: usize) -> Result<&'p str> {
    let places = scope.pack.places()?;
    let source = places.get(number).map_or(u32::MAX, |place| place.source.0);
    Ok(scope.sources.get(source as usize).map(String::as_str).unwrap_or_default())
}

/// Returns node, cluster and log of an event.
///
/// # Errors
/// On damage.
pub fn origin(pack: &Pack, number: usize) -> Result<Origin> {
    let meta = pack.meta()?;
    let text = |at: usize| {
        let value = meta.get(at).map(|column| column.value(number)).unwrap_or_default();
        (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
    };
    Ok(Origin { node: text(META_NODE), cluster: text(META_CLUSTER), log: text(META_LOG) })
}

/// Returns the flags of an event, but for those that its text shows.
fn flags(scope: PackScope<'_>, number: usize) -> Result<Vec<Flag>> {
    let meta = scope.pack.meta()?;
    let value = meta.get(META_FLAGS).map(|column| column.value(number)).unwrap_or_default();
    let mut flags = flags_of(value);
    if scope.conflicts.is_some_and(|all| all.contains(&scope.id(number))) {
        flags.push(Flag::AuditIdConflict);
    }
    Ok(flags)
}

/// Returns the names of everything that is odd about each of `events`, of those not kept whole.
///
/// # Errors
/// On damage.
pub fn flag_names(scope: PackScope<'_>, events: &[usize]) -> Result<Vec<Vec<String>>> {
    let twice = with_duplicate_key(scope.pack)?;
    events
        .iter()
        .map(|event| {
            let mut flags = flags(scope, *event)?;
            if twice.has(*event) {
                flags.push(Flag::DuplicateKey);
            }
            flags.sort_unstable();
            flags.dedup();
            Ok(flags.iter().map(|flag| flag.name().to_owned()).collect())
        })
        .collect()
}

/// Returns the events, of those not kept whole, that have two equal keys in one object.
fn with_duplicate_key(pack: &Pack) -> Result<Bits> {
    let mut bits = Bits::none(pack.len());
    for number in 0..N_SECTIONS {
        let section = SectionId(number as u8);
        if !pack.has_section(section) || section.0 == 1 {
            continue;
        }
        let shapes = pack.shapes(section)?;
        let twice: Vec<bool> = std::iter::once(false)
            .chain(shapes.templates.iter().map(|(_, shape)| shape.duplicate_key))
            .collect();
        if twice.contains(&true) {
            for (event, template) in pack.templates(section)?.iter().enumerate() {
                if twice.get(template as usize).copied().unwrap_or_default() {
                    bits.set(event);
                }
            }
        }
    }
    Ok(bits)
}

fn flags_of(value: &[u8]) -> Vec<Flag> {
    let bits: u32 = std::str::from_utf8(value).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
    Flag::ALL.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, f)| *f).collect()
}

/// The same for identifiers, which are compared as the 16 bytes they are; `None` where the test is
/// not about whole texts.
fn accepted_ids(prefix: &[u8], ids: &[[u8; 16]], test: &ValueTest) -> Option<Vec<bool>> {
    if memchr::memchr(b'\\', prefix).is_some() {
        return None;
    }
    let prefix = fold(std::str::from_utf8(prefix).ok()?);
    // A value is the prefix and a UUID in lower case.
    let id = |text: &str| parse_uuid(text.strip_prefix(prefix.as_str())?.as_bytes());
    if let Some(text) = test.test.exact_folded() {
        let wanted = id(text);
        return Some(ids.iter().map(|id| wanted.as_ref() == Some(id)).collect());
    }
    let wanted: HashSet<[u8; 16]> =
        test.test.folded_texts()?.iter().filter_map(|text| id(text)).collect();
    Some(ids.iter().map(|id| wanted.contains(id)).collect())
}

/// The same for texts, where they are ASCII without escapes and one is asked for: only those as
/// long as that can be it.
fn accepted_texts(text: &[u8], ends: &[u32], test: &ValueTest) -> Option<Vec<bool>> {
    let wanted = test.test.exact_folded().filter(|wanted| wanted.is_ascii())?.as_bytes();
    if !text.is_ascii() || memchr::memchr(b'\\', text).is_some() {
        return None;
    }
    let mut start = 0;
    let is_wanted = |end: &u32| {
        let value = start..*end as usize;
        start = value.end;
        value.len() == wanted.len()
            && text.get(value).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    Some(ends.iter().map(is_wanted).collect())
}

/// Sections in which a joined path may stand.
pub fn sections_of(path: &str) -> impl Iterator<Item = SectionId> + '_ {
    SECTIONS.iter().enumerate().filter_map(move |(number, row)| {
        let fits = match row.path {
            None => true,
            Some(base) => {
                path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        };
        fits.then_some(SectionId(number as u8))
    })
}

/// Of so few events only their own values are searched for words.
const FEW: u64 = 24;

/// Of a question with fewer events in question than one in so many only their values are looked at.
const AMONG: u64 = 8;
/// The same for a question that comes alone: what it finds of all is kept for others.
const AMONG_ALONE: u64 = 32;

/// Puts one value to a test.
fn passes(dict: &Dict, id: u32, test: &ValueTest) -> bool {
    let value = dict.get(id);
    match std::str::from_utf8(&value) {
        Ok(text) if memchr::memchr(b'\\', &value).is_none() => test.test.accepts(text),
        _ => test.test.accepts(&crate::event::json::decode(&value, true)),
    }
}

struct Eval<'p, 'b, 's> {
    scope: PackScope<'p>,
    zone: Zone,
    batch: &'b mut BatchOfPack<'s>,
}

impl Eval<'_, '_, '_> {
    fn pack(&self) -> &Pack {
        self.scope.pack
    }

    /// Returns the events of `mask` for which `node` holds (others may be in as well).
    ///
    /// The recursion is as deep as the question, which the parser bounds.
    fn node(&mut self, node: &Node, mask: &Bits) -> Result<Bits> {
        let n = self.pack().len();
        Ok(match node {
            Node::All => Bits::all(n),
            Node::And(parts) => {
                let mut left = mask.clone();
                for part in parts {
                    let bits = self.node(part, &left)?;
                    left.and(&bits);
                    if left.is_empty() {
                        break;
                    }
                }
                left
            }
            Node::Or(parts) => {
                let mut any = Bits::none(n);
                for part in parts {
                    let bits = self.node(part, mask)?;
                    any.or(&bits);
                }
                any
            }
            Node::Not(inner) => {
                let mut bits = mask.clone();
                let inner = self.node(inner, mask)?;
                bits.and_not(&inner);
                bits
            }
            Node::Leaf { paths, test } if self.is_among(mask, test) => {
                self.among(paths, test, mask)?
            }
            Node::Leaf { paths, test } => self.once(test.name.as_ref(), |own| {
                let mut bits = Bits::none(n);
                for path in paths {
                    own.leaf(path, test, &mut bits)?;
                }
                Ok(bits)
            })?,
            Node::Present(paths) => {
                let name: Arc<str> = format!("present {paths:?}").into();
                self.once(Some(&name), |own| {
                    let mut bits = Bits::none(n);
                    for path in paths {
                        own.known(path, |known| known != Known::Null, &mut bits)?;
                    }
                    Ok(bits)
                })?
            }
            Node::FirstOf { paths, test, namespace } => {
                // What comes alone is kept for others, who ask about other events.
                let alone = self.batch.sets.is_none();
                let open = if alone { Bits::all(n) } else { mask.clone() };
                self.once(test.name.as_ref(), |own| own.first_of(paths, test, *namespace, open))?
            }
            Node::Peer(test) => self.once(test.name.as_ref(), |own| own.peer(test))?,
            Node::Computed(field, test) => self.computed(field, test, mask)?,
            Node::Source(test) => self.source(test)?,
            Node::Meta(at, test) => {
                self.meta(*at, |v| !v.is_empty() && test.test.accepts(&String::from_utf8_lossy(v)))?
            }
            Node::Flag(test) => self.flag(test)?,
            Node::Words(test) => self.words(std::slice::from_ref(test), mask)?,
            Node::AnyWords(tests) => self.words(tests, mask)?,
            Node::Shared(number, inner) => {
                let own = self.batch.sets.is_some_and(|sets| sets.is_asked_once(*number));
                let number = *number as usize;
                if let Some(Some(bits)) = self.batch.answered.get(number) {
                    return Ok(bits.clone());
                }
                if own && mask.count() * AMONG < self.pack().len() as u64 {
                    return self.node(inner, mask);
                }
                let bits = self.node(inner, &Bits::all(n))?;
                let answered = &mut self.batch.answered;
                if answered.len() <= number {
                    answered.resize(number + 1, None);
                }
                if let Some(slot) = answered.get_mut(number) {
                    *slot = Some(bits.clone());
                }
                bits
            }
            Node::Judged(candidates, matcher) => {
                let mut bits = self.node(candidates, mask)?;
                bits.and(mask);
                self.judged(bits, matcher)?
            }
        })
    }

    /// Returns the events of `mask` in which any of the words stand (others may be in as well).
    fn words(&self, tests: &[WordTest], mask: &Bits) -> Result<Bits> {
        let pack = self.scope.pack;
        let filter = pack.filter()?;
        let tests: Vec<&WordTest> = tests.iter().filter(|test| test.may_stand(&filter)).collect();
        if tests.is_empty() {
            return Ok(Bits::none(pack.len()));
        }
        if mask.count() <= FEW {
            return among_with_words(pack, &tests, &mask.iter().collect::<Vec<usize>>());
        }
        let mut any = Bits::none(pack.len());
        for test in tests {
            any.or(&events_with_words(pack, test)?);
        }
        Ok(any)
    }

    /// Answers a condition once per pack and process: questions share most of theirs.
    fn once(
        &mut self,
        name: Option<&Arc<str>>,
        answer: impl FnOnce(&mut Self) -> Result<Bits>,
    ) -> Result<Bits> {
        // A batch has its own memory, and more conditions than a pack would keep.
        let Some(name) = name.filter(|_| self.batch.sets.is_none()) else { return answer(self) };
        if let Some(bits) = self.pack().kept::<Bits>(name) {
            return Ok(Bits::clone(&bits));
        }
        let bits = answer(self)?;
        self.pack().keep(name, Arc::new(bits.clone()), self.pack().len() / 8);
        Ok(bits)
    }

    /// Adds the events that have a passing value at a path.
    fn leaf(&mut self, path: &str, test: &ValueTest, bits: &mut Bits) -> Result<()> {
        for section in sections_of(path) {
            if !self.pack().has_section(section) {
                continue;
            }
            let directory = self.pack().directory(section)?;
            for column in directory.at(path) {
                if !self.may_stand(section, *column, test)? {
                    continue;
                }
                let accepted = self.accepted(path, section, *column, test)?;
                add_accepted(self.pack(), section, *column, &accepted, bits)?;
            }
        }
        self.leaf_literals(path, test, bits)
    }

    fn leaf_literals(&self, path: &str, test: &ValueTest, bits: &mut Bits) -> Result<()> {
        if test.accepts_true || test.accepts_false {
            self.literals(path, |known| accepts_literal(test, known), bits)?;
        }
        Ok(())
    }

    /// Says whether so few events are asked about that their own values are looked at; what a
    /// question that comes alone found for all before, is known.
    fn is_among(&self, mask: &Bits, test: &ValueTest) -> bool {
        let n = self.pack().len() as u64;
        if self.batch.sets.is_some() {
            return mask.count() * AMONG < n;
        }
        let known = |name: &Arc<str>| self.pack().kept::<Bits>(name).is_some();
        mask.count() * AMONG_ALONE < n && !test.name.as_ref().is_some_and(known)
    }

    /// Returns the events of `mask` that have a passing value at one of the paths.
    fn among(&mut self, paths: &[String], test: &ValueTest, mask: &Bits) -> Result<Bits> {
        let mut bits = Bits::none(self.pack().len());
        let events: Vec<usize> = mask.iter().collect();
        for path in paths {
            for section in sections_of(path) {
                if !self.pack().has_section(section) {
                    continue;
                }
                let directory = self.pack().directory(section)?;
                for column in directory.at(path) {
                    if !self.may_stand(section, *column, test)? {
                        continue;
                    }
                    self.column_among(path, (section, *column), test, &events, &mut bits)?;
                }
            }
            self.leaf_literals(path, test, &mut bits)?;
        }
        Ok(bits)
    }

    fn column_among(
        &mut self,
        path: &str,
        (section, column): (SectionId, u32),
        test: &ValueTest,
        events: &[usize],
        bits: &mut Bits,
    ) -> Result<()> {
        let dict = self.scope.pack.dict(section, column)?;
        // A value is put to the test once, at most; where none of few passes, no number is read.
        let all_known =
            dict.len() <= events.len() || self.batch.suspects.contains_key(&(section.0, column));
        let accepted = if all_known { self.accepted(path, section, column, test)? } else { vec![] };
        if all_known && !accepted.contains(&true) {
            return Ok(());
        }
        // What is known of each value: none, that it does not pass, or that it does.
        let mut known: Vec<u8> = if all_known { Vec::new() } else { vec![0; dict.len()] };
        self.pack().occurrences_in(section, column, events, |place, id| {
            let passes = match known.get_mut(id as usize) {
                Some(slot) => {
                    if *slot == 0 {
                        *slot = 1 + u8::from(passes(&dict, id, test));
                    }
                    *slot == 2
                }
                None => accepted.get(id as usize).copied().unwrap_or_default(),
            };
            if let (true, Some(event)) = (passes, events.get(place)) {
                bits.set(*event);
            }
        })
    }

    /// Says whether the words of a value that passes can stand in a column.
    fn may_stand(&self, section: SectionId, column: u32, test: &ValueTest) -> Result<bool> {
        if test.keys.iter().any(Vec::is_empty) {
            return Ok(true);
        }
        let Some(spots) = self.pack().word_spots()? else { return Ok(true) };
        for keys in &test.keys {
            if spots.in_column(section, column, keys)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says of each different value of a column whether it passes; empty where none does.
    fn accepted(
        &mut self,
        path: &str,
        section: SectionId,
        column: u32,
        test: &ValueTest,
    ) -> Result<Vec<bool>> {
        let dict = self.scope.pack.dict(section, column)?;
        if let Dict::Uuid { prefix, ids } = &*dict {
            if let Some(accepted) = accepted_ids(prefix, ids, test) {
                return Ok(accepted);
            }
        }
        if let Dict::Text { text, ends } = &*dict
            && let Some(accepted) = accepted_texts(text, ends, test)
        {
            return Ok(accepted);
        }
        let passes = |id: u32| passes(&dict, id, test);
        let of_set = self.batch.sets.zip(test.pattern.as_deref());
        let Some((set, number)) = of_set.and_then(|(sets, pattern)| sets.find(path, pattern))
        else {
            return Ok((0..dict.len() as u32).map(passes).collect());
        };
        let suspects = self.batch.suspects.entry((section.0, column));
        let suspects = suspects.or_insert_with(|| Arc::new(set.suspects(&dict)));
        let mut accepted = Vec::new();
        for id in suspects.of(number).filter(|id| passes(*id)) {
            if accepted.is_empty() {
                accepted.resize(dict.len(), false);
            }
            if let Some(slot) = accepted.get_mut(id as usize) {
                *slot = true;
            }
        }
        Ok(accepted)
    }

    /// Adds the events whose skeleton has `true` or `false` at a path where that is accepted.
    fn literals(&self, path: &str, accepts: impl Fn(Known) -> bool, bits: &mut Bits) -> Result<()> {
        for section in sections_of(path) {
            if self.pack().has_section(section) && self.pack().may_have_literal(section, path)? {
                self.known_in(section, path, &accepts, bits)?;
            }
        }
        Ok(())
    }

    /// Adds the events whose skeletons know something accepted about a path.
    fn known(&self, path: &str, accepts: impl Fn(Known) -> bool, bits: &mut Bits) -> Result<()> {
        for section in sections_of(path) {
            if self.pack().has_section(section) {
                self.known_in(section, path, &accepts, bits)?;
            }
        }
        Ok(())
    }

    fn known_in(
        &self,
        section: SectionId,
        path: &str,
        accepts: &impl Fn(Known) -> bool,
        bits: &mut Bits,
    ) -> Result<()> {
        let mut wanted = vec![false; self.pack().n_templates(section) + 1];
        let mut any = false;
        for (template, known) in self.pack().known_at(section, path)? {
            if accepts(known) {
                if let Some(slot) = wanted.get_mut(template as usize) {
                    *slot = true;
                    any = true;
                }
            }
        }
        if any {
            let wanted = |template| wanted.get(template as usize).copied().unwrap_or_default();
            bits.set_where(&*self.pack().templates(section)?, wanted);
        }
        Ok(())
    }

    /// Those of the `open` events whose first path with any leaf has a passing value.
    fn first_of(
        &mut self,
        paths: &[String],
        test: &ValueTest,
        namespace: bool,
        mut open: Bits,
    ) -> Result<Bits> {
        let n = self.pack().len();
        let mut bits = Bits::none(n);
        for (at, path) in paths.iter().enumerate() {
            if at == 1 && namespace {
                open.and(&self.namespace_objects()?);
            }
            let mut found = Bits::none(n);
            if self.is_among(&open, test) {
                found = self.among(std::slice::from_ref(path), test, &open)?;
            } else {
                self.leaf(path, test, &mut found)?;
            }
            found.and(&open);
            bits.or(&found);
            if at + 1 < paths.len() {
                let mut present = Bits::none(n);
                let leaf = |k| matches!(k, Known::Value | Known::True | Known::False);
                self.known(path, leaf, &mut present)?;
                open.and_not(&present);
                if open.is_empty() {
                    break;
                }
            }
        }
        Ok(bits)
    }

    fn namespace_objects(&self) -> Result<Bits> {
        let mut bits = Bits::none(self.pack().len());
        let path = "objectRef.resource";
        for section in sections_of(path) {
            if !self.pack().has_section(section) {
                continue;
            }
            for column in self.pack().directory(section)?.at(path) {
                let dict = self.pack().dict(section, *column)?;
                let accepted: Vec<bool> = (0..dict.len() as u32)
                    .map(|id| {
                        let text = crate::event::json::decode(&dict.get(id), true).into_owned();
                        crate::event::words::equals_folded(&text, "namespaces")
                    })
                    .collect();
                add_accepted(self.pack(), section, *column, &accepted, &mut bits)?;
            }
        }
        Ok(bits)
    }

    /// The last source address; whatever is not a plain list of strings is judged.
    fn peer(&mut self, test: &ValueTest) -> Result<Bits> {
        let n = self.pack().len();
        let mut bits = Bits::none(n);
        let own = SectionId(4);
        let mut odd = Bits::none(n);
        let root = crate::index::pack::section::ROOT;
        self.known_in(root, "sourceIPs", &|_| true, &mut odd)?;
        if self.pack().has_section(own) {
            let shapes = self.pack().shapes(own)?;
            let plain: Vec<bool> = std::iter::once(true)
                .chain(shapes.templates.iter().map(|(_, shape)| {
                    shape.nodes.len() == shape.gaps.len() + 1
                        && shape.nodes.iter().skip(1).all(|(_, known)| *known == Known::Value)
                        && shape.gaps.iter().all(|(_, gap)| is_string_gap(gap))
                }))
                .collect();
            for (event, template) in self.pack().templates(own)?.iter().enumerate() {
                if !plain.get(template as usize).copied().unwrap_or_default() {
                    odd.set(event);
                }
            }
            let directory = self.pack().directory(own)?;
            for column in directory.at("sourceIPs") {
                let string = directory
                    .rows
                    .get(*column as usize)
                    .is_some_and(|r| r.kind == ValueKind::String);
                if !string {
                    continue;
                }
                let accepted = self.accepted("sourceIPs", own, *column, test)?;
                self.pack().occurrences(own, *column, |event, id| {
                    if accepted.get(id as usize).copied().unwrap_or_default() {
                        bits.set(event);
                    } else {
                        bits.unset(event);
                    }
                })?;
            }
        }
        if !odd.is_empty() {
            let zone = self.zone;
            let judged = self.judge_each(&odd, |event| {
                field_values(event, &Field::Peer, zone).iter().any(|v| test.test.accepts(v))
            })?;
            bits.and_not(&odd);
            bits.or(&judged);
        }
        Ok(bits)
    }

    fn computed(&self, field: &Field, test: &ValueTest, mask: &Bits) -> Result<Bits> {
        let mut bits = Bits::none(self.pack().len());
        let times = self.pack().times()?;
        match field {
            Field::Took => {
                // Both times are columns, but their texts may be anything: take what parses.
                let took = crate::search::pack_values::took(self.pack())?;
                for event in mask.iter() {
                    if let Some(Some(took)) = took.get(event) {
                        if test.test.accepts(&took.to_string()) {
                            bits.set(event);
                        }
                    }
                }
            }
            Field::Hour | Field::Weekday => {
                let mut verdicts: HashMap<i64, bool> = HashMap::new();
                for event in mask.iter() {
                    let time = times.get(event).copied().unwrap_or(NO_TIME);
                    if time == NO_TIME {
                        continue;
                    }
                    // Since 1972 zones differ from UTC by whole quarters of an hour.
                    let step = if time > 100_000_000_000_000 { 900_000_000 } else { 1 };
                    let start = time.div_euclid(step) * step;
                    let passes = *verdicts.entry(start).or_insert_with(|| {
                        let at = Timestamp(start);
                        let value = if *field == Field::Hour {
                            self.zone.hour(at).map(|hour| hour.to_string())
                        } else {
                            self.zone.weekday(at).map(str::to_owned)
                        };
                        value.is_some_and(|value| test.test.accepts(&value))
                    });
                    if passes {
                        bits.set(event);
                    }
                }
            }
            _ => {
                for event in mask.iter() {
                    let time = times.get(event).copied().unwrap_or(NO_TIME);
                    if time != NO_TIME && test.test.accepts_time(Timestamp(time)) {
                        bits.set(event);
                    }
                }
            }
        }
        Ok(bits)
    }

    fn source(&self, test: &ValueTest) -> Result<Bits> {
        let mut bits = Bits::none(self.pack().len());
        let mut verdicts: HashMap<u32, bool> = HashMap::new();
        for (event, place) in self.pack().places()?.iter().enumerate() {
            let passes = *verdicts.entry(place.source.0).or_insert_with(|| {
                let name = self.scope.sources.get(place.source.0 as usize);
                name.is_some_and(|name| test.test.accepts(name))
            });
            if passes {
                bits.set(event);
            }
        }
        Ok(bits)
    }

    fn meta(&self, at: usize, accepts: impl Fn(&[u8]) -> bool) -> Result<Bits> {
        let mut bits = Bits::none(self.pack().len());
        let meta = self.pack().meta()?;
        if let Some(column) = meta.get(at) {
            let accepted: Vec<bool> = column.values.iter().map(|value| accepts(value)).collect();
            if accepted.iter().any(|a| *a) {
                for event in 0..self.pack().len() {
                    if accepted.get(column.id(event) as usize).copied().unwrap_or_default() {
                        bits.set(event);
                    }
                }
            }
        }
        Ok(bits)
    }

    fn flag(&self, test: &ValueTest) -> Result<Bits> {
        let mut bits = self.meta(META_FLAGS, |value| {
            flags_of(value).iter().any(|flag| test.test.accepts(flag.name()))
        })?;
        if test.test.accepts(Flag::DuplicateKey.name()) {
            bits.or(&with_duplicate_key(self.pack())?);
        }
        if test.test.accepts(Flag::AuditIdConflict.name()) {
            self.scope.conflicting().for_each(|event| bits.set(event));
        }
        Ok(bits)
    }

    fn judged(&self, candidates: Bits, matcher: &Matcher) -> Result<Bits> {
        self.judge_each(&candidates, |event| matcher.matches(event))
    }

    fn judge_each(
        &self,
        candidates: &Bits,
        verdict: impl Fn(&AuditEvent<'_>) -> bool,
    ) -> Result<Bits> {
        let mut bits = Bits::none(self.pack().len());
        let mut reader = self.pack().reader()?;
        for event in candidates.iter() {
            let texts = reader.read(event)?;
            if judge(self.scope, event, &texts, &verdict)? {
                bits.set(event);
            }
        }
        Ok(bits)
    }
}

fn accepts_literal(test: &ValueTest, known: Known) -> bool {
    match known {
        Known::True => test.accepts_true,
        Known::False => test.accepts_false,
        _ => false,
    }
}

fn is_string_gap(gap: &crate::index::pack::shape::Gap) -> bool {
    matches!(gap, crate::index::pack::shape::Gap::Value { kind: ValueKind::String, .. })
}

/// Adds the events that have an accepted value of a column.
///
/// # Errors
/// On damage.
pub fn add_accepted(
    pack: &Pack,
    section: SectionId,
    column: u32,
    accepted: &[bool],
    bits: &mut Bits,
) -> Result<()> {
    /// So many values are looked for among the numbers of all.
    const FEW: usize = 8;
    let ids = (0..).zip(accepted).filter(|(_, passes)| **passes).map(|(id, _)| id);
    let ids: Vec<u32> = ids.take(FEW + 1).collect();
    if ids.is_empty() {
        return Ok(());
    }
    if ids.len() <= FEW {
        let events = if pack.expects_one_question() {
            pack.events_of_rare(section, column, &ids)?
        } else {
            pack.events_of_few(section, column, &ids)?
        };
        if let Some(events) = events {
            events.into_iter().for_each(|event| bits.set(event));
            return Ok(());
        }
    }
    pack.accepted_words(section, column, accepted, |at, word| bits.set_word(at, word))
}

/// Returns every path at which a pack has a value or a structure.
///
/// # Errors
/// On damage.
pub fn paths(pack: &Pack) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    for number in 0..N_SECTIONS {
        let section = SectionId(number as u8);
        if pack.has_section(section) {
            let shapes: Arc<_> = pack.shapes(section)?;
            for (_, shape) in &shapes.templates {
                for (path, _) in &shape.nodes {
                    if !found.contains(&**path) {
                        found.insert(path.to_string());
                    }
                }
            }
        }
    }
    Ok(found)
}
