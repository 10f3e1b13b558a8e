//! A log that was followed for long leaves few packs, and nothing else differs.

use std::path::Path;
use std::path::PathBuf;

use audithound::index::build::BuildOptions;
use audithound::index::build::KeepRaw;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::index::verify::verify;
use audithound::query::ast::QueryAst;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;

use crate::corpus;

/// Runs after each of which the log is longer.
const RUNS: usize = 70;

fn lines(seed: u64, events: u64, start_days: i64) -> Vec<Vec<u8>> {
    let options = corpus::CorpusOptions {
        seed,
        events,
        days: 0.3,
        start: corpus::START + start_days * 86_400_000_000,
        ..corpus::CorpusOptions::default()
    };
    let mut lines = Vec::new();
    corpus::generate(&options, &mut |line| lines.push(line.to_vec()));
    lines
}

fn add(dir: &Path, paths: &[PathBuf], keep_raw: KeepRaw) {
    let options = BuildOptions {
        keep_raw,
        derive: Some(&audithound::ledger::partial::DERIVE_LEDGERS),
        ..BuildOptions::new(paths.to_vec(), dir.to_owned())
    };
    build(&options, &Quiet).unwrap();
}

/// Everything that is known of every event, as text.
fn content(searcher: &Searcher) -> Vec<String> {
    let hits = searcher.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
    let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
    let events = searcher.fetch_many(&ids).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = ids.iter().zip(&events).map(|(id, event)| {
        let further = searcher.further_places(*id).unwrap();
        let (raw, own) = (text(&event.raw), text(&event.event));
        let (place, origin, envelope) = (event.place, &event.origin, &event.envelope);
        format!("{place:?} {:?} {origin:?} {envelope:?} {further:?} {raw} {own}", event.time)
    });
    told.collect()
}

/// Grows a log in many runs; a second log overlaps it, a third one wraps its events.
fn followed(folder: &Path, dir: &Path, keep_raw: KeepRaw) {
    let (log, other) = (folder.join("audit.log"), folder.join("copy.log"));
    let wrapped = folder.join("splunk.json");
    let all = lines(1, 10 * RUNS as u64, 0);
    let wrap = |line: &[u8]| {
        let raw = serde_json::to_string(&String::from_utf8_lossy(line)).unwrap();
        format!("{{\"preview\":false,\"result\":{{\"_raw\":{raw}}}}}\n")
    };
    let wraps: String = lines(2, 30, 0).iter().map(|line| wrap(line)).collect();
    for run in 1..=RUNS {
        // Every other time the last line is half written.
        let mut text = all[..10 * run].join(&b'\n');
        text.push(b'\n');
        if run % 2 == 1 && run < RUNS {
            text.extend_from_slice(&all[10 * run][..50]);
        }
        std::fs::write(&log, &text).unwrap();
        let mut paths = vec![log.clone()];
        if run == 20 {
            std::fs::write(&other, all[50..150].join(&b'\n')).unwrap();
            std::fs::write(&wrapped, &wraps).unwrap();
            paths.extend([other.clone(), wrapped.clone()]);
        }
        add(dir, &paths, keep_raw);
    }
}

#[test]
fn many_small_packs_become_one_and_nothing_else_changes() {
    for keep_raw in [KeepRaw::Store, KeepRaw::Reference] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("index");
        followed(folder.path(), &dir, keep_raw);
        let searcher = open(&dir).unwrap();
        let packs = searcher.index.n_packs();
        assert!(packs < 12, "{packs} packs, {keep_raw:?}");
        assert_eq!(searcher.index.manifest.totals.duplicates, 100);
        // One run over the same evidence, in the order it was met.
        let again = folder.path().join("again");
        let paths =
            ["audit.log", "copy.log", "splunk.json"].map(|name| folder.path().join(name)).to_vec();
        add(&again, &paths, KeepRaw::Store);
        let (ours, theirs) = (content(&searcher), content(&open(&again).unwrap()));
        assert_eq!(ours.len(), 10 * RUNS + 30);
        assert_eq!(ours, theirs, "{keep_raw:?}");
        assert_eq!(verify(&dir).unwrap().problems, Vec::<String>::new());
        let files = std::fs::read_dir(&dir).unwrap().flatten();
        let files = files.filter(|f| f.file_name().to_string_lossy().starts_with("packs-"));
        assert!(files.count() < 12);
    }
}

#[test]
fn a_pass_that_is_killed_between_its_steps_leaves_the_old_packs_or_the_new() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    // One run less than makes a pass.
    let log = folder.path().join("audit.log");
    let all = lines(1, 640, 0);
    for run in 1..=63 {
        std::fs::write(&log, [&all[..10 * run].join(&b'\n')[..], b"\n"].concat()).unwrap();
        add(&dir, std::slice::from_ref(&log), KeepRaw::Store);
    }
    let twice = folder.path().join("twice.log");
    std::fs::write(&twice, all[..5].join(&b'\n')).unwrap();
    add(&dir, &[twice], KeepRaw::Store);
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to).unwrap();
        for file in std::fs::read_dir(from).unwrap().flatten() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    };
    let before = folder.path().join("before");
    copy(&dir, &before);
    let reading = open(&dir).unwrap();
    assert_eq!(reading.index.n_packs(), 63);
    std::fs::write(&log, [&all.join(&b'\n')[..], b"\n"].concat()).unwrap();
    add(&dir, std::slice::from_ref(&log), KeepRaw::Store);
    let after = open(&dir).unwrap();
    assert_eq!(after.index.n_packs(), 1);
    // Who reads meanwhile goes on with what it opened.
    let old = content(&reading);
    assert_eq!(old.len(), 630);
    let whole = content(&after);
    assert_eq!(whole.len(), 640);
    // Killed before the manifest: the new pack stands there, nobody speaks of it.
    let killed = folder.path().join("killed-1");
    copy(&dir, &killed);
    copy(&before, &killed);
    assert_eq!(content(&open(&killed).unwrap()), old);
    add(&killed, std::slice::from_ref(&log), KeepRaw::Store);
    assert_eq!(content(&open(&killed).unwrap()), whole);
    assert_eq!(verify(&killed).unwrap().problems, Vec::<String>::new());
    // Killed after the manifest: the old packs still stand there, and the further places have not
    // changed their name.
    let killed = folder.path().join("killed-2");
    copy(&before, &killed);
    copy(&dir, &killed);
    std::fs::copy(dir.join("duplicates.bin"), killed.join("duplicates.bin.new")).unwrap();
    std::fs::copy(before.join("duplicates.bin"), killed.join("duplicates.bin")).unwrap();
    assert_eq!(content(&open(&killed).unwrap()), whole);
    add(&killed, std::slice::from_ref(&log), KeepRaw::Store);
    assert_eq!(content(&open(&killed).unwrap()), whole);
    assert_eq!(verify(&killed).unwrap().problems, Vec::<String>::new());
    let files = std::fs::read_dir(&killed).unwrap().flatten();
    let files = files.filter(|f| f.file_name().to_string_lossy().starts_with("packs-"));
    assert_eq!(files.count(), 1);
}
