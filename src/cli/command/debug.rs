//! `audithound debug`: every stage from text to answer, for who works on the program.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;

use crate::cli::command::debug_plan;
use crate::cli::common::IndexArgs;
use crate::cli::common::parse_query;
use crate::cli::common::query_text;
use crate::cli::exit::Exit;
use crate::event::json::Tape;
use crate::event::place::SourceId;
use crate::intake::PieceReader;
use crate::intake::record::Met;
use crate::intake::record::Record;
use crate::report::embed::embed;
use crate::report::pretty::pretty;
use crate::report::sanitize;
use crate::source::Piece;
use crate::source::ReadItem;
use crate::source::ReadOptions;
use crate::source::Reader;
use crate::source::SourceInfo;

/// Arguments of `debug`.
#[derive(Debug, clap::Args)]
pub struct DebugArgs {
    /// What to look into.
    #[command(subcommand)]
    pub stage: Stage,
}

/// The stages.
#[derive(Debug, clap::Subcommand)]
pub enum Stage {
    /// Shows what a question was understood as, and its canonical text
    Query {
        /// The question
        #[arg(value_name = "TEXT", allow_hyphen_values = true, value_parser = query_text)]
        text: String,
    },
    /// Shows how an index would answer a question
    Plan {
        /// The question
        #[arg(value_name = "TEXT", allow_hyphen_values = true, value_parser = query_text)]
        text: String,
        /// Which index.
        #[command(flatten)]
        index: IndexArgs,
    },
    /// Shows what is made of a line: FILE:N, or the text of the line itself
    Line {
        /// FILE:N (a line of a file or of an archive's member), or a line
        #[arg(value_name = "TEXT", allow_hyphen_values = true)]
        text: String,
    },
}

/// Prints the stage.
///
/// # Errors
/// When the question cannot be asked, or the file cannot be read.
pub fn run(args: &DebugArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &args.stage {
        Stage::Query { text } => {
            let question = parse_query(text)?;
            writeln!(out, "text:      {}", sanitize::terminal(text))?;
            writeln!(out, "canonical: {}", sanitize::terminal(&question.to_string()))?;
            writeln!(out, "tree:      {}", sanitize::lines(&format!("{question:#?}")))?;
            Ok(Exit::Found)
        }
        Stage::Plan { text, index } => debug_plan::run(text, index, out),
        Stage::Line { text } => debug_line(text, out),
    }
}

fn debug_line(text: &str, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut pieces = PieceReader::new();
    let mut shown: Vec<String> = Vec::new();
    if let Some((path, line)) = file_and_line(text) {
        let mut source = None;
        for item in Reader::open(std::slice::from_ref(&path), ReadOptions::default())? {
            match item {
                ReadItem::Start(info) => source = Some(info),
                ReadItem::Piece(piece) => {
                    let info = source.as_ref().context("a piece came before its source")?;
                    pieces.read(&piece, info, &mut |met, _| {
                        shown.extend(tell(&met, Some(line), info));
                    });
                }
                _ => {}
            }
        }
        if shown.is_empty() {
            bail!("no record starts on line {line} of {}", path.display());
        }
    } else {
        let piece = Piece::of_lines(SourceId(0), text.as_bytes().to_vec());
        let info = SourceInfo {
            id: SourceId(0),
            name: "the command line".into(),
            hint: crate::event::place::Origin::default(),
            modified: None,
        };
        pieces.read(&piece, &info, &mut |met, _| shown.extend(tell(&met, None, &info)));
    }
    for text in &shown {
        writeln!(out, "{text}")?;
    }
    Ok(Exit::found(!shown.is_empty()))
}

/// Takes `FILE:N` apart where there is such a file.
fn file_and_line(text: &str) -> Option<(PathBuf, u64)> {
    let (path, line) = text.rsplit_once(':')?;
    let path = PathBuf::from(path);
    path.exists().then_some((path, line.parse().ok()?))
}

/// Describes a record that starts on `line`; a blank line has no place and is told of text only.
fn tell(met: &Met<'_>, line: Option<u64>, info: &SourceInfo) -> Option<String> {
    let here = |at: u64| line.is_none_or(|line| line == at);
    let source = sanitize::terminal(&info.name).into_owned();
    match met {
        Met::Event(record) if here(record.place.line) => Some(tell_event(record, &source)),
        Met::Rejected(rejected) if here(rejected.place.line) => Some(format!(
            "rejected: {}\n  at {source}:{} (offset {})\n  {} bytes: {}",
            sanitize::terminal(&rejected.reason),
            rejected.place.line,
            rejected.place.offset,
            rejected.raw.len(),
            sanitize::terminal(&String::from_utf8_lossy(&rejected.raw)),
        )),
        Met::Blank if line.is_none() => Some("blank".into()),
        _ => None,
    }
}

fn tell_event(record: &Record<'_>, source: &str) -> String {
    let mut tape = Tape::default();
    let place = &record.place;
    let flags: Vec<&str> = record.flags.iter().map(|flag| flag.name()).collect();
    let mut text = format!(
        "event in format {}\n  at {source}:{} (offset {}, item {})\n  raw {} bytes, event {} bytes\n",
        record.format,
        place.line,
        place.offset,
        place.item,
        record.raw.len(),
        record.event.len(),
    );
    let origin = &record.origin;
    let known = [("node", &origin.node), ("cluster", &origin.cluster), ("log", &origin.log)];
    for (key, value) in known {
        if let Some(value) = value {
            text.push_str(&format!("  {key} {}\n", sanitize::terminal(value)));
        }
    }
    if !flags.is_empty() {
        text.push_str(&format!("  flags {}\n", flags.join(", ")));
    }
    if let Some(envelope) = &record.envelope {
        let envelope = embed(envelope, &mut tape);
        text.push_str(&format!("envelope {}\n", pretty(&String::from_utf8_lossy(&envelope))));
    }
    let event = embed(&record.event, &mut tape);
    text.push_str(&pretty(&String::from_utf8_lossy(&event)));
    text
}
