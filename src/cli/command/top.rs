//! `audithound top FIELD[,FIELD] [QUERY]`: the most frequent values.

use std::io::Write;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::common::IndexArgs;
use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::note;
use crate::cli::common::open_evidence_in;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::common::resolve_field;
use crate::cli::common::without_platform;
use crate::cli::exit::Exit;
use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;

/// Arguments of `top`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound top user 'code:403'\n  \
    audithound top user,verb 'resource:secrets' --since 7d\n  \
    audithound top credential --distinct peer --min 2")]
pub struct TopArgs {
    /// Fields whose values are counted together, separated by commas
    #[arg(value_name = "FIELD[,FIELD]")]
    pub fields: String,
    /// Which events are counted
    #[arg(value_name = "QUERY", default_value = "*", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// Count the different values of this field instead of events
    #[arg(long, value_name = "FIELD")]
    pub distinct: Option<String>,
    /// Leave out rows that count less
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub min: u64,
    /// At most so many rows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print how many rows there are, and nothing else
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

/// Prints the most frequent values.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn run(args: &TopArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let names: Vec<&str> = args.fields.split(',').map(str::trim).collect();
    let fields: Vec<Field> =
        names.iter().map(|name| resolve_field(name)).collect::<anyhow::Result<_>>()?;
    let distinct = args.distinct.as_deref().map(resolve_field).transpose()?;
    let question = parse_query(&args.query)?;
    let evidence = open_evidence_in(&args.index, args.times.zone()?)?;
    let range = args.times.range(evidence.newest())?;
    let question = without_platform(&*evidence, question, range, args.platform)?;
    let mut rows = evidence.top(&question, range, &fields, distinct.as_ref(), args.min)?;
    let n_rows = rows.len();
    if args.count {
        writeln!(out, "{n_rows}")?;
        return Ok(Exit::found(n_rows > 0));
    }
    if args.limit > 0 {
        rows.truncate(args.limit);
    }
    let mut columns = vec!["count".to_owned()];
    columns.extend(names.iter().map(|name| (*name).to_owned()));
    columns.extend(["first".to_owned(), "last".to_owned()]);
    let shown = rows.len();
    let rows = rows
        .into_iter()
        .map(|row| {
            let mut cells = vec![Cell::Number(i64::try_from(row.count).unwrap_or(i64::MAX))];
            cells.extend(row.values.into_iter().map(Cell::from));
            cells.extend([Cell::from(row.first), Cell::from(row.last)]);
            AnswerRow { cells, events: Vec::new() }
        })
        .collect();
    let section = Section { title: "top".into(), columns, rows, notes: Vec::new() };
    let answer = Answer { name: "top".into(), sections: vec![section], ..Answer::default() };
    if shown > 0 || args.output.format != "table" {
        args.output.print(&[answer], None, out)?;
    }
    out.flush()?;
    if shown < n_rows {
        note(&format!("only the first {shown} of {n_rows} rows are shown; --limit 0 shows all"));
    }
    Ok(Exit::found(n_rows > 0))
}
