//! `audithound investigate START`: one clue becomes the whole story.

use std::io::Write;

use crate::cli::common::StoryArgs;
use crate::cli::common::note;
use crate::cli::common::open_evidence_in;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::exit::Exit;
use crate::hunt::investigate::InvestigateOptions;
use crate::hunt::investigate::investigate;
use crate::ledger::Ledgers;

/// Arguments of `investigate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound investigate 10.128.1.81\n  \
    audithound investigate payments/api-7d9f6c5b8-x2x1v\n  \
    audithound investigate JTI=a2b87c24-8ad3-4cac-b77f-0a896de31caa --format markdown\n  \
    audithound investigate 'user:system:anonymous code:403 resource:secrets' --format html > story.html\n\n\
    The steps accuse; hypotheses and consequences do not. Exit status: 0 whenever it ran.")]
pub struct InvestigateArgs {
    /// An address, user, pod (NAMESPACE/NAME, name or uid), credential id, auditID, or a question
    #[arg(value_name = "START", allow_hyphen_values = true, value_parser = query_text)]
    pub start: String,
    /// Only this cluster, where the evidence holds several
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// How it is printed, and where it comes from.
    #[command(flatten)]
    pub story: StoryArgs,
}

/// Prints the story.
///
/// # Errors
/// When the clue is neither known nor a question, or the evidence cannot be read.
pub fn run(args: &InvestigateArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let evidence = open_evidence_in(&args.story.index, args.story.times.zone()?)?;
    let range = args.story.times.range(evidence.newest())?;
    let ledgers = Ledgers::build(&*evidence)?;
    let parsed = parse_query(&args.start).map_err(|error| format!("{error:#}"));
    let options = InvestigateOptions { range, cluster: args.cluster.clone() };
    let mut story = investigate(&*evidence, &ledgers, &args.start, &parsed, &options)?;
    if args.story.platform.no_platform {
        let before = story.consequences.len();
        let hidden: usize =
            story.consequences.iter().filter(|c| c.platform).map(|c| c.events.len()).sum();
        story.consequences.retain(|consequence| !consequence.platform);
        if before > story.consequences.len() {
            note(&format!("--no-platform hides {hidden} events of platform identities"));
        }
    }
    args.story.print(&story, out)?;
    Ok(Exit::Found)
}
