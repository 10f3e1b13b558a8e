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
    for c in case.ledgers.credentials.used.values() {
        for (o, w) in c.suspected() {
            eprintln!("suspected {} {} {:?} {:?} {w}", c.key, c.user, o.peer, o.agent);
        }
        for (o, w) in c.accused() {
            eprintln!("accused {} {} {:?} {:?} {w}", c.key, c.user, o.peer, o.agent);
        }
    }
    let n = &case.ledgers.addresses;
    eprintln!("{:?}\n{:#?}\n{:?}", n.shared, n.nodes, n.networks);
    let accused: Vec<String> =
        case.ledgers.credentials.accused().map(|c| c.key.to_string()).collect();
    assert_eq!(accused, [STOLEN]);
    let _ = &case.evidence;
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
        other => panic!("{other:?}"),
    }
}

fn column(section: &Section, column: &str) -> Vec<String> {
    (0..section.rows.len()).map(|row| cell(section, row, column)).collect()
}

/// For reading with one's own eyes: `cargo test --test it print_a_pivot -- --ignored --nocapture`.
#[test]
#[ignore = "prints"]
fn print_a_pivot() {
    let Some(case) = reference() else { return };
    let words = std::env::var("PIVOT").unwrap_or_else(|_| "ip 10.128.1.81".to_owned());
    let words: Vec<&str> = words.split(' ').collect();
    let started = std::time::Instant::now();
    let answer = run(case, words[0], &words[1..]);
    eprintln!("{:?} {}\n{}", started.elapsed(), answer.query, answer.summary);
    for section in &answer.sections {
        eprintln!("== {} {:?}", section.title, section.columns);
        for row in 0..section.rows.len().min(30) {
            let cells: Vec<String> =
                section.columns.iter().map(|name| cell(section, row, name)).collect();
            eprintln!("  {} [{}]", cells.join(" | "), section.rows[row].events.len());
        }
        for note in &section.notes {
            eprintln!("  note: {note}");
        }
    }
    for note in &answer.notes {
        eprintln!("note: {note}");
    }
}
