//! Every container holds the same events, and damaged or hostile ones cost nothing but a line.

use std::fs;
use std::io::Cursor;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use super::testing::Run;
use super::testing::run;
use crate::source::ReadOptions;

fn event(number: usize) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"{number}","verb":"get","requestURI":"/api/v1/pods/{}"}}"#,
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

fn log(events: std::ops::Range<usize>) -> Vec<u8> {
    events.map(|number| event(number) + "\n").collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mtime(1_751_451_300);
        header.set_mode(0o644);
        // The builder refuses names that leave the folder: write the field itself.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        writer.append(&header, *bytes).unwrap();
    }
    writer.into_inner().unwrap()
}

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn sevenz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = sevenz_rust2::ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, bytes) in members {
        let entry = sevenz_rust2::ArchiveEntry::new_file(name);
        writer.push_archive_entry(entry, Some(*bytes)).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read_with(bytes: &[u8], options: ReadOptions) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence");
    fs::write(&path, bytes).unwrap();
    let prefix = path.to_string_lossy().into_owned();
    let mut run = run(&[path], options);
    for name in &mut run.sources {
        *name = name.replace(&prefix, "evidence");
    }
    for (name, _) in &mut run.refused {
        *name = name.replace(&prefix, "evidence");
    }
    run
}

fn read(bytes: &[u8]) -> Run {
    read_with(bytes, ReadOptions::default())
}

#[test]
fn every_compression_is_the_source_itself() {
    let plain = log(0..2000);
    let members = [gzip(&plain[..100]), gzip(&plain[100..])].concat();
    let padded = [gzip(&plain), vec![0; 700]].concat();
    let frames =
        [zstd::encode_all(&plain[..100], 3).unwrap(), zstd::encode_all(&plain[100..], 3).unwrap()]
            .concat();
    let streams = [bzip2(&plain[..100]), bzip2(&plain[100..])].concat();
    for (name, bytes) in [
        ("plain", plain.clone()),
        ("gzip", gzip(&plain)),
        ("gzip members", members),
        ("gzip padded", padded),
        ("zstd frames", frames),
        ("xz", xz(&plain)),
        ("bzip2 streams", streams),
        ("gzip in gzip", gzip(&gzip(&plain))),
    ] {
        let run = read(&bytes);
        assert_eq!(run.tally.events, 2000, "{name}");
        assert_eq!((run.tally.records, run.sizes[0]), (2000, plain.len() as u64), "{name}");
        assert_eq!(run.sources, ["evidence"], "{name}");
        assert!(run.problems.is_empty() && run.refused.is_empty(), "{name}: {run:?}");
    }
}

#[test]
fn every_archive_has_members_and_they_nest() {
    let (one, two) = (log(0..10), log(10..30));
    let must_gather = "mg/audit_logs/kube-apiserver/master-0-audit-2025-07-02T10-15-00.000.log.gz";
    let packed = gzip(&one);
    let members: [(&str, &[u8]); 3] = [(must_gather, &packed), ("two.log", &two), ("empty", b"")];
    let tarred = tar(&members);
    for (name, bytes) in [
        ("tar", tarred.clone()),
        ("tar.gz", gzip(&tarred)),
        ("tar.zst", zstd::encode_all(&tarred[..], 3).unwrap()),
        ("tar.xz", xz(&tarred)),
        ("zip", zip(&members)),
        ("7z", sevenz(&members)),
    ] {
        let run = read(&bytes);
        assert_eq!((run.tally.events, run.tally.records, run.files), (30, 30, 1), "{name}");
        let names: Vec<_> = members.iter().map(|(name, _)| format!("evidence!{name}")).collect();
        assert_eq!(run.sources, names, "{name}");
        assert!(run.problems.is_empty() && run.refused.is_empty(), "{name}: {run:?}");
    }
    let nested = read(&zip(&[("a/mg.tar.gz", &gzip(&tarred)), ("b.7z", &sevenz(&members))]));
    assert_eq!(nested.tally.events, 60);
    assert_eq!(nested.sources[0], format!("evidence!a/mg.tar.gz!{must_gather}"));
    assert_eq!(nested.sources[4], "evidence!b.7z!two.log");
}

#[test]
fn everything_in_front_of_damage_is_kept() {
    let plain = log(0..5000);
    let whole = [
        gzip(&plain),
        zstd::encode_all(&plain[..], 3).unwrap(),
        xz(&plain),
        bzip2(&plain),
        tar(&[("a", &plain)]),
    ];
    for (at, bytes) in whole.iter().enumerate() {
        let cut = read(&bytes[..bytes.len() * 2 / 3]);
        assert_eq!(
            cut.problems.len() + cut.refused.len(),
            1 + usize::from(at == 4),
            "{at}: {:?} {:?}",
            cut.problems,
            cut.refused
        );
        let kept = cut.tally.events;
        assert!(kept < 5000, "{at}");
        if at != 2 && at != 3 {
            assert!(kept > 2500, "{at}: {kept}");
        }
        assert!(cut.tally.rejected <= 1);
    }
}

#[test]
fn a_flipped_bit_keeps_what_was_decoded_before_it() {
    let plain = log(0..5000);
    let mut bytes = gzip(&plain);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    let run = read(&bytes);
    assert_eq!(run.problems.len(), 1, "{:?}", run.problems);
    assert!(run.tally.events > 2000, "{:?}", run.tally);
    // A flipped checksum spoils nothing but trust.
    let mut bytes = gzip(&plain);
    let end = bytes.len() - 6;
    bytes[end] ^= 1;
    let run = read(&bytes);
    assert_eq!((run.tally.events, run.problems.len()), (5000, 1));
}

#[test]
fn bombs_are_refused_with_one_line() {
    let zeros = vec![b'x'; 8 << 20];
    let options = || ReadOptions {
        expansion_free: 1 << 20,
        expansion_max: 100,
        piece_bytes: 64 << 10,
        record_max: 128 << 10,
        ..ReadOptions::default()
    };
    let good = log(0..10);
    for (name, bytes) in [
        ("gzip", gzip(&zeros)),
        ("zstd", zstd::encode_all(&zeros[..], 3).unwrap()),
        ("zip", zip(&[("a", &good), ("bomb", &zeros), ("c", &zeros)])),
        ("7z", sevenz(&[("a", &good), ("bomb", &zeros), ("c", &zeros)])),
        ("tar.bz2", bzip2(&tar(&[("a", &good), ("bomb", &zeros), ("c", &zeros)]))),
    ] {
        let run = read_with(&bytes, options());
        assert!(run.problems[0].starts_with("refused: "), "{name}: {:?}", run.problems);
        assert!(run.refused.len() <= 1, "{name}: {:?}", run.refused);
        if name.len() < 4 || name == "tar.bz2" {
            assert_eq!(run.tally.events, 10 * u64::from(name != "gzip"), "{name}");
        }
    }
}

#[test]
fn archives_nest_to_a_stated_depth() {
    let mut bytes = log(0..1);
    for _ in 0..10 {
        bytes = tar(&[("t", &bytes)]);
    }
    let run = read(&bytes);
    assert_eq!((run.tally.events, run.refused.len()), (0, 1));
    assert!(run.refused[0].1.contains("more than 6 containers"), "{:?}", run.refused);
}

#[test]
fn names_of_members_are_labels_and_nothing_else() {
    let one = log(0..1);
    let bytes = tar(&[
        ("../../etc/passwd", &one),
        ("/abs\u{1b}[31mred\n", &one),
        ("dir\\..\\x\u{202e}gol", &one),
    ]);
    let run = read(&bytes);
    assert_eq!(run.tally.events, 3);
    assert_eq!(
        run.sources,
        [
            "evidence!../../etc/passwd",
            "evidence!/abs\u{fffd}[31mred\u{fffd}",
            "evidence!dir\\..\\x\u{fffd}gol"
        ]
    );
    assert!(!Path::new("/abs").exists());
}

#[test]
fn links_in_archives_are_named() {
    let mut writer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    writer.append_link(&mut header, "latest.log", "/etc/passwd").unwrap();
    let run = read(&writer.into_inner().unwrap());
    assert_eq!(run.refused.len(), 1);
    assert!(run.refused[0].1.contains("symbolic link"));
}

#[cfg(unix)]
#[test]
fn folders_are_walked_in_order_and_only_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("b/c")).unwrap();
    fs::write(at("b/c/1.log"), log(0..1)).unwrap();
    fs::write(at("a.log"), log(0..2)).unwrap();
    fs::write(at("lock"), b"").unwrap();
    std::os::unix::fs::symlink("..", at("b/loop")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("gone")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let run = run(&[folder.path().to_path_buf()], ReadOptions::default());
    let names: Vec<_> = run
        .sources
        .iter()
        .map(|name| name.strip_prefix(&*folder.path().to_string_lossy()).unwrap())
        .collect();
    assert_eq!(names, ["/a.log", "/b/c/1.log", "/lock"]);
    assert_eq!((run.tally.events, run.refused.len()), (3, 4), "{:?}", run.refused);
    let options = ReadOptions { skip: vec![at("b")], ..ReadOptions::default() };
    assert_eq!(super::testing::run(&[folder.path().to_path_buf()], options).tally.events, 2);
    let reasons: String = run.refused.iter().map(|(_, reason)| reason.as_str()).collect();
    for word in ["loop", "a device", "a socket", "No such file"] {
        assert!(reasons.contains(word), "{word}: {reasons}");
    }
}

#[test]
fn the_number_of_lanes_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let bytes = log(number * 100..number * 100 + number);
        let bytes = match number % 4 {
            0 => bytes,
            1 => gzip(&bytes),
            2 => tar(&[("a", &bytes), ("b", &bytes)]),
            _ => b"PK\x03\x04broken".to_vec(),
        };
        fs::write(folder.path().join(format!("{number:02}")), bytes).unwrap();
    }
    let read = |lanes| {
        let options = ReadOptions { lanes, piece_bytes: 500, ..ReadOptions::default() };
        run(&[folder.path().to_path_buf()], options)
    };
    let one = read(1);
    assert_eq!((one.files, one.refused.len(), one.sources.len()), (20, 5, 20));
    for lanes in [2, 7, 40] {
        let many = read(lanes);
        assert_eq!((&one.seen, &one.sources), (&many.seen, &many.sources), "{lanes}");
        assert_eq!((one.tally, &one.refused), (many.tally, &many.refused));
    }
}

#[cfg(unix)]
#[test]
fn a_fifo_is_read_like_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no mkfifo");
        return;
    }
    let writer = path.clone();
    let thread = std::thread::spawn(move || fs::write(writer, gzip(&log(0..1000))).unwrap());
    let run = run(&[path], ReadOptions::default());
    thread.join().unwrap();
    assert_eq!((run.tally.events, run.files), (1000, 1));
}

#[test]
fn a_sparse_file_is_one_long_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&log(0..1)).unwrap();
    file.set_len(64 << 20).unwrap();
    let options =
        ReadOptions { piece_bytes: 1 << 20, record_max: 4 << 20, ..ReadOptions::default() };
    let run = run(&[path], options);
    assert_eq!((run.tally.events, run.tally.rejected), (1, 1));
    assert_eq!(run.sizes, [64 << 20]);
    assert!(run.seen[1].reason.contains("longer than the limit"), "{}", run.seen[1].reason);
}

#[test]
fn a_path_that_is_not_there_stops_the_run_before_it_starts() {
    let missing = PathBuf::from("/nowhere/at/all");
    let error = crate::source::Reader::open(&[missing], ReadOptions::default()).unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/at/all: no such file or directory");
}

#[test]
fn the_hash_of_a_file_is_that_of_its_bytes_and_a_source_s_of_its_content() {
    use crate::source::ReadItem;
    use sha2::Digest;
    let plain = log(0..100);
    for (bytes, same) in [(plain.clone(), true), (gzip(&plain), false)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, &bytes).unwrap();
        let reader = crate::source::Reader::open(&[path], ReadOptions::default()).unwrap();
        let (mut source, mut file) = (None, None);
        for item in reader {
            match item {
                ReadItem::End(end) => source = Some(end),
                ReadItem::File(end) => file = Some(end),
                _ => {}
            }
        }
        let (source, file) = (source.unwrap(), file.unwrap());
        assert_eq!(source.sha256, <[u8; 32]>::from(sha2::Sha256::digest(&plain)));
        assert_eq!(file.sha256, <[u8; 32]>::from(sha2::Sha256::digest(&bytes)));
        assert_eq!((file.size, file.plain, file.sources), (bytes.len() as u64, same, 1));
    }
}
