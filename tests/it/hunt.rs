//! Whole hunts: the pack's own events, public rules, the reference evidence.

use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use audithound::hunt::batch::HuntOptions;
use audithound::hunt::batch::Rules;
use audithound::hunt::batch::hunt;
use audithound::hunt::finding::Finding;
use audithound::hunt::finding::HuntReport;
use audithound::hunt::pack;
use audithound::search::evidence::Evidence;
use audithound::search::scan::MemoryEvidence;
use audithound::sigma::Vars;
use audithound::sigma::rule::Level;

/// A file of `../shared`, which is not always there.
fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// The reference evidence, all 11,258 events.
fn reference() -> Option<MemoryEvidence> {
    let path = shared("realdata/ralvares-security-demos/audit.tar.gz")?;
    let file = std::fs::File::open(path).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let mut text = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().extension().is_some_and(|x| x == "log") {
            entry.read_to_string(&mut text).unwrap();
        }
    }
    Some(MemoryEvidence::from_lines("audit.log", &text))
}

fn builtin() -> Rules {
    Rules { builtin: pack::load(&Vars::new()), analyses: true, ..Rules::default() }
}

fn show(report: &HuntReport) {
    for f in &report.findings {
        println!(
            "{:<9} {:<12} {:<44} n={} req={} ev={} groups={} users={:?}",
            f.card.level.name(),
            f.card.kind.name(),
            f.card.rule,
            f.count,
            f.n_requests,
            f.n_events,
            f.groups.len(),
            f.requests
                .iter()
                .map(|r| r.user.as_str())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .take(4)
                .collect::<Vec<_>>()
        );
    }
    println!(
        "asked {} nothing {} left out {} undecidable {} cannot {} n/a {} notes {:?}",
        report.n_asked,
        report.n_nothing,
        report.n_left_out,
        report.undecidable.len(),
        report.cannot_match.len(),
        report.not_applicable.len(),
        report.notes
    );
    for s in &report.undecidable {
        println!("undecidable {} {} {}", s.card.rule, s.candidates, s.why);
    }
}

#[test]
fn scratch() {
    let Some(evidence) = reference() else { return };
    let start = std::time::Instant::now();
    let report = hunt(&evidence, &builtin(), &HuntOptions::default(), &|_| {}).unwrap();
    println!("{:?}", start.elapsed());
    show(&report);
}
