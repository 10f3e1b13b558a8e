//! `audithound compare A B`: what one copy of a log has and the other lacks.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::common::note;
use crate::cli::exit::Exit;
use crate::event::audit_event::event_time;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::search::scan_paths::identity;
use crate::search::scan_paths::read_records;

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    audithound compare node-logs/ forwarded.json.zst\n\n\
    Two events are the same when they are equal as canonical events, whoever forwarded them and \
    in whatever envelope. Exit status 0 when something differs, 1 when nothing does.")]
pub struct CompareArgs {
    /// One copy: a file, a directory, an archive
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// The other copy
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// At most so many rows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print how many events differ, and nothing else
    #[arg(long)]
    pub count: bool,
    /// How the table is printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// What is told of an event that only one copy has.
struct Seen {
    time: Option<Timestamp>,
    audit_id: Option<String>,
    stage: Option<String>,
    source: String,
    offset: u64,
    line: u64,
}

/// Compares the copies.
///
/// # Errors
/// When one cannot be read or the output cannot be written.
pub fn run(args: &CompareArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut a = events_of(&args.a)?;
    let mut b = events_of(&args.b)?;
    let (n_a, n_b) = (a.len(), b.len());
    let both: Vec<u128> = a.keys().filter(|key| b.contains_key(*key)).copied().collect();
    for key in &both {
        a.remove(key);
        b.remove(key);
    }
    let n_differing = a.len() + b.len();
    if args.count {
        writeln!(out, "{n_differing}")?;
        return Ok(Exit::found(n_differing > 0));
    }
    let summary = format!(
        "{n_a} events in A, {n_b} in B: {} in both, {} only in A, {} only in B",
        both.len(),
        a.len(),
        b.len(),
    );
    let mut rows: Vec<(&str, Seen)> = a.into_values().map(|seen| ("A", seen)).collect();
    rows.extend(b.into_values().map(|seen| ("B", seen)));
    rows.sort_by(|(side_a, a), (side_b, b)| {
        let key = |seen: &Seen| (seen.time, seen.source.clone(), seen.offset);
        key(a).cmp(&key(b)).then_with(|| side_a.cmp(side_b))
    });
    if args.limit > 0 {
        rows.truncate(args.limit);
    }
    let shown = rows.len();
    let columns = ["only_in", "time", "audit_id", "stage", "source", "offset", "line"];
    let number = |value: u64| Cell::Number(i64::try_from(value).unwrap_or(i64::MAX));
    let section = Section {
        title: "differences".into(),
        columns: columns.map(String::from).to_vec(),
        rows: rows
            .into_iter()
            .map(|(side, seen)| AnswerRow {
                cells: vec![
                    Cell::from(side),
                    Cell::from(seen.time),
                    Cell::from(seen.audit_id),
                    Cell::from(seen.stage),
                    Cell::from(seen.source),
                    number(seen.offset),
                    number(seen.line),
                ],
                events: Vec::new(),
            })
            .collect(),
        notes: Vec::new(),
    };
    let answer =
        Answer { name: "compare".into(), summary, sections: vec![section], ..Answer::default() };
    args.output.print(&[answer], None, out)?;
    out.flush()?;
    if shown < n_differing {
        note(&format!("only the first {shown} of {n_differing} are shown; --limit 0 shows all"));
    }
    Ok(Exit::found(n_differing > 0))
}

/// Reads the different events of one copy, by what they are.
fn events_of(path: &Path) -> anyhow::Result<HashMap<u128, Seen>> {
    let mut events = HashMap::new();
    let mut tape = Tape::default();
    let report = read_records(&[path.to_owned()], None, &mut |record| {
        let root = match parse_lenient(&record.event, &mut tape) {
            Ok(()) => tape.root(&record.event),
            Err(_) => None,
        };
        let text = |key: &str| Some(root?.text_at(&[key])?.into_owned());
        let seen = Seen {
            time: root.and_then(event_time).or(record.envelope_time),
            audit_id: text("auditID"),
            stage: text("stage"),
            source: record.source.clone(),
            offset: record.offset,
            line: record.line,
        };
        events.insert(identity(&record.event), seen);
    })
    .with_context(|| format!("cannot compare {}", path.display()))?;
    for problem in &report.problems {
        note(problem);
    }
    if report.tally.rejected > 0 {
        let rejected = report.tally.rejected;
        note(&format!("{}: {rejected} records are no events", path.display()));
    }
    Ok(events)
}
