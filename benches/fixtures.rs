//! Writes `index-fixtures/`: `cargo bench --bench fixtures -- --write`.
//!
//! Everything follows from seeds, so whoever changes a case changes it here and commits both.
//! The counts in each `expect.toml` are told by what was written, not by reading it back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::indexing_slicing)]

mod corpus;
mod wrap;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use corpus::CorpusOptions;
use corpus::Step;
use corpus::Truth;
use corpus::Variant;
use corpus::Written;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// Seed of the bundled incident.
const DEMO_SEED: u64 = 20;
/// Events of the bundled incident.
const EVENTS: u64 = 640;

fn main() {
    if !std::env::args().any(|arg| arg == "--write") {
        println!("fixtures: no --write, nothing written");
        return;
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("index-fixtures");
    let logs = root.join("audit-logs");
    let _ = fs::remove_dir_all(&logs);
    let truth = demo(&logs.join("demo"));
    write_truth(&root.join("incident_truth.jsonl"), &truth);
    containers(&logs.join("containers"));
    zip_of_tar(&logs.join("container-zip"));
    duplicates(&logs.join("duplicates"));
    damaged(&logs.join("damaged"));
    for case in wrap::cases() {
        let dir = logs.join(format!("format-{}", case.name));
        put(&dir.join(case.file), &case.bytes);
        Expect { what: case.what, events: case.events, blank: case.blank, ..Expect::default() }
            .write(&dir, &case.questions);
    }
}

/// What a case must come out as.
#[derive(Default)]
struct Expect {
    what: &'static str,
    events: u64,
    blank: u64,
    rejected: u64,
    duplicates: u64,
}

impl Expect {
    fn write(&self, dir: &Path, questions: &[(String, u64)]) {
        let records = self.events + self.blank + self.rejected + self.duplicates;
        let mut text = format!(
            "# {}\nrecords = {records}\nevents = {}\nblank = {}\nrejected = {}\nduplicates = {}\n",
            self.what, self.events, self.blank, self.rejected, self.duplicates
        );
        for (ask, count) in questions {
            text.push_str(&format!("\n[[query]]\nask = '{ask}'\ncount = {count}\n"));
        }
        put(&dir.join("expect.toml"), text.as_bytes());
    }
}

fn put(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn tar_of(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_772_409_600);
        header.set_cksum();
        tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// Joins lines, each with a line end.
fn joined<'l>(lines: impl IntoIterator<Item = &'l [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for line in lines {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out
}

fn texts(lines: &[Written]) -> Vec<&[u8]> {
    lines.iter().map(|line| line.text.as_slice()).collect()
}

/// An hour and a half of a small cluster, handed in as evidence is: six files, five containers
/// and formats, one of them cut off.
fn demo(dir: &Path) -> Truth {
    let (lines, truth) = corpus::incident_among(DEMO_SEED, Variant::Plain, EVENTS);
    let zst = zstd::encode_all(joined(texts(&lines[..60])).as_slice(), 19).unwrap();
    put(&dir.join("forwarded.log.zst"), &zst);

    let mut laptop = b"\xef\xbb\xbf\r\n".to_vec();
    for (index, line) in texts(&lines[60..68]).iter().enumerate() {
        laptop.extend_from_slice(line);
        laptop.extend_from_slice(if index % 4 == 3 { b"\r\n  \r\n" } else { b"\r\n" });
    }
    put(&dir.join("copy-from-laptop.log"), &laptop);

    put(&dir.join("webhook-batch.json"), &wrap::event_list(&texts(&lines[68..78])));

    let folder = "must-gather.local.5710/quay-example-ocp-release-sha256-7f3a0c/audit_logs";
    let members: Vec<(String, Vec<u8>)> = (0..3)
        .map(|server| {
            let own = lines[78..480].iter().filter(|line| line.server == server);
            let text = joined(own.map(|line| line.text.as_slice()));
            (format!("{folder}/kube-apiserver/cp-{server}-audit.log.gz"), gzip(&text))
        })
        .collect();
    put(&dir.join("must-gather.tar.gz"), &gzip(&tar_of(&members)));

    let mut prefixed = Vec::new();
    for line in &lines[480..632] {
        prefixed.extend_from_slice(format!("cp-{} ", line.server).as_bytes());
        prefixed.extend_from_slice(&line.text);
        prefixed.push(b'\n');
    }
    put(&dir.join("node-logs.log.gz"), &gzip(&prefixed));

    let mut tail = joined(texts(&lines[632..]));
    let (more, _) = corpus::incident_among(DEMO_SEED + 1, Variant::Plain, EVENTS);
    tail.extend_from_slice(&more[639].text[..700]);
    put(&dir.join("audit.log"), &tail);

    let what = "Two incidents in an hour and a half of a small cluster, in six files";
    let expect = Expect { what, events: lines.len() as u64, blank: 3, rejected: 1, duplicates: 0 };
    expect.write(dir, &demo_questions(&lines, &truth));
    truth
}

/// Counts by reading the lines as JSON, independent of the product.
fn demo_questions(lines: &[Written], truth: &Truth) -> Vec<(String, u64)> {
    let events: Vec<Value> =
        lines.iter().map(|line| serde_json::from_slice(&line.text).unwrap()).collect();
    let count = |test: &dyn Fn(&Value) -> bool| events.iter().filter(|e| test(e)).count() as u64;
    let word = |wanted: &str| {
        let holds = |line: &Written| {
            String::from_utf8_lossy(&line.text)
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word.eq_ignore_ascii_case(wanted))
        };
        lines.iter().filter(|line| holds(line)).count() as u64
    };
    let user = |e: &Value, name: &str| e["user"]["username"] == name;
    let extra = |e: &Value, key: &str| {
        e["user"]["extra"][format!("authentication.kubernetes.io/{key}")][0].clone()
    };
    let (start, credential) = (&truth.start_address, &truth.credential);
    let account = format!("system:serviceaccount:{}:{}", truth.account.0, truth.account.1);
    let code = |e: &Value| e["responseStatus"]["code"].as_u64().unwrap();
    vec![
        ("*".to_string(), events.len() as u64),
        (
            "user:system:anonymous AND code:403".to_string(),
            count(&|e| user(e, "system:anonymous") && code(e) == 403),
        ),
        (
            "annotations.authorization.k8s.io/decision:forbid".to_string(),
            count(&|e| e["annotations"]["authorization.k8s.io/decision"] == "forbid"),
        ),
        (
            format!("ip:{start}"),
            count(&|e| e["sourceIPs"].as_array().unwrap().iter().any(|ip| ip == start)),
        ),
        (
            "ip:10.132.0.0/14".to_string(),
            count(&|e| e["sourceIPs"][0].as_str().unwrap().starts_with("10.132.")),
        ),
        (
            format!("user.extra.authentication.kubernetes.io/credential-id:{credential}"),
            count(&|e| extra(e, "credential-id") == credential.as_str()),
        ),
        (format!("user:{account}"), count(&|e| user(e, &account))),
        (
            "resource:secrets AND verb:list".to_string(),
            count(&|e| e["objectRef"]["resource"] == "secrets" && e["verb"] == "list"),
        ),
        (
            "requestObject.spec.hostPID:true".to_string(),
            count(&|e| e["requestObject"]["spec"]["hostPID"] == true),
        ),
        (
            "objectRef.subresource:exec".to_string(),
            count(&|e| e["objectRef"]["subresource"] == "exec"),
        ),
        ("nsenter".to_string(), word("nsenter")),
        ("code:>=400".to_string(), count(&|e| code(e) >= 400)),
        (
            "resource:pods AND verb:create AND NOT sub:*".to_string(),
            count(&|e| {
                e["objectRef"]["resource"] == "pods"
                    && e["verb"] == "create"
                    && e["objectRef"]["subresource"].is_null()
            }),
        ),
        (
            "userAgent:curl*".to_string(),
            count(&|e| e["userAgent"].as_str().is_some_and(|ua| ua.starts_with("curl"))),
        ),
        (
            "user:build-robot AND ip:203.0.113.200".to_string(),
            count(&|e| user(e, "build-robot") && e["sourceIPs"][0] == "203.0.113.200"),
        ),
    ]
}

/// Writes one line a step, with the same keys as each event has in the evidence.
fn write_truth(path: &Path, truth: &Truth) {
    let (lines, _) = corpus::incident_among(DEMO_SEED, Variant::Plain, EVENTS);
    let events: Vec<Value> =
        lines.iter().map(|line| serde_json::from_slice(&line.text).unwrap()).collect();
    let mut text = String::new();
    let mut write = |incident: &str, part: &str, steps: &[Step]| {
        for step in steps {
            let shown: Vec<Value> = step
                .events
                .iter()
                .map(|wanted| {
                    let stage = if wanted.started { "ResponseStarted" } else { "ResponseComplete" };
                    let event = events
                        .iter()
                        .find(|e| e["auditID"] == wanted.audit_id.as_str() && e["stage"] == stage)
                        .unwrap();
                    serde_json::json!({
                        "t": event["requestReceivedTimestamp"],
                        "auditID": event["auditID"],
                        "stage": stage,
                        "user": event["user"]["username"],
                        "verb": event["verb"],
                        "uri": event["requestURI"],
                        "code": event["responseStatus"]["code"],
                        "sourceIPs": event["sourceIPs"],
                        "userAgent": event["userAgent"],
                    })
                })
                .collect();
            let line = serde_json::json!({
                "incident": incident,
                "part": part,
                "step": step.step,
                "claim": step.claim,
                "n_events": shown.len(),
                "events": shown,
            });
            text.push_str(&line.to_string());
            text.push('\n');
        }
    };
    write("token-theft", "steps", &truth.steps);
    write("token-theft", "consequences", &truth.consequences);
    write("token-theft", "hypotheses", &truth.hypotheses);
    write("token-theft", "innocent", &truth.innocent);
    write("stolen-kubeconfig", "steps", &truth.second);
    put(path, text.as_bytes());
}

/// Ordinary events without bodies, for cases that are about their wrapping.
fn plain_events(seed: u64, events: u64) -> Vec<Vec<u8>> {
    let options = CorpusOptions {
        seed,
        events,
        days: 0.02,
        incident: false,
        bodies: false,
        ..CorpusOptions::default()
    };
    let mut lines = Vec::new();
    corpus::generate(&options, &mut |line| lines.push(line.to_vec()));
    lines
}

/// Every container that is opened, also inside one another.
fn containers(dir: &Path) {
    let mut seed = 100;
    let mut part = || {
        seed += 1;
        let lines = plain_events(seed, 3);
        joined(lines.iter().map(Vec::as_slice))
    };
    put(&dir.join("plain.log"), &part());
    put(&dir.join("two-members.log.gz"), &[gzip(&part()), gzip(&part())].concat());
    put(&dir.join("packed.log.zst"), &zstd::encode_all(part().as_slice(), 19).unwrap());
    let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bz.write_all(&part()).unwrap();
    put(&dir.join("packed.log.bz2"), &bz.finish().unwrap());
    let options = lzma_rust2::XzOptions::with_preset(6);
    let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    xz.write_all(&part()).unwrap();
    put(&dir.join("packed.log.xz"), &xz.finish().unwrap());
    let members = [
        ("node/audit.log".to_string(), part()),
        ("node/audit-1.log.gz".to_string(), gzip(&part())),
    ];
    put(&dir.join("logs.tar"), &tar_of(&members));
    let what = "Three events in every container that is opened, also inside one another";
    let events = 3 * (seed - 100);
    let questions = [("*".to_string(), events)];
    Expect { what, events, ..Expect::default() }.write(dir, &questions);
}

/// A zip with a log and a tarball in it.
fn zip_of_tar(dir: &Path) {
    let part = |seed: u64| joined(plain_events(seed, 3).iter().map(Vec::as_slice));
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default());
    zip.start_file("inner/audit.log", options).unwrap();
    zip.write_all(&part(151)).unwrap();
    zip.start_file("inner/logs.tar.gz", options).unwrap();
    zip.write_all(&gzip(&tar_of(&[("audit.log".to_string(), part(152))]))).unwrap();
    put(&dir.join("logs.zip"), &zip.finish().unwrap().into_inner());
    let what = "A zip with a log and a tarball in it";
    let questions = [("*".to_string(), 6)];
    Expect { what, events: 6, ..Expect::default() }.write(dir, &questions);
}

/// The same events twice over two files, and one line twice in one file.
fn duplicates(dir: &Path) {
    let lines = plain_events(201, 6);
    let all = joined(lines.iter().map(Vec::as_slice));
    put(&dir.join("node-copy.log"), &all);
    put(&dir.join("second-copy.log.gz"), &gzip(&all));
    let own = plain_events(202, 3);
    let mut repeated = joined(own.iter().map(Vec::as_slice));
    repeated.extend_from_slice(&own[2]);
    repeated.push(b'\n');
    put(&dir.join("repeated.log"), &repeated);
    let what = "Six events in two copies, and a file with a repeated line";
    let questions = [("*".to_string(), 9)];
    Expect { what, events: 9, duplicates: 7, ..Expect::default() }.write(dir, &questions);
}

/// What is no event keeps its place and its reason; its neighbours are kept.
fn damaged(dir: &Path) {
    let lines = plain_events(301, 12);
    let mut text: Vec<u8> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let before: &[u8] = match index {
            1 => b"I0302 00:00:00.000000       1 main.go:17] a line of another log\n",
            2 => b"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"no-event\"}}\n",
            3 => b"\n",
            5 => b"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"Meta\n",
            7 => b"\x00\x01\x02\xff\xfe\n",
            9 => b" \t\r\n",
            _ => b"",
        };
        text.extend_from_slice(before);
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(&lines[0][..lines[0].len() / 2]);
    put(&dir.join("audit.log"), &text);
    let what = "Twelve events among lines that are none, the last one cut off";
    let questions = [("*".to_string(), 12)];
    Expect { what, events: 12, blank: 2, rejected: 5, duplicates: 0 }.write(dir, &questions);
}
