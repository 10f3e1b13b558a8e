//! `audithound formats`: what kinds of evidence can be read.

use std::io::Write;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::exit::Exit;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::intake::formats_table;

/// Arguments of `formats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Formats are told apart by content, record by record, never by file name; \
    so are containers (gzip, zstd, xz, bzip2, tar, zip, 7z, UTF-16 text), inside each other too.")]
pub struct FormatsArgs {
    /// How the table is printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// Prints the table of formats.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &FormatsArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let rows = formats_table()
        .iter()
        .map(|format| AnswerRow {
            cells: [format.name, format.about, format.from, format.example]
                .map(Cell::from)
                .to_vec(),
            events: Vec::new(),
        })
        .collect();
    let section = Section {
        title: "formats".into(),
        columns: ["format", "about", "from", "example"].map(String::from).to_vec(),
        rows,
        notes: Vec::new(),
    };
    let answer = Answer { name: "formats".into(), sections: vec![section], ..Answer::default() };
    args.output.print(&[answer], None, out)?;
    Ok(Exit::Found)
}
