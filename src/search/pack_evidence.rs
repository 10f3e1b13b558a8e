//! One pack as evidence of its own: what is derived from evidence pack by pack is derived by the
//! same questions.

use crate::event::field::Field;
use crate::event::place::SourceId;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::index::pack::derived::Derive;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;
use crate::search::evidence::Hit;
use crate::search::evidence::Hits;
use crate::search::evidence::Row;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;
use crate::search::evidence::StoredEvent;
use crate::search::pack_combinations::combinations;
use crate::search::pack_combinations::merge;
use crate::search::pack_counts::pack_counts;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::matching;
use crate::search::pack_eval::origin;
use crate::search::pack_top::top_of_pack;
use crate::search::pack_values::values;
use crate::search::question::Question;

/// Derives by asking the pack as evidence; the ids of its events are their numbers in the pack.
#[derive(Debug)]
pub struct DeriveByAsking(pub fn(&dyn Evidence) -> Result<Vec<u8>, SearchError>);

impl Derive for DeriveByAsking {
    fn derive(&self, pack: &Pack) -> Result<Vec<u8>, Damage> {
        let scope = PackScope { pack, sources: &[], span: None, number: 0, conflicts: None };
        (self.0)(&PackEvidence(Of::Scope(scope)))
            .map_err(|_| Damage { offset: 0, what: "nothing could be derived" })
    }
}

/// Opens a pack of an index.
pub trait OpenPack: Sync {
    /// Opens the pack of this number.
    ///
    /// # Errors
    /// On damage.
    fn scope(&self, number: usize) -> Result<PackScope<'_>, SearchError>;

    /// Says where a damage stands.
    fn wrong(&self, number: usize, damage: &Damage) -> SearchError;
}

/// See the file's text.
pub struct PackEvidence<'p>(Of<'p>);

impl std::fmt::Debug for PackEvidence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PackEvidence")
    }
}

enum Of<'p> {
    Scope(PackScope<'p>),
    /// A pack of an index, opened when it is asked.
    Index(&'p dyn OpenPack, usize),
}

impl<'p> PackEvidence<'p> {
    /// Pack `number` of an index.
    pub fn of_index(index: &'p dyn OpenPack, number: usize) -> PackEvidence<'p> {
        PackEvidence(Of::Index(index, number))
    }

    fn with<T>(
        &self,
        ask: impl FnOnce(PackScope<'p>) -> Result<T, Damage>,
    ) -> Result<T, SearchError> {
        match self.0 {
            Of::Scope(scope) => ask(scope)
                .map_err(|damage| SearchError::Damaged(format!("{} in a pack", damage.what))),
            Of::Index(index, number) => {
                ask(index.scope(number)?).map_err(|damage| index.wrong(number, &damage))
            }
        }
    }

    /// The same numbers for the same pack, whoever gave out the ids.
    fn number(id: EventId) -> u32 {
        id.0 as u32
    }
}

fn ready(ast: &QueryAst, range: TimeRange) -> Result<Question, SearchError> {
    Question::new(ast, range, Zone::UTC).map_err(|e| SearchError::Question(e.to_string()))
}

/// Returns events of a pack with their bytes.
///
/// # Errors
/// On damage.
pub fn stored(scope: PackScope<'_>, events: &[u32]) -> Result<Vec<StoredEvent>, Damage> {
    let mut reader = scope.pack.reader()?;
    let places = scope.pack.places()?;
    let times = scope.pack.times()?;
    events
        .iter()
        .map(|event| {
            let number = *event as usize;
            let texts = reader.read(number)?;
            let raw = scope.pack.enclosing(number, &texts.event)?;
            let nowhere = Damage { offset: 0, what: "an event without a place" };
            Ok(StoredEvent {
                raw,
                event: texts.event,
                envelope: texts.envelope,
                origin: origin(scope.pack, number)?,
                place: places.get(number).ok_or(nowhere)?,
                time: times.get(number).copied().filter(|t| *t != NO_TIME).map(Timestamp),
            })
        })
        .collect()
}

impl Evidence for PackEvidence<'_> {
    fn search(&self, question: &QueryAst, options: &SearchOptions) -> Result<Hits, SearchError> {
        let question = ready(question, options.range)?;
        let mut hits = self.with(|scope| {
            let bits = matching(scope, &question)?;
            if bits.is_empty() {
                return Ok(Vec::new());
            }
            let (times, places) = (scope.pack.times()?, scope.pack.places()?);
            let nowhere = Damage { offset: 0, what: "an event without a place" };
            bits.iter()
                .map(|event| {
                    let time = times.get(event).copied().filter(|time| *time != NO_TIME);
                    Ok(Hit {
                        id: EventId(event as u64),
                        time: time.map(Timestamp),
                        place: places.get(event).ok_or(nowhere.clone())?,
                    })
                })
                .collect::<Result<Vec<Hit>, Damage>>()
        })?;
        let total = hits.len() as u64;
        hits.sort_unstable_by_key(|hit| {
            (hit.time, hit.place.source.0, hit.place.offset, hit.place.item, hit.id)
        });
        if options.order == SortOrder::Newest {
            hits.reverse();
        }
        if options.limit > 0 {
            hits.truncate(options.limit);
        }
        Ok(Hits { hits, total, notes: Vec::new() })
    }

    fn fetch(&self, id: EventId) -> Result<StoredEvent, SearchError> {
        let mut events = self.fetch_many(&[id])?;
        events.pop().ok_or_else(|| SearchError::Question("there is no such event".to_owned()))
    }

    fn fetch_many(&self, ids: &[EventId]) -> Result<Vec<StoredEvent>, SearchError> {
        let numbers: Vec<u32> = ids.iter().map(|id| PackEvidence::number(*id)).collect();
        self.with(|scope| stored(scope, &numbers))
    }

    fn rows(&self, ids: &[EventId], fields: &[Field]) -> Result<Vec<Row>, SearchError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // Columns are read in the order of their events.
        let mut order: Vec<(usize, usize)> = ids
            .iter()
            .enumerate()
            .map(|(at, id)| (PackEvidence::number(*id) as usize, at))
            .collect();
        order.sort_unstable();
        let numbers: Vec<usize> = order.iter().map(|(number, _)| *number).collect();
        let mut rows: Vec<Row> = vec![vec![Vec::new(); fields.len()]; ids.len()];
        for (field_at, field) in fields.iter().enumerate() {
            let lists = self.with(|scope| values(scope, &numbers, field, Zone::UTC))?;
            for ((_, at), list) in order.iter().zip(lists) {
                if let Some(slot) = rows.get_mut(*at).and_then(|row| row.get_mut(field_at)) {
                    *slot = list;
                }
            }
        }
        Ok(rows)
    }

    fn source_name(&self, source: SourceId) -> String {
        let name = self.with(|scope| Ok(scope.sources.get(source.0 as usize).cloned()));
        name.ok().flatten().unwrap_or_default()
    }

    fn newest(&self) -> Option<Timestamp> {
        let times = self.with(|scope| scope.pack.times()).ok()?;
        times.iter().copied().filter(|time| *time != NO_TIME).max().map(Timestamp)
    }

    fn top(
        &self,
        question: &QueryAst,
        range: TimeRange,
        fields: &[Field],
        distinct: Option<&Field>,
        min: u64,
    ) -> Result<Vec<FacetRow>, SearchError> {
        let question = ready(question, range)?;
        let bits = self.with(|scope| matching(scope, &question))?;
        if distinct.is_none() {
            if let Some(counted) = self.with(|scope| combinations(scope, &bits, fields))? {
                // Two columns of a pack may hold the same text.
                return Ok(merge(&[counted], fields.len()).facets(min));
            }
        }
        let top = self.with(|scope| top_of_pack(scope, &bits, fields, distinct, Zone::UTC))?;
        let rows = top.into_iter().map(|(values, row)| row.into_facet(values, distinct.is_some()));
        let mut rows: Vec<FacetRow> = rows.filter(|row| row.count >= min).collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
        Ok(rows)
    }

    fn counts(&self, fields: &[Field]) -> Result<Option<Vec<u8>>, SearchError> {
        self.with(|scope| pack_counts(scope.pack, fields))
    }

    fn derived(&self) -> Result<Option<Vec<u8>>, SearchError> {
        self.with(|scope| scope.pack.derived())
    }
}
