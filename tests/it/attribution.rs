//! Which test holds which rule of attribution (notes/attribution.md), and the rules that belong to
//! no single ledger or pivot.

use std::path::Path;

use audithound::event::time::TimeRange;
use audithound::event::time::Timestamp;
use audithound::hunt::pivot::PivotContext;
use audithound::hunt::pivot::PivotOptions;
use audithound::hunt::pivot_registry::find;
use audithound::hunt::state::rebuild::rebuild;
use audithound::hunt::state::write::Target;
use audithound::ledger::Ledgers;
use audithound::query::ast::QueryAst;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::scan::MemoryEvidence;
use serde_json::Value;
use serde_json::json;

/// Number of the rule, the file of a test that holds it, and the start of the test's name.
const RULES: &[(u8, &str, &str)] = &[
    (1, "src/ledger/attribution_tests.rs", "rule_1_"),
    (2, "src/ledger/attribution_tests.rs", "rule_2_"),
    (2, "tests/it/pivots.rs", "rule_2_"),
    (3, "src/ledger/attribution_tests.rs", "rule_3_"),
    (4, "src/ledger/attribution_tests.rs", "rule_4_"),
    (4, "tests/it/pivots.rs", "rule_4_"),
    (5, "src/ledger/attribution_tests.rs", "rule_5_"),
    (6, "src/ledger/attribution_tests.rs", "rule_6_"),
    (6, "tests/it/pivots.rs", "rule_6_"),
    (7, "src/ledger/attribution_tests.rs", "rule_7_"),
    (8, "tests/it/pivots.rs", "rule_8_"),
    (9, "tests/it/pivots.rs", "rule_9_"),
    (10, "tests/it/pivots.rs", "rule_10_"),
    (11, "src/ledger/attribution_tests.rs", "rule_11_"),
    (12, "src/ledger/attribution_tests.rs", "rule_12_"),
    (12, "tests/it/pivots.rs", "rule_12_"),
    (13, "tests/it/pivots.rs", "rule_13_"),
    (14, "tests/it/attribution.rs", "rule_14_"),
    (15, "tests/it/attribution.rs", "rule_15_"),
    (16, "tests/it/pivots.rs", "rule_16_"),
    (17, "tests/it/attribution.rs", "rule_17_"),
    (18, "tests/it/attribution.rs", "rule_18_"),
    (19, "tests/it/pivots.rs", "rule_19_"),
    (19, "tests/it/investigate.rs", "without_bodies_the_reference_story_"),
];

#[test]
fn every_rule_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (rule, file, name) in RULES {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        let stands = text.contains(&format!("#[test]\nfn {name}"));
        assert!(stands, "rule {rule}: {file} has no test {name}*");
    }
    for rule in 1..=19 {
        assert!(RULES.iter().any(|(number, ..)| *number == rule), "rule {rule} has no test");
    }
}

fn evidence(events: &[Value]) -> MemoryEvidence {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    MemoryEvidence::from_lines("audit.log", &text)
}

fn update(second: u32, version: u32, colour: &str) -> Value {
    json!({
        "auditID": format!("v{version}"), "stage": "ResponseComplete", "verb": "update",
        "level": "RequestResponse", "user": {"username": "u"}, "responseStatus": {"code": 200},
        "objectRef": {"resource": "configmaps", "namespace": "a", "name": "c", "apiVersion": "v1"},
        "requestURI": "/api/v1/namespaces/a/configmaps/c",
        "requestReceivedTimestamp": format!("2026-03-02T00:00:{second:02}.000000Z"),
        "responseObject": {
            "kind": "ConfigMap", "data": {"colour": colour},
            "metadata": {"name": "c", "namespace": "a", "resourceVersion": version.to_string()},
        },
    })
}

/// The second write carries the earlier time: its server's clock is seven seconds behind.
#[test]
fn rule_14_versions_order_writes_and_their_disagreement_with_time_is_told() {
    let target = Target {
        kind: "configmaps".to_owned(),
        namespace: "a".to_owned(),
        name: "c".to_owned(),
        cluster: None,
    };
    let later = Timestamp::parse("2026-03-02T01:00:00Z");
    let last = |events: &[Value]| {
        let rebuilt = rebuild(&evidence(events), &target, later).unwrap();
        let notes = rebuilt.notes.join("\n");
        let object = rebuilt.objects.into_values().next().unwrap().object;
        (object["data"]["colour"].as_str().unwrap().to_owned(), notes)
    };
    let (colour, notes) = last(&[update(10, 900, "red"), update(3, 901, "blue")]);
    assert_eq!(colour, "blue");
    assert!(notes.contains("disagree") && notes.contains("7000 ms"), "{notes}");
    // Versions are numbers: as text 1000 would come before 999.
    let (colour, notes) = last(&[update(10, 999, "red"), update(11, 1000, "blue")]);
    assert_eq!((colour.as_str(), notes.contains("disagree")), ("blue", false));
    // Without versions the time decides.
    let mut bare = [update(10, 900, "red"), update(3, 901, "blue")];
    for event in &mut bare {
        event["responseObject"]["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    }
    assert_eq!(last(&bare).0, "red");
}

/// Keys re-sorted and fields added by a forwarder make no second event; one more space inside a
/// value does; a copy in the same file is a repeat.
#[test]
fn rule_15_an_event_kept_by_two_collectors_is_one_event_with_two_places() {
    let folder = tempfile::tempdir().unwrap();
    let node = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"x","stage":"ResponseComplete","verb":"get","user":{"username":"u","groups":["a","b"]},"requestReceivedTimestamp":"2026-03-02T00:00:01.000000Z"}"#;
    let forwarded = r#"{"@timestamp":"2026-03-02T00:00:09Z","hostname":"m","log_type":"audit","log_source":"kubeAPI","k8s_audit_level":"Metadata","level":"default","user":{"groups":["a","b"],"username":"u"},"verb":"get","stage":"ResponseComplete","auditID":"x","apiVersion":"audit.k8s.io/v1","kind":"Event","requestReceivedTimestamp":"2026-03-02T00:00:01.000000Z"}"#;
    let other = node.replace("\"u\"", "\"u \"");
    let (a, b) = (folder.path().join("node.log"), folder.path().join("forwarded.log"));
    std::fs::write(&a, format!("{node}\n{other}\n{node}\n")).unwrap();
    std::fs::write(&b, format!("{forwarded}\n")).unwrap();
    let index = crate::agree::index_of(folder.path(), &[a, b], 1);
    let totals = &index.index.manifest.totals;
    assert_eq!((totals.events, totals.duplicates, totals.repeats), (2, 2, 1));
    let hits = index.search(&QueryAst::All, &SearchOptions::default()).unwrap().hits;
    let mut places: Vec<usize> =
        hits.iter().map(|hit| index.further_places(hit.id).unwrap().len()).collect();
    places.sort_unstable();
    assert_eq!(places, [0, 2]);
}

#[test]
fn rule_17_the_collectors_own_requests_are_labelled() {
    let proxy = |id: &str, uri: &str| {
        json!({
            "auditID": id, "stage": "ResponseComplete", "verb": "get", "level": "Metadata",
            "user": {"username": "admin"}, "sourceIPs": ["203.0.113.9"], "requestURI": uri,
            "objectRef": {"resource": "nodes", "subresource": "proxy", "name": "n"},
            "responseStatus": {"code": 200},
            "requestReceivedTimestamp": "2026-03-02T00:00:01.000000Z",
            "stageTimestamp": "2026-03-02T00:00:01.100000Z",
        })
    };
    let evidence = evidence(&[
        proxy("logs", "/api/v1/nodes/n/proxy/logs/kube-apiserver/audit.log"),
        proxy("run", "/api/v1/nodes/n/proxy/run/a/b/c?cmd=id"),
    ]);
    let ledgers = Ledgers::build(&evidence).unwrap();
    let context = PivotContext {
        evidence: &evidence,
        ledgers: &ledgers,
        range: TimeRange::ALL,
        filter: None,
        options: PivotOptions::default(),
    };
    let answer = find("exec").unwrap().run(&context, &[]).unwrap();
    let section = answer.sections.iter().find(|section| section.title == "sessions").unwrap();
    let at = section.columns.iter().position(|column| column == "label").unwrap();
    let labels: Vec<String> =
        section.rows.iter().map(|row| format!("{:?}", row.cells[at])).collect();
    let labelled = labels.iter().filter(|label| label.contains("collection of evidence")).count();
    assert_eq!((labels.len(), labelled), (2, 1), "{labels:?}");
}

/// Nothing here touches a Secret, a Route or an OAuthClient: that their bodies can never be
/// expected is said all the same, and a question for them is not answered by silence.
#[test]
fn rule_18_what_no_profile_records_is_said_even_where_no_such_event_is() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    std::fs::write(&log, format!("{}\n", update(1, 1, "red"))).unwrap();
    crate::agree::index_of(folder.path(), &[log], 1);
    let dir = folder.path().join("index-1");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_audithound"))
        .args(["sources", "--format", "json", "--index", dir.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    for never in ["Secrets", "Routes", "OAuthClients", "/healthz", "inside a container"] {
        assert!(said.contains(never), "{never} is not said: {said}");
    }
}
