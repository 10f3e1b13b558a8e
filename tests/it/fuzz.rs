//! The functions of the fuzzer (fuzz/) on the stable toolchain: some thousand inputs each.

use proptest::prelude::*;

use crate::fuzz_targets::detect_format;
use crate::fuzz_targets::parse_line;
use crate::fuzz_targets::parse_query;

const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a","stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"get","user":{"username":"u"},"sourceIPs":["10.0.0.1"],"requestReceivedTimestamp":"2025-07-02T10:15:00.000001Z"}"#;

/// What lines are made of in every format, and what breaks them.
const PIECES: &[&str] = &[
    EVENT,
    "\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u00e9",
    "\\ud800",
    "\\u0000",
    "null",
    "true",
    "-0.5e-7",
    "123456789012345678901234567890",
    "\0",
    "\u{feff}",
    "é",
    " ",
    "\"auditID\":\"a\"",
    "\"items\":[",
    "\"kind\":\"EventList\"",
    "\"_source\":{",
    "\"hits\":{\"hits\":[",
    "\"result\":{\"_raw\":\"",
    "\"logEvents\":[{\"message\":\"",
    "\"protoPayload\":{",
    "\"properties\":{\"log\":\"",
    "\"resourceLogs\":[",
    "\"streams\":[",
    "\"short_message\":\"",
    "\"k8s_audit_level\":\"Metadata\",",
    "master-0 ",
    "2025-07-02T10:15:00.441Z ",
    "<14>1 2025-07-02T10:15:00Z h a - - - ",
    "2025-07-02T10:15:00.441Z|00162|acl_log(ovn_pinctrl0)|INFO|name=\"x\", verdict=drop",
    "type=SYSCALL msg=audit(1719931655.027:2401): key=value",
    "AUDIT: id=\"a\" ip=\"1.2.3.4\" method=\"GET\" user=\"u\" uri=\"/x\"",
    "[Truncated...]",
    "_raw,_time\n",
];

/// What questions are made of.
const WORDS: &[&str] = &[
    "verb:get",
    "user",
    "ip",
    "time",
    ":",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    " ",
    " AND ",
    " or ",
    "NOT ",
    "-",
    "*",
    "?",
    "\"",
    "\\",
    "/a.*b/",
    "/",
    "..",
    ">=",
    "10.0.0.0/8",
    "2025-07-02",
    "code:4*",
    "requestObject.spec",
    "containers{name:a image:b}",
    "annotations[\"a.b/c\"]",
    "@f",
    "é",
    "\0",
    "~",
    "!",
];

fn joined(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(pieces).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// An event with some bytes put in, taken out or changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    prop::collection::vec(change, 0..4).prop_map(|changes| {
        let mut bytes = EVENT.as_bytes().to_vec();
        for (at, byte, what) in changes {
            let at = at.index(bytes.len());
            match what {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_line_is_parsed_or_refused(data in prop_oneof![joined(PIECES), damaged()]) {
        parse_line(&data);
    }

    #[test]
    fn every_record_of_any_bytes_is_accounted_for(data in prop_oneof![joined(PIECES), damaged()]) {
        detect_format(&data);
    }

    #[test]
    fn any_question_is_understood_or_refused(data in joined(WORDS)) {
        parse_query(&data);
    }
}

#[test]
fn depth_is_no_danger() {
    for open in ["[", "{\"a\":", "(", "NOT "] {
        let deep = open.repeat(100_000);
        parse_line(deep.as_bytes());
        detect_format(deep.as_bytes());
        parse_query(deep.as_bytes());
    }
}
