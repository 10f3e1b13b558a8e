//! `audithound sources`: what the evidence is, and what it can and cannot show.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::common::IndexArgs;
use crate::cli::common::open_index;
use crate::cli::common::view;
use crate::cli::exit::Exit;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::coverage::coverage;
use crate::index::manifest::Counts;
use crate::index::manifest::Manifest;
use crate::index::manifest::SourceRow;
use crate::report::renderers::json::row_object;
use crate::report::renderers::json::write_value;
use crate::search::clock::SourceClock;
use crate::search::clock::source_clocks;
use crate::search::conflict::Conflict;
use crate::search::conflict::conflicts;

/// Arguments of `sources`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound sources\n  \
    audithound sources --format json | jq '.sources[] | {source, sha256}'")]
pub struct SourcesArgs {
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// How the tables are printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// Prints the sources and what they cover.
///
/// # Errors
/// When the index cannot be read or the output cannot be written.
pub fn run(args: &SourcesArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let evidence = open_index(&args.index, Zone::UTC)?;
    let manifest = &evidence.index.manifest;
    let mut rejected_bytes: BTreeMap<u32, u64> = BTreeMap::new();
    for row in evidence.index.rejected()? {
        *rejected_bytes.entry(row.source).or_default() += row.length;
    }
    let clocks = source_clocks(&evidence)?;
    let conflicts = conflicts(&evidence.index, &evidence)?;
    let mut answer = Answer {
        name: "sources".into(),
        summary: summary(manifest),
        sections: vec![source_table(manifest, &rejected_bytes, &clocks)],
        ..Answer::default()
    };
    if !manifest.refused.is_empty() {
        answer.sections.push(refused_table(manifest));
    }
    let covered = coverage(&evidence)?;
    answer.sections.extend(covered.sections);
    answer.notes.extend(covered.notes);
    answer.sections.push(conflict_table(&conflicts));
    if args.output.format == "json" {
        // The words of the tally are keys of their own here, for scripts.
        let mut object = Map::new();
        let view = view(true);
        for section in &answer.sections {
            let rows: Vec<Value> = section
                .rows
                .iter()
                .map(|row| row_object(section, row, &view).map(Value::Object))
                .collect::<Result<_, _>>()?;
            object.insert(section.title.replace(' ', "_"), Value::Array(rows));
        }
        object.insert("totals".into(), counts_value(&manifest.totals));
        object.insert("rejected_bytes".into(), json!(rejected_bytes.values().sum::<u64>()));
        object.insert("audit_id_conflicts_total".into(), json!(conflicts.len()));
        object.insert("notes".into(), json!(answer.notes));
        write_value(&Value::Object(object), &view, out)?;
    } else {
        args.output.print(&[answer], None, out)?;
    }
    Ok(Exit::found(!manifest.sources.is_empty()))
}

fn summary(manifest: &Manifest) -> String {
    let totals = &manifest.totals;
    format!(
        "{} records from {} sources in {} files: {} events, {} blank, {} rejected, {} duplicates, \
         {} outside the time asked for",
        totals.records,
        manifest.sources.len(),
        manifest.files.len(),
        totals.events,
        totals.blank,
        totals.rejected,
        totals.duplicates,
        totals.outside,
    )
}

fn counts_value(counts: &Counts) -> Value {
    json!({
        "records": counts.records,
        "events": counts.events,
        "blank": counts.blank,
        "rejected": counts.rejected,
        "duplicates": counts.duplicates,
        "repeats": counts.repeats,
        "outside": counts.outside,
        "lines": counts.lines,
        "bytes": counts.bytes,
    })
}

fn number(value: u64) -> Cell {
    Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

fn source_table(
    manifest: &Manifest,
    rejected_bytes: &BTreeMap<u32, u64>,
    clocks: &BTreeMap<u32, SourceClock>,
) -> Section {
    let row = |(id, source): (usize, &SourceRow)| {
        let counts = &source.counts;
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        let clock = clocks.get(&id).copied().unwrap_or_default();
        let time = |micros: Option<i64>| Cell::from(micros.map(Timestamp));
        AnswerRow {
            cells: vec![
                Cell::from(source.name.as_str()),
                number(counts.events),
                number(counts.blank),
                number(counts.rejected),
                number(rejected_bytes.get(&id).copied().unwrap_or_default()),
                number(counts.duplicates),
                number(counts.lines),
                number(source.size),
                time(source.first),
                time(source.last),
                number(clock.out_of_order),
                Cell::Number(clock.step_back / 1000),
                Cell::from(source.node.clone()),
                Cell::from(source.cluster.clone()),
                Cell::from(source.log.clone()),
                Cell::from(source.sha256.as_str()),
                Cell::from(source.problem.clone()),
            ],
            events: Vec::new(),
        }
    };
    let columns = [
        "source",
        "events",
        "blank",
        "rejected",
        "rejected_bytes",
        "duplicates",
        "lines",
        "bytes",
        "first",
        "last",
        "out_of_order",
        "step_back_ms",
        "node",
        "cluster",
        "log",
        "sha256",
        "problem",
    ];
    Section {
        title: "sources".into(),
        columns: columns.map(String::from).to_vec(),
        rows: manifest.sources.iter().enumerate().map(row).collect(),
        notes: Vec::new(),
    }
}

/// Conflicts told one by one; all are counted.
const CONFLICTS_TOLD: usize = 100;

/// One auditID, one server, one stage, and more than one content.
fn conflict_table(conflicts: &[Conflict]) -> Section {
    let rows = conflicts
        .iter()
        .take(CONFLICTS_TOLD)
        .map(|conflict| AnswerRow {
            cells: vec![
                Cell::from(conflict.audit_id.as_str()),
                Cell::from(conflict.stage.as_str()),
                Cell::from(conflict.server.as_str()),
                number(conflict.events.len() as u64),
                Cell::from(conflict.what()),
            ],
            events: Vec::new(),
        })
        .collect();
    let mut notes = Vec::new();
    if conflicts.len() > CONFLICTS_TOLD {
        notes.push(format!("{} more are not listed", conflicts.len() - CONFLICTS_TOLD));
    }
    let columns = ["audit_id", "stage", "server", "contents", "what"];
    Section {
        title: "audit id conflicts".into(),
        columns: columns.map(String::from).to_vec(),
        rows,
        notes,
    }
}

fn refused_table(manifest: &Manifest) -> Section {
    let rows = manifest
        .refused
        .iter()
        .map(|(name, reason)| AnswerRow {
            cells: vec![Cell::from(name.as_str()), Cell::from(reason.as_str())],
            events: Vec::new(),
        })
        .collect();
    Section {
        title: "not read".into(),
        columns: ["name", "reason"].map(String::from).to_vec(),
        rows,
        notes: Vec::new(),
    }
}
