//! `audithound prune --before TIME`: old days are dropped from an index.

use std::io::Write;

use crate::cli::common::IndexArgs;
use crate::cli::common::moment;
use crate::cli::common::note;
use crate::cli::common::open_evidence;
use crate::cli::exit::Exit;
use crate::index::prune::prune;

/// Arguments of `prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound prune --before 2025-11-01\n  \
    audithound prune --before 90d\n\n\
    Only the index is touched, never a source.")]
pub struct PruneArgs {
    /// What ended before this moment goes: RFC 3339, a date, or counting back from the newest event
    #[arg(long, value_name = "TIME")]
    pub before: String,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
}

/// Drops what is old.
///
/// # Errors
/// When the time cannot be read or the index cannot be written.
pub fn run(args: &PruneArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let newest = open_evidence(&args.index)?.newest();
    let before = moment("--before", &args.before, newest)?;
    let summary = prune(&args.index.dir, before)?;
    writeln!(
        out,
        "{} events in {} packs dropped, {} bytes given back",
        summary.events, summary.packs, summary.bytes
    )?;
    if summary.kept_packs > 0 {
        note(&format!(
            "{} packs hold events from before {before} and later ones, and stay whole",
            summary.kept_packs
        ));
    }
    Ok(Exit::found(summary.packs > 0))
}
