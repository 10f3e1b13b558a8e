//! What is kept of every pack for the ledgers says what its events say.

use std::path::Path;
use std::path::PathBuf;

use audithound::event::time::TimeRange;
use audithound::event::time::Timestamp;
use audithound::index::build::BuildOptions;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::index::manifest::Manifest;
use audithound::index::prune::prune;
use audithound::index::verify::verify;
use audithound::ledger::Ledgers;
use audithound::ledger::partial::DERIVE_LEDGERS;
use audithound::search::evidence::EventId;
use audithound::search::evidence::Evidence;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;
use audithound::search::scan::MemoryEvidence;

use crate::corpus;

fn lines(seed: u64, events: u64) -> Vec<Vec<u8>> {
    let options =
        corpus::CorpusOptions { seed, events, days: 2.0, ..corpus::CorpusOptions::default() };
    let mut lines = Vec::new();
    corpus::generate(&options, &mut |line| lines.push(line.to_vec()));
    lines
}

fn write(path: &Path, lines: &[Vec<u8>]) -> PathBuf {
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

/// Indexes with as little memory as makes many packs of little evidence.
fn add(dir: &Path, path: &Path, cluster: &str, derive: bool) {
    let options = BuildOptions {
        memory: 1,
        threads: 2,
        cluster: (!cluster.is_empty()).then(|| cluster.to_owned()),
        derive: if derive { Some(&DERIVE_LEDGERS) } else { None },
        ..BuildOptions::new(vec![path.to_owned()], dir.to_owned())
    };
    build(&options, &Quiet).unwrap();
}

/// How many packs have something kept, of how many.
fn kept(searcher: &Searcher) -> (usize, usize) {
    let parts = searcher.parts();
    let with = parts.iter().filter(|part| part.evidence.derived().unwrap().is_some()).count();
    (with, parts.len())
}

/// The ledgers of an index, which must be those of its events asked one question at a time.
fn agreed(dir: &Path) -> (Searcher, Ledgers) {
    let searcher = open(dir).unwrap();
    let ledgers = Ledgers::build(&searcher).unwrap();
    assert_eq!(ledgers, Ledgers::scan(&searcher).unwrap());
    let report = verify(dir).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    (searcher, ledgers)
}

/// Ledgers without the ids of events, which are each evidence's own.
fn without_ids(mut ledgers: Ledgers) -> Ledgers {
    let none = EventId(0);
    for pod in &mut ledgers.addresses.pods {
        pod.events.fill(none);
    }
    for interval in ledgers.addresses.intervals.values_mut().flatten() {
        interval.proof.iter_mut().for_each(|(_, id)| *id = none);
    }
    ledgers.addresses.nodes.values_mut().for_each(|facts| facts.proof.fill(none));
    ledgers.addresses.forgeries.iter_mut().for_each(|forgery| forgery.event = none);
    ledgers.credentials.minted.values_mut().for_each(|mint| mint.event = none);
    for credential in ledgers.credentials.used.values_mut() {
        credential.mint.iter_mut().for_each(|mint| mint.event = none);
    }
    ledgers
}

#[test]
fn kept_with_packs_and_asked_of_events_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let all = lines(5, 6_000);
    let path = write(&folder.path().join("a.log"), &all);
    let dir = folder.path().join("index");
    add(&dir, &path, "", true);
    let (searcher, ledgers) = agreed(&dir);
    let (with, packs) = kept(&searcher);
    assert!(with == packs && packs > 3, "{with} of {packs} packs");
    assert!(ledgers.addresses.pods.len() > 10 && ledgers.credentials.used.len() > 10);
    assert!(!ledgers.credentials.minted.is_empty() && !ledgers.addresses.nodes.is_empty());
    let text = String::from_utf8(all.join(&b'\n')).unwrap();
    let memory = Ledgers::build(&MemoryEvidence::from_lines("a.log", &text)).unwrap();
    assert_eq!(without_ids(ledgers), without_ids(memory));
}

#[test]
fn clusters_increments_packs_of_before_and_dropped_days() {
    let folder = tempfile::tempdir().unwrap();
    let all = lines(6, 6_000);
    let (first, rest) = all.split_at(2_500);
    let (second, third) = rest.split_at(1_500);
    let dir = folder.path().join("index");
    // The middle comes last, the middle run keeps nothing, as a program of before did.
    add(&dir, &write(&folder.path().join("a.log"), first), "east", true);
    agreed(&dir);
    add(&dir, &write(&folder.path().join("c.log"), third), "east", false);
    let (searcher, _) = agreed(&dir);
    let (with, packs) = kept(&searcher);
    assert!(0 < with && with < packs, "{with} of {packs} packs");
    add(&dir, &write(&folder.path().join("b.log"), second), "east", true);
    let (_, in_pieces) = agreed(&dir);
    let whole_dir = folder.path().join("whole");
    let whole = write(&folder.path().join("whole.log"), &all);
    add(&whole_dir, &whole, "east", true);
    let (_, at_once) = agreed(&whole_dir);
    assert_eq!(without_ids(in_pieces), without_ids(at_once.clone()));
    // The same names in another cluster are other pods.
    let other = lines(7, 2_000);
    add(&whole_dir, &write(&folder.path().join("west.log"), &other), "west", true);
    let (_, both) = agreed(&whole_dir);
    let clusters: Vec<&str> = both.addresses.clusters().into_iter().collect();
    assert_eq!(clusters, ["east", "west"]);
    assert!(both.addresses.pods.len() > at_once.addresses.pods.len());
    let spans = Manifest::load(&whole_dir).unwrap().packs;
    let moment = spans.iter().filter_map(|pack| pack.last).min().unwrap() + 1;
    let dropped = prune(&whole_dir, Timestamp(moment)).unwrap();
    assert!(dropped.packs > 0);
    let (searcher, _) = agreed(&whole_dir);
    assert_eq!(kept(&searcher).0, kept(&searcher).1);
    let all = searcher.count(&audithound::query::ast::QueryAst::All, TimeRange::ALL).unwrap();
    assert!(all > 0);
}

#[test]
fn the_reference_evidence_alike() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/realdata/ralvares-security-demos/audit.log");
    if !path.exists() {
        eprintln!("{} is not there: skipped", path.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    add(&dir, &path, "", true);
    let (searcher, ledgers) = agreed(&dir);
    assert_eq!(kept(&searcher).0, kept(&searcher).1);
    assert_eq!(ledgers.credentials.accused().count(), 1);
}
