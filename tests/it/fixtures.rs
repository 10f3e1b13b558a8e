//! The generated corpus and the fixtures are what they say: valid, repeatable, counted exactly.

use std::path::Path;
use std::path::PathBuf;

use audithound::event::json::Tape;
use audithound::event::json::parse_lenient;
use audithound::event::time::Timestamp;
use audithound::intake::PieceReader;
use audithound::intake::Tally;
use audithound::intake::record::Met;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::scan::MemoryEvidence;
use audithound::search::scan_paths::read_records;
use audithound::source::ReadItem;
use audithound::source::ReadOptions;
use audithound::source::Reader;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;

use crate::corpus::CorpusOptions;
use crate::corpus::FREQUENT_WORD;
use crate::corpus::Generated;
use crate::corpus::PROXY;
use crate::corpus::RARE_WORD;
use crate::corpus::VARIANTS;
use crate::corpus::Variant;
use crate::corpus::generate;
use crate::corpus::incident_variant;
use crate::corpus::odd_events;

fn lines(options: &CorpusOptions) -> (Vec<Vec<u8>>, Generated) {
    let mut lines = Vec::new();
    let generated = generate(options, &mut |line| lines.push(line.to_vec()));
    (lines, generated)
}

fn digest(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line);
        hash.update(b"\n");
    }
    hash.finalize().to_vec()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    let options = CorpusOptions { events: 2_000, ..CorpusOptions::default() };
    let other = CorpusOptions { seed: 2, ..options.clone() };
    assert_eq!(digest(&lines(&options).0), digest(&lines(&options).0));
    assert_ne!(digest(&lines(&options).0), digest(&lines(&other).0));
}

#[test]
fn what_was_counted_while_writing_is_found_by_reading() {
    let options = CorpusOptions { events: 20_000, ..CorpusOptions::default() };
    let (lines, generated) = lines(&options);
    let counts = &generated.counts;
    let events: Vec<Value> = lines.iter().map(|l| serde_json::from_slice(l).unwrap()).collect();
    let count = |test: &dyn Fn(&Value) -> bool| events.iter().filter(|e| test(e)).count() as u64;
    let word = |wanted: &str| {
        lines
            .iter()
            .filter(|line| {
                String::from_utf8_lossy(line)
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|word| word.eq_ignore_ascii_case(wanted))
            })
            .count() as u64
    };
    let denied = |e: &Value| e["user"]["username"] == crate::corpus::world::DENIED_USER;
    let code = |e: &Value| e["responseStatus"]["code"].as_u64().unwrap();
    assert_eq!(counts.events, lines.len() as u64);
    assert_eq!(counts.bytes, lines.iter().map(|l| l.len() as u64 + 1).sum::<u64>());
    assert_eq!(
        counts.with_body,
        count(&|e| e.get("requestObject").is_some() || e.get("responseObject").is_some())
    );
    assert_eq!(counts.host_pid, count(&|e| e["requestObject"]["spec"]["hostPID"] == true));
    assert_eq!(counts.exec, count(&|e| e["objectRef"]["subresource"] == "exec"));
    assert_eq!(
        counts.secrets_list,
        count(&|e| e["objectRef"]["resource"] == "secrets" && e["verb"] == "list")
    );
    assert_eq!(counts.rare, word(RARE_WORD));
    assert_eq!(counts.frequent, word(FREQUENT_WORD));
    assert_eq!(counts.denied_user, count(&denied));
    assert_eq!(counts.denied_403, count(&|e| denied(e) && code(e) == 403));
    let address = generated.vocabulary.denied_address.as_str();
    assert_eq!(counts.denied_address, count(&|e| e["sourceIPs"][0] == address));
    assert_eq!(counts.failed, count(&|e| code(e) >= 400));
    assert_eq!(
        counts.anonymous_403,
        count(&|e| e["user"]["username"] == "system:anonymous" && code(e) == 403)
    );
    assert_eq!(
        counts.pod_creates,
        count(&|e| e["objectRef"]["resource"] == "pods" && e["verb"] == "create")
    );
    let share = counts.with_body as f64 / counts.events as f64;
    assert!((0.25..0.35).contains(&share), "{share} of the events have bodies");
    let share = counts.frequent as f64 / counts.events as f64;
    assert!((0.25..0.35).contains(&share), "{share} of the events hold the frequent word");
    let mean = counts.bytes / counts.events;
    assert!((1_200..1_450).contains(&mean), "{mean} bytes an event");
    for needle in
        [counts.host_pid, counts.exec, counts.secrets_list, counts.rare, counts.denied_address]
    {
        assert!(needle > 0, "a needle is missing: {counts:?}");
    }
}

#[test]
fn without_bodies_every_event_is_at_metadata_level() {
    let options = CorpusOptions { events: 1_000, bodies: false, ..CorpusOptions::default() };
    let (lines, generated) = lines(&options);
    assert_eq!(generated.counts.with_body, 0);
    for line in &lines {
        let event: Value = serde_json::from_slice(line).unwrap();
        assert_eq!(event["level"], "Metadata");
        assert!(event.get("requestObject").is_none() && event.get("responseObject").is_none());
    }
}

#[test]
fn every_variant_of_the_incident_holds_the_events_of_its_truth() {
    for variant in VARIANTS {
        let (lines, truth) = incident_variant(7, variant);
        let mut found = std::collections::BTreeMap::new();
        for line in &lines {
            let event: Value = serde_json::from_slice(&line.text).unwrap();
            let key = (
                event["auditID"].as_str().unwrap().to_string(),
                event["stage"] == "ResponseStarted",
                event["requestReceivedTimestamp"].as_str().unwrap().to_string(),
            );
            assert!(found.insert((key, line.log), event).is_none(), "the same event twice");
        }
        let lists =
            [&truth.steps, &truth.consequences, &truth.hypotheses, &truth.innocent, &truth.second];
        for step in lists.into_iter().flatten() {
            assert!(!step.claim.is_empty(), "{variant:?} {} has no claim", step.step);
            for wanted in &step.events {
                let time = Timestamp(wanted.received).to_rfc3339();
                let hits = found
                    .keys()
                    .filter(|((id, started, at), _)| {
                        *id == wanted.audit_id && *started == wanted.started && *at == time
                    })
                    .count();
                assert_eq!(hits, 1, "{variant:?} {} {wanted:?}", step.step);
            }
        }
        let text: Vec<&[u8]> = lines.iter().map(|line| line.text.as_slice()).collect();
        let holds = |needle: &str| {
            text.iter()
                .filter(|line| memchr::memmem::find(line, needle.as_bytes()).is_some())
                .count()
        };
        assert_eq!(holds("credential-id") == 0, variant == Variant::NoCredentialIds);
        assert_eq!(holds("requestObject") == 0, variant == Variant::BodiesStripped);
        assert_eq!(holds(PROXY) > 0, variant == Variant::ProxyInFront);
        let aggregated = lines.iter().filter(|line| line.log != "kube-apiserver").count();
        assert_eq!(aggregated, usize::from(variant == Variant::AggregatedServer));
        let ids = truth.audit_ids().len();
        match variant {
            Variant::ClientSetAuditId => assert_eq!(ids, 8),
            Variant::AggregatedServer => assert_eq!(ids, 20),
            _ => assert_eq!(ids, 19, "{variant:?}"),
        }
    }
}

#[test]
fn odd_events_are_read_by_the_tolerant_parser_and_come_in_every_shape() {
    let events = odd_events(3, 3_000);
    assert_eq!(events, odd_events(3, 3_000));
    let mut tape = Tape::default();
    let mut plain = 0;
    for line in &events {
        let text = line.strip_prefix(b"cp-0 ").unwrap_or(line);
        assert!(
            parse_lenient(text, &mut tape).is_ok(),
            "not JSON: {}",
            String::from_utf8_lossy(text)
        );
        plain += usize::from(serde_json::from_slice::<Value>(line).is_ok());
    }
    // Numbers past 64 bits parse, lone surrogates and deep nesting do not: both kinds occur.
    assert!(plain > 2_500 && plain < 2_990, "{plain}");
}

/// What `expect.toml` of a case says.
pub struct Expect {
    pub records: u64,
    pub events: u64,
    pub blank: u64,
    pub rejected: u64,
    pub duplicates: u64,
    pub queries: Vec<(String, u64)>,
}

impl Expect {
    /// Reads the few forms of TOML that the generator writes.
    pub fn read(dir: &Path) -> Expect {
        let text = std::fs::read_to_string(dir.join("expect.toml")).unwrap();
        let number = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.unwrap_or_else(|| panic!("{key} in {}", dir.display())).parse().unwrap()
        };
        let mut queries: Vec<(String, u64)> = Vec::new();
        for line in text.lines() {
            if let Some(ask) = line.strip_prefix("ask = '") {
                queries.push((ask.strip_suffix('\'').unwrap().to_string(), 0));
            } else if let Some(count) = line.strip_prefix("count = ") {
                queries.last_mut().unwrap().1 = count.parse().unwrap();
            }
        }
        Expect {
            records: number("records"),
            events: number("events"),
            blank: number("blank"),
            rejected: number("rejected"),
            duplicates: number("duplicates"),
            queries,
        }
    }
}

/// Returns every case, sorted by name.
pub fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("index-fixtures/audit-logs");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Returns the evidence of a case.
pub fn evidence_of(case: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(case)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("expect.toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_fixture_is_read_to_its_last_record() {
    let mut wrong = Vec::new();
    for case in cases() {
        let expect = Expect::read(&case);
        assert_eq!(
            expect.records,
            expect.events + expect.blank + expect.rejected + expect.duplicates
        );
        let mut tally = Tally::default();
        let mut told = String::new();
        let mut reader = PieceReader::new();
        let mut info = None;
        for item in Reader::open(&evidence_of(&case), ReadOptions::default()).unwrap() {
            match item {
                ReadItem::Start(source) => info = Some(source),
                ReadItem::Piece(piece) => {
                    let mut sink = |met: Met<'_>, _: &Tape| {
                        if let Met::Rejected(rejected) = met {
                            told.push_str(&format!(
                                " line {}: {};",
                                rejected.place.line, rejected.reason
                            ));
                        }
                    };
                    tally += reader.read(&piece, info.as_ref().unwrap(), &mut sink);
                }
                ReadItem::Refused { name, reason } => told.push_str(&format!(" {name}: {reason};")),
                ReadItem::End(_) | ReadItem::File(_) => {}
            }
        }
        // Intake knows no duplicates; whoever keeps the events does.
        let got = (tally.records, tally.events, tally.blank, tally.rejected);
        let want =
            (expect.records, expect.events + expect.duplicates, expect.blank, expect.rejected);
        if got != want {
            wrong.push(format!("{}: got {got:?}, want {want:?};{told}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "(records, events, blank, rejected)\n{}", wrong.join("\n"));
}

fn held(paths: &[PathBuf]) -> MemoryEvidence {
    let mut records = Vec::new();
    read_records(paths, None, &mut |record| records.push(record)).unwrap();
    MemoryEvidence::new(records)
}

#[test]
fn a_plain_scan_of_every_fixture_finds_what_was_written() {
    let mut wrong = Vec::new();
    for case in cases() {
        let expect = Expect::read(&case);
        if expect.duplicates > 0 {
            continue;
        }
        let evidence = held(&evidence_of(&case));
        for (ask, count) in &expect.queries {
            let question = parse(ask, &ParseOptions::default()).unwrap();
            let total = evidence.search(&question, &SearchOptions::default()).unwrap().total;
            if total != *count {
                wrong.push(format!("{} {ask}: {total}, not {count}", case.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_truth_of_the_demo_stands_in_the_demo() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("index-fixtures");
    let text = std::fs::read_to_string(root.join("incident_truth.jsonl")).unwrap();
    let evidence = held(&evidence_of(&root.join("audit-logs/demo")));
    let mut events = 0;
    for line in text.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        assert_eq!(step["n_events"], step["events"].as_array().unwrap().len());
        for event in step["events"].as_array().unwrap() {
            let word = |key: &str| event[key].as_str().unwrap().to_string();
            let ask = format!(
                "id:{} AND stage:{} AND time:\"{}\"",
                word("auditID"),
                word("stage"),
                word("t")
            );
            let question = parse(&ask, &ParseOptions::default()).unwrap();
            let total = evidence.search(&question, &SearchOptions::default()).unwrap().total;
            assert_eq!(total, 1, "{ask}");
            events += 1;
        }
    }
    assert!(events > 50);
}
