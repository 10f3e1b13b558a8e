//! `audithound fields`: every name a query can use.

use std::io::Write;

use crate::cli::common::AnswerOutputArgs;
use crate::cli::exit::Exit;
use crate::event::field::ALIASES;
use crate::event::field::FIELDS;
use crate::event::field::FieldKind;
use crate::event::field::PSEUDO_FIELDS;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;

/// Arguments of `fields`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  audithound fields --format csv")]
pub struct FieldsArgs {
    /// How the table is printed.
    #[command(flatten)]
    pub output: AnswerOutputArgs,
}

/// Prints the table of fields.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &FieldsArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    args.output.print(&[field_table()], None, out)?;
    Ok(Exit::Found)
}

fn field_table() -> Answer {
    let row = |name: &str, kind: &str, about: String| AnswerRow {
        cells: vec![Cell::from(name), Cell::from(kind), Cell::from(about)],
        events: Vec::new(),
    };
    let mut rows: Vec<AnswerRow> = FIELDS
        .iter()
        .chain(PSEUDO_FIELDS)
        .map(|field| row(field.name, kind_name(field.kind), field.about.to_owned()))
        .collect();
    rows.extend(ALIASES.iter().map(|a| row(a.name, "alias", format!("= {}", a.stands_for))));
    Answer {
        name: "fields".into(),
        sections: vec![Section {
            title: "fields".into(),
            columns: ["field", "kind", "about"].map(String::from).to_vec(),
            rows,
            notes: Vec::new(),
        }],
        ..Answer::default()
    }
}

fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Number => "number",
        FieldKind::Time => "time",
        FieldKind::Address => "address",
        FieldKind::Open => "open",
    }
}
