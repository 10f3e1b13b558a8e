//! One auditID that comes twice from the same server and stage with different content: a client may
//! set the id, a server never makes two.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::hash::RandomState;

use rayon::iter::IntoParallelIterator;
use rayon::iter::ParallelIterator;

use crate::event::field::Field;
use crate::event::zone::Zone;
use crate::index::pack::wire::Damage;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::indexed::Searcher;
use crate::search::pack_eval::PackScope;
use crate::search::pack_numbers::Numbers;
use crate::search::pack_numbers::numbers;
use crate::search::pack_values::values;

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
        .filter(|(_, events)| events.len() > 1)
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
pub fn conflicts(searcher: &Searcher) -> Result<Vec<Conflict>, SearchError> {
    // A hash with a seed of this run: nobody can have made events that only seem to conflict.
    let hashes = RandomState::new();
    let packs: Vec<Vec<(u64, EventId)>> = (0..searcher.index.n_packs())
        .into_par_iter()
        .map(|number| {
            let pack = searcher.index.pack(number)?;
            let scope = PackScope { pack, sources: &searcher.index.sources, span: None };
            keys(scope, number as u64, &hashes)
                .map_err(|damage| searcher.index.damaged(number, &damage).into())
        })
        .collect::<Result<_, SearchError>>()?;
    let mut all: Vec<(u64, EventId)> = packs.into_iter().flatten().collect();
    all.sort_unstable();
    let mut found = Vec::new();
    for group in all.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
        let ids: Vec<EventId> = group.iter().map(|(_, id)| *id).collect();
        found.extend(ids);
    }
    let mut conflicts = conflicts_among(searcher, &found)?;
    conflicts.sort_by(|a, b| a.events.cmp(&b.events));
    Ok(conflicts)
}

/// Returns a hash of the fields of every event that has an auditID.
fn keys(
    scope: PackScope<'_>,
    pack: u64,
    hashes: &RandomState,
) -> Result<Vec<(u64, EventId)>, Damage> {
    let mut sums: Vec<u64> = vec![0; scope.pack.len()];
    let mut without: HashSet<usize> = HashSet::new();
    for (at, field) in fields().iter().enumerate() {
        let column = match numbers(scope.pack, field)? {
            Some(column) => column,
            None => joined(scope, field)?,
        };
        let texts: Vec<u64> = column.texts.iter().map(|text| hashes.hash_one(text)).collect();
        for (event, sum) in sums.iter_mut().enumerate() {
            let id = column.ids.get(event).copied().unwrap_or_default();
            if at == 0 && id == 0 {
                without.insert(event);
            }
            let text = id.checked_sub(1).and_then(|id| texts.get(id as usize)).copied();
            *sum = hashes.hash_one((*sum, text));
        }
    }
    Ok(sums
        .into_iter()
        .enumerate()
        .filter(|(event, _)| !without.contains(event))
        .map(|(event, sum)| (sum, EventId(pack << 32 | event as u64)))
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
            column.texts.push(list.join("\0"));
            column.ids.push(column.texts.len() as u32);
        }
    }
    Ok(column)
}
