//! `audithound histogram [QUERY] --interval 1h`: how many events when.

use std::io::Write;

use anyhow::Context;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::common::IndexArgs;
use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::open_evidence_in;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::common::without_platform;
use crate::cli::exit::Exit;
use crate::event::time::parse_duration;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;

/// Characters of the longest bar.
const BAR: u64 = 40;

/// Arguments of `histogram`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound histogram --interval 1d\n  \
    audithound histogram 'user:system:anonymous' --interval 5m --since 24h\n\n\
    Intervals begin at multiples of their length since 1970-01-01T00:00:00Z; intervals without \
    events are not listed.")]
pub struct HistogramArgs {
    /// Which events are counted
    #[arg(value_name = "QUERY", default_value = "*", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// Length of an interval: 30s, 5m, 1h, 1d
    #[arg(long, value_name = "LENGTH", default_value = "1h")]
    pub interval: String,
    /// Print how many intervals have events, and nothing else
    #[arg(long)]
    pub count: bool,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How the table is printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// Prints the counts.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn run(args: &HistogramArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let interval =
        parse_duration(args.interval.trim()).filter(|length| *length > 0).with_context(|| {
            format!("--interval {:?} is no length of time\n  hint: 30s, 5m, 1h, 1d", args.interval)
        })?;
    let question = parse_query(&args.query)?;
    let evidence = open_evidence_in(&args.index, args.times.zone()?)?;
    let range = args.times.range(evidence.newest())?;
    let question = without_platform(&*evidence, question, range, args.platform)?;
    let buckets = evidence.histogram(&question, range, interval)?;
    if args.count {
        writeln!(out, "{}", buckets.len())?;
        return Ok(Exit::found(!buckets.is_empty()));
    }
    let drawn = args.output.format == "table";
    let most = buckets.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let rows = buckets
        .iter()
        .map(|(time, count)| {
            let mut cells =
                vec![Cell::Time(*time), Cell::Number(i64::try_from(*count).unwrap_or(i64::MAX))];
            if drawn {
                let length = (u128::from(*count) * u128::from(BAR)).div_ceil(u128::from(most));
                cells.push(Cell::Text("█".repeat(usize::try_from(length).unwrap_or(0))));
            }
            AnswerRow { cells, events: Vec::new() }
        })
        .collect();
    let mut columns = vec!["time".to_owned(), "count".to_owned()];
    if drawn {
        columns.push("bar".to_owned());
    }
    let section = Section { title: "histogram".into(), columns, rows, notes: Vec::new() };
    let answer = Answer { name: "histogram".into(), sections: vec![section], ..Answer::default() };
    if !buckets.is_empty() || !drawn {
        args.output.print(&[answer], None, out)?;
    }
    Ok(Exit::found(!buckets.is_empty()))
}
