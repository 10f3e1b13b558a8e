//! `audithound rules`: what the hunts are, whether rules are in order, what they cover.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::bail;
use serde_json::Value;

use crate::cli::command::hunt::RuleArgs;
use crate::cli::command::hunt::read_rules;
use crate::cli::common::view;
use crate::cli::exit::Exit;
use crate::hunt::attack::TACTICS;
use crate::hunt::batch::Rules;
use crate::hunt::batch::cards;
use crate::hunt::finding::Card;
use crate::hunt::pack;
use crate::report::hunt::json::card as card_json;
use crate::report::sanitize;
use crate::report::table::write_table;
use crate::sigma::Vars;
use crate::sigma::logsource::not_applicable;
use crate::sigma::rule::RuleSet;

/// Arguments of `rules`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound rules list --format json | jq -r '.[].id'\n  \
    audithound rules show pod-exec\n  \
    audithound rules lint my-rules/")]
pub struct RulesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub action: RulesAction,
}

/// What can be done with rules.
#[derive(Debug, clap::Subcommand)]
pub enum RulesAction {
    /// Lists every hunt and correlation
    List(ListArgs),
    /// Shows one of them in full
    Show(ShowArgs),
    /// Checks rules against what an audit event can hold
    Lint(LintArgs),
    /// Shows which ATT&CK techniques are covered
    Coverage(ListArgs),
}

/// Arguments of `rules list` and `rules coverage`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Which rules.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    pub format: String,
    /// Author and licence instead of what they find
    #[arg(long)]
    pub licenses: bool,
}

/// Arguments of `rules show`.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Short id, UUID, name or title
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// Which rules.
    #[command(flatten)]
    pub rules: RuleArgs,
}

/// Arguments of `rules lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 fine, 1 warnings, 2 unreadable.")]
pub struct LintArgs {
    /// Files or folders
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

/// Runs the action.
///
/// # Errors
/// When rules cannot be read or the output cannot be written.
pub fn run(args: &RulesArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &args.action {
        RulesAction::List(args) => list(args, out),
        RulesAction::Show(args) => show(args, out),
        RulesAction::Lint(args) => lint(args, out),
        RulesAction::Coverage(args) => coverage(args, out),
    }
}

fn json_line(value: &Value, out: &mut dyn Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

fn table(columns: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> anyhow::Result<()> {
    let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| sanitize::terminal(cell).into_owned()).collect())
        .collect();
    let view = view(false);
    write_table(&columns, &rows, view.width, view.colour, out)?;
    Ok(())
}

fn list(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let rules = args.rules.load()?;
    let cards = cards(&rules);
    if args.format == "json" {
        let all = cards.iter().map(|card| Value::Object(card_json(card))).collect();
        json_line(&Value::Array(all), out)?;
        return Ok(Exit::Found);
    }
    if args.licenses {
        let rows: Vec<Vec<String>> = cards
            .iter()
            .map(|c| {
                let license = c.license.clone().unwrap_or_else(|| "as its collection".into());
                vec![c.rule.clone(), c.author.clone(), license, c.origin.clone()]
            })
            .collect();
        table(&["id", "author", "license", "origin"], &rows, out)?;
        return Ok(Exit::Found);
    }
    let rows: Vec<Vec<String>> = cards
        .iter()
        .map(|c| {
            vec![
                c.rule.clone(),
                c.level.name().to_owned(),
                c.kind.name().to_owned(),
                c.needs.name().to_owned(),
                c.techniques.join(" "),
                c.title.clone(),
            ]
        })
        .collect();
    table(&["id", "level", "kind", "needs", "att&ck", "title"], &rows, out)?;
    Ok(Exit::Found)
}

fn show(args: &ShowArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let rules = args.rules.load()?;
    let cards = cards(&rules);
    let wanted = |c: &&Card| {
        c.rule == args.rule || c.id.as_deref() == Some(&args.rule) || c.title == args.rule
    };
    let Some(card) = cards.iter().find(wanted) else {
        bail!("there is no rule {:?}\n  hint: audithound rules list", args.rule);
    };
    let line = |out: &mut dyn Write, name: &str, text: &str| {
        if text.is_empty() {
            return Ok(());
        }
        writeln!(out, "{name:<14}{}", sanitize::lines(text))
    };
    line(out, "id", &card.rule)?;
    line(out, "uuid", card.id.as_deref().unwrap_or_default())?;
    line(out, "title", &card.title)?;
    line(out, "level", card.level.name())?;
    line(out, "kind", card.kind.name())?;
    line(out, "ATT&CK", &[card.tactics.join(" "), card.techniques.join(" ")].join(" "))?;
    line(out, "needs", card.needs.name())?;
    line(out, "fallback", card.fallback.as_deref().unwrap_or_default())?;
    line(out, "author", &card.author)?;
    line(out, "license", card.license.as_deref().unwrap_or_default())?;
    line(out, "origin", &card.origin)?;
    line(out, "about", &card.description)?;
    for text in &card.falsepositives {
        line(out, "harmless when", text)?;
    }
    for text in &card.references {
        line(out, "reference", text)?;
    }
    let all = [&rules.builtin, &rules.own];
    let rule = all.iter().flat_map(|set| &set.rules).find(|r| r.meta.is_called(&card.rule));
    if let Some(rule) = rule {
        line(out, "query", &rule.question.to_string())?;
        for flaw in &rule.flaws {
            line(out, if flaw.fatal { "cannot match" } else { "note" }, &flaw.text)?;
        }
    }
    if let Some(text) = pack::files()
        .iter()
        .find(|(_, text)| card.id.as_ref().is_some_and(|id| text.contains(&format!("id: {id}"))))
    {
        writeln!(out, "\n{}", sanitize::lines(text.1))?;
    }
    Ok(Exit::Found)
}

fn lint(args: &LintArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let set = read_rules(&args.paths, &Vars::new())?;
    let pack = pack::load(&Vars::new());
    let warnings = warnings(&set, &pack);
    let notes = notes(&set);
    for unusable in &set.unusable {
        let (file, why) = (sanitize::terminal(&unusable.file), sanitize::terminal(&unusable.why));
        writeln!(out, "{file}: error: {why}")?;
    }
    let said = warnings.iter().map(|said| ("warning", said));
    for (kind, (file, title, why)) in said.chain(notes.iter().map(|said| ("note", said))) {
        writeln!(
            out,
            "{}: {kind}: {}: {}",
            sanitize::terminal(file),
            sanitize::terminal(title),
            sanitize::terminal(why)
        )?;
    }
    writeln!(
        out,
        "{} rules, {} correlations: {} errors, {} warnings, {} notes",
        set.rules.len(),
        set.correlations.len(),
        set.unusable.len(),
        warnings.len(),
        notes.len()
    )?;
    if !set.unusable.is_empty() {
        return Ok(Exit::Failed);
    }
    Ok(if warnings.is_empty() { Exit::Found } else { Exit::Nothing })
}

/// A file, a title, a sentence.
type Said = (String, String, String);

/// What makes a rule weaker than its author thinks; it works all the same.
fn notes(set: &RuleSet) -> Vec<Said> {
    let mut found = Vec::new();
    for rule in set.rules.iter().filter(|rule| not_applicable(&rule.logsource).is_none()) {
        let mut say = |why: String| {
            found.push((rule.meta.file.clone(), rule.meta.title.clone(), why));
        };
        for flaw in rule.flaws.iter().filter(|flaw| !flaw.fatal) {
            say(flaw.text.clone());
        }
        if misses_get(rule) {
            say("exec without verb get misses sessions over WebSocket".to_owned());
        }
    }
    found
}

/// What keeps a rule from working on audit events.
fn warnings(set: &RuleSet, pack: &RuleSet) -> Vec<Said> {
    let mut found = Vec::new();
    for rule in &set.rules {
        let mut warn = |why: String| {
            found.push((rule.meta.file.clone(), rule.meta.title.clone(), why));
        };
        if let Some(why) = not_applicable(&rule.logsource) {
            // Its fields are another log source's too; one warning says it.
            warn(why);
            continue;
        }
        for flaw in rule.flaws.iter().filter(|flaw| flaw.fatal) {
            warn(flaw.text.clone());
        }
    }
    for correlation in &set.correlations {
        let mut warn = |why: String| {
            found.push((correlation.meta.file.clone(), correlation.meta.title.clone(), why));
        };
        for flaw in &correlation.flaws {
            warn(flaw.text.clone());
        }
        for reference in &correlation.rules {
            let known = [set, pack].iter().any(|set| {
                set.rules.iter().any(|rule| rule.meta.is_called(reference))
                    || set.correlations.iter().any(|c| c.meta.is_called(reference))
            });
            if !known {
                warn(format!("refers to rule {reference}, which is not loaded"));
            }
        }
    }
    for (title, reference) in &set.dangling_filters {
        let why = format!("filters rule {reference}, which is not loaded");
        found.push((String::new(), title.clone(), why));
    }
    found
}

/// kubernetes#133515: a WebSocket upgrade is a GET, so rules on `create` alone miss half of it.
fn misses_get(rule: &crate::sigma::rule::Rule) -> bool {
    let text = rule.question.to_string();
    text.contains("objectRef.subresource:exec")
        && text.contains("verb:create")
        && !text.contains("verb:get")
}

fn coverage(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let rules: Rules = args.rules.load()?;
    let mut by_technique: BTreeMap<String, Vec<Card>> = BTreeMap::new();
    for card in cards(&rules) {
        for technique in &card.techniques {
            by_technique.entry(technique.clone()).or_default().push(card.clone());
        }
    }
    if args.format == "json" {
        let all: Vec<Value> = by_technique
            .iter()
            .map(|(technique, cards)| {
                let ids: Vec<&str> = cards.iter().map(|card| card.rule.as_str()).collect();
                serde_json::json!({ "technique": technique, "rules": ids })
            })
            .collect();
        json_line(&Value::Array(all), out)?;
        return Ok(Exit::Found);
    }
    let rows: Vec<Vec<String>> = by_technique
        .iter()
        .map(|(technique, cards)| {
            let mut tactics: Vec<&str> =
                cards.iter().flat_map(|card| card.tactics.iter().map(String::as_str)).collect();
            tactics.sort_by_key(|t| TACTICS.iter().position(|(name, ..)| name == t));
            tactics.dedup();
            let ids: Vec<&str> = cards.iter().map(|card| card.rule.as_str()).collect();
            vec![technique.clone(), tactics.join(" "), cards.len().to_string(), ids.join(" ")]
        })
        .collect();
    table(&["technique", "tactics", "hunts", "ids"], &rows, out)?;
    Ok(Exit::Found)
}
