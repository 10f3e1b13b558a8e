//! `audithound show AUDIT_ID`: all stages of one request with their places.

use std::io::Write;

use anyhow::bail;
use serde_json::json;

use crate::cli::common::IndexArgs;
use crate::cli::common::note;
use crate::cli::common::open_index;
use crate::cli::common::view;
use crate::cli::exit::Exit;
use crate::event::field::Field;
use crate::event::json::Tape;
use crate::event::time::Timestamp;
use crate::event::zone::Zone;
use crate::query::ast::QueryAst;
use crate::report::embed::embed;
use crate::report::hits::HitFormat;
use crate::report::hits::write_hits;
use crate::report::pretty::pretty;
use crate::report::sanitize;
use crate::search::conflict::conflicts_among;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::StoredEvent;

/// Arguments of `show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  audithound show 5f3c2b1a-8c64-4d1f-a2a5-7d0e7c0f1b11")]
pub struct ShowArgs {
    /// The auditID of the request
    #[arg(value_name = "AUDIT_ID")]
    pub audit_id: String,
    /// Which index.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ShowFormat::Text)]
    pub format: ShowFormat,
}

/// The words of `--format` for `show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ShowFormat {
    /// Each stage with its place, pretty
    Text,
    /// One object per stage: event, source, offset, line
    Jsonl,
    /// The original bytes
    Raw,
}

/// Prints the stages.
///
/// # Errors
/// When the index cannot be read or the output cannot be written.
pub fn run(args: &ShowArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let id = args.audit_id.trim();
    if id.is_empty() {
        bail!("an auditID is needed\n  hint: audithound search QUERY --fields id");
    }
    let evidence = open_index(&args.index, Zone::UTC)?;
    let hits =
        evidence.find(&QueryAst::path_equals("auditID", id), &SearchOptions::default())?.hits;
    let ids: Vec<EventId> = hits.iter().map(|hit| hit.id).collect();
    let view = view(true);
    match args.format {
        ShowFormat::Jsonl => write_hits(&evidence, &hits, HitFormat::Jsonl, None, &view, out)?,
        ShowFormat::Raw => write_hits(&evidence, &hits, HitFormat::Raw, None, &view, out)?,
        ShowFormat::Text => {
            let mut tape = Tape::default();
            let flags = evidence.rows(&ids, &[Field::Flag])?;
            for (at, hit) in hits.iter().enumerate() {
                if at > 0 {
                    writeln!(out)?;
                }
                let stored = evidence.fetch(hit.id)?;
                let source = evidence.source_name(stored.place.source);
                write_place(&stored, &source, out)?;
                let flags = flags.get(at).and_then(|row| row.first()).filter(|f| !f.is_empty());
                if let Some(flags) = flags {
                    writeln!(out, "# flags {}", flags.join(", "))?;
                }
                for place in evidence.further_places(hit.id)? {
                    let source = evidence.source_name(place.source);
                    let source = sanitize::terminal(&source);
                    writeln!(out, "# also {source}:{} (offset {})", place.line, place.offset)?;
                }
                let event = embed(&stored.event, &mut tape);
                writeln!(out, "{}", pretty(&String::from_utf8_lossy(&event)))?;
            }
        }
    }
    let conflicts = conflicts_among(&evidence, &ids)?;
    out.flush()?;
    for conflict in &conflicts {
        let server = if conflict.server.is_empty() { "unknown" } else { &conflict.server };
        note(&format!(
            "{} events of stage {:?}, server {}: {}",
            conflict.events.len(),
            conflict.stage,
            sanitize::terminal(server),
            conflict.what()
        ));
    }
    if hits.is_empty() {
        note(&format!("no event has the auditID {}", json!(id)));
    }
    Ok(Exit::found(!hits.is_empty()))
}

fn write_place(stored: &StoredEvent, source: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let place = &stored.place;
    let time = stored.time.map(Timestamp::to_rfc3339).unwrap_or_else(|| "no time".into());
    write!(
        out,
        "# {time}  {}:{} (offset {})",
        sanitize::terminal(source),
        place.line,
        place.offset
    )?;
    if place.item > 0 {
        write!(out, " item {}", place.item)?;
    }
    let origin = &stored.origin;
    let known = [("node", &origin.node), ("cluster", &origin.cluster), ("log", &origin.log)];
    for (key, value) in known {
        if let Some(value) = value {
            write!(out, "  {key} {}", sanitize::terminal(value))?;
        }
    }
    writeln!(out)
}
