//! `audithound completions SHELL`: a script that completes commands and flags.

use std::io::Write;

use clap::CommandFactory;

use crate::cli::args::Cli;
use crate::cli::exit::Exit;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  audithound completions bash > ~/.local/share/bash-completion/completions/audithound"
)]
pub struct CompletionsArgs {
    /// The shell that is to read the script
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Prints the script.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &CompletionsArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // clap_complete panics when a write fails, so the script is made in memory first.
    let mut script: Vec<u8> = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "audithound", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Found)
}
