//! `audithound scan QUERY PATH...`: the same question with no index, by judging every event.

use std::io::Write;
use std::path::PathBuf;

use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::query_text;
use crate::cli::common::scan_evidence;
use crate::cli::exit::Exit;
use crate::cli::hits::HitOutputArgs;
use crate::cli::hits::print_hits;

/// Arguments of `scan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound scan 'code:403' audit.log\n  \
    zcat old.gz | audithound scan 'sub:exec' -\n\n\
    Every event is held in memory and judged one by one: for a first look, and for checking an \
    index. Many questions are faster on an index.")]
pub struct ScanArgs {
    /// The question; `*` is every event
    #[arg(value_name = "QUERY", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// Files, directories, archives; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How hits are printed.
    #[command(flatten)]
    pub output: HitOutputArgs,
    /// Name of the cluster where the evidence does not say
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
}

/// Prints the hits.
///
/// # Errors
/// When the question cannot be asked, a path cannot be read, or the output cannot be written.
pub fn run(args: &ScanArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // A question that cannot be asked is told before the paths are read.
    crate::cli::common::parse_query(&args.query, &args.times.tz)?;
    let evidence = scan_evidence(&args.paths, args.cluster.as_deref())?;
    print_hits(&*evidence, &args.query, &args.times, args.platform, &args.output, out)
}
