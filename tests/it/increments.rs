//! Evidence that comes again, grows, rotates, overlaps, and runs that die.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use audithound::event::time::TimeRange;
use audithound::event::time::Timestamp;
use audithound::index::build::BuildOptions;
use audithound::index::build::BuildSummary;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::index::prune::prune;
use audithound::index::verify::verify;
use audithound::query::ast::QueryAst;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;

use crate::corpus;
use crate::corpus::rng::Rng;

fn lines(seed: u64, events: u64) -> Vec<Vec<u8>> {
    let options =
        corpus::CorpusOptions { seed, events, days: 2.0, ..corpus::CorpusOptions::default() };
    let mut lines = Vec::new();
    corpus::generate(&options, &mut |line| lines.push(line.to_vec()));
    lines
}

fn write(path: &Path, lines: &[Vec<u8>]) {
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    std::fs::write(path, text).unwrap();
}

fn add(dir: &Path, paths: &[PathBuf]) -> BuildSummary {
    build(&BuildOptions::new(paths.to_vec(), dir.to_owned()), &Quiet).unwrap()
}

/// Every event with its place, as text.
fn content(searcher: &Searcher) -> Vec<String> {
    let hits = searcher.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
    let ids: Vec<_> = hits.iter().map(|hit| hit.id).collect();
    let events = searcher.fetch_many(&ids).unwrap();
    events
        .iter()
        .map(|event| {
            let place = event.place;
            let name = searcher.source_name(place.source);
            let file = Path::new(&name).file_name().unwrap().to_string_lossy().into_owned();
            let raw = String::from_utf8_lossy(&event.raw);
            format!("{file} {} {} {} {raw}", place.offset, place.line, place.item)
        })
        .collect()
}

fn verified(dir: &Path) {
    let report = verify(dir).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[test]
fn the_same_file_again_renamed_grown_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    let all = lines(1, 600);
    write(&log, &all[..400]);
    assert_eq!(add(&dir, std::slice::from_ref(&log)).counts.events, 400);
    let again = add(&dir, std::slice::from_ref(&log));
    assert_eq!((again.counts.events, again.counts.duplicates, again.skipped.len()), (0, 0, 1));
    // It grows: only the new lines are read.
    write(&log, &all[..500]);
    let grown = add(&dir, std::slice::from_ref(&log));
    assert_eq!((grown.counts.events, grown.counts.duplicates), (100, 0));
    // It is rotated: another name, the same content; a new file begins.
    let rotated = folder.path().join("audit-2025-12-09T12-00-00.000.log");
    std::fs::rename(&log, &rotated).unwrap();
    write(&log, &all[500..]);
    let both = add(&dir, &[rotated.clone(), log.clone()]);
    assert_eq!((both.counts.events, both.counts.duplicates, both.skipped.len()), (100, 0, 1));
    let searcher = open(&dir).unwrap();
    assert_eq!(searcher.count(&QueryAst::All, TimeRange::ALL).unwrap(), 600);
    // It is changed in its middle: said, and what is new in it goes in.
    let mut other = all[500..].to_vec();
    other[3] =
        String::from_utf8(other[3].clone()).unwrap().replace("ResponseComplete", "Panic").into();
    write(&log, &other);
    let changed = add(&dir, std::slice::from_ref(&log));
    assert!(changed.problems.iter().any(|(_, what)| what.contains("changed")), "{changed:?}");
    assert_eq!(changed.counts.events + changed.counts.duplicates, 100);
}

#[test]
fn a_line_that_was_half_written_is_read_whole_later() {
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    let all = lines(2, 10);
    let mut text = all[..9].join(&b'\n');
    text.push(b'\n');
    let whole = text.len();
    text.extend_from_slice(&all[9][..50]);
    std::fs::write(&log, &text).unwrap();
    let first = add(&dir, std::slice::from_ref(&log));
    assert_eq!((first.counts.events, first.counts.rejected), (9, 1));
    text.truncate(whole);
    text.extend_from_slice(&all[9]);
    text.push(b'\n');
    std::fs::write(&log, &text).unwrap();
    assert_eq!(add(&dir, &[log]).counts.events, 1);
    let searcher = open(&dir).unwrap();
    assert_eq!(searcher.count(&QueryAst::All, TimeRange::ALL).unwrap(), 10);
    // The half is no record any more, and counted nowhere.
    let totals = searcher.index.manifest.totals;
    assert_eq!((totals.records, totals.events, totals.rejected), (10, 10, 0));
    assert_eq!((totals.lines, totals.bytes), (10, text.len() as u64));
    assert_eq!(searcher.index.rejected().unwrap().len(), 0);
    verified(&dir);
}

#[test]
fn overlapping_archives_keep_every_event_once_with_all_its_places() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    let all = lines(3, 500);
    let (a, b) = (folder.path().join("a.log"), folder.path().join("b.log"));
    write(&a, &all[..300]);
    // The second archive overlaps, and repeats one of its own lines.
    let mut second = all[200..].to_vec();
    second.push(all[450].clone());
    write(&b, &second);
    let summary = add(&dir, &[a, b]);
    assert_eq!(summary.counts.events, 500);
    assert_eq!(summary.counts.duplicates, 101);
    assert_eq!(summary.counts.repeats, 1);
    let searcher = open(&dir).unwrap();
    let hits = searcher.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
    assert_eq!(hits.len(), 500);
    let places: usize = hits.iter().map(|hit| searcher.further_places(hit.id).unwrap().len()).sum();
    assert_eq!(places, 101);
    verified(&dir);
}

#[test]
fn old_days_are_dropped_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    let all = lines(4, 400);
    let paths: Vec<PathBuf> = (0..4)
        .map(|part| {
            let path = folder.path().join(format!("{part}.log"));
            write(&path, &all[part * 100..(part + 1) * 100]);
            // Each run makes packs of its own.
            add(&dir, std::slice::from_ref(&path));
            path
        })
        .collect();
    let before = open(&dir).unwrap();
    let first = before.index.manifest.packs[1].last.unwrap();
    drop(before);
    let summary = prune(&dir, audithound::event::time::Timestamp(first + 1)).unwrap();
    assert!(summary.packs >= 1, "{summary:?}");
    let after = open(&dir).unwrap();
    let left = after.count(&QueryAst::All, TimeRange::ALL).unwrap();
    assert_eq!(left + summary.events, 400);
    verified(&dir);
    assert_eq!(add(&dir, &paths).counts.events, 0);
}

#[test]
fn a_flipped_byte_anywhere_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    let mut all = lines(5, 120);
    all.push(b"no event".to_vec());
    all.push(all[7].clone());
    write(&log, &all);
    add(&dir, std::slice::from_ref(&log));
    verified(&dir);
    let mut rng = Rng::new(5);
    for name in ["packs-000001", "manifest.json", "rejected.jsonl", "duplicates.bin"] {
        let path = dir.join(name);
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..12 {
            let at = rng.below(whole.len() as u64 - 1) as usize;
            let mut broken = whole.clone();
            broken[at] ^= 0x11;
            std::fs::write(&path, &broken).unwrap();
            let found = match verify(&dir) {
                Ok(report) => !report.problems.is_empty(),
                Err(_) => true,
            };
            assert!(found, "byte {at} of {name}");
        }
        std::fs::write(&path, &whole).unwrap();
    }
    let whole = std::fs::read(&log).unwrap();
    let mut broken = whole.clone();
    broken[whole.len() / 2] ^= 1;
    std::fs::write(&log, &broken).unwrap();
    let report = verify(&dir).unwrap();
    assert_eq!(report.problems.len(), 1);
    assert!(report.problems[0].contains("line "), "{:?}", report.problems);
    std::fs::remove_file(&log).unwrap();
    let report = verify(&dir).unwrap();
    assert_eq!((report.problems.len(), report.gone.len()), (0, 1));
}

#[test]
fn two_writers_at_once_the_second_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    write(&log, &lines(6, 20));
    add(&dir, std::slice::from_ref(&log));
    let first = audithound::index::commit::Commit::open(&dir).unwrap();
    let error = build(&BuildOptions::new(vec![log.clone()], dir.clone()), &Quiet).unwrap_err();
    assert!(error.to_string().contains("another process is writing"), "{error}");
    drop(first);
    add(&dir, &[log]);
}

/// Kills the indexer at random moments until one run gets through; the index is what an
/// uninterrupted run makes of it.
#[test]
fn killed_while_writing() {
    let folder = tempfile::tempdir().unwrap();
    let all = lines(7, 12_000);
    let sources = folder.path().join("evidence");
    std::fs::create_dir(&sources).unwrap();
    write(&sources.join("a.log"), &all[..5_000]);
    let mut mixed = all[4_900..9_000].to_vec();
    mixed.insert(70, b"not an event".to_vec());
    write(&sources.join("b.log"), &mixed);
    let mut gz = flate2::write::GzEncoder::new(
        std::fs::File::create(sources.join("c.log.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    std::io::Write::write_all(&mut gz, &all[8_990..].join(&b'\n')).unwrap();
    gz.finish().unwrap();
    let calm = folder.path().join("calm");
    add(&calm, std::slice::from_ref(&sources));
    let calm = open(&calm).unwrap();
    let dir = folder.path().join("killed");
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_audithound"))
            .arg("index")
            .arg(&sources)
            .arg("--index")
            .arg(&dir)
            .args(["--memory", "92MiB", "--checkpoint-ms", "0", "--threads", "2"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut rng = Rng::new(7);
    let mut kills = 0;
    for round in 0..60 {
        let mut child = run();
        let patience = Duration::from_millis(rng.below(120 + round * 12));
        std::thread::sleep(patience);
        let ended = child.try_wait().unwrap();
        if ended.is_some_and(|status| status.success()) && round >= 50 {
            break;
        }
        if ended.is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
        // Whatever was committed opens, and holds a part of what will be there.
        if dir.join("manifest.json").exists() {
            let part = open(&dir).unwrap();
            assert!(
                part.count(&QueryAst::All, TimeRange::ALL).unwrap()
                    <= calm.index.manifest.totals.events
            );
        }
    }
    assert!(run().wait().unwrap().success());
    let killed = open(&dir).unwrap();
    assert_eq!(content(&killed), content(&calm), "after {kills} kills");
    let (a, b) = (killed.index.manifest.totals, calm.index.manifest.totals);
    assert_eq!(
        (a.events, a.duplicates, a.rejected, a.blank),
        (b.events, b.duplicates, b.rejected, b.blank)
    );
    verified(&dir);
    eprintln!("{kills} kills");
}

#[test]
fn a_wider_window_adds_what_lies_outside_the_former_one() {
    let folder = tempfile::tempdir().unwrap();
    let all = lines(11, 800);
    let log = folder.path().join("audit.log");
    write(&log, &all);
    let gz = folder.path().join("audit.log.gz");
    let mut packed = flate2::write::GzEncoder::new(
        std::fs::File::create(&gz).unwrap(),
        flate2::Compression::fast(),
    );
    std::io::Write::write_all(&mut packed, &std::fs::read(&log).unwrap()).unwrap();
    packed.finish().unwrap();
    for path in [log, gz] {
        let dir = folder.path().join(format!("{}.index", path.display()));
        let time = |tenths: i64| Timestamp(corpus::START + tenths * 2 * 8_640_000_000);
        let run = |since: Option<i64>, until: Option<i64>| {
            let range = TimeRange { since: since.map(time), until: until.map(time) };
            let options =
                BuildOptions { range, ..BuildOptions::new(vec![path.clone()], dir.clone()) };
            let summary = build(&options, &Quiet).unwrap();
            assert_eq!(summary.problems, vec![]);
            let index = open(&dir).unwrap();
            assert_eq!(index.index.manifest.sources.len(), 1);
            assert_eq!(verify(&dir).unwrap().problems, Vec::<String>::new());
            let totals = index.index.manifest.totals;
            assert_eq!((totals.records, totals.duplicates), (800, 0));
            assert_eq!(totals.events, index.count(&QueryAst::All, TimeRange::ALL).unwrap());
            (summary, totals.events, index.count(&QueryAst::All, range).unwrap())
        };
        let (_, few, asked) = run(Some(3), Some(5));
        assert_eq!(few, asked);
        assert!(few > 0 && few < 400, "{few}");
        // The same and a narrower one: nothing to read.
        assert_eq!(run(Some(3), Some(5)).0.skipped.len(), 1);
        assert_eq!(run(Some(4), Some(5)).0.skipped.len(), 1);
        let (summary, wider, asked) = run(Some(2), Some(6));
        assert_eq!((wider, asked), (few + summary.counts.events, wider));
        assert!(wider > few);
        // One beside it: what was asked for before stays.
        let (summary, beside, asked) = run(Some(8), None);
        assert_eq!(beside, wider + asked);
        assert_eq!(summary.counts.events, asked);
        let (_, whole, _) = run(None, None);
        assert_eq!(whole, 800);
        assert_eq!(run(None, None).0.skipped.len(), 1);
        assert_eq!(run(Some(1), None).0.skipped.len(), 1);
    }
}

#[test]
fn a_followed_window_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    let all = lines(12, 300);
    let range = TimeRange { since: Some(Timestamp(corpus::START + 17_280_000_000)), until: None };
    let mut events = 0;
    for upto in [100, 200, 300] {
        write(&log, &all[..upto]);
        let options = BuildOptions { range, ..BuildOptions::new(vec![log.clone()], dir.clone()) };
        let summary = build(&options, &Quiet).unwrap();
        assert_eq!((summary.problems.len(), summary.counts.records), (0, 100));
        events += summary.counts.events;
    }
    let index = open(&dir).unwrap();
    assert_eq!(index.count(&QueryAst::All, range).unwrap(), events);
    assert_eq!(index.index.manifest.totals.records, 300);
    verified(&dir);
}

#[test]
fn a_misspelt_path_leaves_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    let options = BuildOptions::new(vec![folder.path().join("no-such.log")], dir.clone());
    assert!(build(&options, &Quiet).is_err());
    assert!(!dir.exists());
}

#[test]
fn what_was_seen_before_is_never_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let (log, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    let all = lines(13, 100);
    write(&log, &all);
    add(&dir, std::slice::from_ref(&log));
    let reader = audithound::index::reader::IndexReader::open(&dir).unwrap();
    let footer = &reader.pack(0).unwrap().footer;
    let at = footer.frames[footer.identities as usize].offset as usize;
    let path = dir.join("packs-000001");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let copy = folder.path().join("copy.log");
    write(&copy, &all[..50]);
    let error = build(&BuildOptions::new(vec![copy], dir.clone()), &Quiet).unwrap_err();
    assert!(error.to_string().contains("packs-000001"), "{error}");
}
