//! One auditID that comes twice from the same server and stage with different content: a client may
//! set the id, a server never makes two.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use rayon::iter::IntoParallelIterator;
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::event::audit_event::AuditEvent;
use crate::event::field::Field;
use crate::event::place::Flag;
use crate::event::time::TimeRange;
use crate::event::words::fold;
use crate::event::words::words;
use crate::event::zone::Zone;
use crate::index::pack::column::parse_uuid;
use crate::index::pack::filter::word_key;
use crate::index::pack::section::ROOT;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::index::reader::IndexReader;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::ValueSet;
use crate::query::matcher::field_values;
use crate::query::value::CompiledTest;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::matching;
use crate::search::pack_eval::split_id;
use crate::search::pack_numbers::Numbers;
use crate::search::pack_numbers::numbers;
use crate::search::pack_values::values;
use crate::search::question::Question;

/// Stands between the values of one field where an event has several.
const JOIN: &str = "\0";

/// What makes two events of one auditID come from one place: server, log and stage.
fn fields() -> [Field; 5] {
    [Field::path("auditID"), Field::path("stage"), Field::Cluster, Field::Node, Field::Log]
}

/// Events of one auditID and stage from one server, which differ: equal ones are kept once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The auditID they share.
    pub audit_id: String,
    /// The stage they share.
    pub stage: String,
    /// Node and log of the server, as far as the evidence says.
    pub server: String,
    /// Whether the log is known: where it is not, two servers may have written them.
    pub certain: bool,
    /// The events, ascending.
    pub events: Vec<EventId>,
}

impl Conflict {
    /// Says what it is.
    pub fn what(&self) -> &'static str {
        if self.certain {
            "the same server wrote this auditID and stage more than once with different content: \
             a client may set the id, also to hide among the events of another"
        } else {
            "this auditID and stage stand here more than once with different content; the server is \
             not known, so it may be two that passed the request on"
        }
    }
}

/// Returns the conflicts among events that all have one auditID.
///
/// # Errors
/// As [`Evidence::rows`].
pub fn conflicts_among(
    evidence: &dyn Evidence,
    ids: &[EventId],
) -> Result<Vec<Conflict>, SearchError> {
    let mut groups: BTreeMap<Vec<Vec<String>>, Vec<EventId>> = BTreeMap::new();
    for (id, row) in ids.iter().zip(evidence.rows(ids, &fields())?) {
        groups.entry(row).or_default().push(*id);
    }
    Ok(groups
        .into_iter()
        .filter(|(row, events)| {
            events.len() > 1 && row.first().is_some_and(|ids| ids.iter().any(|id| !id.is_empty()))
        })
        .map(|(row, mut events)| {
            events.sort_unstable();
            let text = |at: usize| row.get(at).map(|values| values.join(", ")).unwrap_or_default();
            let server: Vec<String> = (2..5).map(text).filter(|part| !part.is_empty()).collect();
            Conflict {
                audit_id: text(0),
                stage: text(1),
                server: server.join(" "),
                certain: !text(4).is_empty(),
                events,
            }
        })
        .collect())
}

/// Returns every event whose auditID, stage and server another event has as well, grouped.
///
/// # Errors
/// On damage.
pub fn conflicts(
    index: &IndexReader,
    evidence: &dyn Evidence,
) -> Result<Vec<Conflict>, SearchError> {
    // A hash with a seed of this run: nobody can have made events that only seem to conflict.
    let hashes = RandomState::new();
    let packs: Vec<Vec<(u64, EventId)>> = (0..index.n_packs())
        .into_par_iter()
        .map(|number| {
            let pack = index.pack(number)?;
            keys(scope(index, number, pack), &hashes)
                .map_err(|damage| index.damaged(number, &damage).into())
        })
        .collect::<Result<_, SearchError>>()?;
    let mut all: Vec<(u64, EventId)> = packs.into_iter().flatten().collect();
    all.sort_unstable();
    let mut found = Vec::new();
    for group in all.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        let ids: Vec<EventId> = group.iter().map(|(_, id)| *id).collect();
        found.extend(ids);
    }
    let mut conflicts = conflicts_among(evidence, &found)?;
    conflicts.sort_by(|a, b| a.events.cmp(&b.events));
    Ok(conflicts)
}

fn scope<'s>(index: &'s IndexReader, number: usize, pack: &'s Pack) -> PackScope<'s> {
    let sources = &index.sources;
    PackScope { pack, sources, span: None, number: number as u32, conflicts: None }
}

/// Says whether the answer to a question depends on which auditIDs conflict.
pub fn asks_conflicts(question: &QueryAst, zone: Zone) -> bool {
    match question {
        QueryAst::Field { test, .. } if test.other_field() == Some(&Field::Flag) => true,
        QueryAst::Field { field: Field::Flag, test } => {
            CompiledTest::compile(test, Field::Flag.kind(), zone)
                .is_ok_and(|test| test.accepts(Flag::AuditIdConflict.name()))
        }
        QueryAst::And(parts) | QueryAst::Or(parts) => {
            parts.iter().any(|part| asks_conflicts(part, zone))
        }
        QueryAst::Not(inner) => asks_conflicts(inner, zone),
        _ => false,
    }
}

/// So many events a searcher looks up by their auditIDs before it rather compares all of the index.
const LOOKED_UP: usize = 1 << 14;

/// The conflicts of an open index, found when somebody asks.
#[derive(Debug, Default)]
pub struct AskedConflicts {
    all: OnceLock<BTreeSet<EventId>>,
    looked_up: AtomicUsize,
}

impl AskedConflicts {
    /// Returns all events whose auditID conflicts, where they are known already.
    pub fn known(&self) -> Option<&BTreeSet<EventId>> {
        self.all.get()
    }

    /// Returns all events whose auditID conflicts.
    ///
    /// # Errors
    /// On damage.
    pub fn all(
        &self,
        index: &IndexReader,
        evidence: &dyn Evidence,
    ) -> Result<&BTreeSet<EventId>, SearchError> {
        if let Some(known) = self.all.get() {
            return Ok(known);
        }
        let all =
            conflicts(index, evidence)?.into_iter().flat_map(|conflict| conflict.events).collect();
        Ok(self.all.get_or_init(|| all))
    }

    /// Returns which events share an auditID of `ids` and conflict, or `None` where all of them are
    /// known: a page of hits costs a look at the packs that can hold its auditIDs.
    ///
    /// # Errors
    /// On damage.
    pub fn among(
        &self,
        index: &IndexReader,
        evidence: &dyn Evidence,
        ids: &[EventId],
    ) -> Result<Option<BTreeSet<EventId>>, SearchError> {
        let before = self.looked_up.fetch_add(ids.len(), Ordering::Relaxed);
        if self.known().is_some() || before.saturating_add(ids.len()) > LOOKED_UP {
            return self.all(index, evidence).map(|_| None);
        }
        let own = own_ids(index, ids)?;
        let others: Vec<EventId> =
            ids.iter().copied().filter(|id| !own.contains_key(&split_id(*id).0)).collect();
        let rows = evidence.rows(&others, &[Field::path("auditID")])?;
        let mut texts: Vec<String> = rows
            .iter()
            .flatten()
            .flatten()
            .map(|id| fold(id))
            .filter(|id| !id.is_empty())
            .chain(own.values().flat_map(|own| own.texts.iter().cloned()))
            .collect();
        texts.sort_unstable();
        texts.dedup();
        let set = Arc::new(ValueSet { texts, ..ValueSet::default() });
        let test = Test::OneOf(Arc::clone(&set));
        let asked = QueryAst::Field { field: Field::path("auditID"), test };
        let question = Question::new(&asked, TimeRange::ALL, Zone::UTC)
            .map_err(|error| SearchError::Question(error.to_string()))?;
        let looked_for: Vec<LookedFor<'_>> = set.texts.iter().map(LookedFor::new).collect();
        let packs: Vec<Vec<EventId>> = (0..index.n_packs())
            .into_par_iter()
            .map(|number| {
                let scope = scope(index, number, index.pack(number)?);
                let found =
                    with_audit_ids(scope, &looked_for, own.get(&(number as u32)), &question);
                scope.pack.end_question();
                found.map_err(|damage| index.damaged(number, &damage).into())
            })
            .collect::<Result<_, SearchError>>()?;
        let with_them = packs.concat();
        // Nearly all of them stand once, and need no second look: where each event asked about has
        // one, as many events as auditIDs means that there are no others.
        if rows.iter().flatten().all(|own| own.len() <= 1) && with_them.len() == set.texts.len() {
            return Ok(Some(BTreeSet::new()));
        }
        let mut same: HashMap<Vec<String>, Vec<EventId>> = HashMap::new();
        let audit_ids = evidence.rows(&with_them, &[Field::path("auditID")])?;
        for (own, event) in audit_ids.into_iter().zip(with_them) {
            same.entry(own.concat()).or_default().push(event);
        }
        let mut found: Vec<EventId> =
            same.into_values().filter(|events| events.len() > 1).flatten().collect();
        found.sort_unstable();
        let conflicts = conflicts_among(evidence, &found)?;
        Ok(Some(conflicts.into_iter().flat_map(|conflict| conflict.events).collect()))
    }
}

/// An auditID, and the words without which no pack holds it.
struct LookedFor<'t> {
    text: &'t String,
    keys: Vec<u64>,
}

impl LookedFor<'_> {
    fn new(text: &String) -> LookedFor<'_> {
        // Folding can move word boundaries outside ASCII.
        let keys =
            if text.is_ascii() { words(text).filter_map(word_key).collect() } else { vec![] };
        LookedFor { text, keys }
    }
}

/// The auditIDs of some events of a pack, each of which has one, and all its events that have them.
struct OwnIds {
    /// Ascending.
    texts: Vec<String>,
    /// Ascending.
    events: Vec<usize>,
}

/// Reads the auditIDs of events of packs in which all are UUIDs, for a process that asks once.
fn own_ids(index: &IndexReader, ids: &[EventId]) -> Result<BTreeMap<u32, OwnIds>, SearchError> {
    let mut asked: Vec<EventId> = ids.to_vec();
    asked.sort_unstable();
    asked.dedup();
    let own = |ids: &[EventId]| {
        let Some((number, _)) = ids.first().map(|id| split_id(*id)) else { return Ok(None) };
        let pack = index.pack(number as usize)?;
        let events: Vec<usize> = ids.iter().map(|id| split_id(*id).1 as usize).collect();
        let own =
            own_ids_of(pack, &events).map_err(|damage| index.damaged(number as usize, &damage))?;
        Ok(own.map(|own| (number, own)))
    };
    let packs: Vec<Option<(u32, OwnIds)>> = asked
        .par_chunk_by(|a, b| split_id(*a).0 == split_id(*b).0)
        .map(own)
        .collect::<Result<_, SearchError>>()?;
    Ok(packs.into_iter().flatten().collect())
}

fn own_ids_of(pack: &Pack, events: &[usize]) -> Result<Option<OwnIds>, Damage> {
    let Some(column) = uuid_column(pack)? else { return Ok(None) };
    let few = pack.few_values(ROOT, column, events)?;
    let places: Vec<usize> = few.occurrences.iter().map(|(place, _)| *place).collect();
    if places != (0..events.len()).collect::<Vec<_>>() {
        return Ok(None);
    }
    let numbers: Vec<u32> = few.values.keys().copied().collect();
    let events = pack.events_of(ROOT, column, &numbers)?;
    let text = |id: Vec<u8>| String::from_utf8_lossy(&id).into_owned();
    let mut texts: Vec<String> = few.values.into_values().map(text).collect();
    texts.sort_unstable();
    Ok(Some(OwnIds { texts, events }))
}

/// Returns the events of a pack that have one of some auditIDs, which is what `question` asks;
/// packs that can hold none of them are not looked into, nor is one for its own.
fn with_audit_ids(
    scope: PackScope<'_>,
    looked_for: &[LookedFor<'_>],
    own: Option<&OwnIds>,
    question: &Question,
) -> Result<Vec<EventId>, Damage> {
    let filter = scope.pack.filter()?;
    let is_own = |text: &String| own.is_some_and(|own| own.texts.binary_search(text).is_ok());
    let may_hold =
        |id: &&LookedFor<'_>| !is_own(id.text) && id.keys.iter().all(|key| filter.may_hold(*key));
    let possible: Vec<&String> =
        looked_for.iter().filter(may_hold).map(|looked_for| looked_for.text).collect();
    let mut events = own.map(|own| own.events.clone()).unwrap_or_default();
    if !possible.is_empty() || !scope.pack.whole()?.is_empty() {
        events = match with_uuids(scope.pack, &possible)? {
            Some(others) => {
                events.extend(others);
                events.sort_unstable();
                events.dedup();
                events
            }
            None => matching(scope, question)?.iter().collect(),
        };
    }
    Ok(events.into_iter().map(|event| scope.id(event)).collect())
}

/// Returns the column of a pack's auditIDs where all of them are UUIDs; for a process that asks
/// once.
fn uuid_column(pack: &Pack) -> Result<Option<u32>, Damage> {
    const PATH: &str = "auditID";
    if !pack.expects_one_question() || !pack.whole()?.is_empty() || !pack.has_section(ROOT) {
        return Ok(None);
    }
    let directory = pack.directory(ROOT)?;
    let ([column], false) = (directory.at(PATH), pack.links(ROOT)?.literal_paths.contains(PATH))
    else {
        return Ok(None);
    };
    Ok(pack.are_uuids(ROOT, *column)?.then_some(*column))
}

/// Returns the events of a pack whose auditID is one of `texts`, where all its auditIDs are UUIDs;
/// for a process that asks once.
fn with_uuids(pack: &Pack, texts: &[&String]) -> Result<Option<Vec<usize>>, Damage> {
    let Some(column) = uuid_column(pack)? else { return Ok(None) };
    let wanted = texts.iter().filter_map(|text| parse_uuid(text.as_bytes())).collect();
    pack.events_of_uuids(ROOT, column, &wanted).map(Some)
}

/// The auditIDs, stages and servers of events as they are read, counted.
///
/// Hashed with a seed of this run: nobody can have made events that only seem to conflict.
#[derive(Debug)]
pub(crate) struct ReadAuditIds {
    seed: u64,
    several: HashMap<u128, bool>,
}

impl Default for ReadAuditIds {
    fn default() -> ReadAuditIds {
        ReadAuditIds { seed: RandomState::new().hash_one(0_u8), several: HashMap::new() }
    }
}

impl ReadAuditIds {
    /// Notes an event that is no copy of one noted before.
    pub(crate) fn note(&mut self, event: &AuditEvent<'_>) {
        if let Some(key) = self.key(event) {
            self.several.entry(key).and_modify(|several| *several = true).or_insert(false);
        }
    }

    /// Says whether another event has the auditID, the stage and the server of this one.
    pub(crate) fn conflict(&self, event: &AuditEvent<'_>) -> bool {
        self.key(event).and_then(|key| self.several.get(&key)).copied().unwrap_or_default()
    }

    fn key(&self, event: &AuditEvent<'_>) -> Option<u128> {
        let mut sum = 0_u128;
        for (at, field) in fields().iter().enumerate() {
            let values = field_values(event, field, Zone::UTC);
            let text = values.join(JOIN);
            if at == 0 && text.is_empty() {
                return None;
            }
            let seed = self.seed ^ (sum as u64) ^ ((sum >> 64) as u64).rotate_left(at as u32 + 1);
            sum ^= xxh3_128_with_seed(text.as_bytes(), seed.wrapping_add(values.len() as u64));
        }
        Some(sum)
    }
}

/// Returns a hash of the fields of every event that has an auditID.
fn keys(scope: PackScope<'_>, hashes: &RandomState) -> Result<Vec<(u64, EventId)>, Damage> {
    let mut sums: Vec<u64> = vec![0; scope.pack.len()];
    let mut without: HashSet<usize> = HashSet::new();
    let empty = hashes.hash_one(String::new());
    for (at, field) in fields().iter().enumerate() {
        let column = match numbers(scope.pack, field)? {
            Some(column) => column,
            None => joined(scope, field)?,
        };
        let texts: Vec<u64> = column.texts.iter().map(|text| hashes.hash_one(text)).collect();
        for (event, sum) in sums.iter_mut().enumerate() {
            let id = column.ids.get(event).copied().unwrap_or_default();
            let text = id.checked_sub(1).and_then(|id| texts.get(id as usize)).copied();
            if at == 0 && (text.is_none() || text == Some(empty)) {
                without.insert(event);
            }
            *sum = hashes.hash_one((*sum, text));
        }
    }
    Ok(sums
        .into_iter()
        .enumerate()
        .filter(|(event, _)| !without.contains(event))
        .map(|(event, sum)| (sum, scope.id(event)))
        .collect())
}

/// The slow way for packs whose columns do not say: one text per event.
fn joined(scope: PackScope<'_>, field: &Field) -> Result<Numbers, Damage> {
    let events: Vec<usize> = (0..scope.pack.len()).collect();
    let mut column = Numbers::default();
    for list in values(scope, &events, field, Zone::UTC)? {
        if list.is_empty() {
            column.ids.push(0);
        } else {
            column.texts.push(list.join(JOIN));
            column.ids.push(column.texts.len() as u32);
        }
    }
    Ok(column)
}
