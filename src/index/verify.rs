//! An index held against itself and, where they are still there, against its sources.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::Path;
use std::path::PathBuf;

use crate::event::place::Place;
use crate::index::error::IndexError;
use crate::index::manifest::Counts;
use crate::index::manifest::HexBytes;
use crate::index::pack::view::Pack;
use crate::index::reader::IndexReader;
use crate::source::Piece;
use crate::source::ReadItem;
use crate::source::ReadOptions;
use crate::source::Reader;

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events put together again and counted.
    pub events: u64,
    /// Events whose bytes were compared with their source.
    pub compared: u64,
    /// Sources read again.
    pub sources: u64,
    /// Files that are not there any more, so that only the index itself was checked for them.
    pub gone: Vec<String>,
    /// What does not fit, each with its place.
    pub problems: Vec<String>,
}

/// Verifies the index in a directory.
///
/// # Errors
/// When the index cannot even be opened; whatever else is wrong is in the report.
pub fn verify(dir: &Path) -> Result<VerifyReport, IndexError> {
    let index = IndexReader::open(dir)?;
    let mut report = VerifyReport::default();
    check_books(&index, &mut report);
    if let Err(error) = index.rejected() {
        report.problems.push(error.to_string());
    }
    if let Err(error) = index.further_places(0, 0) {
        report.problems.push(error.to_string());
    }
    let mut stored: BTreeMap<u32, Vec<(Place, u32, u32)>> = BTreeMap::new();
    for number in 0..index.n_packs() {
        match check_pack(&index, number, &mut stored) {
            Ok(events) => report.events += events,
            Err(error) => report.problems.push(error.to_string()),
        }
    }
    if report.problems.is_empty()
        && report.events + index.manifest.pruned != index.manifest.totals.events
    {
        report.problems.push(format!(
            "the packs hold {} events, the manifest says {} less {} that were pruned",
            report.events, index.manifest.totals.events, index.manifest.pruned
        ));
    }
    check_sources(&index, &stored, &mut report)?;
    Ok(report)
}

fn check_books(index: &IndexReader, report: &mut VerifyReport) {
    let manifest = &index.manifest;
    let mut sum = Counts::default();
    for source in &manifest.sources {
        sum.add(&source.counts);
        if !source.counts.balances() {
            report.problems.push(format!("the books of {} do not balance", source.name));
        }
    }
    if sum != manifest.totals || !manifest.totals.balances() {
        report.problems.push("the books of the whole index do not balance".to_owned());
    }
}

/// Checks every byte of a pack and puts every event together again; returns how many.
fn check_pack(
    index: &IndexReader,
    number: usize,
    stored: &mut BTreeMap<u32, Vec<(Place, u32, u32)>>,
) -> Result<u64, IndexError> {
    let pack = index.pack(number)?;
    let damaged = |damage| index.damaged(number, &damage);
    for frame in 0..pack.footer.frames.len() {
        pack.frame(frame as u32).map_err(damaged)?;
    }
    pack.filter().map_err(damaged)?;
    let places = pack.places().map_err(damaged)?;
    let mut reader = pack.reader().map_err(damaged)?;
    for (event, place) in places.iter().enumerate() {
        reader.read(event).map_err(damaged)?;
        let own = stored.entry(place.source.0).or_default();
        own.push((place, number as u32, event as u32));
    }
    let events = pack.len() as u64;
    pack.forget();
    Ok(events)
}

/// Reads the files again that are still there.
fn check_sources(
    index: &IndexReader,
    stored: &BTreeMap<u32, Vec<(Place, u32, u32)>>,
    report: &mut VerifyReport,
) -> Result<(), IndexError> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in &index.manifest.files {
        let path = PathBuf::from(&file.name);
        if file.name == "-" || !path.is_file() {
            report.gone.push(file.name.clone());
        } else if !paths.contains(&path) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Ok(());
    }
    // The last source of a name is the newest state of a file that grew.
    let by_name: HashMap<&str, u32> = index
        .manifest
        .sources
        .iter()
        .enumerate()
        .map(|(id, source)| (source.name.as_str(), id as u32))
        .collect();
    let reader = Reader::open(&paths, ReadOptions::default())
        .map_err(|error| IndexError::Source(error.to_string()))?;
    let mut check = SourceCheck { index, stored, next: HashMap::new(), raws: None, wrong: None };
    let mut current: Option<(u32, String)> = None;
    for item in reader {
        match item {
            ReadItem::Start(info) => {
                current = by_name.get(info.name.as_str()).map(|id| (*id, info.name.clone()));
                check.wrong = None;
            }
            ReadItem::Piece(piece) => {
                if let Some((id, _)) = &current {
                    report.compared += check.piece(*id, &piece)?;
                }
            }
            ReadItem::End(end) => {
                let Some((id, name)) = &current else { continue };
                report.sources += 1;
                let row = index.manifest.sources.get(*id as usize);
                let sum = format!("{:x}", HexBytes(&end.sha256));
                if row.is_some_and(|row| row.sha256 != sum) || check.wrong.is_some() {
                    let place =
                        check.wrong.take().unwrap_or_else(|| match row.map_or(0, |row| row.size) {
                            size if size == end.size => format!("other bytes, {size} as before"),
                            size => format!("it had {size} bytes, now {}", end.size),
                        });
                    report.problems.push(format!(
                        "the source {name} has changed since it was indexed: {place}"
                    ));
                }
            }
            ReadItem::File(_) => {}
            ReadItem::Refused { name, reason } => {
                report.problems.push(format!("{name} cannot be read again: {reason}"));
            }
        }
    }
    Ok(())
}

/// Holds stored events against the bytes of their sources, in the order of the sources.
struct SourceCheck<'i> {
    index: &'i IndexReader,
    stored: &'i BTreeMap<u32, Vec<(Place, u32, u32)>>,
    next: HashMap<u32, usize>,
    raws: Option<(u32, HashMap<u32, Vec<u8>>)>,
    wrong: Option<String>,
}

impl SourceCheck<'_> {
    /// Compares the events of a piece; returns how many fit.
    fn piece(&mut self, source: u32, piece: &Piece) -> Result<u64, IndexError> {
        let Some(events) = self.stored.get(&source) else { return Ok(0) };
        let mut at = self.next.get(&source).copied().unwrap_or_default();
        let end = piece.offset + piece.length;
        let mut fits = 0;
        while let Some((place, pack, event)) = events.get(at).filter(|(p, ..)| p.offset < end) {
            at += 1;
            if place.offset < piece.offset {
                continue;
            }
            let raw = self.raw(*pack, *event)?;
            let start = (place.offset - piece.offset) as usize;
            if piece.bytes.get(start..start + raw.len()) == Some(raw.as_slice()) {
                fits += 1;
            } else if self.wrong.is_none() {
                self.wrong =
                    Some(format!("line {} at byte {} is another one", place.line, place.offset));
            }
        }
        self.next.insert(source, at);
        Ok(fits)
    }

    /// Returns the enclosing text of an event, keeping those of one pack.
    fn raw(&mut self, number: u32, event: u32) -> Result<Vec<u8>, IndexError> {
        if self.raws.as_ref().is_none_or(|(pack, _)| *pack != number) {
            let pack: &Pack = self.index.pack(number as usize)?;
            let damaged = |damage| self.index.damaged(number as usize, &damage);
            let mut reader = pack.reader().map_err(damaged)?;
            let mut raws = HashMap::new();
            for event in 0..pack.len() {
                let texts = reader.read(event).map_err(damaged)?;
                let raw = pack.enclosing(event, &texts.event).map_err(damaged)?;
                raws.insert(event as u32, raw);
            }
            pack.forget();
            self.raws = Some((number, raws));
        }
        let raws = self.raws.as_ref().map(|(_, raws)| raws);
        Ok(raws.and_then(|raws| raws.get(&event)).cloned().unwrap_or_default())
    }
}
