//! `audithound timeline QUERY`: the events of any question in the forms of an investigation.

use std::io::Write;

use crate::cli::common::IndexArgs;
use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::open_evidence_in;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::common::without_platform;
use crate::cli::exit::Exit;
use crate::hunt::timeline::timeline;
use crate::report::story_registry::STORY_RENDERERS;
use crate::report::story_registry::story_renderer;
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
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = story_format())]
    pub format: String,
    /// Shorten nothing on a terminal (nothing is shortened anyway)
    #[arg(long)]
    pub no_truncate: bool,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
}

/// The formats of a story, with what each is good for; `table` is `text`.
pub fn story_format() -> clap::builder::PossibleValuesParser {
    let names = STORY_RENDERERS.iter().map(|renderer| {
        let value = clap::builder::PossibleValue::new(renderer.name()).help(renderer.about());
        if renderer.name() == "text" { value.alias("table") } else { value }
    });
    clap::builder::PossibleValuesParser::new(names)
}

/// Prints the timeline.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn run(args: &TimelineArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let question = parse_query(&args.query)?;
    let evidence = open_evidence_in(&args.index, args.times.zone()?)?;
    let range = args.times.range(evidence.newest())?;
    let question = without_platform(&*evidence, question, range, args.platform)?;
    let options = SearchOptions { range, limit: args.limit, ..SearchOptions::default() };
    let mut story = timeline(&*evidence, &question, &options)?;
    story.start.clone_from(&args.query);
    write_story(&story, &args.format, out)?;
    Ok(Exit::found(!story.steps.is_empty()))
}

/// Writes a story in the format asked for.
///
/// # Errors
/// When the output cannot be written.
pub fn write_story(
    story: &crate::hunt::investigate::story::Story,
    format: &str,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let name = if format == "table" { "text" } else { format };
    let renderer = story_renderer(name)
        .ok_or_else(|| anyhow::anyhow!("there is no output format {format:?}"))?;
    renderer.render(story, out)?;
    Ok(())
}
