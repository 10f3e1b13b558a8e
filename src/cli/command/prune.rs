//! `audithound prune --before TIME`: old days are dropped from an index.

use std::io::Write;

use serde_json::json;

use crate::cli::command::index::SummaryFormat;
use crate::cli::common::IndexArgs;
use crate::cli::common::moment;
use crate::cli::exit::Exit;
use crate::event::time::Timestamp;
use crate::index::prune::prune;
use crate::index::reader::IndexReader;

/// Arguments of `prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound prune --before 2025-12-01\n  \
    audithound prune --before 30d --index case-17.index\n\n\
    Whole packs are dropped: one that also holds later events stays as it is, and so do events \
    without a time. The sources are not touched; what was read stays in the books.")]
pub struct PruneArgs {
    /// Drop what is older: RFC 3339, a date, or counting back from the newest event (24h, 7d)
    #[arg(long, value_name = "TIME")]
    pub before: String,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// Drops the packs and says how many.
///
/// # Errors
/// When the time cannot be read, or the index cannot be opened or written.
pub fn run(args: &PruneArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // The mapped packs are let go of before any is dropped.
    let newest = {
        let reader = IndexReader::open(&args.index.dir)?;
        reader.manifest.packs.iter().filter_map(|pack| pack.last).max().map(Timestamp)
    };
    let before = moment("--before", &args.before, newest)?;
    let summary = prune(&args.index.dir, before)?;
    match args.format {
        SummaryFormat::Json => {
            let value = json!({
                "before": before.to_rfc3339(),
                "events": summary.events,
                "packs": summary.packs,
                "bytes": summary.bytes,
                "kept_packs": summary.kept_packs,
            });
            writeln!(out, "{value}")?;
        }
        SummaryFormat::Text => {
            writeln!(
                out,
                "dropped {} events before {before} in {} packs ({} bytes)",
                summary.events, summary.packs, summary.bytes
            )?;
            if summary.kept_packs > 0 {
                writeln!(
                    out,
                    "{} packs with earlier events are kept because they also hold later ones",
                    summary.kept_packs
                )?;
            }
        }
    }
    Ok(Exit::found(summary.packs > 0))
}
