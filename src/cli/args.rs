//! What can be typed: the table of commands.

use clap::Parser;

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

impl Cli {
    /// Parses the arguments of the process, and ends it where they are wrong or ask for help.
    pub fn of_process() -> Cli {
        if std::env::args_os().nth(1).is_some_and(|command| command == "search") {
            let SearchCli { command: SearchOnly::Search(args) } = SearchCli::parse();
            return Cli { command: Command::Search(args) };
        }
        Cli::parse()
    }
}

/// The program as far as `search` needs it: making all other commands ready to be parsed takes
/// longer than many a question.
#[derive(Debug, clap::Parser)]
#[command(name = "audithound", version, max_term_width = 100, disable_help_subcommand = true)]
struct SearchCli {
    #[command(subcommand)]
    command: SearchOnly,
}

#[derive(Debug, clap::Subcommand)]
enum SearchOnly {
    /// Answers a question from an index
    Search(command::search::SearchArgs),
}

/// The commands, in the order an analyst meets them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Indexes audit logs: files, directories, archives
    Index(command::index::IndexCommandArgs),
    /// Answers a question from an index
    Search(command::search::SearchArgs),
    /// Answers a question without an index, by judging every event
    Scan(command::scan::ScanArgs),
    /// Shows all stages of one request with their places
    Show(command::show::ShowArgs),
    /// Counts the most frequent values of fields
    Top(command::top::TopArgs),
    /// Counts events over time
    Histogram(command::histogram::HistogramArgs),
    /// Goes from one thing in the evidence to everything around it
    Pivot(command::pivot::PivotArgs),
    /// Follows one clue to the whole story
    Investigate(command::investigate::InvestigateArgs),
    /// Prints the events of a question as a timeline
    Timeline(command::timeline::TimelineArgs),
    /// Rebuilds objects as they were at a moment
    State(command::state::StateArgs),
    /// Runs detection rules and correlations over everything
    Hunt(command::hunt::HuntArgs),
    /// Lists, shows and checks the rules of hunts
    Rules(command::rules::RulesArgs),
    /// Shows what the evidence is, and what it can and cannot show
    Sources(command::sources::SourcesArgs),
    /// Lists every record that is no event, with its place and the reason
    Rejected(command::rejected::RejectedArgs),
    /// Checks an index against itself and against its sources
    Verify(command::verify::VerifyArgs),
    /// Names what one copy of a log has and the other lacks
    Compare(command::compare::CompareArgs),
    /// Drops old days from an index
    Prune(command::prune::PruneArgs),
    /// Lists every field and alias that a query can name
    Fields(command::fields::FieldsArgs),
    /// Lists every format of evidence that can be read
    Formats(command::formats::FormatsArgs),
    /// Walks through the investigation of a bundled incident
    Demo(command::demo::DemoArgs),
    /// Prints a completion script for a shell
    Completions(command::completions::CompletionsArgs),
    /// Shows the stages from text to answer
    #[command(hide = true)]
    Debug(command::debug::DebugArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            assert!(sub.get_about().is_some(), "{}", sub.get_name());
            for arg in sub.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", sub.get_name(), arg.get_id());
            }
        }
    }
}
