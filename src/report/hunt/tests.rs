//! Every format with a hostile finding: valid, complete, and nothing acts.

use super::*;
use crate::hunt::confidence::Confidence;
use crate::hunt::finding::Card;
use crate::hunt::finding::HuntKind;
use crate::hunt::finding::Silent;
use crate::hunt::requests::Request;
use crate::search::evidence::EventId;
use crate::sigma::rule::Level;
use crate::sigma::rule::NeededLevel;

const HOSTILE: &str = "=cmd|' /C calc'!A0<script>alert(1)</script>\u{1b}[2J[x](http://evil)\"";

fn card() -> Card {
    Card {
        rule: "r1".into(),
        id: Some("u-1".into()),
        title: "A title".into(),
        level: Level::High,
        techniques: vec!["T1609".into(), "T1552.007".into()],
        tactics: vec!["execution".into()],
        tags: vec!["attack.t1609".into()],
        author: "An Author".into(),
        status: "test".into(),
        description: HOSTILE.into(),
        falsepositives: Vec::new(),
        references: Vec::new(),
        license: None,
        needs: NeededLevel::Metadata,
        fallback: None,
        kind: HuntKind::Rule,
        origin: "builtin".into(),
    }
}

fn report() -> HuntReport {
    let request = Request {
        event: EventId(1),
        time: crate::event::time::Timestamp::parse("2026-01-01T00:00:00Z"),
        audit_id: "audit-1".into(),
        stage: "ResponseComplete".into(),
        verb: "get".into(),
        user: HOSTILE.into(),
        as_user: String::new(),
        addresses: vec!["10.0.0.1".into()],
        agent: HOSTILE.repeat(1000),
        group: String::new(),
        resource: "secrets".into(),
        sub: String::new(),
        namespace: "ns".into(),
        name: HOSTILE.into(),
        code: "200".into(),
        decision: "allow".into(),
        credential: String::new(),
        uri: "/api".into(),
        source: "dir/a b.log".into(),
        line: 7,
        offset: 100,
        labels: vec!["collection"],
    };
    HuntReport {
        findings: vec![crate::hunt::finding::Finding {
            card: card(),
            confidence: Confidence::Medium,
            count: 1,
            n_requests: 1,
            n_events: 2,
            suppressed: 0,
            first: request.time,
            last: request.time,
            requests: vec![request],
            groups: Vec::new(),
            notes: vec![HOSTILE.into()],
            next: Vec::new(),
        }],
        undecidable: vec![Silent { card: card(), why: HOSTILE.into(), candidates: 2 }],
        ..HuntReport::default()
    }
}

fn render(name: &str) -> String {
    let mut out = Vec::new();
    hunt_renderer(name).unwrap().render(&report(), &View::default(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_format_names_the_author_and_the_audit_id() {
    for renderer in HUNT_RENDERERS {
        let text = render(renderer.name());
        assert!(text.contains("An Author"), "{}", renderer.name());
        if !matches!(renderer.name(), "table" | "navigator") {
            assert!(text.contains("audit-1"), "{}", renderer.name());
        }
        assert!(!text.contains('\u{1b}'), "{} lets an escape through", renderer.name());
    }
}

#[test]
fn json_formats_are_json() {
    for name in ["json", "sarif", "navigator"] {
        let value: serde_json::Value = serde_json::from_str(&render(name)).unwrap();
        assert!(value.is_object());
    }
    for name in ["jsonl", "timesketch"] {
        for line in render(name).lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let long = value.as_object().unwrap().values().filter_map(|v| v.as_str());
            assert!(name != "timesketch" || long.map(str::len).max().unwrap() < 32_766);
        }
    }
}

#[test]
fn pages_and_sheets_are_dead() {
    assert!(!render("html").contains("<script"));
    assert!(!render("markdown").contains("[x](http://evil)\"\n"));
    let csv = render("csv");
    let mut rows = ::csv::Reader::from_reader(csv.as_bytes());
    let row = rows.records().next().unwrap().unwrap();
    assert!(row.iter().all(|cell| !cell.starts_with('=')));
    assert!(render("sarif").contains("dir/a%20b.log"));
}
