//! How long questions take: warm in one process, as whole processes, and after a cold start.
//!
//! `cargo bench --bench search -- [--events N] [--seed S] [--days D] [--dir DIR] [--questions N]`
//! `cargo bench --bench search -- --ask DIR RUNS` asks the questions of a JSON object on standard
//! input, key to `[count|top|hours, question]`, in one warm process and prints the best times.
//! `cargo bench --bench search -- --twenty DIR` only asks twenty fixed questions, for counting
//! instructions.
//!
//! Measured: 1,000 distinct questions of each kind, their words taken from the corpus and their
//! windows spread over its time, each asked once of a process that was asked fifty others of every
//! kind before; `first` is the first question of a kind.
//! Corpus: the generated day of `benches/corpus`, `--events` of about 1,390 bytes.
//! Notes: the planted needles' counts are asserted first; the cold figure needs the right to empty
//! the page cache and is compared with reading as many bytes as the question made the disk read.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::panic, clippy::print_stderr)]

mod corpus;
mod measure;

use std::collections::HashSet;
use std::fs::File;
use std::io::BufWriter;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use audithound::event::field::Field;
use audithound::event::time::TimeRange;
use audithound::event::time::Timestamp;
use audithound::index::build::BuildOptions;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::query::ast::QueryAst;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::evidence::SortOrder;
use audithound::search::indexed::Searcher;
use audithound::search::indexed::open;
use corpus::CorpusOptions;
use corpus::Generated;
use corpus::rng::Rng;
use measure::Args;
use measure::Times;
use measure::Workplace;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HOUR: i64 = 3_600_000_000;

/// Questions that stay the same for counting instructions.
const TWENTY: [&str; 20] = [
    "user:system:serviceaccount:night-batch:report-runner AND code:403",
    "user:system:anonymous AND code:403",
    "ip:10.132.8.11",
    "ip:10.132.0.0/14",
    "sub:exec",
    "requestObject.spec.hostPID:true",
    "resource:secrets AND verb:list",
    "quernstone",
    "leases AND verb:get AND code:404",
    "\"context deadline exceeded\"",
    "nsenter",
    "user:*wei*",
    "uri:/limit=\\d+$/",
    "requestObject.spec.containers.image:*ledger*",
    "code:>=400",
    "userAgent:curl*",
    "took:>500000",
    "impersonatedUser:*",
    "resource:pods AND verb:create AND NOT sub:*",
    "name:settings-*",
];

fn main() {
    let args = Args::take();
    if let Some(words) = args.after("--twenty") {
        return twenty(Path::new(&words[0]));
    }
    if let Some(words) = args.after("--ask") {
        return ask_warm(Path::new(&words[0]), words[1].parse().unwrap());
    }
    if let Some(words) = args.after("--child-ask") {
        return child_ask(Path::new(&words[0]), &words[1]);
    }
    let events = args.value("--events", 200_000);
    let place = Workplace::new(&args, "search");
    let (log, dir) = (place.path("a.log"), place.path("a.index"));
    let options = CorpusOptions {
        seed: args.value("--seed", 1),
        events,
        days: args.value("--days", (events as f64 / 1e6).max(0.5)),
        ..CorpusOptions::default()
    };
    let generated = written(&options, &log);
    let building = BuildOptions {
        derive: Some(&audithound::ledger::partial::DERIVE_LEDGERS),
        ..BuildOptions::new(vec![log.clone()], dir.clone())
    };
    build(&building, &Quiet).unwrap();
    std::fs::remove_file(&log).unwrap();
    let searcher = open(&dir).unwrap();
    for (ask, count) in generated.questions() {
        assert_eq!(searcher.count(&ast(&ask), TimeRange::ALL).unwrap(), count, "{ask}");
    }
    println!("{events} events, {:.0} MB raw\n", generated.counts.bytes as f64 / 1e6);
    let questions = args.value("--questions", 1_000);
    let bench = Bench { searcher: &searcher, generated: &generated, options: &options, questions };
    bench.run(&place);
    processes(&dir, &generated);
    // Its maps would keep pages in memory.
    drop(searcher);
    cold(&dir);
}

fn written(options: &CorpusOptions, path: &Path) -> Generated {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let generated = corpus::generate(options, &mut |line| {
        out.write_all(line).unwrap();
        out.write_all(b"\n").unwrap();
    });
    out.flush().unwrap();
    generated
}

fn ast(text: &str) -> QueryAst {
    match parse(text, &ParseOptions::default()) {
        Ok(question) => question,
        Err(error) => panic!("{text}: {error}"),
    }
}

/// How a question is put.
#[derive(Clone, Copy)]
enum Put {
    /// All hits, oldest first.
    Hits,
    /// The newest hundred.
    Newest,
    /// The number only.
    Count,
    /// The most frequent users.
    Top,
    /// Counts by the hour.
    Histogram,
}

/// So many questions of every kind are asked before any is measured.
const WARM: usize = 50;

type Make<'k> = dyn Fn(&mut Rng, usize) -> String + 'k;

/// Questions of one kind.
struct Kind<'k> {
    name: &'static str,
    goal: &'static str,
    put: Put,
    /// Whether they are about all time; else each has a window of its own.
    all: bool,
    /// Says the question of each turn.
    make: Box<Make<'k>>,
}

impl<'k> Kind<'k> {
    fn new(
        name: &'static str,
        goal: &'static str,
        put: Put,
        all: bool,
        make: impl Fn(&mut Rng, usize) -> String + 'k,
    ) -> Kind<'k> {
        Kind { name, goal, put, all, make: Box::new(make) }
    }
}

/// How far a kind was asked.
struct Asked {
    rng: Rng,
    /// Milliseconds of the first question.
    first: f64,
}

struct Bench<'b> {
    searcher: &'b Searcher,
    generated: &'b Generated,
    options: &'b CorpusOptions,
    questions: usize,
}

impl Bench<'_> {
    /// A window of one to some hours somewhere in the corpus; no two are alike.
    fn window(&self, rng: &mut Rng) -> TimeRange {
        let span = (self.options.days * 24.0 * HOUR as f64) as u64;
        let length = rng.between(HOUR as u64 / 4, (span / 2).max(HOUR as u64));
        let since = self.options.start + rng.below(span.saturating_sub(length).max(1)) as i64;
        TimeRange { since: Some(Timestamp(since)), until: Some(Timestamp(since + length as i64)) }
    }

    fn ask(&self, question: &QueryAst, range: TimeRange, put: Put) -> u64 {
        let s = self.searcher;
        let limited = |order, limit, count_all| SearchOptions { range, order, limit, count_all };
        match put {
            Put::Hits => s.search(question, &limited(SortOrder::Oldest, 100, true)).unwrap().total,
            Put::Newest => {
                let options = limited(SortOrder::Newest, 100, false);
                s.search(question, &options).unwrap().hits.len() as u64
            }
            Put::Count => s.count(question, range).unwrap(),
            Put::Top => {
                let field = [Field::Path("user.username".to_string())];
                s.top(question, range, &field, None, 0).unwrap().len() as u64
            }
            Put::Histogram => s.histogram(question, range, HOUR).unwrap().len() as u64,
        }
    }

    fn ask_one(&self, kind: &Kind<'_>, turn: usize, asked: &mut Asked) -> (Duration, u64) {
        let question = ast(&(kind.make)(&mut asked.rng, turn));
        let range = if kind.all { TimeRange::ALL } else { self.window(&mut asked.rng) };
        let begin = Instant::now();
        let found = self.ask(&question, range, kind.put);
        (begin.elapsed(), found)
    }

    /// Asks questions of every kind until the process is warm, then measures kind by kind.
    fn measure(&self, kinds: &[Kind<'_>]) -> Vec<Vec<String>> {
        let warm = WARM.min(self.questions);
        let warmed: Vec<Asked> = kinds
            .iter()
            .map(|kind| {
                let mut asked = Asked { rng: Rng::new(self.options.seed ^ 0xA5), first: 0.0 };
                for turn in 0..warm {
                    let (took, _) = self.ask_one(kind, turn, &mut asked);
                    if turn == 0 {
                        asked.first = took.as_secs_f64() * 1e3;
                    }
                }
                asked
            })
            .collect();
        let measured = kinds.iter().zip(warmed).map(|(kind, mut asked)| {
            let (mut times, mut with_hits) = (Times::default(), 0);
            for turn in warm..warm + self.questions {
                let (took, found) = self.ask_one(kind, turn, &mut asked);
                times.push(took);
                with_hits += u64::from(found > 0);
            }
            vec![
                kind.name.to_string(),
                kind.goal.to_string(),
                format!("{:.1}", asked.first),
                format!("{:.2}", times.percentile(50)),
                format!("{:.2}", times.percentile(99)),
                format!("{with_hits} of {}", times.len()),
            ]
        });
        measured.collect()
    }

    fn run(&self, place: &Workplace) {
        let v = &self.generated.vocabulary;
        let user = |rng: &mut Rng| rng.pick(&v.users).clone();
        // Each word once: some come back, such as the `debug` of debuggers' pods.
        let mut met = HashSet::new();
        let words = v.pods.iter().map(|pod| pod.rsplit('-').nth(1).unwrap_or(pod));
        let words: Vec<&str> = words.filter(|word| met.insert(*word)).collect();
        let part = |text: &str, rng: &mut Rng| {
            let at = rng.below(text.len().saturating_sub(6) as u64) as usize;
            text.get(at..at + 5).unwrap_or(text).replace([':', '.'], "?")
        };
        let kinds = vec![
            Kind::new("one user's failures, sorted", "3 / 15", Put::Hits, false, move |rng, _| {
                format!("user:{} AND code:>={}", user(rng), 400 + rng.below(10))
            }),
            Kind::new("one address", "3 / 15", Put::Hits, false, move |_, turn| {
                format!("ip:{}", v.peers[turn % v.peers.len()])
            }),
            Kind::new("exec", "3 / 15", Put::Hits, false, move |_, _| "sub:exec".to_string()),
            Kind::new("hostPID", "3 / 15", Put::Hits, false, move |_, _| {
                "requestObject.spec.hostPID:true".to_string()
            }),
            Kind::new("lists of secrets", "3 / 15", Put::Hits, false, move |_, _| {
                "resource:secrets AND verb:list".to_string()
            }),
            Kind::new("top users", "3 / 15", Put::Top, false, move |_, _| "*".to_string()),
            Kind::new("top users of failures", "3 / 15", Put::Top, false, move |_, _| {
                "code:>=400".to_string()
            }),
            Kind::new("hourly histogram", "3 / 15", Put::Histogram, false, move |_, _| {
                "*".to_string()
            }),
            Kind::new("one audit id", "3 / 15", Put::Hits, true, move |_, turn| {
                format!("id:{}", v.audit_ids[turn % v.audit_ids.len()])
            }),
            Kind::new("one credential", "3 / 15", Put::Hits, true, move |_, turn| {
                format!("credential:{}", v.credentials[turn % v.credentials.len()])
            }),
            Kind::new("rare word anywhere", "5", Put::Hits, true, move |_, turn| {
                words[turn % words.len()].to_string()
            }),
            Kind::new("rare phrase anywhere", "5", Put::Hits, true, move |_, turn| {
                v.pods[turn % v.pods.len()].clone()
            }),
            Kind::new("frequent word, newest 100", "10", Put::Newest, false, move |_, _| {
                corpus::FREQUENT_WORD.to_string()
            }),
            Kind::new(
                "frequent word, exact count",
                "300, aim 50",
                Put::Count,
                false,
                move |_, _| corpus::FREQUENT_WORD.to_string(),
            ),
            Kind::new("leading wildcard, few values", "20", Put::Count, true, move |rng, _| {
                let name = user(rng);
                format!("user:*{}*", part(&name, rng))
            }),
            Kind::new("regex, few values", "20", Put::Count, true, move |rng, turn| {
                format!("user:~/{}.*{turn}?$/", &user(rng)[..3])
            }),
            Kind::new("leading wildcard on requestURI", "200", Put::Hits, false, move |rng, _| {
                let name = rng.pick(&v.pods).clone();
                format!("uri:*{}*", part(&name, rng))
            }),
            Kind::new("regex on names", "200", Put::Hits, false, move |rng, _| {
                let name = rng.pick(&v.pods).clone();
                format!("name:~/{}\\w+$/", part(&name, rng).replace('?', "."))
            }),
            Kind::new("wildcard on a body path", "200", Put::Hits, false, move |rng, _| {
                format!(
                    "requestObject.spec.containers.image:*{}*",
                    part(rng.pick::<String>(&v.namespaces), rng)
                )
            }),
        ];
        measure::table(
            &["warm, one process", "goal p50 / p99, ms", "first", "p50", "p99", "with hits"],
            &self.measure(&kinds),
        );
        let few = Bench { questions: self.questions.min(20), ..*self };
        let lists: Vec<String> =
            (0..few.questions + 20).map(|turn| address_list(place, v, turn)).collect();
        let kinds = vec![
            Kind::new("part of an identifier", "no figure", Put::Hits, true, move |rng, _| {
                format!("user.uid:{}*", rng.hex(4))
            }),
            Kind::new("10,000 addresses from a file", "50", Put::Count, true, move |_, turn| {
                format!("ip:@{}", lists[turn % lists.len()])
            }),
        ];
        measure::table(
            &["warm, fewer questions", "goal, ms", "first", "p50", "p99", "with hits"],
            &few.measure(&kinds),
        );
    }
}

/// Writes 10,000 addresses, fifty of which occur.
fn address_list(place: &Workplace, v: &corpus::Vocabulary, turn: usize) -> String {
    let mut rng = Rng::new(turn as u64);
    let mut text = String::new();
    for line in 0..10_000_u64 {
        if line % 200 == 0 {
            text.push_str(rng.pick::<String>(&v.peers));
        } else {
            let n = rng.next();
            text.push_str(&format!("11.{}.{}.{}", n & 255, n >> 8 & 255, n >> 16 & 255));
        }
        text.push('\n');
    }
    let path = place.path(&format!("addresses-{turn}.txt"));
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Whole processes of the command line, index on disk warm.
fn processes(dir: &Path, generated: &Generated) {
    let mut rows = Vec::new();
    for (ask, count) in generated.questions().iter().skip(2) {
        let mut row = vec![ask.clone(), "15".to_string()];
        for counted in [true, false] {
            let mut times = Times::default();
            for _ in 0..20 {
                let out = times.take(|| {
                    Command::new(env!("CARGO_BIN_EXE_audithound"))
                        .args(["search", ask, if counted { "--count" } else { "--limit=100" }])
                        .arg("--index")
                        .arg(dir)
                        .stderr(Stdio::null())
                        .output()
                        .unwrap()
                });
                let text = String::from_utf8_lossy(&out.stdout);
                if counted {
                    assert_eq!(text.trim(), count.to_string(), "{ask}");
                } else {
                    assert_eq!(text.lines().count() as u64, (*count).min(100) + 1, "{ask}");
                }
            }
            row.extend([50, 95].map(|share| format!("{:.1}", times.percentile(share))));
        }
        rows.push(row);
    }
    measure::table(
        &["whole process", "goal, ms", "count p50", "p95", "first hundred shown p50", "p95"],
        &rows,
    );
}

/// One question in a fresh process, telling what it took and what it read from the disk.
fn child_ask(dir: &Path, ask: &str) {
    let (begin, before) = (Instant::now(), measure::bytes_from_disk());
    let searcher = open(dir).unwrap();
    let opened = begin.elapsed();
    let hits = searcher.search(&ast(ask), &SearchOptions::default()).unwrap();
    if let Some(hit) = hits.hits.first() {
        searcher.fetch(hit.id).unwrap();
    }
    println!(
        "{}",
        serde_json::json!({
            "ms": begin.elapsed().as_secs_f64() * 1e3, "open_ms": opened.as_secs_f64() * 1e3,
            "read": measure::bytes_from_disk() - before,
        })
    );
}

fn cold(dir: &Path) {
    if !measure::drop_page_cache() {
        println!("cold start: not measured, the page cache cannot be emptied here");
        return;
    }
    let mut rows = Vec::new();
    for ask in
        ["user:system:anonymous AND code:403", "requestObject.spec.hostPID:true", corpus::RARE_WORD]
    {
        measure::drop_page_cache();
        let told = measure::child(&["--child-ask", &dir.display().to_string(), ask]);
        let read = told["read"].as_u64().unwrap();
        measure::drop_page_cache();
        let plain = plain_read(dir, read);
        let cold = told["ms"].as_f64().unwrap();
        rows.push(vec![
            ask.to_string(),
            format!("{cold:.1}"),
            format!("{:.1}", told["open_ms"].as_f64().unwrap()),
            format!("{:.2}", read as f64 / 1e6),
            format!("{plain:.1}"),
            format!("{:.1}", cold / plain.max(0.001)),
        ]);
    }
    measure::table(
        &[
            "first question, cold",
            "ms",
            "of it open",
            "MB read",
            "plain reading of as much, ms",
            "times (goal 3)",
        ],
        &rows,
    );
}

/// Reads that many bytes of the index from the beginning of its files, in milliseconds.
fn plain_read(dir: &Path, bytes: u64) -> f64 {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path()).collect();
    files.sort();
    let begin = Instant::now();
    let (mut left, mut buffer) = (bytes, vec![0_u8; 1 << 20]);
    for path in files {
        let Ok(mut file) = File::open(path) else { continue };
        while left > 0 {
            match file.read(&mut buffer) {
                Ok(n) if n > 0 => left = left.saturating_sub(n as u64),
                _ => break,
            }
        }
    }
    begin.elapsed().as_secs_f64() * 1e3
}

/// Asks each question again and again; columns are decoded, but no answer is kept between two runs.
fn ask_warm(dir: &Path, runs: usize) {
    let asked: serde_json::Map<String, serde_json::Value> =
        serde_json::from_reader(std::io::stdin()).unwrap();
    let searcher = open(dir).unwrap();
    let user = Field::path("user.username");
    let mut told = serde_json::Map::new();
    for (key, what) in &asked {
        let question = ast(what[1].as_str().unwrap());
        let answer = || -> serde_json::Value {
            match what[0].as_str().unwrap() {
                "count" => searcher.count(&question, TimeRange::ALL).unwrap().into(),
                "top" => {
                    let fields = std::slice::from_ref(&user);
                    let rows = searcher.top(&question, TimeRange::ALL, fields, None, 1).unwrap();
                    rows.iter().take(10).map(|row| row.count).collect()
                }
                "hours" => {
                    let hours = searcher.histogram(&question, TimeRange::ALL, HOUR).unwrap();
                    hours.iter().map(|(_, count)| *count).collect()
                }
                other => panic!("{other}: count, top or hours"),
            }
        };
        answer();
        let mut best = f64::MAX;
        for _ in 0..runs {
            searcher.forget_answers();
            let begin = Instant::now();
            answer();
            best = best.min(begin.elapsed().as_secs_f64() * 1e3);
        }
        told.insert(key.clone(), serde_json::json!({ "ms": best, "answer": answer() }));
    }
    println!("{}", serde_json::Value::Object(told));
}

fn twenty(dir: &Path) {
    let searcher = open(dir).unwrap();
    let mut sum = 0;
    for ask in TWENTY {
        sum += searcher.search(&ast(ask), &SearchOptions::default()).unwrap().total;
    }
    println!("{sum} hits");
}
