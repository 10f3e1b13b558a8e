//! Every real log has its exact counts; skipped with a message where the folder is absent.

use std::path::PathBuf;

use super::testing::run;
use crate::source::ReadOptions;

fn counts(path: &str, options: ReadOptions) -> Option<(u64, u64, u64)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/realdata").join(path);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    let run = run(&[path], options);
    for seen in run.seen.iter().filter(|seen| seen.kind == "rejected") {
        eprintln!("{}:{} {} {:.80}", seen.source, seen.line, seen.reason, seen.raw);
    }
    assert_eq!(run.problems, Vec::<String>::new());
    Some((run.tally.events, run.tally.blank, run.tally.rejected))
}

#[test]
fn the_reference_evidence_whatever_the_size_of_a_piece() {
    for piece_bytes in [16 << 20, 100_000] {
        let options = || ReadOptions { piece_bytes, ..ReadOptions::default() };
        if let Some(counts) = counts("ralvares-security-demos/audit.tar.gz", options()) {
            assert_eq!(counts, (11_258, 1, 0));
        }
        if let Some(counts) = counts("ralvares-security-demos/audit.log", options()) {
            assert_eq!(counts, (463, 1, 0));
        }
    }
}

/// The logs of a folder, the files that are no archive left out, and events, blank, rejected.
const COUNTS: [(&str, &str, u64, u64, u64); 8] = [
    ("openshift-cluster-logging-operator-logsamples", "", 21, 1, 0),
    ("falco-k8s-audit-traces", "", 55, 4, 1),
    ("liggitt-audit2rbac", "", 37, 0, 0),
    ("sysdiglabs-aks-audit-log", "", 24, 0, 0),
    ("ocsf-examples-eks", "", 1, 0, 0),
    ("joonghyunlee-eventlist", "", 2, 0, 0),
    ("ovn-kubernetes-acl-log", "", 4, 0, 0),
    ("ralvares-security-demos", "visa-processor.log", 0, 0, 1),
];

#[test]
fn every_other_log_has_its_exact_counts() {
    for (folder, file, events, blank, rejected) in COUNTS {
        if let Some(counts) = counts(&format!("{folder}/{file}"), ReadOptions::default()) {
            assert_eq!(counts, (events, blank, rejected), "{folder}");
        }
    }
}
