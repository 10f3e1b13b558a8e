//! An index opened for reading: nothing is locked, nothing is written.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::io::Seek as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::index::append::beside;
use crate::index::commit::DUPLICATES;
use crate::index::commit::REJECTED;
use crate::index::commit::RejectedRow;
use crate::index::commit::rejected_rows;
use crate::index::dedupe::Duplicate;
use crate::index::error::IndexError;
use crate::index::lines::Lines;
use crate::index::manifest::Manifest;
use crate::index::mmap::MappedFile;
use crate::index::pack::left_out::LeftOut;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;

/// An open index.
#[derive(Debug)]
pub struct IndexReader {
    /// Its directory.
    pub dir: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
    /// Names of the sources, by number.
    pub sources: Vec<String>,
    maps: HashMap<u32, Arc<MappedFile>>,
    packs: Vec<OnceLock<Pack>>,
    places: OnceLock<HashMap<(u32, u32), Vec<Place>>>,
    lines: OnceLock<Arc<Lines>>,
    /// Whether no second question is expected of any pack.
    pub once: bool,
    /// Whether columns of all packs are to be held at a time, and so as little of each as serves.
    pub sparing: bool,
    /// Further places and rejected runs as they were then: a writer may replace the files.
    held: [Option<File>; 2],
}

/// Maps the pack files a manifest names.
fn maps(dir: &Path, manifest: &Manifest) -> Result<HashMap<u32, Arc<MappedFile>>, IndexError> {
    let mut maps = HashMap::new();
    for row in &manifest.packs {
        if let std::collections::hash_map::Entry::Vacant(slot) = maps.entry(row.file) {
            let path = dir.join(Manifest::pack_file(row.file));
            let io = |error| IndexError::io("open", &path, error);
            let file = File::open(&path).and_then(MappedFile::new);
            slot.insert(Arc::new(file.map_err(io)?));
        }
    }
    Ok(maps)
}

impl IndexReader {
    /// Opens the index in a directory.
    ///
    /// # Errors
    /// When it is none, of another version, or damaged where that shows at once.
    pub fn open(dir: &Path) -> Result<IndexReader, IndexError> {
        let mut manifest = Manifest::load(dir)?;
        let maps = loop {
            match maps(dir, &manifest) {
                Ok(maps) => break maps,
                Err(error) => {
                    // Packs that were put together meanwhile stand elsewhere.
                    let newer = Manifest::load(dir)?;
                    if newer.checksum == manifest.checksum {
                        return Err(error);
                    }
                    manifest = newer;
                }
            }
        };
        let held = [DUPLICATES, REJECTED].map(|name| File::open(dir.join(name)).ok());
        Ok(IndexReader {
            held,
            dir: dir.to_owned(),
            sources: manifest.sources.iter().map(|source| source.name.clone()).collect(),
            packs: manifest.packs.iter().map(|_| OnceLock::new()).collect(),
            manifest,
            maps,
            places: OnceLock::new(),
            lines: OnceLock::new(),
            once: false,
            sparing: false,
        })
    }

    /// Returns how many packs there are.
    pub fn n_packs(&self) -> usize {
        self.packs.len()
    }

    /// Opens a pack, once.
    ///
    /// # Errors
    /// When its end is not what was written.
    pub fn pack(&self, number: usize) -> Result<&Pack, IndexError> {
        let missing = || IndexError::Damaged {
            file: "manifest.json".to_owned(),
            offset: 0,
            what: format!("there is no pack {number}"),
        };
        let slot = self.packs.get(number).ok_or_else(missing)?;
        if let Some(pack) = slot.get() {
            return Ok(pack);
        }
        let row = self.manifest.packs.get(number).ok_or_else(missing)?;
        let map = self.maps.get(&row.file).ok_or_else(missing)?;
        let start = row.offset as usize;
        let end = start.saturating_add(row.length as usize);
        let pack = Pack::open(Arc::clone(map), start..end).map_err(|d| self.damaged(number, &d))?;
        if pack.len() != row.events as usize {
            return Err(self.damaged(number, &Damage { offset: 0, what: "number of events" }));
        }
        let pack = if pack.refers() {
            let lines = self.lines.get_or_init(|| Arc::new(Lines::new(&self.manifest)));
            pack.with_left_out(Arc::clone(lines) as Arc<dyn LeftOut>)
        } else {
            pack
        };
        Ok(slot.get_or_init(|| pack.for_one_question(self.once).keeping_little(self.sparing)))
    }

    /// Says where a damage stands, or which source is not what it was.
    pub fn damaged(&self, number: usize, damage: &Damage) -> IndexError {
        if damage.is_unreadable() {
            let pack = self.packs.get(number).and_then(OnceLock::get);
            return IndexError::LeftOut(pack.map_or_else(String::new, Pack::why_left_out));
        }
        let row = self.manifest.packs.get(number);
        IndexError::Damaged {
            file: row.map_or_else(String::new, |row| Manifest::pack_file(row.file)),
            offset: row.map_or(0, |row| row.offset) + damage.offset,
            what: damage.what.to_owned(),
        }
    }

    /// Returns the further places of an event, in the order they were found.
    ///
    /// # Errors
    /// When the file of further places is damaged.
    pub fn further_places(&self, pack: u32, event: u32) -> Result<Vec<Place>, IndexError> {
        if self.manifest.duplicates.bytes == 0 {
            return Ok(Vec::new());
        }
        if self.places.get().is_none() {
            let places = self.read_places()?;
            let _ = self.places.set(places);
        }
        let places = self.places.get();
        Ok(places.and_then(|places| places.get(&(pack, event))).cloned().unwrap_or_default())
    }

    fn read_places(&self) -> Result<HashMap<(u32, u32), Vec<Place>>, IndexError> {
        let bytes = self.committed(DUPLICATES, &self.manifest.duplicates)?;
        let mut places: HashMap<(u32, u32), Vec<Place>> = HashMap::new();
        for row in bytes.chunks_exact(Duplicate::LEN) {
            let word = |at: usize| -> u64 {
                let bytes = row.get(at..at + 8).and_then(|b| <[u8; 8]>::try_from(b).ok());
                u64::from_le_bytes(bytes.unwrap_or_default())
            };
            let half = |at: usize| -> u32 {
                let bytes = row.get(at..at + 4).and_then(|b| <[u8; 4]>::try_from(b).ok());
                u32::from_le_bytes(bytes.unwrap_or_default())
            };
            let place = Place {
                source: SourceId(half(8)),
                item: half(12),
                offset: word(16),
                line: word(24),
            };
            places.entry((half(0), half(4))).or_default().push(place);
        }
        Ok(places)
    }

    /// Returns what was rejected, in the order of the evidence.
    ///
    /// # Errors
    /// When the file of rejected runs is damaged.
    pub fn rejected(&self) -> Result<Vec<RejectedRow>, IndexError> {
        let bytes = self.committed(REJECTED, &self.manifest.rejected)?;
        rejected_rows(&bytes).map_err(|error| IndexError::Damaged {
            file: REJECTED.to_owned(),
            offset: 0,
            what: error.to_string(),
        })
    }

    /// Returns the committed part of an append-only file, after checking its sum.
    fn committed(
        &self,
        name: &str,
        state: &crate::index::manifest::AppendedFile,
    ) -> Result<Vec<u8>, IndexError> {
        let path = self.dir.join(name);
        let mut bytes = Vec::new();
        let mut holds = state.bytes == 0;
        let mut check = |file: std::io::Result<File>| {
            bytes.clear();
            let read = file.and_then(|mut file| {
                file.rewind()?;
                file.take(state.bytes).read_to_end(&mut bytes)
            });
            read.is_ok()
                && bytes.len() as u64 == state.bytes
                && format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes)) == state.sum
        };
        let held = self.held.get(usize::from(name == REJECTED)).and_then(Option::as_ref);
        if let Some(held) = held.filter(|_| !holds) {
            holds = check(held.try_clone());
        }
        // A writer changes the name of new content just after its manifest.
        for path in [path.clone(), beside(&path), path.clone()] {
            if holds {
                break;
            }
            holds = check(File::open(&path));
        }
        if !holds {
            return Err(IndexError::Damaged {
                file: name.to_owned(),
                offset: 0,
                what: "checksum mismatch".to_owned(),
            });
        }
        Ok(bytes)
    }
}
