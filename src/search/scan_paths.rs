//! Paths become records for a scan, one after the other in the order of reading.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::event::place::Origin;
use crate::event::place::Place;
use crate::index::dedupe::canonical;
use crate::intake::PieceReader;
use crate::intake::Tally;
use crate::intake::record::Met;
use crate::intake::record::Record;
use crate::search::scan::ScanRecord;
use crate::source::ReadItem;
use crate::source::ReadOptions;
use crate::source::Reader;
use crate::source::SourceError;
use crate::source::SourceInfo;

/// Rejected records whose places are kept for the eye; all are counted.
const SHOWN_MAX: usize = 5;

/// A record that is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Name of its source.
    pub source: String,
    /// Where it stands there.
    pub place: Place,
    /// Why it is none.
    pub reason: String,
}

/// What was read beside the events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// What became of every record.
    pub tally: Tally,
    /// How many sources were read.
    pub sources: u64,
    /// The first records that were rejected.
    pub rejected: Vec<RejectedRecord>,
    /// What was not read, or not to its end, and why; one sentence each.
    pub problems: Vec<String>,
}

/// Reads every event under `paths` and hands it to `each`, one that was there before (equal as a
/// canonical event, [`canonical`]) only once, as an index does; `cluster` is used where the
/// evidence names none.
///
/// # Errors
/// A path that is not there.
pub fn read_records(
    paths: &[PathBuf],
    cluster: Option<&str>,
    each: &mut dyn FnMut(ScanRecord),
) -> Result<ScanReport, SourceError> {
    read_every(paths, cluster, &mut |record, _, again| {
        if !again {
            each(record);
        }
    })
}

/// Reads every event under `paths` and hands it to `each` with its [`identity`], and whether the
/// same event was there before.
///
/// # Errors
/// A path that is not there.
pub fn read_every(
    paths: &[PathBuf],
    cluster: Option<&str>,
    each: &mut dyn FnMut(ScanRecord, u128, bool),
) -> Result<ScanReport, SourceError> {
    let mut report = ScanReport::default();
    let mut pieces = PieceReader::new();
    let mut source: Option<Arc<SourceInfo>> = None;
    let mut seen: HashSet<u128> = HashSet::new();
    for item in Reader::open(paths, ReadOptions::default())? {
        match item {
            ReadItem::Start(info) => {
                report.sources += 1;
                source = Some(info);
            }
            ReadItem::Piece(piece) => {
                let Some(info) = source.as_ref() else { continue };
                let rejected = &mut report.rejected;
                let mut duplicates = 0;
                let mut tally = pieces.read(&piece, info, &mut |met, _| match met {
                    Met::Event(record) => {
                        let record = owned(&record, info, cluster);
                        let identity = identity(&record.event);
                        let again = !seen.insert(identity);
                        duplicates += u64::from(again);
                        each(record, identity, again);
                    }
                    Met::Rejected(found) if rejected.len() < SHOWN_MAX => {
                        rejected.push(RejectedRecord {
                            source: info.name.clone(),
                            place: found.place,
                            reason: found.reason,
                        });
                    }
                    Met::Rejected(_) | Met::Blank => {}
                });
                tally.events -= duplicates;
                tally.duplicates += duplicates;
                report.tally += tally;
            }
            ReadItem::End(end) => {
                if let (Some(problem), Some(info)) = (end.problem, source.as_ref()) {
                    report.problems.push(format!("{}: {problem}", info.name));
                }
            }
            ReadItem::File(end) => {
                if let Some(problem) = end.problem {
                    report.problems.push(format!("{}: {problem}", end.name));
                }
            }
            ReadItem::Refused { name, reason } => {
                report.problems.push(format!("{name} was not read: {reason}"));
            }
        }
    }
    report.problems.dedup();
    Ok(report)
}

/// Returns 128 bits that two events share only when they are one: the canonical form,
/// hashed.
pub fn identity(event: &[u8]) -> u128 {
    let mut hash = Xxh3::new();
    for (path, value) in canonical(event) {
        // Lengths keep neighbours apart.
        hash.update(&path.to_le_bytes());
        hash.update(&(value.len() as u64).to_le_bytes());
        hash.update(value.as_bytes());
    }
    hash.digest128()
}

fn owned(record: &Record<'_>, info: &SourceInfo, cluster: Option<&str>) -> ScanRecord {
    let own = &record.origin;
    let filled = |own: &Option<String>, hint: &Option<String>| own.clone().or_else(|| hint.clone());
    ScanRecord {
        raw: record.raw.to_vec(),
        event: record.event.to_vec(),
        envelope: record.envelope.as_ref().map(|envelope| envelope.to_vec()),
        origin: Origin {
            node: filled(&own.node, &info.hint.node),
            cluster: filled(&own.cluster, &info.hint.cluster)
                .or_else(|| cluster.map(str::to_owned)),
            log: filled(&own.log, &info.hint.log),
        },
        source: info.name.clone(),
        offset: record.place.offset,
        line: record.place.line,
        item: record.place.item,
        flags: record.flags.clone(),
        envelope_time: record.envelope_time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_counted_and_events_keep_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let event = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","stage":"ResponseComplete","verb":"get","requestReceivedTimestamp":"2025-07-02T10:15:00.000001Z"}"#;
        std::fs::write(&path, format!("\n{event}\nnonsense\n{event}\n")).unwrap();
        let mut seen = Vec::new();
        let report = read_records(&[path], Some("east"), &mut |record| seen.push(record)).unwrap();
        assert_eq!((seen.len(), seen[0].offset, seen[0].line), (1, 1, 2));
        assert_eq!(seen[0].origin.cluster.as_deref(), Some("east"));
        assert_eq!((report.tally.blank, report.tally.rejected, report.sources), (1, 1, 1));
        assert_eq!((report.tally.events, report.tally.duplicates), (1, 1));
        assert_eq!(report.rejected[0].place.line, 3);
        assert!(report.tally.balances());
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        assert!(read_records(&["/nowhere/at/all".into()], None, &mut |_| {}).is_err());
    }
}
