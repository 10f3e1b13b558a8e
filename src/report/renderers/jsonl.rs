//! `--format jsonl`: one object per row, for streams.

use std::io::Write;

use serde_json::Map;
use serde_json::Value;

use crate::hunt::answer::Answer;
use crate::report::error::ReportError;
use crate::report::renderer::Renderer;
use crate::report::renderer::View;
use crate::report::renderers::json::row_object;
use crate::report::renderers::json::write_value;

/// One object per row, with the names of its answer and its table.
#[derive(Clone, Copy, Debug)]
pub struct Jsonl;

impl Renderer for Jsonl {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn about(&self) -> &'static str {
        "one object per row"
    }

    fn render(
        &self,
        answers: &[Answer],
        view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        for answer in answers {
            for section in &answer.sections {
                for row in &section.rows {
                    let mut object = Map::new();
                    object.insert("answer".into(), Value::String(answer.name.clone()));
                    object.insert("section".into(), Value::String(section.title.clone()));
                    object.extend(row_object(section, row, view)?);
                    write_value(&Value::Object(object), view, out)?;
                }
            }
        }
        Ok(())
    }
}
