//! `audithound debug plan`: what an index does for a question.

use std::io::Write;
use std::time::Instant;

use crate::cli::common::IndexArgs;
use crate::cli::common::open_index;
use crate::cli::common::parse_query;
use crate::cli::exit::Exit;
use crate::event::time::TimeRange;
use crate::event::zone::Zone;
use crate::report::sanitize;
use crate::search::evidence::Evidence as _;
use crate::search::question::Question;

/// Prints the plan: the question made ready for packs, which packs may hold an answer, and what
/// came of asking them.
///
/// # Errors
/// When the question cannot be asked or the index cannot be opened.
pub fn run(text: &str, index: &IndexArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let ast = parse_query(text)?;
    let evidence = open_index(index, Zone::UTC)?;
    writeln!(out, "canonical: {}", sanitize::terminal(&ast.to_string()))?;
    let question = Question::new(&ast, TimeRange::ALL, Zone::UTC)
        .map_err(|error| anyhow::anyhow!("{}", error.render(text)))?;
    let mut asked = 0_usize;
    for number in 0..evidence.index.n_packs() {
        let pack = evidence.index.pack(number)?;
        let filter = pack.filter().map_err(|damage| evidence.index.damaged(number, &damage))?;
        let may = question.may_match(&filter);
        asked += usize::from(may);
        let events = pack.len();
        let verdict = if may { "asked" } else { "passed over: its filter lacks a word" };
        writeln!(out, "pack {number}: {events} events, {verdict}")?;
    }
    let start = Instant::now();
    let count = evidence.count(&ast, TimeRange::ALL)?;
    writeln!(
        out,
        "{count} events in {asked} of {} packs, {:.1} ms",
        evidence.index.n_packs(),
        start.elapsed().as_secs_f64() * 1e3
    )?;
    writeln!(out, "question: {}", sanitize::lines(&format!("{question:#?}")))?;
    Ok(Exit::found(count > 0))
}
