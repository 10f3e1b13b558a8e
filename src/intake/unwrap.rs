//! A record is unwrapped, layer by layer, until each event in it stands alone.

use std::borrow::Cow;

use super::detect::FORMATS;
use super::format::Inner;
use super::format::Layer;
use super::format::Peeled;
use super::format::join_envelopes;
use super::format::join_origins;
use super::format::range_in;
use super::parse::Scratch;
use super::parse::Strictness;
use super::parse::parse_json;
use crate::event::audit_event::event_time;
use crate::event::json::Kind;
use crate::event::json::Node;
use crate::event::json::NotJson;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::place::Flag;

/// Layers around an event that are taken off: an export of a store of forwarded text is three.
const LAYERS_MAX: usize = 6;

/// Something that came out of a record at last.
#[derive(Debug)]
pub(crate) struct Unwrapped<'c> {
    /// The event, or what was rejected.
    pub(crate) inner: Inner<'c>,
    /// The outermost format that knew it.
    pub(crate) format: &'static str,
    /// The nodes of the event's text; empty for what was rejected.
    pub(crate) tape: &'c Tape,
}

/// Who is told what came out.
pub(crate) type Give<'g> = dyn FnMut(Unwrapped<'_>) + 'g;

/// A text that was parsed, and its nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parsed<'c> {
    pub(crate) text: &'c [u8],
    pub(crate) tape: &'c Tape,
    pub(crate) strictness: Strictness,
}

/// Takes layers off records; one for each worker, because it keeps its buffers.
#[derive(Debug, Default)]
pub(crate) struct Wrappings {
    scratch: Scratch,
}

impl Wrappings {
    /// Unwraps `text` and calls `give` with each part in the order of the text.
    pub(crate) fn unwrap(&mut self, text: &[u8], parsed: Option<Parsed<'_>>, give: &mut Give<'_>) {
        let inner = Inner { text: Cow::Borrowed(text), ..Inner::default() };
        self.layer(inner, parsed, "", LAYERS_MAX, give);
    }

    /// Unwraps what was taken out of a record already.
    pub(crate) fn unwrap_inner(
        &mut self,
        inner: Inner<'_>,
        format: &'static str,
        give: &mut Give<'_>,
    ) {
        self.layer(inner, None, format, LAYERS_MAX, give);
    }

    /// Peels one layer and what is inside; recurses at most [`LAYERS_MAX`] deep.
    fn layer(
        &mut self,
        mut outer: Inner<'_>,
        around: Option<Parsed<'_>>,
        format: &'static str,
        left: usize,
        give: &mut Give<'_>,
    ) {
        if outer.rejected.is_some() {
            return reject(outer, format, None, give);
        }
        outer.text = trimmed(outer.text);
        let nodes = match self.nodes(&outer.text, around) {
            Ok(nodes) => nodes,
            Err(error) if outer.event => {
                return reject(outer, format, Some(not_json(error)), give);
            }
            Err(error) => {
                let layer = Layer { text: &outer.text, json: None };
                let (name, peeled) = peel(&layer);
                let peeled = match peeled {
                    Peeled::NotMine if starts_like_json(&outer.text) => {
                        Peeled::Rejected(not_json(error))
                    }
                    Peeled::NotMine => Peeled::Rejected(why_no_text(&outer.text)),
                    peeled => peeled,
                };
                return self.inside(&outer, None, (name, peeled), format, left, give);
            }
        };
        let tape = match &nodes.tape {
            Some(own) => own,
            None => match around {
                Some(around) => around.tape,
                None => return,
            },
        };
        if nodes.strictness == Strictness::Lenient {
            outer.flags.push(Flag::Lenient);
        }
        if outer.event {
            return finish(outer, tape, format, give);
        }
        let parsed = Parsed { text: &outer.text, tape, strictness: Strictness::Strict };
        let layer = Layer { text: parsed.text, json: tape.root(parsed.text) };
        let found = peel(&layer);
        self.inside(&outer, Some(parsed), found, format, left, give);
    }

    /// Goes on with what a layer held.
    fn inside(
        &mut self,
        outer: &Inner<'_>,
        parsed: Option<Parsed<'_>>,
        (name, peeled): (&'static str, Peeled<'_>),
        format: &'static str,
        left: usize,
        give: &mut Give<'_>,
    ) {
        let format = if format.is_empty() { name } else { format };
        let reason = match peeled {
            Peeled::Inner(_) if left == 0 => "too many layers around the event".to_owned(),
            Peeled::Inner(parts) => {
                for mut part in parts {
                    // Places are told in the text of the record: only the first layer's count.
                    if left < LAYERS_MAX {
                        part.element = outer.element.clone();
                    }
                    part.envelope = join_envelopes(outer.envelope.clone(), part.envelope);
                    part.origin = join_origins(outer.origin.clone(), part.origin);
                    part.time = part.time.or(outer.time);
                    part.flags.extend(outer.flags.iter().copied());
                    self.layer(part, parsed, format, left - 1, give);
                }
                return;
            }
            Peeled::NotMine => "not an audit event".to_owned(),
            Peeled::Rejected(reason) => reason,
        };
        reject(outer.clone(), format, Some(reason), give);
    }

    /// Returns the nodes of `text`: those it has in the text around it, or newly parsed.
    fn nodes(&mut self, text: &[u8], around: Option<Parsed<'_>>) -> Result<Nodes, NotJson> {
        if !starts_like_json(text) {
            return Err(NotJson { at: 0, what: "expected a JSON value" });
        }
        if let Some(around) = around
            && let Some(range) = range_in(around.text, text)
        {
            if range.len() == around.text.len() {
                return Ok(Nodes { tape: None, strictness: around.strictness });
            }
            if let Some(tape) = subtree(around.tape, range.start, range.end) {
                return Ok(Nodes { tape: Some(tape), strictness: Strictness::Strict });
            }
        }
        let mut tape = Tape::default();
        let strictness = parse_json(text, &mut self.scratch, &mut tape)?;
        Ok(Nodes { tape: Some(tape), strictness })
    }
}

/// Asks the formats.
fn peel<'c>(layer: &Layer<'c>) -> (&'static str, Peeled<'c>) {
    for format in FORMATS {
        match format.peel(layer) {
            Peeled::NotMine => {}
            found => return (format.row().name, found),
        }
    }
    ("", Peeled::NotMine)
}

/// The nodes of a text; `None` where they are exactly those of the text around it.
struct Nodes {
    tape: Option<Tape>,
    strictness: Strictness,
}

/// Returns the nodes of the object or array at `start..end`, told from its own start.
fn subtree(tape: &Tape, start: usize, end: usize) -> Option<Tape> {
    let (start, end) = (u32::try_from(start).ok()?, u32::try_from(end).ok()?);
    let first = tape.nodes.partition_point(|node| node.start < start);
    let root = tape.nodes.get(first)?;
    let whole = matches!(root.kind, Kind::Object | Kind::Array);
    if !whole || root.start != start || root.end != end {
        return None;
    }
    let base = u32::try_from(first).ok()?;
    let nodes = tape.nodes.get(first..root.next as usize)?;
    let shifted = nodes.iter().map(|node| Node {
        start: node.start - start,
        end: node.end - start,
        next: node.next - base,
        ..*node
    });
    Some(Tape { nodes: shifted.collect() })
}

fn finish(mut inner: Inner<'_>, tape: &Tape, format: &'static str, give: &mut Give<'_>) {
    if inner.time.is_some() {
        if tape.root(&inner.text).and_then(event_time).is_none() {
            inner.flags.push(Flag::EnvelopeTime);
        } else {
            inner.time = None;
        }
    }
    inner.flags.sort_unstable();
    inner.flags.dedup();
    give(Unwrapped { inner, format, tape });
}

fn reject(mut inner: Inner<'_>, format: &'static str, reason: Option<String>, give: &mut Give<'_>) {
    inner.rejected = reason.or(inner.rejected);
    let tape = Tape::default();
    give(Unwrapped { inner, format, tape: &tape });
}

fn starts_like_json(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'{' | b'[' | b'"'))
}

fn trimmed(text: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
        Cow::Owned(text) if text.trim_ascii().len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_vec()),
    }
}

/// Says why a text is no JSON.
pub(crate) fn not_json(error: NotJson) -> String {
    format!("not JSON: {} at byte {}", error.what, error.at)
}

/// Says why a text that is no JSON either is of no format.
pub(crate) fn why_no_text(text: &[u8]) -> String {
    let utf16 = text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]);
    if utf16 {
        "UTF-16 text inside other text: a file that is UTF-16 from its start is read, others need \
         `iconv -f UTF-16 -t UTF-8` first"
            .to_owned()
    } else if memchr::memchr(0, text).is_some() {
        "NUL bytes: binary data, or UTF-16 text without a byte order mark (`iconv -f UTF-16LE -t \
         UTF-8` makes it readable)"
            .to_owned()
    } else if parse_lenient(text, &mut Tape::default()).is_ok() {
        "not an audit event".to_owned()
    } else {
        "neither JSON nor a text format known here".to_owned()
    }
}
