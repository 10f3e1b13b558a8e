//! Damaged and hostile input never panics, hangs or loses a good neighbour, and the same bytes
//! give the same records however they are cut into pieces.

use std::fs;

use proptest::prelude::ProptestConfig;
use proptest::prelude::any;
use proptest::proptest;

use super::testing::Seen;
use super::testing::meet;
use super::testing::run;
use crate::event::place::Flag;
use crate::source::ReadOptions;

const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","verb":"get","user":{"username":"u","groups":["a","b"]},"requestReceivedTimestamp":"2025-07-02T10:15:00.000001Z"}"#;

/// Puts `damage` between two good events and returns what it became.
fn between(damage: &[u8]) -> Vec<Seen> {
    let text = [EVENT.as_bytes(), b"\n", damage, b"\n", EVENT.as_bytes(), b"\n"].concat();
    let (seen, _) = meet(&text);
    let (first, last) = (seen.first().unwrap(), seen.last().unwrap());
    assert_eq!((first.kind, first.event.as_str()), ("event", EVENT));
    assert_eq!((last.kind, last.event.as_str()), ("event", EVENT), "{seen:?}");
    seen[1..seen.len() - 1].to_vec()
}

fn pretty(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn nul_bytes() {
    let seen = between(b"\0\0\0\0");
    assert_eq!(seen.len(), 1);
    assert!(seen[0].reason.contains("NUL"), "{}", seen[0].reason);
    assert_eq!(between(&EVENT.replace("a1", "a\x001").into_bytes())[0].flags, [Flag::Lenient]);
}

#[test]
fn wrong_encodings() {
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(EVENT.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let (seen, _) = meet(&utf16);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].reason.contains("UTF-16"), "{}", seen[0].reason);
    let latin1 = EVENT.replace("a1", "a?").replace('?', "\u{1}").into_bytes();
    let latin1: Vec<u8> = latin1.into_iter().map(|c| if c == 1 { 0xe9 } else { c }).collect();
    let seen = between(&latin1);
    assert_eq!((seen[0].kind, seen[0].flags.as_slice()), ("event", &[Flag::Lenient][..]));
}

#[test]
fn a_line_of_64_mb() {
    let body = "x".repeat(64 << 20);
    let long =
        EVENT.replace("\"verb\"", &format!("\"requestObject\":{{\"a\":\"{body}\"}},\"verb\""));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.log");
    fs::write(&path, format!("{EVENT}\n{long}\n{EVENT}\n")).unwrap();
    let options = ReadOptions { piece_bytes: 1 << 20, ..ReadOptions::default() };
    let run = run(&[path], options);
    assert_eq!((run.tally.events, run.tally.records), (3, 3));
    assert_eq!(run.seen[1].event.len(), long.len());
}

#[test]
fn nesting_of_100_000() {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let deep = EVENT.replace("\"verb\"", &format!("\"requestObject\":{open}{close},\"verb\""));
    let seen = between(deep.as_bytes());
    assert_eq!((seen.len(), seen[0].kind), (1, "event"));
    assert_eq!(between(open.as_bytes())[0].kind, "rejected");
    assert_eq!(between(close.as_bytes())[0].kind, "rejected");
    let objects = "{\"a\":".repeat(100_000);
    assert_eq!(between(objects.as_bytes())[0].kind, "rejected");
    let lists = format!("{open}{EVENT}{close}");
    assert!(between(lists.as_bytes())[0].reason.contains("too many layers"));
}

#[test]
fn duplicate_keys() {
    let twice = EVENT.replace("\"verb\":\"get\"", "\"verb\":\"get\",\"verb\":\"delete\"");
    let seen = between(twice.as_bytes());
    assert_eq!((seen[0].kind, seen[0].event.as_str()), ("event", twice.as_str()));
    // Two kinds: the last one counts as little as the first.
    between(EVENT.replace("\"kind\":\"Event\"", "\"kind\":\"x\",\"kind\":\"Event\"").as_bytes());
}

#[test]
fn numbers_and_surrogates_a_strict_parser_refuses() {
    for odd in ["123456789012345678901234567890", "\"\\ud800\"", "1e400"] {
        let text =
            EVENT.replace("\"verb\"", &format!("\"requestObject\":{{\"a\":{odd}}},\"verb\""));
        let seen = between(text.as_bytes());
        assert_eq!((seen[0].kind, seen[0].event.as_str()), ("event", text.as_str()), "{odd}");
    }
}

#[test]
fn other_json_is_rejected_by_name() {
    for other in [
        r#"{"kind": 0}"#,
        r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"x"}}"#,
        "{}",
        "[]",
        "[1]",
        "3",
        "\"text\"",
        "null",
    ] {
        let seen = between(other.as_bytes());
        assert_eq!((seen.len(), seen[0].kind), (1, "rejected"), "{other}");
    }
    assert_eq!(between(br#"{"kind": 0}"#)[0].reason, "not an audit event");
}

#[test]
fn broken_lines_without_end_take_no_time() {
    let start = std::time::Instant::now();
    for line in
        ["[\n", " {\n", "{\"a\n", "{\"a\": {\n", "{\"a\":[[[\n", " {\"a\":{\n", "{\n\"a\":\n"]
    {
        let text = format!("{}{EVENT}\n", line.repeat(200_000));
        let (_, tally) = meet(text.as_bytes());
        assert!(tally.events <= 1 && tally.rejected >= 1);
    }
    // Anything quadratic takes hours here.
    assert!(start.elapsed().as_secs() < 120, "{:?}", start.elapsed());
}

/// Text in which every kind of record stands.
fn mixture() -> String {
    let list = format!(r#"{{"kind":"EventList","items":[{EVENT},{EVENT}]}}"#);
    let records = format!(
        r#"{{"records":[{{"properties":{{"log":{EVENT}}},"time":"2025-07-02T10:15:00Z"}},{{"x":1}}]}}"#
    );
    let hits = format!(r#"{{"took":1,"hits":{{"hits":[{{"_id":"1","_source":{EVENT}}}]}}}}"#);
    let mut text = String::new();
    for round in 0..20 {
        text.push_str(&format!("{EVENT}\nnode-{round} {EVENT}\n\nnonsense {round}\n"));
        text.push_str(&format!("{}\n{}\n", pretty(EVENT), pretty(&list)));
        text.push_str(&format!("{EVENT}{EVENT}\n{{\"cut\":[{{\n{EVENT}\n"));
        text.push_str(&format!("[\n{EVENT},\n{EVENT}\n]\n{}\n", pretty(&records)));
        text.push_str(&format!("{}\n{}\n", pretty(&hits), pretty(&format!("[{EVENT},3]"))));
    }
    text
}

fn run_text(text: &str, piece_bytes: usize) -> Vec<Seen> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mixture");
    fs::write(&path, text).unwrap();
    let options = ReadOptions { piece_bytes, record_max: 1 << 20, ..ReadOptions::default() };
    let mut run = run(&[path], options);
    assert!(run.problems.is_empty());
    for seen in &mut run.seen {
        seen.source.clear();
    }
    run.seen
}

#[test]
fn pieces_do_not_change_what_a_record_is() {
    let text = mixture();
    let whole = run_text(&text, 16 << 20);
    assert_eq!(whole.iter().filter(|seen| seen.kind == "event").count(), 20 * 13);
    for piece_bytes in [1 << 12, 2000, 1500, 1000] {
        let cut = run_text(&text, piece_bytes);
        for (one, other) in whole.iter().zip(&cut) {
            assert_eq!(one, other, "pieces of {piece_bytes}");
        }
        assert_eq!(whole.len(), cut.len());
    }
}

#[test]
fn an_array_larger_than_a_piece_is_read_by_elements() {
    let events = vec![EVENT; 500].join(",");
    for text in [
        format!("[{events}]"),
        pretty(&format!("[{events}]")),
        pretty(&format!(r#"{{"kind":"EventList","metadata":{{}},"items":[{events}],"x":"]"}}"#)),
        format!(r#"{{"kind":"EventList","metadata":{{}},"items":[{events}],"x":"]"}}"#),
    ] {
        let text = format!("{EVENT}\n{text}\n{EVENT}\n");
        let seen = run_text(&text, 4096);
        assert!(
            seen.iter().all(|one| one.kind == "event"),
            "{:?}",
            seen.iter().find(|one| one.kind != "event")
        );
        assert_eq!(seen.len(), 502);
        for one in &seen {
            assert!(text[one.offset as usize..].starts_with(&one.raw));
            let line = text[..one.offset as usize].matches('\n').count() + 1;
            assert_eq!(one.line, line as u64);
        }
    }
    // A broken element costs itself and nothing else.
    let text = pretty(&format!("[{events}]"));
    let middle = text.len() / 2;
    for what in ["\"groups\": [", "\"user\": {", "\"a\",", "\""] {
        let at = middle + text[middle..].find(what).unwrap();
        let broken = format!("{}{}", &text[..at], &text[at + what.len()..]);
        let seen = run_text(&broken, 4096);
        let count = |kind| seen.iter().filter(|one| one.kind == kind).count();
        assert!(count("event") >= 499 && count("rejected") <= 2, "{what}");
    }
}

#[test]
fn a_value_without_end_over_many_lines_takes_no_time() {
    let text = format!("{EVENT}\n{{\n{}", "  \"a\": {\n".repeat(500_000));
    let start = std::time::Instant::now();
    let seen = run_text(&text, 1 << 16);
    assert_eq!(seen.iter().filter(|one| one.kind == "event").count(), 1);
    assert_eq!(seen[1].kind, "rejected");
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn csv_rows_whatever_the_piece() {
    let quoted = EVENT.replace('"', "\"\"");
    let mut text = "\"_time\",host,_raw\n".to_owned();
    for _ in 0..50 {
        text.push_str(&format!(
            "2025-07-02T10:15:00.000+00:00,h,\"{quoted}\"\r\n\"\",\"a\nb\",x\n"
        ));
    }
    let whole = run_text(&text, 1 << 20);
    assert_eq!(whole.len(), 100);
    assert_eq!((whole[0].kind, whole[0].event.as_str(), whole[0].format), ("event", EVENT, "csv"));
    assert!(whole[0].envelope.as_deref().unwrap().contains(r#""host":"h""#));
    assert_eq!((whole[1].kind, whole[1].line, whole[2].line), ("rejected", 3, 5));
    assert_eq!(whole, run_text(&text, 700));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_accounted_for(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        meet(&bytes);
    }

    #[test]
    fn any_json_like_text_is_accounted_for(text in r#"([{}\[\]",:\\ \n]|"a":|"_raw":|"records":|"events":|"message":|1|null|type=A msg=audit\(1.1:1\): a=|AUDIT: |<1>1 ){0,80}"#) {
        meet(text.as_bytes());
        meet(format!("{text}\n{EVENT}").as_bytes());
    }

    #[test]
    fn any_text_in_pieces_is_accounted_for(text in r#"([{}\[\]",: \n]|\n  \{"a":|\{"items":\[|\[\n|"_raw",b\n|\{"a":1\},?\n){0,200}"#) {
        run_text(&text, 16);
    }

    #[test]
    fn any_flipped_bits_lose_at_most_their_record(flips in proptest::collection::vec((0_usize..EVENT.len(), 0_u32..8), 1..4)) {
        let mut damage = EVENT.as_bytes().to_vec();
        for (at, bit) in flips {
            damage[at] ^= 1 << bit;
        }
        between(&damage);
    }
}
