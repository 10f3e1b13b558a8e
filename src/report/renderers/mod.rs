//! One file per output format.

pub mod csv;
pub mod html;
pub mod investigation_html;
pub mod json;
pub mod jsonl;
pub mod markdown;
pub mod mermaid_markdown;
pub mod object_state;
pub mod story_json;
pub mod story_text;
pub mod text;
pub mod timesketch;
pub mod yaml;
