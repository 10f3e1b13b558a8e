//! Top values of one pack, counted by the numbers of a column where one field is asked.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::event::field::Field;
use crate::event::field::Reading;
use crate::event::json::decode;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::index::pack::column::Dict;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::wire::Damage;
use crate::search::bits::Bits;
use crate::search::evidence::FacetRow;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::sections_of;
use crate::search::pack_values::values;

/// What is counted for one combination of values.
#[derive(Clone, Debug, Default)]
pub struct TopRow {
    events: u64,
    distinct: BTreeSet<String>,
    first: Option<i64>,
    last: Option<i64>,
}

impl TopRow {
    fn count(&mut self, time: i64) {
        self.events += 1;
        if time != NO_TIME {
            self.first = Some(self.first.map_or(time, |first| first.min(time)));
            self.last = Some(self.last.map_or(time, |last| last.max(time)));
        }
    }

    /// So many events between two times.
    pub fn of(events: u64, first: Option<i64>, last: Option<i64>) -> TopRow {
        TopRow { events, distinct: BTreeSet::new(), first, last }
    }

    /// Adds another pack's count.
    pub fn add(&mut self, other: TopRow) {
        self.events += other.events;
        self.distinct.extend(other.distinct);
        self.first = self.first.into_iter().chain(other.first).min();
        self.last = self.last.into_iter().chain(other.last).max();
    }

    /// Returns the row of the answer.
    pub fn into_facet(self, values: Vec<Option<String>>, distinct: bool) -> FacetRow {
        FacetRow {
            values,
            count: if distinct { self.distinct.len() as u64 } else { self.events },
            first: self.first.map(Timestamp),
            last: self.last.map(Timestamp),
        }
    }
}

/// Counts of one pack by combination of values.
pub type Top = hashbrown::HashMap<Vec<Option<String>>, TopRow>;

/// Counts the matching events of a pack.
///
/// # Errors
/// On damage.
pub fn top_of_pack(
    scope: PackScope<'_>,
    bits: &Bits,
    fields: &[Field],
    distinct: Option<&Field>,
    zone: Zone,
) -> Result<Top, Damage> {
    if bits.is_empty() {
        return Ok(Top::new());
    }
    let events: Vec<usize> = bits.iter().collect();
    let mut asked: Vec<&Field> = fields.iter().collect();
    asked.extend(distinct);
    let lists = asked
        .iter()
        .map(|field| values(scope, &events, field, zone))
        .collect::<Result<Vec<_>, _>>()?;
    let times = scope.pack.times()?;
    // Values become numbers first: counting an event then compares numbers and allocates nothing.
    let mut numbers: Vec<Numbers<'_>> = fields.iter().map(|_| Numbers::default()).collect();
    let mut counts: HashMap<Vec<u32>, TopRow> = HashMap::new();
    let mut keys: Vec<Vec<u32>> = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let list = |field: usize| {
            lists.get(field).and_then(|l| l.get(at)).map(Vec::as_slice).unwrap_or_default()
        };
        keys.truncate(1);
        match keys.first_mut() {
            Some(key) => key.clear(),
            None => keys.push(Vec::with_capacity(fields.len())),
        }
        for (field, known) in numbers.iter_mut().enumerate() {
            known.extend(&mut keys, list(field));
        }
        let time = times.get(*event).copied().unwrap_or(NO_TIME);
        for key in &keys {
            let row = match counts.get_mut(key.as_slice()) {
                Some(row) => row,
                None => counts.entry(key.clone()).or_default(),
            };
            row.count(time);
            if distinct.is_some() {
                row.distinct.extend(list(fields.len()).iter().cloned());
            }
        }
    }
    let text = |(known, number): (&Numbers<'_>, u32)| known.text(number).map(str::to_owned);
    Ok(counts
        .into_iter()
        .map(|(key, row)| (numbers.iter().zip(key).map(text).collect(), row))
        .collect())
}

/// The values of one field, numbered from 1; 0 is no value.
#[derive(Default)]
struct Numbers<'v> {
    of: HashMap<&'v str, u32>,
    texts: Vec<&'v str>,
}

impl<'v> Numbers<'v> {
    fn number(&mut self, text: &'v str) -> u32 {
        if let Some(number) = self.of.get(text) {
            return *number;
        }
        self.texts.push(text);
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.of.insert(text, number);
        number
    }

    fn text(&self, number: u32) -> Option<&'v str> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.texts.get(at).copied()
    }

    /// Adds this field's values to every combination so far, each different value once.
    fn extend(&mut self, keys: &mut Vec<Vec<u32>>, values: &'v [String]) {
        if let [] | [_] = values {
            let number = values.first().map_or(0, |value| self.number(value));
            keys.iter_mut().for_each(|key| key.push(number));
            return;
        }
        let mut different: Vec<u32> = values.iter().map(|value| self.number(value)).collect();
        different.sort_unstable();
        different.dedup();
        *keys = keys
            .iter()
            .flat_map(|before| {
                different.iter().map(|number| {
                    let mut key = before.clone();
                    key.push(*number);
                    key
                })
            })
            .collect();
    }
}

/// Counts of one pack by the numbers of one column.
#[derive(Debug)]
pub struct NumberTop {
    dict: Option<Arc<Dict>>,
    /// Number of the value and its count, for values that occur.
    rows: Vec<(u32, Count)>,
    /// Events without a value.
    none: Count,
}

/// How many events, and between which times.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    events: u64,
    first: i64,
    last: i64,
}

impl Count {
    /// Of no event.
    pub const NONE: Count = Count { events: 0, first: i64::MAX, last: i64::MIN };

    /// How many events.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Counts an event.
    pub fn add(&mut self, time: i64) {
        self.events += 1;
        if time != NO_TIME {
            self.first = self.first.min(time);
            self.last = self.last.max(time);
        }
    }

    /// Adds another count.
    pub fn merge(&mut self, other: &Count) {
        self.events += other.events;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    /// Returns the row of the answer.
    pub fn into_facet(self, values: Vec<Option<String>>) -> FacetRow {
        let timed = self.first <= self.last;
        FacetRow {
            values,
            count: self.events,
            first: timed.then_some(Timestamp(self.first)),
            last: timed.then_some(Timestamp(self.last)),
        }
    }
}

/// Counts one plain field that is one column; `None` where it is not.
///
/// # Errors
/// On damage.
pub fn by_numbers(
    scope: PackScope<'_>,
    bits: &Bits,
    field: &Field,
) -> Result<Option<NumberTop>, Damage> {
    let mut top = NumberTop { dict: None, rows: Vec::new(), none: Count::NONE };
    if bits.is_empty() {
        return Ok(Some(top));
    }
    let pack = scope.pack;
    let Reading::AnyOf(paths) = field.reading() else { return Ok(None) };
    let [path] = paths.as_slice() else { return Ok(None) };
    if !pack.whole()?.is_empty() {
        return Ok(None);
    }
    let mut column = None;
    for section in sections_of(path) {
        if !pack.has_section(section) {
            continue;
        }
        if pack.links(section)?.literal_paths.contains(path) {
            return Ok(None);
        }
        for at in pack.directory(section)?.at(path) {
            if column.is_some() {
                return Ok(None);
            }
            column = Some((section, *at));
        }
    }
    let times = pack.times()?;
    let mut none = bits.clone();
    if let Some((section, column)) = column {
        let dict = pack.dict(section, column)?;
        if bits.count() * 8 < dict.len() as u64 {
            // A few events have few of the values.
            let events: Vec<usize> = bits.iter().collect();
            let mut pairs: Vec<(u32, usize)> = Vec::with_capacity(events.len());
            pack.occurrences_in(section, column, &events, |at, id| {
                let event = events.get(at).copied().unwrap_or_default();
                none.unset(event);
                pairs.push((id, event));
            })?;
            pairs.sort_unstable();
            // A value that stands twice in one event counts once.
            pairs.dedup();
            for same in pairs.chunk_by(|a, b| a.0 == b.0) {
                let mut count = Count::NONE;
                for (_, event) in same {
                    count.add(times.get(*event).copied().unwrap_or(NO_TIME));
                }
                top.rows.extend(same.first().map(|(id, _)| (*id, count)));
            }
            for event in none.iter() {
                top.none.add(times.get(event).copied().unwrap_or(NO_TIME));
            }
            top.dict = Some(dict);
            return Ok(Some(top));
        }
        let mut counts: Vec<(Count, usize)> = vec![(Count::NONE, usize::MAX); dict.len()];
        let mut count = |event: usize, id: u32| {
            none.unset(event);
            if let (Some((count, last)), Some(time)) =
                (counts.get_mut(id as usize), times.get(event))
            {
                // A value that stands twice in one event counts once.
                if *last != event {
                    *last = event;
                    count.add(*time);
                }
            }
        };
        if bits.count() * 4 < pack.len() as u64 {
            let events: Vec<usize> = bits.iter().collect();
            pack.occurrences_in(section, column, &events, |at, id| {
                count(events.get(at).copied().unwrap_or_default(), id);
            })?;
        } else {
            pack.occurrences(section, column, |event, id| {
                if bits.has(event) {
                    count(event, id);
                }
            })?;
        }
        let counts = counts.into_iter().enumerate();
        top.rows = counts
            .filter(|(_, (count, _))| count.events > 0)
            .map(|(id, (count, _))| (id as u32, count))
            .collect();
        top.dict = Some(dict);
    }
    for event in none.iter() {
        top.none.add(times.get(event).copied().unwrap_or(NO_TIME));
    }
    Ok(Some(top))
}

/// Adds up the counts of packs; `None` where one value is spelt in two ways, which may stand in
/// one event: that is counted the plain way.
pub fn merge_numbers(tops: Vec<NumberTop>) -> Option<Vec<FacetRow>> {
    let packs: Vec<Vec<NumberTop>> = tops.into_iter().map(|top| vec![top]).collect();
    merge_all(&packs, 1)?.pop()
}

/// The same for many questions, which every pack answered in the same order: what each value is
/// named is found out once.
pub fn merge_all(packs: &[Vec<NumberTop>], n_questions: usize) -> Option<Vec<Vec<FacetRow>>> {
    let mut values: Vec<Vec<u8>> = Vec::new();
    let mut table: HashTable<usize> = HashTable::new();
    let mut sums: Vec<Vec<Count>> = vec![Vec::new(); n_questions];
    let mut none = vec![Count::NONE; n_questions];
    for tops in packs {
        // The column is the same whichever question is answered.
        let mut named: Vec<Option<usize>> = Vec::new();
        for ((top, sums), none) in tops.iter().zip(&mut sums).zip(&mut none) {
            none.merge(&top.none);
            let Some(dict) = &top.dict else { continue };
            named.resize(dict.len(), None);
            for (id, count) in &top.rows {
                let slot = named.get_mut(*id as usize)?;
                let at = *slot.get_or_insert_with(|| {
                    let value = dict.get(*id);
                    let is = |at: &usize| values.get(*at).is_some_and(|known| **known == *value);
                    let hash = xxh3_64(&value);
                    match table.find(hash, is) {
                        Some(at) => *at,
                        None => {
                            let at = values.len();
                            let again = |at: &usize| values.get(*at).map_or(0, |v| xxh3_64(v));
                            table.insert_unique(hash, at, again);
                            values.push(value.into_owned());
                            at
                        }
                    }
                });
                if sums.len() <= at {
                    sums.resize(at + 1, Count::NONE);
                }
                sums.get_mut(at)?.merge(count);
            }
        }
    }
    let text = |value: &Vec<u8>| decode(value, memchr::memchr(b'\\', value).is_some()).into_owned();
    let texts: Vec<String> = values.iter().map(text).collect();
    // One value spelt in two ways may stand in one event: that is counted the plain way.
    let mut seen: HashSet<&str> = HashSet::with_capacity(texts.len());
    if !texts.iter().all(|text| seen.insert(text)) {
        return None;
    }
    let rows = |(sums, none): (Vec<Count>, Count)| {
        let some = sums.into_iter().zip(&texts).filter(|(count, _)| count.events > 0);
        let mut rows: Vec<FacetRow> =
            some.map(|(count, text)| count.into_facet(vec![Some(text.clone())])).collect();
        if none.events > 0 {
            rows.push(none.into_facet(vec![None]));
        }
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
        rows
    };
    Some(sums.into_iter().zip(none).map(rows).collect())
}
