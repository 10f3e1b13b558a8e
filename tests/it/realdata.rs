//! Every real log beside the project goes in with its exact counts and comes back byte for byte.

use std::path::Path;
use std::path::PathBuf;

use audithound::event::time::TimeRange;
use audithound::index::build::BuildOptions;
use audithound::index::build::BuildSummary;
use audithound::index::build::Quiet;
use audithound::index::build::build;
use audithound::index::verify::verify;
use audithound::search::evidence::Evidence;
use audithound::search::indexed::open;

use crate::disaster::audithound;
use crate::disaster::count;

/// Path below the folder of real data, events, blank, rejected; what is not listed here is told
/// in [`NO_ARCHIVES`].
const TABLE: &[(&str, u64, u64, u64)] = &[
    ("ralvares-security-demos/audit.log", 463, 1, 0),
    ("ralvares-security-demos/audit.tar.gz", 11_258, 1, 0),
    // One pretty-printed event that is no JSON: a comma too many.
    ("ralvares-security-demos/visa-processor.log", 0, 0, 1),
    // 55 events in 51 files, four blank last lines, and `{"kind": 0}`.
    ("falco-k8s-audit-traces", 55, 4, 1),
    ("joonghyunlee-eventlist/events.json", 2, 0, 0),
    ("liggitt-audit2rbac/demo.log", 37, 0, 0),
    ("ocsf-examples-eks/eks_v1.1.0.raw.json", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/otlp_audit_host.json", 6, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/otlp_audit_kube.json", 3, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/otlp_audit_openshift.json", 3, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/otlp_audit_ovn.json", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/raw_audit_kubernetes.json", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/raw_audit_oauth-apiserver.json", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/raw_audit_openshift.json", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/raw_auditd.log", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/viaq_audit_host.json", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/viaq_audit_kubernetes.json", 1, 1, 0),
    ("openshift-cluster-logging-operator-logsamples/viaq_audit_openshift.json", 1, 0, 0),
    ("openshift-cluster-logging-operator-logsamples/viaq_audit_ovn.json", 1, 0, 0),
    ("ovn-kubernetes-acl-log/acl-audit-log.log", 4, 0, 0),
    ("sysdiglabs-aks-audit-log/event.json", 22, 0, 0),
    ("sysdiglabs-aks-audit-log/sample_EventHubs_event.json", 1, 0, 0),
    ("sysdiglabs-aks-audit-log/sample_KubeAuditLog_event.json", 1, 0, 0),
    // A table without a header, and tests whose events sit under `log`: every line is told apart
    // and rejected, none is lost.
    ("hkerma-kubernetes-event-dataset/audit-logs.csv.gz", 0, 0, 16_564),
    ("panther-analysis-tests/rule_tests.jsonl", 0, 0, 237),
];

/// What is no log at all.
const NO_ARCHIVES: &[&str] = &[
    "SOURCES.md",
    "ralvares-security-demos/incident_truth.jsonl",
    "ralvares-security-demos/forensics_sh_output",
];

/// The questions of the reference investigation and how many events answer each.
const QUESTIONS: &[(&str, u64)] = &[
    ("user:system:anonymous AND code:403", 3),
    ("resource:secrets AND verb:list", 14),
    ("ip:10.128.1.81", 4),
    ("ip:10.0.0.0/8", 2552),
    ("requestObject.spec.hostPID:true", 2),
    ("objectRef.subresource:exec", 4),
    ("nsenter", 5),
    (
        "user.extra.authentication.kubernetes.io/credential-id:\
         JTI=a2b87c24-8ad3-4cac-b77f-0a896de31caa",
        17,
    ),
    ("annotations.authorization.k8s.io/decision:forbid", 3),
    ("code:>=400", 346),
];

/// The folder of real data, or a message that there is none.
fn real_data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/realdata");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no real data in {}", folder.display());
    None
}

fn index(path: &Path, dir: &Path) -> BuildSummary {
    build(&BuildOptions::new(vec![path.to_owned()], dir.to_owned()), &Quiet).unwrap()
}

#[test]
fn every_real_log_goes_in_with_its_exact_counts() {
    let Some(folder) = real_data() else { return };
    let scratch = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (number, (name, events, blank, rejected)) in TABLE.iter().enumerate() {
        let dir = scratch.path().join(number.to_string());
        let summary = index(&folder.join(name), &dir);
        let counts = &summary.counts;
        let got = (counts.events, counts.blank, counts.rejected, counts.duplicates);
        if got != (*events, *blank, *rejected, 0) {
            wrong.push(format!("{name}: {got:?}"));
        }
        let problems = verify(&dir).unwrap().problems;
        assert_eq!(problems, Vec::<String>::new(), "{name}");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// A log that is laid beside the others belongs into the table.
#[test]
fn no_real_log_is_missing_from_the_table() {
    let Some(folder) = real_data() else { return };
    for entry in walkdir::WalkDir::new(&folder) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(&folder).unwrap();
        let known = |name: &&str| path.starts_with(name);
        let listed = TABLE.iter().map(|row| row.0).any(|name| known(&name));
        assert!(
            entry.file_type().is_dir() || listed || NO_ARCHIVES.iter().any(known),
            "{}",
            path.display()
        );
    }
}

#[test]
fn the_reference_incident_answers_with_its_counts_and_its_bytes() {
    let Some(folder) = real_data() else { return };
    let archive = folder.join("ralvares-security-demos/audit.tar.gz");
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("index");
    index(&archive, &dir);
    let searcher = open(&dir).unwrap();
    for (text, expected) in QUESTIONS {
        let query = audithound::query::parse::parse(text, &Default::default()).unwrap();
        assert_eq!(searcher.count(&query, TimeRange::ALL).unwrap(), *expected, "{text}");
    }
    // As typed, from another place, without the right to write.
    assert_eq!(count(&dir, "user:system:anonymous AND code:403"), 3);

    let output = audithound(&[
        "search",
        "--format",
        "raw",
        "--limit",
        "0",
        "*",
        "--index",
        dir.to_str().unwrap(),
    ]);
    let mut plain = Vec::new();
    let file = std::fs::File::open(&archive).unwrap();
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    for member in tar.entries().unwrap() {
        std::io::Read::read_to_end(&mut member.unwrap(), &mut plain).unwrap();
    }
    let mut expected: Vec<&[u8]> = plain.split(|byte| *byte == b'\n').collect();
    expected.retain(|line| !line.trim_ascii().is_empty());
    let mut got: Vec<&[u8]> = output.stdout.split(|byte| *byte == b'\n').collect();
    assert_eq!(got.pop(), Some(&b""[..]), "one newline after every line");
    assert_eq!(got.len(), 11_258);
    expected.sort_unstable();
    got.sort_unstable();
    assert!(got == expected, "some line came back changed");
}
