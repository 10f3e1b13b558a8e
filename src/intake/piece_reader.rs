//! A piece of a source becomes its records, each one accounted for.
//!
//! A record is a line, or a JSON value that spans lines, or a JSON value that shares its line with
//! others.  What stands in it is unwrapped; `raw` is then the enclosing line.  Where a record spans
//! lines and holds an array of events, each element of the array is a record of its own with its
//! own place: a wrapper of gigabytes would make a useless answer to "show me the line", and an
//! archive of that size could not be read piece by piece.
//! For the same reason an array that is larger than a piece is read by its elements even where it
//! stands on one line.
//! The brackets, commas and keys around elements, and the header of a CSV file, are no records.

use std::borrow::Cow;
use std::ops::Range;

use super::csv_rows;
use super::formats::truncated;
use super::parse::Scratch;
use super::parse::Strictness;
use super::parse::parse_json;
use super::record::Met;
use super::record::Record;
use super::record::Rejected;
use super::shape::Shape;
use super::tally::Tally;
use super::unwrap::Parsed;
use super::unwrap::Unwrapped;
use super::unwrap::Wrappings;
use super::unwrap::not_json;
use crate::event::json::Tape;
use crate::event::place::Flag;
use crate::event::place::Origin;
use crate::event::place::Place;
use crate::source::ElementEnd;
use crate::source::Layout;
use crate::source::Mode;
use crate::source::Piece;
use crate::source::SourceInfo;
use crate::source::Span;
use crate::source::element_end;
use crate::source::element_indent;
use crate::source::value_end;

/// Who is told about each record; the tape is that of [`Record::event`], empty for anything else.
pub type Sink<'s> = dyn FnMut(Met<'_>, &Tape) + 's;

/// Reads pieces; one for each worker, because it keeps its buffers.
#[derive(Debug)]
pub struct PieceReader {
    scratch: Scratch,
    tape: Tape,
    empty: Tape,
    wrappings: Wrappings,
    /// What may span lines in this piece.  Less and less is tried once a value had no end or held
    /// whole events: looking for it again from each line would take forever.
    layout: Layout,
}

/// A record by its place in the piece.
struct Cut<'p> {
    piece: &'p Piece,
    bytes: &'p [u8],
    /// Where it starts in the piece.
    start: usize,
    /// Number of its first line.
    line: u64,
}

impl<'p> Cut<'p> {
    fn place(&self, item: u32) -> Place {
        Place {
            source: self.piece.source,
            offset: self.piece.offset + self.start as u64,
            line: self.line,
            item,
        }
    }

    /// Goes on to a later place of the piece.
    fn move_to(&mut self, at: usize) {
        let passed = self.bytes.get(self.start..at).unwrap_or_default();
        self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
        self.start = at;
    }

    /// Returns the place of a part of a record that spans lines.
    fn within(&self, part: &Range<usize>) -> Cut<'p> {
        let before = self.bytes.get(self.start..self.start + part.start).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', before).count() as u64;
        Cut { start: self.start + part.start, line: self.line + lines, ..*self }
    }
}

impl Default for PieceReader {
    fn default() -> PieceReader {
        PieceReader::new()
    }
}

impl PieceReader {
    /// Makes a reader.
    pub fn new() -> PieceReader {
        PieceReader {
            scratch: Scratch::default(),
            tape: Tape::default(),
            empty: Tape::default(),
            wrappings: Wrappings::default(),
            layout: Layout::Any,
        }
    }

    /// Reads all records of `piece` in the order they stand there.
    pub fn read(&mut self, piece: &Piece, _info: &SourceInfo, sink: &mut Sink<'_>) -> Tally {
        let mut tally = Tally { bytes: piece.length, lines: piece.lines, ..Tally::default() };
        let mut count = |met: Met<'_>, tape: &Tape| {
            tally.records += 1;
            match &met {
                Met::Event(_) => tally.events += 1,
                Met::Blank => tally.blank += 1,
                Met::Rejected(_) => tally.rejected += 1,
            }
            sink(met, tape);
        };
        self.layout = Layout::Any;
        match &piece.mode {
            Mode::Lines => self.read_lines(piece, &mut count),
            Mode::Elements { head, tail } => self.read_elements(piece, head, tail, &mut count),
            Mode::Csv(header) => self.read_rows(piece, header, &mut count),
            Mode::Oversized => {
                let cut = Cut { piece, bytes: &piece.bytes, start: 0, line: piece.line };
                let reason = format!("a line of {} bytes, longer than the limit", piece.length);
                self.reject(&cut, &piece.bytes, reason, &mut count);
            }
        }
        tally
    }

    /// Reads elements of an array, each as if it stood alone in its wrapper.
    fn read_elements(&mut self, piece: &Piece, head: &[u8], tail: &[u8], sink: &mut Sink<'_>) {
        let all: &[u8] = &piece.bytes;
        let bytes = all.get(..piece.body.end).unwrap_or(all);
        let indent = element_indent(bytes.get(piece.body.start..).unwrap_or_default());
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let alone = tail == b"]";
        let mut cut = Cut { piece, bytes, start: 0, line: piece.line };
        let mut at = piece.body.start;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            at += rest.iter().take_while(|c| c.is_ascii_whitespace() || **c == b',').count();
            cut.move_to(at);
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let length = match element_end(rest, indent) {
                ElementEnd::Comma(0) => 1,
                ElementEnd::Comma(end) | ElementEnd::Close(end) | ElementEnd::Broken(end) => end,
                ElementEnd::Unfinished => rest.len(),
            };
            let element = rest.get(..length).unwrap_or_default().trim_ascii();
            if alone {
                match parse_json(element, &mut self.scratch, &mut self.tape) {
                    Ok(strictness) => self.value(&cut, element, element, strictness, false, sink),
                    Err(error) => self.reject(&cut, element, not_json(error), sink),
                }
            } else {
                let wrapped = [head, element, tail].concat();
                self.unwrap(&cut, element, wrapped.trim_ascii(), None, false, sink);
            }
            at += length.max(1);
        }
    }

    /// Reads rows of CSV.
    fn read_rows(&mut self, piece: &Piece, header: &[u8], sink: &mut Sink<'_>) {
        let names = csv_rows::fields(header);
        let bytes: &[u8] = &piece.bytes;
        let mut cut = Cut { piece, bytes, start: 0, line: piece.line };
        let mut at = piece.body.start;
        while at < bytes.len() {
            cut.move_to(at);
            let rest = bytes.get(at..).unwrap_or_default();
            let mut quoted = false;
            let end = memchr::memchr2_iter(b'"', b'\n', rest).find(|at| {
                let quote = rest.get(*at) == Some(&b'"');
                quoted ^= quote;
                !quote && !quoted
            });
            let length = end.map_or(rest.len(), |end| end + 1);
            let line = rest.get(..length).unwrap_or_default();
            let raw = line.strip_suffix(b"\n").unwrap_or(line);
            let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
            at += length;
            if raw.trim_ascii().is_empty() {
                sink(Met::Blank, &self.empty);
                continue;
            }
            let inner = csv_rows::row(&names, &csv_rows::fields(raw));
            let (mut item, empty) = (0, &self.empty);
            self.wrappings.unwrap_inner(inner, "csv", &mut |part: Unwrapped<'_>| {
                give(&cut, raw, item, part, empty, sink);
                item += 1;
            });
        }
    }

    fn read_lines(&mut self, piece: &Piece, sink: &mut Sink<'_>) {
        let bytes: &[u8] = piece.bytes.get(piece.body.clone()).unwrap_or_default();
        let mut cut = Cut { piece, bytes, start: 0, line: piece.line };
        if piece.offset == 0 && bytes == b"\xef\xbb\xbf" {
            sink(Met::Blank, &self.empty);
            return;
        }
        while cut.start < bytes.len() {
            let rest = bytes.get(cut.start..).unwrap_or_default();
            let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest.get(..length).unwrap_or_default();
            let used = self.line(&cut, rest, line, sink);
            let passed = rest.get(..used).unwrap_or_default();
            cut.line += if used == length + 1 {
                1
            } else {
                memchr::memchr_iter(b'\n', passed).count() as u64
            };
            cut.start += used.max(1);
        }
    }

    /// Reads the record at the start of `rest`, whose first line is `line`; returns its length.
    fn line(&mut self, cut: &Cut<'_>, rest: &[u8], line: &[u8], sink: &mut Sink<'_>) -> usize {
        let whole = line.len() + 1;
        let raw = line.strip_suffix(b"\r").unwrap_or(line);
        let mut text = raw;
        if cut.start == 0 && cut.piece.offset == 0 {
            text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        }
        let text = text.trim_ascii();
        match text.first() {
            None => {
                sink(Met::Blank, &self.empty);
                whole
            }
            Some(b'{' | b'[') => match parse_json(text, &mut self.scratch, &mut self.tape) {
                Ok(strictness) => {
                    self.value(cut, raw, text, strictness, false, sink);
                    whole
                }
                Err(error) => {
                    let lead = text_start(raw, text);
                    self.no_line(cut, rest, lead, (line, raw), not_json(error), sink)
                }
            },
            Some(_) => {
                self.unwrap(cut, raw, text, None, false, sink);
                whole
            }
        }
    }

    /// Reads a record that starts like JSON at `rest[lead..]` but is not one whole line.
    fn no_line(
        &mut self,
        cut: &Cut<'_>,
        rest: &[u8],
        lead: usize,
        (line, raw): (&[u8], &[u8]),
        reason: String,
        sink: &mut Sink<'_>,
    ) -> usize {
        let text = rest.get(lead..).unwrap_or_default();
        if truncated::is_marked(raw) {
            self.unwrap(cut, raw, raw.trim_ascii(), None, false, sink);
            return line.len() + 1;
        }
        match value_end(text, self.layout) {
            Span::Closed(end) => {
                let value = text.get(..end).unwrap_or_default();
                let end = lead + end;
                let tail = rest.get(end..).unwrap_or_default();
                let tail_line = memchr::memchr(b'\n', tail).unwrap_or(tail.len());
                let tail_text = tail.get(..tail_line).unwrap_or_default().trim_ascii();
                let spans = end > line.len();
                // Behind a value may stand nothing, or a comma, or the next value.
                let comma = tail_text == b",";
                if !spans && !comma && !matches!(tail_text.first(), None | Some(b'{' | b'[')) {
                    self.reject(cut, raw, reason, sink);
                    return line.len() + 1;
                }
                let enclosing = rest.get(..end).unwrap_or_default();
                match parse_json(value, &mut self.scratch, &mut self.tape) {
                    Ok(strictness) => self.value(cut, enclosing, value, strictness, spans, sink),
                    Err(_) if spans && self.holds_event(enclosing) => {
                        self.layout = Layout::Lines;
                        self.reject(cut, raw, reason, sink);
                        return line.len() + 1;
                    }
                    Err(error) => self.reject(cut, enclosing, not_json(error), sink),
                }
                if comma || tail_text.is_empty() { end + tail_line + 1 } else { end }
            }
            Span::Cut(next) => {
                let run = rest.get(..lead + next).unwrap_or_default();
                self.reject(cut, run.trim_ascii_end(), reason, sink);
                run.len()
            }
            Span::UnclosedOverRecords => {
                self.layout = Layout::Indented;
                self.reject(cut, raw, reason, sink);
                line.len() + 1
            }
            Span::Unclosed if self.holds_event(rest) => {
                self.layout = Layout::Lines;
                self.reject(cut, raw, reason, sink);
                line.len() + 1
            }
            Span::Unclosed => {
                let run = rest.trim_ascii_end();
                self.reject(cut, run, reason, sink);
                rest.len()
            }
        }
    }

    /// Says whether a later line of a broken run is an event by itself: then the run is not one
    /// record but lines that happen to be indented, and the first of them is cut.
    fn holds_event(&mut self, run: &[u8]) -> bool {
        run.split(|c| *c == b'\n').skip(1).any(|line| {
            let line = line.trim_ascii();
            let line = line.strip_suffix(b",").unwrap_or(line);
            line.starts_with(b"{\"")
                && parse_json(line, &mut self.scratch, &mut self.tape).is_ok()
                && self.tape.root(line).is_some_and(|root| Shape::of(root).is_audit_event())
        })
    }

    /// Reads one JSON value that was parsed into the tape.
    fn value(
        &mut self,
        cut: &Cut<'_>,
        raw: &[u8],
        text: &[u8],
        strictness: Strictness,
        spans: bool,
        sink: &mut Sink<'_>,
    ) {
        if let Some(root) = self.tape.root(text) {
            let shape = Shape::of(root);
            if shape.is_audit_event() && !shape.is_flat_envelope() {
                let flags = match strictness {
                    Strictness::Strict => Vec::new(),
                    Strictness::Lenient => vec![Flag::Lenient],
                };
                let record = Record {
                    place: cut.place(0),
                    raw,
                    event: Cow::Borrowed(text),
                    envelope: None,
                    origin: Origin::default(),
                    flags,
                    envelope_time: None,
                    format: "event",
                };
                sink(Met::Event(record), &self.tape);
                return;
            }
        }
        self.unwrap(cut, raw, text, Some(strictness), spans, sink);
    }

    /// Unwraps a record that is no bare event; the tape holds its nodes if it was parsed.
    fn unwrap(
        &mut self,
        cut: &Cut<'_>,
        raw: &[u8],
        text: &[u8],
        strictness: Option<Strictness>,
        spans: bool,
        sink: &mut Sink<'_>,
    ) {
        let lead = text_start(raw, text);
        let mut item = 0_u32;
        let mut element_before: Option<Range<usize>> = None;
        let empty = &self.empty;
        let tape = &self.tape;
        let parsed = strictness.map(|strictness| Parsed { text, tape, strictness });
        self.wrappings.unwrap(text, parsed, &mut |part: Unwrapped<'_>| {
            let element = part.inner.element.clone().filter(|_| spans);
            if element != element_before {
                item = 0;
            }
            let (here, raw) = match &element {
                Some(range) => {
                    let raw = text.get(range.clone()).unwrap_or_default();
                    (cut.within(&(range.start + lead..range.end + lead)), raw)
                }
                None => (Cut { ..*cut }, raw),
            };
            element_before = element;
            give(&here, raw, item, part, empty, sink);
            item += 1;
        });
    }

    fn reject(&self, cut: &Cut<'_>, raw: &[u8], reason: String, sink: &mut Sink<'_>) {
        let rejected = Rejected { place: cut.place(0), raw: Cow::Borrowed(raw), reason };
        sink(Met::Rejected(rejected), &self.empty);
    }
}

/// Tells the sink about one part of a record.
fn give(
    cut: &Cut<'_>,
    raw: &[u8],
    item: u32,
    part: Unwrapped<'_>,
    empty: &Tape,
    sink: &mut Sink<'_>,
) {
    let place = cut.place(item);
    let inner = part.inner;
    match inner.rejected {
        Some(reason) => {
            sink(Met::Rejected(Rejected { place, raw: Cow::Borrowed(raw), reason }), empty);
        }
        None => {
            let record = Record {
                place,
                raw,
                event: inner.text,
                envelope: inner.envelope.map(Cow::Owned),
                origin: inner.origin,
                flags: inner.flags,
                envelope_time: inner.time,
                format: part.format,
            };
            sink(Met::Event(record), part.tape);
        }
    }
}

/// Returns where `text`, a part of `raw`, starts in it.
fn text_start(raw: &[u8], text: &[u8]) -> usize {
    super::format::range_in(raw, text).map_or(0, |range| range.start)
}

#[cfg(test)]
mod tests {
    use crate::intake::testing::Seen;
    use crate::intake::testing::meet;

    const EVENT: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a1","verb":"get","requestReceivedTimestamp":"2025-07-02T10:15:00.000001Z"}"#;

    fn kinds(seen: &[Seen]) -> Vec<(&'static str, u64, u64)> {
        seen.iter().map(|seen| (seen.kind, seen.line, seen.offset)).collect()
    }

    fn pretty(text: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    }

    #[test]
    fn lines_with_bom_crlf_blanks_and_a_cut_end() {
        let text = format!("\u{feff}{EVENT}\r\n\r\n  \n{EVENT}\nnonsense\n{}", &EVENT[..50]);
        let (seen, tally) = meet(text.as_bytes());
        let length = EVENT.len() as u64;
        assert_eq!(
            kinds(&seen),
            [
                ("event", 1, 0),
                ("blank", 0, 0),
                ("blank", 0, 0),
                ("event", 4, length + 10),
                ("rejected", 5, 2 * length + 11),
                ("rejected", 6, 2 * length + 20)
            ]
        );
        assert_eq!(tally.lines, 6);
        assert_eq!(seen[0].raw, format!("\u{feff}{EVENT}"));
        assert_eq!(seen[0].event, EVENT);
        assert!(seen[5].reason.starts_with("not JSON"), "{}", seen[5].reason);
    }

    #[test]
    fn pretty_events_among_lines() {
        let pretty = pretty(EVENT);
        let text = format!("{EVENT}\n{pretty}\n{pretty}\n\n{EVENT}\n");
        let (seen, _) = meet(text.as_bytes());
        let lines: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.line)).collect();
        assert_eq!(lines, [("event", 1), ("event", 2), ("event", 9), ("blank", 0), ("event", 17)]);
        assert_eq!(seen[1].raw, pretty);
        assert_eq!(seen[1].offset, EVENT.len() as u64 + 1);
    }

    #[test]
    fn elements_of_a_list_over_lines_are_records_of_their_own() {
        let list = format!(r#"{{"kind":"EventList","items":[{EVENT},{EVENT},3]}}"#);
        let (seen, _) = meet(format!("{list}\n").as_bytes());
        let items: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.offset, seen.item)).collect();
        assert_eq!(items, [("event", 0, 0), ("event", 0, 1), ("rejected", 0, 2)]);
        assert!(seen.iter().all(|seen| seen.raw == list));
        let list = pretty(&list);
        let (seen, _) = meet(format!("{list}\n").as_bytes());
        let items: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.line, seen.item)).collect();
        assert_eq!(items, [("event", 4, 0), ("event", 11, 0), ("rejected", 18, 0)]);
        for one in &seen[..2] {
            assert!(list[one.offset as usize..].starts_with(&one.raw), "{one:?}");
            assert_eq!(one.raw, one.event);
        }
    }

    #[test]
    fn values_that_share_a_line_are_records_of_their_own() {
        let text = format!("{EVENT}{EVENT} {{\"bad\":}}{EVENT}\n{EVENT}\n");
        let (seen, _) = meet(text.as_bytes());
        let kinds: Vec<_> = seen.iter().map(|seen| (seen.kind, seen.line)).collect();
        assert_eq!(
            kinds,
            [("event", 1), ("event", 1), ("rejected", 1), ("event", 1), ("event", 2)]
        );
        assert_eq!(seen[3].raw, EVENT);
    }

    #[test]
    fn a_cut_record_does_not_take_its_neighbour_along() {
        for cut in [r#"{"a":{"b":"#, r#"{"a":"cut in a str"#, "{\n  \"a\": {", "[", "{\"a\":[{"] {
            let text = format!("{EVENT}\n{cut}\n{EVENT}\n");
            let (seen, _) = meet(text.as_bytes());
            let kinds: Vec<_> = seen.iter().map(|seen| seen.kind).collect();
            assert_eq!(kinds, ["event", "rejected", "event"], "{cut}");
            assert_eq!(seen[1].raw, cut);
        }
    }

    #[test]
    fn a_cut_record_among_indented_lines_takes_nothing_along() {
        let text = format!(" {{\"a\":{{\n  {EVENT}\n {{\"b\":[\n {EVENT}\n");
        let kinds: Vec<_> = meet(text.as_bytes()).0.iter().map(|seen| seen.kind).collect();
        assert_eq!(kinds, ["rejected", "event", "rejected", "event"]);
    }

    #[test]
    fn an_array_with_an_element_a_line_and_lines_that_end_in_commas() {
        let array = format!("[\n{EVENT},\n{EVENT}\n]\n");
        let (seen, tally) = meet(array.as_bytes());
        assert_eq!((tally.events, tally.records), (2, 2));
        assert_eq!((seen[1].line, seen[1].raw.as_str()), (3, EVENT));
        let (seen, tally) = meet(&array.as_bytes()[2..array.len() - 2]);
        assert_eq!((tally.events, tally.records), (2, 2), "{seen:?}");
        let (_, tally) = meet(&array.as_bytes()[..array.len() - 2]);
        assert_eq!((tally.events, tally.rejected), (2, 1));
    }

    #[test]
    fn a_node_prefix_becomes_the_node() {
        let (seen, _) = meet(format!("master-0.x {EVENT}\nWords {EVENT}\n").as_bytes());
        assert_eq!(seen[0].origin.node.as_deref(), Some("master-0.x"));
        assert_eq!(seen[0].event, EVENT);
        assert_eq!(seen[1].kind, "rejected");
    }
}
