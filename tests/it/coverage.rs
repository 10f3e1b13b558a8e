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

/// Lines of one server of a must-gather: a lease every ten seconds but for `silent` minutes.
fn server(node: &str, log: &str, silent: std::ops::Range<i64>, ahead: i64) -> Vec<String> {
    (0..360)
        .filter(|beat| !silent.contains(&(beat / 6)))
        .map(|beat| {
            let at = moment(beat / 6, (beat % 6) * 10_000_000 + ahead);
            event(&format!("{log}-{node}-{beat}"), "update", "leases", &at)
        })
        .collect()
}

#[test]
fn a_missing_log_is_told_from_a_silent_cluster_and_the_clocks_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("case.index");
    let mg = folder.path().join("mg");
    // master-0 has no log for minutes 20 to 30, and both are silent in minutes 40 to 45.
    let both = |line: &String| !(40..45).any(|minute| line.contains(&format!("T10:{minute}:")));
    let mut a = server("a", "kube", 20..30, 0);
    let mut b = server("b", "kube", 0..0, 0);
    a.retain(both);
    b.retain(both);
    // An update on b that was made from a's is four seconds earlier by b's clock.
    let update = |id: &str, version: u64, at: &str| {
        event(id, "update", "configmaps", at)
            .replace(r#""resource":"configmaps""#, &format!(r#""resource":"configmaps","namespace":"n","name":"c","resourceVersion":"{version}""#))
    };
    a.push(update("first", 100, &moment(59, 59_500_000)));
    b.push(update("second", 101, &moment(59, 55_500_000)));
    // The aggregated server on b received what a passed on two seconds before a did.
    a.push(event("twin", "get", "routes", &moment(59, 59_600_000)));
    let behind = vec![event("twin", "get", "routes", &moment(59, 57_600_000))];
    // An id twice on one server with other content, and bytes that are no event.
    a.push(event("first", "delete", "secrets", &moment(59, 59_700_000)));
    a.push("no event".to_owned());
    a.push(event("late", "get", "pods", &moment(10, 0)));
    write(&mg, "audit_logs/kube-apiserver/master-0-audit.log", &a);
    write(&mg, "audit_logs/kube-apiserver/master-1-audit.log", &b);
    write(&mg, "audit_logs/openshift-apiserver/master-1-audit.log", &behind);
    index(&dir, &[&mg]);
    let at = dir.to_str().unwrap();
    let said = last_object(&audithound(&["sources", "--format", "json", "--index", at]));
    let gaps = said["gaps"].as_array().unwrap();
    let what: Vec<(&str, &str)> = gaps
        .iter()
        .map(|gap| (gap["server"].as_str().unwrap(), gap["what"].as_str().unwrap()))
        .collect();
    let missing = |server: &str, words: &str| {
        what.iter().any(|(name, what)| name.contains(server) && what.contains(words))
    };
    assert!(missing("master-0", "this log is missing"), "{gaps:?}");
    assert!(missing("master-0", "by no server of the cluster"), "{gaps:?}");
    assert!(missing("master-1", "by no server of the cluster"), "{gaps:?}");
    assert_eq!(gaps.len(), 3, "{gaps:?}");
    let skew = &said["clock_skew"][0];
    assert_eq!(skew["comparisons"], 2, "{skew}");
    assert_eq!(skew["other_ahead_at_most_ms"], -4000, "{skew}");
    assert!(skew["what"].as_str().unwrap().contains("behind that of master-0"), "{skew}");
    assert_eq!(said["audit_profile"][0]["profile"], "Default", "{said}");
    assert!(
        said["cannot_show"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["what"] == "bodies of Secrets")
    );
    assert_eq!(said["audit_id_conflicts_total"], 1, "{said}");
    assert_eq!(said["audit_id_conflicts"][0]["audit_id"], "first");
    assert_eq!(said["rejected_bytes"], 8);
    let source = said["sources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["source"].as_str().unwrap().ends_with("kube-apiserver/master-0-audit.log"))
        .unwrap();
    assert_eq!(source["rejected_bytes"], 8, "{source}");
    assert_eq!(source["out_of_order"], 1, "{source}");
    assert_eq!(source["step_back_ms"], 2_999_700, "{source}");
    let show = audithound(&["show", "first", "--index", at]);
    assert_eq!(show.status.code(), Some(0));
    let note = String::from_utf8_lossy(&show.stderr).into_owned();
    assert!(note.contains("different content"), "{note}");
    // The table says the same, for a person.
    let table = stdout(&audithound(&["sources", "--index", at]));
    assert!(
        table.contains("bodies of Secrets") && table.contains("this log is missing"),
        "{table}"
    );
}

#[test]
fn twins_over_two_servers_are_no_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("case.index");
    let twin = |time: i64| vec![event("twin", "get", "routes", &moment(0, time))];
    write(folder.path(), "mg/audit_logs/kube-apiserver/m-audit.log", &twin(0));
    write(folder.path(), "mg/audit_logs/openshift-apiserver/m-audit.log", &twin(1000));
    index(&dir, &[&folder.path().join("mg")]);
    let at = dir.to_str().unwrap();
    let said = last_object(&audithound(&["sources", "--format", "json", "--index", at]));
    assert_eq!(said["audit_id_conflicts_total"], 0, "{said}");
    let show = audithound(&["show", "twin", "--index", at]);
    assert!(show.stderr.is_empty(), "{show:?}");
}

#[test]
fn a_copy_that_lacks_events_is_told_from_one_that_ends_earlier() {
    let folder = tempfile::tempdir().unwrap();
    let line = |n: i64| event(&format!("id-{n}"), "get", "pods", &moment(n, 0));
    let mut node: Vec<String> = (0..10).map(line).collect();
    // The forwarded copy lacks the sixth and what came after the eighth, and has one twice.
    let kept = [0, 1, 2, 3, 4, 6, 7, 2].map(|n: usize| node[n].clone());
    node.push("no event".to_owned());
    let a = write(folder.path(), "a.log", &node);
    let b = write(folder.path(), "b.log", &kept);
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let output = audithound(&["compare", a, b, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = last_object(&output);
    assert_eq!((said["both"].as_u64(), said["a"]["only_here"].as_u64()), (Some(7), Some(3)));
    assert_eq!(
        (said["b"]["only_here"].as_u64(), said["b"]["repeats"].as_u64()),
        (Some(0), Some(1))
    );
    assert_eq!(said["a"]["rejected"], 1);
    let lost: Vec<(&str, bool)> = said["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["audit_id"].as_str().unwrap(), row["within_both"].as_bool().unwrap()))
        .collect();
    assert_eq!(lost, [("id-5", true), ("id-8", false), ("id-9", false)]);
    assert_eq!(said["repeats"][0]["audit_id"], "id-2");
    assert_eq!(said["repeats"][0]["line"], 8);
    // The other way round it is the second copy that has more.
    let other = last_object(&audithound(&["compare", b, a, "--format", "json"]));
    assert_eq!(
        (other["a"]["only_here"].as_u64(), other["b"]["only_here"].as_u64()),
        (Some(0), Some(3))
    );
    assert_eq!(other["differences"][0]["only_in"], "B");
    assert_eq!(audithound(&["compare", a, a]).status.code(), Some(1));
    assert_eq!(audithound(&["compare", a, "/nowhere/at/all"]).status.code(), Some(2));
}
