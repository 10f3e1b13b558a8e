//! `audithound search QUERY`: the question and its hits.

use std::io::Write;

use crate::cli::common::IndexArgs;
use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::open_evidence_in;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::exit::Exit;
use crate::cli::hits::HitOutputArgs;
use crate::cli::hits::print_hits;

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound search 'user:system:anonymous AND code:403'\n  \
    audithound search 'ip:10.128.0.0/14 verb:(create OR patch)' --since 24h --sort newest\n  \
    audithound search 'sub:exec' --fields time,user,ns,name,requestURI\n  \
    audithound search nsenter --format raw | jq .\n\n\
    `audithound fields` lists the names; put the question in single quotes.")]
pub struct SearchArgs {
    /// The question; `*` is every event
    #[arg(value_name = "QUERY", default_value = "*", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How hits are printed.
    #[command(flatten)]
    pub output: HitOutputArgs,
}

/// Prints the hits.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn run(args: &SearchArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let question = parse_query(&args.query)?;
    let zone = args.times.zone()?;
    let evidence = open_evidence_in(&args.index, zone)?;
    print_hits(&*evidence, question, &args.times, args.platform, &args.output, out)
}
