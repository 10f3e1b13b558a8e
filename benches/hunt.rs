//! How long batches of rules take: the built-in pack and public rules, warm in one process and cold.
//!
//! `cargo bench --bench hunt -- [--events N] [--seed S] [--dir DIR] [--rules PATH]... [--turns N]
//! [--index DIR] [--cache BYTES]`
//!
//! Measured: the best and the median of `--turns` runs after one that warms up, CPU-seconds, and the
//! peak resident set of a process that opens the index and hunts, mapped pages included: each batch
//! runs in a process of its own, so that neither the corpus nor the other batch counts.
//! Goals over 1,000,000 events on two cores: the pack 1 s, 16 public rules 50 ms, 300 MB.
//! Corpus: the generated day of `benches/corpus`, with the incident planted; `--index DIR` takes the
//! index that stands there, or keeps the one that is made.
//! Notes: something of level high or above must be among the findings, and every run must find what
//! the first did.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::panic, clippy::print_stderr)]

mod corpus;
mod measure;

use std::cell::RefCell;
use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use audithound::cli::command::hunt::read_rules;
use audithound::hunt::batch::CACHE_BYTES;
use audithound::hunt::batch::HuntOptions;
use audithound::hunt::batch::Rules;
use audithound::hunt::batch::hunt;
use audithound::hunt::finding::Finding;
use audithound::hunt::finding::HuntReport;
use audithound::hunt::pack;
use audithound::index::build::BuildOptions;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;
use audithound::sigma::Vars;
use audithound::sigma::rule::Level;
use corpus::CorpusOptions;
use measure::Args;
use measure::Times;
use measure::Workplace;
use serde_json::Value;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Public rules for the audit log, where this checkout lies beside them: 11 and 2.
const PUBLIC: [&str; 2] =
    ["../shared/sigma-rules/sigmahq-k8s-audit", "../shared/sigma-rules/thirdparty-jaypark81"];

/// Rules of the same form, which make them sixteen: no more public ones stand there that are Sigma
/// and for this log source.
const FURTHER: &str = include_str!("peers/further.yml");

fn main() {
    let args = Args::take();
    if let Some(batch) = args.after("--batch").and_then(<[String]>::first) {
        return one_batch(&args, batch);
    }
    let place = Workplace::new(&args, "hunt");
    let given: String = args.value("--index", String::new());
    let dir = if given.is_empty() { place.path("a.index") } else { PathBuf::from(&given) };
    if !dir.exists() {
        index(&args, &place.path("a.log"), &dir);
    }
    let mut rows = Vec::new();
    for (batch, goal) in [("pack", "1000 ms"), ("public", "50 ms")] {
        let own: Vec<String> = std::env::args().skip(1).collect();
        let dir = dir.display().to_string();
        let mut given = vec!["--batch", batch, "--index", &dir];
        given.extend(own.iter().map(String::as_str));
        let found = measure::child(&given);
        for line in found["phases"].as_array().unwrap() {
            println!("{}", line.as_str().unwrap());
        }
        if found["name"].is_null() {
            continue;
        }
        let milliseconds = |key: &str| format!("{:.0} ms", found[key].as_f64().unwrap());
        rows.push(vec![
            found["name"].as_str().unwrap().to_owned(),
            goal.to_owned(),
            milliseconds("first"),
            milliseconds("best"),
            milliseconds("median"),
            format!("{:.2}", found["cpu"].as_f64().unwrap()),
            format!("{} MB", found["after_first"].as_u64().unwrap() >> 20),
            format!("{} MB", found["peak"].as_u64().unwrap() >> 20),
        ]);
    }
    measure::table(
        &["what", "goal", "first", "best", "median", "CPU-s", "peak of the first", "peak (300 MB)"],
        &rows,
    );
}

/// Runs one batch in this process and prints what was measured as one line of JSON.
fn one_batch(args: &Args, batch: &str) {
    let dir = PathBuf::from(args.value("--index", String::new()));
    let turns = args.value("--turns", 5);
    let searcher = open(&dir).unwrap().with_cache(args.value("--cache", CACHE_BYTES));
    let found = if batch == "pack" {
        let pack = Rules { builtin: pack::load(&Vars::new()), analyses: true, ..Rules::default() };
        run(&searcher, "built-in pack, medium and above", &pack, Level::Medium, turns)
    } else {
        let Some((name, rules)) = public_rules(args) else {
            println!("{}", json!({"phases": ["no public rules here: not measured"]}));
            return;
        };
        run(&searcher, &name, &rules, Level::Informational, turns * 4)
    };
    println!("{found}");
}

/// The public rules, and as many of [`FURTHER`] as make them 16.
fn public_rules(args: &Args) -> Option<(String, Rules)> {
    let given: String = args.value("--rules", String::new());
    let paths: Vec<PathBuf> = match given.as_str() {
        "" => PUBLIC.iter().map(PathBuf::from).collect(),
        given => vec![PathBuf::from(given)],
    };
    if paths.iter().any(|path| !path.exists()) {
        return None;
    }
    let mut own = read_rules(&paths, &Vars::new()).unwrap();
    let n_public = own.rules.len();
    if given.is_empty() {
        let further = audithound::sigma::parse([("further.yml", FURTHER)], &Vars::new());
        own.rules.extend(further.rules);
    }
    let name = format!("{} rules, {n_public} of them public", own.rules.len());
    Some((name, Rules { own, ..Rules::default() }))
}

fn index(args: &Args, log: &Path, dir: &Path) {
    let events = args.value("--events", 200_000);
    let options = CorpusOptions {
        seed: args.value("--seed", 1),
        events,
        days: args.value("--days", (events as f64 / 1e6).max(0.5)),
        incident: true,
        ..CorpusOptions::default()
    };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(log).unwrap());
    corpus::generate(&options, &mut |line| {
        out.write_all(line).unwrap();
        out.write_all(b"\n").unwrap();
    });
    out.flush().unwrap();
    let building = BuildOptions {
        derive: Some(&audithound::ledger::partial::DERIVE_LEDGERS),
        ..BuildOptions::new(vec![log.to_path_buf()], dir.to_path_buf())
    };
    build(&building, &Quiet).unwrap();
}

/// Hunts once cold and `turns` times warm; the phases are those of the last run.
fn run(searcher: &Searcher, name: &str, rules: &Rules, level: Level, turns: usize) -> Value {
    let options = HuntOptions { level, ..HuntOptions::default() };
    let begin = Instant::now();
    let found = hunt(searcher, rules, &options, &|_| {}).unwrap();
    let first = begin.elapsed().as_secs_f64() * 1e3;
    let after_first = measure::peak_memory();
    let wanted = findings(&found);
    assert!(!rules.analyses || wanted.iter().any(|(_, high, ..)| *high), "the incident is missed");
    drop(found);
    let mut times = Times::default();
    let phases: RefCell<Vec<(Instant, String)>> = RefCell::default();
    let cpu = measure::cpu_seconds();
    let mut end = Instant::now();
    for _ in 0..turns {
        phases.borrow_mut().clear();
        let again = times.take(|| {
            hunt(searcher, rules, &options, &|what| {
                phases.borrow_mut().push((Instant::now(), what.to_owned()));
            })
            .unwrap()
        });
        end = Instant::now();
        assert_eq!(findings(&again), wanted);
    }
    let cpu = (measure::cpu_seconds() - cpu) / turns as f64;
    let phases = phases.into_inner();
    let ends = phases.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let mut lines: Vec<String> = phases
        .iter()
        .zip(ends)
        .map(|((start, what), end)| format!("{:8.1} ms {what}", (end - *start).as_secs_f64() * 1e3))
        .collect();
    lines.push(format!(
        "{} findings over {} events, {} threads; {} MB anonymous, {} MB of files at the end\n",
        wanted.len(),
        searcher.index.manifest.packs.iter().map(|p| p.events as u64).sum::<u64>(),
        rayon::current_num_threads(),
        measure::memory_now("RssAnon:") >> 20,
        measure::memory_now("RssFile:") >> 20,
    ));
    json!({
        "name": name, "phases": lines, "first": first, "best": times.percentile(1),
        "median": times.percentile(50), "cpu": cpu, "after_first": after_first,
        "peak": measure::peak_memory(),
    })
}

/// What a report found: rule, whether it is of level high, requests and events.
fn findings(report: &HuntReport) -> Vec<(String, bool, u64, u64)> {
    let row = |f: &Finding| (f.card.rule.clone(), f.card.level >= Level::High, f.count, f.n_events);
    report.findings.iter().map(row).collect()
}
