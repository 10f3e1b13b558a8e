//! Small events of every shape that was met or feared, over few values, so that random questions
//! often hit: missing fields, wrong types, odd text, duplicate keys, huge numbers, envelopes.

use super::rng::Rng;

const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
const USERS: [&str; 8] = [
    "system:anonymous",
    "system:serviceaccount:ledger:pay-worker",
    "system:serviceaccount:storefront:cart-cache",
    "system:node:cp-1",
    "mira.holt",
    "MIRA.HOLT",
    "jürgen@straße.example",
    "İstanbul",
];
const NAMESPACES: [&str; 4] = ["ledger", "storefront", "kube-system", "Ledger"];
const RESOURCES: [&str; 6] =
    ["pods", "secrets", "configmaps", "namespaces", "clusterroles", "selfsubjectaccessreviews"];
const ADDRESSES: [&str; 9] = [
    "10.132.8.42",
    "10.40.7.11",
    "192.0.2.1",
    "::1",
    "2001:db8::17",
    "2001:0db8:0000:0000:0000:0000:0000:0017",
    "::ffff:10.40.7.11",
    "not an address",
    "10.132.8.42:51544",
];
const AGENTS: [&str; 5] = [
    "curl/8.9.1",
    "kubectl/v1.31.4 (linux/amd64) kubernetes/a78aa47",
    "oc/4.20.0 (linux/amd64) kubernetes/7f1d6f8",
    "=cmd|' /C calc'!A0",
    "\\u001b[31mred\\u001b[0m",
];
/// Already escaped texts.
const TEXTS: [&str; 22] = [
    "nsenter",
    "alpine:3.20",
    "quay.example/ledger/pay-worker:v3",
    "a b  c",
    "",
    "*",
    "true",
    "403",
    "null",
    "stra\u{df}e STRASSE",
    "\u{130}\u{131}iI",
    "e\u{301}\u{e9}",
    "\u{202e}evil\u{202c}",
    "\u{1f98a}\u{1f469}\u{200d}\u{1f680}",
    "line\\nbreak\\ttab\\\\back\\\"quote\\/slash",
    "\\u0000nul",
    "\\ud83e\\udd8a",
    "\\u006e\\u0073enter",
    "/api/v1/nodes?x=%2Fetc%2Fshadow\\u0026y=a+b",
    "{\\\"default\\\":{\\\"ip_addresses\\\":[\\\"10.132.8.42/23\\\"]}}",
    "\u{fb01}le \u{ff21}BC \u{1e9e}",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
];
const NUMBERS: [&str; 14] = [
    "0",
    "-0",
    "1",
    "403",
    "1.0",
    "1e3",
    "0.1",
    "-17",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e400",
    "-2.5E-7",
];
const KEYS: [&str; 14] = [
    "name",
    "image",
    "hostPID",
    "a.b",
    "a",
    "b",
    "",
    "k8s.ovn.org/pod-networks",
    "with space",
    "f:metadata",
    "\\u0076erb",
    "\u{fc}ber",
    "rules",
    "command",
];

/// Returns `n` odd events; about one in six is wrapped the way some collector wraps.
pub fn odd_events(seed: u64, n: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(seed ^ 0x0DD);
    let mut all: Vec<Vec<u8>> = Vec::with_capacity(n);
    for index in 0..n {
        let again = index > 0 && rng.chance(1, 40);
        let line = if again { rng.pick(&all).clone() } else { one(&mut rng).into_bytes() };
        all.push(line);
    }
    all
}

/// The same with blank lines, cut lines and lines that are no events among them.
pub fn odd_lines(seed: u64, n: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(seed ^ 0x11E5);
    let mut lines = Vec::with_capacity(n);
    for event in odd_events(seed, n) {
        match rng.below(24) {
            0 => lines.push(Vec::new()),
            1 => lines.push(b" \t ".to_vec()),
            2 => lines.push(event[..event.len() / 2].to_vec()),
            3 => lines.push(b"{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}".to_vec()),
            4 => lines.push(b"I1124 06:00:00.000000       1 main.go:17] ready".to_vec()),
            5 => lines.push(vec![0xff, 0xfe, b'{', 0, b'}']),
            _ => lines.push(event),
        }
    }
    lines
}

fn one(rng: &mut Rng) -> String {
    let event = event(rng);
    let quoted = || event.replace('\\', "\\\\").replace('"', "\\\"");
    match rng.below(60) {
        0 | 1 => format!("cp-0 {event}"),
        2 | 3 => {
            let more: Vec<String> = (0..rng.below(3)).map(|_| self::event(rng)).collect();
            let items = [vec![event], more].concat().join(",");
            format!(
                "{{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{{}},\"items\":[{items}]}}"
            )
        }
        4 => format!(
            "{{\"_index\":\"audit-000012\",\"_id\":\"{}\",\"_source\":{event}}}",
            rng.hex(12)
        ),
        5 => format!(
            "{{\"time\":1772409600.5,\"host\":\"cp-1\",\"source\":\"kubeAPI\",\"sourcetype\":\"_json\",\"event\":{event}}}"
        ),
        6 => format!(
            "{{\"timestamp\":1772409600123,\"message\":\"{}\",\"eventId\":\"{}\"}}",
            quoted(),
            rng.below(1_000)
        ),
        7 => format!(
            "{{\"time\":\"2026-03-02T00:00:00Z\",\"category\":\"kube-audit\",\"properties\":{{\"log\":\"{}\\n\",\"pod\":\"kube-apiserver-0\"}}}}",
            quoted()
        ),
        8 if event.starts_with('{') && event.len() > 2 => format!(
            "{{\"@timestamp\":\"2026-03-02T00:00:09Z\",\"hostname\":\"cp-2\",\"log_type\":\"audit\",\"log_source\":\"kubeAPI\",\"k8s_audit_level\":\"Metadata\",{}",
            &event[1..]
        ),
        9 => format!("  {event}\t"),
        _ => event,
    }
}

fn text(rng: &mut Rng) -> String {
    format!("\"{}\"", rng.pick(&TEXTS))
}

/// A value of any kind, `depth` levels at most.
fn value(rng: &mut Rng, depth: u64) -> String {
    match rng.below(if depth == 0 { 6 } else { 10 }) {
        0 => "null".to_string(),
        1 => rng.pick(&["true", "false"]).to_string(),
        2 => rng.pick(&NUMBERS).to_string(),
        3..=5 => text(rng),
        6 | 7 => {
            let items: Vec<String> = (0..rng.below(4)).map(|_| value(rng, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => object(rng, depth - 1),
    }
}

fn object(rng: &mut Rng, depth: u64) -> String {
    let members: Vec<String> = (0..rng.below(5))
        .map(|_| format!("\"{}\":{}", rng.pick(&KEYS), value(rng, depth)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn body(rng: &mut Rng) -> String {
    match rng.below(9) {
        0 => {
            let rules: Vec<String> = (0..rng.between(1, 4)).map(|_| {
                format!("{{\"verbs\":[\"{}\",\"{}\"],\"resources\":[\"{}\"]}}", rng.pick(&["*", "get", "list"]), rng.pick(&VERBS), rng.pick(&["secrets", "pods", "*"]))
            }).collect();
            format!("{{\"kind\":\"ClusterRole\",\"metadata\":{{\"name\":\"reader\"}},\"rules\":[{}]}}", rules.join(","))
        }
        1 | 2 => format!(
            "{{\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{}\",\"namespace\":\"{}\",\"annotations\":{{\"k8s.ovn.org/pod-networks\":\"{{\\\"default\\\":{{\\\"ip_address\\\":\\\"10.132.8.{}/23\\\"}}}}\"}}}},\"spec\":{{\"hostPID\":{},\"containers\":[{{\"name\":\"1\",\"image\":\"{}\",\"command\":[\"nsenter\",\"--\",\"/bin/sh\"]}},{{\"name\":\"2\",\"image\":\"{}\"}}]}}}}",
            rng.pick(&["cart-cache-1", "pay-worker"]),
            rng.pick(&NAMESPACES),
            rng.between(40, 44),
            rng.chance(1, 2),
            rng.pick(&["alpine", "alpine:3.20"]),
            rng.pick(&["busybox", "quay.example/x@sha256:00ff"])
        ),
        3 => "[{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":0},{\"op\":\"add\",\"path\":\"/metadata/labels/x\",\"value\":\"nsenter\"}]".to_string(),
        4 => "\"skipped-too-big-size-object\"".to_string(),
        5 => "null".to_string(),
        6 if rng.chance(1, 4) => {
            let depth = rng.between(20, 300) as usize;
            format!("{}\"deep\"{}", "{\"a\":[".repeat(depth), "]}".repeat(depth))
        }
        _ => object(rng, 3),
    }
}

fn time(rng: &mut Rng) -> String {
    let seconds = rng.below(100);
    match rng.below(14) {
        0 => format!("2026-03-02T02:00:{:02}+02:00", seconds % 60),
        1 => format!("2026-03-02T00:01:{:02}.123456789Z", seconds % 60),
        2 => "yesterday".to_string(),
        3 => format!("2026-03-02T00:00:{:02}Z", seconds % 60),
        _ => format!(
            "2026-03-{:02}T{:02}:00:{:02}.{:06}Z",
            2 + seconds % 3,
            seconds % 24,
            seconds % 60,
            rng.below(4)
        ),
    }
}

fn event(rng: &mut Rng) -> String {
    let mut members: Vec<String> = Vec::new();
    let likely = |rng: &mut Rng| !rng.chance(1, 12);
    if likely(rng) {
        members.push("\"kind\":\"Event\"".to_string());
        members.push(format!(
            "\"apiVersion\":\"audit.k8s.io/{}\"",
            rng.pick(&["v1", "v1", "v1", "v1beta1"])
        ));
    }
    members
        .push(format!("\"level\":\"{}\"", rng.pick(&["Metadata", "Request", "RequestResponse"])));
    members.push(match rng.below(24) {
        // A client may set the id.
        0 | 1 => format!("\"auditID\":\"client-{}\"", rng.below(4)),
        2 => format!("\"auditID\":\"\\u0063lient-{}\"", rng.below(4)),
        3 => "\"auditID\":\"\"".to_string(),
        4 => format!("\"auditID\":[\"client-1\",\"client-{}\"]", rng.below(3)),
        _ => format!("\"auditID\":\"{}\"", rng.uuid()),
    });
    members.push(format!(
        "\"stage\":\"{}\"",
        rng.pick(&[
            "ResponseComplete",
            "ResponseComplete",
            "ResponseStarted",
            "RequestReceived",
            "Panic"
        ])
    ));
    let (ns, resource) = (*rng.pick(&NAMESPACES), *rng.pick(&RESOURCES));
    members.push(format!(
        "\"requestURI\":\"/api/v1/namespaces/{ns}/{resource}?limit={}\\u0026x=%2Fbin%2Fsh\"",
        rng.pick(&["500", "1"])
    ));
    members.push(format!("\"verb\":\"{}\"", rng.pick(&VERBS)));
    if likely(rng) {
        members.push(user("user", rng));
    }
    if rng.chance(1, 10) {
        members.push(user("impersonatedUser", rng));
    }
    if likely(rng) {
        let ips: Vec<String> =
            (0..rng.between(0, 4)).map(|_| format!("\"{}\"", rng.pick(&ADDRESSES))).collect();
        let ips = if rng.chance(1, 20) { text(rng) } else { format!("[{}]", ips.join(",")) };
        members.push(format!("\"sourceIPs\":{ips}"));
        members.push(format!("\"userAgent\":\"{}\"", rng.pick(&AGENTS)));
    }
    if likely(rng) {
        let name = rng.pick(&["cart-cache-1", "pay-worker", "a-debug-b", ""]);
        let sub = rng.pick(&["", ",\"subresource\":\"exec\"", ",\"subresource\":\"status\""]);
        members.push(format!("\"objectRef\":{{\"resource\":\"{resource}\",\"namespace\":\"{ns}\",\"name\":\"{name}\",\"apiVersion\":\"v1\"{sub}}}"));
    }
    if likely(rng) {
        let code = rng.pick(&["200", "201", "403", "404", "101", "\"403\"", "200.0", "null"]);
        members.push(format!("\"responseStatus\":{{\"metadata\":{{}},\"code\":{code}}}"));
    }
    if rng.chance(1, 2) {
        members.push(format!("\"requestObject\":{}", body(rng)));
    }
    if rng.chance(1, 3) {
        members.push(format!("\"responseObject\":{}", body(rng)));
    }
    times(rng, &mut members);
    if likely(rng) {
        members.push(format!("\"annotations\":{{\"authorization.k8s.io/decision\":\"{}\",\"authorization.k8s.io/reason\":\"{}\",\"x.y/z\":{}}}", rng.pick(&["allow", "forbid"]), rng.pick(&TEXTS), text(rng)));
    }
    oddities(rng, &mut members);
    format!("{{{}}}", members.join(if rng.chance(1, 15) { " ,\t" } else { "," }))
}

fn user(key: &str, rng: &mut Rng) -> String {
    if rng.chance(1, 30) {
        return format!("\"{key}\":null");
    }
    let extra = if rng.chance(1, 2) {
        format!(
            ",\"extra\":{{\"authentication.kubernetes.io/credential-id\":[\"JTI={}\"],\"scopes.authorization.openshift.io\":[\"user:full\",{}]}}",
            rng.pick(&["a", "b", "00000000-0000-4000-8000-000000000001"]),
            text(rng)
        )
    } else {
        String::new()
    };
    format!(
        "\"{key}\":{{\"username\":\"{}\",\"groups\":[\"system:authenticated\",\"{}\"]{extra}}}",
        rng.pick(&USERS),
        rng.pick(&["system:masters", "crew"])
    )
}

fn times(rng: &mut Rng, members: &mut Vec<String>) {
    match rng.below(12) {
        0 => {}
        1 => members.push(format!("\"timestamp\":\"{}\"", time(rng))),
        2 => members.push(format!("\"metadata\":{{\"creationTimestamp\":\"{}\"}}", time(rng))),
        _ => {
            members.push(format!("\"requestReceivedTimestamp\":\"{}\"", time(rng)));
            members.push(format!("\"stageTimestamp\":\"{}\"", time(rng)));
        }
    }
}

/// Another order, a key twice, a key nobody knows.
fn oddities(rng: &mut Rng, members: &mut Vec<String>) {
    if rng.chance(1, 6) {
        members.sort();
    }
    if rng.chance(1, 25) {
        members.push(format!("\"verb\":\"{}\"", rng.pick(&VERBS)));
    }
    if rng.chance(1, 25) {
        members.push(user("user", rng));
    }
    if rng.chance(1, 25) {
        members.push(format!("\"unheardOf\":{}", value(rng, 3)));
    }
    if rng.chance(1, 30) {
        members.push("\"requestObject\":{\"loneSurrogate\":\"\\ud800 nsenter\"}".to_string());
    }
}
