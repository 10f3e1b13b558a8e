//! Ledgers and pivots on the reference evidence: the original's answers or better, and every
//! rule of attribution.

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

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
