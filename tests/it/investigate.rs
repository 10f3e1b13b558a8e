//! One clue must lead to the whole story, and to nobody who has no part in it.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use audithound::event::place::Origin;
use audithound::hunt::investigate::InvestigateOptions;
use audithound::hunt::investigate::investigate;
use audithound::hunt::investigate::story::Story;
use audithound::ledger::Ledgers;
use audithound::query::parse::ParseOptions;
use audithound::query::parse::parse;
use audithound::search::evidence::Evidence;
use audithound::search::scan::MemoryEvidence;
use audithound::search::scan::ScanRecord;

use crate::corpus::Truth;
use crate::corpus::VARIANTS;
use crate::corpus::Variant;
use crate::corpus::incident_variant;

const SHARED: &str = "../shared/realdata/ralvares-security-demos";

fn real() -> Option<MemoryEvidence> {
    let archive = Path::new(SHARED).join("audit.tar.gz");
    let Ok(file) = std::fs::File::open(&archive) else {
        eprintln!("skipped: {} is not there", archive.display());
        return None;
    };
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut text = String::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let wanted = entry.path().unwrap().ends_with("audit.log");
        if wanted && !entry.path().unwrap().to_string_lossy().contains("._") {
            entry.read_to_string(&mut text).unwrap();
        }
    }
    Some(MemoryEvidence::from_lines("audit.log", &text))
}

fn real_truth() -> BTreeSet<String> {
    let text = std::fs::read_to_string(Path::new(SHARED).join("incident_truth.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .flat_map(|step| step["events"].as_array().unwrap().clone())
        .map(|event| event["auditID"].as_str().unwrap().to_owned())
        .collect()
}

fn ask(evidence: &dyn Evidence, ledgers: &Ledgers, start: &str) -> Story {
    let parsed = parse(start, &ParseOptions::default()).map_err(|error| error.to_string());
    investigate(evidence, ledgers, start, &parsed, &InvestigateOptions::default()).unwrap()
}

fn ids(story: &Story) -> BTreeSet<String> {
    story.steps.iter().flat_map(|s| &s.events).map(|e| e.audit_id.clone()).collect()
}

fn show(story: &Story) -> String {
    let mut text = format!("{}\n", story.summary);
    for step in &story.steps {
        text.push_str(&format!("[{}] {} ({})\n", step.tactic, step.title, step.confidence.name()));
        for event in &step.events {
            text.push_str(&format!("    {} {}\n", event.audit_id, event.message()));
        }
    }
    for sentence in story.trail_ends.iter().chain(&story.notes).chain(&story.unknown) {
        text.push_str(&format!("  . {sentence}\n"));
    }
    text
}

/// Precision and recall of the audit ids in the steps, printed and asserted to be whole.
fn assert_exactly(story: &Story, truth: &BTreeSet<String>, what: &str) {
    let found = ids(story);
    let right = found.intersection(truth).count();
    eprintln!("{what}: precision {right}/{} recall {right}/{}", found.len(), truth.len());
    let missing: Vec<_> = truth.difference(&found).collect();
    let wrong: Vec<_> = found.difference(truth).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "{what}: missing {missing:?}, wrong {wrong:?}\n{}",
        show(story)
    );
}

fn assert_in_time_order(story: &Story) {
    let times: Vec<_> = story.steps.iter().flat_map(|s| &s.events).map(|e| e.time).collect();
    assert!(times.is_sorted(), "{}", show(story));
}

#[test]
fn the_address_of_the_reference_evidence_leads_to_all_of_it_and_to_nothing_else() {
    let Some(evidence) = real() else { return };
    let ledgers = Ledgers::build(&evidence).unwrap();
    let story = ask(&evidence, &ledgers, "10.128.1.81");
    println!("{}", serde_json::to_string_pretty(&story.to_json()).unwrap());
    assert_exactly(&story, &real_truth(), "reference evidence from 10.128.1.81");
    assert_in_time_order(&story);
    let reads: Vec<_> = story.hypotheses.iter().flat_map(|h| &h.events).collect();
    assert_eq!(reads.len(), 5, "{reads:?}");
    assert!(reads.iter().all(|event| event.resource == "routes" && event.user == "admin"));
    assert!(story.consequences.iter().any(|c| c.user.ends_with(":replicaset-controller")));
    assert!(story.undecidable.is_empty(), "{:?}", story.undecidable);
}

#[test]
fn every_clue_of_the_reference_evidence_leads_to_the_same_story() {
    let Some(evidence) = real() else { return };
    let ledgers = Ledgers::build(&evidence).unwrap();
    let truth = real_truth();
    let mut starts = vec![
        "asset-cache-7d548fc66f-vrlbp".to_owned(),
        "visa-processor-7d57964dc8-bvzff".to_owned(),
        "payments-v2/visa-processor".to_owned(),
        "system:serviceaccount:payments:visa-processor".to_owned(),
        "a2b87c24-8ad3-4cac-b77f-0a896de31caa".to_owned(),
        "sub:exec ns:payments-v2".to_owned(),
        "user:system:anonymous code:403 resource:secrets".to_owned(),
    ];
    starts.extend(truth.iter().step_by(7).cloned());
    for start in starts {
        let story = ask(&evidence, &ledgers, &start);
        assert_exactly(&story, &truth, &start);
    }
}

fn load(seed: u64, variant: Variant) -> (MemoryEvidence, Truth) {
    let (lines, truth) = incident_variant(seed, variant);
    let records = lines.into_iter().zip(1_u64..).map(|(written, line)| ScanRecord {
        raw: written.text.clone(),
        event: written.text,
        origin: Origin {
            node: Some(format!("master-{}", written.server)),
            cluster: None,
            log: Some(written.log.to_owned()),
        },
        source: format!("{}/master-{}.log", written.log, written.server),
        offset: line * 1000,
        line,
        ..ScanRecord::default()
    });
    (MemoryEvidence::new(records), truth)
}

/// The audit ids a variant must reach: everything but the steps it cannot decide.
fn reachable(truth: &Truth) -> BTreeSet<String> {
    truth
        .steps
        .iter()
        .filter(|step| !truth.undecidable.contains(&step.step))
        .flat_map(|step| &step.events)
        .map(|event| event.audit_id.clone())
        .collect()
}

fn undecidable_name(step: &str) -> &'static str {
    match step {
        "1b-ip-to-pod" => "address-to-pod",
        "0b-token-mint" => "token-mint",
        other => panic!("{other}"),
    }
}

/// What proves neither reading stands under the hypotheses, whole; nothing else does.
fn assert_hypotheses(story: &Story, truth: &Truth, what: &str) {
    let open: BTreeSet<String> =
        story.hypotheses.iter().flat_map(|h| &h.events).map(|e| e.audit_id.clone()).collect();
    let expected: BTreeSet<String> = truth
        .hypotheses
        .iter()
        .flat_map(|step| &step.events)
        .map(|event| event.audit_id.clone())
        .collect();
    // The same account may do other things near a step; those are shown too.
    assert!(open.is_superset(&expected), "{what}: {open:?} {expected:?}");
    assert!(open.is_disjoint(&ids(story)), "{what}");
    let innocent = [&truth.innocent, &truth.second];
    let apart: BTreeSet<&String> = innocent
        .into_iter()
        .flatten()
        .flat_map(|step| &step.events)
        .map(|event| &event.audit_id)
        .collect();
    let told: BTreeSet<String> = ids(story);
    assert!(told.iter().all(|id| !apart.contains(id)), "{what}: an innocent is accused");
}

#[test]
fn every_variant_reaches_its_steps_and_says_what_it_cannot_decide() {
    for variant in VARIANTS {
        for seed in 1..4 {
            let (evidence, truth) = load(seed, variant);
            let ledgers = Ledgers::build(&evidence).unwrap();
            let what = format!("{variant:?}, seed {seed}");
            let story = ask(&evidence, &ledgers, &truth.start_address);
            assert_exactly(&story, &reachable(&truth), &what);
            assert_in_time_order(&story);
            assert_hypotheses(&story, &truth, &what);
            for step in &truth.undecidable {
                let name = undecidable_name(step);
                assert!(
                    story.undecidable.iter().any(|u| u.step == name),
                    "{what}: {name} is not said to be undecidable\n{}",
                    show(&story)
                );
            }
        }
    }
}

fn rendered(story: &Story, format: &str) -> String {
    let mut out = Vec::new();
    audithound::report::story_registry::story_renderer(format)
        .unwrap()
        .render(story, &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_story_is_written_in_every_form_and_nothing_in_it_gets_loose() {
    let (evidence, truth) = load(1, Variant::Plain);
    let ledgers = Ledgers::build(&evidence).unwrap();
    let mut story = ask(&evidence, &ledgers, &truth.start_address);
    let hostile = "<script>alert(1)</script>\"];\n```\u{1b}[2J";
    for step in &mut story.steps {
        step.title = format!("{hostile}{}", step.title);
        step.details.push(hostile.to_owned());
        for event in &mut step.events {
            event.user_agent = hostile.to_owned();
            event.request_uri = hostile.to_owned();
            event.name = hostile.to_owned();
        }
    }
    let html = rendered(&story, "html");
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
    assert!(html.contains("<svg") && !html.contains("http://") && !html.contains("https://"));
    let markdown = rendered(&story, "markdown");
    assert!(markdown.contains("```mermaid\nflowchart TD"), "{markdown}");
    assert!(markdown.contains("subgraph Phase1 [\"Phase 1: "));
    let chart = markdown.split("```mermaid").nth(1).unwrap().split("\n```").next().unwrap();
    assert!(!chart.contains('`') && !chart.contains("<script"));
    for text in [&html, &markdown, &rendered(&story, "text")] {
        assert!(!text.contains('\u{1b}'));
    }
    for line in rendered(&story, "timesketch").lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["message", "datetime", "timestamp_desc"] {
            assert!(value[key].is_string(), "{line}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&rendered(&story, "json")).unwrap();
    let event = &json["steps"][0]["events"][0];
    for key in [
        "auditID",
        "stage",
        "time",
        "user",
        "verb",
        "requestURI",
        "sourceIPs",
        "code",
        "source",
        "offset",
    ] {
        assert!(!event[key].is_null(), "{key}");
    }
    for key in ["title", "tactic", "technique", "confidence", "question"] {
        assert!(json["steps"][0][key].is_string(), "{key}");
    }
}

#[test]
fn the_question_of_every_step_finds_its_events() {
    use audithound::search::evidence::SearchOptions;
    let (evidence, truth) = load(2, Variant::Plain);
    let ledgers = Ledgers::build(&evidence).unwrap();
    let story = ask(&evidence, &ledgers, &truth.start_address);
    for step in &story.steps {
        let question = parse(&step.question, &ParseOptions::default())
            .unwrap_or_else(|error| panic!("{}: {error}", step.question));
        let hits = evidence.search(&question, &SearchOptions::default()).unwrap();
        let found: BTreeSet<_> = hits.hits.iter().map(|hit| hit.id).collect();
        for event in &step.events {
            assert!(
                found.contains(&event.id),
                "{} does not find {}",
                step.question,
                event.message()
            );
        }
    }
}

/// The reference evidence as the Default profile would have left it.
fn stripped() -> Option<MemoryEvidence> {
    let whole = real()?;
    let mut text = String::new();
    let hits = whole.search(&audithound::query::ast::QueryAst::All, &Default::default()).unwrap();
    for hit in hits.hits {
        let stored = whole.fetch(hit.id).unwrap();
        let mut event: serde_json::Value = serde_json::from_slice(&stored.event).unwrap();
        let map = event.as_object_mut().unwrap();
        map.remove("requestObject");
        map.remove("responseObject");
        map.insert("level".into(), "Metadata".into());
        text.push_str(&format!("{event}\n"));
    }
    Some(MemoryEvidence::from_lines("audit.log", &text))
}

#[test]
fn without_bodies_the_reference_story_lacks_one_step_and_says_so() {
    let Some(evidence) = stripped() else { return };
    let ledgers = Ledgers::build(&evidence).unwrap();
    let story = ask(&evidence, &ledgers, "10.128.1.81");
    let mut truth = real_truth();
    // Step 1b: only bodies of pods/status say whose an address is.
    for id in ["d30dfa8e-9543-40bd-8324-237bc7033e16", "cdc79e92-8bd6-4691-ac28-7495bf742ab2"] {
        assert!(truth.remove(id));
    }
    assert_exactly(&story, &truth, "reference evidence without bodies");
    assert!(story.undecidable.iter().any(|u| u.step == "address-to-pod"), "{}", show(&story));
    assert!(story.undecidable.iter().any(|u| u.step == "payload"), "{}", show(&story));
}

#[test]
fn any_clue_of_the_fixture_leads_to_its_own_story_and_no_other() {
    for variant in [Variant::Plain, Variant::RandomNames, Variant::NoCredentialIds] {
        let (evidence, truth) = load(3, variant);
        let ledgers = Ledgers::build(&evidence).unwrap();
        let whole = reachable(&truth);
        let (namespace, account) = &truth.account;
        let mut starts = vec![
            format!("{}/{}", truth.start_pod.0, truth.start_pod.1),
            format!("system:serviceaccount:{namespace}:{account}"),
            format!("sub:exec user:system:serviceaccount:{namespace}:{account}"),
        ];
        if !truth.credential.is_empty() {
            starts.push(truth.credential.clone());
        }
        for start in starts {
            let story = ask(&evidence, &ledgers, &start);
            assert_exactly(&story, &whole, &format!("{variant:?} from {start}"));
        }
        // An innocent pod that had the address later leads to nothing.
        let innocent = format!("{}/{}", truth.innocent_pod.0, truth.innocent_pod.1);
        let story = ask(&evidence, &ledgers, &innocent);
        assert!(story.steps.is_empty(), "{}", show(&story));
        // The other incident stays apart from this one.
        let other = ask(&evidence, &ledgers, "build-robot");
        let second: BTreeSet<String> = truth
            .second
            .iter()
            .flat_map(|step| &step.events)
            .map(|event| event.audit_id.clone())
            .collect();
        assert_exactly(&other, &second, "build-robot");
    }
}

/// What is true of the fixture in index-fixtures/: the auditIDs of one part of one incident.
fn written_truth(incident: &str, part: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("index-fixtures/incident_truth.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let ids: BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|step| step["incident"] == incident && step["part"] == part)
        .flat_map(|step| step["events"].as_array().unwrap().clone())
        .map(|event| event["auditID"].as_str().unwrap().to_owned())
        .collect();
    assert!(!ids.is_empty(), "{incident} has no {part}");
    ids
}

#[test]
fn the_written_fixture_gives_its_truth_and_keeps_its_two_incidents_apart() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("index-fixtures/audit-logs/demo");
    let files: Vec<_> = std::fs::read_dir(demo)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("expect.toml"))
        .collect();
    let index = crate::agree::index_of(folder.path(), &files, 2);
    let ledgers = Ledgers::build(&index).unwrap();
    let truth = written_truth("token-theft", "steps");
    let story = ask(&index, &ledgers, "10.132.8.94");
    assert_exactly(&story, &truth, "own fixture from 10.132.8.94");
    assert_in_time_order(&story);
    let told = |events: &mut dyn Iterator<Item = &String>| events.cloned().collect::<BTreeSet<_>>();
    let consequences =
        told(&mut story.consequences.iter().flat_map(|c| &c.events).map(|event| &event.audit_id));
    let reactions = written_truth("token-theft", "consequences");
    assert!(consequences.is_superset(&reactions), "{:?}", reactions.difference(&consequences));
    let open = story.hypotheses.iter().flat_map(|h| &h.events);
    let open = told(&mut open.map(|event| &event.audit_id));
    assert!(open.is_superset(&written_truth("token-theft", "hypotheses")), "{open:?}");
    // The address belongs to an innocent pod later; the other incident is another one.
    let innocent = written_truth("token-theft", "innocent");
    let second = written_truth("stolen-kubeconfig", "steps");
    for apart in [&innocent, &second] {
        for told in [&ids(&story), &consequences, &open] {
            assert!(apart.is_disjoint(told), "{:?}", apart.intersection(told));
        }
    }
    let named = story.to_json().to_string();
    assert!(named.contains("label-printer"), "the later owner is named: {named}");
    let other = ask(&index, &ledgers, "build-robot");
    assert_exactly(&other, &second, "own fixture from build-robot");
    let innocent = ask(&index, &ledgers, "parcels/label-printer-6ca6e19a4-92fs4");
    assert!(innocent.steps.is_empty(), "{}", show(&innocent));
}
