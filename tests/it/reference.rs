//! `--keep-raw=reference`: lines stay in their sources, and nothing else changes.

use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use audithound::event::time::TimeRange;
use audithound::index::build::BuildOptions;
use audithound::index::build::BuildSummary;
use audithound::index::build::KeepRaw;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::index::verify::verify;
use audithound::query::ast::QueryAst;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::search::error::SearchError;
use audithound::search::evidence::EventId;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;

use crate::agree::check;
use crate::agree::compare_rows;
use crate::agree::corpus_questions;
use crate::agree::oracle;
use crate::agree::question;
use crate::corpus;
use crate::corpus::rng::Rng;

fn add(dir: &Path, paths: &[PathBuf], keep_raw: KeepRaw) -> BuildSummary {
    // Small pieces, so that there are several packs.
    let options = BuildOptions {
        keep_raw,
        derive: Some(&audithound::ledger::partial::DERIVE_LEDGERS),
        threads: 2,
        memory: 14 << 20,
        ..BuildOptions::new(paths.to_vec(), dir.to_owned())
    };
    let summary = build(&options, &Quiet).unwrap();
    assert!(summary.counts.balances());
    summary
}

fn refer(dir: &Path, paths: &[PathBuf]) -> Searcher {
    add(dir, paths, KeepRaw::Reference);
    let searcher = open(dir).unwrap();
    for number in 0..searcher.index.n_packs() {
        assert!(searcher.index.pack(number).unwrap().refers(), "pack {number} refers");
    }
    searcher
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn all(searcher: &Searcher) -> Vec<EventId> {
    let hits = searcher.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
    hits.iter().map(|hit| hit.id).collect()
}

fn size(dir: &Path) -> u64 {
    let packs = |entry: &std::fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with("packs-").then(|| entry.metadata().unwrap())
    };
    std::fs::read_dir(dir).unwrap().filter_map(|e| packs(&e.unwrap())).map(|m| m.len()).sum()
}

/// Ordinary events, of two days, as lines.
fn ordinary(seed: u64, events: u64) -> Vec<u8> {
    let options =
        corpus::CorpusOptions { seed, events, days: 2.0, ..corpus::CorpusOptions::default() };
    let mut text = Vec::new();
    corpus::generate(&options, &mut |line| {
        text.extend_from_slice(line);
        text.push(b'\n');
    });
    text
}

#[test]
fn a_referring_index_answers_what_a_scan_answers() {
    let folder = tempfile::tempdir().unwrap();
    let odd = corpus::odd_events(5, 300).join(&b'\n');
    for (name, text, questions) in [("odd.log", odd, 80), ("ordinary.log", ordinary(3, 2_000), 40)]
    {
        for packed in [false, true] {
            let path = folder.path().join(if packed { format!("{name}.gz") } else { name.into() });
            let bytes = if packed { gzip(&text) } else { text.clone() };
            std::fs::write(&path, bytes).unwrap();
            let plain = oracle(&path.display().to_string(), &text);
            let dir = folder.path().join(format!("{name}-{packed}.index"));
            let index = refer(&dir, std::slice::from_ref(&path));
            assert_eq!(index.index.manifest.totals.events, plain.len() as u64);
            let mut rng = Rng::new(7);
            for _ in 0..questions {
                check(&question(&mut rng, &plain, 2), &index, &plain);
            }
            for text in corpus_questions() {
                check(text, &index, &plain);
            }
            compare_rows(&index, &plain);
            let report = verify(&dir).unwrap();
            assert_eq!(report.problems, Vec::<String>::new());
        }
    }
}

/// Every event of two indexes with its raw text.
fn assert_same(ours: &Searcher, theirs: &Searcher) {
    let (a, b) = (all(ours), all(theirs));
    assert_eq!(a.len(), b.len());
    let (a, b) = (ours.fetch_many(&a).unwrap(), theirs.fetch_many(&b).unwrap());
    for (a, b) in a.iter().zip(&b) {
        assert_eq!((&a.place, &a.raw, &a.event), (&b.place, &b.raw, &b.event));
        assert_eq!((&a.envelope, &a.origin, a.time), (&b.envelope, &b.origin, b.time));
    }
}

#[test]
fn wrapped_events_arrays_and_archives_come_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<Vec<u8>> =
        ordinary(4, 6_000).split(|c| *c == b'\n').map(<[u8]>::to_vec).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).filter(|l| !l.is_empty()).collect();
    let escaped = |line: &[u8]| serde_json::to_string(&String::from_utf8_lossy(line)).unwrap();
    let splunk: String = lines[..1000]
        .iter()
        .map(|line| format!("{{\"preview\":false,\"result\":{{\"_raw\":{}}}}}\n", escaped(line)))
        .collect();
    let csv: String = std::iter::once("\"_time\",\"_raw\"\n".to_owned())
        .chain(lines[1000..2000].iter().map(|line| {
            format!("\"x\",\"{}\"\n", String::from_utf8_lossy(line).replace('"', "\"\""))
        }))
        .collect();
    // Larger than a piece, so that it is read by its elements.
    let list = [
        br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":["#.as_slice(),
        &lines[2000..4500].join(&b','),
        b"]}\n",
    ]
    .concat();
    let log = lines[4500..].join(&b'\n');
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in
        [("m/list.json", list), ("m/audit_logs/kube-apiserver/n1-audit.log.gz", gzip(&log))]
    {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    let evidence = folder.path().join("evidence");
    std::fs::create_dir(&evidence).unwrap();
    std::fs::write(evidence.join("mg.tar.gz"), gzip(&archive.into_inner().unwrap())).unwrap();
    std::fs::write(evidence.join("splunk.json"), splunk).unwrap();
    std::fs::write(evidence.join("splunk.csv"), csv).unwrap();
    let (stored, referring) = (folder.path().join("stored"), folder.path().join("referring"));
    add(&stored, std::slice::from_ref(&evidence), KeepRaw::Store);
    let ours = refer(&referring, std::slice::from_ref(&evidence));
    assert_eq!(ours.index.manifest.totals.events, 6_000);
    assert_same(&ours, &open(&stored).unwrap());
    assert_eq!(verify(&referring).unwrap().problems, Vec::<String>::new());
    let (ours, theirs) = (size(&referring), size(&stored));
    eprintln!("{ours} bytes instead of {theirs}");
    assert!(ours * 4 < theirs * 3, "{ours} bytes instead of {theirs}");
    // The same evidence once more is known or found again, by comparing with lines read again.
    let copy = folder.path().join("copy.log");
    std::fs::write(&copy, log).unwrap();
    let again = add(&referring, &[evidence, copy], KeepRaw::Reference);
    assert_eq!((again.counts.events, again.counts.duplicates), (0, 1_500));
}

#[test]
fn a_source_that_is_gone_changed_or_moved_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let (path, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    let text = ordinary(5, 3_000);
    std::fs::write(&path, &text).unwrap();
    refer(&dir, std::slice::from_ref(&path));
    let ask = |question: &str| {
        let question = parse(question, &ParseOptions::default()).unwrap();
        open(&dir).unwrap().count(&question, TimeRange::ALL)
    };
    let body = "requestObject.spec:*";
    let (hot, cold) = (ask("verb:get").unwrap(), ask(body).unwrap());
    assert!(hot > 0 && cold > 0);
    let refused = |what: &str| {
        // What needs no lines goes on; what does is an error that names source and place.
        assert_eq!(ask("verb:get").unwrap(), hot, "{what}");
        let error = ask(body).unwrap_err();
        assert!(matches!(&error, SearchError::SourceChanged(_)), "{error:?}");
        let told = error.to_string();
        let name = path.display().to_string();
        assert!(told.contains(what) && told.contains(&name) && told.contains("byte"), "{told}");
        assert!(told.contains("audithound index"), "{told}");
        let searcher = open(&dir).unwrap();
        assert!(searcher.fetch_many(&all(&searcher)).is_err());
        let problems = verify(&dir).unwrap().problems;
        assert!(problems.iter().any(|problem| problem.contains(what)), "{problems:?}");
    };
    // One byte is another one: in no event at all, or in one.
    let at = memchr::memmem::find(&text, b"ResponseComplete").unwrap();
    let mut other = text.clone();
    other[at] = b'r';
    std::fs::write(&path, &other).unwrap();
    refused("has changed");
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    refused("has changed");
    std::fs::remove_file(&path).unwrap();
    refused("is gone");
    // It is found under another name once that was given.
    let moved = folder.path().join("elsewhere.log");
    std::fs::write(&moved, &text).unwrap();
    assert_eq!(add(&dir, &[moved], KeepRaw::Reference).skipped.len(), 1);
    assert_eq!(ask(body).unwrap(), cold);
    assert_eq!(ask("verb:get").unwrap(), hot);
}

#[test]
fn a_log_that_grows_and_is_rotated_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, dir) = (folder.path().join("audit.log"), folder.path().join("index"));
    let text = ordinary(6, 2_000);
    let half = memchr::memrchr(b'\n', &text[..text.len() / 2]).unwrap() + 1;
    std::fs::write(&path, &text[..half + 100]).unwrap();
    refer(&dir, std::slice::from_ref(&path));
    std::fs::write(&path, &text).unwrap();
    refer(&dir, std::slice::from_ref(&path));
    let rotated = folder.path().join("audit-2025-12-09T12-00-00.000.log");
    std::fs::rename(&path, &rotated).unwrap();
    std::fs::write(&path, ordinary(7, 100)).unwrap();
    let index = refer(&dir, &[path, rotated]);
    let raws: u64 =
        index.fetch_many(&all(&index)).unwrap().iter().map(|e| e.raw.len() as u64 + 1).sum();
    assert_eq!(raws, (text.len() + ordinary(7, 100).len()) as u64);
    assert_eq!(verify(&dir).unwrap().problems, Vec::<String>::new());
}

#[test]
fn standard_input_and_mixed_packs_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("index");
    let text = ordinary(8, 200);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_audithound"))
        .env_remove("AUDITHOUND_INDEX")
        .args(["index", "-", "--keep-raw=reference", "--index"])
        .arg(&dir)
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("its lines are stored"));
    let index = open(&dir).unwrap();
    assert!(!index.index.pack(0).unwrap().refers());
    assert_eq!(index.fetch_many(&all(&index)).unwrap().len(), 200);
}
