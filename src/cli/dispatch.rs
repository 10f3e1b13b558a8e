//! From the command line to the exit code: the program as one page.

use std::io::BufWriter;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::Cli;
use crate::cli::args::Command;
use crate::cli::command;
use crate::cli::exit::Exit;
use crate::cli::exit::is_closed_pipe;
use crate::report::sanitize;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let cli = Cli::of_process();
    // Results are many small writes; a terminal or a pipe gets them in large ones.
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let ended = dispatch(&cli.command, &mut out)
        .and_then(|exit| out.flush().map(|()| exit).map_err(anyhow::Error::from));
    match ended {
        Ok(exit) => exit.into(),
        Err(error) if is_closed_pipe(&error) => {
            // What is still buffered has no reader any more.
            let _ = out.into_parts();
            ExitCode::SUCCESS
        }
        Err(error) => {
            // What was found before the failure is still a result.
            let _ = out.flush();
            complain(&error);
            Exit::Failed.into()
        }
    }
}

/// Runs one command; results go to `out`.
///
/// # Errors
/// Whatever kept the command from ending; the caller says it and exits with 2.
pub fn dispatch(command: &Command, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Command::Index(args) => command::index::run(args, out),
        Command::Search(args) => command::search::run(args, out),
        Command::Scan(args) => command::scan::run(args, out),
        Command::Show(args) => command::show::run(args, out),
        Command::Top(args) => command::top::run(args, out),
        Command::Histogram(args) => command::histogram::run(args, out),
        Command::Pivot(args) => command::pivot::run(args, out),
        Command::Investigate(args) => command::investigate::run(args, out),
        Command::Timeline(args) => command::timeline::run(args, out),
        Command::State(args) => command::state::run(args, out),
        Command::Hunt(args) => command::hunt::run(args, out),
        Command::Rules(args) => command::rules::run(args, out),
        Command::Sources(args) => command::sources::run(args, out),
        Command::Rejected(args) => command::rejected::run(args, out),
        Command::Verify(args) => command::verify::run(args, out),
        Command::Compare(args) => command::compare::run(args, out),
        Command::Prune(args) => command::prune::run(args, out),
        Command::Fields(args) => command::fields::run(args, out),
        Command::Formats(args) => command::formats::run(args, out),
        Command::Demo(args) => command::demo::run(args, out, &run_line),
        Command::Completions(args) => command::completions::run(args, out),
        Command::Debug(args) => command::debug::run(args, out),
    }
}

/// Runs a whole command line, as if it had been typed.
fn run_line(line: &[String], out: &mut dyn Write) -> anyhow::Result<Exit> {
    dispatch(&Cli::try_parse_from(line)?.command, out)
}

/// Says on standard error what went wrong: the sentence with its causes on one line, further
/// lines (a marked text, a remedy) below it.
fn complain(error: &anyhow::Error) {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    let _ = writeln!(std::io::stderr(), "audithound: {}", sanitize::lines(&text));
}
