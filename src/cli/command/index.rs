//! `audithound index PATH...`: evidence becomes an index, or is added to one.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use anyhow::bail;
use serde_json::json;

use crate::cli::common::IndexArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::note;
use crate::cli::exit::Exit;
use crate::cli::progress::IndexProgress;
use crate::event::time::Timestamp;
use crate::index::build::BuildOptions;
use crate::index::build::BuildSummary;
use crate::index::build::KeepRaw;
use crate::index::build::Quiet;
use crate::index::build::build;
use crate::index::build::memory_min;
use crate::index::reader::IndexReader;
use crate::ledger::partial::DERIVE_LEDGERS;
use crate::report::sanitize;

/// Problems that are told one by one; all of them are in the index.
const TOLD_MAX: usize = 20;

/// Arguments of `index`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound index must-gather.tar.gz\n  \
    audithound index /evidence/node-logs exported.json.zst --index case-17.index\n  \
    oc adm node-logs --role=master --path=kube-apiserver/audit.log | audithound index -\n\n\
    Sources are only ever read. Indexing again adds what is new; what was there already is not \
    indexed twice. `audithound sources` and `audithound rejected` say what went in.")]
pub struct IndexCommandArgs {
    /// Files, directories, archives; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Output format of the summary
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
    /// Threads that parse and index; 0 for as many as there are cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Memory to stay within
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = bytes)]
    pub memory: u64,
    /// Name of the cluster where the evidence does not say
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Which time goes in.
    #[command(flatten)]
    pub times: TimeArgs,
    /// Where raw lines are kept
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = KeepRawArg::Store)]
    pub keep_raw: KeepRawArg,
    /// Go on indexing what grows, through rotation, until interrupted
    #[arg(long)]
    pub follow: bool,
    /// How often what is done so far becomes part of the index
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5000, hide = true)]
    pub checkpoint_ms: u64,
}

/// Where raw lines are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum KeepRawArg {
    /// In the index, which then needs the sources no more
    Store,
    /// In their sources, which must stay: the index is smaller by what bodies and wrappers take.
    /// Who asks for these, or for whole events, waits until the lines around them are read again
    /// (0.1 s for each run of 16 MiB; out of a container only after all that stands before them is
    /// unpacked). The bytes read are held against their SHA-256
    Reference,
}

impl From<KeepRawArg> for KeepRaw {
    fn from(arg: KeepRawArg) -> KeepRaw {
        match arg {
            KeepRawArg::Store => KeepRaw::Store,
            KeepRawArg::Reference => KeepRaw::Reference,
        }
    }
}

/// How a summary is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SummaryFormat {
    /// A few lines
    Text,
    /// One object on the last line
    Json,
}

/// Reads a size such as `512MiB`, `2G` or `1000000`.
///
/// # Errors
/// What was expected.
pub fn bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err("a size is written 512MiB or 2GiB".into()),
    };
    let size = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
    size.filter(|size| *size > 0).ok_or_else(|| "a size is written 512MiB or 2GiB".into())
}

/// Builds the index and says what went in.
///
/// # Errors
/// When a path is not there or the index cannot be written.
pub fn run(args: &IndexCommandArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let least = memory_min(args.threads);
    if args.memory < least {
        bail!(
            "--memory {} bytes is too little; with --threads {} it takes at least --memory {}MiB",
            args.memory,
            args.threads.max(1),
            least.div_ceil(1 << 20)
        );
    }
    let newest = if args.times.is_relative() { newest_indexed(args)? } else { None };
    let options = BuildOptions {
        paths: args.paths.clone(),
        dir: args.index.dir.clone(),
        threads: args.threads,
        memory: args.memory,
        cluster: args.cluster.clone(),
        range: args.times.range(newest)?,
        checkpoint: Duration::from_millis(args.checkpoint_ms),
        keep_raw: args.keep_raw.into(),
        derive: Some(&DERIVE_LEDGERS),
    };
    // Looked at before reading: what is written meanwhile is news to whoever follows.
    let seen = if args.follow { look(&options) } else { Vec::new() };
    let progress = IndexProgress::new(&args.paths);
    let built = build(&options, &progress);
    progress.finish();
    let summary = built?;
    say_problems(&summary);
    match args.format {
        SummaryFormat::Text => write_text(&summary, args, out)?,
        SummaryFormat::Json => writeln!(out, "{}", summary_value(&summary))?,
    }
    if args.follow {
        out.flush()?;
        follow(&options, seen)?;
    }
    let counts = &summary.counts;
    let anything = counts.events + counts.duplicates + counts.outside > 0;
    Ok(Exit::found(anything || !summary.skipped.is_empty()))
}

/// How often a followed file is looked at: events are searchable within two seconds.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Indexes what grows, until the process is interrupted; what was committed by then is whole.
fn follow(options: &BuildOptions, mut seen: Vec<Looked>) -> anyhow::Result<()> {
    loop {
        std::thread::sleep(LOOK_EVERY);
        let now = look(options);
        if now == seen {
            continue;
        }
        seen = now;
        // A log that is being rotated is away for a moment; standard input is read only once.
        let there = options.paths.iter().filter(|path| path.exists()).cloned().collect();
        let options = BuildOptions { paths: there, ..options.clone() };
        if options.paths.is_empty() {
            continue;
        }
        let summary = match build(&options, &Quiet) {
            // Renamed between the look and the opening: the next look finds it.
            Err(_) if options.paths.iter().any(|path| !path.exists()) => continue,
            built => built?,
        };
        if summary.counts.records > 0 {
            note(&format!(
                "{} more events, {} rejected",
                summary.counts.events, summary.counts.rejected
            ));
        }
        say_problems(&summary);
    }
}

/// A file with its size and the time it was written to.
type Looked = (PathBuf, u64, Option<SystemTime>);

/// Sizes and times of everything under the paths: what changes when a log grows or rotates.
/// The index itself may stand there; what is written to it is no news.
fn look(options: &BuildOptions) -> Vec<Looked> {
    let own = std::fs::canonicalize(&options.dir).ok();
    let is_own =
        |path: &Path| own.is_some() && path.is_dir() && std::fs::canonicalize(path).ok() == own;
    let mut all = Vec::new();
    for path in &options.paths {
        let walk = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| !is_own(entry.path())) {
            let Some(entry) = entry.ok().filter(|entry| entry.file_type().is_file()) else {
                continue;
            };
            if let Ok(metadata) = entry.metadata() {
                all.push((entry.into_path(), metadata.len(), metadata.modified().ok()));
            }
        }
    }
    all
}

/// Returns the time of the newest event that is indexed already.
fn newest_indexed(args: &IndexCommandArgs) -> anyhow::Result<Option<Timestamp>> {
    let Ok(reader) = IndexReader::open(&args.index.dir) else {
        bail!(
            "a relative time counts back from the newest event of the index, and there is none \
             yet\n  hint: --since 2025-12-09T12:00:00Z"
        );
    };
    Ok(reader.manifest.sources.iter().filter_map(|source| source.last).max().map(Timestamp))
}

fn say_problems(summary: &BuildSummary) {
    let told = |(name, what): &(String, String)| {
        note(&format!("{}: {}", sanitize::terminal(name), sanitize::terminal(what)));
    };
    summary.refused.iter().take(TOLD_MAX).for_each(told);
    summary.problems.iter().take(TOLD_MAX).for_each(told);
    let more = summary.refused.len().saturating_sub(TOLD_MAX)
        + summary.problems.len().saturating_sub(TOLD_MAX);
    if more > 0 {
        note(&format!("and {more} more; `audithound sources` has them all"));
    }
    if summary.counts.rejected > 0 {
        note(&format!(
            "{}; `audithound rejected` lists each with its place and reason",
            match summary.counts.rejected {
                1 => "1 record is no event".to_owned(),
                n => format!("{n} records are no events"),
            }
        ));
    }
    if summary.counts.repeats > 0 {
        note(&format!(
            "{} events stand more than once in the same file, which no server does by itself",
            summary.counts.repeats
        ));
    }
}

fn write_text(
    summary: &BuildSummary,
    args: &IndexCommandArgs,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let counts = &summary.counts;
    let index = args.index.dir.display().to_string();
    writeln!(
        out,
        "{} records from {} sources: {} events, {} blank, {} rejected, {} duplicates{}",
        counts.records,
        summary.sources,
        counts.events,
        counts.blank,
        counts.rejected,
        counts.duplicates,
        if counts.outside > 0 {
            format!(", {} outside the time asked for", counts.outside)
        } else {
            String::new()
        },
    )?;
    if !summary.skipped.is_empty() {
        writeln!(out, "{} files were indexed before", summary.skipped.len())?;
    }
    if let (Some(first), Some(last)) = (summary.first_event, summary.last_event) {
        writeln!(out, "from {first} to {last}")?;
    }
    let seconds = summary.elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
    let megabytes = counts.bytes as f64 / 1e6;
    writeln!(
        out,
        "{megabytes:.1} MB in {seconds:.2} s ({:.0} MB/s) into {}",
        megabytes / seconds.max(1e-6),
        sanitize::terminal(&index),
    )
}

fn summary_value(summary: &BuildSummary) -> serde_json::Value {
    let counts = &summary.counts;
    let pairs = |list: &[(String, String)]| -> Vec<serde_json::Value> {
        list.iter().map(|(name, what)| json!({ "source": name, "reason": what })).collect()
    };
    json!({
        "sources": summary.sources,
        "bytes_read": counts.bytes,
        "lines_read": counts.lines,
        "records": counts.records,
        "events_indexed": counts.events,
        "duplicates": counts.duplicates,
        "blank": counts.blank,
        "rejected": counts.rejected,
        "outside": counts.outside,
        "repeats": counts.repeats,
        "first_event": summary.first_event.map(Timestamp::to_rfc3339),
        "last_event": summary.last_event.map(Timestamp::to_rfc3339),
        "skipped": summary.skipped,
        "refused": pairs(&summary.refused),
        "problems": pairs(&summary.problems),
        "elapsed_ms": u64::try_from(summary.elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(bytes("512MiB"), Ok(512 << 20));
        assert_eq!(bytes("2G"), Ok(2 << 30));
        assert_eq!(bytes("1000"), Ok(1000));
        for bad in ["", "0", "MiB", "-1", "1.5GiB", "99999999999999999999", "99999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
