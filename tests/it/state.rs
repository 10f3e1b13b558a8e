//! The time machine on real evidence: what was known when, and what never was.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use audithound::event::time::Timestamp;
use audithound::hunt::state::fold::Existence;
use audithound::hunt::state::fold::Knowledge;
use audithound::hunt::state::fold::ObjectState;
use audithound::hunt::state::history::owner_chain;
use audithound::hunt::state::rebuild::diff;
use audithound::hunt::state::rebuild::rebuild;
use audithound::hunt::state::write::Target;
use audithound::search::scan::MemoryEvidence;
use serde_json::json;

fn evidence() -> Option<&'static MemoryEvidence> {
    static EVIDENCE: OnceLock<Option<MemoryEvidence>> = OnceLock::new();
    EVIDENCE
        .get_or_init(|| {
            let path = Path::new("../shared/realdata/ralvares-security-demos/audit.tar.gz");
            let Ok(file) = std::fs::File::open(path) else {
                eprintln!("skipped: {} is not there", path.display());
                return None;
            };
            let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
            let mut text = String::new();
            for entry in archive.entries().unwrap() {
                entry.unwrap().read_to_string(&mut text).unwrap();
            }
            Some(MemoryEvidence::from_lines("audit.log", &text))
        })
        .as_ref()
}

fn target(kind: &str, namespace: &str, name: &str) -> Target {
    Target {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        cluster: None,
    }
}

fn state(target: &Target, at: &str) -> Option<ObjectState> {
    let rebuilt = rebuild(evidence()?, target, Timestamp::parse(at)).unwrap();
    assert_eq!(rebuilt.objects.len(), 1, "{:?}", rebuilt.objects.keys());
    rebuilt.objects.into_values().next()
}

#[test]
fn the_privileged_pod_is_rebuilt_as_it_grew() {
    let pod = target("pod", "payments-v2", "visa-processor");
    let Some(before) = state(&pod, "2025-12-09T12:57:30Z") else { return };
    assert_eq!(before.existence, Existence::NotYet);
    let made = state(&pod, "2025-12-09T12:57:38Z").unwrap();
    assert_eq!((made.existence, made.knowledge), (Existence::Present, Knowledge::Whole));
    assert_eq!(made.object["spec"]["hostPID"], json!(true));
    assert_eq!(made.object["spec"]["containers"][0]["command"][0], json!("nsenter"));
    assert!(made.object["spec"].get("nodeName").is_none());
    let bound = state(&pod, "2025-12-09T12:57:39.320000Z").unwrap();
    assert_eq!(bound.object["spec"]["nodeName"], json!("master-2"));
    let last = state(&pod, "2025-12-09T13:00:00Z").unwrap();
    assert_eq!(last.object["status"]["phase"], json!("Running"));
    let rows = diff(&made, &last);
    assert!(rows.iter().any(|(path, before, after)| {
        path == "spec.nodeName" && before.is_empty() && after == "master-2"
    }));
}

#[test]
fn the_history_goes_up_the_chain_of_owners() {
    let Some(evidence) = evidence() else { return };
    let pod = target("pods", "payments-v2", "mastercard-v2-5d79d9f6d9-6ft5f");
    let (links, _, why) = owner_chain(evidence, &pod, None).unwrap();
    let kinds: Vec<&str> = links.iter().map(|link| link.kind.as_str()).collect();
    assert_eq!(kinds, ["pods", "replicasets", "deployments"]);
    assert_eq!(why, "the topmost object names no owner");
    let made = &links[2].state.changes[0];
    assert_eq!(made.event.user, "system:serviceaccount:payments:visa-processor");
    assert!(made.changes.contains(&(
        "template.containers.alpine.command".to_owned(),
        String::new(),
        "[\"sleep\",\"infinity\"]".to_owned()
    )));
}

#[test]
fn failures_are_not_folded_and_bodies_of_secrets_are_never_known() {
    let Some(evidence) = evidence() else { return };
    let deployment = target("deploy", "payments-v2", "mastercard-v2");
    let rebuilt = rebuild(evidence, &deployment, None).unwrap();
    assert_eq!(rebuilt.failed, 1, "the conflicting status update (409)");
    let secret = target("secret", "payments", "ssh-keys");
    let rebuilt = rebuild(evidence, &secret, None).unwrap();
    let state = rebuilt.objects.values().next().unwrap();
    assert_eq!((state.existence, state.knowledge), (Existence::Present, Knowledge::Nothing));
    assert!(!state.unknown.is_empty());
    assert!(rebuilt.notes.iter().any(|note| note.contains("Secrets")));
}

#[test]
fn a_binding_is_known_from_its_creation_on() {
    let binding = target("ClusterRoleBinding", "", "visa-processor");
    let Some(before) = state(&binding, "2025-12-09T12:55:00Z") else { return };
    assert_eq!(before.existence, Existence::NotYet);
    let after = state(&binding, "2025-12-09T12:56:00Z").unwrap();
    assert_eq!(after.object["roleRef"]["name"], json!("cluster-admin"));
    assert!(after.unknown.is_empty());
}

#[test]
fn a_list_of_a_kind_needs_no_name() {
    let Some(evidence) = evidence() else { return };
    let pods = target("pods", "payments-v2", "");
    let rebuilt = rebuild(evidence, &pods, None).unwrap();
    let names: Vec<&str> = rebuilt.objects.keys().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["mastercard-v2-5d79d9f6d9-6ft5f", "visa-processor"]);
}
