//! From a question to printed hits: what `search` and `scan` share.

use std::io::Write;

use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::note;
use crate::cli::common::resolve_field;
use crate::cli::common::view;
use crate::cli::common::without_platform;
use crate::cli::exit::Exit;
use crate::event::place::Flag;
use crate::query::ast::QueryAst;
use crate::report::hits::Column;
use crate::report::hits::HitFormat;
use crate::report::hits::write_hits;
use crate::search::evidence::Dated;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;

/// How hits are printed.
#[derive(Clone, Debug, clap::Args)]
pub struct HitOutputArgs {
    /// At most so many hits; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Which end comes first
    #[arg(long, value_name = "ORDER", value_enum, default_value_t = Sort::Oldest)]
    pub sort: Sort,
    /// Fields to show, separated by commas
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub fields: Vec<String>,
    /// Output format; raw prints the original bytes and nothing else
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Print how many events match, and nothing else
    #[arg(long)]
    pub count: bool,
    /// Shorten nothing on a terminal
    #[arg(long)]
    pub no_truncate: bool,
}

impl HitOutputArgs {
    /// How many hits to ask for: one more than is shown tells whether there are more, without
    /// counting them all.
    pub fn limit_asked(&self) -> usize {
        match (self.count, self.limit) {
            (true, _) => 1,
            (false, 0) => 0,
            (false, limit) => limit.saturating_add(1),
        }
    }
}

/// The words of `--sort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// Oldest first
    Oldest,
    /// Newest first
    Newest,
}

impl From<Sort> for SortOrder {
    fn from(sort: Sort) -> SortOrder {
        match sort {
            Sort::Oldest => SortOrder::Oldest,
            Sort::Newest => SortOrder::Newest,
        }
    }
}

/// The words of `--format` for hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns
    Table,
    /// One object per hit: event, source, offset, line
    Jsonl,
    /// A spreadsheet's table in which nothing computes
    Csv,
    /// The original bytes
    Raw,
}

impl From<Format> for HitFormat {
    fn from(format: Format) -> HitFormat {
        match format {
            Format::Table => HitFormat::Table,
            Format::Jsonl => HitFormat::Jsonl,
            Format::Csv => HitFormat::Csv,
            Format::Raw => HitFormat::Raw,
        }
    }
}

/// Puts a question to `evidence` and prints what matches.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn print_hits(
    evidence: &dyn Evidence,
    question: QueryAst,
    times: &TimeArgs,
    platform: PlatformArgs,
    output: &HitOutputArgs,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let range = times.range(evidence.newest())?;
    let columns: Vec<Column> = output
        .fields
        .iter()
        .map(|name| Ok(Column { name: name.trim().to_owned(), field: resolve_field(name)? }))
        .collect::<anyhow::Result<_>>()?;
    let question = without_platform(evidence, question, range, platform)?;
    let options = SearchOptions {
        range,
        order: output.sort.into(),
        limit: output.limit_asked(),
        count_all: output.count,
    };
    if output.count {
        let count = evidence.count(&question, range)?;
        writeln!(out, "{count}")?;
        if count > 0 {
            return Ok(Exit::found(true));
        }
    }
    let hits = evidence.find(&question, &options)?;
    if !output.count {
        let shown = if output.limit == 0 { usize::MAX } else { output.limit };
        let first = hits.hits.get(..shown).unwrap_or(&hits.hits);
        let columns = (!columns.is_empty()).then_some(columns.as_slice());
        let view = view(output.no_truncate);
        let mut write = || -> anyhow::Result<()> {
            write_hits(evidence, first, output.format.into(), columns, &view, out)?;
            // The remark comes after the results it is about.
            Ok(out.flush()?)
        };
        if matches!(output.format, Format::Table | Format::Csv) {
            let conflicting = std::thread::scope(|scope| {
                let conflicting = scope.spawn(|| n_conflicting(evidence, first));
                write()?;
                conflicting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
            say_conflicts(conflicting);
        } else {
            write()?;
        }
        if first.len() < hits.hits.len() {
            note(&format!("only the first {shown} hits are shown; --limit 0 shows all of them"));
        }
    }
    for text in &hits.notes {
        note(text);
    }
    Ok(Exit::found(hits.total > 0 || !hits.hits.is_empty()))
}

/// Returns how many of the hits shown have an auditID that stands twice.
fn n_conflicting(evidence: &dyn Evidence, shown: &[Dated]) -> anyhow::Result<usize> {
    let ids: Vec<EventId> = shown.iter().map(|hit| hit.id).collect();
    Ok(evidence.conflicting(&ids)?)
}

/// Says so.
fn say_conflicts(n: usize) {
    let flag = Flag::AuditIdConflict.name();
    if n > 0 {
        note(&format!(
            "{n} of the hits shown have flag:{flag}: another event of the same auditID, stage and \
             server has other content; `audithound show AUDIT_ID` prints both"
        ));
    }
}
