//! `audithound search QUERY`: the question and its hits.

use std::io::Write;

use crate::cli::common::IndexArgs;
use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::note;
use crate::cli::common::open_index;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::exit::Exit;
use crate::cli::hits::HitOutputArgs;
use crate::cli::hits::print_hits;
use crate::event::field::FIELDS;
use crate::event::field::Field;
use crate::query::ast::QueryAst;
use crate::query::resolve::nearest_path;

/// Arguments of `search`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound search 'user:system:anonymous AND code:403'\n  \
    audithound search 'ip:10.128.0.0/14 verb:(create OR patch)' --since 24h --sort newest\n  \
    audithound search 'sub:exec' --fields time,user,ns,name,requestURI\n  \
    audithound search nsenter --format raw | jq .\n\n\
    `audithound fields` lists the names; put the question in single quotes.")]
pub struct SearchArgs {
    /// The question; `*` is every event
    #[arg(value_name = "QUERY", default_value = "*", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// How hits are printed.
    #[command(flatten)]
    pub output: HitOutputArgs,
}

/// Prints the hits.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn run(args: &SearchArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let question = parse_query(&args.query)?;
    let zone = args.times.zone()?;
    let evidence = open_index(&args.index, zone)?.for_one_question();
    let asked = asked_paths(&question);
    let exit = print_hits(&evidence, question, &args.times, args.platform, &args.output, out)?;
    if exit == Exit::Nothing && !asked.is_empty() {
        hint_paths(&asked, &evidence.paths()?);
    }
    // The process ends here: taking everything apart before it does costs more than many questions.
    std::mem::forget(evidence);
    Ok(exit)
}

/// Returns the paths below the open roots that a question asks about: those that no event may
/// have.
fn asked_paths(question: &QueryAst) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = vec![(String::new(), question)];
    while let Some((prefix, part)) = open.pop() {
        let whole = |path: &str| {
            if prefix.is_empty() { path.to_owned() } else { format!("{prefix}.{path}") }
        };
        match part {
            QueryAst::And(parts) | QueryAst::Or(parts) => {
                open.extend(parts.iter().map(|part| (prefix.clone(), part)));
            }
            QueryAst::Not(inner) => open.push((prefix.clone(), inner)),
            QueryAst::Within { path, inner } => {
                found.push(whole(path));
                open.push((whole(path), inner));
            }
            QueryAst::Field { field: Field::Path(path), .. } if !path.is_empty() => {
                found.push(whole(path));
            }
            _ => {}
        }
    }
    found.retain(|path| !FIELDS.iter().any(|row| row.name == path));
    found.sort_unstable();
    found.dedup();
    found
}

/// Says which of the asked paths no event has, and what comes near.
fn hint_paths(asked: &[String], known: &[String]) {
    for path in asked {
        let below = format!("{path}.");
        if known.iter().any(|known| known == path || known.starts_with(&below)) {
            continue;
        }
        let near = nearest_path(path, known.iter().map(String::as_str));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        note(&format!("no event has {path}{near}"));
    }
}
