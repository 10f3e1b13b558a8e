//! Ledgers and pivots on the reference evidence: the original's answers or better, and every
//! rule of attribution.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use audithound::event::time::TimeRange;
use audithound::hunt::answer::Answer;
use audithound::hunt::answer::Cell;
use audithound::hunt::answer::Section;
use audithound::hunt::pivot::PivotContext;
use audithound::hunt::pivot::PivotOptions;
use audithound::hunt::pivot_registry::find;
use audithound::ledger::Ledgers;
use audithound::search::scan::MemoryEvidence;

/// The stolen token of the reference incident.
const STOLEN: &str = "JTI=a2b87c24-8ad3-4cac-b77f-0a896de31caa";

struct Case {
    evidence: MemoryEvidence,
    ledgers: Ledgers,
}

/// The reference evidence, read once; `None`, with a message, where it is absent.
fn reference() -> Option<&'static Case> {
    static CASE: OnceLock<Option<Case>> = OnceLock::new();
    CASE.get_or_init(|| {
        let path = Path::new("../shared/realdata/ralvares-security-demos/audit.tar.gz");
        let Ok(file) = std::fs::File::open(path) else {
            eprintln!("skipped: {} is not here", path.display());
            return None;
        };
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
        let mut text = String::new();
        for entry in archive.entries().unwrap() {
            entry.unwrap().read_to_string(&mut text).unwrap();
        }
        let evidence = MemoryEvidence::from_lines("audit.log", &text);
        assert_eq!(evidence.len(), 11_258);
        let ledgers = Ledgers::build(&evidence).unwrap();
        Some(Case { evidence, ledgers })
    })
    .as_ref()
}

#[test]
fn rule_6_exactly_the_stolen_credential_is_accused() {
    let Some(case) = reference() else { return };
    let ids = case.ledgers.credentials.used.values().filter(|c| c.key.is_strong());
    assert_eq!(ids.count(), 157);
    let accused: Vec<String> =
        case.ledgers.credentials.accused().map(|c| c.key.to_string()).collect();
    assert_eq!(accused, [STOLEN]);
    // Nobody else is even worth a look.
    let suspected: Vec<String> = case
        .ledgers
        .credentials
        .used
        .values()
        .filter(|credential| credential.suspected().next().is_some())
        .map(|credential| credential.key.to_string())
        .collect();
    assert_eq!(suspected, Vec::<String>::new());
}

fn run(case: &Case, name: &str, arguments: &[&str]) -> Answer {
    let context = PivotContext {
        evidence: &case.evidence,
        ledgers: &case.ledgers,
        range: TimeRange::ALL,
        filter: None,
        options: PivotOptions::default(),
    };
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    find(name).unwrap().run(&context, &arguments).unwrap()
}

fn section<'a>(answer: &'a Answer, title: &str) -> &'a Section {
    answer
        .sections
        .iter()
        .find(|section| section.title == title)
        .unwrap_or_else(|| panic!("{} has no section {title:?}", answer.name))
}

fn cell(section: &Section, row: usize, column: &str) -> String {
    let at = section.columns.iter().position(|name| name == column).unwrap();
    match &section.rows[row].cells[at] {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Time(time) => time.to_rfc3339(),
        Cell::Bool(yes) => yes.to_string(),
        Cell::List(texts) => texts.join(" "),
    }
}

fn column(section: &Section, column: &str) -> Vec<String> {
    (0..section.rows.len()).map(|row| cell(section, row, column)).collect()
}

/// The columns of one of the original's answers, as lists of words.
fn original(function: &str) -> Vec<Vec<String>> {
    let path = format!(
        "../shared/realdata/ralvares-security-demos/forensics_sh_output/full.{function}.log"
    );
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| line.starts_with("2025-"))
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect()
}

fn times_of(function: &str) -> Vec<String> {
    let mut times: Vec<String> = original(function).into_iter().map(|row| row[0].clone()).collect();
    times.sort_unstable();
    times.dedup();
    times
}

#[test]
fn every_pivot_answers_and_its_question_finds_its_events_again() {
    use audithound::hunt::pivot_registry::PIVOTS;
    use audithound::query::parse::ParseOptions;
    use audithound::query::parse::parse;
    let Some(case) = reference() else { return };
    let start = |name: &str| -> Vec<&str> {
        match name {
            "ip" => vec!["10.128.1.81"],
            "credential" | "blast" => vec![STOLEN],
            "user" | "peers" => vec!["payments/visa-processor"],
            "login" => vec!["admin"],
            "pod" => vec!["visa-processor"],
            "object" => vec!["pods", "payments-v2/visa-processor"],
            "around" => vec!["a264c42e-f324-4690-adb5-b614d1f2760f"],
            "node" => vec!["master-1"],
            "network" => vec!["payments-v2/visa-processor"],
            _ => Vec::new(),
        }
    };
    for pivot in PIVOTS {
        let answer = run(case, pivot.name(), &start(pivot.name()));
        assert_eq!(answer.name, pivot.name());
        assert!(!answer.summary.is_empty(), "{}", pivot.name());
        parse(&answer.query, &ParseOptions::default())
            .unwrap_or_else(|error| panic!("{}: {} {error}", pivot.name(), answer.query));
        for section in &answer.sections {
            for row in &section.rows {
                assert_eq!(row.cells.len(), section.columns.len(), "{}", section.title);
            }
        }
    }
}

#[test]
fn anonymous_equals_the_original_without_being_told_the_network() {
    let Some(case) = reference() else { return };
    let answer = run(case, "anonymous", &[]);
    let requests = section(&answer, "requests");
    assert_eq!(column(requests, "time"), times_of("audit_detect_anonymous_access"));
    assert!(column(requests, "peer").iter().all(|peer| peer == "10.128.1.81"));
}

/// formats.md 1.2, 1 and 2: the address finds one of the token's events, the credential all 17.
#[test]
fn credential_finds_seventeen_events_where_the_address_finds_one() {
    let Some(case) = reference() else { return };
    let by_address = run(case, "ip", &["10.128.1.81"]);
    let requests = section(&by_address, "requests");
    assert_eq!(column(requests, "time"), times_of("audit_track_ip_activity"));
    let with_token =
        column(requests, "credential").iter().filter(|id| id.as_str() == STOLEN).count();
    assert_eq!(with_token, 1);
    let owners = section(&by_address, "owners over time");
    assert_eq!(column(owners, "owner"), ["pod frontend/asset-cache-7d548fc66f-vrlbp"]);
    let switch = section(&by_address, "identity switch");
    assert_eq!(column(switch, "denied_as"), ["system:anonymous"]);
    assert_eq!(column(switch, "allowed_as"), ["system:serviceaccount:payments:visa-processor"]);

    let by_credential = run(case, "credential", &["a2b87c24-8ad3-4cac-b77f-0a896de31caa"]);
    let uses = section(&by_credential, "uses");
    let events: usize = uses.rows.iter().map(|row| row.events.len()).sum();
    assert_eq!((uses.rows.len(), events), (14, 17));
    let minted = section(&by_credential, "minted");
    assert_eq!(column(minted, "time"), ["2025-12-09T12:56:14.495618Z"]);
    assert_eq!(column(minted, "by"), ["system:node:master-1"]);
    let from = section(&by_credential, "used from");
    assert_eq!(column(from, "peer"), ["10.128.1.81", "192.168.50.11", "192.168.50.1"]);
    assert_eq!(column(from, "events"), ["1", "4", "12"]);
    assert!(cell(from, 0, "judgement").starts_with("AWAY"));
    assert!(cell(from, 1, "judgement").starts_with("its own"));
    // formats.md 1.2, 3: the address of all kubelets identifies nobody.
    assert!(cell(from, 2, "judgement").starts_with("shared"));
}

/// formats.md 1.2, 6: two requests and one session of 2.8 s where the original prints four lines.
#[test]
fn exec_is_one_session_in_two_requests() {
    let Some(case) = reference() else { return };
    let answer = run(case, "exec", &[]);
    let sessions = section(&answer, "sessions");
    let row =
        (0..sessions.rows.len()).find(|row| cell(sessions, *row, "kind") == "pods/exec").unwrap();
    assert_eq!(original("audit_detect_exec_sessions").len(), 4);
    assert_eq!(sessions.rows[row].events.len(), 4);
    assert_eq!(cell(sessions, row, "requests"), "2");
    assert_eq!(cell(sessions, row, "seconds"), "2.800");
    assert_eq!(cell(sessions, row, "name"), "visa-processor");
    assert_eq!(cell(sessions, row, "command"), "/bin/sh -c 'TERM=\"xterm-256color\" /bin/sh'");
    let others = column(sessions, "kind").iter().filter(|kind| *kind == "pods/exec").count();
    assert_eq!(others, 1);
    // attribution.md, rule 17: the collector's own requests are labelled.
    let labels = column(sessions, "label");
    assert_eq!(labels.iter().filter(|label| !label.is_empty()).count(), 4 - 2);
}

/// formats.md 1.2, 9, and attribution.md, rule 13: four requests are two dumps.
#[test]
fn rule_13_a_paged_list_is_one_list() {
    let Some(case) = reference() else { return };
    let answer = run(case, "secrets", &["payments/visa-processor"]);
    let lists = section(&answer, "lists");
    assert_eq!(column(lists, "pages"), ["2", "2"]);
    assert_eq!(column(lists, "scope"), ["whole cluster", "whole cluster"]);
    assert_eq!(column(lists, "resource_version"), ["10644665", "10644679"]);
    // formats.md 1.2, 5: the binding is named.
    assert!(cell(lists, 0, "allowed_by").contains("ClusterRoleBinding visa-processor"));
    let everybody = run(case, "secrets", &[]);
    let lists = section(&everybody, "lists");
    assert_eq!(column(lists, "outcome"), ["denied", "succeeded", "succeeded"]);
}

#[test]
fn user_equals_the_original_in_requests() {
    let Some(case) = reference() else { return };
    let answer = run(case, "user", &["payments/visa-processor"]);
    let requests = section(&answer, "requests");
    assert_eq!(column(requests, "time"), times_of("audit_track_user_activity"));
    assert_eq!(requests.rows.len(), 14);
    assert!(
        column(requests, "bound_pod").iter().all(|pod| pod == "visa-processor-7d57964dc8-bvzff")
    );
}

/// formats.md 1.2, 7: a pod made from a template has no name in its reference.
#[test]
fn pod_is_found_without_a_name_in_the_reference() {
    let Some(case) = reference() else { return };
    let answer = run(case, "pod", &["payments/visa-processor-7d57964dc8-bvzff"]);
    let pod = section(&answer, "pod");
    assert_eq!(column(pod, "created"), ["2025-12-09T12:56:14.291386Z"]);
    assert_eq!(
        column(pod, "created_by"),
        ["system:serviceaccount:kube-system:replicaset-controller"]
    );
    assert!(cell(pod, 0, "made_from").starts_with("ReplicaSet visa-processor-"));
    assert_eq!(column(pod, "addresses"), ["10.130.0.147"]);
    let own = section(&answer, "its credentials");
    assert_eq!(column(own, "credential"), [STOLEN]);

    let answer = run(case, "pod", &["visa-processor"]);
    let pod = section(&answer, "pod");
    for (name, value) in [
        ("namespace", "payments-v2"),
        ("service_account", "default"),
        ("node", "master-2"),
        ("addresses", "10.128.1.84"),
        ("scc", "insights-runtime-extractor-scc"),
        ("created", "2025-12-09T12:57:37.324537Z"),
        ("reaches_out", "hostPID privileged (1)"),
    ] {
        assert_eq!(cell(pod, 0, name), value, "{name}");
    }
    let containers = section(&answer, "containers");
    assert_eq!(column(containers, "image"), ["alpine"]);
    assert_eq!(column(containers, "command"), ["nsenter --mount=/proc/1/ns/mnt -- /bin/bash"]);
}

/// formats.md 1.3: the original hides everything of kube-system, and with it a privileged pod
/// that the replicaset-controller made.
#[test]
fn privileged_finds_the_original_and_the_pod_of_a_template() {
    let Some(case) = reference() else { return };
    let answer = run(case, "privileged", &[]);
    let requests = section(&answer, "requests");
    assert_eq!(times_of("audit_detect_privileged_pods"), [cell(requests, 1, "time")]);
    assert_eq!(column(requests, "name"), ["visa-processor-7d57964dc8-bvzff", "visa-processor"]);
    assert_eq!(cell(requests, 1, "reaches_out"), "hostPID privileged");
    let payload = run(case, "payload", &["visa-processor"]);
    let payloads = section(&payload, "payloads");
    assert_eq!(column(payloads, "namespace"), ["payments-v2"]);
    assert_eq!(cell(payloads, 0, "image"), "alpine");
}

/// formats.md 1.1: the original counts the two stages of an exec as pods made.
#[test]
fn persistence_lists_what_was_made_and_no_sessions() {
    let Some(case) = reference() else { return };
    let answer = run(case, "persistence", &[]);
    let workloads = section(&answer, "workloads");
    let mut expected = times_of("audit_detect_persistence");
    expected.retain(|time| time != "2025-12-09T12:57:46.770676Z");
    let mut found = column(workloads, "time");
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn rbac_names_the_grant_and_who_allowed_it() {
    let Some(case) = reference() else { return };
    let answer = run(case, "rbac", &["visa-processor"]);
    let grants = section(&answer, "powerful grants");
    assert_eq!(column(grants, "time"), times_of("audit_detect_admin_grants"));
    assert_eq!(cell(grants, 0, "user"), "admin");
    assert_eq!(cell(grants, 0, "subjects"), "ServiceAccount visa-processor");
    assert!(cell(grants, 0, "allowed_by").contains("admin-cluster-admin"));
}

#[test]
fn bruteforce_counts_requests_by_the_vouched_address() {
    let Some(case) = reference() else { return };
    let answer = run(case, "bruteforce", &[]);
    let denied = section(&answer, "denied requests (403) by address");
    assert_eq!(column(denied, "address"), ["10.128.1.81"]);
    assert_eq!(column(denied, "requests"), ["3"]);
    assert!(cell(denied, 0, "then_let_in").contains("visa-processor"));
}

#[test]
fn what_the_original_did_not_find_is_not_there() {
    let Some(case) = reference() else { return };
    for (name, function) in [
        ("impersonation", "audit_detect_impersonation"),
        ("kubevirt", "audit_detect_kubevirt_console"),
        ("kubevirt", "audit_detect_kubevirt_vm_creation"),
        ("node-debug", "audit_detect_node_debug"),
        ("port-forward", "audit_detect_port_forward"),
        ("mounts", "audit_detect_sensitive_mounts"),
    ] {
        assert!(original(function).is_empty());
        let rows: usize = run(case, name, &[]).sections.iter().map(|s| s.rows.len()).sum();
        assert_eq!(rows, 0, "{name}");
    }
    assert!(original("audit_detect_tampering").is_empty());
    let tampering = run(case, "tampering", &[]);
    assert!(section(&tampering, "configuration and secrets").rows.is_empty());
    assert!(section(&tampering, "audit, logging and defence").rows.is_empty());
}

/// attribution.md, rule 9: a person is never named; both readings stand side by side.
#[test]
fn rule_9_around_shows_the_reads_before_each_step_and_names_nobody() {
    let Some(case) = reference() else { return };
    let answer = run(case, "around", &["7d731abd-5322-4cd3-904b-2fae5a5d0c6a"]);
    let near = section(&answer, "near it with its credential, or from where that was used");
    let rows: Vec<usize> = (0..near.rows.len())
        .filter(|row| {
            cell(near, *row, "user") == "admin" && cell(near, *row, "resource") == "routes"
        })
        .collect();
    assert!(!rows.is_empty());
    assert!(answer.notes.iter().any(|note| note.contains("several behind one address")));
}

/// attribution.md, rule 12: 829 requests began and have no end in the evidence.
#[test]
fn rule_12_unfinished_requests_of_the_reference_are_no_failures() {
    use audithound::ledger::request::Outcome;
    use audithound::ledger::request::ask;
    use audithound::query::ast::QueryAst;
    use audithound::search::evidence::SearchOptions;
    let Some(case) = reference() else { return };
    let started = QueryAst::path_equals("stage", "ResponseStarted");
    let both = ask(&case.evidence, &QueryAst::All, &SearchOptions::default(), &[]).unwrap().list;
    let unfinished = both.iter().filter(|r| r.outcome == Outcome::Unfinished).count();
    assert_eq!(unfinished, 829);
    let alone = ask(&case.evidence, &started, &SearchOptions::default(), &[]).unwrap().list;
    assert_eq!(alone.len(), 855);
}

/// attribution.md, rule 16.
#[test]
fn rule_16_without_the_platform_161_events_remain() {
    use audithound::query::platform::platform_identities;
    use audithound::search::evidence::Evidence;
    use audithound::search::evidence::SearchOptions;
    let Some(case) = reference() else { return };
    let kept = platform_identities().negated();
    let hits = case.evidence.search(&kept, &SearchOptions::default()).unwrap();
    assert_eq!(hits.total, 161);
    // A stolen token of the platform would not be hidden; the filter of pivots says how many are.
    let context = PivotContext {
        evidence: &case.evidence,
        ledgers: &case.ledgers,
        range: TimeRange::ALL,
        filter: None,
        options: PivotOptions { no_platform: true, ..PivotOptions::default() },
    };
    let answer = find("rare").unwrap().run(&context, &[]).unwrap();
    assert!(
        answer.notes.contains(&"--no-platform hides 11097 events of platform identities".into())
    );
}

/// attribution.md, rule 19: with all bodies stripped nobody is accused, the stolen credential is
/// still worth a look, and the address's pod is not known.
#[test]
fn rule_19_without_bodies_the_address_is_undecidable_and_nobody_innocent_is_suspected() {
    let Some(case) = reference() else { return };
    let mut text = String::new();
    for at in 0..case.evidence.len() {
        use audithound::search::evidence::EventId;
        use audithound::search::evidence::Evidence;
        let stored = case.evidence.fetch(EventId(at as u64)).unwrap();
        let mut event: serde_json::Value = serde_json::from_slice(&stored.event).unwrap();
        event["level"] = "Metadata".into();
        event.as_object_mut().unwrap().retain(|k, _| k != "requestObject" && k != "responseObject");
        text.push_str(&event.to_string());
        text.push('\n');
    }
    let evidence = MemoryEvidence::from_lines("audit.log", &text);
    let ledgers = Ledgers::build(&evidence).unwrap();
    assert_eq!(ledgers.credentials.accused().count(), 0);
    let suspected: Vec<String> = ledgers
        .credentials
        .used
        .values()
        .filter(|credential| credential.suspected().next().is_some())
        .map(|credential| credential.key.to_string())
        .collect();
    assert_eq!(suspected, [STOLEN]);
    let case = Case { evidence, ledgers };
    let answer = run(&case, "ip", &["10.128.1.81"]);
    assert!(section(&answer, "owners over time").rows.is_empty());
    // The privileged pod is still seen, by what PodSecurity and the SCC admission noted.
    let privileged = run(&case, "privileged", &[]);
    assert!(column(section(&privileged, "requests"), "name").contains(&"visa-processor".into()));
}

/// Events written for one test, one JSON object each.
fn written(events: &[serde_json::Value]) -> Case {
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    let evidence = MemoryEvidence::from_lines("test.log", &text);
    assert_eq!(evidence.len(), events.len());
    let ledgers = Ledgers::build(&evidence).unwrap();
    Case { evidence, ledgers }
}

/// A request; `more` is laid over it.
fn event(id: &str, second: u32, user: &str, more: serde_json::Value) -> serde_json::Value {
    let time = format!("2025-07-02T10:00:{second:02}.000000Z");
    let mut event = serde_json::json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse",
        "auditID": id, "stage": "ResponseComplete", "requestURI": "/x", "verb": "get",
        "user": {"username": user, "groups": []}, "sourceIPs": ["192.0.2.1"],
        "userAgent": "oc/4.20", "responseStatus": {"code": 200},
        "requestReceivedTimestamp": time, "stageTimestamp": time,
        "annotations": {"authorization.k8s.io/decision": "allow"},
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

#[test]
fn rule_4_an_address_that_is_only_claimed_stands_apart() {
    let case = written(&[
        event("a", 1, "alice", serde_json::json!({"sourceIPs": ["10.0.0.9", "192.0.2.1"]})),
        event("b", 2, "bob", serde_json::json!({"sourceIPs": ["10.0.0.9"]})),
    ]);
    let answer = run(&case, "ip", &["10.0.0.9"]);
    assert_eq!(column(section(&answer, "requests"), "user"), ["bob"]);
    assert_eq!(column(section(&answer, "requests that only claim it"), "user"), ["alice"]);
    assert_eq!(column(section(&answer, "identities"), "user"), ["bob"]);
}

#[test]
fn rule_8_a_login_is_one_session() {
    let decision = |id, second, decision: &str, code: i64| {
        event(
            id,
            second,
            "system:anonymous",
            serde_json::json!({
            "requestURI": "/oauth/authorize?client_id=x",
            "responseStatus": {"code": code},
            "annotations": {"authentication.openshift.io/decision": decision,
                "authentication.openshift.io/username": "alice"}}),
        )
    };
    let case = written(&[
        decision("a", 1, "deny", 401),
        decision("b", 3, "allow", 302),
        event(
            "c",
            4,
            "system:serviceaccount:openshift-authentication:oauth-openshift",
            serde_json::json!({"verb": "create",
                "objectRef": {"resource": "oauthaccesstokens", "name": "sha256~x"},
                "requestObject": {"userName": "alice", "clientName": "cli", "expiresIn": 86400}}),
        ),
        event("d", 5, "alice", serde_json::json!({"objectRef": {"resource": "pods"}})),
        event("e", 6, "alice", serde_json::json!({"objectRef": {"resource": "secrets"}})),
        event("f", 7, "bob", serde_json::json!({})),
    ]);
    let answer = run(&case, "login", &["alice"]);
    assert_eq!(column(section(&answer, "decisions"), "decision"), ["deny", "allow"]);
    let sessions = section(&answer, "sessions");
    assert_eq!(column(sessions, "token"), ["sha256~x"]);
    assert_eq!(column(sessions, "client"), ["cli"]);
    assert_eq!(column(sessions, "requests"), ["2"]);
    let bruteforce = run(&case, "bruteforce", &[]);
    let failed = section(&bruteforce, "failed logins by address and name");
    assert_eq!(column(failed, "name"), ["alice"]);
}

#[test]
fn rule_10_both_identities_are_shown_and_refusals_too() {
    let case = written(&[
        event(
            "a",
            1,
            "mallory",
            serde_json::json!({
            "impersonatedUser": {"username": "system:admin", "groups": ["system:masters"]}}),
        ),
        event(
            "b",
            2,
            "mallory",
            serde_json::json!({
            "responseStatus": {"code": 403,
                "message": "users \"root\" is forbidden: User \"mallory\" cannot impersonate"}}),
        ),
        event("c", 3, "mallory", serde_json::json!({})),
    ]);
    let answer = run(&case, "impersonation", &[]);
    let requests = section(&answer, "requests");
    assert_eq!(column(requests, "as"), ["system:admin", ""]);
    assert_eq!(column(requests, "outcome"), ["succeeded", "denied"]);
    // Asked for either of the two, the request is there.
    for user in ["mallory", "system:admin"] {
        let answer = run(&case, "user", &[user]);
        let requests = section(&answer, "requests");
        assert!(column(requests, "as").contains(&"system:admin".to_owned()), "{user}");
    }
}

#[test]
fn exec_shows_failed_attempts_and_attach_and_keeps_two_sessions_apart() {
    let exec = |id, second, verb: &str, code: i64, command: &str| {
        event(
            id,
            second,
            "mallory",
            serde_json::json!({
            "verb": verb, "responseStatus": {"code": code},
            "requestURI": format!("/api/v1/namespaces/n/pods/p/exec?command={command}&tty=true"),
            "objectRef": {"resource": "pods", "namespace": "n", "name": "p",
                "subresource": "exec"}}),
        )
    };
    let case = written(&[
        exec("a", 1, "create", 403, "id"),
        exec("b", 2, "get", 101, "sh"),
        exec("c", 3, "create", 101, "sh"),
        // The same again is a second session, not a third attempt.
        exec("d", 4, "create", 101, "sh"),
        event(
            "e",
            5,
            "mallory",
            serde_json::json!({"verb": "create",
            "requestURI": "/api/v1/namespaces/n/pods/p/attach?tty=true",
            "responseStatus": {"code": 101},
            "objectRef": {"resource": "pods", "namespace": "n", "name": "p",
                "subresource": "attach"}}),
        ),
    ]);
    let answer = run(&case, "exec", &["n/p"]);
    let sessions = section(&answer, "sessions");
    assert_eq!(column(sessions, "outcome"), ["denied", "succeeded", "succeeded", "succeeded"]);
    assert_eq!(column(sessions, "requests"), ["1", "2", "1", "1"]);
    assert_eq!(column(sessions, "command"), ["id", "sh", "sh", ""]);
}

/// formats.md 1.3: `oc` since 4.14 names the pod N-debug-<5> in a namespace of its own and attaches.
#[test]
fn node_debug_finds_the_new_names_and_attach() {
    let pod = serde_json::json!({"spec": {"nodeName": "n1", "hostPID": true,
        "containers": [{"name": "c", "image": "tools",
            "securityContext": {"privileged": true}}],
        "volumes": [{"hostPath": {"path": "/"}}]}});
    let reference = |sub: Option<&str>| {
        let mut reference = serde_json::json!({"resource": "pods",
            "namespace": "openshift-debug-xyz", "name": "n1-debug-abcde"});
        if let Some(sub) = sub {
            reference["subresource"] = sub.into();
        }
        reference
    };
    let case = written(&[
        event(
            "a",
            1,
            "mallory",
            serde_json::json!({"verb": "create", "objectRef": reference(None),
            "requestObject": pod, "responseStatus": {"code": 201}}),
        ),
        event(
            "b",
            2,
            "mallory",
            serde_json::json!({"verb": "create",
            "objectRef": reference(Some("attach")), "responseStatus": {"code": 101}}),
        ),
        event(
            "c",
            3,
            "bob",
            serde_json::json!({"verb": "create",
            "objectRef": {"resource": "pods", "namespace": "n", "name": "web"},
            "requestObject": {"spec": {"containers": []}}}),
        ),
    ]);
    let answer = run(&case, "node-debug", &["n1"]);
    let made = section(&answer, "made");
    assert_eq!(column(made, "name"), ["n1-debug-abcde"]);
    assert_eq!(cell(made, 0, "reaches_out"), "hostPID privileged hostPath /");
    assert_eq!(column(section(&answer, "sessions"), "kind"), ["pods/attach"]);
    let mounts = run(&case, "mounts", &[]);
    assert_eq!(column(section(&mounts, "requests"), "sensitive"), ["/"]);
}

#[test]
fn blast_follows_templates_and_namespaces_and_the_extra_query_narrows() {
    let made = |id, second, user: &str, resource: &str, name: &str, uid: &str, owner: &str| {
        let mut meta = serde_json::json!({"name": name, "uid": uid});
        if !owner.is_empty() {
            meta["ownerReferences"] = serde_json::json!([{"uid": owner}]);
        }
        event(
            id,
            second,
            user,
            serde_json::json!({"verb": "create",
            "objectRef": {"resource": resource, "namespace": "ns", "name": name},
            "responseObject": {"metadata": meta}, "responseStatus": {"code": 201}}),
        )
    };
    let case = written(&[
        made("a", 1, "mallory", "deployments", "d", "u1", ""),
        made("b", 2, "controller", "replicasets", "r", "u2", "u1"),
        made("c", 3, "controller", "pods", "p", "u3", "u2"),
        made("d", 4, "controller", "pods", "other", "u4", "u9"),
    ]);
    let answer = run(&case, "blast", &["a"]);
    assert_eq!(column(section(&answer, "made from its templates"), "name"), ["r", "p"]);
    let filter = audithound::query::ast::QueryAst::path_equals("objectRef.resource", "pods");
    let context = PivotContext {
        evidence: &case.evidence,
        ledgers: &case.ledgers,
        range: TimeRange::ALL,
        filter: Some(&filter),
        options: PivotOptions::default(),
    };
    let answer = find("user").unwrap().run(&context, &["controller".to_owned()]).unwrap();
    assert!(answer.query.contains("pods"), "{}", answer.query);
    assert_eq!(column(section(&answer, "requests"), "name"), ["p", "other"]);
}

#[test]
fn network_evaluates_the_policies_of_that_moment() {
    let policy = |id, second, name: &str, selector: serde_json::Value| {
        event(
            id,
            second,
            "bob",
            serde_json::json!({"verb": "create",
            "objectRef": {"resource": "networkpolicies", "apiGroup": "networking.k8s.io",
                "namespace": "ns", "name": name},
            "responseStatus": {"code": 201},
            "responseObject": {"kind": "NetworkPolicy",
                "metadata": {"name": name, "namespace": "ns"},
                "spec": {"podSelector": selector, "policyTypes": ["Ingress"]}}}),
        )
    };
    let pod = event(
        "p",
        1,
        "bob",
        serde_json::json!({"verb": "create",
        "objectRef": {"resource": "pods", "namespace": "ns", "name": "web"},
        "responseStatus": {"code": 201},
        "responseObject": {"kind": "Pod", "metadata": {"name": "web", "namespace": "ns",
            "labels": {"app": "web"}}, "spec": {}}}),
    );
    let case = written(&[
        pod,
        policy("a", 2, "all", serde_json::json!({})),
        policy("b", 3, "db", serde_json::json!({"matchLabels": {"app": "db"}})),
        policy("c", 30, "late", serde_json::json!({"matchLabels": {"app": "web"}})),
    ]);
    let at = audithound::event::time::Timestamp::parse("2025-07-02T10:00:10Z");
    let context = PivotContext {
        evidence: &case.evidence,
        ledgers: &case.ledgers,
        range: TimeRange::ALL,
        filter: None,
        options: PivotOptions { at, ..PivotOptions::default() },
    };
    let answer = find("network").unwrap().run(&context, &["ns/web".to_owned()]).unwrap();
    let policies = section(&answer, "policies");
    let rows: Vec<(String, String)> = (0..policies.rows.len())
        .map(|row| (cell(policies, row, "policy"), cell(policies, row, "selects_it")))
        .collect();
    assert!(rows.contains(&("all".into(), "true".into())), "{rows:?}");
    assert!(rows.contains(&("db".into(), "false".into())), "{rows:?}");
    assert!(!rows.iter().any(|(name, yes)| name == "late" && yes == "true"), "{rows:?}");
}

#[test]
fn wrong_arguments_are_told_and_hostile_ones_are_literal() {
    let case = written(&[event("a", 1, "alice", serde_json::json!({}))]);
    let context = PivotContext {
        evidence: &case.evidence,
        ledgers: &case.ledgers,
        range: TimeRange::ALL,
        filter: None,
        options: PivotOptions::default(),
    };
    for (name, arguments) in [
        ("ip", vec!["10.0.0.300"]),
        ("ip", vec![]),
        ("kubevirt", vec!["x"]),
        ("object", vec!["pods"]),
    ] {
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let error = find(name).unwrap().run(&context, &arguments).unwrap_err().to_string();
        assert!(!error.is_empty());
    }
    let answer = run(&case, "user", &["*) OR user:alice"]);
    assert!(section(&answer, "requests").rows.is_empty());
}

/// attribution.md, rule 2: a forged status is itself a finding.
#[test]
fn rule_2_tampering_lists_forged_statuses() {
    let case = written(&[event(
        "a",
        1,
        "mallory",
        serde_json::json!({"verb": "patch",
        "objectRef": {"resource": "pods", "namespace": "ns", "name": "web",
            "subresource": "status"},
        "requestObject": {"status": {"podIP": "10.128.0.66"}}}),
    )]);
    let answer = run(&case, "tampering", &[]);
    let forged = section(&answer, "pods/status written by somebody who may not be believed");
    assert_eq!(column(forged, "user"), ["mallory"]);
    assert_eq!(column(forged, "claimed_addresses"), ["10.128.0.66"]);
    let answer = run(&case, "ip", &["10.128.0.66"]);
    assert!(section(&answer, "owners over time").rows.is_empty());
}

/// What is summed up does not end where the list does.
#[test]
fn a_short_list_does_not_shorten_the_sums() {
    let Some(case) = reference() else { return };
    let whole = run(case, "user", &["admin"]);
    let context = PivotContext {
        evidence: &case.evidence,
        ledgers: &case.ledgers,
        range: TimeRange::ALL,
        filter: None,
        options: PivotOptions { limit: 5, ..PivotOptions::default() },
    };
    let short = find("user").unwrap().run(&context, &["admin".to_owned()]).unwrap();
    assert_eq!(short.summary, whole.summary);
    for title in ["addresses", "agents", "namespaces"] {
        assert_eq!(section(&short, title), section(&whole, title), "{title}");
    }
    assert_eq!(section(&short, "requests").rows.len(), 5);
    assert!(short.notes.iter().any(|note| note.contains("first 5 of 137")), "{:?}", short.notes);
}
