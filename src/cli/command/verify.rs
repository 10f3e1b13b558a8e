//! `audithound verify`: an index held against itself and against its sources.

use std::io::Write;

use serde_json::json;

use crate::cli::command::index::SummaryFormat;
use crate::cli::common::IndexArgs;
use crate::cli::exit::Exit;
use crate::index::verify::VerifyReport;
use crate::index::verify::verify;
use crate::report::sanitize;

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound verify\n  \
    audithound verify --index case-17.index --format json\n\n\
    Every byte of the index is checked, every event is put together again, and, where the sources \
    are still there, compared with them. Exit status 2 when something does not fit.")]
pub struct VerifyArgs {
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// Verifies the index and says what does not fit.
///
/// # Errors
/// When the index cannot be opened or the output cannot be written.
pub fn run(args: &VerifyArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let report = verify(&args.index.dir)?;
    match args.format {
        SummaryFormat::Text => write_text(&report, out)?,
        SummaryFormat::Json => writeln!(
            out,
            "{}",
            json!({
                "events": report.events,
                "compared": report.compared,
                "sources": report.sources,
                "gone": report.gone,
                "problems": report.problems,
                "ok": report.problems.is_empty(),
            })
        )?,
    }
    Ok(if report.problems.is_empty() { Exit::Found } else { Exit::Failed })
}

fn write_text(report: &VerifyReport, out: &mut dyn Write) -> std::io::Result<()> {
    for problem in &report.problems {
        writeln!(out, "DAMAGED  {}", sanitize::terminal(problem))?;
    }
    for name in &report.gone {
        writeln!(
            out,
            "gone     {}: only what the index holds of it was checked",
            sanitize::terminal(name)
        )?;
    }
    writeln!(
        out,
        "{} events checked, {} compared with {} sources read again: {}",
        report.events,
        report.compared,
        report.sources,
        match report.problems.len() {
            0 => "all is as it was written".to_owned(),
            1 => "1 thing does not fit".to_owned(),
            n => format!("{n} things do not fit"),
        }
    )
}
