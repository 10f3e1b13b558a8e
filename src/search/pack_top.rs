//! Top values of one pack, counted by the numbers of a column where one field is asked.

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::event::field::Field;
use crate::event::field::Reading;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::wire::Damage;
use crate::search::bits::Bits;
use crate::search::evidence::FacetRow;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::sections_of;
use crate::search::pack_numbers::Numbers;
use crate::search::pack_numbers::numbers;
use crate::search::pack_values::value_text;
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
pub type Top = HashMap<Vec<Option<String>>, TopRow>;

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
    if let ([field], None) = (fields, distinct) {
        if let Some(top) = by_numbers(scope, bits, field)? {
            return Ok(top);
        }
    }
    if distinct.is_none()
        && let Some(top) = by_combinations(scope, bits, fields)?
    {
        return Ok(top);
    }
    let events: Vec<usize> = bits.iter().collect();
    let mut asked: Vec<&Field> = fields.iter().collect();
    asked.extend(distinct);
    let lists = asked
        .iter()
        .map(|field| values(scope, &events, field, zone))
        .collect::<Result<Vec<_>, _>>()?;
    let times = scope.pack.times()?;
    let mut top = Top::new();
    for (at, event) in events.iter().enumerate() {
        let list = |field: usize| lists.get(field).and_then(|l| l.get(at)).map(Vec::as_slice);
        let mut combinations: Vec<Vec<Option<String>>> = vec![Vec::new()];
        for field in 0..fields.len() {
            let mut values: Vec<Option<String>> =
                list(field).unwrap_or_default().iter().cloned().map(Some).collect();
            values.sort_unstable();
            values.dedup();
            if values.is_empty() {
                values.push(None);
            }
            combinations = combinations
                .iter()
                .flat_map(|before| {
                    values.iter().map(move |value| {
                        let mut key = before.clone();
                        key.push(value.clone());
                        key
                    })
                })
                .collect();
        }
        let time = times.get(*event).copied().unwrap_or(NO_TIME);
        for key in combinations {
            let row = top.entry(key).or_default();
            row.count(time);
            if distinct.is_some() {
                row.distinct.extend(list(fields.len()).unwrap_or_default().iter().cloned());
            }
        }
    }
    Ok(top)
}

/// Counts combinations of fields that have one value an event; `None` where some have more.
fn by_combinations(
    scope: PackScope<'_>,
    bits: &Bits,
    fields: &[Field],
) -> Result<Option<Top>, Damage> {
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        match numbers(scope.pack, field)? {
            Some(column) => columns.push(column),
            None => return Ok(None),
        }
    }
    let times = scope.pack.times()?;
    let mut by_ids: HashMap<Vec<u32>, TopRow> = HashMap::new();
    let mut ids: Vec<u32> = Vec::with_capacity(fields.len());
    for event in bits.iter() {
        ids.clear();
        ids.extend(columns.iter().map(|c| c.ids.get(event).copied().unwrap_or_default()));
        let time = times.get(event).copied().unwrap_or(NO_TIME);
        match by_ids.get_mut(ids.as_slice()) {
            Some(row) => row.count(time),
            None => by_ids.entry(ids.clone()).or_default().count(time),
        }
    }
    let mut top = Top::new();
    for (ids, row) in by_ids {
        let text = |(column, id): (&Numbers, &u32)| {
            id.checked_sub(1).and_then(|at| column.texts.get(at as usize)).cloned()
        };
        top.entry(columns.iter().zip(&ids).map(text).collect()).or_default().add(row);
    }
    Ok(Some(top))
}

/// Counts one plain field that is one column; `None` where it is not.
fn by_numbers(scope: PackScope<'_>, bits: &Bits, field: &Field) -> Result<Option<Top>, Damage> {
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
        if pack.shapes(section)?.literal_paths.contains(path) {
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
    let mut top = Top::new();
    let mut none = bits.clone();
    if let Some((section, column)) = column {
        let dict = pack.dict(section, column)?;
        let mut rows: Vec<TopRow> = vec![TopRow::default(); dict.len()];
        let mut last: Vec<usize> = vec![usize::MAX; dict.len()];
        pack.occurrences(section, column, |event, id| {
            if bits.has(event) {
                none.unset(event);
                let at = id as usize;
                if let (Some(row), Some(last)) = (rows.get_mut(at), last.get_mut(at)) {
                    if *last != event {
                        *last = event;
                        row.count(times.get(event).copied().unwrap_or(NO_TIME));
                    }
                }
            }
        })?;
        for (id, row) in rows.into_iter().enumerate().filter(|(_, row)| row.events > 0) {
            let key = vec![Some(value_text(&dict, id as u32))];
            if top.insert(key, row).is_some() {
                // Two spellings of one text, perhaps in one event: counted the plain way.
                return Ok(None);
            }
        }
    }
    if !none.is_empty() {
        let mut row = TopRow::default();
        for event in none.iter() {
            row.count(times.get(event).copied().unwrap_or(NO_TIME));
        }
        top.insert(vec![None], row);
    }
    Ok(Some(top))
}
