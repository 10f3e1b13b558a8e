//! Whether the clock of each source runs forwards: a server writes its log in the order of time.

use std::collections::BTreeMap;

use rayon::iter::IntoParallelIterator;
use rayon::iter::ParallelIterator;

use crate::index::pack::view::NO_TIME;
use crate::search::error::SearchError;
use crate::search::indexed::Searcher;
use crate::search::pack_values::moments;

/// What the times of one source say about its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceClock {
    /// Events with a time.
    pub timed: u64,
    /// Events that reached their stage before one that stands earlier in the source.
    pub out_of_order: u64,
    /// The largest such step back, microseconds.
    pub step_back: i64,
    newest: Option<i64>,
}

/// Returns the clocks of the sources by number; sources without events are left out.
///
/// The stage's own time is compared, because a request is written when it ends: a watch that began
/// an hour ago stands where it ended.
///
/// # Errors
/// On damage.
pub fn source_clocks(searcher: &Searcher) -> Result<BTreeMap<u32, SourceClock>, SearchError> {
    // Packs are decoded side by side and read in the order of the evidence.
    let packs: Vec<Vec<(u32, i64)>> = (0..searcher.index.n_packs())
        .into_par_iter()
        .map(|number| {
            let pack = searcher.index.pack(number)?;
            let damaged = |damage| searcher.index.damaged(number, &damage);
            let stages = moments(pack, "stageTimestamp").map_err(damaged)?;
            let times = pack.times().map_err(damaged)?;
            let places = pack.places().map_err(damaged)?;
            let own = places.iter().zip(stages).zip(times.iter());
            Ok(own.map(|((place, stage), time)| (place.source.0, stage.unwrap_or(*time))).collect())
        })
        .collect::<Result<_, SearchError>>()?;
    let mut clocks: BTreeMap<u32, SourceClock> = BTreeMap::new();
    for (source, time) in packs.into_iter().flatten().filter(|(_, time)| *time != NO_TIME) {
        let clock = clocks.entry(source).or_default();
        clock.timed += 1;
        match clock.newest {
            Some(newest) if time < newest => {
                clock.out_of_order += 1;
                clock.step_back = clock.step_back.max(newest - time);
            }
            _ => clock.newest = Some(time),
        }
    }
    Ok(clocks)
}
