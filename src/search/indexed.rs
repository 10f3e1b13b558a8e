//! Questions put to an index: packs are asked side by side, their hits put in order.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use crate::event::field::Field;
use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::index::error::IndexError;
use crate::index::memory::give_back_soon;
use crate::index::pack::place_list::Places;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::view::cached_bytes;
use crate::index::pack::wire::Damage;
use crate::index::reader::IndexReader;
use crate::query::ast::QueryAst;
use crate::search::bits::Bits;
use crate::search::codes::Codes;
use crate::search::conflict::AskedConflicts;
use crate::search::conflict::asks_conflicts;
use crate::search::error::SearchError;
use crate::search::evidence::Dated;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;
use crate::search::evidence::Hit;
use crate::search::evidence::Hits;
use crate::search::evidence::Part;
use crate::search::evidence::Row;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;
use crate::search::evidence::StoredEvent;
use crate::search::evidence::WantedPeer;
use crate::search::evidence::Wider;
use crate::search::evidence::questions_each;
use crate::search::first_by_peer::Wishes;
use crate::search::first_hits::Candidate;
use crate::search::first_hits::FirstHits;
use crate::search::first_hits::key;
use crate::search::pack_combinations::Combinations;
use crate::search::pack_combinations::Wanted;
use crate::search::pack_combinations::combinations;
use crate::search::pack_combinations::merge;
use crate::search::pack_counts::PackCounts;
use crate::search::pack_counts::Seed;
use crate::search::pack_counts::merge_counts;
use crate::search::pack_counts::read_counts;
use crate::search::pack_eval::BatchOfPack;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::event_id;
use crate::search::pack_eval::inside_of;
use crate::search::pack_eval::judge;
use crate::search::pack_eval::matching;
use crate::search::pack_eval::matching_among;
use crate::search::pack_eval::matching_shared;
use crate::search::pack_eval::split_id;
use crate::search::pack_evidence::OpenPack;
use crate::search::pack_evidence::PackEvidence;
use crate::search::pack_evidence::stored;
use crate::search::pack_parts::structures;
use crate::search::pack_top::NumberTop;
use crate::search::pack_top::Top;
use crate::search::pack_top::TopRow;
use crate::search::pack_top::by_numbers;
use crate::search::pack_top::merge_all;
use crate::search::pack_top::merge_numbers;
use crate::search::pack_top::top_of_pack;
use crate::search::pack_values::codes as pack_codes;
use crate::search::pack_values::values;
use crate::search::pattern_sets::PatternSets;
use crate::search::question::Question;
use crate::search::question::Sharing;
use crate::search::scan::NO_BODIES;
use crate::search::scan::asks_bodies;
use crate::search::scan::has_body;

/// Decoded columns are let go of when they take more memory than this.
const CACHE_BYTES: usize = 1 << 30;

/// An index that questions can be put to.
#[derive(Debug)]
pub struct Searcher {
    /// The index.
    pub index: IndexReader,
    /// Rank of each source by name: ties of time are broken by it.
    ranks: Vec<u32>,
    zone: Zone,
    /// Bytes of decoded columns above which a pack is let go of as soon as it was asked.
    cache: usize,
    newest: Option<Timestamp>,
    conflicts: AskedConflicts,
}

/// What a pack counted: in numbers, or, where columns alone do not tell, in texts.
enum Counted {
    Numbers(Combinations),
    Texts(Top),
}

/// The questions of a batch, made ready.
struct Batch {
    questions: Vec<Question>,
    sets: PatternSets,
    /// See [`Wider`].
    wider: Vec<Option<Question>>,
    without: Option<Question>,
}

/// What a pack says to one question of a batch.
#[derive(Default)]
struct OfPack {
    total: u64,
    wider: u64,
    /// Those of them in order that the limit can need.
    events: Vec<u32>,
}

/// What a pack says to all questions of a batch.
struct BatchAnswers {
    number: usize,
    answers: Vec<OfPack>,
    stand: Stand,
}

/// When and where the events of a pack stand that a batch found: four bytes for each time that one
/// is found are less than a [`Hit`].
enum Stand {
    /// Of each of them, ascending.
    Some(Vec<(u32, i64, Place)>),
    /// Of all events of the pack: no more than it keeps anyhow.
    All(Arc<Vec<i64>>, Arc<Places>),
}

impl BatchAnswers {
    fn hit(&self, event: u32) -> Option<Hit> {
        let (time, place) = match &self.stand {
            Stand::Some(some) => {
                let at = some.binary_search_by_key(&event, |(event, ..)| *event).ok()?;
                some.get(at).map(|(_, time, place)| (*time, *place))?
            }
            Stand::All(times, places) => (*times.get(event as usize)?, places.get(event as usize)?),
        };
        let time = (time != NO_TIME).then_some(Timestamp(time));
        Some(Hit { id: event_id(self.number as u32, event), time, place })
    }
}

impl From<IndexError> for SearchError {
    fn from(error: IndexError) -> SearchError {
        match error {
            IndexError::Damaged { file, offset, what } => {
                SearchError::Damaged(format!("{file} at byte {offset}: {what}"))
            }
            IndexError::LeftOut(why) => SearchError::SourceChanged(why),
            other => SearchError::Question(other.to_string()),
        }
    }
}

/// Opens the index in a directory for questions.
///
/// # Errors
/// When it is none, of another version, or damaged where that shows at once.
pub fn open(dir: &Path) -> Result<Searcher, IndexError> {
    Ok(Searcher::new(IndexReader::open(dir)?))
}

fn candidate_id(candidate: Candidate) -> EventId {
    event_id(candidate.pack, candidate.event)
}

impl Searcher {
    /// Puts questions to an open index.
    pub fn new(index: IndexReader) -> Searcher {
        let mut order: Vec<u32> = (0..index.sources.len() as u32).collect();
        order.sort_by(|a, b| index.sources.get(*a as usize).cmp(&index.sources.get(*b as usize)));
        let mut ranks = vec![0; order.len()];
        for (rank, source) in order.iter().enumerate() {
            if let Some(slot) = ranks.get_mut(*source as usize) {
                *slot = rank as u32;
            }
        }
        let newest = index.manifest.packs.iter().filter_map(|pack| pack.last).max();
        Searcher {
            index,
            ranks,
            zone: Zone::UTC,
            cache: CACHE_BYTES,
            newest: newest.map(Timestamp),
            conflicts: AskedConflicts::default(),
        }
    }

    /// Keeps at most about so many bytes of decoded columns: for one pass of many questions over
    /// everything, which gains little by them.
    #[must_use]
    pub fn with_cache(mut self, bytes: usize) -> Searcher {
        self.cache = bytes;
        self.index.sparing = bytes < CACHE_BYTES;
        if self.index.sparing {
            give_back_soon();
        }
        self
    }

    /// Lets go of a pack that was asked, when there is too much; those asked before stay, since
    /// whoever asks all packs again and again in one order would never find what was kept last.
    fn done(&self, number: usize) {
        let Ok(pack) = self.index.pack(number) else { return };
        pack.end_question();
        if self.cache < CACHE_BYTES {
            pack.forget_frames();
            if cached_bytes() > self.cache {
                pack.forget();
            }
        }
    }

    /// Lets go of the answers to conditions that packs keep, but not of decoded columns: so that
    /// asking the same again tells what asking costs.
    pub fn forget_answers(&self) {
        let packs = (0..self.index.n_packs()).filter_map(|number| self.index.pack(number).ok());
        packs.for_each(Pack::forget_kept);
    }

    /// Expects one question only: nothing that a pack was decoded into is kept, because touching
    /// new memory costs a short process more than decoding little of it a second time.
    #[must_use]
    pub fn for_one_question(mut self) -> Searcher {
        self.index.once = true;
        self
    }

    /// Sets the zone of `hour` and `weekday`.
    #[must_use]
    pub fn with_zone(mut self, zone: Zone) -> Searcher {
        self.zone = zone;
        self
    }

    fn question(&self, ast: &QueryAst, range: TimeRange) -> Result<Question, SearchError> {
        self.know_conflicts(std::slice::from_ref(ast), &[])?;
        Question::new(ast, range, self.zone).map_err(|e| SearchError::Question(e.to_string()))
    }

    /// Finds the auditIDs that conflict where questions or fields depend on them.
    fn know_conflicts(&self, asked: &[QueryAst], fields: &[Field]) -> Result<(), SearchError> {
        let asks = fields.contains(&Field::Flag)
            || asked.iter().any(|question| asks_conflicts(question, self.zone));
        if asks { self.conflicts.all(&self.index, self).map(drop) } else { Ok(()) }
    }

    fn damaged(&self, pack: usize, damage: &Damage) -> SearchError {
        self.index.damaged(pack, damage).into()
    }

    fn pack(&self, number: usize) -> Result<PackScope<'_>, SearchError> {
        let row = self.index.manifest.packs.get(number);
        let span = row.filter(|row| !row.untimed).and_then(|row| row.first.zip(row.last));
        Ok(PackScope {
            pack: self.index.pack(number)?,
            sources: &self.index.sources,
            span,
            number: number as u32,
            conflicts: self.conflicts.known(),
        })
    }

    /// Packs that can hold an event of a range, by number.
    fn packs_of(&self, range: TimeRange) -> Vec<usize> {
        let packs = self.index.manifest.packs.iter().enumerate();
        packs
            .filter(|(_, row)| match row.first.zip(row.last) {
                Some((first, last)) => {
                    range.overlaps(Timestamp(first), Timestamp(last))
                        || (row.untimed && range == TimeRange::ALL)
                }
                None => range == TimeRange::ALL,
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// Lets go of decoded columns when they take too much memory, first of those packs that are
    /// not asked now.
    fn trim(&self, asked: &[usize]) {
        if cached_bytes() <= CACHE_BYTES {
            return;
        }
        let forget = |number: usize| {
            if let Ok(pack) = self.index.pack(number) {
                pack.forget();
            }
        };
        let asked: HashSet<usize> = asked.iter().copied().collect();
        (0..self.index.n_packs()).filter(|number| !asked.contains(number)).for_each(forget);
        if cached_bytes() > CACHE_BYTES {
            asked.into_iter().for_each(forget);
        }
    }

    /// Asks some packs side by side; answers in the order of `packs`.
    fn ask<T: Send>(
        &self,
        packs: &[usize],
        question: &Question,
        answer: impl Fn(usize, PackScope<'_>, Bits) -> Result<T, Damage> + Sync,
    ) -> Result<Vec<T>, SearchError> {
        self.trim(packs);
        packs
            .par_iter()
            .map(|number| {
                self.ask_one(*number, question, |scope, bits| answer(*number, scope, bits))
            })
            .collect()
    }

    fn ask_one<T>(
        &self,
        number: usize,
        question: &Question,
        answer: impl FnOnce(PackScope<'_>, Bits) -> Result<T, Damage>,
    ) -> Result<T, SearchError> {
        let scope = self.pack(number)?;
        let answer = matching(scope, question)
            .and_then(|bits| answer(scope, bits))
            .map_err(|damage| self.damaged(number, &damage));
        self.done(number);
        answer
    }

    /// Finds the candidates in the order of time, as many as the limit can need.
    fn candidates(
        &self,
        question: &Question,
        options: &SearchOptions,
    ) -> Result<(Vec<Candidate>, u64), SearchError> {
        let mut packs = self.packs_of(options.range);
        let bound = |number: &usize| {
            let row = self.index.manifest.packs.get(*number);
            match options.order {
                SortOrder::Oldest if row.is_some_and(|row| row.untimed) => i64::MIN,
                SortOrder::Oldest => row.and_then(|row| row.first).unwrap_or(i64::MIN),
                // Newest first: what ends last comes first.
                SortOrder::Newest => -row.and_then(|row| row.last).unwrap_or(i64::MAX),
            }
        };
        packs.sort_by_key(|number| (bound(number), *number));
        if options.count_all || options.limit == 0 {
            let answers = self
                .ask(&packs, question, |number, scope, bits| candidates_of(number, scope, &bits))?;
            let total = answers.iter().map(|own| own.len() as u64).sum();
            return Ok((answers.concat(), total));
        }
        let bounds = packs.iter().map(bound).collect();
        let first = Mutex::new(FirstHits::new(options.order, options.limit, bounds));
        let lock = || first.lock().unwrap_or_else(PoisonError::into_inner);
        let (threads, next) = (rayon::current_num_threads(), AtomicUsize::new(0));
        let work = || {
            while !lock().is_enough() {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(number) = packs.get(at) else { break };
                self.trim(packs.get(at..(at + threads).min(packs.len())).unwrap_or_default());
                let answer = self
                    .ask_one(*number, question, |scope, bits| candidates_of(*number, scope, &bits));
                lock().put(at, answer);
            }
        };
        rayon::scope(|scope| (0..threads).for_each(|_| scope.spawn(|_| work())));
        first.into_inner().unwrap_or_else(PoisonError::into_inner).into_found()
    }

    /// What hits are put in order by.
    fn order_of(&self, hit: &Hit) -> (Option<Timestamp>, Option<u32>, u64, u32, EventId) {
        let rank = self.ranks.get(hit.place.source.0 as usize).copied();
        (hit.time, rank, hit.place.offset, hit.place.item, hit.id)
    }

    /// Returns how many events of a pack match, and those of them in order that the limit can need.
    fn hits_of(
        &self,
        number: usize,
        scope: PackScope<'_>,
        bits: &Bits,
        options: &SearchOptions,
    ) -> Result<(u64, Vec<Hit>), Damage> {
        if bits.is_empty() {
            return Ok((0, Vec::new()));
        }
        let (times, places) = (scope.pack.times()?, scope.pack.places()?);
        let hit = |event: usize| {
            let time = times.get(event).copied().filter(|time| *time != NO_TIME);
            let place = places.get(event)?;
            Some(Hit {
                id: event_id(number as u32, event as u32),
                time: time.map(Timestamp),
                place,
            })
        };
        let mut hits: Vec<Hit> = Vec::with_capacity(bits.count() as usize);
        hits.extend(bits.iter().filter_map(hit));
        let total = hits.len() as u64;
        hits.sort_by_key(|hit| self.order_of(hit));
        if options.limit > 0 && options.limit < hits.len() {
            if options.order == SortOrder::Newest {
                hits.drain(..hits.len() - options.limit);
            }
            hits.truncate(options.limit);
            hits.shrink_to_fit();
        }
        Ok((total, hits))
    }

    /// Asks one pack all questions of a batch.
    fn batch_of_pack(
        &self,
        number: usize,
        batch: &Batch,
        options: &SearchOptions,
    ) -> Result<BatchAnswers, SearchError> {
        let scope = self.pack(number)?;
        let ask = || -> Result<BatchAnswers, Damage> {
            let mut shared = BatchOfPack::new(&batch.sets);
            let inside = inside_of(scope, options.range)?;
            let mut without: Option<Bits> = None;
            let mut answers = Vec::with_capacity(batch.questions.len());
            for (question, wider) in batch.questions.iter().zip(&batch.wider) {
                let mut answer = OfPack::default();
                let mut among = None;
                if let Some(wider) = wider {
                    // The question implies it, so it is asked about no others.
                    let mut bits = matching_among(scope, wider, &inside, &mut shared)?;
                    among = Some(bits.clone());
                    if let (Some(question), false) = (&batch.without, bits.is_empty()) {
                        if without.is_none() {
                            without = Some(matching_among(scope, question, &inside, &mut shared)?);
                        }
                        without.iter().for_each(|without| bits.and_not(without));
                    }
                    answer.wider = bits.count();
                }
                let among = among.as_ref().unwrap_or(&inside);
                let bits = matching_among(scope, question, among, &mut shared)?;
                let hits;
                (answer.total, hits) = self.hits_of(number, scope, &bits, options)?;
                answer.events = hits.iter().map(|hit| split_id(hit.id).1).collect();
                answers.push(answer);
            }
            let stand = stand_of(scope.pack, &answers)?;
            Ok(BatchAnswers { number, answers, stand })
        };
        ask().map_err(|damage| self.damaged(number, &damage))
    }

    /// Puts candidates in their final order and cuts them at the limit.
    fn order(
        &self,
        found: Vec<Candidate>,
        options: &SearchOptions,
    ) -> Result<Vec<Hit>, SearchError> {
        let hit = |(candidate, place): (Candidate, Option<Place>)| {
            let nowhere = Damage { offset: 0, what: "an event without a place" };
            let place = place.ok_or_else(|| self.damaged(candidate.pack as usize, &nowhere))?;
            Ok(Hit { id: candidate_id(candidate), time: candidate.time(), place })
        };
        self.ordered(found, options, true)?.into_iter().map(hit).collect()
    }

    /// The same; places are read of all that can be needed, or only of those whose place in the
    /// order depends on it.
    fn ordered(
        &self,
        mut found: Vec<Candidate>,
        options: &SearchOptions,
        all_placed: bool,
    ) -> Result<Vec<(Candidate, Option<Place>)>, SearchError> {
        let newest = options.order == SortOrder::Newest;
        let limit = if options.limit == 0 { found.len() } else { options.limit.min(found.len()) };
        if limit == 0 {
            return Ok(Vec::new());
        }
        // Only what lies at or before the limit in time needs a place.
        let key = |candidate: &Candidate| key(options.order, candidate.time);
        if limit < found.len() {
            let (_, nth, _) = found.select_nth_unstable_by_key(limit - 1, key);
            let last = key(nth);
            found.retain(|candidate| key(candidate) <= last);
        }
        let mut alone: Vec<Candidate> = Vec::new();
        if !all_placed {
            found.sort_unstable();
            let at_once = found.chunk_by(|a, b| a.time == b.time);
            let (one, several): (Vec<_>, Vec<_>) = at_once.partition(|own| own.len() == 1);
            (alone, found) = (one.concat(), several.concat());
        }
        let mut hits = self.placed(found)?;
        hits.extend(alone.into_iter().map(|candidate| (candidate, None)));
        let rank = |place: &Place| self.ranks.get(place.source.0 as usize).copied();
        hits.sort_unstable_by_key(|(c, place)| {
            let place = place.map(|place| (rank(&place), place.offset, place.item));
            (c.time, place, c.pack, c.event)
        });
        if newest {
            hits.reverse();
        }
        hits.truncate(limit);
        Ok(hits)
    }

    /// Reads where candidates stand.
    fn placed(
        &self,
        mut found: Vec<Candidate>,
    ) -> Result<Vec<(Candidate, Option<Place>)>, SearchError> {
        found.sort_unstable_by_key(|candidate| (candidate.pack, candidate.event));
        let placed: Vec<Vec<(Candidate, Option<Place>)>> = found
            .par_chunk_by(|a, b| a.pack == b.pack)
            .map(|own| {
                let number = own.first().map_or(0, |candidate| candidate.pack as usize);
                let events: Vec<u32> = own.iter().map(|candidate| candidate.event).collect();
                let places = self.pack(number)?.pack.places_of(&events);
                let places = places.map_err(|damage| self.damaged(number, &damage))?;
                Ok(own.iter().copied().zip(places.into_iter().map(Some)).collect())
            })
            .collect::<Result<_, SearchError>>()?;
        Ok(placed.concat())
    }

    /// Groups ids by pack: for each the ascending events and where each stands in `ids`.
    fn by_pack(ids: &[EventId]) -> Vec<(u32, Vec<(u32, usize)>)> {
        let ascending = ids.windows(2).all(|two| matches!(two, [a, b] if a <= b));
        let mut sorted: Vec<(EventId, usize)> = ids.iter().copied().zip(0..).collect();
        if !ascending {
            sorted.sort_unstable();
        }
        sorted
            .chunk_by(|(a, _), (b, _)| split_id(*a).0 == split_id(*b).0)
            .map(|own| {
                let pack = own.first().map_or(0, |(id, _)| split_id(*id).0);
                (pack, own.iter().map(|(id, at)| (split_id(*id).1, *at)).collect())
            })
            .collect()
    }

    /// Returns what `read` says about each of `ids`, packs side by side, in the order of `ids`.
    fn for_each_pack<T: Send>(
        &self,
        ids: &[EventId],
        read: impl Fn(PackScope<'_>, &[u32]) -> Result<Vec<T>, Damage> + Sync,
    ) -> Result<Vec<T>, SearchError> {
        let groups: Vec<(u32, Vec<(u32, usize)>)> = Searcher::by_pack(ids);
        let answers: Vec<Vec<(usize, T)>> = groups
            .par_iter()
            .map(|(pack, events)| {
                let number = *pack as usize;
                let scope = self.pack(number)?;
                let numbers: Vec<u32> = events.iter().map(|(event, _)| *event).collect();
                let values =
                    read(scope, &numbers).map_err(|damage| self.damaged(number, &damage))?;
                self.done(number);
                Ok(events.iter().map(|(_, at)| *at).zip(values).collect())
            })
            .collect::<Result<_, SearchError>>()?;
        let mut out: Vec<(usize, T)> = answers.into_iter().flatten().collect();
        out.sort_by_key(|(at, _)| *at);
        Ok(out.into_iter().map(|(_, value)| value).collect())
    }

    /// Returns every joined path that some event has.
    ///
    /// # Errors
    /// On damage.
    pub fn paths(&self) -> Result<Vec<String>, SearchError> {
        let mut all: Vec<String> = Vec::new();
        for number in 0..self.index.n_packs() {
            let pack = self.index.pack(number)?;
            let own = crate::search::pack_eval::paths(pack)
                .map_err(|damage| self.damaged(number, &damage))?;
            all.extend(own);
            all.sort_unstable();
            all.dedup();
        }
        Ok(all)
    }

    /// Returns all further places at which an event was found.
    ///
    /// # Errors
    /// On damage.
    pub fn further_places(&self, id: EventId) -> Result<Vec<Place>, SearchError> {
        let (pack, event) = split_id(id);
        Ok(self.index.further_places(pack, event)?)
    }

    /// Says whether any event has a body.
    fn has_bodies(&self) -> Result<bool, SearchError> {
        for number in 0..self.index.n_packs() {
            let pack = self.index.pack(number)?;
            if pack.has_section(crate::index::pack::section::SectionId(8))
                || pack.has_section(crate::index::pack::section::SectionId(9))
            {
                return Ok(true);
            }
            let scope = self.pack(number)?;
            let whole = pack.whole().map_err(|damage| self.damaged(number, &damage))?;
            for (event, texts) in whole.iter() {
                let found = judge(scope, *event as usize, texts, has_body)
                    .map_err(|damage| self.damaged(number, &damage))?;
                if found {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn notes(&self, question: &QueryAst) -> Result<Vec<String>, SearchError> {
        if asks_bodies(question) && !self.has_bodies()? {
            return Ok(vec![NO_BODIES.to_owned()]);
        }
        Ok(Vec::new())
    }
}

/// Returns the matching events of a pack with their times.
fn candidates_of(
    number: usize,
    scope: PackScope<'_>,
    bits: &Bits,
) -> Result<Vec<Candidate>, Damage> {
    if bits.is_empty() {
        return Ok(Vec::new());
    }
    let events: Vec<usize> = bits.iter().collect();
    let candidate = |(event, time): (&usize, i64)| Candidate {
        time,
        pack: number as u32,
        event: *event as u32,
    };
    if scope.pack.are_few(events.len()) {
        let times = scope.pack.few_times(&events)?;
        return Ok(events.iter().zip(times).map(candidate).collect());
    }
    let times = scope.pack.times()?;
    let time = |event: &usize| times.get(*event).copied().unwrap_or(NO_TIME);
    Ok(events.iter().map(|event| candidate((event, time(event)))).collect())
}

impl OpenPack for Searcher {
    fn scope(&self, number: usize) -> Result<PackScope<'_>, SearchError> {
        self.pack(number)
    }

    fn wrong(&self, number: usize, damage: &Damage) -> SearchError {
        self.damaged(number, damage)
    }
}

impl Evidence for Searcher {
    fn search(&self, question: &QueryAst, options: &SearchOptions) -> Result<Hits, SearchError> {
        let ready = self.question(question, options.range)?;
        let (found, total) = self.candidates(&ready, options)?;
        let hits = self.order(found, options)?;
        Ok(Hits { hits, total, notes: self.notes(question)? })
    }

    fn find(
        &self,
        question: &QueryAst,
        options: &SearchOptions,
    ) -> Result<Hits<Dated>, SearchError> {
        let ready = self.question(question, options.range)?;
        let (found, total) = self.candidates(&ready, options)?;
        let ordered = self.ordered(found, options, false)?.into_iter();
        let dated = |(candidate, _): (Candidate, Option<Place>)| Dated {
            id: candidate_id(candidate),
            time: candidate.time(),
        };
        Ok(Hits { hits: ordered.map(dated).collect(), total, notes: self.notes(question)? })
    }

    fn places(&self, ids: &[EventId]) -> Result<Vec<Place>, SearchError> {
        self.for_each_pack(ids, |scope, events| scope.pack.places_of(events))
    }

    fn search_all(
        &self,
        questions: &[QueryAst],
        options: &SearchOptions,
    ) -> Result<Vec<Hits>, SearchError> {
        let found = self.search_all_wider(questions, &Wider::default(), options)?;
        Ok(found.into_iter().map(|(hits, _)| hits).collect())
    }

    fn search_all_wider(
        &self,
        questions: &[QueryAst],
        wider: &Wider,
        options: &SearchOptions,
    ) -> Result<Vec<(Hits, u64)>, SearchError> {
        let packs = self.packs_of(options.range);
        self.trim(&packs);
        let beside = wider.questions.iter().flatten().chain(&wider.without);
        let all: Vec<QueryAst> = questions.iter().chain(beside).cloned().collect();
        self.know_conflicts(&all, &[])?;
        let mut sharing = Sharing::default();
        let mut ready = |ast: &QueryAst| {
            Question::of_batch(ast, options.range, self.zone, &mut sharing)
                .map_err(|error| SearchError::Question(error.to_string()))
        };
        let own: Vec<Question> = questions.iter().map(&mut ready).collect::<Result<_, _>>()?;
        let batch = Batch {
            sets: PatternSets::of(&own),
            questions: own,
            wider: (0..questions.len())
                .map(|at| wider.of(at).map(&mut ready).transpose())
                .collect::<Result<_, _>>()?,
            without: wider.without.as_ref().map(&mut ready).transpose()?,
        };
        // Every pack is asked everything while its columns are at hand.
        let answers: Vec<BatchAnswers> = packs
            .par_iter()
            .map(|number| {
                let answers = self.batch_of_pack(*number, &batch, options);
                self.done(*number);
                answers
            })
            .collect::<Result<_, SearchError>>()?;
        questions
            .par_iter()
            .enumerate()
            .map(|(at, question)| {
                let own = || answers.iter().filter_map(|pack| Some((pack, pack.answers.get(at)?)));
                let total = own().map(|(_, own)| own.total).sum();
                let wider = own().map(|(_, own)| own.wider).sum();
                let mut hits = Vec::with_capacity(own().map(|(_, own)| own.events.len()).sum());
                hits.extend(own().flat_map(|(pack, own)| {
                    own.events.iter().filter_map(|event| pack.hit(*event))
                }));
                // Runs that are in order each: the sort takes them as they are.
                hits.sort_by_key(|hit| self.order_of(hit));
                if options.order == SortOrder::Newest {
                    hits.reverse();
                }
                if options.limit > 0 {
                    hits.truncate(options.limit);
                }
                Ok((Hits { hits, total, notes: self.notes(question)? }, wider))
            })
            .collect()
    }

    fn count(&self, question: &QueryAst, range: TimeRange) -> Result<u64, SearchError> {
        let ready = self.question(question, range)?;
        let packs = self.packs_of(range);
        Ok(self.ask(&packs, &ready, |_, _, bits| Ok(bits.count()))?.into_iter().sum())
    }

    fn fetch(&self, id: EventId) -> Result<StoredEvent, SearchError> {
        let mut events = self.fetch_many(&[id])?;
        events.pop().ok_or_else(|| SearchError::Question("there is no such event".to_owned()))
    }

    fn fetch_many(&self, ids: &[EventId]) -> Result<Vec<StoredEvent>, SearchError> {
        self.for_each_pack(ids, stored)
    }

    fn structures(
        &self,
        ids: &[EventId],
        keys: &[&str],
    ) -> Result<Vec<Option<Vec<u8>>>, SearchError> {
        self.for_each_pack(ids, |scope, events| structures(scope, events, keys))
    }

    fn conflicting(&self, ids: &[EventId]) -> Result<usize, SearchError> {
        let some = self.conflicts.among(&self.index, self, ids)?;
        let all = some.as_ref().or(self.conflicts.known());
        Ok(ids.iter().filter(|id| all.is_some_and(|all| all.contains(id))).count())
    }

    fn rows(&self, ids: &[EventId], fields: &[Field]) -> Result<Vec<Row>, SearchError> {
        self.trim(&ids.iter().map(|id| split_id(*id).0 as usize).collect::<Vec<_>>());
        let some = if fields.contains(&Field::Flag) {
            self.conflicts.among(&self.index, self, ids)?
        } else {
            None
        };
        self.for_each_pack(ids, |scope, events| {
            let scope = PackScope { conflicts: some.as_ref().or(scope.conflicts), ..scope };
            let numbers: Vec<usize> = events.iter().map(|event| *event as usize).collect();
            let mut rows: Vec<Row> = vec![Vec::with_capacity(fields.len()); numbers.len()];
            for field in fields {
                let lists = values(scope, &numbers, field, self.zone)?;
                for (row, list) in rows.iter_mut().zip(lists) {
                    row.push(list);
                }
            }
            Ok(rows)
        })
    }

    fn codes(&self, ids: &[EventId], fields: &[Field]) -> Result<Vec<Codes>, SearchError> {
        let groups: Vec<(u32, Vec<(u32, usize)>)> = Searcher::by_pack(ids);
        self.trim(&groups.iter().map(|(pack, _)| *pack as usize).collect::<Vec<usize>>());
        let some = if fields.contains(&Field::Flag) {
            self.conflicts.among(&self.index, self, ids)?
        } else {
            None
        };
        let answers: Vec<Vec<Codes>> = groups
            .par_iter()
            .map(|(pack, events)| {
                let number = *pack as usize;
                let scope = self.pack(number)?;
                let scope = PackScope { conflicts: some.as_ref().or(scope.conflicts), ..scope };
                let events: Vec<usize> = events.iter().map(|(event, _)| *event as usize).collect();
                let of_field = |field| pack_codes(scope, &events, field, self.zone);
                let found: Result<Vec<Codes>, Damage> = if groups.len() == 1 {
                    fields.par_iter().map(of_field).collect()
                } else {
                    fields.iter().map(of_field).collect()
                };
                self.done(number);
                found.map_err(|damage| self.damaged(number, &damage))
            })
            .collect::<Result<_, SearchError>>()?;
        let whole = |field: usize| {
            let mut all = Codes::none(ids.len());
            for ((_, events), found) in groups.iter().zip(&answers) {
                if let Some(own) = found.get(field) {
                    all.scatter(own, events.iter().map(|(_, at)| *at));
                }
            }
            all
        };
        Ok((0..fields.len()).into_par_iter().map(whole).collect())
    }

    fn first_by_peer(
        &self,
        question: &QueryAst,
        wanted: &[WantedPeer],
    ) -> Result<Vec<Option<Hit>>, SearchError> {
        let mut first: Vec<Vec<Candidate>> = vec![Vec::new(); wanted.len()];
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let wishes = Wishes::new(wanted);
        // Every wish has a time of its own; what is asked beside it is kept with the packs.
        let ready = self.question(question, TimeRange::ALL)?;
        let answers = self.ask(&self.packs_of(wishes.span()), &ready, |number, scope, bits| {
            Ok((number as u32, wishes.of_pack(scope, &bits, self.zone)?))
        })?;
        for (pack, found) in answers {
            for (known, own) in first.iter_mut().zip(found) {
                let Some((time, events)) = own else { continue };
                if known.first().is_some_and(|known| known.time > time) {
                    known.clear();
                }
                if known.first().is_none_or(|known| known.time == time) {
                    known.extend(events.iter().map(|event| Candidate {
                        time,
                        pack,
                        event: *event as u32,
                    }));
                }
            }
        }
        let options = SearchOptions { limit: 1, ..SearchOptions::default() };
        let one = |found| Ok(self.order(found, &options)?.into_iter().next());
        first.into_iter().map(one).collect()
    }

    fn top_all(
        &self,
        questions: &[QueryAst],
        range: TimeRange,
        field: &Field,
    ) -> Result<Vec<Vec<FacetRow>>, SearchError> {
        let fields = std::slice::from_ref(field);
        self.know_conflicts(questions, fields)?;
        let packs = self.packs_of(range);
        self.trim(&packs);
        let mut sharing = Sharing::default();
        let ready: Vec<Question> = questions
            .iter()
            .map(|ast| Question::of_batch(ast, range, self.zone, &mut sharing))
            .collect::<Result<_, _>>()
            .map_err(|error| SearchError::Question(error.to_string()))?;
        let sets = PatternSets::of(&ready);
        let tops: Vec<Option<Vec<NumberTop>>> = packs
            .par_iter()
            .map(|number| {
                let scope = self.pack(*number)?;
                let mut shared = BatchOfPack::new(&sets);
                let count = |question: &Question| {
                    by_numbers(scope, &matching_shared(scope, question, &mut shared)?, field)
                };
                ready
                    .iter()
                    .map(count)
                    .collect::<Result<_, _>>()
                    .map_err(|damage| self.damaged(*number, &damage))
            })
            .collect::<Result<_, SearchError>>()?;
        let merged = tops
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .and_then(|tops| merge_all(&tops, questions.len()));
        match merged {
            Some(merged) => Ok(merged),
            None => questions
                .iter()
                .map(|question| self.top(question, range, fields, None, 1))
                .collect(),
        }
    }

    fn top_each(
        &self,
        question: &QueryAst,
        range: TimeRange,
        groups: &[Field],
        wanted: &[Vec<Option<String>>],
        field: &Field,
    ) -> Result<Vec<Vec<FacetRow>>, SearchError> {
        let questions = || questions_each(question, groups, wanted);
        let Some(ready_groups) = Wanted::new(groups, wanted) else {
            return self.top_all(&questions(), range, field);
        };
        self.know_conflicts(std::slice::from_ref(question), std::slice::from_ref(field))?;
        let ready = self.question(question, range)?;
        let counted = self.ask(&self.packs_of(range), &ready, |_, scope, bits| {
            ready_groups.count(scope, &bits, field)
        })?;
        match counted.into_iter().collect::<Option<Vec<_>>>() {
            Some(counted) => Ok(ready_groups.apart(&merge(&counted, 2))),
            None => self.top_all(&questions(), range, field),
        }
    }

    fn source_name(&self, source: SourceId) -> String {
        self.index.sources.get(source.0 as usize).cloned().unwrap_or_default()
    }

    fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    fn merged_counts(
        &self,
        fields: &[Field],
        kept: &[(u64, Vec<u8>)],
    ) -> Result<Option<Vec<FacetRow>>, SearchError> {
        let seed = Seed::default();
        let packs: Option<Vec<PackCounts>> = kept
            .par_iter()
            .map(|(first, bytes)| {
                let number = split_id(EventId(*first)).0 as usize;
                read_counts(self.pack(number)?.pack, fields, bytes, seed)
                    .map_err(|damage| self.damaged(number, &damage))
            })
            .collect::<Result<_, SearchError>>()?;
        Ok(packs.map(|packs| merge_counts(&packs)))
    }

    fn parts(&self) -> Vec<Part<'_>> {
        (0..self.index.n_packs())
            .map(|number| Part {
                first: event_id(number as u32, 0).0,
                evidence: Box::new(PackEvidence::of_index(self, number)),
            })
            .collect()
    }

    fn histogram(
        &self,
        question: &QueryAst,
        range: TimeRange,
        interval: i64,
    ) -> Result<Vec<(Timestamp, u64)>, SearchError> {
        let interval = interval.max(1);
        let ready = self.question(question, range)?;
        let answers = self.ask(&self.packs_of(range), &ready, |_, scope, bits| {
            histogram_of(scope.pack, &bits, interval)
        })?;
        let mut buckets: BTreeMap<Timestamp, u64> = BTreeMap::new();
        for (start, count) in answers.into_iter().flatten() {
            *buckets.entry(Timestamp(start)).or_default() += count;
        }
        Ok(buckets.into_iter().collect())
    }

    fn top(
        &self,
        question: &QueryAst,
        range: TimeRange,
        fields: &[Field],
        distinct: Option<&Field>,
        min: u64,
    ) -> Result<Vec<FacetRow>, SearchError> {
        let mut named: Vec<Field> = fields.to_vec();
        named.extend(distinct.cloned());
        self.know_conflicts(&[], &named)?;
        let ready = self.question(question, range)?;
        if let ([field], None) = (fields, distinct) {
            let answers = self.ask(&self.packs_of(range), &ready, |_, scope, bits| {
                by_numbers(scope, &bits, field)
            })?;
            let answers: Option<Vec<NumberTop>> = answers.into_iter().collect();
            if let Some(mut rows) = answers.and_then(merge_numbers) {
                rows.retain(|row| row.count >= min);
                rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
                return Ok(rows);
            }
        }
        let answers = self.ask(&self.packs_of(range), &ready, |_, scope, bits| {
            let numbers = match distinct {
                None => combinations(scope, &bits, fields)?,
                Some(_) => None,
            };
            Ok(match numbers {
                Some(counted) => Counted::Numbers(counted),
                None => Counted::Texts(top_of_pack(scope, &bits, fields, distinct, self.zone)?),
            })
        })?;
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        for answer in answers {
            match answer {
                Counted::Numbers(counted) => numbers.push(counted),
                Counted::Texts(top) => texts.push(top),
            }
        }
        let merged = merge(&numbers, fields.len());
        if texts.is_empty() && distinct.is_none() {
            return Ok(merged.facets(min));
        }
        let mut all: Top = Top::new();
        for row in merged.facets(0) {
            let count = TopRow::of(row.count, row.first.map(|t| t.0), row.last.map(|t| t.0));
            all.entry(row.values).or_default().add(count);
        }
        for (values, row) in texts.into_iter().flatten() {
            all.entry(values).or_default().add(row);
        }
        let mut rows: Vec<FacetRow> = all
            .into_iter()
            .map(|(values, row)| row.into_facet(values, distinct.is_some()))
            .filter(|row| row.count >= min)
            .collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
        Ok(rows)
    }
}

/// Keeps when and where the events stand that any answer names.
fn stand_of(pack: &Pack, answers: &[OfPack]) -> Result<Stand, Damage> {
    let mut events: Vec<u32> = answers.iter().flat_map(|own| &own.events).copied().collect();
    if events.is_empty() {
        return Ok(Stand::Some(Vec::new()));
    }
    events.sort_unstable();
    events.dedup();
    let (times, places) = (pack.times()?, pack.places()?);
    // An entry takes about three times what a pack keeps of an event.
    if events.len() * 3 > pack.len() {
        return Ok(Stand::All(times, places));
    }
    let one = |event: u32| {
        let at = event as usize;
        Some((event, *times.get(at)?, places.get(at)?))
    };
    Ok(Stand::Some(events.into_iter().filter_map(one).collect()))
}

fn histogram_of(pack: &Pack, bits: &Bits, interval: i64) -> Result<Vec<(i64, u64)>, Damage> {
    let times = pack.times()?;
    let mut buckets: HashMap<i64, u64> = HashMap::new();
    // Neighbours in a log lie in the same interval nearly always.
    let (mut start, mut end, mut count) = (0_i64, 0_i64, 0_u64);
    for event in bits.iter() {
        let time = times.get(event).copied().unwrap_or(NO_TIME);
        if time == NO_TIME {
            continue;
        }
        if !(start..end).contains(&time) {
            if count > 0 {
                *buckets.entry(start).or_default() += count;
            }
            start = time.div_euclid(interval) * interval;
            end = start.saturating_add(interval);
            count = 0;
        }
        count += 1;
    }
    if count > 0 {
        *buckets.entry(start).or_default() += count;
    }
    Ok(buckets.into_iter().collect())
}
