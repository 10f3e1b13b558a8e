//! `audithound compare A B`: what one copy of a log has and the other lacks.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::common::note;
use crate::cli::common::view;
use crate::cli::exit::Exit;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::report::renderers::json::row_object;
use crate::report::renderers::json::write_value;
use crate::search::compare::Comparison;
use crate::search::compare::Copy;
use crate::search::compare::Told;
use crate::search::compare::compare;

/// Arguments of `compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    audithound compare node-logs/ forwarded.json.zst\n\n\
    Two events are the same when they are equal as canonical events, whoever forwarded them and \
    in whatever envelope. An event that one copy lacks although both cover its time was lost \
    there, or taken out. Exit status 0 when something differs, 1 when nothing does.")]
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

/// Compares the copies.
///
/// # Errors
/// When one cannot be read or the output cannot be written.
pub fn run(args: &CompareArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.a.as_os_str() == "-" {
        bail!(
            "the first copy is read twice, which standard input cannot be\n  hint: write it second"
        );
    }
    let found = compare(&args.a, &args.b).with_context(|| {
        format!("cannot compare {} with {}", args.a.display(), args.b.display())
    })?;
    for copy in [&found.a, &found.b] {
        copy.report.problems.iter().for_each(|problem| note(problem));
    }
    let differing = found.a.only.len() + found.b.only.len();
    if args.count {
        writeln!(out, "{differing}")?;
        return Ok(Exit::found(differing > 0));
    }
    let shown = if args.limit == 0 { usize::MAX } else { args.limit };
    let sections = vec![
        section("differences", "only_in", &found, (&found.a.only, &found.b.only), shown),
        section("repeats", "in", &found, (&found.a.repeats, &found.b.repeats), shown),
    ];
    let answer =
        Answer { name: "compare".into(), summary: summary(&found), sections, ..Answer::default() };
    if args.output.format == "json" {
        write_object(&found, &answer, out)?;
    } else {
        args.output.print(&[answer], None, out)?;
    }
    out.flush()?;
    if shown < differing {
        note(&format!("only the first {shown} of {differing} are shown; --limit 0 shows all"));
    }
    Ok(Exit::found(differing > 0))
}

fn summary(found: &Comparison) -> String {
    let lost = |only: &[Told]| {
        only.iter().filter(|told| found.is_within_both(told.time) == Some(true)).count()
    };
    format!(
        "{} events in A, {} in B: {} in both, {} only in A, {} only in B; of these {} and {} lie \
         within the time that both cover; repeated inside A {}, inside B {}; rejected {} and {}",
        found.a.events,
        found.b.events,
        found.both,
        found.a.only.len(),
        found.b.only.len(),
        lost(&found.a.only),
        lost(&found.b.only),
        found.a.repeats.len(),
        found.b.repeats.len(),
        found.a.report.tally.rejected,
        found.b.report.tally.rejected,
    )
}

fn section(
    title: &str,
    side: &str,
    found: &Comparison,
    (a, b): (&[Told], &[Told]),
    shown: usize,
) -> Section {
    let number = |value: u64| Cell::Number(i64::try_from(value).unwrap_or(i64::MAX));
    let mut rows: Vec<(&str, &Told)> = a.iter().map(|told| ("A", told)).collect();
    rows.extend(b.iter().map(|told| ("B", told)));
    rows.sort_by_key(|(side, told)| (told.time, *side));
    let columns = [side, "time", "audit_id", "stage", "source", "offset", "line", "within_both"];
    Section {
        title: title.into(),
        columns: columns.map(String::from).to_vec(),
        rows: rows
            .into_iter()
            .take(shown)
            .map(|(side, told)| AnswerRow {
                cells: vec![
                    Cell::from(side),
                    Cell::from(told.time),
                    Cell::from(told.audit_id.clone()),
                    Cell::from(told.stage.clone()),
                    Cell::from(told.source.as_str()),
                    number(told.offset),
                    number(told.line),
                    found.is_within_both(told.time).map_or(Cell::Empty, Cell::Bool),
                ],
                events: Vec::new(),
            })
            .collect(),
        notes: Vec::new(),
    }
}

/// The counts are keys of their own, for scripts.
fn write_object(found: &Comparison, answer: &Answer, out: &mut dyn Write) -> anyhow::Result<()> {
    let view = view(true);
    let copy = |copy: &Copy| {
        json!({
            "events": copy.events,
            "only_here": copy.only.len(),
            "repeats": copy.repeats.len(),
            "rejected": copy.report.tally.rejected,
            "first": copy.first.map(|time| time.to_rfc3339()),
            "last": copy.last.map(|time| time.to_rfc3339()),
            "problems": copy.report.problems,
        })
    };
    let mut object = Map::new();
    object.insert("a".into(), copy(&found.a));
    object.insert("b".into(), copy(&found.b));
    object.insert("both".into(), json!(found.both));
    for section in &answer.sections {
        let rows = section
            .rows
            .iter()
            .map(|row| row_object(section, row, &view).map(Value::Object))
            .collect::<Result<Vec<_>, _>>()?;
        object.insert(section.title.clone(), Value::Array(rows));
    }
    write_value(&Value::Object(object), &view, out)?;
    Ok(())
}
