//! `audithound pivot NAME [ARGS...]`: from one thing in the evidence to everything around it.

use std::io::Write;

use anyhow::Context;
use anyhow::anyhow;
use anyhow::bail;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::common::IndexArgs;
use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::moment;
use crate::cli::common::note;
use crate::cli::common::open_evidence_in;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::exit::Exit;
use crate::event::time::parse_duration;
use crate::hunt::answer::Answer;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot::PivotOptions;
use crate::hunt::pivot_registry::PIVOTS;
use crate::hunt::pivot_registry::find;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::section;
use crate::ledger::Ledgers;
use crate::search::evidence::Evidence;

/// Arguments of `pivot`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound pivot --list\n  \
    audithound pivot ip 10.128.1.81\n  \
    audithound pivot credential JTI=a2b87c24-8ad3-4cac-b77f-0a896de31caa\n  \
    audithound pivot user payments/visa-processor --no-platform\n  \
    audithound pivot secrets --query 'ns:payments' --since 24h\n  \
    audithound pivot around 7119706f-56e2-48e2-909d-5e36e3c1bb06 --window 5s")]
pub struct PivotArgs {
    /// Which pivot; `--list` names them all
    #[arg(value_name = "NAME", required_unless_present = "list")]
    pub name: Option<String>,
    /// What it starts from
    #[arg(value_name = "ARGS")]
    pub arguments: Vec<String>,
    /// List every pivot with its arguments
    #[arg(long)]
    pub list: bool,
    /// A further condition, as in search
    #[arg(long, value_name = "QUERY", allow_hyphen_values = true, value_parser = query_text)]
    pub query: Option<String>,
    /// At most so many requests; 0 for all
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub limit: usize,
    /// How far `around` looks to either side
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub window: String,
    /// The moment that `network` and `node` are about
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How the answer is printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// Prints what the pivot finds.
///
/// # Errors
/// When there is no such pivot, its arguments do not fit, or the index cannot be read.
pub fn run(args: &PivotArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if args.list {
        args.output.print(&[list()], None, out)?;
        return Ok(Exit::Found);
    }
    // What cannot work is told before the index is opened.
    pivot_named(args)?;
    if let Some(text) = &args.query {
        parse_query(text)?;
    }
    let evidence = open_evidence_in(&args.index, args.times.zone()?)?;
    show(&*evidence, args, out)
}

/// Prints what the pivot finds in any evidence.
///
/// # Errors
/// As [`run`].
pub fn show(
    evidence: &dyn Evidence,
    args: &PivotArgs,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let pivot = pivot_named(args)?;
    let filter = args.query.as_deref().map(parse_query).transpose()?;
    let newest = evidence.newest();
    let at = args.at.as_deref().map(|text| moment("--at", text, newest)).transpose()?;
    let window = parse_duration(args.window.trim())
        .with_context(|| format!("--window {:?} is no length of time\n  hint: 5s", args.window))?;
    let ledgers = Ledgers::build(evidence)?;
    let context = PivotContext {
        evidence,
        ledgers: &ledgers,
        range: args.times.range(newest)?,
        filter: filter.as_ref(),
        options: PivotOptions {
            limit: args.limit,
            no_platform: args.platform.no_platform,
            window,
            at,
        },
    };
    let answer = pivot.run(&context, &args.arguments)?;
    let found = answer.sections.iter().any(|section| !section.rows.is_empty());
    if args.output.format == "csv" || args.output.format == "jsonl" {
        // Tables alone have no room for the question and the remarks.
        note(&format!("query: {}", answer.query));
        for remark in &answer.notes {
            note(remark);
        }
    }
    args.output.print(&[answer], Some(evidence), out)?;
    Ok(Exit::found(found))
}

fn pivot_named(args: &PivotArgs) -> anyhow::Result<&'static dyn Pivot> {
    let Some(name) = args.name.as_deref() else {
        bail!("which pivot?\n  hint: audithound pivot --list");
    };
    find(name).ok_or_else(|| {
        let names: Vec<&str> = PIVOTS.iter().map(|pivot| pivot.name()).collect();
        let near = names
            .iter()
            .min_by_key(|known| crate::query::resolve::edit_distance(known, name))
            .copied()
            .unwrap_or_default();
        anyhow!(
            "there is no pivot {name:?}\n  hint: did you mean {near}? The pivots are: {}",
            names.join(", ")
        )
    })
}

fn list() -> Answer {
    let mut table = section("pivots", &["name", "arguments", "about"]);
    for pivot in PIVOTS {
        push(
            &mut table,
            vec![pivot.name().into(), pivot.arguments().into(), pivot.about().into()],
            Vec::new(),
        );
    }
    Answer { name: "pivot".to_owned(), sections: vec![table], ..Answer::default() }
}
