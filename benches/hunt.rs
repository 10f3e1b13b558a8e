//! How long batches of rules take: the built-in pack and public rules, warm in one process and cold.
//!
//! `cargo bench --bench hunt -- [--events N] [--seed S] [--dir DIR] [--rules PATH] [--turns N]
//! [--index DIR] [--cache BYTES]`
//!
//! Measured: the best and the median of `--turns` runs after one that warms up, CPU-seconds, peak
//! memory.  Goals over 1,000,000 events on two cores: the pack 1 s, 16 public rules 50 ms, 300 MB.
//! Corpus: the generated day of `benches/corpus`, with the incident planted.
//! Notes: something of level high or above must be among the findings, and every run must find as
//! many as the first.

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

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Public rules, where this checkout lies beside them.
const PUBLIC: &str = "../shared/sigma-rules/sigmahq-k8s-audit";

fn main() {
    let args = Args::take();
    let place = Workplace::new(&args, "hunt");
    let log = place.path("a.log");
    let given: String = args.value("--index", String::new());
    let dir = if given.is_empty() { place.path("a.index") } else { PathBuf::from(&given) };
    if given.is_empty() {
        index(&args, &log, &dir);
    }
    let turns = args.value("--turns", 5);
    let cache = args.value("--cache", CACHE_BYTES);
    let searcher = open(&dir).unwrap().with_cache(cache);
    println!(
        "{} events, {} threads\n",
        searcher.index.manifest.packs.iter().map(|p| p.events as u64).sum::<u64>(),
        rayon::current_num_threads()
    );
    let mut rows = Vec::new();
    let pack = Rules { builtin: pack::load(&Vars::new()), analyses: true, ..Rules::default() };
    let found =
        run(&searcher, "built-in pack, medium and above", &pack, Level::Medium, turns, &mut rows);
    assert!(found.findings.iter().any(|f| f.card.level >= Level::High), "the incident is missed");
    let path: String = args.value("--rules", PUBLIC.to_owned());
    if Path::new(&path).exists() {
        let own = read_rules(&[PathBuf::from(&path)], &Vars::new()).unwrap();
        let name = format!("{} rules of {path}", own.rules.len());
        let rules = Rules { own, ..Rules::default() };
        run(&searcher, &name, &rules, Level::Informational, turns * 4, &mut rows);
    } else {
        println!("no rules at {path}: public rules not measured\n");
    }
    rows.push(vec![
        "peak memory".into(),
        "300 MB".into(),
        format!("{} MB", measure::peak_memory() >> 20),
        String::new(),
        String::new(),
        String::new(),
    ]);
    measure::table(&["what", "goal", "first", "best", "median", "CPU-s"], &rows);
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

/// Hunts once cold and `turns` times warm; the phases of the last run go to the terminal.
fn run(
    searcher: &Searcher,
    name: &str,
    rules: &Rules,
    level: Level,
    turns: usize,
    rows: &mut Vec<Vec<String>>,
) -> HuntReport {
    let options = HuntOptions { level, ..HuntOptions::default() };
    let begin = Instant::now();
    let found = hunt(searcher, rules, &options, &|_| {}).unwrap();
    let first = begin.elapsed().as_secs_f64() * 1e3;
    let mut times = Times::default();
    let phases: RefCell<Vec<(Instant, String)>> = RefCell::default();
    let cpu = measure::cpu_seconds();
    for _ in 0..turns {
        phases.borrow_mut().clear();
        let again = times.take(|| {
            hunt(searcher, rules, &options, &|what| {
                phases.borrow_mut().push((Instant::now(), what.to_owned()));
            })
            .unwrap()
        });
        assert_eq!(again.findings.len(), found.findings.len());
    }
    let cpu = (measure::cpu_seconds() - cpu) / turns as f64;
    let end = Instant::now();
    let phases = phases.into_inner();
    let ends = phases.iter().skip(1).map(|(at, _)| *at).chain([end]);
    for ((start, what), end) in phases.iter().zip(ends) {
        println!("{:8.1} ms {what}", (end - *start).as_secs_f64() * 1e3);
    }
    println!("{} findings\n", found.findings.len());
    let goal = if rules.analyses { "1000 ms" } else { "50 ms" };
    rows.push(vec![
        name.to_owned(),
        goal.to_owned(),
        format!("{first:.0} ms"),
        format!("{:.1} ms", times.percentile(1)),
        format!("{:.1} ms", times.percentile(50)),
        format!("{cpu:.2}"),
    ]);
    found
}
