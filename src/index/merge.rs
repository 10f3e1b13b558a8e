//! Small packs of one day are put together into one, in one planned pass.
//!
//! Whoever follows a log leaves a pack every few seconds.  Once there are many of a day, their
//! events go into one pack, byte for byte as they were taken in; its day over, what is left of it
//! does too.  A pack of an eighth of the usual size is not touched again, so an event is written a
//! handful of times at most.  The new packs stand in a file of their own, the manifest changes from
//! the old set to the new one in one step, and the files nobody speaks of go afterwards.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use crate::event::json::Tape;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::time::Timestamp;
use crate::index::commit::Commit;
use crate::index::error::IndexError;
use crate::index::lines::parse_envelope;
use crate::index::manifest::PackRow;
use crate::index::pack::build::META_CLUSTER;
use crate::index::pack::build::META_FLAGS;
use crate::index::pack::build::META_LOG;
use crate::index::pack::build::META_NODE;
use crate::index::pack::build::N_META;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::build::flag_bit;
use crate::index::pack::derived::Derive;
use crate::index::pack::finish::PackBytes;
use crate::index::pack::left_out::PieceRow;
use crate::index::pack::stored_event::Around;
use crate::index::pack::stored_event::MetaColumn;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::FrameWriter;
use crate::index::reader::IndexReader;
use crate::index::worker::PACK_LEVEL;
use crate::intake::parse::Scratch;
use crate::intake::parse::parse_json;
use crate::intake::record::Record;

/// So many small packs of the newest day are put together.
const MANY: usize = 64;
/// So many small packs of an earlier day are.
const REST: usize = 8;
const DAY: i64 = 86_400_000_000;

/// Puts small packs together where there are many; returns how many packs there are less.
/// `target` is how many bytes of events a pack should have; one of an eighth of it is small.
///
/// # Errors
/// When a pack is damaged or the new ones cannot be written: the index is then what it was.
pub fn put_together(
    dir: &Path,
    commit: &mut Commit,
    derive: Option<&'static dyn Derive>,
    target: u64,
) -> Result<usize, IndexError> {
    let plan = plan(&commit.manifest.packs, target / 8);
    if plan.is_empty() {
        return Ok(0);
    }
    let index = IndexReader::open(dir)?;
    let mut made: BTreeMap<u32, (Vec<u32>, PackRow)> = BTreeMap::new();
    let mut writer =
        FrameWriter::new(PACK_LEVEL).map_err(|error| IndexError::io("compress", dir, error))?;
    commit.begin_pack_file()?;
    for members in plan {
        for members in runs(&index, &members, target)? {
            let one = match one_of(&index, &members, derive, &mut writer) {
                // Lines that cannot be read now may be there another time.
                Err(IndexError::LeftOut(_)) => continue,
                one => one?,
            };
            if let (Some(pack), Some(first)) = (one, members.first().copied()) {
                let row = commit.write_pack(&pack)?;
                made.insert(first, (members, row));
            }
        }
    }
    let before = commit.manifest.packs.len();
    replace(commit, &made)?;
    let after = commit.manifest.packs.len();
    commit.checkpoint()?;
    commit.remove_unnamed_packs()?;
    Ok(before - after)
}

/// Lists the packs to be put together, those of one day each.
fn plan(packs: &[PackRow], small: u64) -> Vec<Vec<u32>> {
    let day = |row: &PackRow| match row.first.zip(row.last) {
        Some((first, last)) => {
            let day = first.div_euclid(DAY);
            (day == last.div_euclid(DAY)).then_some(Some(day))
        }
        None => Some(None),
    };
    let is_small =
        |row: &PackRow| row.event_bytes < small && (row.event_bytes > 0 || row.length < small / 32);
    let newest = packs.iter().filter_map(|row| row.last).max().map(|last| last.div_euclid(DAY));
    let mut days: BTreeMap<Option<i64>, Vec<u32>> = BTreeMap::new();
    for (number, row) in (0_u32..).zip(packs) {
        if let Some(day) = day(row).filter(|_| is_small(row)) {
            days.entry(day).or_default().push(number);
        }
    }
    days.retain(|day, own| own.len() >= if *day < newest { REST } else { MANY });
    days.into_values().collect()
}

/// Cuts a list of packs where one pack is full, and tells those that refer from those that store.
fn runs(index: &IndexReader, members: &[u32], target: u64) -> Result<Vec<Vec<u32>>, IndexError> {
    let mut all: Vec<Vec<u32>> = Vec::new();
    for refers in [false, true] {
        let (mut own, mut bytes) = (Vec::new(), 0);
        for number in members {
            let pack = index.pack(*number as usize)?;
            if pack.refers() != refers {
                continue;
            }
            bytes += pack.footer.event_bytes;
            own.push(*number);
            if bytes >= target {
                all.push(std::mem::take(&mut own));
                bytes = 0;
            }
        }
        all.push(own);
    }
    all.retain(|own| own.len() > 1);
    Ok(all)
}

/// Makes one pack of several; `None` where it would not hold the very same events.
fn one_of(
    index: &IndexReader,
    members: &[u32],
    derive: Option<&'static dyn Derive>,
    writer: &mut FrameWriter,
) -> Result<Option<PackBytes>, IndexError> {
    let mut builder = PackBuilder::default();
    let mut pieces: Vec<PieceRow> = Vec::new();
    let mut refers = true;
    let mut identities: Vec<u64> = Vec::new();
    for number in members {
        let number = *number as usize;
        let pack = index.pack(number)?;
        let damaged = |damage: Damage| index.damaged(number, &damage);
        refers &= pack.refers();
        pieces.extend(pack.pieces().map_err(damaged)?);
        identities.extend(pack.identities().map_err(damaged)?);
        if !take(pack, &mut builder).map_err(damaged)? {
            return Ok(None);
        }
        pack.forget();
    }
    let mut own: Vec<u64> = builder.identities.iter().map(|identity| identity >> 24).collect();
    own.sort_unstable();
    identities.sort_unstable();
    if own != identities {
        // Another version of the program made them.
        return Ok(None);
    }
    let pieces = refers.then_some(pieces.as_slice());
    let pack = match (derive, pieces) {
        (Some(derive), _) => builder.finish_with(derive, pieces, writer),
        (None, Some(pieces)) => builder.finish_referring(pieces, writer),
        (None, None) => builder.finish(writer),
    };
    pack.map(Some).map_err(|error| IndexError::io("compress", &index.dir, error))
}

/// Takes the events of a pack in; false where one cannot be parsed any more.
fn take(pack: &Pack, builder: &mut PackBuilder) -> Result<bool, Damage> {
    let (places, times) = (pack.places()?, pack.times()?);
    let meta = pack.meta()?;
    let mut reader = pack.reader()?;
    let (mut scratch, mut tape, mut space) = (Scratch::default(), Tape::default(), Tape::default());
    builder.begin_piece();
    for (number, (place, time)) in places.iter().zip(times.iter()).enumerate() {
        let texts = reader.read(number)?;
        let around = pack.around(number)?;
        let enclosing;
        let (raw, event): (&[u8], &[u8]) = match &around {
            Around::Nothing => (&texts.event, &texts.event),
            Around::Little(prefix, suffix) => {
                enclosing = [prefix.as_slice(), &texts.event, suffix].concat();
                let event = prefix.len()..prefix.len() + texts.event.len();
                (&enclosing, enclosing.get(event).unwrap_or_default())
            }
            // The same text for events side by side is the same bytes.
            Around::Text(raws, at) => {
                (raws.get(*at).map(Vec::as_slice).unwrap_or_default(), &texts.event)
            }
        };
        if parse_json(event, &mut scratch, &mut tape).is_err() {
            return Ok(false);
        }
        let record = Record {
            place,
            raw,
            event: Cow::Borrowed(event),
            envelope: texts.envelope.as_deref().map(Cow::Borrowed),
            origin: origin(&meta, number),
            flags: flags(&meta, number),
            envelope_time: None,
            format: "pack",
        };
        let envelope = parse_envelope(&record, &mut scratch, &mut space);
        builder.push(&record, &tape, envelope, (*time != NO_TIME).then_some(Timestamp(*time)));
    }
    Ok(true)
}

fn value(meta: &[MetaColumn; N_META], which: usize, event: usize) -> &[u8] {
    meta.get(which).map(|column| column.value(event)).unwrap_or_default()
}

fn origin(meta: &[MetaColumn; N_META], event: usize) -> Origin {
    let text = |which| {
        let value = String::from_utf8_lossy(value(meta, which, event)).into_owned();
        (!value.is_empty()).then_some(value)
    };
    Origin { node: text(META_NODE), cluster: text(META_CLUSTER), log: text(META_LOG) }
}

fn flags(meta: &[MetaColumn; N_META], event: usize) -> Vec<Flag> {
    let bits = std::str::from_utf8(value(meta, META_FLAGS, event)).ok();
    let bits: u32 = bits.and_then(|bits| bits.parse().ok()).unwrap_or_default();
    Flag::ALL.iter().copied().filter(|flag| bits & flag_bit(*flag) != 0).collect()
}

/// Puts the new packs where the first of their members was, and tells the further places.
fn replace(
    commit: &mut Commit,
    made: &BTreeMap<u32, (Vec<u32>, PackRow)>,
) -> Result<(), IndexError> {
    let old = commit.manifest.packs.clone();
    let mut base_of: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    for (first, (members, _)) in made {
        let mut base = 0;
        for number in members {
            base_of.insert(*number, (*first, base));
            base += old.get(*number as usize).map_or(0, |row| row.events);
        }
    }
    let mut packs = Vec::new();
    let mut new_of: BTreeMap<u32, u32> = BTreeMap::new();
    for (number, row) in (0_u32..).zip(&old) {
        let row = match (base_of.get(&number), made.get(&number)) {
            (None, _) => row.clone(),
            (Some(_), Some((_, row))) => row.clone(),
            (Some(_), None) => continue,
        };
        new_of.insert(number, packs.len() as u32);
        packs.push(row);
    }
    let numbers = (0..old.len() as u32)
        .filter_map(|number| {
            let (first, base) = base_of.get(&number).copied().unwrap_or((number, 0));
            Some((number, (*new_of.get(&first)?, base)))
        })
        .collect();
    commit.manifest.packs = packs;
    commit.renumber(&numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: u64 = 2 << 20;

    fn row(day: i64, event_bytes: u64) -> PackRow {
        PackRow {
            file: 1,
            offset: 0,
            length: 100,
            events: 1,
            event_bytes,
            first: Some(day * DAY + 5),
            last: Some(day * DAY + 7),
            untimed: false,
        }
    }

    #[test]
    fn only_many_small_packs_of_one_day_are_put_together() {
        let mut packs: Vec<PackRow> = (0..MANY as i64 - 1).map(|_| row(3, 1000)).collect();
        assert!(plan(&packs, SMALL).is_empty());
        packs.push(row(3, SMALL));
        packs.push(PackRow { last: Some(4 * DAY), ..row(3, 10) });
        assert!(plan(&packs[..MANY], SMALL).is_empty());
        // The day is over.
        assert_eq!(plan(&packs, SMALL)[0].len(), MANY - 1);
        packs.extend((0..MANY).map(|_| row(5, 10)));
        assert_eq!(plan(&packs, SMALL).len(), 2);
        packs.truncate(REST - 1);
        packs.push(row(9, 10));
        assert!(plan(&packs, SMALL).is_empty());
    }
}
