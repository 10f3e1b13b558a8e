//! The table of output formats for answers.

use crate::report::renderer::Renderer;
use crate::report::renderers::csv::Csv;
use crate::report::renderers::html::Html;
use crate::report::renderers::json::Json;
use crate::report::renderers::jsonl::Jsonl;
use crate::report::renderers::markdown::Markdown;
use crate::report::renderers::text::Text;

/// Every format; the first is the default.
pub const RENDERERS: &[&dyn Renderer] = &[&Text, &Json, &Jsonl, &Csv, &Markdown, &Html];

/// Returns the format called `name`; `text` and `table` are the same one.
pub fn renderer(name: &str) -> Option<&'static dyn Renderer> {
    let name = if name == "text" { "table" } else { name };
    RENDERERS.iter().copied().find(|renderer| renderer.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hunt::answer::Answer;
    use crate::hunt::answer::AnswerRow;
    use crate::hunt::answer::Section;
    use crate::report::renderer::View;
    use crate::report::renderers::html::PAGE_HEAD;
    use crate::report::sanitize::is_unseen;

    #[test]
    fn names_are_unique_and_described() {
        let mut names: Vec<&str> = RENDERERS.iter().map(|renderer| renderer.name()).collect();
        assert!(RENDERERS.iter().all(|renderer| !renderer.about().is_empty()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RENDERERS.len());
        assert!(renderer("text").is_some());
        assert!(renderer("xml").is_none());
    }

    /// What an attacker would write, one per kind of place.
    const HOSTILE: &[&str] = &[
        "\u{1b}]0;owned\u{7}\u{1b}[2J",
        "=HYPERLINK(\"http://evil\";\"x\")",
        "\r=1+1",
        "<script>alert(1)</script>",
        "' onmouseover='alert(1)",
        "![x](http://evil/?q)",
        "a|b\n# c",
        "\u{202e}txt.exe\u{200b}",
        "``` </code>",
    ];

    fn hostile_answer(text: &str) -> Answer {
        Answer {
            name: text.into(),
            query: text.into(),
            summary: text.into(),
            notes: vec![text.into()],
            sections: vec![Section {
                title: text.into(),
                columns: vec!["a".into(), "b".into()],
                rows: vec![AnswerRow {
                    cells: vec![text.into(), vec![text.to_owned(), text.to_owned()].into()],
                    events: Vec::new(),
                }],
                notes: vec![text.into()],
            }],
        }
    }

    #[test]
    fn no_renderer_lets_hostile_text_act() {
        for renderer in RENDERERS {
            for text in HOSTILE {
                let mut out = Vec::new();
                let answers = [hostile_answer(text)];
                renderer.render(&answers, &View::default(), &mut out).unwrap();
                let out = String::from_utf8(out).unwrap();
                let name = renderer.name();
                let json = name.starts_with("json");
                for c in out.chars() {
                    // JSON's own escapes cover control characters; a program reads the rest.
                    let acts = if json { c.is_control() } else { is_unseen(c) };
                    assert!(!acts || c == '\n', "{name}: {text:?} leaves {c:?} in {out}");
                }
                match name {
                    "html" => {
                        let page = out.replace(PAGE_HEAD, "");
                        assert!(!page.contains("<script") && !page.contains("='"), "{page}");
                    }
                    "csv" => {
                        let mut reader = ::csv::Reader::from_reader(out.as_bytes());
                        for record in reader.records() {
                            for cell in &record.unwrap() {
                                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
                            }
                        }
                    }
                    "markdown" => {
                        assert!(!out.lines().any(|l| l.starts_with("# ")));
                    }
                    "json" | "jsonl" => {
                        for line in out.lines() {
                            serde_json::from_str::<serde_json::Value>(line).unwrap();
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
