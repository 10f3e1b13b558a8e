//! Writes a generated corpus to a file: `cargo bench --bench generate -- --events N --out FILE`.
//!
//! Options: `--seed S`, `--days D`, `--format plain|gz|tgz`, `--no-incident`, `--no-bodies`, and
//! `--counts FILE` for what must be found in it, as JSON.
//! `tgz` is what must-gather leaves: a tar.gz whose members, one a master and rotation, are gzip
//! themselves.  The last line of standard output names what was written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::indexing_slicing)]

mod corpus;

use std::fs::File;
use std::io::BufWriter;
use std::io::Write;

use corpus::CorpusOptions;
use corpus::Generated;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Raw bytes of one rotated log before the next begins (100 MB is the server's own default).
const ROTATION: usize = 100_000_000;

struct Asked {
    options: CorpusOptions,
    out: String,
    counts: Option<String>,
    format: String,
}

fn main() {
    let asked = arguments();
    let started = std::time::Instant::now();
    let generated = match asked.format.as_str() {
        "plain" => {
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&asked.out).unwrap());
            let done = lines(&asked.options, &mut file);
            file.flush().unwrap();
            done
        }
        "gz" => {
            let file = BufWriter::new(File::create(&asked.out).unwrap());
            let mut gz = GzEncoder::new(file, Compression::fast());
            let done = lines(&asked.options, &mut gz);
            gz.finish().unwrap().flush().unwrap();
            done
        }
        "tgz" => must_gather(&asked),
        other => panic!("--format {other}: plain, gz or tgz"),
    };
    if let Some(path) = &asked.counts {
        std::fs::write(path, counts(&generated)).unwrap();
    }
    let c = &generated.counts;
    println!(
        "{{\"events\":{},\"bytes\":{},\"with_body\":{},\"elapsed_ms\":{}}}",
        c.events,
        c.bytes,
        c.with_body,
        started.elapsed().as_millis()
    );
}

/// Returns the questions, the values they are about, and the lists that peers must agree with.
fn counts(generated: &Generated) -> String {
    let c = &generated.counts;
    let mut users: Vec<(&String, &u64)> = c.users.iter().collect();
    users.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let hours: Vec<u64> = c.hours.values().copied().collect();
    serde_json::json!({
        "bytes": c.bytes,
        "denied_user": corpus::world::DENIED_USER,
        "denied_address": generated.vocabulary.denied_address,
        "rare_word": corpus::RARE_WORD,
        "frequent_word": corpus::FREQUENT_WORD,
        "counts": {
            "all": c.events,
            "user_403": c.denied_403,
            "address": c.denied_address,
            "exec": c.exec,
            "host_pid": c.host_pid,
            "secrets_list": c.secrets_list,
            "rare": c.rare,
            "frequent": c.frequent,
            "failed": c.failed,
        },
        "top_users": users.iter().take(10).collect::<Vec<_>>(),
        "hours": hours,
        "questions": generated.questions(),
    })
    .to_string()
}

fn lines(options: &CorpusOptions, out: &mut dyn Write) -> Generated {
    corpus::generate(options, &mut |line| {
        out.write_all(line).unwrap();
        out.write_all(b"\n").unwrap();
    })
}

/// Writes `audit_logs/kube-apiserver/<node>-audit-<n>.log.gz` members, gzipped once more as a whole.
fn must_gather(asked: &Asked) -> Generated {
    let file = BufWriter::new(File::create(&asked.out).unwrap());
    let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    let mut open: Vec<(usize, u32, GzEncoder<Vec<u8>>)> =
        (0..3).map(|_| (0, 0, GzEncoder::new(Vec::new(), Compression::fast()))).collect();
    let mut close = |server: usize, number: u32, gz: GzEncoder<Vec<u8>>| {
        let bytes = gz.finish().unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let name =
            format!("must-gather/audit_logs/kube-apiserver/cp-{server}-audit-{number:04}.log.gz");
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    };
    let done = corpus::generate_by_server(&asked.options, &mut |server, line| {
        let (size, number, gz) = &mut open[server];
        gz.write_all(line).unwrap();
        gz.write_all(b"\n").unwrap();
        *size += line.len() + 1;
        if *size > ROTATION {
            let full = std::mem::replace(gz, GzEncoder::new(Vec::new(), Compression::fast()));
            close(server, *number, full);
            *size = 0;
            *number += 1;
        }
    });
    for (server, (_, number, gz)) in open.into_iter().enumerate() {
        close(server, number, gz);
    }
    tar.into_inner().unwrap().finish().unwrap().flush().unwrap();
    done
}

fn arguments() -> Asked {
    let mut asked = Asked {
        options: CorpusOptions { events: 100_000, ..CorpusOptions::default() },
        out: String::new(),
        counts: None,
        format: "plain".to_string(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| panic!("{arg} wants a value"));
        match arg.as_str() {
            "--events" => asked.options.events = value().parse().unwrap(),
            "--seed" => asked.options.seed = value().parse().unwrap(),
            "--days" => asked.options.days = value().parse().unwrap(),
            "--out" => asked.out = value(),
            "--counts" => asked.counts = Some(value()),
            "--format" => asked.format = value(),
            "--no-incident" => asked.options.incident = false,
            "--no-bodies" => asked.options.bodies = false,
            // cargo's own flag for a bench target without a harness.
            "--bench" => {}
            other => panic!("{other}: unknown option"),
        }
    }
    if asked.out.is_empty() {
        // `cargo bench` without options runs every target: there is nothing to write then.
        println!("generate: no --out, nothing written");
        std::process::exit(0);
    }
    asked
}
