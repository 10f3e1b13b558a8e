//! Counting rows of values: the plain way, which every faster way must agree with.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use hashbrown::HashMap;
use hashbrown::HashSet;

use crate::event::time::Timestamp;
use crate::search::codes::Classes;
use crate::search::codes::Codes;
use crate::search::evidence::FacetRow;
use crate::search::evidence::Row;

#[derive(Default)]
struct Count {
    events: u64,
    distinct: BTreeSet<String>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Counts rows by every combination of the first `n_fields` values; the value behind them, where
/// `distinct` is set, is counted once per different value.
pub fn count(
    rows: impl Iterator<Item = (Option<Timestamp>, Row)>,
    n_fields: usize,
    distinct: bool,
    min: u64,
) -> Vec<FacetRow> {
    let mut counts: BTreeMap<Vec<Option<String>>, Count> = BTreeMap::new();
    for (time, row) in rows {
        let mut combinations: Vec<Vec<Option<String>>> = vec![Vec::new()];
        for values in row.iter().take(n_fields) {
            let mut values: Vec<Option<String>> = values.iter().cloned().map(Some).collect();
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
        for key in combinations {
            let count = counts.entry(key).or_default();
            count.events += 1;
            if let Some(time) = time {
                count.first = Some(count.first.map_or(time, |first| first.min(time)));
                count.last = Some(count.last.map_or(time, |last| last.max(time)));
            }
            if distinct {
                count.distinct.extend(row.get(n_fields).into_iter().flatten().cloned());
            }
        }
    }
    let mut rows: Vec<FacetRow> = counts
        .into_iter()
        .map(|(values, count)| FacetRow {
            values,
            count: if distinct { count.distinct.len() as u64 } else { count.events },
            first: count.first,
            last: count.last,
        })
        .filter(|row| row.count >= min)
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
    rows
}

/// The same for values in numbers: as many as there are `fields`, and those of `distinct` counted
/// once per different value.
pub fn count_codes(
    times: impl Iterator<Item = Option<Timestamp>>,
    fields: &[&Codes],
    distinct: Option<&Codes>,
    min: u64,
) -> Vec<FacetRow> {
    let classes: Vec<_> = fields.iter().map(|field| field.classes()).collect();
    let counted = distinct.map(|distinct| (distinct, distinct.classes()));
    let mut rows: Vec<(Vec<u32>, FacetRow)> = Vec::new();
    let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut seen: HashSet<(u32, u32)> = HashSet::new();
    let mut keys: Vec<Vec<u32>> = Vec::new();
    for (at, time) in times.enumerate() {
        keys.truncate(1);
        keys.iter_mut().for_each(Vec::clear);
        keys.resize_with(1, Vec::new);
        for (field, classes) in fields.iter().zip(&classes) {
            let mut own: Vec<u32> = field.of(at).map(|number| classes.of(number)).collect();
            own.sort_unstable();
            own.dedup();
            match own.as_slice() {
                [] => keys.iter_mut().for_each(|key| key.push(0)),
                [one] => keys.iter_mut().for_each(|key| key.push(*one)),
                several => {
                    let with = |key: &Vec<u32>, class: u32| [key.as_slice(), &[class]].concat();
                    let each = |key| several.iter().map(move |class| with(key, *class));
                    keys = keys.iter().flat_map(each).collect();
                }
            }
        }
        for key in &keys {
            let row = match known.get(key) {
                Some(row) => *row,
                None => {
                    let row = rows.len() as u32;
                    known.insert(key.clone(), row);
                    let empty = FacetRow { values: Vec::new(), count: 0, first: None, last: None };
                    rows.push((key.clone(), empty));
                    row
                }
            };
            let Some((_, sum)) = rows.get_mut(row as usize) else { continue };
            match &counted {
                None => sum.count += 1,
                Some((distinct, classes)) => {
                    let new = distinct.of(at).filter(|n| seen.insert((row, classes.of(*n))));
                    sum.count += new.count() as u64;
                }
            }
            sum.first = sum.first.into_iter().chain(time).min();
            sum.last = sum.last.into_iter().chain(time).max();
        }
    }
    let mut rows: Vec<FacetRow> = rows
        .into_iter()
        .filter(|(_, row)| row.count >= min)
        .map(|(key, mut row)| {
            let value = |((field, classes), class): ((&&Codes, &Classes), u32)| {
                (class != 0).then(|| field.text(classes.number(class)).to_owned())
            };
            row.values = fields.iter().zip(&classes).zip(key).map(value).collect();
            row
        })
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.values.cmp(&b.values)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counting in numbers is counting.
    #[test]
    fn numbers_count_as_texts_do() {
        let texts = ["", "a", "b", "A"];
        let mut state = 7_u32;
        let mut next = |n: u32| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            (state >> 16) % n
        };
        for _ in 0..200 {
            let rows: Vec<(Option<Timestamp>, Row)> = (0..next(30))
                .map(|_| {
                    let time = (next(5) > 0).then(|| Timestamp(i64::from(next(9))));
                    let mut list = || -> Vec<String> {
                        let n = next(3);
                        (0..n).map(|_| texts[next(4) as usize].to_owned()).collect()
                    };
                    (time, vec![list(), list(), list()])
                })
                .collect();
            let field =
                |at: usize| Codes::of_lists(rows.iter().map(|(_, r)| r[at].clone()).collect());
            let (a, b, id) = (field(0), field(1), field(2));
            for distinct in [false, true] {
                let counted = count_codes(
                    rows.iter().map(|(time, _)| *time),
                    &[&a, &b],
                    distinct.then_some(&id),
                    1,
                );
                assert_eq!(counted, count(rows.iter().cloned(), 2, distinct, 1));
            }
        }
    }
}
