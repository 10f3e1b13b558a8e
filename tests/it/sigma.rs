//! Rules against two oracles: an engine that evaluates event by event, and events labelled by the
//! authors of another rule set.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use rsigma_eval::Engine;
use rsigma_eval::JsonEvent;
use serde_json::Value;
use serde_json::json;

use audithound::event::field::Field;
use audithound::hunt::pack;
use audithound::query::ast::QueryAst;
use audithound::search::evidence::Evidence;
use audithound::search::evidence::SearchOptions;
use audithound::search::scan::MemoryEvidence;
use audithound::search::scan_paths::read_records;
use audithound::sigma::Vars;

/// Every event that stands in the pack's tests.
fn pool() -> Vec<Value> {
    let set = pack::load_with_tests(&Vars::new());
    let metas = set.rules.iter().map(|r| &r.meta).chain(set.correlations.iter().map(|c| &c.meta));
    let mut open: Vec<Value> = metas
        .filter_map(|meta| meta.own("test"))
        .flat_map(|test| [test.get("hit"), test.get("miss")])
        .flatten()
        .cloned()
        .collect();
    let mut events = Vec::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::String(text) => events.push(serde_json::from_str(&text).unwrap()),
            Value::Object(_) => events.push(value),
            other => panic!("{other} is no event"),
        }
    }
    events
}

/// xorshift64*, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }
}

/// Events made of the parts of others, so that rules nearly match.
fn crossed(pool: &[Value], n: usize) -> Vec<Value> {
    const PARTS: [&str; 10] = [
        "verb",
        "user",
        "objectRef",
        "requestObject",
        "responseObject",
        "annotations",
        "responseStatus",
        "requestURI",
        "sourceIPs",
        "userAgent",
    ];
    let mut random = Random(0x5eed);
    (0..n)
        .map(|_| {
            let mut event = pool[random.below(pool.len())].clone();
            for _ in 0..=random.below(3) {
                let part = PARTS[random.below(PARTS.len())];
                let other = pool[random.below(pool.len())].get(part).cloned();
                let object = event.as_object_mut().unwrap();
                match other {
                    Some(value) => object.insert(part.to_owned(), value),
                    None => object.remove(part),
                };
            }
            event
        })
        .collect()
}

/// Adds what the other engine cannot find by itself: values below keys with dots in them, and our
/// pseudo fields, as keys of the root.
fn help(event: &Value, pseudo: &[(&str, Vec<String>)]) -> Value {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut open: Vec<(String, bool, &Value)> = vec![(String::new(), false, event)];
    while let Some((path, dotted, value)) = open.pop() {
        if dotted && !value.is_array() {
            found.entry(path.clone()).or_default().push(value.clone());
        }
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let joined =
                        if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    open.push((joined, dotted || key.contains('.'), value));
                }
            }
            Value::Array(items) => {
                open.extend(items.iter().map(|item| (path.clone(), dotted, item)));
            }
            _ => {}
        }
    }
    let mut out = event.clone();
    let root = out.as_object_mut().unwrap();
    // In a list of values `null` is to it a value that is there, to Sigma one that is not.
    if event["objectRef"]["subresource"].is_null() {
        root.insert("objectRef.subresource".to_owned(), Value::Null);
    }
    for (path, mut values) in found {
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        root.insert(path, value);
    }
    for (name, values) in pseudo {
        if !values.is_empty() {
            root.insert((*name).to_owned(), json!(values));
        }
    }
    out
}

fn asks_words(question: &QueryAst) -> bool {
    match question {
        QueryAst::And(parts) | QueryAst::Or(parts) => parts.iter().any(asks_words),
        QueryAst::Not(inner) => asks_words(inner),
        QueryAst::Words(_) => true,
        _ => false,
    }
}

/// For every rule of the pack and every event our answer is that of rsigma-eval.
#[test]
fn the_pack_answers_as_an_engine_that_evaluates_event_by_event() {
    let set = pack::load(&Vars::new());
    let mut engine = Engine::new();
    let mut compared = BTreeSet::new();
    for (file, text) in pack::files() {
        let collection = rsigma_parser::parse_sigma_yaml(text).unwrap();
        assert!(collection.errors.is_empty(), "{file}");
        for rule in &collection.rules {
            if engine.add_rule(rule).is_ok() {
                compared.extend(rule.id.clone());
            }
        }
    }
    let pool = pool();
    let mut events = crossed(&pool, 1500);
    events.extend(pool);
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let evidence = MemoryEvidence::from_lines("t", &lines.join("\n"));
    let everything =
        evidence.search(&audithound::query::ast::QueryAst::All, &SearchOptions::default()).unwrap();
    // Equal events are one.
    assert!(everything.hits.len() > 1500, "{}", everything.hits.len());
    let names = ["name", "ns", "peer", "who", "level"];
    let fields: Vec<Field> =
        names.iter().map(|name| audithound::query::resolve::resolve(name).unwrap()).collect();
    let ids: Vec<_> = everything.hits.iter().map(|hit| hit.id).collect();
    let rows = evidence.rows(&ids, &fields).unwrap();
    let mut theirs: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for (hit, row) in everything.hits.iter().zip(rows) {
        let event = &events[hit.place.line as usize - 1];
        let pseudo: Vec<(&str, Vec<String>)> = names.into_iter().zip(row).collect();
        let helped = help(event, &pseudo);
        for result in engine.evaluate(&JsonEvent::borrow(&helped)) {
            if let Some(id) = result.header.rule_id {
                theirs.entry(id).or_default().insert(hit.place.line);
            }
        }
    }
    let mut wrong = Vec::new();
    let mut n_hits = 0;
    for rule in &set.rules {
        let Some(id) = rule.meta.id.as_ref().filter(|id| compared.contains(*id)) else { continue };
        // Words are also looked for behind the percent-encoding of a URI (query.md, Words).
        if !rule.cannot_match().is_empty() || asks_words(&rule.question) {
            continue;
        }
        let hits = evidence.search(&rule.question, &SearchOptions::default()).unwrap().hits;
        let ours: BTreeSet<u64> = hits.iter().map(|hit| hit.place.line).collect();
        let none = BTreeSet::new();
        let other = theirs.get(id).unwrap_or(&none);
        n_hits += ours.len();
        if let Some(line) = ours.symmetric_difference(other).next() {
            wrong.push(format!(
                "{}: ours {} theirs {} ({} apart), e.g. {}",
                rule.meta.short_id(),
                ours.len(),
                other.len(),
                ours.symmetric_difference(other).count(),
                lines[*line as usize - 1]
            ));
        }
    }
    assert!(n_hits > 1000, "the events say too little: {n_hits} hits");
    assert!(wrong.is_empty(), "{} rules differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A condition with every modifier of the specification (2.1, appendix), an event it holds for, and
/// one it does not hold for.
const MODIFIERS: &[(&str, &str, &str)] = &[
    ("userAgent|contains: CURL", r#"{"userAgent":"x curl/8"}"#, r#"{"userAgent":"cur"}"#),
    ("userAgent|startswith: curl", r#"{"userAgent":"Curl/8"}"#, r#"{"userAgent":"x curl"}"#),
    ("userAgent|endswith: curl", r#"{"userAgent":"x curl"}"#, r#"{"userAgent":"curl/8"}"#),
    ("userAgent|contains|all: [a, b]", r#"{"userAgent":"b a"}"#, r#"{"userAgent":"a"}"#),
    ("userAgent|re: '^a.c$'", r#"{"userAgent":"abc"}"#, r#"{"userAgent":"ABC"}"#),
    ("userAgent|re|i: '^a.c$'", r#"{"userAgent":"ABC"}"#, r#"{"userAgent":"xABC"}"#),
    ("userAgent|re|m: '^b$'", r#"{"userAgent":"a\nb"}"#, r#"{"userAgent":"ab"}"#),
    ("userAgent|re|s: 'a.b'", r#"{"userAgent":"a\nb"}"#, r#"{"userAgent":"ab"}"#),
    ("userAgent|cased: Ab", r#"{"userAgent":"Ab"}"#, r#"{"userAgent":"ab"}"#),
    ("userAgent|contains|cased: Ab", r#"{"userAgent":"xAby"}"#, r#"{"userAgent":"xaby"}"#),
    (
        "requestURI|cidr: 10.0.0.0/9",
        r#"{"requestURI":"10.1.2.3"}"#,
        r#"{"requestURI":"10.200.0.1"}"#,
    ),
    (
        "requestURI|cidr: 'fd00::/8'",
        r#"{"requestURI":"FD00:0:0::1"}"#,
        r#"{"requestURI":"fe80::1"}"#,
    ),
    ("userAgent|exists: true", r#"{"userAgent":"x"}"#, r#"{"verb":"x"}"#),
    ("userAgent|exists: false", r#"{"verb":"x"}"#, r#"{"userAgent":"x"}"#),
    (
        "userAgent|fieldref: requestURI",
        r#"{"userAgent":"Abc","requestURI":"abC"}"#,
        r#"{"userAgent":"abcd","requestURI":"abc"}"#,
    ),
    (
        "userAgent|fieldref|startswith: requestURI",
        r#"{"userAgent":"ABcd","requestURI":"ab"}"#,
        r#"{"userAgent":"ab","requestURI":"abcd"}"#,
    ),
    (
        "userAgent|fieldref|contains: requestURI",
        r#"{"userAgent":"ABCD","requestURI":"bc"}"#,
        r#"{"userAgent":"ABCD"}"#,
    ),
    (
        "userAgent|fieldref|endswith: requestURI",
        r#"{"userAgent":"abcd","requestURI":"CD"}"#,
        r#"{"userAgent":"abcd","requestURI":"bc"}"#,
    ),
    (
        "userAgent|fieldref|endswith|cased: requestURI",
        r#"{"userAgent":"abCD","requestURI":"CD"}"#,
        r#"{"userAgent":"abcd","requestURI":"CD"}"#,
    ),
    (
        "responseStatus.code|lt: 300",
        r#"{"responseStatus":{"code":299}}"#,
        r#"{"responseStatus":{"code":300}}"#,
    ),
    (
        "responseStatus.code|lte: 300",
        r#"{"responseStatus":{"code":300}}"#,
        r#"{"responseStatus":{"code":301}}"#,
    ),
    (
        "responseStatus.code|gt: 300",
        r#"{"responseStatus":{"code":301}}"#,
        r#"{"responseStatus":{"code":300}}"#,
    ),
    (
        "responseStatus.code|gte: 300",
        r#"{"responseStatus":{"code":300}}"#,
        r#"{"responseStatus":{"code":299}}"#,
    ),
    (
        "responseStatus.code|neq: 300",
        r#"{"responseStatus":{"code":301}}"#,
        r#"{"responseStatus":{"code":300}}"#,
    ),
    ("userAgent|base64: foo", r#"{"userAgent":"Zm9v"}"#, r#"{"userAgent":"foo"}"#),
    (
        "userAgent|base64offset|contains: nsenter",
        r#"{"userAgent":"eG5zZW50ZXI="}"#,
        r#"{"userAgent":"nsenter"}"#,
    ),
    (
        "userAgent|wide|base64offset|contains: foo",
        r#"{"userAgent":"ZgBvAG8A"}"#,
        r#"{"userAgent":"Zm9v"}"#,
    ),
    (
        "userAgent|utf16le|base64offset|contains: foo",
        r#"{"userAgent":"ZgBvAG8A"}"#,
        r#"{"userAgent":"AGYAbwBv"}"#,
    ),
    (
        "userAgent|utf16be|base64offset|contains: foo",
        r#"{"userAgent":"AGYAbwBv"}"#,
        r#"{"userAgent":"ZgBvAG8A"}"#,
    ),
    (
        "userAgent|utf16|base64offset|contains: foo",
        r#"{"userAgent":"//5mAG8AbwA="}"#,
        r#"{"userAgent":"ZgBvAG8A"}"#,
    ),
    ("userAgent|windash|contains: ' -t '", r#"{"userAgent":"x /t 1"}"#, r#"{"userAgent":"x t 1"}"#),
    (
        "requestReceivedTimestamp|minute: 7",
        r#"{"requestReceivedTimestamp":"2026-03-02T05:07:09.000000Z"}"#,
        r#"{"requestReceivedTimestamp":"2026-03-02T07:08:07.000000Z"}"#,
    ),
    (
        "requestReceivedTimestamp|hour: 5",
        r#"{"requestReceivedTimestamp":"2026-03-02T05:07:09.000000Z"}"#,
        r#"{"requestReceivedTimestamp":"2026-03-05T06:05:05.000000Z"}"#,
    ),
    (
        "requestReceivedTimestamp|day: 2",
        r#"{"requestReceivedTimestamp":"2026-03-02T05:07:09.000000Z"}"#,
        r#"{"requestReceivedTimestamp":"2026-02-12T02:02:02.000000Z"}"#,
    ),
    (
        "requestReceivedTimestamp|week: 1",
        r#"{"requestReceivedTimestamp":"2025-12-29T00:00:00.000000Z"}"#,
        r#"{"requestReceivedTimestamp":"2025-12-28T23:59:59.000000Z"}"#,
    ),
    (
        "requestReceivedTimestamp|week: 53",
        r#"{"requestReceivedTimestamp":"2027-01-03T00:00:00.000000Z"}"#,
        r#"{"requestReceivedTimestamp":"2026-01-03T00:00:00.000000Z"}"#,
    ),
    (
        "requestReceivedTimestamp|month: 3",
        r#"{"requestReceivedTimestamp":"2026-03-02T05:07:09.000000Z"}"#,
        r#"{"requestReceivedTimestamp":"2026-02-03T03:03:03.000000Z"}"#,
    ),
    (
        "requestReceivedTimestamp|year: 2026",
        r#"{"requestReceivedTimestamp":"2026-03-02T05:07:09.000000Z"}"#,
        r#"{"requestReceivedTimestamp":"2025-03-02T05:07:09.000000Z"}"#,
    ),
];

fn of_one_condition(item: &str) -> String {
    format!(
        "title: T\nid: 5b0f4f3c-0000-4000-8000-000000000001\nlogsource: {{product: kubernetes, \
         service: audit}}\ndetection:\n  s:\n    {item}\n  condition: s\n"
    )
}

fn holds(question: &QueryAst, event: &str) -> bool {
    let evidence = MemoryEvidence::from_lines("t", event);
    evidence.search(question, &SearchOptions::default()).unwrap().total == 1
}

#[test]
fn every_modifier_of_the_specification_means_what_it_means_elsewhere() {
    for (item, yes, no) in MODIFIERS {
        let text = of_one_condition(item);
        let set = audithound::sigma::parse([("t.yml", text.as_str())], &Vars::new());
        assert_eq!(set.unusable, [], "{item}");
        let [rule] = set.rules.as_slice() else { panic!("{item}") };
        assert_eq!(rule.flaws, [], "{item}");
        assert_eq!(
            (holds(&rule.question, yes), holds(&rule.question, no)),
            (true, false),
            "{item}"
        );
        let mut engine = Engine::new();
        engine.add_rule(&rsigma_parser::parse_sigma_yaml(&text).unwrap().rules[0]).unwrap();
        for (event, expected) in [(yes, true), (no, false)] {
            let event: Value = serde_json::from_str(event).unwrap();
            let theirs = !engine.evaluate(&JsonEvent::borrow(&event)).is_empty();
            assert_eq!(theirs, expected, "the other engine on {item}: {event}");
        }
    }
}

/// The other engine takes a placeholder for the whole value; the specification has it with every
/// modifier.
#[test]
fn placeholders_go_with_every_modifier() {
    let mut vars = Vars::new();
    vars.insert("names".into(), vec!["ann".into(), "bob*".into()]);
    vars.insert("nets".into(), vec!["10.0.0.0/8".into()]);
    for (item, yes, no) in [
        ("userAgent|expand: '%names%'", r#"{"userAgent":"Bobby"}"#, r#"{"userAgent":"anna"}"#),
        (
            "userAgent|contains|expand: '-%names%'",
            r#"{"userAgent":"x-anna"}"#,
            r#"{"userAgent":"ann"}"#,
        ),
        (
            "sourceIPs|cidr|expand: '%nets%'",
            r#"{"sourceIPs":["10.1.1.1"]}"#,
            r#"{"sourceIPs":["11.1.1.1"]}"#,
        ),
        (
            "userAgent|re|expand: '^%nets%$'",
            r#"{"userAgent":"10x0y0z0/8"}"#,
            r#"{"userAgent":"10.0"}"#,
        ),
    ] {
        let text = of_one_condition(item);
        let set = audithound::sigma::parse([("t.yml", text.as_str())], &vars);
        assert_eq!(set.unusable, [], "{item}");
        assert_eq!(set.rules[0].flaws, [], "{item}");
        let question = &set.rules[0].question;
        assert_eq!((holds(question, yes), holds(question, no)), (true, false), "{item}");
    }
}

/// What is no modifier makes the document unusable, and says which word it is.
#[test]
fn an_unknown_modifier_is_named() {
    let text = of_one_condition("userAgent|sounds_like: curl");
    let set = audithound::sigma::parse([("t.yml", text.as_str())], &Vars::new());
    assert!(set.rules.is_empty());
    assert!(set.unusable[0].why.contains("sounds_like"), "{:?}", set.unusable);
}

/// Panther's detections and their twins here.
const TWINS: &[(&str, &[&str])] = &[
    ("Kubernetes.API.AnonymousAccess", &["anon-request-allowed"]),
    ("Kubernetes.API.Multiple403.PublicIP", &["403-public-ip-burst-event"]),
    ("Kubernetes.AdmissionController.Created", &["admission-webhook"]),
    ("Kubernetes.ClientCertificate.Created", &["csr-create-or-approve"]),
    ("Kubernetes.ClusterRoleBinding.Privileged", &["cluster-admin-binding"]),
    ("Kubernetes.CronJob.CreatedOrModified", &["cronjob-or-job-change"]),
    ("Kubernetes.DaemonSet.Created", &["daemonset-created"]),
    ("Kubernetes.Ingress.NoTLS", &["ingress-without-tls"]),
    ("Kubernetes.Kubectl.CP.Operation", &["kubectl-cp"]),
    ("Kubernetes.Pod.Dangerous.Capabilities", &["dangerous-capabilities"]),
    ("Kubernetes.Pod.Exec", &["pod-exec"]),
    ("Kubernetes.Pod.Host.IPC", &["host-ipc"]),
    ("Kubernetes.Pod.Host.Network", &["host-network"]),
    ("Kubernetes.Pod.Host.PID", &["host-pid"]),
    ("Kubernetes.Pod.HostPath.Volume", &["hostpath-any", "hostpath-sensitive"]),
    ("Kubernetes.Pod.Privileged.Created", &["privileged-pod", "run-as-root"]),
    ("Kubernetes.Pod.StealServiceAccountToken", &["steal-sa-token-via-exec"]),
    ("Kubernetes.Pod.SystemNamespace", &["pod-in-system-ns"]),
    ("Kubernetes.Role.NodeProxyPermissions", &["role-sensitive"]),
    ("Kubernetes.Role.PodExec", &["role-sensitive"]),
    ("Kubernetes.Role.Wildcard", &["role-wildcard"]),
    ("Kubernetes.Role.WritePermissions", &["role-write-permissions"]),
    ("Kubernetes.Secret.AccessDenied", &["secret-get-denied"]),
    ("Kubernetes.Secrets.DumpAllNamespaces", &["secrets-list-clusterwide-or-sensitive-ns"]),
    ("Kubernetes.Service.NodePort.Deployed", &["nodeport-service"]),
    ("Kubernetes.ServiceAccount.TokenCreated", &["token-request-by-non-system"]),
    ("Kubernetes.System.Principal.PublicIP", &["system-principal-public-ip"]),
    ("Kubernetes.SystemRole.Modified", &["system-role-changed"]),
];

/// Where we differ from Panther's label on purpose: (detection, test, why).
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "AnonymousAccess",
        "GCP GKE Anonymous API Access",
        "GKE names the principal in authoritySelector, which is no user name",
    ),
    (
        "ClusterRoleBinding.Privileged",
        "RoleBinding (not ClusterRoleBinding)",
        "cluster-admin in one namespace gives that namespace away",
    ),
    (
        "Kubectl.CP.Operation",
        "EKS kubectl cp TO pod (not exfiltration)",
        "copying into a pod brings tools (T1105)",
    ),
    (
        "Kubectl.CP.Operation",
        "EKS system namespace (excluded)",
        "who acts is excluded, never where",
    ),
    (
        "Pod.StealServiceAccountToken",
        "System principal in system namespace (excluded)",
        "a system identity that reads tokens is no less odd",
    ),
    (
        "Role.NodeProxyPermissions",
        "Updating existing role (not creating)",
        "an update grants the same",
    ),
    ("Role.PodExec", "Updating existing role (not creating)", "an update grants the same"),
    ("Role.Wildcard", "Updating existing role (not creating)", "an update grants the same"),
    ("Role.WritePermissions", "Updating existing role (not creating)", "an update grants the same"),
    (
        "Role.Wildcard",
        "AKS Role with wildcard verbs only",
        "verbs and resources must be wildcards in one rule (Falco)",
    ),
    (
        "Role.Wildcard",
        "GKE ClusterRole with wildcard resources only",
        "verbs and resources must be wildcards in one rule (Falco)",
    ),
    (
        "Role.Wildcard",
        "EKS ClusterRole with multiple rules, one with wildcard",
        "verbs and resources must be wildcards in one rule (Falco); role-sensitive finds its secrets",
    ),
    (
        "Secret.AccessDenied",
        "EKS failed secret get (404 Not Found)",
        "what does not exist was not refused",
    ),
    (
        "Secret.AccessDenied",
        "List secrets operation (not get)",
        "a refused list shows the same intent",
    ),
    (
        "ServiceAccount.TokenCreated",
        "System principal in user namespace (alert)",
        "the controller manager mints tokens for a living",
    ),
    (
        "System.Principal.PublicIP",
        "EKS Legitimate Node from AWS IP",
        "which networks are the provider's is for the allow list",
    ),
    (
        "System.Principal.PublicIP",
        "AKS CSI Disk Driver from Azure Node",
        "which networks are the provider's is for the allow list",
    ),
    (
        "System.Principal.PublicIP",
        "AKS CSI File Driver from Azure Node",
        "which networks are the provider's is for the allow list",
    ),
    (
        "System.Principal.PublicIP",
        "AKS System Node from Azure IP",
        "which networks are the provider's is for the allow list",
    ),
    (
        "System.Principal.PublicIP",
        "403 Response (Excluded)",
        "a refused token outside the cluster is a token outside the cluster",
    ),
    (
        "System.Principal.PublicIP",
        "Pod with Mixed Public and Private IPs",
        "only the last address is vouched for, and it is public",
    ),
];

#[derive(Default)]
struct Score {
    right: u32,
    missed: Vec<String>,
    wrong: Vec<String>,
    quiet: u32,
}

/// Agreement with 237 events that Panther's authors labelled; every difference is explained in
/// [`DIFFERENCES`].
#[test]
fn agreement_with_labelled_events() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/realdata/panther-analysis-tests/rule_tests.jsonl");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let set = pack::load(&Vars::new());
    for (_, twins) in TWINS {
        for twin in *twins {
            assert!(set.rules.iter().any(|r| r.meta.short_id() == *twin), "no hunt {twin}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    for (n, line) in text.lines().enumerate() {
        let case: Value = serde_json::from_str(line).unwrap();
        let rule = case["rule"].as_str().unwrap();
        let Some((name, twins)) = TWINS.iter().find(|(name, _)| *name == rule) else { continue };
        let path = folder.path().join(format!("{n}.json"));
        let mut file = std::fs::File::create(&path).unwrap();
        writeln!(file, "{}", case["log"]).unwrap();
        let mut records = Vec::new();
        read_records(&[path], None, &mut |record| records.push(record)).unwrap();
        let evidence = MemoryEvidence::new(records);
        let found = set.rules.iter().filter(|r| twins.contains(&r.meta.short_id())).any(|rule| {
            evidence.search(&rule.question, &SearchOptions::default()).unwrap().total > 0
        });
        let test = case["test"].as_str().unwrap_or_default().to_owned();
        let score = scores.entry(name).or_default();
        match (case["expected"].as_bool().unwrap(), found) {
            (true, true) => score.right += 1,
            (true, false) => score.missed.push(test),
            (false, true) => score.wrong.push(test),
            (false, false) => score.quiet += 1,
        }
    }
    let (mut right, mut missed, mut wrong) = (0, 0, 0);
    for (name, score) in &scores {
        right += score.right;
        missed += score.missed.len() as u32;
        wrong += score.wrong.len() as u32;
        println!(
            "{name:<45} right {:>2} quiet {:>2} missed {:?} wrong {:?}",
            score.right, score.quiet, score.missed, score.wrong
        );
    }
    let precision = f64::from(right) / f64::from(right + wrong);
    let recall = f64::from(right) / f64::from(right + missed);
    println!("precision {precision:.3}, recall {recall:.3}");
    assert!(precision >= 0.85 && recall >= 0.9, "precision {precision}, recall {recall}");
    let apart: BTreeSet<(String, String)> = scores
        .iter()
        .flat_map(|(name, score)| {
            let short = name.trim_start_matches("Kubernetes.").trim_start_matches("API.");
            let tests = score.missed.iter().chain(&score.wrong);
            tests.map(move |test| (short.to_owned(), test.clone()))
        })
        .collect();
    let explained: BTreeSet<(String, String)> = DIFFERENCES
        .iter()
        .map(|(rule, test, _)| ((*rule).to_owned(), (*test).to_owned()))
        .collect();
    assert_eq!(apart, explained);
}
