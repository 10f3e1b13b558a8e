//! What every consumer asks evidence through, whether an index or a plain scan stands behind it.

use std::collections::BTreeMap;

use rayon::iter::IntoParallelRefIterator;
use rayon::iter::ParallelIterator;

use crate::event::field::Field;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::query::ast::QueryAst;
use crate::search::codes::Codes;
use crate::search::error::SearchError;
use crate::search::structure::structure_of;

/// One event of one body of evidence; only the [`Evidence`] that gave it out can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u64);

/// Which end of the order comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// (time, source, offset, item), ascending; events without a time come first.
    #[default]
    Oldest,
    /// The exact reverse.
    Newest,
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchOptions {
    /// Only events of this time.
    pub range: TimeRange,
    /// Which end first.
    pub order: SortOrder,
    /// At most so many hits; 0 for all.
    pub limit: usize,
    /// Whether [`Hits::total`] must be exact even where fewer hits are wanted.
    pub count_all: bool,
}

impl Default for SearchOptions {
    fn default() -> SearchOptions {
        SearchOptions { range: TimeRange::ALL, order: SortOrder::Oldest, limit: 0, count_all: true }
    }
}

/// One event that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which event.
    pub id: EventId,
    /// Its time, `None` where the evidence names none.
    pub time: Option<Timestamp>,
    /// Where it stands.
    pub place: Place,
}

/// One event that matches, for whoever does not ask where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    /// Which event.
    pub id: EventId,
    /// Its time, `None` where the evidence names none.
    pub time: Option<Timestamp>,
}

impl From<Hit> for Dated {
    fn from(hit: Hit) -> Dated {
        Dated { id: hit.id, time: hit.time }
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hits<H = Hit> {
    /// In the order asked for, cut at the limit.
    pub hits: Vec<H>,
    /// How many events match; at least `hits.len()`, exact where `count_all` was asked.
    pub total: u64,
    /// What this evidence cannot answer about the question, one sentence each.
    pub notes: Vec<String>,
}

impl<H> Default for Hits<H> {
    fn default() -> Hits<H> {
        Hits { hits: Vec::new(), total: 0, notes: Vec::new() }
    }
}

/// An event with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// The enclosing original text, without the line end.
    pub raw: Vec<u8>,
    /// The event's own JSON text, unaltered.
    pub event: Vec<u8>,
    /// The envelope that stood beside it, as a JSON object.
    pub envelope: Option<Vec<u8>>,
    /// Node, cluster, log.
    pub origin: Origin,
    /// Where it stands.
    pub place: Place,
    /// Its time.
    pub time: Option<Timestamp>,
}

/// One line of a top list: the values counted and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetRow {
    /// One value per field; `None` where the event has no value.
    pub values: Vec<Option<String>>,
    /// Events, or distinct values of the distinct field where one was asked.
    pub count: u64,
    /// First and last time of the counted events.
    pub first: Option<Timestamp>,
    /// See `first`.
    pub last: Option<Timestamp>,
}

/// Values of some fields of one event, one list per field; empty where the event has none.
pub type Row = Vec<Vec<String>>;

/// A part of a body of evidence.
pub struct Part<'e> {
    /// Added to the ids of the part's own events, it makes them those of the whole.
    pub first: u64,
    /// The part.
    pub evidence: Box<dyn Evidence + 'e>,
}

impl std::fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part").field("first", &self.first).finish_non_exhaustive()
    }
}

/// The first event is wanted that this peer caused in this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPeer {
    /// The last source address, in whatever spelling.
    pub peer: String,
    /// From when until when.
    pub range: TimeRange,
}

/// One question for each combination of values of some fields; see [`Evidence::top_each`].
pub fn questions_each(
    question: &QueryAst,
    groups: &[Field],
    wanted: &[Vec<Option<String>>],
) -> Vec<QueryAst> {
    let one = |values: &Vec<Option<String>>| {
        let parts = groups.iter().zip(values).map(|(field, value)| match value {
            Some(value) => QueryAst::equals(field.clone(), value),
            None => QueryAst::present(field.clone()).negated(),
        });
        QueryAst::all_of(parts.chain([question.clone()]).collect())
    };
    wanted.iter().map(one).collect()
}

/// Questions beside those of a batch: how many events they match of which something cannot be told.
#[derive(Clone, Debug, Default)]
pub struct Wider {
    /// For each question of the batch one that it implies, where that is asked.
    pub questions: Vec<Option<QueryAst>>,
    /// Only events are counted that do not match this.
    pub without: Option<QueryAst>,
}

impl Wider {
    /// The wider question beside that at a place.
    pub fn of(&self, at: usize) -> Option<&QueryAst> {
        self.questions.get(at)?.as_ref()
    }
}

/// A body of evidence that questions can be put to.
pub trait Evidence: Sync {
    /// Returns the events that match, in order.
    ///
    /// # Errors
    /// What kept the question from being answered; never "nothing found".
    fn search(&self, question: &QueryAst, options: &SearchOptions) -> Result<Hits, SearchError>;

    /// The same without the places, which an index reads for the order of few hits only.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn find(
        &self,
        question: &QueryAst,
        options: &SearchOptions,
    ) -> Result<Hits<Dated>, SearchError> {
        let Hits { hits, total, notes } = self.search(question, options)?;
        Ok(Hits { hits: hits.into_iter().map(Dated::from).collect(), total, notes })
    }

    /// Answers many questions at once, in their order; an implementation may answer what they
    /// share only once.
    ///
    /// # Errors
    /// As [`Self::search`], for the first question that fails.
    fn search_all(
        &self,
        questions: &[QueryAst],
        options: &SearchOptions,
    ) -> Result<Vec<Hits>, SearchError> {
        questions.par_iter().map(|question| self.search(question, options)).collect()
    }

    /// The same, and how many events match the wider question beside each, 0 where there is none;
    /// one pass may serve both.
    ///
    /// # Errors
    /// As [`Self::search`], for the first question that fails.
    fn search_all_wider(
        &self,
        questions: &[QueryAst],
        wider: &Wider,
        options: &SearchOptions,
    ) -> Result<Vec<(Hits, u64)>, SearchError> {
        let found = self.search_all(questions, options)?.into_iter().enumerate();
        let count = |at| {
            let Some(question) = wider.of(at) else { return Ok(0) };
            let without = wider.without.iter().map(|without| without.clone().negated());
            let parts = std::iter::once(question.clone()).chain(without);
            self.count(&QueryAst::all_of(parts.collect()), options.range)
        };
        found.map(|(at, hits)| Ok((hits, count(at)?))).collect()
    }

    /// Returns how many events match.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn count(&self, question: &QueryAst, range: TimeRange) -> Result<u64, SearchError> {
        let options = SearchOptions { range, ..SearchOptions::default() };
        Ok(self.search(question, &options)?.total)
    }

    /// Returns an event with its bytes.
    ///
    /// # Errors
    /// When the store is damaged or the referenced source is gone.
    fn fetch(&self, id: EventId) -> Result<StoredEvent, SearchError>;

    /// Returns many events with their bytes, in the order of `ids`; faster than one by one.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    fn fetch_many(&self, ids: &[EventId]) -> Result<Vec<StoredEvent>, SearchError> {
        ids.iter().map(|id| self.fetch(*id)).collect()
    }

    /// Returns where each of `ids` stands, in the same order.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    fn places(&self, ids: &[EventId]) -> Result<Vec<Place>, SearchError> {
        Ok(self.fetch_many(ids)?.iter().map(|stored| stored.place).collect())
    }

    /// Returns the JSON text of the object or list that stands under a chain of keys in each of
    /// `ids`, in the same order; `None` where there is none.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    fn structures(
        &self,
        ids: &[EventId],
        keys: &[&str],
    ) -> Result<Vec<Option<Vec<u8>>>, SearchError> {
        let read = |stored: &StoredEvent| {
            let mut tape = Tape::default();
            parse_lenient(&stored.event, &mut tape).ok()?;
            structure_of(tape.root(&stored.event)?, keys)
        };
        Ok(self.fetch_many(ids)?.iter().map(read).collect())
    }

    /// Returns the values of `fields` for each of `ids`, in the same order.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    fn rows(&self, ids: &[EventId], fields: &[Field]) -> Result<Vec<Row>, SearchError>;

    /// Returns the same as [`Self::rows`], one [`Codes`] per field: for many events, of which the
    /// values matter more than the texts.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    fn codes(&self, ids: &[EventId], fields: &[Field]) -> Result<Vec<Codes>, SearchError> {
        let mut lists: Vec<Vec<Vec<String>>> = vec![Vec::with_capacity(ids.len()); fields.len()];
        for row in self.rows(ids, fields)? {
            for (lists, values) in lists.iter_mut().zip(row) {
                lists.push(values);
            }
        }
        Ok(lists.into_iter().map(Codes::of_lists).collect())
    }

    /// Returns for each of `wanted` the first event that matches, is caused by this peer and lies
    /// in this time.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn first_by_peer(
        &self,
        question: &QueryAst,
        wanted: &[WantedPeer],
    ) -> Result<Vec<Option<Hit>>, SearchError> {
        let first = |one: &WantedPeer| {
            let peer = QueryAst::equals(Field::Peer, &one.peer);
            let question = QueryAst::all_of(vec![peer, question.clone()]);
            let range = one.range;
            let options =
                SearchOptions { range, limit: 1, count_all: false, ..SearchOptions::default() };
            Ok(self.search(&question, &options)?.hits.into_iter().next())
        };
        wanted.par_iter().map(first).collect()
    }

    /// Answers [`Self::top`] of one field for many questions at once, in their order.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn top_all(
        &self,
        questions: &[QueryAst],
        range: TimeRange,
        field: &Field,
    ) -> Result<Vec<Vec<FacetRow>>, SearchError> {
        let fields = std::slice::from_ref(field);
        questions.iter().map(|question| self.top(question, range, fields, None, 1)).collect()
    }

    /// Answers [`Self::top`] of one field for each of many combinations of values of other fields,
    /// as questions compare them; `None` is for events without such a field.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn top_each(
        &self,
        question: &QueryAst,
        range: TimeRange,
        groups: &[Field],
        wanted: &[Vec<Option<String>>],
        field: &Field,
    ) -> Result<Vec<Vec<FacetRow>>, SearchError> {
        self.top_all(&questions_each(question, groups, wanted), range, field)
    }

    /// Counts the events whose auditID conflicts with that of another.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    fn conflicting(&self, ids: &[EventId]) -> Result<usize, SearchError> {
        let name = Flag::AuditIdConflict.name();
        let rows = self.rows(ids, &[Field::Flag])?;
        Ok(rows.iter().flatten().filter(|flags| flags.iter().any(|flag| flag == name)).count())
    }

    /// Returns the name (`path` or `path!member!member`) of a source.
    fn source_name(&self, source: SourceId) -> String;

    /// Returns the time of the newest event, which relative times count back from.
    fn newest(&self) -> Option<Timestamp>;

    /// Returns the parts this evidence is made of and their place in it, where it is; what can be
    /// gathered part by part need not be asked of the whole.
    fn parts(&self) -> Vec<Part<'_>> {
        Vec::new()
    }

    /// Returns what was derived from this evidence when it was indexed: one part's own only.
    ///
    /// # Errors
    /// When the index is damaged.
    fn derived(&self) -> Result<Option<Vec<u8>>, SearchError> {
        Ok(None)
    }

    /// Counts all events by the values of `fields` as [`Self::top`] does, in few bytes that only
    /// the same part can read ([`Self::merged_counts`]); `None` where it cannot.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn counts(&self, _fields: &[Field]) -> Result<Option<Vec<u8>>, SearchError> {
        Ok(None)
    }

    /// Adds up what [`Self::counts`] said of parts, each named by its [`Part::first`], in the order
    /// of [`Self::top`]; `None` where that cannot be read.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn merged_counts(
        &self,
        _fields: &[Field],
        _kept: &[(u64, Vec<u8>)],
    ) -> Result<Option<Vec<FacetRow>>, SearchError> {
        Ok(None)
    }

    /// Counts the matching events by hours, days or whatever `interval` microseconds are, aligned
    /// to 1970-01-01T00:00:00Z; only intervals with events are listed, ascending.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn histogram(
        &self,
        question: &QueryAst,
        range: TimeRange,
        interval: i64,
    ) -> Result<Vec<(Timestamp, u64)>, SearchError> {
        let options = SearchOptions { range, ..SearchOptions::default() };
        let mut buckets: BTreeMap<Timestamp, u64> = BTreeMap::new();
        for hit in self.search(question, &options)?.hits {
            if let Some(time) = hit.time {
                let start = time.0.div_euclid(interval.max(1)) * interval.max(1);
                *buckets.entry(Timestamp(start)).or_default() += 1;
            }
        }
        Ok(buckets.into_iter().collect())
    }

    /// Counts the matching events by the values of `fields` (every combination where a field has
    /// several values), most frequent first, equal counts by value; with `distinct`, counts the
    /// different values of that field instead.  Rows below `min` are left out.
    ///
    /// # Errors
    /// As [`Self::search`].
    fn top(
        &self,
        question: &QueryAst,
        range: TimeRange,
        fields: &[Field],
        distinct: Option<&Field>,
        min: u64,
    ) -> Result<Vec<FacetRow>, SearchError> {
        let options = SearchOptions { range, ..SearchOptions::default() };
        let hits = self.search(question, &options)?.hits;
        let mut asked: Vec<Field> = fields.to_vec();
        asked.extend(distinct.cloned());
        let ids: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
        let rows = self.rows(&ids, &asked)?;
        Ok(crate::search::facet::count(
            hits.iter().map(|hit| hit.time).zip(rows),
            fields.len(),
            distinct.is_some(),
            min,
        ))
    }
}
