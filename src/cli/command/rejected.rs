//! `audithound rejected`: every record that is no event, with its place and the reason.

use std::io::Write;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::common::IndexArgs;
use crate::cli::common::note;
use crate::cli::exit::Exit;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::index::reader::IndexReader;

/// Arguments of `rejected`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound rejected\n  \
    audithound rejected --count\n  \
    audithound rejected --limit 0 --format csv > rejected.csv")]
pub struct RejectedArgs {
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// At most so many rows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// Print how many there are, and nothing else
    #[arg(long)]
    pub count: bool,
    /// How the table is printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// Prints the rejected records.
///
/// # Errors
/// When the index cannot be read or the output cannot be written.
pub fn run(args: &RejectedArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let reader = IndexReader::open(&args.index.dir)?;
    let rejected = reader.rejected()?;
    if args.count {
        writeln!(out, "{}", rejected.len())?;
        return Ok(Exit::found(!rejected.is_empty()));
    }
    let shown = if args.limit == 0 { rejected.len() } else { args.limit };
    let number = |value: u64| Cell::Number(i64::try_from(value).unwrap_or(i64::MAX));
    let rows: Vec<AnswerRow> = rejected
        .iter()
        .take(shown)
        .map(|row| AnswerRow {
            cells: vec![
                Cell::from(reader.sources.get(row.source as usize).cloned()),
                number(row.offset),
                number(row.line),
                number(row.length),
                Cell::from(row.reason.as_str()),
                Cell::from(row.text.as_str()),
            ],
            events: Vec::new(),
        })
        .collect();
    let columns = ["source", "offset", "line", "length", "reason", "text"];
    let section = Section {
        title: "rejected".into(),
        columns: columns.map(String::from).to_vec(),
        rows,
        notes: Vec::new(),
    };
    let answer = Answer { name: "rejected".into(), sections: vec![section], ..Answer::default() };
    if !rejected.is_empty() || args.output.format != "table" {
        args.output.print(&[answer], None, out)?;
    }
    out.flush()?;
    if shown < rejected.len() {
        let all = rejected.len();
        note(&format!("only the first {shown} of {all} are shown; --limit 0 shows all of them"));
    }
    Ok(Exit::found(!rejected.is_empty()))
}
