//! The same event found again: suspected by a few bytes an event, confirmed by comparing.
//!
//! Two events are one when they are equal as canonical events without their envelope: a node's
//! copy and the forwarded copy with its keys in another order and fields of the forwarder between
//! them are one event with two places.  A shared auditID proves nothing, a client may set it.
//! Only packs whose time covers an event are asked about it, so that memory is for what overlaps.

use std::collections::HashMap;
use std::fs::File;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::event::field::LEVEL_PATHS;
use crate::event::field::is_event_root;
use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::json::Tape;
use crate::event::place::Place;
use crate::event::time::Timestamp;
use crate::index::commit::place_bytes;
use crate::index::error::IndexError;
use crate::index::lines::Lines;
use crate::index::manifest::Manifest;
use crate::index::manifest::PackRow;
use crate::index::mmap::MappedFile;
use crate::index::pack::build::PackBuilder;
use crate::index::pack::left_out::LeftOut;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::intake::parse::Scratch;
use crate::intake::parse::parse_json;

/// Bytes of identities kept in memory; older packs are read again where they overlap.
const KEPT_BYTES: usize = 48 << 20;

/// A further place of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Number of the event in its unit.
    pub event: u32,
    /// Pack of the first place.
    pub pack: u32,
    /// Event of the first place.
    pub first: u32,
    /// Where it was found again.
    pub place: Place,
    /// Whether both places are in one source, which no collector does.
    pub same_source: bool,
    /// Whether both places are one: a run that was interrupted had got so far already.
    pub same_place: bool,
}

impl Duplicate {
    /// Length of [`Self::to_bytes`].
    pub const LEN: usize = 32;

    /// Returns the duplicate as it is kept.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        let bytes = self
            .pack
            .to_le_bytes()
            .into_iter()
            .chain(self.first.to_le_bytes())
            .chain(place_bytes(&self.place));
        for (slot, byte) in out.iter_mut().zip(bytes) {
            *slot = byte;
        }
        out
    }
}

/// What one pack holds, in short.
#[derive(Debug)]
struct PackSeen {
    span: Option<(i64, i64)>,
    untimed: bool,
    /// Identities to 40 bits, sorted; `None` where they must be read from disk.
    ids: Option<Arc<Vec<u64>>>,
    used: u64,
}

/// What was seen so far.
#[derive(Debug)]
pub struct Seen {
    dir: PathBuf,
    packs: Vec<PackSeen>,
    kept: usize,
    clock: u64,
    lines: Option<Lines>,
    /// Rows of the packs a checkpoint has made part of the index, as far as looked at.
    rows: Vec<PackRow>,
    /// Bytes of identities to keep.
    keep: usize,
}

/// An event that may have been seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    event: u32,
    /// The pack that may hold it, or `None` for the unit itself.
    pack: Option<u32>,
    /// The earlier event of the unit, where `pack` is `None`.
    earlier: u32,
}

fn short(identity: u64) -> u64 {
    identity >> 24
}

impl Seen {
    /// Starts with what an index holds; a tenth of `memory` at most is for what is remembered.
    ///
    /// # Errors
    /// None yet; packs are read where they are needed.
    pub fn load(dir: &Path, manifest: &Manifest, memory: u64) -> Result<Seen, IndexError> {
        let packs = manifest
            .packs
            .iter()
            .map(|row| PackSeen {
                span: row.first.zip(row.last),
                untimed: row.untimed,
                ids: None,
                used: 0,
            })
            .collect();
        let keep = usize::try_from(memory / 10).unwrap_or(KEPT_BYTES).min(KEPT_BYTES);
        Ok(Seen {
            dir: dir.to_owned(),
            packs,
            kept: 0,
            clock: 0,
            lines: None,
            rows: manifest.packs.clone(),
            keep,
        })
    }

    /// Returns the events of a unit that may have been seen before.
    ///
    /// # Errors
    /// When what a pack holds cannot be read: nobody could say then what was seen before.
    pub fn suspects(&mut self, builder: &PackBuilder) -> Result<Vec<Suspect>, IndexError> {
        let times = builder.times();
        let mut suspects = Vec::new();
        let known = || times.iter().flatten().map(|time| time.0);
        let span = known().min().zip(known().max());
        let some_untimed = times.iter().any(Option::is_none);
        for number in 0..self.packs.len() {
            let overlaps = self.packs.get(number).is_some_and(|pack| {
                (some_untimed && pack.untimed)
                    || span.zip(pack.span).is_some_and(|((a, b), (c, d))| a <= d && c <= b)
            });
            if !overlaps {
                continue;
            }
            let ids = self.identities(number)?;
            let Some(pack) = self.packs.get(number) else { continue };
            for (event, (identity, time)) in builder.identities.iter().zip(times).enumerate() {
                let possible = match time {
                    Some(Timestamp(at)) => {
                        pack.span.is_some_and(|(first, last)| (first..=last).contains(at))
                    }
                    None => pack.untimed,
                };
                if possible && ids.binary_search(&short(*identity)).is_ok() {
                    let pack = Some(number as u32);
                    suspects.push(Suspect { event: event as u32, pack, earlier: 0 });
                }
            }
        }
        let mut order: Vec<u32> = (0..builder.identities.len() as u32).collect();
        let identity = |event: &u32| builder.identities.get(*event as usize).copied();
        order.sort_by_key(|event| (identity(event), *event));
        let mut first: Option<u32> = None;
        for event in order {
            match first.filter(|first| identity(first) == identity(&event)) {
                Some(earlier) => suspects.push(Suspect { event, pack: None, earlier }),
                None => first = Some(event),
            }
        }
        suspects.sort_by_key(|suspect| (suspect.event, suspect.pack.is_none(), suspect.pack));
        Ok(suspects)
    }

    /// Compares the suspects with what they may repeat; ascending by event.
    ///
    /// # Errors
    /// When a pack cannot be read back.
    pub fn confirm(
        &mut self,
        suspects: &[Suspect],
        builder: &PackBuilder,
        manifest: &Manifest,
        texts: impl Fn(&[u32]) -> Vec<Vec<u8>>,
    ) -> Result<Vec<Duplicate>, IndexError> {
        let mut wanted: Vec<u32> = suspects.iter().map(|s| s.event).collect();
        wanted.extend(suspects.iter().filter(|s| s.pack.is_none()).map(|s| s.earlier));
        wanted.sort_unstable();
        wanted.dedup();
        let forms: HashMap<u32, Form> = wanted
            .iter()
            .copied()
            .zip(texts(&wanted))
            .map(|(event, text)| (event, canonical(&text)))
            .collect();
        let mut found: Vec<Duplicate> = Vec::new();
        let mut by_pack: HashMap<u32, Vec<Suspect>> = HashMap::new();
        for suspect in suspects {
            if let Some(pack) = suspect.pack {
                by_pack.entry(pack).or_default().push(*suspect);
            }
        }
        let mut numbers: Vec<u32> = by_pack.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let Some(row) = manifest.packs.get(number as usize) else { continue };
            let own = by_pack.remove(&number).unwrap_or_default();
            let pack = self.open(row)?;
            let pack = if pack.refers() { pack.with_left_out(self.lines(manifest)) } else { pack };
            self.compare((number, row, &pack), &own, builder, &forms, &mut found)?;
        }
        let again: Vec<u32> = found.iter().map(|duplicate| duplicate.event).collect();
        let own_pack = self.packs.len() as u32;
        for suspect in suspects.iter().filter(|s| s.pack.is_none()) {
            if again.contains(&suspect.event) || again.contains(&suspect.earlier) {
                continue;
            }
            let same = forms.get(&suspect.event).zip(forms.get(&suspect.earlier));
            if same.is_some_and(|(a, b)| a == b) {
                let place = builder.place(suspect.event);
                let same_source = builder.place(suspect.earlier).source == place.source;
                found.push(Duplicate {
                    event: suspect.event,
                    pack: own_pack,
                    first: suspect.earlier,
                    place,
                    same_source,
                    same_place: false,
                });
            }
        }
        found.sort_by_key(|duplicate| duplicate.event);
        found.dedup_by_key(|duplicate| duplicate.event);
        // Numbers in this unit's pack are those without what is left out.
        let left_out: Vec<u32> = found.iter().map(|duplicate| duplicate.event).collect();
        for duplicate in found.iter_mut().filter(|duplicate| duplicate.pack == own_pack) {
            duplicate.first -= left_out.partition_point(|event| *event < duplicate.first) as u32;
        }
        Ok(found)
    }

    /// Compares the suspects of one pack with its events of the same time.
    fn compare(
        &self,
        (number, row, pack): (u32, &PackRow, &Pack),
        suspects: &[Suspect],
        builder: &PackBuilder,
        forms: &HashMap<u32, Form>,
        found: &mut Vec<Duplicate>,
    ) -> Result<(), IndexError> {
        let damaged = |damage: Damage| match damage.is_unreadable() {
            true => IndexError::LeftOut(pack.why_left_out()),
            false => damaged(row, &damage),
        };
        let mut by_time: HashMap<i64, Vec<u32>> = HashMap::new();
        for suspect in suspects {
            let time = builder.times().get(suspect.event as usize).copied().flatten();
            by_time.entry(time.map_or(NO_TIME, |t| t.0)).or_default().push(suspect.event);
        }
        let mut reader = pack.reader().map_err(damaged)?;
        let places = pack.places().map_err(damaged)?;
        for (event, time) in pack.times().map_err(damaged)?.iter().enumerate() {
            let Some(candidates) = by_time.get_mut(time) else { continue };
            if candidates.is_empty() {
                continue;
            }
            let form = canonical(&reader.read(event).map_err(damaged)?.event);
            candidates.retain(|candidate| {
                if forms.get(candidate) != Some(&form) {
                    return true;
                }
                let place = builder.place(*candidate);
                let first = places.get(event).unwrap_or(place);
                found.push(Duplicate {
                    event: *candidate,
                    pack: number,
                    first: event as u32,
                    place,
                    same_source: first.source == place.source,
                    same_place: first == place,
                });
                false
            });
        }
        Ok(())
    }

    /// Notes a unit, less what was found again.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn add(
        &mut self,
        _unit: u64,
        builder: &PackBuilder,
        found: &[Duplicate],
    ) -> Result<(), IndexError> {
        if builder.len() == found.len() {
            return Ok(());
        }
        let times = builder.times();
        let mut left_out = found.iter().map(|duplicate| duplicate.event as usize).peekable();
        let mut ids = Vec::with_capacity(builder.len());
        let mut span: Option<(i64, i64)> = None;
        let mut untimed = false;
        for (event, (identity, time)) in builder.identities.iter().zip(times).enumerate() {
            if left_out.next_if_eq(&event).is_some() {
                continue;
            }
            ids.push(short(*identity));
            match time {
                Some(Timestamp(at)) => {
                    span = Some(span.map_or((*at, *at), |(a, b)| (a.min(*at), b.max(*at))));
                }
                None => untimed = true,
            }
        }
        ids.sort_unstable();
        self.kept += ids.len() * 8;
        self.clock += 1;
        let used = self.clock;
        self.packs.push(PackSeen { span, untimed, ids: Some(Arc::new(ids)), used });
        self.let_go()
    }

    /// Returns the identities of a pack, reading them again where they were let go of.
    fn identities(&mut self, number: usize) -> Result<Arc<Vec<u64>>, IndexError> {
        self.clock += 1;
        let clock = self.clock;
        if let Some(pack) = self.packs.get_mut(number) {
            pack.used = clock;
            if let Some(ids) = &pack.ids {
                return Ok(Arc::clone(ids));
            }
        }
        let missing = || IndexError::Unbalanced(format!("pack {number} is not in the manifest"));
        let row = self.rows.get(number).cloned().ok_or_else(missing)?;
        let ids = self.open(&row)?.identities();
        let ids = Arc::new(ids.map_err(|damage| damaged(&row, &damage))?);
        self.kept += ids.len() * 8;
        if let Some(pack) = self.packs.get_mut(number) {
            pack.ids = Some(Arc::clone(&ids));
        }
        self.let_go()?;
        Ok(ids)
    }

    /// Lets go of what was not asked for longest; only packs that a checkpoint has made part of
    /// the index can be read again.
    fn let_go(&mut self) -> Result<(), IndexError> {
        while self.kept > self.keep {
            let packs = self.packs.iter().enumerate().filter(|(_, pack)| pack.ids.is_some());
            let Some((oldest, used)) =
                packs.min_by_key(|(_, pack)| pack.used).map(|(oldest, pack)| (oldest, pack.used))
            else {
                break;
            };
            if used == self.clock {
                break;
            }
            if oldest >= self.rows.len() {
                self.rows = Manifest::load(&self.dir)?.packs;
                if oldest >= self.rows.len() {
                    break;
                }
            }
            let Some(pack) = self.packs.get_mut(oldest) else { break };
            self.kept -= pack.ids.take().map_or(0, |ids| ids.len() * 8);
        }
        Ok(())
    }

    /// Returns who reads lines again, knowing all sources that are known by now.
    fn lines(&mut self, manifest: &Manifest) -> Arc<dyn LeftOut> {
        let lines = match &self.lines {
            Some(lines) => lines.renewed(manifest),
            None => Lines::new(manifest),
        };
        self.lines = Some(lines.clone());
        Arc::new(lines)
    }

    fn open(&self, row: &PackRow) -> Result<Pack, IndexError> {
        let path = self.dir.join(Manifest::pack_file(row.file));
        let io = |error| IndexError::io("read", &path, error);
        let map = Arc::new(File::open(&path).and_then(MappedFile::new).map_err(io)?);
        let start = row.offset as usize;
        Pack::open(map, start..start + row.length as usize).map_err(|d| damaged(row, &d))
    }
}

fn damaged(row: &PackRow, damage: &Damage) -> IndexError {
    IndexError::Damaged {
        file: Manifest::pack_file(row.file),
        offset: row.offset + damage.offset,
        what: damage.what.to_owned(),
    }
}

/// An event in the one form that does not depend on who forwarded it: sorted paths with kind and
/// value.
///
/// A path is its hash: written out, those of an attacker's event of a hundred thousand levels
/// would need gigabytes.
type Form = Vec<(u128, String)>;

/// What paths are hashed with: drawn anew for every process, so that nobody can write an event
/// whose paths pass for another one's.
fn path_seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().hash_one(0_u8))
}

/// Returns the hash of a path from the hash of what it stands in.
fn path_below(parent: u128, key: &[u8], buffer: &mut Vec<u8>) -> u128 {
    buffer.clear();
    buffer.extend_from_slice(&parent.to_le_bytes());
    buffer.extend_from_slice(key);
    xxh3_128_with_seed(buffer, path_seed())
}

/// Returns the canonical form of an event; it is worth comparing within one process.
pub fn canonical(text: &[u8]) -> Form {
    let (mut scratch, mut tape) = (Scratch::default(), Tape::default());
    if parse_json(text, &mut scratch, &mut tape).is_err() {
        return vec![(0, String::from_utf8_lossy(text).into_owned())];
    }
    let Some(root) = tape.root(text) else { return Vec::new() };
    let has_received = root.get("requestReceivedTimestamp").is_some();
    let mut buffer = Vec::new();
    let mut form: Form = Vec::new();
    let level = LEVEL_PATHS.iter().find_map(|path| root.text_at(&[path]));
    form.extend(level.map(|level| (1, level.into_owned())));
    // Open values with their paths; arrays count their elements.
    let mut open: Vec<(u128, Json<'_>)> = Vec::new();
    for (key, value) in root.entries() {
        let key = key.leaf_text().unwrap_or_default();
        let envelope = !is_event_root(&key)
            || matches!(&*key, "level" | "kind" | "apiVersion")
            || (key == "timestamp" && has_received);
        if !envelope {
            open.push((path_below(0, key.as_bytes(), &mut buffer), value));
        }
    }
    while let Some((path, value)) = open.pop() {
        match value.kind() {
            Kind::Object => {
                form.push((path, "{}".to_owned()));
                for (key, value) in value.entries() {
                    let key = key.leaf_text().unwrap_or_default();
                    open.push((path_below(path, key.as_bytes(), &mut buffer), value));
                }
            }
            Kind::Array => {
                form.push((path, "[]".to_owned()));
                for (at, value) in value.elements().enumerate() {
                    let at = (at as u64).to_le_bytes();
                    open.push((path_below(path, &at, &mut buffer), value));
                }
            }
            kind => {
                let text = value.leaf_text().unwrap_or_default();
                let mark = if kind == Kind::String { '"' } else { ' ' };
                form.push((path, format!("{mark}{text}")));
            }
        }
    }
    form.sort_unstable();
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_copy_is_the_same_event() {
        let node = br#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","user":{"username":"u","groups":["x","y"]},"requestURI":"/a\u0026b","requestReceivedTimestamp":"2025-12-09T12:57:08.837027Z"}"#;
        let viaq = br#"{"@timestamp":"2025-12-09T12:58:00Z","auditID":"a","hostname":"m","k8s_audit_level":"Metadata","level":"default","requestReceivedTimestamp":"2025-12-09T12:57:08.837027Z","requestURI":"/a&b","timestamp":"2025-12-09T12:58:00Z","user":{"groups":["x","y"],"username":"u"}}"#;
        assert_eq!(canonical(node), canonical(viaq));
        let other = br#"{"auditID":"a","level":"Metadata","user":{"username":"u","groups":["y","x"]},"requestURI":"/a&b","requestReceivedTimestamp":"2025-12-09T12:57:08.837027Z"}"#;
        assert_ne!(canonical(node), canonical(other));
    }

    #[test]
    fn depth_costs_no_more_than_its_bytes() {
        let deep = |key: &str| {
            let (open, close) = (format!("{{\"{key}\":").repeat(100_000), "}".repeat(100_000));
            format!(r#"{{"auditID":"a","requestObject":{open}1{close}}}"#).into_bytes()
        };
        assert!(canonical(&deep("a")).len() == 100_002);
        assert_eq!(canonical(&deep("a")), canonical(&deep("a")));
        assert_ne!(canonical(&deep("a")), canonical(&deep("b")));
    }

    #[test]
    fn what_stands_where_is_part_of_the_form() {
        let form = |body: &str| canonical(format!(r#"{{"requestObject":{body}}}"#).as_bytes());
        assert_eq!(
            form(r#"{"a":1,"b":[2,{"d":1,"c":2}]}"#),
            form(r#"{"b":[2,{"c":2,"d":1}],"a":1}"#)
        );
        assert_ne!(form("[[1],2]"), form("[[1,2]]"));
        assert_ne!(form("[1,2]"), form("[2,1]"));
        assert_ne!(form(r#"{"a":{"b":1}}"#), form(r#"{"a":{},"b":1}"#));
        assert_ne!(form(r#"{"a":"1"}"#), form(r#"{"a":1}"#));
        assert_ne!(form(r#"{"a":1}"#), form(r#"{"a":1,"a":1}"#));
    }
}
