//! The index returns what a plain scan of every event returns, whatever the thread count.

use std::collections::HashMap;
use std::collections::HashSet;
use std::path::Path;

use audithound::event::field::Field;
use audithound::event::place::Place;
use audithound::event::place::SourceId;
use audithound::event::time::TimeRange;
use audithound::event::time::Timestamp;
use audithound::event::zone::Zone;
use audithound::hunt::pivot::PivotContext;
use audithound::hunt::pivot::PivotOptions;
use audithound::hunt::pivot_registry::PIVOTS;
use audithound::index::build::BuildOptions;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::index::dedupe::canonical;
use audithound::intake::PieceReader;
use audithound::intake::record::Met;
use audithound::ledger::Ledgers;
use audithound::query::ast::QueryAst;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::query::resolve::resolve;
use audithound::search::evidence::Dated;
use audithound::search::evidence::EventId;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::Hit;
use audithound::search::evidence::SearchOptions;
use audithound::search::evidence::SortOrder;
use audithound::search::evidence::WantedPeer;
use audithound::search::evidence::Wider;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;
use audithound::search::scan::MemoryEvidence;
use audithound::search::scan::ScanRecord;
use audithound::source::Piece;
use audithound::source::SourceInfo;

use crate::corpus;
use crate::corpus::rng::Rng;

/// Builds an index of some files and opens it.
pub fn index_of(dir: &Path, paths: &[std::path::PathBuf], threads: usize) -> Searcher {
    let own = dir.join(format!("index-{threads}"));
    let options = BuildOptions { threads, ..BuildOptions::new(paths.to_vec(), own) };
    let summary = build(&options, &Quiet).unwrap();
    assert!(summary.counts.balances());
    open(&options.dir).unwrap()
}

/// Reads a file of lines the way the index does, duplicates left out, and holds it in memory.
pub fn oracle(name: &str, bytes: &[u8]) -> MemoryEvidence {
    let piece = Piece::of_lines(SourceId(0), bytes.to_vec());
    let info = SourceInfo {
        id: SourceId(0),
        name: name.to_owned(),
        hint: audithound::source::origin_of_name(name),
        modified: None,
    };
    let mut records: Vec<ScanRecord> = Vec::new();
    let mut forms = std::collections::HashSet::new();
    PieceReader::new().read(&piece, &info, &mut |met, _| {
        if let Met::Event(record) = met {
            if !forms.insert(canonical(&record.event)) {
                return;
            }
            records.push(ScanRecord {
                raw: record.raw.to_vec(),
                event: record.event.to_vec(),
                envelope: record.envelope.as_ref().map(|e| e.to_vec()),
                origin: record.origin.clone(),
                source: name.to_owned(),
                offset: record.place.offset,
                line: record.place.line,
                item: record.place.item,
                flags: record.flags.clone(),
                envelope_time: record.envelope_time,
            });
        }
    });
    MemoryEvidence::new(records)
}

fn places(evidence: &dyn Evidence, hits: &[Hit]) -> Vec<(Option<Timestamp>, String, u64, u32)> {
    hits.iter()
        .map(|hit| {
            let place = hit.place;
            (hit.time, evidence.source_name(place.source), place.offset, place.item)
        })
        .collect()
}

pub fn check(text: &str, index: &Searcher, plain: &MemoryEvidence) -> u64 {
    let Ok(question) = parse(text, &ParseOptions::default()) else { return 0 };
    check_ast(text, &question, index, plain)
}

fn check_ast(text: &str, question: &QueryAst, index: &Searcher, plain: &MemoryEvidence) -> u64 {
    for order in [SortOrder::Oldest, SortOrder::Newest] {
        let options = SearchOptions { order, ..SearchOptions::default() };
        let ours = index.search(question, &options).unwrap();
        let theirs = plain.search(question, &options).unwrap();
        assert_eq!(
            places(index, &ours.hits),
            places(plain, &theirs.hits),
            "question {text} in order {order:?}"
        );
        assert_eq!(ours.notes, theirs.notes, "notes of {text}");
        check_found(index, question, &options, &ours.hits);
        let some = SearchOptions { limit: 7, count_all: false, order, ..options };
        let few = index.search(question, &some).unwrap();
        let cut = theirs.hits.len().min(7);
        assert_eq!(
            places(index, &few.hits),
            places(plain, &theirs.hits[..cut]),
            "question {text} with a limit"
        );
        check_found(index, question, &some, &few.hits);
    }
    index.count(question, TimeRange::ALL).unwrap()
}

/// Who asks for no places gets the same events in the same order, and their places afterwards.
fn check_found(index: &Searcher, question: &QueryAst, options: &SearchOptions, hits: &[Hit]) {
    let found = index.find(question, options).unwrap().hits;
    let expected: Vec<Dated> = hits.iter().copied().map(Dated::from).collect();
    assert_eq!(found, expected, "{question:?} {options:?}");
    let ids: Vec<EventId> = found.iter().map(|hit| hit.id).collect();
    let places: Vec<Place> = hits.iter().map(|hit| hit.place).collect();
    assert_eq!(index.places(&ids).unwrap(), places);
}

/// Questions answered as one batch are answered as each alone.
fn check_together(questions: &[QueryAst], index: &Searcher, plain: &MemoryEvidence) {
    for (order, limit) in [(SortOrder::Oldest, 0), (SortOrder::Newest, 0), (SortOrder::Newest, 5)] {
        let options = SearchOptions { order, limit, ..SearchOptions::default() };
        let ours = index.search_all(questions, &options).unwrap();
        assert_eq!(ours.len(), questions.len());
        for (question, ours) in questions.iter().zip(ours) {
            let theirs = plain.search(question, &options).unwrap();
            assert_eq!(places(index, &ours.hits), places(plain, &theirs.hits), "{question}");
            assert_eq!(ours.total, theirs.total, "{question}");
        }
    }
    // Each beside one that it implies, of which those are counted that the last does not match.
    let options = SearchOptions::default();
    let either = questions.windows(2).map(|two| QueryAst::any_of(two.to_vec()));
    let beside = either.enumerate().map(|(at, wider)| (at % 3 > 0).then_some(wider));
    let wider = Wider { questions: beside.collect(), without: questions.last().cloned() };
    let ours = index.search_all_wider(questions, &wider, &options).unwrap();
    let theirs = plain.search_all_wider(questions, &wider, &options).unwrap();
    for (at, ((ours, n_ours), (theirs, n_theirs))) in ours.into_iter().zip(theirs).enumerate() {
        assert_eq!(places(index, &ours.hits), places(plain, &theirs.hits), "{}", questions[at]);
        assert_eq!(n_ours, n_theirs, "beside {}", questions[at]);
    }
}

/// Codes say the same as rows.
fn check_codes(index: &Searcher, plain: &MemoryEvidence) {
    let options = SearchOptions::default();
    for evidence in [index as &dyn Evidence, plain] {
        let hits = evidence.search(&QueryAst::All, &options).unwrap().hits;
        let ids: Vec<EventId> = hits.iter().rev().step_by(3).map(|hit| hit.id).collect();
        let fields: Vec<Field> = FIELDS.iter().map(|name| resolve(name).unwrap()).collect();
        let rows = evidence.rows(&ids, &fields).unwrap();
        for (at, codes) in evidence.codes(&ids, &fields).unwrap().into_iter().enumerate() {
            let column: Vec<Vec<String>> = rows.iter().map(|row| row[at].clone()).collect();
            assert_eq!(codes.into_lists(), column, "{}", FIELDS[at]);
        }
    }
}

const FIELDS: &[&str] = &[
    "verb",
    "user",
    "who",
    "as",
    "group",
    "ip",
    "peer",
    "code",
    "ns",
    "name",
    "resource",
    "sub",
    "stage",
    "level",
    "auditID",
    "ua",
    "uri",
    "decision",
    "reason",
    "took",
    "hour",
    "weekday",
    "time",
    "source",
    "node",
    "cluster",
    "log",
    "flag",
    "credential",
    "requestObject.kind",
    "requestObject.metadata.name",
    "requestObject.spec.hostPID",
    "requestObject.spec.containers.image",
    "responseObject.metadata.name",
    "requestObject.rules.verbs",
    "annotations.authorization.k8s.io/decision",
    "user.extra.scopes.authorization.openshift.io",
    "envelope.hostname",
    "requestObject",
    "responseObject.status",
    "responseStatus.message",
];

/// Quotes a value for the question language.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Makes a question out of values that occur.
pub fn question(rng: &mut Rng, plain: &MemoryEvidence, depth: usize) -> String {
    let hits = plain.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
    let pick = |rng: &mut Rng, n: usize| rng.below(n.max(1) as u64) as usize;
    if depth > 0 && rng.chance(1, 2) {
        let left = question(rng, plain, depth - 1);
        let right = question(rng, plain, depth - 1);
        return match pick(rng, 4) {
            0 => format!("({left} AND {right})"),
            1 => format!("({left} OR {right})"),
            2 => format!("NOT ({left})"),
            _ => format!("({left} AND NOT {right})"),
        };
    }
    let name = FIELDS[pick(rng, FIELDS.len())];
    let field = resolve(name).unwrap();
    let hit = hits[pick(rng, hits.len())];
    let row = plain.rows(&[hit.id], std::slice::from_ref(&field)).unwrap();
    let values = &row[0][0];
    let value =
        if values.is_empty() { "x".into() } else { values[pick(rng, values.len())].clone() };
    let chars: Vec<char> = value.chars().collect();
    let cut = pick(rng, chars.len() + 1);
    let (front, back): (String, String) =
        (chars[..cut].iter().collect(), chars[cut..].iter().collect());
    let escape = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") })
            .collect()
    };
    match pick(rng, 9) {
        0 | 1 => format!("{name}:{}", quoted(&value)),
        2 => format!("{name}:*"),
        3 => format!("{name}:{}*", escape(&front)),
        4 => format!("{name}:*{}", escape(&back)),
        5 => format!("{name}:>={}", quoted(&value)),
        6 => format!("{name}:{{{} TO *]", quoted(&value)),
        7 => format!("{name}:~/{}/", escape(&front)),
        _ => {
            let words: Vec<&str> =
                value.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
            match words.len() {
                0 => "true".to_owned(),
                n => {
                    let word = words[pick(rng, n)];
                    if rng.chance(1, 3) { format!("*{word}*") } else { quoted(word) }
                }
            }
        }
    }
}

#[test]
fn index_and_scan_agree_on_odd_events() {
    let dir = tempfile::tempdir().unwrap();
    // More of everything with AGREE_SEEDS=20.
    let seeds = std::env::var("AGREE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    for seed in 0..seeds {
        let text = corpus::odd_events(seed, 300).join(&b'\n');
        let path = dir.path().join(format!("odd-{seed}.log"));
        std::fs::write(&path, &text).unwrap();
        let name = path.display().to_string();
        let plain = oracle(&name, &text);
        let sub = dir.path().join(format!("s{seed}"));
        std::fs::create_dir(&sub).unwrap();
        let one = index_of(&sub, std::slice::from_ref(&path), 1);
        let many = index_of(&sub, std::slice::from_ref(&path), 3);
        assert_eq!(one.index.manifest.totals.events, plain.len() as u64);
        assert_eq!(one.index.manifest.packs, many.index.manifest.packs);
        let alone = open(&sub.join("index-3")).unwrap().for_one_question();
        let mut rng = Rng::new(seed);
        let mut found = 0;
        let mut together: Vec<QueryAst> = Vec::new();
        for _ in 0..150 {
            let text = question(&mut rng, &plain, 2);
            together.extend(parse(&text, &ParseOptions::default()));
            let n = check(&text, &one, &plain);
            assert_eq!(n, check(&text, &many, &plain), "{text}");
            check(&text, &alone, &plain);
            found += u64::from(n > 0);
        }
        assert!(found > 40, "only {found} questions found anything");
        check_together(&together, &many, &plain);
        check_codes(&many, &plain);
        let conflicts = parse("flag:audit-id-conflict", &ParseOptions::default()).unwrap();
        let conflicts = plain.count(&conflicts, TimeRange::ALL).unwrap();
        assert!((2..plain.len() as u64 / 2).contains(&conflicts), "{conflicts} conflicts");
        for text in corpus_questions() {
            check(text, &one, &plain);
        }
        let sources = &one.index.manifest.sources;
        assert!(!sources.is_empty());
        compare_rows(&open(&sub.join("index-3")).unwrap(), &plain);
        compare_few(&open(&sub.join("index-3")).unwrap().for_one_question(), &plain);
        compare_rows(&one, &plain);
    }
}

pub fn corpus_questions() -> &'static [&'static str] {
    &[
        "*",
        "NOT *",
        "requestObject.rules{verbs:\"*\" AND resources:secrets}",
        "requestObject.rules{NOT verbs:get}",
        "requestObject.spec.containers{image:*a* AND NOT securityContext.privileged:true}",
        "ip:10.0.0.0/8",
        "flag:duplicate-key",
        "flag:lenient",
        "flag:audit-id-conflict",
        "NOT flag:audit-id-conflict",
        "verb:get AND flag:audit*",
        "flag:(lenient OR audit-id-conflict) -verb:get",
        "envelope:*",
        "kind:Event",
        "true",
        "null",
        "metadata",
        "user.extra:*",
        "requestObject:*",
        "time:>2025-01-01",
    ]
}

pub fn compare_rows(index: &Searcher, plain: &MemoryEvidence) {
    let fields: Vec<Field> = FIELDS.iter().map(|name| resolve(name).unwrap()).collect();
    let all = SearchOptions::default();
    let ours = index.search(&QueryAst::All, &all).unwrap().hits;
    let theirs = plain.search(&QueryAst::All, &all).unwrap().hits;
    let ids = |hits: &[Hit]| hits.iter().map(|hit| hit.id).collect::<Vec<_>>();
    // A page of hits tells the flags by looking up its auditIDs alone; it must come before whatever
    // compares all of the index.
    let flag = [Field::Flag];
    for (ours, theirs) in ours.chunks(7).zip(theirs.chunks(7)) {
        let (ours, theirs) = (ids(ours), ids(theirs));
        assert_eq!(index.rows(&ours, &flag).unwrap(), plain.rows(&theirs, &flag).unwrap());
    }
    let (our_rows, their_rows) =
        (index.rows(&ids(&ours), &fields).unwrap(), plain.rows(&ids(&theirs), &fields).unwrap());
    for (at, (a, b)) in our_rows.iter().zip(&their_rows).enumerate() {
        for (field, (a, b)) in FIELDS.iter().zip(a.iter().zip(b)) {
            assert_eq!(a, b, "{field} of event {at} at {:?}", ours[at].place);
        }
    }
    let our_events = index.fetch_many(&ids(&ours)).unwrap();
    for (event, hit) in our_events.iter().zip(&theirs) {
        let other = plain.fetch(hit.id).unwrap();
        assert_eq!(event.raw, other.raw);
        assert_eq!(event.event, other.event);
        assert_eq!(event.envelope, other.envelope);
        assert_eq!(event.origin, other.origin);
        assert_eq!(event.time, other.time);
    }
    for (name, field) in FIELDS.iter().zip(&fields) {
        let fields = std::slice::from_ref(field);
        let top =
            |e: &dyn Evidence| e.top(&QueryAst::All, TimeRange::ALL, fields, None, 1).unwrap();
        assert_eq!(top(index), top(plain), "top {name}");
    }
    compare_batches(index, plain, &theirs);
    let hour = 3_600_000_000;
    assert_eq!(
        index.histogram(&QueryAst::All, TimeRange::ALL, hour).unwrap(),
        plain.histogram(&QueryAst::All, TimeRange::ALL, hour).unwrap()
    );
    let _ = Zone::UTC;
}

/// Values in numbers, texts of parts and lists of many groups are what they are one by one.
fn compare_columns(index: &Searcher, plain: &MemoryEvidence, questions: &[QueryAst]) {
    let hits = |e: &dyn Evidence| {
        let hits = e.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
        hits.iter().map(|hit| hit.id).collect::<Vec<_>>()
    };
    let (ours, theirs) = (hits(index), hits(plain));
    for keys in [
        &["responseObject", "spec"][..],
        &["requestObject", "spec"],
        &["requestObject"],
        &["responseObject", "metadata", "annotations"],
        &["user", "extra"],
        &["annotations"],
        &["nowhere"],
    ] {
        let (a, b) = (index.structures(&ours, keys).unwrap(), plain.structures(&theirs, keys));
        assert_eq!(a, b.unwrap(), "{keys:?}");
    }
    let fields: Vec<Field> = FIELDS.iter().map(|name| resolve(name).unwrap()).collect();
    let (a, b) = (index.codes(&ours, &fields).unwrap(), plain.codes(&theirs, &fields).unwrap());
    for ((a, b), name) in a.into_iter().zip(b).zip(FIELDS) {
        let classes = a.classes();
        let texts: Vec<&str> = a.texts().collect();
        for (at, text) in texts.iter().enumerate() {
            let class = classes.of(at as u32 + 1);
            assert_eq!(a.text(classes.number(class)), *text, "{name}");
        }
        let different: HashSet<&&str> = texts.iter().collect();
        assert_eq!(classes.len(), different.len() + 1, "{name}");
        assert_eq!(a.into_lists(), b.into_lists(), "{name}");
    }
    for names in [&["verb", "resource", "sub"][..], &["ns"], &["verb", "code"], &["user"]] {
        let groups: Vec<Field> = names.iter().map(|name| resolve(name).unwrap()).collect();
        let rows = plain.top(&QueryAst::All, TimeRange::ALL, &groups, None, 1).unwrap();
        let mut wanted: Vec<Vec<Option<String>>> =
            rows.into_iter().take(40).map(|row| row.values).collect();
        wanted.push(vec![None; names.len()]);
        wanted.push(vec![Some("GET".to_owned()); names.len()]);
        for name in ["user", "peer", "ua"] {
            let field = resolve(name).unwrap();
            for question in questions {
                let each = |e: &dyn Evidence| {
                    e.top_each(question, TimeRange::ALL, &groups, &wanted, &field).unwrap()
                };
                assert_eq!(each(index), each(plain), "{names:?} {name} {question}");
            }
        }
    }
}

/// A process that asks once reads few events where they stand.
fn compare_few(index: &Searcher, plain: &MemoryEvidence) {
    let mut fields: Vec<Field> = FIELDS.iter().map(|name| resolve(name).unwrap()).collect();
    fields.push(resolve("requestObject.metadata.uid").unwrap());
    let all = SearchOptions::default();
    let ours = index.search(&QueryAst::All, &all).unwrap().hits;
    let theirs = plain.search(&QueryAst::All, &all).unwrap().hits;
    assert_eq!(places(index, &ours), places(plain, &theirs));
    let ids = |hits: &[Hit]| hits.iter().map(|hit| hit.id).collect::<Vec<_>>();
    for (ours, theirs) in ours.chunks(3).zip(theirs.chunks(3)).step_by(ours.len() / 300 + 1) {
        let rows = index.rows(&ids(ours), &fields).unwrap();
        assert_eq!(rows, plain.rows(&ids(theirs), &fields).unwrap(), "{:?}", ours[0].place);
        let conflicting = |e: &dyn Evidence, ids| e.conflicting(ids).unwrap();
        assert_eq!(conflicting(index, &ids(ours)), conflicting(plain, &ids(theirs)));
    }
}

/// Events with UUIDs as auditIDs, of which some stand twice, within a pack and in two.
#[test]
fn conflicts_among_uuids_agree() {
    let dir = tempfile::tempdir().unwrap();
    for (case, odd) in ["", "list", "capitals"].into_iter().enumerate() {
        let mut rng = Rng::new(case as u64);
        let ids: Vec<String> = (0..250).map(|_| rng.uuid()).collect();
        let mut event = |number: usize| {
            let (id, other) = (rng.pick(&ids).clone(), rng.pick(&ids));
            let id = match (odd, number % 50) {
                ("list", 49) => format!("[\"{id}\",\"{other}\"]"),
                ("capitals", 49) => format!("\"{}\"", id.to_uppercase()),
                _ => format!("\"{id}\""),
            };
            let stage = rng.pick(&["RequestReceived", "ResponseComplete"]);
            // Few different times, so that places decide on the order of most.
            let second = rng.below(60);
            format!(
                "{{\"auditID\":{id},\"stage\":\"{stage}\",\"verb\":\"get\",\"number\":{number},\
                 \"requestReceivedTimestamp\":\"2026-03-02T00:00:{second:02}.000000Z\"}}\n"
            )
        };
        let path = dir.path().join(format!("{case}.log"));
        let mut text = String::new();
        for half in 0..2 {
            // What a file grows by is in packs of its own.
            (half * 200..half * 200 + 200).for_each(|number| text.push_str(&event(number)));
            std::fs::write(&path, &text).unwrap();
            let own = BuildOptions {
                threads: 1,
                ..BuildOptions::new(vec![path.clone()], dir.path().join(format!("index-{case}")))
            };
            build(&own, &Quiet).unwrap();
        }
        let plain = oracle(&path.display().to_string(), text.as_bytes());
        let alone = || open(&dir.path().join(format!("index-{case}"))).unwrap().for_one_question();
        assert_eq!(alone().index.manifest.packs.len(), 2);
        compare_few(&alone(), &plain);
        check("verb:get", &alone(), &plain);
        check("stage:ResponseComplete", &alone(), &plain);
        let all = SearchOptions::default();
        let hits = plain.find(&QueryAst::All, &all).unwrap().hits;
        let theirs: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
        let hits = alone().find(&QueryAst::All, &all).unwrap().hits;
        let ours: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
        let mut conflicting = 0;
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let n = alone().conflicting(&[*ours]).unwrap();
            assert_eq!(n, plain.conflicting(&[*theirs]).unwrap(), "{ours:?}, {odd}");
            conflicting += n;
        }
        assert!((40..360).contains(&conflicting), "{conflicting} conflicts");
        assert_eq!(alone().conflicting(&ours).unwrap(), conflicting);
    }
}

/// A key is what it spells, however it is written; skeletons that cannot hold it are passed over.
#[test]
fn escaped_keys_are_found_by_a_process_that_asks_once() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ["hostPID", "host\\u0050ID", "\\u0068ostPID", "hostpid", "hostIPC"];
    let line = |number: usize| {
        let (key, value) = (keys[number % 5], ["true", "false", "null", "{}"][number % 4]);
        format!(
            "{{\"auditID\":\"{number}\",\"stage\":\"ResponseComplete\",\"verb\":\"create\",\
             \"requestObject\":{{\"spec\":{{\"{key}\":{value}}}}},\
             \"requestReceivedTimestamp\":\"2026-03-02T00:00:00.{number:06}Z\"}}\n"
        )
    };
    let path = dir.path().join("audit.log");
    let text: String = (0..200).map(line).collect();
    std::fs::write(&path, &text).unwrap();
    index_of(dir.path(), std::slice::from_ref(&path), 1);
    let plain = oracle(&path.display().to_string(), text.as_bytes());
    for (question, expected) in [
        ("requestObject.spec.hostPID:true", 30),
        ("NOT requestObject.spec.hostPID:true", 170),
        ("requestObject.spec.hostPID:*", 90),
    ] {
        let alone = open(&dir.path().join("index-1")).unwrap().for_one_question();
        assert_eq!(check(question, &alone, &plain), expected, "{question}");
    }
}

/// A pack with so many large columns that its footer is longer than what is read of every pack.
#[test]
fn long_footers_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(1);
    let mut line = |number: usize| {
        let annotations: Vec<String> =
            (0..300).map(|key| format!("\"key-{key}\":\"{}{}\"", rng.uuid(), rng.uuid())).collect();
        format!(
            "{{\"auditID\":\"{number}\",\"stage\":\"ResponseComplete\",\"verb\":\"get\",\
             \"annotations\":{{{}}},\
             \"requestReceivedTimestamp\":\"2026-03-02T00:00:00.{number:06}Z\"}}\n",
            annotations.join(",")
        )
    };
    let path = dir.path().join("audit.log");
    let text: String = (0..40).map(&mut line).collect();
    std::fs::write(&path, &text).unwrap();
    let index = index_of(dir.path(), std::slice::from_ref(&path), 1);
    let packs = std::fs::read(dir.path().join("index-1/packs-000001")).unwrap();
    let trailer = packs.last_chunk::<32>().unwrap();
    let footer = u32::from_le_bytes(*trailer[8..].first_chunk().unwrap());
    assert!(footer > 4 << 10, "{footer} bytes");
    let plain = oracle(&path.display().to_string(), text.as_bytes());
    assert_eq!(check("verb:get", &index, &plain), 40);
    assert_eq!(check("auditID:7", &index, &plain), 1);
}

/// Of events of one time those come first whose source has the lesser name, whichever was indexed
/// first, also where places are read for nothing but that.
#[test]
fn ties_of_time_are_in_the_order_of_sources() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(1);
    for name in ["b", "c", "a"] {
        let event = |number: u64| {
            let second = rng.below(20);
            format!(
                "{{\"auditID\":\"{name}{number}\",\"stage\":\"ResponseComplete\",\"verb\":\"get\",\
                 \"requestReceivedTimestamp\":\"2026-03-02T00:00:{second:02}.000000Z\"}}\n"
            )
        };
        let path = dir.path().join(format!("{name}.log"));
        std::fs::write(&path, (0..50).map(event).collect::<String>()).unwrap();
        build(&BuildOptions::new(vec![path], dir.path().join("index")), &Quiet).unwrap();
    }
    let question = parse("verb:get", &ParseOptions::default()).unwrap();
    for (limit, order) in [(0, SortOrder::Oldest), (40, SortOrder::Oldest), (40, SortOrder::Newest)]
    {
        let options = SearchOptions { limit, order, count_all: false, ..Default::default() };
        for index in [
            open(&dir.path().join("index")).unwrap(),
            open(&dir.path().join("index")).unwrap().for_one_question(),
        ] {
            let hits = index.search(&question, &options).unwrap().hits;
            check_found(&index, &question, &options, &hits);
            let placed = places(&index, &hits);
            let ascending = placed.is_sorted_by(|a, b| match order {
                SortOrder::Oldest => a < b,
                SortOrder::Newest => a > b,
            });
            assert!(ascending, "{order:?}: {placed:?}");
            assert_eq!(hits.len(), if limit == 0 { 150 } else { limit });
        }
    }
}

/// What is asked of many at once is what is asked of each.
fn compare_batches(index: &Searcher, plain: &MemoryEvidence, hits: &[Hit]) {
    let questions: Vec<QueryAst> = ["verb:get", "NOT verb:get", "code:>=400", "*"]
        .map(|text| parse(text, &ParseOptions::default()).unwrap())
        .to_vec();
    for name in ["user", "verb", "peer", "code", "ip"] {
        let field = resolve(name).unwrap();
        let top = |e: &dyn Evidence| e.top_all(&questions, TimeRange::ALL, &field).unwrap();
        assert_eq!(top(index), top(plain), "{name}");
    }
    for fields in [["verb", "peer"], ["code", "cluster"], ["user", "verb"]] {
        let fields = fields.map(|name| resolve(name).unwrap());
        let top =
            |e: &dyn Evidence| e.top(&QueryAst::All, TimeRange::ALL, &fields, None, 1).unwrap();
        assert_eq!(top(index), top(plain), "{fields:?}");
    }
    compare_columns(index, plain, &questions);
    let ids: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
    let peers = plain.rows(&ids, &[Field::Peer]).unwrap();
    let mut wanted: Vec<WantedPeer> = Vec::new();
    for (hit, row) in hits.iter().zip(peers).step_by(3) {
        for peer in row.into_iter().flatten() {
            let until = hit.time.map(|time| Timestamp(time.0 + 600_000_000));
            let spelt = format!("::ffff:{peer}");
            wanted.push(WantedPeer { peer, range: TimeRange { since: hit.time, until } });
            wanted.push(WantedPeer { peer: spelt, range: TimeRange { since: hit.time, until } });
        }
    }
    wanted.retain(|one| one.range.since.is_some());
    for question in &questions {
        let first = |e: &dyn Evidence| -> Vec<_> {
            let found = e.first_by_peer(question, &wanted).unwrap();
            found.iter().map(|hit| places(e, hit.as_slice())).collect()
        };
        assert_eq!(first(index), first(plain), "{question}");
    }
}

#[test]
fn index_and_scan_agree_on_a_generated_cluster() {
    let options = corpus::CorpusOptions {
        seed: 7,
        events: 3_000,
        days: 2.0,
        incident: true,
        ..corpus::CorpusOptions::default()
    };
    let mut text: Vec<u8> = Vec::new();
    let generated = corpus::generate(&options, &mut |line| {
        text.extend_from_slice(line);
        text.push(b'\n');
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    std::fs::write(&path, &text).unwrap();
    let plain = oracle(&path.display().to_string(), &text);
    let index = index_of(dir.path(), &[path], 2);
    for (question, count) in generated.questions() {
        assert_eq!(check(&question, &index, &plain), count, "{question}");
    }
    let mut rng = Rng::new(1);
    for _ in 0..60 {
        check(&question(&mut rng, &plain, 1), &index, &plain);
    }
    compare_rows(&index, &plain);
    compare_pivots(&index, &plain, &generated);
    compare_few(&open(&dir.path().join("index-2")).unwrap().for_one_question(), &plain);
}

/// Pivots are answered in numbers of columns where an index is asked; what they say is the same.
fn compare_pivots(index: &Searcher, plain: &MemoryEvidence, generated: &corpus::Generated) {
    let truth = generated.truth.as_ref().unwrap();
    let words = &generated.vocabulary;
    let account = format!("{}/{}", truth.account.0, truth.account.1);
    let pod = format!("{}/{}", truth.start_pod.0, truth.start_pod.1);
    let ledgers = [Ledgers::build(index).unwrap(), Ledgers::build(plain).unwrap()];
    let everywhere = |e: &dyn Evidence| {
        let hits = e.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
        hits.iter().map(|hit| (hit.id, places(e, &[*hit]))).collect::<HashMap<_, _>>()
    };
    let all = [everywhere(index), everywhere(plain)];
    for pivot in PIVOTS {
        let arguments: Vec<Vec<String>> = match pivot.name() {
            "ip" => [&truth.start_address, &words.peers[0]].map(|a| vec![a.clone()]).into(),
            "credential" | "blast" => vec![vec![truth.credential.clone()]],
            "user" | "peers" => vec![vec![account.clone()], vec![words.users[0].clone()]],
            "around" => vec![vec![truth.audit_ids()[0].clone()]],
            "pod" | "network" => vec![vec![pod.clone()]],
            "object" => vec![vec!["pods".to_owned(), pod.clone()]],
            "login" => vec![vec![words.users[0].clone()]],
            "node" => vec![vec!["wk-1".to_owned()]],
            _ => vec![Vec::new()],
        };
        for arguments in arguments {
            for options in [
                PivotOptions::default(),
                PivotOptions { limit: 3, no_platform: true, ..PivotOptions::default() },
            ] {
                let say = |at: usize, evidence: &dyn Evidence| {
                    let (range, filter) = (TimeRange::ALL, None);
                    let ledgers = &ledgers[at];
                    let context = PivotContext { evidence, ledgers, range, filter, options };
                    let answer = pivot.run(&context, &arguments).unwrap();
                    let proof = answer.sections.iter().flat_map(|section| &section.rows);
                    let proof: Vec<_> = proof
                        .map(|row| row.events.iter().map(|id| &all[at][id]).collect::<Vec<_>>())
                        .collect();
                    let mut said = answer.clone();
                    let rows = said.sections.iter_mut().flat_map(|section| &mut section.rows);
                    rows.for_each(|row| row.events.clear());
                    format!("{said:?} {proof:?}")
                };
                assert_eq!(say(0, index), say(1, plain), "{} {arguments:?}", pivot.name());
            }
        }
    }
}
