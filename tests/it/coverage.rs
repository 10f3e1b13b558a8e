//! What evidence covers and what was dropped from it, through the command line.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use serde_json::Value;

fn audithound(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audithound"));
    command.env_remove("AUDITHOUND_INDEX").env("NO_COLOR", "1").env("COLUMNS", "100");
    command.args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn last_object(output: &Output) -> Value {
    let text = stdout(output);
    let line = text.lines().last().unwrap_or_else(|| panic!("nothing was said: {output:?}"));
    serde_json::from_str(line).unwrap()
}

/// Writes lines to a file of `folder`.
fn write(folder: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    path
}

fn index(dir: &Path, paths: &[&Path]) {
    let mut args = vec!["index", "--index", dir.to_str().unwrap()];
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let output = audithound(&args);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// A moment of 2025-07-02 by its minute and microsecond.
fn moment(minute: i64, micros: i64) -> String {
    let (hour, minute) = (10 + minute / 60, minute % 60);
    format!("2025-07-02T{hour:02}:{minute:02}:{:02}.{:06}Z", micros / 1_000_000, micros % 1_000_000)
}

fn event(id: &str, verb: &str, resource: &str, time: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"{id}","stage":"ResponseComplete","requestURI":"/api/v1/{resource}","verb":"{verb}","user":{{"username":"u"}},"objectRef":{{"resource":"{resource}"}},"responseStatus":{{"code":200}},"requestReceivedTimestamp":"{time}","stageTimestamp":"{time}"}}"#
    )
}

#[test]
fn old_days_are_dropped_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("case.index");
    let at = dir.to_str().unwrap();
    let old = event("old", "get", "pods", "2025-06-01T00:00:00.000000Z");
    let new = event("new", "get", "pods", "2025-07-02T10:00:00.000000Z");
    // Two runs make two packs.
    index(&dir, &[&write(folder.path(), "old.log", &[old])]);
    index(&dir, &[&write(folder.path(), "new.log", &[new])]);
    let asked = ["prune", "--before", "7d", "--format", "json", "--index", at];
    let output = audithound(&asked);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = last_object(&output);
    assert_eq!((said["events"].as_u64(), said["packs"].as_u64()), (Some(1), Some(1)), "{said}");
    assert!(said["bytes"].as_u64().unwrap() > 0);
    assert_eq!(said["before"], "2025-06-25T10:00:00.000000Z");
    // What is left is there and in order; what is gone is gone.
    assert_eq!(stdout(&audithound(&["search", "*", "--count", "--index", at])), "1\n");
    assert_eq!(audithound(&["verify", "--index", at]).status.code(), Some(0));
    let again = audithound(&asked);
    assert_eq!(again.status.code(), Some(1), "nothing more to drop: {again:?}");
    // A time that is none is an error with a remedy, and nothing is dropped.
    let wrong = audithound(&["prune", "--before", "yesterday", "--index", at]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("hint"), "{wrong:?}");
}

#[test]
fn a_pack_that_holds_later_events_is_kept_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("case.index");
    let lines: Vec<String> =
        (0..10).map(|n| event(&n.to_string(), "get", "pods", &moment(n, 0))).collect();
    index(&dir, &[&write(folder.path(), "a.log", &lines)]);
    let output = audithound(&[
        "prune",
        "--before",
        "2025-07-02T10:05:00Z",
        "--index",
        dir.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stdout(&output).contains("1 packs with earlier events are kept"), "{output:?}");
}
