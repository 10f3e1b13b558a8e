//! Counting rows of values: the plain way, which every faster way must agree with.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::event::time::Timestamp;
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
