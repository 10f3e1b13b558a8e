//! `audithound state KIND [NAMESPACE/NAME]`: objects as they were at a moment.

use std::io::Write;

use anyhow::bail;

use crate::cli::common::IndexArgs;
use crate::cli::common::moment;
use crate::cli::common::open_evidence;
use crate::cli::common::view;
use crate::cli::exit::Exit;
use crate::event::time::Timestamp;
use crate::hunt::state::fold::Existence;
use crate::hunt::state::history::owner_chain;
use crate::hunt::state::rebuild::Rebuilt;
use crate::hunt::state::rebuild::diff;
use crate::hunt::state::rebuild::fold_until;
use crate::hunt::state::rebuild::rebuild;
use crate::hunt::state::write::Target;
use crate::hunt::state::write::collect;
use crate::report::renderers::object_state;
use crate::report::renderers::yaml::write_yaml;
use crate::search::evidence::Evidence;
use crate::search::evidence::SearchOptions;

/// Arguments of `state`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound state pod payments/api-7d9f --at 2025-12-09T12:57:40Z\n  \
    audithound state clusterrolebindings --at 2025-12-09T13:00:00Z\n  \
    audithound state deployment shop/web --diff 2025-12-01 2025-12-09\n  \
    audithound state pod shop/web-5c6-x2x1 --history")]
pub struct StateArgs {
    /// Kind or resource, as in `pod`, `deployments.apps`, `crb`
    #[arg(value_name = "KIND")]
    pub kind: String,
    /// Which object: NAMESPACE/NAME, or NAME where the kind has no namespaces; NAMESPACE/ for all
    /// of a namespace
    #[arg(value_name = "NAMESPACE/NAME")]
    pub object: Option<String>,
    /// The moment: RFC 3339, a date, or counting back from the newest event; the end of the
    /// evidence if not given
    #[arg(long, value_name = "TIME", conflicts_with = "diff")]
    pub at: Option<String>,
    /// Shows what differs between two moments
    #[arg(long, num_args = 2, value_names = ["T1", "T2"])]
    pub diff: Option<Vec<String>>,
    /// Shows every change of what the object can do, and of its owners up the chain
    #[arg(long, conflicts_with = "diff")]
    pub history: bool,
    /// Only objects of this cluster
    #[arg(long, value_name = "CLUSTER")]
    pub cluster: Option<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "table", "json", "yaml"])]
    pub format: String,
    /// Shorten nothing on a terminal
    #[arg(long)]
    pub no_truncate: bool,
    /// The index.
    #[command(flatten)]
    pub index: IndexArgs,
}

/// Prints the state.
///
/// # Errors
/// When the index cannot be read or a time makes no sense.
pub fn run(args: &StateArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let evidence = open_evidence(&args.index)?;
    show(evidence.as_ref(), args, out)
}

/// Prints the state out of any evidence.
///
/// # Errors
/// As [`run`].
pub fn show(
    evidence: &dyn Evidence,
    args: &StateArgs,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let target = target_of(args);
    let newest = evidence.newest();
    if let Some([from, to]) = args.diff.as_deref() {
        let from = moment("--diff", from, newest)?;
        let to = moment("--diff", to, newest)?;
        return show_diff(evidence, args, &target, (from, to), out);
    }
    let at = args.at.as_deref().map(|text| moment("--at", text, newest)).transpose()?;
    if args.history {
        if target.name.is_empty() {
            bail!(
                "--history is about one object\n  hint: audithound state {} NAMESPACE/NAME --history",
                target.kind
            );
        }
        let (links, first, why) = owner_chain(evidence, &target, at)?;
        if args.format == "json" {
            writeln!(out, "{}", object_state::history_json(&target, &links, &why, &first))?;
        } else {
            object_state::write_history(&links, &why, &first, out)?;
        }
        return Ok(Exit::found(!links.is_empty()));
    }
    let rebuilt = rebuild(evidence, &target, at)?;
    match args.format.as_str() {
        "json" => writeln!(out, "{}", object_state::rebuilt_json(&target, at, &rebuilt))?,
        "yaml" => write_documents(&rebuilt, out)?,
        _ => {
            let width = view(args.no_truncate).width;
            object_state::write_text(&target, at, &rebuilt, width, out)?;
        }
    }
    Ok(Exit::found(!rebuilt.objects.is_empty()))
}

/// A name without a slash is a name, whatever the namespace.
fn target_of(args: &StateArgs) -> Target {
    let typed = args.object.as_deref().unwrap_or_default();
    let (namespace, name) = typed.split_once('/').unwrap_or(("", typed));
    Target {
        kind: args.kind.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        cluster: args.cluster.clone(),
    }
}

fn write_documents(rebuilt: &Rebuilt, out: &mut dyn Write) -> anyhow::Result<()> {
    for state in rebuilt.objects.values() {
        if matches!(state.existence, Existence::Present | Existence::Terminating) {
            writeln!(out, "---")?;
            for why in &state.unknown {
                writeln!(out, "# unknown: {}", crate::report::sanitize::terminal(why))?;
            }
            write_yaml(&state.object, 0, out)?;
        }
    }
    Ok(())
}

fn show_diff(
    evidence: &dyn Evidence,
    args: &StateArgs,
    target: &Target,
    (from, to): (Timestamp, Timestamp),
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let all = collect(evidence, &target.writes(), &SearchOptions::default())?;
    let before = fold_until(&all, target, Some(from));
    let after = fold_until(&all, target, Some(to));
    let mut notes = after.notes.clone();
    let mut differences = Vec::new();
    for (key, new) in &after.objects {
        let nothing = Default::default();
        let old = before.objects.get(key).unwrap_or(&nothing);
        let rows = diff(old, new);
        if !rows.is_empty() {
            differences.push((key.clone(), rows));
        }
        for why in old.unknown.iter().chain(&new.unknown) {
            let label =
                if key.0.is_empty() { key.1.clone() } else { format!("{}/{}", key.0, key.1) };
            let note = format!("{label}: {why}");
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    if args.format == "json" {
        writeln!(out, "{}", object_state::diff_json(target, from, to, &differences, &notes))?;
    } else {
        object_state::write_diff(target, &differences, &notes, out)?;
    }
    Ok(Exit::found(!differences.is_empty()))
}
