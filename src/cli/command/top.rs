//! `audithound top FIELD[,FIELD] [QUERY]`: the most frequent values.

use std::io::Write;

use crate::cli::common::Counted;
use crate::cli::common::CountedArgs;
use crate::cli::common::note;
use crate::cli::common::resolve_field;
use crate::cli::exit::Exit;
use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::search::evidence::Evidence;

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
    /// Which events, and how the counts are printed.
    #[command(flatten)]
    pub counted: CountedArgs,
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
    let Counted { evidence, question, range } = args.counted.open()?;
    let mut rows = evidence.top(&question, range, &fields, distinct.as_ref(), args.min)?;
    let n_rows = rows.len();
    if args.count {
        writeln!(out, "{n_rows}")?;
        return Ok(Exit::found(n_rows > 0));
    }
    if args.limit > 0 {
        rows.truncate(args.limit);
    }
    // What is counted gives the column its name.
    let counted = match &args.distinct {
        Some(name) => format!("distinct_{}", name.trim()),
        None => "count".to_owned(),
    };
    let mut columns = vec![counted];
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
    if shown > 0 || args.counted.output.format != "table" {
        args.counted.output.print(&[answer], None, out)?;
    }
    out.flush()?;
    if shown < n_rows {
        note(&format!("only the first {shown} of {n_rows} rows are shown; --limit 0 shows all"));
    }
    Ok(Exit::found(n_rows > 0))
}
