//! How fast evidence becomes an index, how large it gets and how much memory that takes.
//!
//! `cargo bench --bench ingest -- [--events N] [--seed S] [--days D] [--dir DIR]`
//! `cargo bench --bench ingest -- --growth 1000000,4000000,16000000`
//! `cargo bench --bench ingest -- --mixed 5000000000 --memory 512MiB`: an archive set of so many
//! bytes, a third plain, a third gzip, a third tar, indexed within that much memory.
//!
//! Measured: plain lines with one worker and with two, gzip, and a must-gather-like tar.gz of gzip
//! members; plain lines also without what the ledgers need being derived, and left in their
//! source; each in a process of its own, so that CPU seconds and peak memory are its own.  One core
//! against two, and against two processes on a core each, which is what the machine can give.
//! Corpus: the generated day of `benches/corpus`, `--events` of about 1,390 bytes.
//! Notes: the rate for compressed input is also told without the decompressor's own time; every
//! run asserts its tally and the counts of the planted needles.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]
#![allow(clippy::panic, clippy::print_stderr)]

mod corpus;
mod measure;

use std::fs::File;
use std::io::BufWriter;
use std::io::Read;
use std::io::Write;
use std::path::Path;

use audithound::cli::command::index::bytes;
use audithound::event::time::TimeRange;
use audithound::index::build::BuildOptions;
use audithound::index::build::KeepRaw;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::search::evidence::Evidence as _;
use audithound::search::indexed::open;
use corpus::CorpusOptions;
use corpus::Generated;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use measure::Args;
use measure::Workplace;
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args = Args::take();
    if let Some(words) = args.after("--child-build") {
        return child_build(&words[0], &words[1], words[2].parse().unwrap(), &words[3..]);
    }
    if let Some(words) = args.after("--child-unpack") {
        return child_unpack(&words[0]);
    }
    let mixed_bytes: u64 = args.value("--mixed", 0);
    if mixed_bytes > 0 {
        return mixed(&args, mixed_bytes);
    }
    let steps: String = args.value("--growth", String::new());
    if steps.is_empty() {
        rates(&args);
    } else {
        let steps: Vec<u64> = steps.split(',').map(|step| step.parse().unwrap()).collect();
        growth(&args, &steps);
    }
}

fn options(args: &Args, events: u64) -> CorpusOptions {
    CorpusOptions {
        seed: args.value("--seed", 1),
        events,
        // A million events are a day of a mid-sized cluster.
        days: args.value("--days", (events as f64 / 1e6).max(0.1)),
        ..CorpusOptions::default()
    }
}

fn write_plain(options: &CorpusOptions, path: &Path) -> Generated {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let generated = corpus::generate(options, &mut |line| {
        out.write_all(line).unwrap();
        out.write_all(b"\n").unwrap();
    });
    out.flush().unwrap();
    generated
}

/// Packs a plain corpus as `.gz`, and as a tar.gz of gzip members of 100 MB each.
fn write_packed(plain: &Path, gz: &Path, tgz: &Path) {
    let mut source = File::open(plain).unwrap();
    let mut out = GzEncoder::new(BufWriter::new(File::create(gz).unwrap()), Compression::fast());
    std::io::copy(&mut source, &mut out).unwrap();
    out.finish().unwrap().flush().unwrap();
    let text = std::fs::read(plain).unwrap();
    let file = BufWriter::new(File::create(tgz).unwrap());
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    let (mut rest, mut number) = (text.as_slice(), 0);
    while !rest.is_empty() {
        let cut = rest.get(..100_000_000).map_or(rest.len(), |part| {
            memchr::memrchr(b'\n', part).map_or(rest.len(), |at| at + 1)
        });
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(&rest[..cut]).unwrap();
        let bytes = member.finish().unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let name = format!("audit_logs/kube-apiserver/cp-0-audit-{number:04}.log.gz");
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        (rest, number) = (&rest[cut..], number + 1);
    }
    tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
}

fn child_build(path: &str, dir: &str, threads: usize, how: &[String]) {
    let memory = how.get(1).map_or(512 << 20, |memory| bytes(memory).unwrap());
    let has = |what: &str| how.first().is_some_and(|how| how == what);
    let derive = !has("plain");
    let options = BuildOptions {
        paths: vec![path.into()],
        dir: dir.into(),
        threads,
        memory,
        cluster: None,
        range: TimeRange::ALL,
        checkpoint: audithound::index::commit::CHECKPOINT,
        keep_raw: if has("reference") { KeepRaw::Reference } else { KeepRaw::Store },
        derive: if derive { Some(&audithound::ledger::partial::DERIVE_LEDGERS) } else { None },
    };
    let summary = build(&options, &Quiet).unwrap();
    let c = &summary.counts;
    assert_eq!(c.records, c.events + c.blank + c.rejected + c.duplicates + c.outside);
    println!(
        "{}",
        serde_json::json!({
            "events": c.events, "rejected": c.rejected, "duplicates": c.duplicates,
            "wall": summary.elapsed.as_secs_f64(), "cpu": measure::cpu_seconds(),
            "memory": measure::peak_memory(), "stages": summary.stages,
        })
    );
}

/// Only unpacks, also the members of a tarball: what the decompressor alone takes.
fn child_unpack(path: &str) {
    let mut unpacked = MultiGzDecoder::new(File::open(path).unwrap());
    if path.ends_with(".gz") {
        std::io::copy(&mut unpacked, &mut std::io::sink()).unwrap();
    } else {
        let mut tar = tar::Archive::new(unpacked);
        for entry in tar.entries().unwrap() {
            let mut member = Vec::new();
            entry.unwrap().read_to_end(&mut member).unwrap();
            std::io::copy(&mut MultiGzDecoder::new(member.as_slice()), &mut std::io::sink())
                .unwrap();
        }
    }
    println!("{}", serde_json::json!({ "cpu": measure::cpu_seconds() }));
}

fn measured(path: &Path, dir: &Path, threads: usize, how: &[&str], events: u64) -> Value {
    let _ = std::fs::remove_dir_all(dir);
    let (path, dir) = (path.display().to_string(), dir.display().to_string());
    let threads = threads.to_string();
    let told = measure::child(&[&["--child-build", &path, &dir, &threads], how].concat());
    assert_eq!(told["events"], events, "{path}");
    assert_eq!((told["rejected"].clone(), told["duplicates"].clone()), (0.into(), 0.into()));
    told
}

/// Asks the index for every needle.
fn assert_counts(dir: &Path, generated: &Generated) {
    let searcher = open(dir).unwrap();
    for (ask, count) in generated.questions() {
        let question = parse(&ask, &ParseOptions::default()).unwrap();
        assert_eq!(searcher.count(&question, TimeRange::ALL).unwrap(), count, "{ask}");
    }
}

fn rates(args: &Args) {
    let events = args.value("--events", 200_000);
    let place = Workplace::new(args, "ingest");
    let (plain, gz, tgz) = (place.path("a.log"), place.path("a.log.gz"), place.path("a.tgz"));
    let generated = write_plain(&options(args, events), &plain);
    write_packed(&plain, &gz, &tgz);
    let (raw, dir) = (generated.counts.bytes as f64, place.path("a.index"));
    println!("{events} events, {:.0} MB raw\n", raw / 1e6);
    let (mut rows, mut stages) = (Vec::new(), Vec::new());
    for (name, path, threads, how) in [
        ("plain, 1 worker, nothing derived", &plain, 1, "plain"),
        ("plain, 1 worker", &plain, 1, "ledgers"),
        ("plain, 2 workers", &plain, 2, "ledgers"),
        ("plain, 2 workers, lines left there", &plain, 2, "reference"),
        ("gz, 2 workers", &gz, 2, "ledgers"),
        ("tar.gz of gz, 2 workers", &tgz, 2, "ledgers"),
    ] {
        let told = measured(path, &dir, threads, &[how], events);
        let number = |key: &str| told[key].as_f64().unwrap();
        let unpack = if path == &plain {
            0.0
        } else {
            let path = path.display().to_string();
            measure::child(&["--child-unpack", &path])["cpu"].as_f64().unwrap()
        };
        assert_counts(&dir, &generated);
        let (cpu, wall) = (number("cpu"), number("wall"));
        rows.push(vec![
            name.to_string(),
            format!("{:.1}", raw / 1e6 / cpu),
            format!("{:.1}", raw / 1e6 / (cpu - unpack).max(0.01)),
            format!("{:.1}", raw / 1e6 / wall),
            format!("{:.0}", events as f64 / wall),
            format!("{:.2}", 100.0 * measure::size_of(&dir) as f64 / raw),
            format!("{:.0}", number("memory") / 1e6),
        ]);
        let of = |at: usize| format!("{:.2}", told["stages"][at].as_f64().unwrap_or(0.0) / 1e9);
        let mut row = vec![name.to_string(), format!("{unpack:.2}")];
        row.extend((0..4).map(of));
        row.push(format!("{cpu:.2}"));
        stages.push(row);
    }
    measure::table(
        &[
            "index",
            "MB/s per CPU-second",
            "without unpacking",
            "MB/s wall",
            "events/s wall",
            "% of raw",
            "peak MB",
        ],
        &rows,
    );
    measure::table(
        &[
            "seconds",
            "unpack (alone)",
            "parse",
            "dedupe, with waiting",
            "store",
            "write, with waiting",
            "CPU in all",
        ],
        &stages,
    );
    cores(&plain, &place, raw, events);
}

/// Compares one core with two, and with two processes that share nothing but the machine: what
/// those lose against one alone, no program of two threads can win.
fn cores(plain: &Path, place: &Workplace, raw: f64, events: u64) {
    let path = plain.display().to_string();
    let dirs = [place.path("b.index"), place.path("c.index")].map(|dir| dir.display().to_string());
    let build = |dir| vec!["--child-build", path.as_str(), dir, "1", "ledgers"];
    let clear = || dirs.iter().for_each(|dir| drop(std::fs::remove_dir_all(dir)));
    let rate = |told: &Value| {
        assert_eq!(told["events"], events);
        raw / 1e6 / told["wall"].as_f64().unwrap()
    };
    clear();
    let Some(alone) = measure::children_on_cores(&[build(&dirs[0])]) else {
        println!("one core against two: not measured, there is no taskset\n");
        return;
    };
    let one = rate(&alone[0]);
    clear();
    let both = measure::children_on_cores(&[build(&dirs[0]), build(&dirs[1])]).unwrap();
    let apart: f64 = both.iter().map(rate).sum();
    clear();
    let told = measured(plain, Path::new(&dirs[0]), 2, &["ledgers"], events);
    let two = rate(&told);
    let row = |name: &str, rate: f64| {
        vec![name.to_owned(), format!("{rate:.1}"), format!("{:.2}", rate / one)]
    };
    measure::table(
        &["plain", "MB/s wall", "times one core"],
        &[
            row("one core", one),
            row("two cores", two),
            row("two processes, a core and an archive each", apart),
        ],
    );
    clear();
}

/// Bytes of text in one file of the mixed archive set.
const MIXED_FILE: usize = 64 << 20;

/// Writes one file of an archive set: plain, gzip, or a tar with two members, one of them gzip.
fn write_mixed(folder: &Path, number: usize, text: &[u8]) {
    let gzip = |text: &[u8]| {
        let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
        gz.write_all(text).unwrap();
        gz.finish().unwrap()
    };
    let name = format!("audit-{number:04}.log");
    match number % 3 {
        0 => std::fs::write(folder.join(name), text).unwrap(),
        1 => std::fs::write(folder.join(name + ".gz"), gzip(text)).unwrap(),
        _ => {
            let mut tar = tar::Builder::new(File::create(folder.join(name + ".tar")).unwrap());
            let half = memchr::memrchr(b'\n', &text[..text.len() / 2]).unwrap() + 1;
            let members = [("a.log", text[..half].to_vec()), ("b.log.gz", gzip(&text[half..]))];
            for (name, bytes) in members {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                header.set_cksum();
                tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
            }
            tar.finish().unwrap();
        }
    }
}

/// Indexes a mixed archive set within a given memory: rate, size and peak resident set.
fn mixed(args: &Args, size: u64) {
    let memory: String = args.value("--memory", "512MiB".to_owned());
    let place = Workplace::new(args, "mixed");
    let (folder, dir) = (place.path("archives"), place.path("a.index"));
    std::fs::create_dir(&folder).unwrap();
    // An event has about 1,390 bytes.
    let events = size / 1_390;
    let (mut text, mut number) = (Vec::with_capacity(MIXED_FILE + (1 << 20)), 0);
    let generated = corpus::generate(&options(args, events), &mut |line| {
        text.extend_from_slice(line);
        text.push(b'\n');
        if text.len() >= MIXED_FILE {
            write_mixed(&folder, number, &text);
            number += 1;
            text.clear();
        }
    });
    if !text.is_empty() {
        write_mixed(&folder, number, &text);
    }
    drop(text);
    let raw = generated.counts.bytes as f64;
    let on_disk = measure::size_of(&folder) as f64;
    println!("{events} events, {:.0} MB raw in {:.0} MB of archives\n", raw / 1e6, on_disk / 1e6);
    let mut rows = Vec::new();
    let all = ["ledgers", "reference"];
    let kinds = if args.has("--reference") { &all[..] } else { &all[..1] };
    for how in kinds {
        let told = measured(&folder, &dir, 0, &[how, &memory], events);
        assert_counts(&dir, &generated);
        let number = |key: &str| told[key].as_f64().unwrap();
        let peak = number("memory") / bytes(&memory).unwrap() as f64;
        rows.push(vec![
            if *how == "ledgers" { "stored" } else { "reference" }.to_owned(),
            memory.clone(),
            format!("{:.1}", raw / 1e6 / number("cpu")),
            format!("{:.1}", raw / 1e6 / number("wall")),
            format!("{:.2}", 100.0 * measure::size_of(&dir) as f64 / raw),
            format!("{:.0}", number("memory") / 1e6),
            format!("{peak:.2}"),
        ]);
        assert!(peak <= 1.25, "{peak:.2} times --memory {memory}");
    }
    measure::table(
        &[
            "lines",
            "--memory",
            "MB/s per CPU-second",
            "MB/s wall",
            "% of raw",
            "peak MB",
            "peak, of --memory",
        ],
        &rows,
    );
}

fn growth(args: &Args, steps: &[u64]) {
    let place = Workplace::new(args, "growth");
    let (plain, dir) = (place.path("a.log"), place.path("a.index"));
    let mut rows = Vec::new();
    for &events in steps {
        let generated = write_plain(&options(args, events), &plain);
        let told = measured(&plain, &dir, 2, &["ledgers"], events);
        assert_counts(&dir, &generated);
        let _ = std::fs::remove_file(&plain);
        let raw = generated.counts.bytes as f64;
        let searcher = open(&dir).unwrap();
        let day = TimeRange {
            since: Some(audithound::event::time::Timestamp(corpus::START)),
            until: Some(audithound::event::time::Timestamp(corpus::START + 86_400_000_000)),
        };
        let mut times = measure::Times::default();
        for user in generated.vocabulary.users.iter().cycle().take(300) {
            let question =
                parse(&format!("user:{user} AND code:>=400"), &ParseOptions::default()).unwrap();
            times.take(|| searcher.count(&question, day).unwrap());
        }
        rows.push(vec![
            format!("{events}"),
            format!("{:.0}", raw / 1e6),
            format!("{:.1}", raw / 1e6 / told["cpu"].as_f64().unwrap()),
            format!("{:.1}", raw / 1e6 / told["wall"].as_f64().unwrap()),
            format!("{:.2}", 100.0 * measure::size_of(&dir) as f64 / raw),
            format!("{:.0}", told["memory"].as_f64().unwrap() / 1e6),
            format!("{:.2}", times.percentile(50)),
            format!("{:.2}", times.percentile(99)),
        ]);
        measure::table(
            &[
                "events",
                "MB raw",
                "MB/s per CPU-second",
                "MB/s wall",
                "% of raw",
                "peak MB",
                "one day p50 ms",
                "p99 ms",
            ],
            &rows,
        );
    }
}
