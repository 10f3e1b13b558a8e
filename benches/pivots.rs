//! How long the pivots and `investigate` take in a warm process, and how fast the ledgers are there.
//!
//! `cargo bench --bench pivots -- [--events N] [--seed S] [--days D] [--dir DIR] [--turns N]`
//! `--keep DIR` leaves the index there and takes it from there the next time, for profiling;
//! `--only NAME` measures one pivot, `investigate` or `ledgers`; `--answers FILE` writes what every
//! pivot says, with several options, instead of measuring: to hold two versions against each other.
//! `--loads 0` does not measure the ledgers, `--repeat N` asks everything N times,
//! `--argument A` only this, `--cold 1` each time of an index just opened.
//!
//! Measured: the ledgers from a freshly opened index; every pivot of the registry, each over
//! several distinct arguments (some that occur often, some that occur in the planted incident),
//! after one round of others; `investigate` from clues of the planted incident and of the day.
//! Corpus: the generated day of `benches/corpus`, `--events` of about 1,390 bytes, with the incident.
//! Notes: the incident's events must all be reached from its address, and pivots that must find
//! something are held to it; a pivot's time is from the argument to its answer, unprinted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::panic, clippy::print_stderr)]

mod corpus;
mod measure;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use audithound::event::time::TimeRange;
use audithound::event::time::Timestamp;
use audithound::hunt::investigate::InvestigateOptions;
use audithound::hunt::investigate::investigate;
use audithound::hunt::investigate::story::Story;
use audithound::hunt::pivot::PivotContext;
use audithound::hunt::pivot::PivotOptions;
use audithound::hunt::pivot_registry::PIVOTS;
use audithound::index::build::BuildOptions;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::ledger::Ledgers;
use audithound::ledger::partial::DERIVE_LEDGERS;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::search::evidence::Evidence;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;
use corpus::CorpusOptions;
use corpus::Generated;
use measure::Args;
use measure::Times;
use measure::Workplace;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Goals of one pivot and of one investigation, in milliseconds.
const PIVOT_GOAL: f64 = 20.0;
const INVESTIGATE_GOAL: f64 = 300.0;

fn main() {
    let args = Args::take();
    let events = args.value("--events", 1_000_000);
    let options = CorpusOptions {
        seed: args.value("--seed", 1),
        events,
        days: args.value("--days", (events as f64 / 1e6).max(0.5)),
        ..CorpusOptions::default()
    };
    let place = Workplace::new(&args, "pivots");
    let kept: String = args.value("--keep", String::new());
    let dir = if kept.is_empty() { place.path("a.index") } else { PathBuf::from(kept) };
    let generated = indexed(&options, &place.path("a.log"), &dir);
    println!("{events} events, {:.0} MB raw\n", generated.counts.bytes as f64 / 1e6);
    let only: String = args.value("--only", String::new());
    let searcher = open(&dir).unwrap();
    let ledgers = derive(&searcher);
    let loads = args.value("--loads", 5);
    if loads > 0 {
        load(&dir, loads);
        // What was kept with the packs says what all their events say.
        assert!(ledgers == Ledgers::scan(&searcher).unwrap());
    }
    if only == "ledgers" {
        return;
    }
    let truth = generated.truth.as_ref().unwrap();
    let bench = Bench {
        searcher: &searcher,
        ledgers: &ledgers,
        generated: &generated,
        turns: args.value("--turns", 12),
        repeat: args.value("--repeat", 1),
        argument: args.value("--argument", String::new()),
        cold: (args.value("--cold", 0) > 0).then(|| dir.clone()),
    };
    let answers: String = args.value("--answers", String::new());
    if !answers.is_empty() {
        bench.answers(Path::new(&answers), &only);
        return;
    }
    if only != "investigate" {
        bench.pivots(&only);
    }
    if only.is_empty() || only == "investigate" {
        bench.investigate(&clues(truth, &generated));
    }
}

/// Generates the corpus and indexes it, unless the index is there.
fn indexed(options: &CorpusOptions, log: &Path, dir: &Path) -> Generated {
    if dir.join("manifest.json").exists() {
        return corpus::generate(options, &mut |_| {});
    }
    let mut out = BufWriter::with_capacity(1 << 20, File::create(log).unwrap());
    let generated = corpus::generate(options, &mut |line| {
        out.write_all(line).unwrap();
        out.write_all(b"\n").unwrap();
    });
    out.flush().unwrap();
    drop(out);
    let options = BuildOptions {
        derive: Some(&DERIVE_LEDGERS),
        ..BuildOptions::new(vec![log.to_owned()], dir.to_owned())
    };
    build(&options, &Quiet).unwrap();
    std::fs::remove_file(log).unwrap();
    generated
}

fn derive(searcher: &Searcher) -> Ledgers {
    Ledgers::build(searcher).unwrap()
}

/// The ledgers as a new process gets them.
fn load(dir: &Path, times: usize) {
    let (mut opening, mut loading) = (Times::default(), Times::default());
    let mut told = String::new();
    let before = measure::cpu_seconds();
    for _ in 0..times {
        let searcher = opening.take(|| open(dir).unwrap());
        let ledgers = loading.take(|| derive(&searcher));
        let uses: usize = ledgers.credentials.used.values().map(|c| c.origins.len()).sum();
        assert!(ledgers.addresses.pods.len() > 10 && uses > 10);
        told = format!(
            "{} pods, {} addresses, {} credentials from {uses} origins, {} minted",
            ledgers.addresses.pods.len(),
            ledgers.addresses.intervals.len(),
            ledgers.credentials.used.len(),
            ledgers.credentials.minted.len()
        );
    }
    let cpu = (measure::cpu_seconds() - before) / times as f64;
    measure::table(
        &["a new process", "goal, ms", "p50", "max", "CPU-seconds", "holds"],
        &[
            vec![
                "open the index".into(),
                String::new(),
                format!("{:.1}", opening.percentile(50)),
                format!("{:.1}", opening.percentile(100)),
                String::new(),
                String::new(),
            ],
            vec![
                "load the ledgers".into(),
                "100".into(),
                format!("{:.1}", loading.percentile(50)),
                format!("{:.1}", loading.percentile(100)),
                format!("{cpu:.2}"),
                told,
            ],
        ],
    );
}

/// Clues of the incident, and some of the ordinary day.
fn clues(truth: &corpus::Truth, generated: &Generated) -> Vec<(String, bool)> {
    let pod = format!("{}/{}", truth.start_pod.0, truth.start_pod.1);
    let account = format!("system:serviceaccount:{}:{}", truth.account.0, truth.account.1);
    let ids = truth.audit_ids();
    let v = &generated.vocabulary;
    let mut clues = vec![
        (truth.start_address.clone(), true),
        (pod, false),
        (truth.credential.clone(), false),
        (account, false),
        (ids[ids.len() / 2].clone(), false),
        ("user:system:anonymous code:403 resource:secrets".to_string(), false),
    ];
    for at in 0..6 {
        let some = |list: &Vec<String>| list[(at * 131 + 7) % list.len()].clone();
        clues.push((some(&v.peers), false));
        clues.push((some(&v.pods), false));
        clues.push((some(&v.credentials), false));
        clues.push((some(&v.audit_ids), false));
        clues.push((some(&v.users), false));
    }
    clues
}

struct Bench<'b> {
    searcher: &'b Searcher,
    ledgers: &'b Ledgers,
    generated: &'b Generated,
    turns: usize,
    repeat: usize,
    argument: String,
    cold: Option<PathBuf>,
}

impl Bench<'_> {
    /// Arguments of one pivot, those of the incident first; whether the first must find something.
    fn arguments(&self, pivot: &str) -> (Vec<Vec<String>>, bool) {
        let truth = self.generated.truth.as_ref().unwrap();
        let v = &self.generated.vocabulary;
        let turns = self.turns;
        let from = |list: &[String]| -> Vec<Vec<String>> {
            let step = (list.len() / turns.max(1)).max(1);
            list.iter().step_by(step).take(turns).map(|one| vec![one.clone()]).collect()
        };
        let with = |first: &[String], list: &[String]| {
            let mut all: Vec<Vec<String>> = first.iter().map(|one| vec![one.clone()]).collect();
            all.extend(from(list));
            all
        };
        let pod = format!("{}/{}", truth.start_pod.0, truth.start_pod.1);
        let account = format!("{}/{}", truth.account.0, truth.account.1);
        let pods = || self.ledgers.addresses.pods.iter().map(|pod| pod.title()).collect::<Vec<_>>();
        let nodes = || {
            let all: BTreeSet<String> =
                self.ledgers.addresses.nodes.keys().map(|(_, node)| node.clone()).collect();
            all.into_iter().collect::<Vec<_>>()
        };
        match pivot {
            "around" => (with(&truth.audit_ids()[..3], &v.audit_ids), true),
            "blast" => {
                let mut all = with(&[truth.credential.clone(), account], &v.credentials);
                all.extend(from(&v.users));
                all.extend(from(&v.audit_ids));
                (all, true)
            }
            "credential" => (with(std::slice::from_ref(&truth.credential), &v.credentials), true),
            "ip" => (with(std::slice::from_ref(&truth.start_address), &v.peers), true),
            "login" => (with(&[v.users[0].clone()], &v.users), false),
            "network" => (with(&[pod], &pods()), false),
            "node" => (from(&nodes()), true),
            "object" => {
                let mut all = vec![vec!["pods".to_string(), pod]];
                all.extend(
                    pods()
                        .iter()
                        .step_by(997)
                        .take(turns)
                        .map(|title| vec!["pods".to_string(), title.clone()]),
                );
                (all, true)
            }
            "peers" => (with(&[account, truth.credential.clone()], &v.users), true),
            "pod" => (with(&[pod], &pods()), true),
            "user" => (with(&[account], &v.users), true),
            // Those that take nothing, or may take somebody.
            "kubevirt" | "mounts" | "scc" | "bruteforce" | "anonymous" | "rbac" => {
                (vec![Vec::new()], matches!(pivot, "bruteforce" | "anonymous" | "rbac"))
            }
            "exec" | "port-forward" => {
                let mut all = vec![Vec::new()];
                all.extend(from(&pods()));
                (all, pivot == "exec")
            }
            "node-debug" => (vec![Vec::new()], false),
            "payload" => (vec![Vec::new()], true),
            "foreign" | "impersonation" | "persistence" | "privileged" | "rare" | "secrets"
            | "tampering" => {
                let mut all = vec![Vec::new(), vec![account]];
                all.extend(from(&v.users));
                (all, matches!(pivot, "rare" | "secrets" | "privileged"))
            }
            other => panic!("{other}: no arguments for this pivot"),
        }
    }

    fn pivots(&self, only: &str) {
        let mut rows = Vec::new();
        for pivot in PIVOTS.iter().filter(|pivot| only.is_empty() || pivot.name() == only) {
            let (mut arguments, finds) = self.arguments(pivot.name());
            arguments.retain(|a| self.argument.is_empty() || a.join(" ") == self.argument);
            let context = PivotContext {
                evidence: self.searcher,
                ledgers: self.ledgers,
                range: TimeRange::ALL,
                filter: None,
                options: PivotOptions::default(),
            };
            let ask = |argument: &[String]| pivot.run(&context, argument).unwrap();
            // Warm is a process that was asked before, about something else.
            arguments.iter().rev().take(3).for_each(|argument| drop(ask(argument)));
            let mut times = Times::default();
            let (mut found, mut slowest) = (0_usize, (0.0, String::new()));
            // A pivot without arguments is asked again: nothing is kept from one to the next.
            let cpu = measure::cpu_seconds();
            for turn in 0..arguments.len().max(5) * self.repeat {
                let argument = &arguments[turn % arguments.len()];
                let fresh = self.cold.as_ref().map(|dir| open(dir).unwrap());
                let context =
                    PivotContext { evidence: fresh.as_ref().unwrap_or(self.searcher), ..context };
                let begin = Instant::now();
                let answer = times.take(|| pivot.run(&context, argument).unwrap());
                let took = begin.elapsed().as_secs_f64() * 1e3;
                if took > slowest.0 {
                    slowest = (took, argument.join(" "));
                }
                let any = answer.sections.iter().any(|section| !section.rows.is_empty());
                found += usize::from(any);
                assert!(any || turn > 0 || !finds, "{} {argument:?}", pivot.name());
            }
            rows.push(vec![
                pivot.name().to_string(),
                format!("{PIVOT_GOAL}"),
                format!("{:.1}", times.percentile(50)),
                format!("{:.1}", times.percentile(99)),
                format!("{:.1}", (measure::cpu_seconds() - cpu) * 1e3 / times.len() as f64),
                format!("{found} of {}", times.len()),
                slowest.1,
            ]);
        }
        measure::table(
            &["pivot", "goal, ms", "p50", "p99", "CPU-ms", "with rows", "slowest"],
            &rows,
        );
    }

    /// Writes what every pivot says, a line a question.
    fn answers(&self, path: &Path, only: &str) {
        let mut out = BufWriter::new(File::create(path).unwrap());
        let newest = self.searcher.newest().unwrap().0;
        let half = TimeRange { since: Some(Timestamp(newest - 43_200_000_000)), until: None };
        let short = PivotOptions { limit: 7, ..PivotOptions::default() };
        let human = PivotOptions { no_platform: true, ..PivotOptions::default() };
        let filter = parse("verb:(get OR list OR create)", &ParseOptions::default()).unwrap();
        for pivot in PIVOTS.iter().filter(|pivot| only.is_empty() || pivot.name() == only) {
            for argument in &self.arguments(pivot.name()).0 {
                for (range, options, filter) in [
                    (TimeRange::ALL, PivotOptions::default(), None),
                    (half, short, None),
                    (TimeRange::ALL, human, Some(&filter)),
                ] {
                    let context = PivotContext {
                        evidence: self.searcher,
                        ledgers: self.ledgers,
                        range,
                        filter,
                        options,
                    };
                    let answer = pivot.run(&context, argument).unwrap();
                    writeln!(out, "{} {argument:?} {range:?} {options:?}", pivot.name()).unwrap();
                    writeln!(out, "{answer:?}").unwrap();
                }
            }
        }
        out.flush().unwrap();
    }

    fn investigate(&self, clues: &[(String, bool)]) {
        let truth: BTreeSet<String> =
            self.generated.truth.as_ref().unwrap().audit_ids().into_iter().collect();
        let ask = |clue: &str| {
            let parsed = parse(clue, &ParseOptions::default()).map_err(|error| error.to_string());
            let options = InvestigateOptions { range: TimeRange::ALL, cluster: None };
            investigate(self.searcher, self.ledgers, clue, &parsed, &options)
        };
        let mut rows = Vec::new();
        let mut all = Times::default();
        for (clue, whole) in clues {
            let mut own = Times::default();
            let mut said = String::new();
            for _ in 0..3 {
                let begin = Instant::now();
                let story = ask(clue);
                own.push(begin.elapsed());
                all.push(begin.elapsed());
                said = match story {
                    Ok(story) => told(&story, &truth, *whole),
                    Err(error) => format!("{error}").chars().take(60).collect(),
                };
            }
            rows.push((own.percentile(100), clue.clone(), own.percentile(50), said));
        }
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut table: Vec<Vec<String>> = vec![vec![
            format!("all {} clues", rows.len()),
            format!("{INVESTIGATE_GOAL}"),
            format!("{:.1}", all.percentile(50)),
            format!("{:.1}", all.percentile(100)),
            String::new(),
        ]];
        table.extend(rows.into_iter().map(|(max, clue, p50, said)| {
            vec![clue, String::new(), format!("{p50:.1}"), format!("{max:.1}"), said]
        }));
        measure::table(&["investigate", "goal, ms", "p50", "max", "story"], &table);
    }
}

/// How much of the incident a story reaches; `whole` where that must be all of it.
fn told(story: &Story, truth: &BTreeSet<String>, whole: bool) -> String {
    let found: BTreeSet<String> =
        story.steps.iter().flat_map(|step| &step.events).map(|e| e.audit_id.clone()).collect();
    let right = found.intersection(truth).count();
    let text = format!("{} steps, {right} of {} planted", story.steps.len(), truth.len());
    assert!(!whole || (right == truth.len() && found.len() == right), "{text}");
    text
}
