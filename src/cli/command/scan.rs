//! `audithound scan QUERY PATH...`: the same question with no index, by judging every event.

use std::io::Write;
use std::path::PathBuf;

use crate::cli::common::PlatformArgs;
use crate::cli::common::TimeArgs;
use crate::cli::common::note;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::exit::Exit;
use crate::cli::hits::HitOutputArgs;
use crate::cli::hits::print_hits;
use crate::event::zone::Zone;
use crate::query::ast::QueryAst;
use crate::query::platform::platform_identities;
use crate::search::conflict::asks_conflicts;
use crate::search::evidence::SearchOptions;
use crate::search::scan::MemoryEvidence;
use crate::search::scan::ScanQuestion;
use crate::search::scan::ScanRecord;
use crate::search::scan_paths::ScanReport;
use crate::search::scan_paths::read_records;

/// Arguments of `scan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound scan 'code:403' audit.log\n  \
    zcat old.gz | audithound scan 'sub:exec' -\n\n\
    Every event is parsed and judged: for a first look, and for checking what an index answers. \
    Many questions are faster on an index.")]
pub struct ScanArgs {
    /// The question; `*` is every event
    #[arg(value_name = "QUERY", allow_hyphen_values = true, value_parser = query_text)]
    pub query: String,
    /// Files, directories, archives; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Name of the cluster where the evidence does not say
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
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
/// When the question cannot be asked, a path cannot be read, or the output cannot be written.
pub fn run(args: &ScanArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // What cannot be asked is told before the paths are read.
    let question = parse_query(&args.query)?;
    let zone = args.times.zone()?;
    if args.times.is_relative() || asks_conflicts(&question, zone) {
        // What a relative time counts back from, and which auditIDs come twice, is known only after
        // the last event.
        let mut records: Vec<ScanRecord> = Vec::new();
        let report = read_records(&args.paths, args.cluster.as_deref(), &mut |record| {
            records.push(record);
        })?;
        let evidence = MemoryEvidence::new(records).with_zone(zone);
        let exit = print_hits(&evidence, question, &args.times, args.platform, &args.output, out)?;
        say_report(&report);
        return Ok(exit);
    }
    let options = SearchOptions {
        range: args.times.range(None)?,
        order: args.output.sort.into(),
        limit: args.output.limit_asked(),
        count_all: true,
    };
    let mut asked = Asked::new(question, options, zone, args.platform)?;
    let report = read_records(&args.paths, args.cluster.as_deref(), &mut |record| {
        asked.judge(record);
    })?;
    let exit = print_asked(asked, args, zone, out)?;
    say_report(&report);
    Ok(exit)
}

/// The question, and beside it how many events `--no-platform` hides.
struct Asked {
    shown: ScanQuestion,
    hidden: Option<ScanQuestion>,
}

impl Asked {
    fn new(
        question: QueryAst,
        options: SearchOptions,
        zone: Zone,
        platform: PlatformArgs,
    ) -> anyhow::Result<Asked> {
        if !platform.no_platform {
            return Ok(Asked { shown: ScanQuestion::new(&question, options, zone)?, hidden: None });
        }
        let identities = platform_identities();
        let shown = QueryAst::all_of(vec![question.clone(), identities.clone().negated()]);
        let hidden = QueryAst::all_of(vec![question, identities]);
        let counted = SearchOptions { limit: 1, ..options };
        Ok(Asked {
            shown: ScanQuestion::new(&shown, options, zone)?,
            hidden: Some(ScanQuestion::new(&hidden, counted, zone)?),
        })
    }

    fn judge(&mut self, record: ScanRecord) {
        if let Some(hidden) = &mut self.hidden {
            hidden.judge(record.clone());
        }
        self.shown.judge(record);
    }
}

/// Prints what was found; only the hits were kept, so that an archive of any size can be scanned,
/// and all of this evidence is asked for.
fn print_asked(
    asked: Asked,
    args: &ScanArgs,
    zone: Zone,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    if let Some(hidden) = asked.hidden {
        note(&format!("--no-platform hides {} events of platform identities", hidden.total()));
    }
    let (hits, total, notes) = asked.shown.finish();
    let exit = if args.output.count {
        writeln!(out, "{total}")?;
        Exit::found(total > 0)
    } else {
        let records = hits.into_iter().map(|hit| ScanRecord {
            raw: hit.stored.raw,
            event: hit.stored.event,
            envelope: hit.stored.envelope,
            origin: hit.stored.origin,
            source: hit.source,
            offset: hit.stored.place.offset,
            line: hit.stored.place.line,
            item: hit.stored.place.item,
            flags: hit.flags,
            envelope_time: hit.stored.time,
        });
        let evidence = MemoryEvidence::new(records).with_zone(zone);
        let all = TimeArgs { since: None, until: None, tz: args.times.tz.clone() };
        let none = PlatformArgs::default();
        print_hits(&evidence, QueryAst::All, &all, none, &args.output, out)?
    };
    for text in &notes {
        note(text);
    }
    Ok(exit)
}

/// Says on standard error what was not read or is no event.
fn say_report(report: &ScanReport) {
    for problem in &report.problems {
        note(problem);
    }
    let tally = &report.tally;
    if tally.rejected > 0 {
        let mut text = format!("{} of {} records are no events:", tally.rejected, tally.records);
        for rejected in &report.rejected {
            let place = rejected.place;
            text.push_str(&format!("\n  {}:{}: {}", rejected.source, place.line, rejected.reason));
        }
        if tally.rejected > report.rejected.len() as u64 {
            text.push_str(
                "\n  ... (`audithound index` keeps them, `audithound rejected` lists them)",
            );
        }
        note(&text);
    }
    if tally.records == tally.blank {
        note("there was no event in what was read");
    }
}
