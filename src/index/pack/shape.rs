//! The shape of one part of an event: its text with every value taken out, and what the gaps are.
//!
//! A skeleton is valid JSON in which a string value is `"\x01"` (one control byte, which no strict
//! JSON holds), a number is `0`, and a part stored elsewhere is `"\x03"`; everything else stands
//! as written, white space included.  So its shape is found by parsing it once, and an event is
//! put together again by copying the pieces between the gaps.

use std::collections::HashSet;
use std::sync::Arc;

use crate::event::audit_event::has_duplicate_key;
use crate::event::json::Kind;
use crate::event::json::NotJson;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::index::pack::section::SectionId;
use crate::index::pack::section::child_section;

/// Stands for a string value.
pub const STRING_GAP: u8 = 1;
/// Stands for a part that is stored elsewhere.
pub const PART_GAP: u8 = 3;

/// Most bytes that the paths of one skeleton may take together.
///
/// An event of a thousand nested keys of a kilobyte each would otherwise need gigabytes of paths.
const PATH_BYTES_MAX: usize = 16 << 20;

/// Whether a value is written with or without quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueKind {
    /// A string, stored as written between the quotes.
    String,
    /// A number, stored as written.
    Number,
}

/// One gap of a skeleton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// A value of the column with this path.
    Value {
        /// Joined path of the value.
        path: Arc<str>,
        /// How it is written.
        kind: ValueKind,
    },
    /// The text of another part.
    Part(SectionId),
}

/// What is known about a path from the skeleton alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// An object or an array; present.
    Structure,
    /// A value in a column; present.
    Value,
    /// `true`.
    True,
    /// `false`.
    False,
    /// `null`; not present.
    Null,
}

/// A skeleton taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The gaps in the order of the text, each with the byte range it takes in the skeleton.
    pub gaps: Vec<(std::ops::Range<usize>, Gap)>,
    /// Every node with a path, in the order of the text.
    pub nodes: Vec<(Arc<str>, Known)>,
    /// Every key, decoded, in the order of the text.
    pub keys: Vec<String>,
    /// Whether some object has two equal keys.
    pub duplicate_key: bool,
}

/// Joins a path and a key; the root has no path, which is not the empty path.
pub fn join(base: Option<&str>, key: &str) -> String {
    match base {
        Some(base) => {
            let mut path = String::with_capacity(base.len() + 1 + key.len());
            path.push_str(base);
            path.push('.');
            path.push_str(key);
            path
        }
        None => key.to_owned(),
    }
}

impl Shape {
    /// Takes a skeleton apart.
    ///
    /// # Errors
    /// When it is no JSON (for a skeleton we wrote: damage), or its paths take too much memory.
    pub fn of(skeleton: &[u8], section: SectionId, base: Option<&str>) -> Result<Shape, NotJson> {
        let mut tape = Tape::default();
        parse_lenient(skeleton, &mut tape)?;
        let mut shape = Shape::default();
        let Some(root) = tape.root(skeleton) else { return Ok(shape) };
        shape.duplicate_key = has_duplicate_key(root);
        if let Some(base) = base {
            shape.nodes.push((base.into(), Known::Structure));
        }
        // Open objects and arrays: the index behind each, and its path.
        let mut open: Vec<(u32, Option<Arc<str>>, bool)> = Vec::new();
        let mut pending: Option<(Arc<str>, bool)> = None;
        let mut path_bytes = 0;
        let own_parts = matches!(root.kind(), Kind::Object);
        for (at, node) in tape.nodes.iter().enumerate() {
            while open.last().is_some_and(|(next, ..)| at as u32 >= *next) {
                open.pop();
            }
            if at == 0 {
                open.push((node.next, base.map(Arc::from), node.kind == Kind::Object));
                if !matches!(node.kind, Kind::Object | Kind::Array) {
                    shape.leaf(skeleton, node, base.unwrap_or_default().into());
                }
                continue;
            }
            let depth = open.len();
            let Some((_, here, in_object)) = open.last() else { break };
            if node.kind == Kind::Key {
                let key = key_text(&tape, skeleton, at);
                let raw = skeleton.get(node.start as usize..node.end as usize).unwrap_or_default();
                let part = if depth == 1 && own_parts { child_section(section, raw) } else { None };
                let path: Arc<str> = join(here.as_deref(), &key).into();
                path_bytes += path.len();
                if path_bytes > PATH_BYTES_MAX {
                    return Err(NotJson { at, what: "its paths take too much memory" });
                }
                pending = Some((path, part.is_some()));
                if let Some(part) = part {
                    shape.part(&tape, skeleton, at, part);
                }
                shape.keys.push(key);
                continue;
            }
            let path = match pending.take() {
                Some((path, _)) if *in_object => Some(path),
                _ => here.clone(),
            };
            match node.kind {
                Kind::Object | Kind::Array => {
                    shape.nodes.push((path.clone().unwrap_or_default(), Known::Structure));
                    open.push((node.next, path, node.kind == Kind::Object));
                }
                _ => shape.leaf(skeleton, node, path.unwrap_or_default()),
            }
        }
        Ok(shape)
    }

    /// Paths at which the skeleton has `true` or `false`.
    pub fn literal_paths(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .iter()
            .filter(|(_, known)| matches!(known, Known::True | Known::False))
            .map(|(path, _)| &**path)
    }

    /// Gives every path the memory of an equal one that was met before, and lets go of the keys.
    pub(super) fn shrink(&mut self, known: &mut HashSet<Arc<str>>) {
        let gaps = self.gaps.iter_mut().filter_map(|(_, gap)| match gap {
            Gap::Value { path, .. } => Some(path),
            Gap::Part(_) => None,
        });
        for path in self.nodes.iter_mut().map(|(path, _)| path).chain(gaps) {
            match known.get(path) {
                Some(same) => *path = Arc::clone(same),
                None => {
                    known.insert(Arc::clone(path));
                }
            }
        }
        self.nodes.shrink_to_fit();
        self.gaps.shrink_to_fit();
        self.keys = Vec::new();
    }

    fn leaf(&mut self, skeleton: &[u8], node: &crate::event::json::Node, path: Arc<str>) {
        let range = node.start as usize..node.end as usize;
        let known = match node.kind {
            Kind::String if skeleton.get(range.clone()) == Some(&[PART_GAP]) => return,
            Kind::String => {
                self.gaps
                    .push((range, Gap::Value { path: Arc::clone(&path), kind: ValueKind::String }));
                Known::Value
            }
            Kind::Number => {
                self.gaps
                    .push((range, Gap::Value { path: Arc::clone(&path), kind: ValueKind::Number }));
                Known::Value
            }
            Kind::True => Known::True,
            Kind::False => Known::False,
            _ => Known::Null,
        };
        self.nodes.push((path, known));
    }

    /// Notes the gap of a part whose key stands at node `at`, if the value is one.
    fn part(&mut self, tape: &Tape, skeleton: &[u8], at: usize, part: SectionId) {
        let Some(value) = tape.nodes.get(at + 1) else { return };
        let range = value.start as usize..value.end as usize;
        if value.kind == Kind::String && skeleton.get(range.clone()) == Some(&[PART_GAP]) {
            // The quotes belong to the gap: the part's text has brackets of its own.
            self.gaps.push((range.start - 1..range.end + 1, Gap::Part(part)));
        }
    }
}

fn key_text(tape: &Tape, text: &[u8], at: usize) -> String {
    let raw = tape.nodes.get(at).copied();
    raw.map_or_else(String::new, |node| {
        let span = text.get(node.start as usize..node.end as usize).unwrap_or_default();
        crate::event::json::decode(span, node.escaped).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::pack::section::ROOT;

    #[test]
    fn a_skeleton_tells_paths_and_gaps() {
        let skeleton =
            b"{\"a\":\"\x01\",\"user\":\"\x03\",\"b\":[{\"c.d\":0},true,null,[\"\x01\"]],\"\":{\"x\":{}}}";
        let shape = Shape::of(skeleton, ROOT, None).unwrap();
        let gaps: Vec<String> = shape
            .gaps
            .iter()
            .map(|(range, gap)| match gap {
                Gap::Value { path, kind } => format!("{path} {kind:?} {}", range.len()),
                Gap::Part(part) => format!("part {} {}", part.0, range.len()),
            })
            .collect();
        assert_eq!(gaps, ["a String 1", "part 2 3", "b.c.d Number 1", "b String 1"]);
        let nodes: Vec<String> =
            shape.nodes.iter().map(|(path, known)| format!("{path}={known:?}")).collect();
        assert_eq!(
            nodes,
            [
                "a=Value",
                "b=Structure",
                "b=Structure",
                "b.c.d=Value",
                "b=True",
                "b=Null",
                "b=Structure",
                "b=Value",
                "=Structure",
                ".x=Structure",
            ]
        );
        assert_eq!(shape.keys, ["a", "user", "b", "c.d", "", "x"]);
    }
}
