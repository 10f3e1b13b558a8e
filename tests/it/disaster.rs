//! What happens to evidence and disks, each disaster with its name: no panic, no hang, the good
//! neighbours kept, and the same command again completes.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the product as an analyst would.
pub fn audithound(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audithound"));
    command.env_remove("AUDITHOUND_INDEX").args(args);
    patient(&mut command)
}

/// Runs a command that must end, and not by a panic.
fn patient(command: &mut Command) -> Output {
    let out = tempfile::tempfile().unwrap();
    let err = tempfile::tempfile().unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(err.try_clone().unwrap())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{command:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let output = Output { status, stdout: content(out), stderr: content(err) };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains("panicked"), "{command:?}: {told}");
    assert!(output.status.code().is_some(), "{command:?}: {:?} {told}", output.status);
    output
}

fn content(mut file: std::fs::File) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file).unwrap();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    bytes
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// How many events an index has for a question.
pub fn count(dir: &Path, question: &str) -> u64 {
    let output = audithound(&["search", "--count", question, "--index", text(dir)]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap_or_else(|_| panic!("{told}"))
}

/// A folder with evidence and a place for the index.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("evidence")).unwrap();
        Scene { folder }
    }

    fn evidence(&self) -> PathBuf {
        self.folder.path().join("evidence")
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.evidence().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Indexes the evidence: the summary of the last line and what was told beside it.
    fn index(&self) -> (serde_json::Value, String) {
        self.index_with(&[])
    }

    fn index_with(&self, more: &[&str]) -> (serde_json::Value, String) {
        let (evidence, dir) = (self.evidence(), self.dir());
        let mut args = vec!["index", text(&evidence), "--index", text(&dir), "--format", "json"];
        args.extend(more);
        let output = audithound(&args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let last = stdout.lines().last().unwrap_or_else(|| panic!("no summary: {told}"));
        let summary: serde_json::Value = serde_json::from_str(last).unwrap();
        let number = |key: &str| summary[key].as_u64().unwrap();
        assert_eq!(
            number("records"),
            number("events_indexed")
                + number("blank")
                + number("rejected")
                + number("duplicates")
                + number("outside"),
            "{summary}"
        );
        (summary, told)
    }

    /// The index is whole and says so.
    fn verified(&self) {
        let dir = self.dir();
        let output = audithound(&["verify", "--index", text(&dir)]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{told}");
    }
}

/// A good event; everything that stands beside a disaster must still be found.
fn good(number: usize) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"good-{number}","stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"list","user":{{"username":"neighbour"}},"sourceIPs":["10.0.0.1"],"responseStatus":{{"code":200}},"requestReceivedTimestamp":"2026-01-01T00:{:02}:{:02}.{:06}Z","stageTimestamp":"2026-01-01T01:00:00.000000Z"}}"#,
        number / 60 % 60,
        number % 60,
        number
    )
}

fn goods(from: usize, to: usize) -> String {
    (from..to).map(|number| good(number) + "\n").collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

#[test]
fn disk_full() {
    let scene = Scene::new();
    scene.put("audit.log", noisy(6_000).as_bytes());
    // The kernel refuses to let any file grow beyond 64 blocks of 512 or 1024 bytes, as a full
    // disk would; SIGXFSZ is ignored, so that writing fails with an error instead.
    let (evidence, dir) = (scene.evidence(), scene.dir());
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" index \"$1\" --index \"$2\"";
    let output = patient(Command::new("sh").args(["-c", script]).args([
        env!("CARGO_BIN_EXE_audithound"),
        text(&evidence),
        text(&dir),
    ]));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("File too large") || told.contains("No space"), "{told}");
    assert!(told.lines().count() < 5, "{told}");
    // What is there opens or is no index yet; the same command completes it.
    if dir.join("manifest.json").exists() {
        assert!(count(&dir, "*") <= 6_000);
    }
    scene.index();
    assert_eq!(count(&dir, "*"), 6_000);
    scene.verified();
}

/// Events that do not compress: a hash in each.
fn noisy(events: usize) -> String {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut lines = String::new();
    for number in 0..events {
        let mut noise = String::new();
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.push_str(&format!("{state:016x}"));
        }
        lines.push_str(&good(number).replace("/api/v1/pods", &format!("/api/v1/pods?n={noise}")));
        lines.push('\n');
    }
    lines
}

#[test]
fn source_shrinks_while_it_is_read() {
    let scene = Scene::new();
    let log = scene.put("audit.log", goods(0, 30_000).as_bytes());
    scene.put("other.log", goods(30_000, 30_010).as_bytes());
    let mut child = Command::new(env!("CARGO_BIN_EXE_audithound"))
        .arg("index")
        .arg(scene.evidence())
        .arg("--index")
        .arg(scene.dir())
        .args(["--memory", "86MiB", "--threads", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(60));
    let file = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(good(0).len() as u64 + 1).unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_some(), "killed by a signal: {status:?}");
    scene.index();
    assert_eq!(count(&scene.dir(), "id:good-30005"), 1, "the neighbour is there");
    assert_eq!(count(&scene.dir(), "id:good-0"), 1);
}

#[test]
fn gzip_cut_in_the_middle() {
    let scene = Scene::new();
    let whole = gzip(noisy(2_000).as_bytes());
    scene.put("a.gz", &whole[..whole.len() / 2]);
    scene.put("b.log", goods(5_000, 5_010).as_bytes());
    let (summary, told) = scene.index();
    let events = summary["events_indexed"].as_u64().unwrap();
    assert!((600..2_000).contains(&events), "{summary}");
    assert!(told.contains("a.gz"), "the damage is told: {told}");
    assert_eq!(count(&scene.dir(), "id:good-5005"), 1);
    // The whole file later brings the rest, and doubles nothing.
    scene.put("a.gz", &whole);
    scene.index();
    assert_eq!(count(&scene.dir(), "*"), 2_010);
    scene.verified();
}

#[test]
fn bits_flipped_in_a_gzip_and_in_a_plain_file() {
    let scene = Scene::new();
    let mut packed = gzip(noisy(2_000).as_bytes());
    let middle = packed.len() / 2;
    for byte in &mut packed[middle..middle + 40] {
        *byte ^= 0x55;
    }
    scene.put("a.gz", &packed);
    let mut plain = goods(5_000, 5_100).into_bytes();
    let line = good(5_000).len() + 1;
    plain[line * 50] ^= 0xFF;
    scene.put("b.log", &plain);
    let (summary, told) = scene.index();
    assert!(told.contains("a.gz"), "{told}");
    assert!(summary["events_indexed"].as_u64().unwrap() > 99 + 300, "{summary}");
    assert_eq!(count(&scene.dir(), "id:good-5049"), 1);
    assert_eq!(count(&scene.dir(), "id:good-5050"), 0, "its first byte is gone");
    assert_eq!(count(&scene.dir(), "id:good-5051"), 1);
    scene.verified();
}

#[test]
fn zeros_where_a_page_was_lost_and_bytes_that_are_no_text() {
    let scene = Scene::new();
    let mut bytes = goods(0, 3).into_bytes();
    bytes.extend([0_u8; 4096]);
    bytes.push(b'\n');
    bytes.extend(goods(3, 6).bytes());
    bytes.extend(b"\xFF\xFE{\x00\"\x00k\x00\"\x00:\x001\x00}\x00\n");
    bytes.extend(b"{\"kind\":\"Event\",\"auditID\":\"\xC3\x28\"\n");
    bytes.extend(goods(6, 9).bytes());
    // Latin-1 in a value of an event: what is readable stays searchable.
    bytes.extend(good(9).replace("neighbour", "n\u{e9}ighbour").chars().map(|c| c as u8));
    bytes.push(b'\n');
    bytes.extend(goods(10, 12).bytes());
    scene.put("audit.log", &bytes);
    let (summary, _) = scene.index();
    assert!(summary["rejected"].as_u64().unwrap() >= 3, "{summary}");
    for number in [0, 2, 3, 5, 6, 8, 10, 11] {
        assert_eq!(count(&scene.dir(), &format!("id:good-{number}")), 1, "{number}");
    }
    scene.verified();
}

#[test]
fn a_whole_file_in_another_encoding() {
    let scene = Scene::new();
    let wide = |text: &str| -> Vec<u8> {
        let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    let odd = good(7).replace("neighbour", "n\u{1F98A}");
    scene.put("wide.log", &wide(&format!("{}{odd}\n", goods(0, 7))));
    let high: Vec<u8> =
        format!("\u{feff}{}", goods(20, 25)).encode_utf16().flat_map(u16::to_be_bytes).collect();
    scene.put("wide.gz", &gzip(&high));
    // Cut inside a character, and without a mark.
    scene.put("torn.log", &[&wide(&goods(30, 33))[..], b"{"].concat());
    scene.put("unmarked.log", &wide(&goods(40, 41))[2..]);
    let marked = format!("\u{feff}{}", goods(20, 22).replace('\n', "\r\n"));
    scene.put("marked.log", marked.as_bytes());
    let (summary, told) = scene.index();
    assert_eq!(summary["events_indexed"], 8 + 5 + 3, "{summary} {told}");
    assert_eq!(summary["duplicates"], 2, "{summary}");
    // The unmarked line, and the half of a character behind its end.
    assert_eq!(summary["rejected"], 2, "{summary}");
    assert!(told.contains("half a unit"), "{told}");
    let dir = scene.dir();
    let rejected = audithound(&["rejected", "--index", text(&dir)]);
    assert!(String::from_utf8_lossy(&rejected.stdout).contains("iconv"), "the remedy is named");
    let output =
        audithound(&["search", "user:n\u{1F98A}", "--format", "jsonl", "--index", text(&dir)]);
    let hit: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(hit["source"].as_str().unwrap().ends_with("wide.log!utf-16"), "{hit}");
    let before: usize = (0..7).map(|number| good(number).len() + 2).sum();
    assert_eq!((hit["offset"].as_u64(), hit["line"].as_u64()), (Some(before as u64), Some(8)));
    let raw = audithound(&["search", "user:n\u{1F98A}", "--format", "raw", "--index", text(&dir)]);
    assert_eq!(String::from_utf8(raw.stdout).unwrap(), odd + "\n");
    let again = scene.index().0;
    assert_eq!(again["events_indexed"], 0, "a known file is not read again");
    scene.verified();
}

#[test]
fn a_line_of_64_megabytes() {
    let scene = Scene::new();
    let mut bytes = goods(0, 2).into_bytes();
    let long = good(2).replace("/api/v1/pods", &"a".repeat(64 << 20));
    bytes.extend(long.bytes());
    bytes.push(b'\n');
    bytes.extend(std::iter::repeat_n(b'x', 64 << 20));
    bytes.push(b'\n');
    bytes.extend(goods(3, 5).bytes());
    scene.put("audit.log", &bytes);
    drop(bytes);
    let (summary, _) = scene.index();
    assert_eq!(summary["records"].as_u64(), Some(6), "{summary}");
    for number in [0, 1, 3, 4] {
        assert_eq!(count(&scene.dir(), &format!("id:good-{number}")), 1, "{number}");
    }
}

#[test]
fn nested_a_hundred_thousand_deep() {
    let scene = Scene::new();
    let deep = |open: &str, close: &str| {
        let inner = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        good(1).replace(r#""verb":"list""#, &format!(r#""verb":"list","requestObject":{inner}"#))
    };
    let mut lines = good(0) + "\n";
    lines.push_str(&(deep("[", "]") + "\n"));
    // Twice: whether it is the same event is found by comparing.
    lines.push_str(&(deep("{\"a\":", "}") + "\n"));
    lines.push_str(&(deep("{\"a\":", "}") + "\n"));
    lines.push_str(&"[".repeat(100_000));
    lines.push('\n');
    lines.push_str(&"{\"kind\":".repeat(100_000));
    lines.push('\n');
    lines.push_str(&goods(5, 7));
    scene.put("audit.log", lines.as_bytes());
    scene.index();
    let dir = scene.dir();
    for number in [0, 5, 6] {
        assert_eq!(count(&dir, &format!("id:good-{number}")), 1, "{number}");
    }
    // Nothing that shows such an event, or asks for one, goes down with it.
    for format in ["table", "jsonl", "csv", "raw"] {
        audithound(&["search", "*", "--index", text(&dir), "--format", format]);
    }
    for question in ["requestObject.a.a.a:1", "requestObject:*", "requestObject{a:*}", "nothing"] {
        audithound(&["search", question, "--index", text(&dir)]);
        let evidence = scene.evidence();
        audithound(&["scan", question, text(&evidence)]);
    }
    audithound(&["show", "good-1", "--index", text(&dir)]);
    audithound(&["top", "verb", "--index", text(&dir)]);
    audithound(&["sources", "--index", text(&dir)]);
    audithound(&["rejected", "--index", text(&dir)]);
    let nested = "(".repeat(100_000) + "a" + &")".repeat(100_000);
    let output = audithound(&["search", &nested[..120_000], "--index", text(&dir)]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn duplicate_keys_are_found_under_both_values() {
    let scene = Scene::new();
    let twice = good(1).replace(r#""verb":"list""#, r#""verb":"list","verb":"delete""#);
    scene.put("audit.log", (good(0) + "\n" + &twice + "\n" + &good(2)).as_bytes());
    scene.index();
    let dir = scene.dir();
    assert_eq!(count(&dir, "*"), 3);
    assert_eq!(count(&dir, "verb:delete"), 1);
    assert_eq!(count(&dir, "verb:list"), 3);
    assert_eq!(count(&dir, "flag:duplicate-key"), 1);
}

#[test]
fn the_index_stands_inside_the_walked_folder() {
    let scene = Scene::new();
    scene.put("audit.log", goods(0, 10).as_bytes());
    let (evidence, dir) = (scene.evidence(), scene.evidence().join("audithound.index"));
    for _ in 0..3 {
        let args = ["index", text(&evidence), "--index", text(&dir), "--format", "json"];
        let output = audithound(&args);
        assert_eq!(output.status.code(), Some(0));
    }
    assert_eq!(count(&dir, "*"), 10);
    let output = audithound(&["rejected", "--count", "--index", text(&dir)]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
    let output = audithound(&["scan", "--count", "*", text(&evidence)]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "10");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_pipes_and_devices() {
    let scene = Scene::new();
    scene.put("audit.log", goods(0, 10).as_bytes());
    let inner = scene.evidence().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::os::unix::fs::symlink("..", inner.join("up")).unwrap();
    std::os::unix::fs::symlink("self", scene.evidence().join("self")).unwrap();
    std::os::unix::fs::symlink("nowhere", scene.evidence().join("dangling")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", scene.evidence().join("zero")).unwrap();
    let socket = scene.evidence().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let (summary, told) = scene.index();
    assert_eq!(summary["events_indexed"].as_u64(), Some(10), "{summary}");
    assert!(told.contains("zero"), "a device is refused with a line: {told}");
    assert_eq!(count(&scene.dir(), "*"), 10);

    let output = audithound(&["index", "/dev/zero", "--index", text(&scene.dir())]);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{:?}", output.status);
    assert!(String::from_utf8_lossy(&output.stderr).contains("/dev/zero"));
}

#[test]
fn a_zip_whose_names_climb_out_writes_nothing_outside() {
    let scene = Scene::new();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (number, name) in
        ["../../escaped.log", "/tmp/absolute-escape.log", "ok.log"].iter().enumerate()
    {
        zip.start_file(*name, options).unwrap();
        zip.write_all(goods(number * 10, number * 10 + 5).as_bytes()).unwrap();
    }
    scene.put("evil.zip", &zip.finish().unwrap().into_inner());
    let before = names(scene.folder.path());
    let (summary, _) = scene.index();
    let after: Vec<String> =
        names(scene.folder.path()).into_iter().filter(|name| !name.starts_with("index")).collect();
    assert_eq!(before, after);
    assert!(!Path::new("/tmp/absolute-escape.log").exists());
    assert_eq!(count(&scene.dir(), "id:good-22"), 1, "{summary}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter();
    entries
        .map(|entry| entry.unwrap().path().strip_prefix(folder).unwrap().display().to_string())
        .collect()
}

/// Terminal escapes, marks that turn text round, and formulas of spreadsheets.
#[test]
fn what_an_attacker_wrote_stays_text() {
    let scene = Scene::new();
    let evil = r"\u001b]0;owned\u0007\u001b[31m\u202Egnp\u0000\r\n=cmd|calc";
    let formula = "=HYPERLINK(1)";
    let first = good(0).replace("neighbour", evil).replace("good-0", "evil");
    let second = good(1).replace("neighbour", formula);
    scene.put("audit.log", format!("{first}\n{second}\n").as_bytes());
    scene.index();
    let dir = scene.dir();
    let runs: &[&[&str]] = &[
        &["search", "*"],
        &["search", "*", "--format", "csv"],
        &["search", "*", "--fields", "user,id"],
        &["show", "evil"],
        &["show", "good-1"],
        &["top", "user"],
        &["top", "user", "--format", "csv"],
        &["sources"],
    ];
    for run in runs {
        let mut args = run.to_vec();
        args.extend(["--index", text(&dir)]);
        let output = audithound(&args);
        let told = String::from_utf8(output.stdout).unwrap();
        let bad = |c: char| {
            (c.is_control() && c != '\n' && c != '\r') || matches!(c, '\u{202a}'..='\u{202e}')
        };
        assert_eq!(told.chars().find(|c| bad(*c)), None, "{run:?}: {told:?}");
        if run.contains(&"csv") {
            let mut reader = csv::ReaderBuilder::new().from_reader(told.as_bytes());
            for row in reader.records() {
                for cell in &row.unwrap() {
                    let first = cell.trim_start().chars().next();
                    assert!(!matches!(first, Some('=' | '+' | '-' | '@')), "{run:?}: {cell:?}");
                }
            }
        }
    }
}

/// A copy that nobody may write to, at another path, without the evidence.
#[cfg(unix)]
#[test]
fn a_copied_index_is_opened_without_the_right_to_write() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    scene.put("audit.log", goods(0, 50).as_bytes());
    scene.index();
    let copy = scene.folder.path().join("copied");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(scene.dir()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "lock" {
            continue;
        }
        let to = copy.join(entry.file_name());
        std::fs::copy(entry.path(), &to).unwrap();
        std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o444)).unwrap();
    }
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o555)).unwrap();
    std::fs::remove_dir_all(scene.evidence()).unwrap();
    std::fs::remove_dir_all(scene.dir()).unwrap();
    let before = names(&copy);
    assert_eq!(count(&copy, "user:neighbour"), 50);
    for command in ["sources", "rejected", "verify"] {
        let output = audithound(&[command, "--index", text(&copy)]);
        assert!(output.status.code() < Some(2), "{command}: {output:?}");
    }
    assert_eq!(before, names(&copy));
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_index_of_another_version_cut_or_torn_says_so_in_a_sentence() {
    let scene = Scene::new();
    scene.put("audit.log", goods(0, 50).as_bytes());
    scene.index();
    let dir = scene.dir();
    let manifest = dir.join("manifest.json");
    let whole = std::fs::read(&manifest).unwrap();
    let told = |what: &str| {
        let output = audithound(&["search", "*", "--index", text(&dir)]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}: {told}");
        assert!(output.stdout.is_empty(), "{what}");
        assert_eq!(told.trim().lines().count(), 1, "{what}: {told}");
        told
    };
    std::fs::write(&manifest, &whole[..whole.len() / 2]).unwrap();
    told("a cut manifest");
    std::fs::write(&manifest, b"").unwrap();
    told("an empty manifest");
    let other = String::from_utf8(whole.clone()).unwrap();
    let at = other.find("\"format\"").or_else(|| other.find("\"version\"")).unwrap();
    let digit = at + other[at..].find(|c: char| c.is_ascii_digit()).unwrap();
    let mut other = other.into_bytes();
    other[digit] = b'9';
    std::fs::write(&manifest, other).unwrap();
    assert!(told("another version").contains("version"), "{}", told("another version"));
    std::fs::write(&manifest, &whole).unwrap();
    let packs = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let packs = packs.into_iter().find(|path| text(path).contains("packs-")).unwrap();
    let bytes = std::fs::read(&packs).unwrap();
    std::fs::write(&packs, &bytes[..bytes.len() / 2]).unwrap();
    told("a cut pack");
    std::fs::remove_file(&packs).unwrap();
    told("no packs");
    std::fs::write(&packs, bytes).unwrap();
    assert_eq!(count(&dir, "*"), 50);
}

/// A log that grows and is rotated while it is followed.
#[test]
fn a_followed_log_is_searchable_within_two_seconds() {
    let scene = Scene::new();
    let log = scene.put("audit.log", goods(0, 20).as_bytes());
    // The index in the walked folder: what is written there is no news of the log.
    let (evidence, dir) = (scene.evidence(), scene.evidence().join("index"));
    let child = Command::new(env!("CARGO_BIN_EXE_audithound"))
        .args(["index", text(&evidence), "--index", text(&dir), "--follow"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    until("the first lines", Duration::from_secs(20), || {
        dir.join("manifest.json").exists() && count(&dir, "*") == 20
    });
    let append = |path: &Path, text: &str| {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let soon = Duration::from_secs(2);
    append(&log, &goods(20, 21));
    until("a new line", soon, || count(&dir, "id:good-20") == 1);
    // Half a line is no line yet.
    let (half, rest) = (good(21)[..50].to_owned(), good(21)[50..].to_owned() + "\n");
    append(&log, &half);
    std::thread::sleep(Duration::from_millis(900));
    append(&log, &rest);
    until("the rest of a line", soon, || count(&dir, "id:good-21") == 1);
    // Rotation: the old file gets another name, a new one begins under the old name.
    std::fs::rename(&log, evidence.join("audit-2026-01-01.log")).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    append(&log, &goods(22, 23));
    until("a line behind the rotation", soon, || count(&dir, "id:good-22") == 1);
    append(&log, &goods(23, 24));
    until("the next one", soon, || count(&dir, "id:good-23") == 1);
    assert!(child.0.try_wait().unwrap().is_none(), "it follows on");
    drop(child);
    assert_eq!(count(&dir, "*"), 24, "none twice");
    let output = audithound(&["rejected", "--count", "--index", text(&dir)]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0", "half a line is no record");
}

/// A single followed file that is renamed away and comes back.
#[test]
fn a_followed_file_may_be_away_for_a_moment() {
    let scene = Scene::new();
    let log = scene.put("audit.log", goods(0, 5).as_bytes());
    let dir = scene.dir();
    let child = Command::new(env!("CARGO_BIN_EXE_audithound"))
        .args(["index", text(&log), "--index", text(&dir), "--follow"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    until("the first lines", Duration::from_secs(20), || {
        dir.join("manifest.json").exists() && count(&dir, "*") == 5
    });
    std::fs::rename(&log, scene.evidence().join("audit.log.1")).unwrap();
    std::thread::sleep(Duration::from_millis(1_000));
    assert!(child.0.try_wait().unwrap().is_none(), "it waits for the file to come back");
    std::fs::write(&log, goods(5, 8)).unwrap();
    until("the new file", Duration::from_secs(2), || count(&dir, "*") == 8);
}

/// Ends its process, whatever a test does.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn too_little_memory_is_refused_with_what_would_do() {
    let scene = Scene::new();
    scene.put("a.log", goods(0, 3_000).as_bytes());
    let (evidence, dir) = (scene.evidence(), scene.dir());
    let run = |memory: &str| {
        let args = ["index", text(&evidence), "--index", text(&dir), "--threads", "2"];
        audithound(&[&args[..], &["--memory", memory]].concat())
    };
    let output = run("1KiB");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(!dir.exists());
    let least = told.rsplit(' ').next().unwrap().trim().to_owned();
    assert!(least.ends_with("MiB"), "{told}");
    assert_eq!(run(&least).status.code(), Some(0));
    assert_eq!(count(&dir, "*"), 3_000);
}
