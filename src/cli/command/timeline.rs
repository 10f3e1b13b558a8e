//! `audithound timeline QUERY`: the events of any question in the forms of an investigation.

use std::io::Write;

use crate::cli::common::StoryArgs;
use crate::cli::common::open_evidence_in;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::common::without_platform;
use crate::cli::exit::Exit;
use crate::hunt::timeline::timeline;
use crate::search::evidence::SearchOptions;

/// Arguments of `timeline`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound timeline 'user:system:anonymous code:403'\n  \
    audithound timeline 'sub:exec' --format timesketch > exec.jsonl\n  \
    audithound timeline 'ns:payments-v2' --no-platform --format html > payments-v2.html")]
pub struct TimelineArgs {
    /// The question; `*` is every event
    #[arg(value_name = "QUERY", default_value = "*", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// At most so many events, the oldest first; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub limit: usize,
    /// How it is printed, and where it comes from.
    #[command(flatten)]
    pub story: StoryArgs,
}

/// Prints the timeline.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn run(args: &TimelineArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let question = parse_query(&args.query)?;
    let evidence = open_evidence_in(&args.story.index, args.story.times.zone()?)?;
    let range = args.story.times.range(evidence.newest())?;
    let question = without_platform(&*evidence, question, range, args.story.platform)?;
    let options = SearchOptions { range, limit: args.limit, ..SearchOptions::default() };
    let mut story = timeline(&*evidence, &question, &options)?;
    story.start.clone_from(&args.query);
    args.story.print(&story, out)?;
    Ok(Exit::found(!story.steps.is_empty()))
}
