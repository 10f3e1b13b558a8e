//! `audithound hunt`: all rules against the evidence.

use std::io::IsTerminal;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;

use crate::cli::common::IndexArgs;
use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::note;
use crate::cli::common::open_index;
use crate::cli::common::view;
use crate::cli::exit::Exit;
use crate::event::time::Timestamp;
use crate::hunt::allow_list::AllowList;
use crate::hunt::batch::CACHE_BYTES;
use crate::hunt::batch::HuntOptions;
use crate::hunt::batch::Rules;
use crate::hunt::batch::hunt;
use crate::hunt::pack;
use crate::report::hunt::HUNT_RENDERERS;
use crate::report::hunt::hunt_renderer;
use crate::search::evidence::Evidence;
use crate::sigma;
use crate::sigma::Vars;
use crate::sigma::rule::Level;
use crate::sigma::rule::RuleSet;

/// Which rules.
#[derive(Clone, Debug, clap::Args)]
pub struct RuleArgs {
    /// Sigma rules: a file or a folder; without it the built-in pack
    #[arg(long, value_name = "PATH")]
    pub rules: Vec<PathBuf>,
    /// The rules that come with the program; the default where no --rules are given
    #[arg(long, value_name = "NAME", value_parser = ["builtin", "none"])]
    pub pack: Option<String>,
    /// Values of %placeholders% in rules: a YAML map from name to list
    #[arg(long, value_name = "FILE")]
    pub vars: Option<PathBuf>,
}

impl RuleArgs {
    /// Reads the rules.
    ///
    /// # Errors
    /// When a path cannot be read.
    pub fn load(&self) -> anyhow::Result<Rules> {
        let vars = match &self.vars {
            Some(path) => read_vars(path)?,
            None => Vars::new(),
        };
        let mut rules = Rules::default();
        let with_pack = match self.pack.as_deref() {
            Some(pack) => pack == "builtin",
            None => self.rules.is_empty(),
        };
        if with_pack {
            rules.builtin = pack::load(&vars);
            rules.analyses = true;
        }
        if !self.rules.is_empty() {
            rules.own = read_rules(&self.rules, &vars)?;
        }
        Ok(rules)
    }
}

fn read_vars(path: &Path) -> anyhow::Result<Vars> {
    let text = read(path)?;
    yaml_serde::from_str(&text)
        .with_context(|| format!("{} is no map from names to lists", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads rules from files and folders; a file that is no UTF-8 is one of the unusable.
///
/// # Errors
/// When a path is not there or cannot be read.
pub fn read_rules(paths: &[PathBuf], vars: &Vars) -> anyhow::Result<RuleSet> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for path in paths {
        if !path.exists() {
            bail!("there is nothing at {}", path.display());
        }
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            let is_rule = entry.path().extension().is_some_and(|x| x == "yml" || x == "yaml");
            if entry.file_type().is_file() && (is_rule || entry.depth() == 0) {
                texts.push((entry.path().display().to_string(), read(entry.path())?));
            }
        }
    }
    Ok(sigma::parse(texts.iter().map(|(file, text)| (file.as_str(), text.as_str())), vars))
}

/// Arguments of `hunt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound hunt\n  \
    audithound hunt --level high --since 7d --format markdown > hunt.md\n  \
    audithound hunt --rules sigma/rules/application/kubernetes --level low\n  \
    audithound hunt --tag attack.t1552.007 --format jsonl | jq .title\n  \
    audithound hunt --fail-on critical --allow exceptions.yml\n\n\
    Exit status: 0 whenever it ran; 1 with --fail-on when such a finding exists; 2 error.")]
pub struct HuntArgs {
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Which rules.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Lowest level to report: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL", default_value = "medium", value_parser = level)]
    pub level: Level,
    /// Only rules with this tag: an ATT&CK technique or tactic
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Which time.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Whose events.
    #[command(flatten)]
    pub platform: PlatformArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = format_name())]
    pub format: String,
    /// Requests named per finding
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub events: usize,
    /// Exceptions with reasons: a YAML list
    #[arg(long, value_name = "FILE")]
    pub allow: Option<PathBuf>,
    /// Exit with 1 when there is a finding of this level or above
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub fail_on: Option<Level>,
    /// Run rules for other log sources too
    #[arg(long)]
    pub any_logsource: bool,
    /// Shorten nothing on a terminal
    #[arg(long)]
    pub no_truncate: bool,
}

/// Reads a level from the command line.
///
/// # Errors
/// The words there are.
pub fn level(text: &str) -> Result<Level, String> {
    Level::parse(text).ok_or_else(|| {
        let names = Level::ALL.map(Level::name);
        format!("a level is one of {}", names.join(", "))
    })
}

fn format_name() -> clap::builder::PossibleValuesParser {
    let names = HUNT_RENDERERS.iter().map(|renderer| {
        let value = clap::builder::PossibleValue::new(renderer.name()).help(renderer.about());
        if renderer.name() == "table" { value.alias("text") } else { value }
    });
    clap::builder::PossibleValuesParser::new(names)
}

/// Hunts.
///
/// # Errors
/// When rules, exceptions or evidence cannot be read, or the output cannot be written.
pub fn run(args: &HuntArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let zone = args.times.zone()?;
    let rules = args.rules.load()?;
    let allow = match &args.allow {
        Some(path) => AllowList::parse(&read(path)?, now())
            .map_err(|why| anyhow::anyhow!("allow list {}: {why}", path.display()))?,
        None => AllowList::default(),
    };
    let evidence = open_index(&args.index, zone)?.with_cache(CACHE_BYTES);
    run_on(&evidence, &rules, allow, args, out)
}

/// Hunts in evidence that is already open.
///
/// # Errors
/// As [`run`].
pub fn run_on(
    evidence: &dyn Evidence,
    rules: &Rules,
    allow: AllowList,
    args: &HuntArgs,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let options = HuntOptions {
        range: args.times.range(evidence.newest())?,
        level: args.level,
        tags: args.tag.clone(),
        events: args.events,
        any_logsource: args.any_logsource,
        no_platform: args.platform.no_platform,
        allow,
    };
    let terminal = std::io::stderr().is_terminal();
    let progress = |text: &str| {
        if terminal {
            note(text);
        }
    };
    let report = hunt(evidence, rules, &options, &progress)?;
    for (file, why) in &report.unusable {
        note(&format!("{file}: {why}"));
    }
    if args.platform.no_platform {
        // Not every format has a place for remarks.
        report.notes.iter().filter(|text| text.starts_with("--no-platform")).for_each(|t| note(t));
    }
    let renderer = hunt_renderer(&args.format)
        .with_context(|| format!("there is no output format {:?}", args.format))?;
    renderer.render(&report, &view(args.no_truncate), out)?;
    let failed = args.fail_on.is_some_and(|level| report.highest() >= Some(level));
    Ok(if failed { Exit::Nothing } else { Exit::Found })
}

fn now() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_micros())
}
