//! One row for each way of meaning something: questions that are true of an event, and others.

use crate::event::audit_event::AuditEvent;
use crate::event::audit_event::event_time;
use crate::event::field::Field;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::zone::Zone;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::matcher::MatchOptions;
use crate::query::matcher::Matcher;
use crate::query::matcher::field_values;
use crate::query::parse::Files;
use crate::query::parse::ParseOptions;
use crate::query::parse::parse;
use crate::query::resolve::resolve;

/// An event with what stands around it.
struct Held {
    text: String,
    tape: Tape,
    envelope: Option<(String, Tape)>,
    origin: Origin,
    flags: Vec<Flag>,
}

impl Held {
    fn new(text: &str) -> Held {
        let mut tape = Tape::default();
        parse_lenient(text.as_bytes(), &mut tape).unwrap();
        let origin = Origin {
            node: Some("Master-1".into()),
            cluster: None,
            log: Some("kube-apiserver".into()),
        };
        Held { text: text.into(), tape, envelope: None, origin, flags: Vec::new() }
    }

    fn envelope(mut self, text: &str) -> Held {
        let mut tape = Tape::default();
        parse_lenient(text.as_bytes(), &mut tape).unwrap();
        self.envelope = Some((text.into(), tape));
        self
    }

    fn view(&self) -> AuditEvent<'_> {
        let event = self.tape.root(self.text.as_bytes()).unwrap();
        AuditEvent {
            event,
            envelope: self.envelope.as_ref().and_then(|(text, tape)| tape.root(text.as_bytes())),
            origin: &self.origin,
            source: "logs/audit.tar.gz!audit.log",
            flags: &self.flags,
            time: event_time(event),
        }
    }

    fn values(&self, field: &str) -> Vec<String> {
        field_values(&self.view(), &resolve(field).unwrap(), Zone::UTC)
    }
}

fn ask(event: &Held, question: &str, zone: Zone) -> bool {
    let read = |name: &str| -> std::io::Result<Vec<u8>> {
        match name {
            "ips.txt" => {
                Ok(b"\xEF\xBB\xBF# bad ones\r\n10.128.0.0/14 # pods\r\n\r\n fd00::/8\nhost-x\n"
                    .to_vec())
            }
            "users.txt" => Ok(b"# who\nSystem:Anonymous\nmallory\n".to_vec()),
            "empty.txt" => Ok(b"# nothing\n".to_vec()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        }
    };
    let ast = parse(question, &ParseOptions { files: Files::Reader(&read) })
        .unwrap_or_else(|error| panic!("{}", error.render(question)));
    Matcher::compile(&ast, &MatchOptions { zone }).unwrap().matches(&event.view())
}

fn check(event: &Held, yes: &[&str], no: &[&str]) {
    for question in yes {
        assert!(ask(event, question, Zone::UTC), "{question} should be true of {}", event.text);
        assert!(!ask(event, &format!("NOT ({question})"), Zone::UTC), "NOT {question}");
    }
    for question in no {
        assert!(!ask(event, question, Zone::UTC), "{question} should be false of {}", event.text);
        assert!(ask(event, &format!("-({question})"), Zone::UTC), "NOT {question}");
    }
}

fn event() -> Held {
    Held::new(
        r#"{"kind":"Event","level":"RequestResponse","auditID":"A-1","verb":"create",
"requestURI":"/api/v1/namespaces/payments/pods?limit=500&labelSelector=app%3DVisa%20Card+x",
"user":{"username":"system:serviceaccount:Payments:visa-processor","groups":["system:serviceaccounts","system:authenticated"],
"extra":{"authentication.kubernetes.io/credential-id":["JTI=a2b8"]}},
"sourceIPs":["10.128.1.81","::ffff:192.168.50.11","fd00::1"],"userAgent":"curl/8.0 (x86_64)",
"objectRef":{"resource":"pods","namespace":"payments","subresource":"","apiVersion":"v1"},
"responseStatus":{"metadata":{},"code":403,"message":"a \"quoted\" \u00e9t\u00e9 /x/"},
"requestObject":{"metadata":{"name":"evil","annotations":{"k8s.ovn.org/pod-networks":"{\"ip\":\"10.128.1.81/23\"}","f:x":"1"},"empty":{},"none":null,"list":[]},
"spec":{"hostPID":true,"replicas":10,"big":123456789012345678901234567890,"containers":[{"name":"a","image":"alpine:3.18","args":["nsenter","-t1"]},{"name":"b","image":"nginx"}]},
"rules":[{"verbs":["get","list"],"resources":["pods"]},{"verbs":["*"],"resources":["configmaps"]}],
"a":{"b.c":1},"a.b":{"c":2},"matrix":[[1,2],[{"x":3}]]},
"requestReceivedTimestamp":"2025-12-09T12:57:08.837027Z","stageTimestamp":"2025-12-09T12:57:11.337027Z",
"annotations":{"authorization.k8s.io/decision":"forbid"}}"#,
    )
}

#[test]
fn values_compare_whole_and_without_case() {
    check(
        &event(),
        &[
            "*",
            "verb:create",
            "verb:CREATE",
            "user:system:serviceaccount:payments:visa-processor",
            "user:*VISA*",
            "user:*visa-processor",
            "user:system:*:visa-*",
            "verb:creat?",
            "verb:?????e",
            "ua:\"curl/8.0 (x86_64)\"",
            "ua:curl/8.0\\ (x86_64)",
            "ua:curl*",
            "ua:*",
            "code:403",
            "code:\"403\"",
            "requestObject.spec.hostPID:true",
            "requestObject.spec.hostPID:TRUE",
            "requestObject.spec.big:123456789012345678901234567890",
            "sub:\"\"",
            "sub:*",
            "responseStatus.message:\"a \\\"quoted\\\" ÉTÉ /x/\"",
            "credential:JTI=a2b8",
            "decision:forbid",
            "annotations.authorization.k8s.io/decision:forbid",
            "requestObject.metadata.annotations.k8s.ovn.org/pod-networks:*10.128.1.81*",
            "requestObject.metadata.annotations.f\\:x:1",
            "group:system:authenticated",
            "requestObject.rules.verbs:\"*\"",
            "requestObject.rules.verbs:\\*",
            "requestObject.spec.containers.image:alpine*",
            "requestObject.spec.containers.image:nginx",
            "requestObject.a.b.c:1",
            "requestObject.a.b.c:2",
            "requestObject.matrix:2",
            "requestObject.matrix.x:3",
            "user:@users.txt OR verb:create",
        ],
        &[
            "verb:creat",
            "verb:reate",
            "verb:creat??",
            "verb:create?",
            "user:visa",
            "code:40",
            "code:4030",
            "requestObject.spec.containers:alpine*",
            "requestObject.spec:true",
            "user:@users.txt",
            "requestObject.spec.containers.image:\"alpine*\"",
            "requestObject.rules.verbs:\"?\"",
            "requestObject.a.b:1",
            "annotations.decision:forbid",
            "requestObject.matrix:3",
            "objectRef:pods",
            "kind:event*x",
            "requestObject.x:*",
            "requestObject.x:\"\"",
        ],
    );
}

#[test]
fn presence() {
    check(
        &event(),
        &[
            "requestObject:*",
            "requestObject.metadata.empty:*",
            "requestObject.metadata.list:*",
            "responseStatus.metadata:*",
            "objectRef:*",
            "ip:*",
            "time:*",
            "took:*",
            "node:*",
            "ns:*",
            "name:*",
            "sub:*",
            "requestObject.a.b:*",
            "requestObject.a.b.c:*",
            "user.extra:*",
            "NOT impersonatedUser:*",
            "peer:*",
            "who:*",
            "level:*",
        ],
        &[
            "requestObject.metadata.none:*",
            "impersonatedUser:*",
            "responseObject:*",
            "cluster:*",
            "as:*",
            "flag:*",
            "requestObject.k8s:*",
            "requestObject.metadata.annotations.k8s.ovn.org:*",
            "envelope:*",
            "authenticationMetadata:*",
        ],
    );
}

#[test]
fn regexes_are_unanchored_and_mind_case() {
    check(
        &event(),
        &[
            "uri:/limit=\\d+/",
            "uri:~/namespaces/",
            "user:/Payments:.*processor$/",
            "user:/(?i)payments:v/",
            "responseStatus.message:/a \"quoted\" .t/",
            "ua:/curl\\/8\\.0 \\(x86/",
            "code:/^4\\d\\d$/",
        ],
        &["uri:/limit=\\d{4}/", "user:/payments:v./", "uri:/^limit=\\d+/", "uri:~/Namespaces/"],
    );
}

#[test]
fn ranges_compare_numbers_then_times_then_bytes() {
    check(
        &event(),
        &[
            "code:>=400",
            "code:>=403",
            "code:<=403",
            "code:[403 TO 403]",
            "code:[400 TO 499]",
            "code:{402 TO 404}",
            "code:[403 TO 404}",
            "code:{402 TO 403]",
            "code:[* TO 403]",
            "code:[* TO *]",
            "code:<1e3",
            "requestObject.spec.replicas:>9",
            "requestObject.spec.replicas:[9 TO 11]",
            "requestObject.spec.replicas:>9.5",
            "requestObject.spec.big:>123456789012345678901234567889",
            "verb:[b TO d]",
            "verb:>=CREATE",
            "verb:<=Create",
            "verb:[a TO createe]",
            "requestReceivedTimestamp:[2025-12-09T12:57:00Z TO 2025-12-09T12:58:00Z}",
            "requestReceivedTimestamp:>2025-12-09T12:57:08.837026Z",
            "stageTimestamp:>2025-12-09T12:57:10Z",
            "requestReceivedTimestamp:>=2025-12-09T14:57:08+02:00",
            "annotations.authorization.k8s.io/decision:>e",
        ],
        &[
            "code:>403",
            "code:<403",
            "code:{403 TO 500]",
            "code:[400 TO 403}",
            "code:>=404",
            "code:{403 TO 403}",
            "requestObject.spec.replicas:<9",
            "requestObject.spec.big:>123456789012345678901234567890",
            "verb:>create",
            "verb:{create TO d]",
            "requestObject.x:[* TO *]",
            "requestObject.spec:[* TO *]",
            "requestReceivedTimestamp:<2025-12-09T12:57:08.837027Z",
        ],
    );
}

#[test]
fn a_partial_date_is_its_whole_period() {
    check(
        &event(),
        &[
            "time:2025-12-09",
            "time:2025-12",
            "time:2025",
            "time:2025-12-09T12:57",
            "time:2025-12-09T12",
            "time:2025-12-09T12:57:08Z",
            "time:2025-12-09T12:57:08.837027Z",
            "time:\"2025-12-09 12:57\"",
            "requestReceivedTimestamp:2025-12-09",
            "stageTimestamp:2025-12-09T12:57:11",
            "time:>=2025-12-09",
            "time:<=2025-12-09",
            "time:>2025-12-08",
            "time:<2025-12-10",
            "time:[2025-12-09 TO 2025-12-09]",
            "time:[2025-12-08 TO 2025-12-09]",
            "time:{2025-12-08 TO 2025-12-10}",
            "time:(2025-12-08 OR 2025-12-09)",
            "time:2025-12-09T14:57:08+02:00",
        ],
        &[
            "time:2025-12-08",
            "time:>2025-12-09",
            "time:<2025-12-09",
            "time:{2025-12-09 TO *}",
            "time:[2025-12-08 TO 2025-12-09}",
            "time:2025-12-09T12:57:09Z",
            "time:2024",
            "time:2025-12-09T12:57:08.837028Z",
        ],
    );
}

#[test]
fn addresses_and_networks() {
    check(
        &event(),
        &[
            "ip:10.128.1.81",
            "ip:::ffff:10.128.1.81",
            "ip:10.128.0.0/14",
            "ip:10.0.0.0/8",
            "ip:192.168.50.11",
            "ip:192.168.50.0/24",
            "ip:::ffff:192.168.0.0/112",
            "ip:fd00::1",
            "ip:FD00:0::1",
            "ip:fd00::/8",
            "ip:0.0.0.0/0",
            "ip:::/0",
            "ip:10.128.*",
            "ip:@ips.txt",
            "peer:fd00::1",
            "peer:fd00::/8",
            "ip:[10.128.1.9 TO 10.128.1.100]",
        ],
        &[
            "ip:10.128.1.8",
            "ip:10.132.0.0/14",
            "ip:192.168.51.0/24",
            "ip:fd01::/16",
            "peer:10.128.1.81",
            "peer:10.0.0.0/8",
            "ip:[10.128.1.82 TO 10.128.1.100]",
            "ip:\"10.128.0.0/14\"",
            "uri:10.0.0.0/8",
            "user:10.128.0.0/14",
        ],
    );
    let plain = Held::new(r#"{"sourceIPs":["not an address",null,"10.0.0.0/8"]}"#);
    check(&plain, &["ip:\"not an address\"", "ip:\"10.0.0.0/8\""], &["ip:10.0.0.0/8", "ip:::/0"]);
    let text = Held::new(r#"{"requestObject":{"cidr":"10.0.0.0/8"}}"#);
    check(&text, &["requestObject.cidr:10.0.0.0/8"], &["requestObject.cidr:10.0.0.0/7"]);
}

#[test]
fn conditions_on_the_same_element() {
    check(
        &event(),
        &[
            "requestObject.rules{verbs:get AND resources:pods}",
            "requestObject.rules{verbs:\"*\" AND resources:configmaps}",
            "requestObject.rules{NOT verbs:get}",
            "requestObject.rules{verbs:get AND verbs:list}",
            "requestObject.spec.containers{name:a AND image:alpine* AND args:nsenter}",
            "requestObject.spec{hostPID:true AND containers{name:b AND image:nginx}}",
            "objectRef{resource:pods AND namespace:payments}",
            "user{username:*visa* AND groups:*authenticated}",
            "ip{.:10.0.0.0/8 AND .:*.81}",
            "requestObject{a.b.c:1 AND a.b.c:2}",
            "requestObject.rules{resources:configmaps AND NOT resources:pods}",
            "responseStatus{code:>=400}",
            "requestObject.metadata.empty{NOT x:*}",
        ],
        &[
            "requestObject.rules{verbs:\"*\" AND resources:pods}",
            "requestObject.rules{verbs:get AND verbs:\"*\"}",
            "requestObject.spec.containers{name:a AND image:nginx}",
            "impersonatedUser{NOT username:x}",
            "ip{.:10.0.0.0/8 AND .:fd00::/8}",
            "requestObject.metadata.list{NOT x:y}",
            "requestObject.x{NOT a:b}",
            "requestObject.rules{x:*}",
        ],
    );
}

#[test]
fn words_look_everywhere() {
    check(
        &event(),
        &[
            "nsenter",
            "NSENTER",
            "visa-processor",
            "\"payments visa\"",
            "10.128.1.81",
            "k8s.ovn.org/pod-networks",
            "credential-id",
            "hostPID",
            "true",
            "403",
            "été",
            "ÉTÉ",
            "\"quoted été\"",
            "ns*ter",
            "n?enter",
            "visa-proc*",
            "alpine-3.*",
            "\"visa card\"",
            "\"app visa card x\"",
            "payments",
            "limit=500",
            "\"128.1\"",
            "123456789012345678901234567890",
            "requestReceivedTimestamp",
            "curl-8.0",
            "\"10.128.1.81/23\"",
            "app%3DVisa",
        ],
        &[
            "nsente",
            "senter",
            "\"visa payments\"",
            "null",
            "\"app=visa card y\"",
            "ns?enter",
            "\"nsenter t1\"",
            "false",
            "\"image nginx\"",
            "\"get list\"",
            "master",
        ],
    );
}

#[test]
fn envelopes_are_searched_and_asked() {
    let held = Held::new(r#"{"verb":"get","level":"info","k8s_audit_level":"Metadata","openshift":{"cluster_id":"c-9"}}"#)
        .envelope(r#"{"stream":"stdout","kubernetes":{"pod_name":"kube-apiserver-m1","labels":["x","y"]}}"#);
    check(
        &held,
        &[
            "stdout",
            "kube-apiserver-m1",
            "pod_name",
            "envelope.stream:stdout",
            "envelope.kubernetes.pod_name:kube*",
            "envelope.kubernetes.labels:y",
            "envelope:*",
            "envelope.kubernetes:*",
            "level:metadata",
            "envelope.openshift.cluster_id:c-9",
        ],
        &[
            "envelope.stream:stderr",
            "level:info",
            "envelope.verb:get",
            "envelope.x:*",
            "\"stdout kube\"",
        ],
    );
    assert_eq!(held.values("envelope.kubernetes.labels"), ["x", "y"]);
}

#[test]
fn aliases_with_fallbacks() {
    let named = event();
    check(&named, &["name:evil", "ns:payments", "who:*visa*"], &["name:x"]);
    let from_reply = Held::new(
        r#"{"objectRef":{"resource":"pods","name":null},"responseObject":{"metadata":{"name":"p-x1"}},"requestObject":{"metadata":{"generateName":"p-"}}}"#,
    );
    check(&from_reply, &["name:p-x1"], &["name:p-", "ns:*"]);
    let generated = Held::new(r#"{"requestObject":{"metadata":{"generateName":"p-"}}}"#);
    check(&generated, &["name:p-"], &[]);
    let namespace = Held::new(r#"{"objectRef":{"resource":"namespaces","name":"prod"}}"#);
    check(&namespace, &["ns:prod", "name:prod"], &["ns:x"]);
    let acting = Held::new(
        r#"{"user":{"username":"admin"},"impersonatedUser":{"username":"system:admin"}}"#,
    );
    check(
        &acting,
        &["who:admin", "who:system:admin", "as:system:admin", "user:admin"],
        &["user:system:admin"],
    );
    assert_eq!(acting.values("who"), ["admin", "system:admin"]);
}

#[test]
fn computed_fields() {
    let held = event();
    check(
        &held,
        &[
            "took:2500000",
            "took:2500ms",
            "took:2.5s",
            "took:>2s",
            "took:<=2.5s",
            "took:[1s TO 1m]",
            "hour:12",
            "hour:>=12",
            "weekday:tue",
            "weekday:TUE",
            "weekday:(mon OR tue)",
            "source:*audit.log",
            "source:logs/audit.tar.gz!audit.log",
            "node:master-1",
            "log:kube-apiserver",
            "id:a-1",
            "level:requestresponse",
        ],
        &[
            "took:>3s",
            "hour:13",
            "weekday:wed",
            "source:audit.log",
            "cluster:x",
            "flag:duplicate-key",
        ],
    );
    assert!(ask(&held, "hour:13", Zone::parse("Europe/Berlin").unwrap()));
    assert!(ask(&held, "hour:2 weekday:wed", Zone::parse("+14:00").unwrap()));
    assert_eq!(held.values("took"), ["2500000"]);
    assert_eq!(held.values("time"), ["2025-12-09T12:57:08.837027Z"]);
    assert_eq!(held.values("weekday"), ["tue"]);
    assert_eq!(held.values("peer"), ["fd00::1"]);
    assert_eq!(held.values("requestObject.spec.hostPID"), ["true"]);
    assert_eq!(held.values("requestObject.rules.verbs"), ["get", "list", "*"]);
    assert_eq!(held.values("requestObject.spec.containers"), [""; 0]);
    assert_eq!(held.values("requestObject.metadata.none"), [""; 0]);
}

#[test]
fn duplicate_keys_all_count() {
    let held = Held::new(
        r#"{"verb":"get","verb":"delete","user":{"username":"a"},"user":{"username":"b"},"sourceIPs":["1.1.1.1"],"sourceIPs":["2.2.2.2"]}"#,
    );
    check(
        &held,
        &[
            "verb:get",
            "verb:delete",
            "user:a",
            "user:b",
            "flag:duplicate-key",
            "verb:get AND verb:delete",
            "peer:1.1.1.1",
            "peer:2.2.2.2",
        ],
        &["verb:list", "flag:lenient"],
    );
    assert_eq!(held.values("verb"), ["get", "delete"]);
}

#[test]
fn escaped_and_odd_keys() {
    let held = Held::new(
        r#"{"requestObject":{"a\u002eb":{"":{"x":"1"}},"sp ace":"2","q\"":"3","é":"4"}}"#,
    );
    check(
        &held,
        &[
            "requestObject.a.b..x:1",
            "requestObject.sp\\ ace:2",
            "requestObject.q\\\":3",
            "requestObject.é:4",
        ],
        &["requestObject.a.b.x:1", "requestObject.É:4", "requestObject.spAce:2"],
    );
}

#[test]
fn lists_from_files() {
    let held = Held::new(r#"{"sourceIPs":["fdab::1"],"user":{"username":"MALLORY"}}"#);
    check(&held, &["ip:@ips.txt", "user:@users.txt"], &["ua:@users.txt"]);
    check(&Held::new(r#"{"sourceIPs":["HOST-X"]}"#), &["ip:@ips.txt"], &["ip:10.128.0.0/14"]);
    let read = |name: &str| -> std::io::Result<Vec<u8>> {
        if name == "empty.txt" {
            Ok(b"# nothing\n".to_vec())
        } else {
            Err(std::io::ErrorKind::NotFound.into())
        }
    };
    let fails =
        |text: &str| parse(text, &ParseOptions { files: Files::Reader(&read) }).unwrap_err();
    assert!(fails("ip:@empty.txt").message.contains("holds no value"));
    assert!(fails("ip:@gone.txt").message.contains("cannot read"));
}

#[test]
fn a_list_of_fifty_thousand_values_is_one_fast_question() {
    let lines: Vec<String> = (0..50_000_u32)
        .map(|n| {
            format!(
                "11.{}.{}.{}{}",
                n >> 16,
                (n >> 8) & 255,
                n & 255,
                if n % 7 == 0 { "/31" } else { "" }
            )
        })
        .collect();
    let text = lines.join("\n");
    let read = |_: &str| -> std::io::Result<Vec<u8>> { Ok(text.clone().into_bytes()) };
    let ast = parse("ip:@big.txt", &ParseOptions { files: Files::Reader(&read) }).unwrap();
    let matcher = Matcher::compile(&ast, &MatchOptions::default()).unwrap();
    let yes = Held::new(r#"{"sourceIPs":["11.0.195.79"]}"#);
    let no = Held::new(r#"{"sourceIPs":["12.0.195.79"]}"#);
    let started = std::time::Instant::now();
    for _ in 0..10_000 {
        assert!(matcher.matches(&yes.view()));
        assert!(!matcher.matches(&no.view()));
    }
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn a_file_is_found_below_the_given_directory() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("my list.txt"), "create\n").unwrap();
    let options = ParseOptions { files: Files::Directory(folder.path().to_owned()) };
    let ast = parse("verb:@\"my list.txt\"", &options).unwrap();
    assert_eq!(ast.to_string(), "verb:@\"my list.txt\"");
    let matcher = Matcher::compile(&ast, &MatchOptions::default()).unwrap();
    assert!(matcher.matches(&event().view()));
}

#[test]
fn what_sigma_alone_can_ask() {
    let held = Held::new(
        r#"{"user":{"username":"a"},"objectRef":{"name":"A","namespace":"b"},"requestObject":[{"x":"1","y":"1"},{"x":"2","y":"3"}]}"#,
    );
    let asks = |field: &str, test: Test| {
        let ast = QueryAst::Field { field: resolve(field).unwrap(), test };
        Matcher::compile(&ast, &MatchOptions::default()).unwrap().matches(&held.view())
    };
    let path = Field::path("user.username");
    assert!(asks("objectRef.name", Test::SameAs(path.clone())));
    assert!(!asks("objectRef.namespace", Test::SameAs(path)));
    assert!(asks("objectRef.name", Test::Equals { text: "A".into(), cased: true }));
    assert!(!asks("objectRef.name", Test::Equals { text: "a".into(), cased: true }));
    let same = |path: &str, other: &str| QueryAst::Field {
        field: Field::path(path),
        test: Test::SameAs(Field::path(other)),
    };
    let within = QueryAst::Within {
        path: "requestObject".into(),
        inner: Box::new(QueryAst::And(vec![same("x", "y"), QueryAst::path_equals("x", "2")])),
    };
    assert!(!Matcher::compile(&within, &MatchOptions::default()).unwrap().matches(&held.view()));
    // What is printed for them means the same, where the language has a way to say it.
    let cased = QueryAst::Field {
        field: Field::path("objectRef.name"),
        test: Test::Equals { text: "a.b/c".into(), cased: true },
    };
    let again = parse(&cased.to_string(), &ParseOptions::default()).unwrap();
    let matcher = Matcher::compile(&again, &MatchOptions::default()).unwrap();
    assert!(matcher.matches(&Held::new(r#"{"objectRef":{"name":"a.b/c"}}"#).view()));
    assert!(!matcher.matches(&Held::new(r#"{"objectRef":{"name":"A.b/c"}}"#).view()));
}

#[test]
fn hostile_events_are_judged() {
    let deep =
        format!(r#"{{"requestObject":{}"x"{}}}"#, r#"{"a":["#.repeat(50_000), "]}".repeat(50_000));
    let held = Held::new(&deep);
    check(
        &held,
        &["requestObject:*", "requestObject.a.a.a:*", "x"],
        &["requestObject.b:*", "requestObject.a:x"],
    );
    let wide = format!(r#"{{"requestObject":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    check(&Held::new(&wide), &["requestObject:1"], &["requestObject:2"]);
    // Every split of the path fits, but each node has one joined path.
    let names = |n: usize| (0..n).map(|_| "a").collect::<Vec<_>>().join(".");
    let mut text = String::from("1");
    for n in 1..200 {
        text = format!(
            r#"{{"{}":{text},"a":{text2}}}"#,
            names(n % 3 + 1),
            text2 = if n < 3 { text.as_str() } else { "2" }
        );
    }
    let held = Held::new(&format!(r#"{{"requestObject":{text}}}"#));
    let _ = ask(&held, &format!("requestObject.{}:1", names(397)), Zone::UTC);
}
