//! What can be typed: the table of commands.

use crate::cli::command;

/// A fast indexed search engine for Kubernetes and OpenShift audit-log archives.
#[derive(Debug, clap::Parser)]
#[command(name = "audithound", version, max_term_width = 100, arg_required_else_help = true)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "Exit status: 0 found, 1 nothing found, 2 error.\n\
    First steps: audithound demo; audithound index PATH...; audithound search 'code:403'")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands, in the order an analyst meets them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Lists every field and alias that a query can name
    Fields(command::fields::FieldsArgs),
    /// Rebuilds objects as they were at a moment
    State(command::state::StateArgs),
    /// Prints a completion script for a shell
    Completions(command::completions::CompletionsArgs),
}
