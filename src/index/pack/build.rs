//! Events go in, one pack of bytes comes out.

use std::borrow::Cow;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::event::field::is_event_root;
use crate::event::json::Kind;
use crate::event::json::Node;
use crate::event::json::Tape;
use crate::event::json::decode;
use crate::event::place::Flag;
use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::event::time::Timestamp;
use crate::event::time::parse_micros_utc;
use crate::index::pack::section::ENVELOPE;
use crate::index::pack::section::N_SECTIONS;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SECTIONS;
use crate::index::pack::section::SectionId;
use crate::index::pack::section::child_section;
use crate::index::pack::section::has_children;
use crate::index::pack::shape::Gap;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::PART_GAP;
use crate::index::pack::shape::STRING_GAP;
use crate::index::pack::shape::Shape;
use crate::index::pack::shape::ValueKind;
use crate::intake::record::Record;

/// Events of more nodes than this are kept whole and judged one by one.
const NODES_MAX: usize = 200_000;
/// Texts longer than this are kept whole and judged one by one.
const TEXT_MAX: usize = 8 << 20;
/// More bytes around an event than this are stored as a text of their own.
const AROUND_MAX: usize = 512;

/// One skeleton of one section.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) section: SectionId,
    pub(super) skeleton: Box<[u8]>,
    /// Number within its section.
    pub(super) number: u32,
    /// Column of each value gap, in the order of the text.
    pub(super) columns: Vec<u32>,
    /// Sum of the identities of its literals (see [`PackBuilder::identity`]).
    literals: u64,
    pub(super) shape: Shape,
}

/// One column while it grows.
#[derive(Debug)]
pub(super) struct Growing {
    pub(super) section: SectionId,
    pub(super) path: String,
    pub(super) kind: ValueKind,
    /// Hash of the path, 0 where the path does not belong to the event's identity.
    path_hash: u64,
    /// Different values: indices into [`PackBuilder::entries`].
    pub(super) entries: Vec<u32>,
    /// Number of the value for each occurrence.
    pub(super) ids: Vec<u32>,
    /// The entry of the last occurrence.
    last: u32,
}

/// One different value of one column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    hash: u64,
    column: u32,
    /// Number within its column.
    number: u32,
    offset: u32,
    len: u32,
    /// Share of the event's identity.
    identity: u64,
}

/// A part of the event at hand.
#[derive(Clone, Debug)]
struct Part {
    section: SectionId,
    skeleton: std::ops::Range<usize>,
    spans: std::ops::Range<usize>,
    in_envelope: bool,
}

/// Collects the events of one pack.
#[derive(Debug, Default)]
pub struct PackBuilder {
    pub(super) templates: Vec<Template>,
    template_table: HashTable<u32>,
    pub(super) n_templates: [u32; N_SECTIONS],
    /// Per section and event: number of the template plus one, 0 for absent.
    pub(super) template_of: [Vec<u32>; N_SECTIONS],
    pub(super) columns: Vec<Growing>,
    column_table: HashTable<u32>,
    pub(super) entries: Vec<Entry>,
    entry_table: HashTable<u32>,
    pub(super) arena: Vec<u8>,
    pub(super) places: Vec<Place>,
    /// Events whose time is not the one value of requestReceivedTimestamp.
    pub(super) odd_times: Vec<(u32, Option<Timestamp>)>,
    pub(super) times: Vec<Option<Timestamp>>,
    /// Events kept whole: their number, their text and their envelope's.
    pub(super) whole: Vec<Whole>,
    /// Enclosing texts that are more than a little around the event.
    pub(super) raws: Vec<Box<[u8]>>,
    last_raw: (usize, usize),
    /// Per event: 0 for "the event's own text", 1 for prefix and suffix, 2 + n for `raws[n]`.
    pub(super) raw_of: Vec<u32>,
    /// Node, cluster, log, flags, prefix, suffix per event.
    pub(super) meta: [Meta; N_META],
    /// Per event: what it is, whoever forwarded it and however its keys are ordered.
    pub identities: Vec<u64>,
    /// Bytes of event text taken in.
    pub event_bytes: u64,
    skeletons: Vec<u8>,
    spans: Vec<(u32, u32)>,
    parts: Vec<Part>,
    queue: Vec<(SectionId, u32)>,
    chosen: Vec<u32>,
}

/// Number, text and envelope of an event that is kept whole.
pub(super) type Whole = (u32, Box<[u8]>, Option<Box<[u8]>>);

/// How many facts beside the event are kept per event.
pub const N_META: usize = 6;
/// Place of each fact in [`PackBuilder::meta`].
pub const META_NODE: usize = 0;
/// See [`META_NODE`].
pub const META_CLUSTER: usize = 1;
/// See [`META_NODE`].
pub const META_LOG: usize = 2;
/// Bits of [`Flag::ALL`], in decimal.
pub const META_FLAGS: usize = 3;
/// Text before the event in its record.
pub const META_PREFIX: usize = 4;
/// Text behind the event in its record.
pub const META_SUFFIX: usize = 5;

/// A small dictionary with one value per event.
#[derive(Debug, Default)]
pub(super) struct Meta {
    pub(super) values: Vec<Box<[u8]>>,
    pub(super) ids: Vec<u32>,
}

impl Meta {
    fn push(&mut self, value: &[u8]) {
        // Few values in all; the last one is nearly always the next one too.
        let last = self.ids.last().copied();
        let same = |id: &u32| self.values.get(*id as usize).is_some_and(|v| **v == *value);
        let id = match last.filter(same) {
            Some(id) => id,
            None => match self.values.iter().position(|v| **v == *value) {
                Some(at) => at as u32,
                None => {
                    self.values.push(value.into());
                    self.values.len() as u32 - 1
                }
            },
        };
        self.ids.push(id);
    }
}

impl PackBuilder {
    /// Returns how many events are in.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Says whether no event is in.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Returns the time of each event.
    pub fn times(&self) -> &[Option<Timestamp>] {
        &self.times
    }

    /// Returns where an event stands.
    pub fn place(&self, event: u32) -> Place {
        let nowhere = Place { source: SourceId(0), offset: 0, line: 0, item: 0 };
        self.places.get(event as usize).copied().unwrap_or(nowhere)
    }

    /// Begins another run of bytes: what is enclosed there is not enclosed by what was before, even
    /// where it stands at the same place in memory.
    pub fn begin_piece(&mut self) {
        self.last_raw = (0, 0);
    }

    /// Forgets all events but keeps the memory for the next pack.
    pub fn clear(&mut self) {
        self.templates.clear();
        self.template_table.clear();
        self.n_templates = [0; N_SECTIONS];
        for ids in &mut self.template_of {
            ids.clear();
        }
        self.columns.clear();
        self.column_table.clear();
        self.entries.clear();
        self.entry_table.clear();
        self.arena.clear();
        self.places.clear();
        self.odd_times.clear();
        self.times.clear();
        self.whole.clear();
        self.raws.clear();
        self.last_raw = (0, 0);
        self.raw_of.clear();
        for meta in &mut self.meta {
            meta.values.clear();
            meta.ids.clear();
        }
        self.identities.clear();
        self.event_bytes = 0;
    }

    /// Returns the text of a value.
    pub(super) fn value(&self, entry: u32) -> &[u8] {
        let Some(entry) = self.entries.get(entry as usize) else { return &[] };
        span(&self.arena, entry.offset, entry.len)
    }

    /// Takes one event in.  `tape` is of `record.event`, `envelope` of `record.envelope`; `time`
    /// is the event's, with its fallbacks.
    pub fn push(
        &mut self,
        record: &Record<'_>,
        tape: &Tape,
        envelope: Option<&Tape>,
        time: Option<Timestamp>,
    ) {
        let number = self.places.len() as u32;
        self.event_bytes += record.event.len() as u64;
        self.places.push(record.place);
        self.times.push(time);
        self.push_around(record);
        self.parts.clear();
        self.skeletons.clear();
        self.spans.clear();
        let fits = record.event.len() <= TEXT_MAX
            && tape.nodes.len() <= NODES_MAX
            && record.envelope.as_ref().is_none_or(|text| text.len() <= TEXT_MAX)
            && envelope.is_none_or(|tape| tape.nodes.len() <= NODES_MAX);
        let mut known = fits && self.cut_apart(&record.event, tape, ROOT);
        if let (true, Some(text), Some(tape)) = (known, &record.envelope, envelope) {
            known = self.cut_apart(text, tape, ENVELOPE);
        }
        known = known && self.choose_templates();
        let mut identity = 0_u64;
        if known {
            let received =
                self.push_values(&record.event, record.envelope.as_deref(), &mut identity);
            if time.is_none() || received != time {
                self.odd_times.push((number, time));
            }
        } else {
            self.keep_whole(number, record);
            self.odd_times.push((number, time));
            identity = xxh3_64(&record.event);
        }
        self.identities.push(identity);
        for ids in &mut self.template_of {
            if ids.len() <= number as usize {
                ids.push(0);
            }
        }
    }

    fn keep_whole(&mut self, number: u32, record: &Record<'_>) {
        let envelope = record.envelope.as_deref().map(Box::from);
        self.whole.push((number, Box::from(&*record.event), envelope));
    }

    /// Notes what stands around the event and where it came from.
    fn push_around(&mut self, record: &Record<'_>) {
        let (mut prefix, mut suffix): (&[u8], &[u8]) = (&[], &[]);
        let raw = record.raw;
        let inside = match &record.event {
            Cow::Borrowed(event) => {
                let offset = (event.as_ptr() as usize).wrapping_sub(raw.as_ptr() as usize);
                let end = offset.saturating_add(event.len());
                (offset <= raw.len() && end <= raw.len()).then_some((offset, end))
            }
            Cow::Owned(_) => None,
        };
        let around = inside.map(|(start, end)| start + raw.len() - end);
        let mode = match (inside, around) {
            (Some(_), Some(0)) => 0,
            (Some((start, end)), Some(around)) if around <= AROUND_MAX => {
                prefix = raw.get(..start).unwrap_or_default();
                suffix = raw.get(end..).unwrap_or_default();
                1
            }
            _ => {
                let identity = (raw.as_ptr() as usize, raw.len());
                if self.last_raw != identity || self.raws.is_empty() {
                    self.raws.push(raw.into());
                    self.last_raw = identity;
                }
                self.raws.len() as u32 + 1
            }
        };
        self.raw_of.push(mode);
        let bits = record.flags.iter().fold(0_u32, |bits, flag| bits | flag_bit(*flag));
        let text = |value: &Option<String>| value.as_deref().unwrap_or_default().to_owned();
        let node = text(&record.origin.node);
        let cluster = text(&record.origin.cluster);
        let log = text(&record.origin.log);
        let flags = bits.to_string();
        let values: [&[u8]; N_META] =
            [node.as_bytes(), cluster.as_bytes(), log.as_bytes(), flags.as_bytes(), prefix, suffix];
        for (meta, value) in self.meta.iter_mut().zip(values) {
            meta.push(value);
        }
    }

    /// Cuts a text into its parts: skeletons and the spans of the values.
    ///
    /// Returns false where a part would stand twice in one event: such an event is kept whole.
    fn cut_apart(&mut self, text: &[u8], tape: &Tape, section: SectionId) -> bool {
        self.queue.clear();
        self.queue.push((section, 0));
        let in_envelope = section == ENVELOPE;
        while let Some((section, at)) = self.queue.pop() {
            if self.parts.iter().any(|part| part.section == section) {
                return false;
            }
            let skeleton = self.skeletons.len();
            let spans = self.spans.len();
            self.cut_part(text, &tape.nodes, section, at as usize);
            self.parts.push(Part {
                section,
                skeleton: skeleton..self.skeletons.len(),
                spans: spans..self.spans.len(),
                in_envelope,
            });
        }
        true
    }

    fn cut_part(&mut self, text: &[u8], nodes: &[Node], section: SectionId, at: usize) {
        let Some(root) = nodes.get(at) else { return };
        let whole = section == ROOT || section == ENVELOPE;
        let mut cursor = if whole { 0 } else { root.start as usize };
        let end = if whole { text.len() } else { root.end as usize };
        let cuts = has_children(section) && root.kind == Kind::Object;
        let mut next_key = at + 1;
        let mut here = at + 1;
        let mut copy = |skeletons: &mut Vec<u8>, upto: usize, mark: &[u8], behind: usize| {
            skeletons.extend_from_slice(text.get(cursor..upto).unwrap_or_default());
            skeletons.extend_from_slice(mark);
            cursor = behind;
        };
        while here < root.next as usize {
            let Some(node) = nodes.get(here) else { break };
            match node.kind {
                Kind::String => {
                    copy(
                        &mut self.skeletons,
                        node.start as usize,
                        &[STRING_GAP],
                        node.end as usize,
                    );
                    self.spans.push((node.start, node.end));
                }
                Kind::Number => {
                    copy(&mut self.skeletons, node.start as usize, b"0", node.end as usize);
                    self.spans.push((node.start, node.end));
                }
                Kind::Key if cuts && here == next_key => {
                    if let Some(value) = nodes.get(here + 1) {
                        next_key = value.next as usize;
                        let key =
                            text.get(node.start as usize..node.end as usize).unwrap_or_default();
                        let part = child_section(section, key)
                            .filter(|_| matches!(value.kind, Kind::Object | Kind::Array));
                        if let Some(part) = part {
                            self.queue.push((part, here as u32 + 1));
                            copy(
                                &mut self.skeletons,
                                value.start as usize,
                                &[b'"', PART_GAP, b'"'],
                                value.end as usize,
                            );
                            here = value.next as usize;
                            continue;
                        }
                    }
                }
                _ => {}
            }
            here += 1;
        }
        copy(&mut self.skeletons, end, &[], end);
    }

    /// Finds or makes the template of each part; false where one cannot be made.
    fn choose_templates(&mut self) -> bool {
        self.chosen.clear();
        for at in 0..self.parts.len() {
            let Some(part) = self.parts.get(at).cloned() else { return false };
            let Some(template) = self.template(&part) else { return false };
            self.chosen.push(template);
        }
        true
    }

    fn template(&mut self, part: &Part) -> Option<u32> {
        let skeleton = self.skeletons.get(part.skeleton.clone())?;
        let hash = xxh3_64_with_seed(skeleton, u64::from(part.section.0));
        let templates = &self.templates;
        let found = self.template_table.find(hash, |at| {
            templates
                .get(*at as usize)
                .is_some_and(|t| t.section == part.section && *t.skeleton == *skeleton)
        });
        if let Some(at) = found {
            return Some(*at);
        }
        let base = SECTIONS.get(part.section.0 as usize)?.path;
        let shape = Shape::of(skeleton, part.section, base).ok()?;
        let skeleton: Box<[u8]> = skeleton.into();
        let n_values = shape.gaps.iter().filter(|(_, g)| matches!(g, Gap::Value { .. })).count();
        if n_values != part.spans.len() {
            return None;
        }
        let mut columns = Vec::with_capacity(n_values);
        for (_, gap) in &shape.gaps {
            if let Gap::Value { path, kind } = gap {
                columns.push(self.column(part.section, path, *kind));
            }
        }
        let literals = shape.nodes.iter().fold(0_u64, |sum, (path, known)| {
            if matches!(known, Known::True | Known::False | Known::Null) {
                let path = path_identity(path, part.section);
                if path != 0 {
                    return sum.wrapping_add(path.rotate_left(1 + *known as u32));
                }
            }
            sum
        });
        let counter = self.n_templates.get_mut(part.section.0 as usize)?;
        let number = *counter;
        *counter += 1;
        let at = self.templates.len() as u32;
        self.templates.push(Template {
            section: part.section,
            skeleton,
            number,
            columns,
            literals,
            shape,
        });
        let templates = &self.templates;
        self.template_table.insert_unique(hash, at, |at| {
            templates
                .get(*at as usize)
                .map_or(0, |t| xxh3_64_with_seed(&t.skeleton, u64::from(t.section.0)))
        });
        Some(at)
    }

    fn column(&mut self, section: SectionId, path: &str, kind: ValueKind) -> u32 {
        let hash_of = |section: SectionId, path: &str, kind: ValueKind| {
            xxh3_64_with_seed(path.as_bytes(), u64::from(section.0) * 2 + kind as u64)
        };
        let hash = hash_of(section, path, kind);
        let columns = &self.columns;
        let found = self.column_table.find(hash, |at| {
            columns
                .get(*at as usize)
                .is_some_and(|c| c.section == section && c.kind == kind && c.path == path)
        });
        if let Some(at) = found {
            return *at;
        }
        let at = self.columns.len() as u32;
        self.columns.push(Growing {
            section,
            path: path.to_owned(),
            kind,
            path_hash: path_identity(path, section),
            entries: Vec::new(),
            ids: Vec::new(),
            last: u32::MAX,
        });
        let columns = &self.columns;
        self.column_table.insert_unique(hash, at, |at| {
            columns.get(*at as usize).map_or(0, |c| hash_of(c.section, &c.path, c.kind))
        });
        at
    }

    /// Puts the values of the parts at hand into their columns; returns the event's
    /// requestReceivedTimestamp if it has exactly one that parses.
    fn push_values(
        &mut self,
        event: &[u8],
        envelope: Option<&[u8]>,
        identity: &mut u64,
    ) -> Option<Timestamp> {
        let mut received = None;
        let mut n_received = 0;
        for at in 0..self.parts.len() {
            let (Some(part), Some(chosen)) = (self.parts.get(at), self.chosen.get(at)) else {
                continue;
            };
            let text = if part.in_envelope { envelope.unwrap_or_default() } else { event };
            let Some(template) = self.templates.get(*chosen as usize) else { continue };
            *identity = identity.wrapping_add(template.literals);
            if let Some(ids) = self.template_of.get_mut(part.section.0 as usize) {
                ids.push(template.number + 1);
            }
            let spans = self.spans.get(part.spans.clone()).unwrap_or_default();
            let root = part.section == ROOT;
            for (column, (start, end)) in template.columns.iter().zip(spans) {
                let value = text.get(*start as usize..*end as usize).unwrap_or_default();
                let share = push_value(
                    &mut self.columns,
                    &mut self.entries,
                    &mut self.entry_table,
                    &mut self.arena,
                    *column,
                    value,
                );
                *identity = identity.wrapping_add(share);
                if root && value.len() >= 20 && is_received(&self.columns, *column) {
                    n_received += 1;
                    received = parse_micros_utc(value).map(Timestamp);
                }
            }
        }
        received.filter(|_| n_received == 1)
    }
}

fn is_received(columns: &[Growing], column: u32) -> bool {
    columns.get(column as usize).is_some_and(|c| c.path == "requestReceivedTimestamp")
}

fn push_value(
    columns: &mut [Growing],
    entries: &mut Vec<Entry>,
    table: &mut HashTable<u32>,
    arena: &mut Vec<u8>,
    at: u32,
    value: &[u8],
) -> u64 {
    let Some(column) = columns.get_mut(at as usize) else { return 0 };
    if let Some(last) = entries.get(column.last as usize) {
        if span(arena, last.offset, last.len) == value {
            column.ids.push(last.number);
            return last.identity;
        }
    }
    let hash = xxh3_64_with_seed(value, u64::from(at));
    let found = table.find(hash, |entry| {
        entries.get(*entry as usize).is_some_and(|e| {
            e.hash == hash && e.column == at && span(arena, e.offset, e.len) == value
        })
    });
    if let Some(entry) = found {
        column.last = *entry;
        let Some(entry) = entries.get(*entry as usize) else { return 0 };
        column.ids.push(entry.number);
        return entry.identity;
    }
    let identity = if column.path_hash == 0 {
        0
    } else if memchr::memchr(b'\\', value).is_some() {
        xxh3_64_with_seed(decode(value, true).as_bytes(), column.path_hash)
    } else {
        xxh3_64_with_seed(value, column.path_hash)
    };
    let number = column.entries.len() as u32;
    let entry = entries.len() as u32;
    entries.push(Entry {
        hash,
        column: at,
        number,
        offset: arena.len() as u32,
        len: value.len() as u32,
        identity,
    });
    arena.extend_from_slice(value);
    column.entries.push(entry);
    column.ids.push(number);
    column.last = entry;
    table.insert_unique(hash, entry, |entry| {
        entries.get(*entry as usize).map_or(0, |entry| entry.hash)
    });
    identity
}

fn span(arena: &[u8], offset: u32, len: u32) -> &[u8] {
    arena.get(offset as usize..offset as usize + len as usize).unwrap_or_default()
}

/// Bit of a flag in [`META_FLAGS`].
pub fn flag_bit(flag: Flag) -> u32 {
    Flag::ALL.iter().position(|f| *f == flag).map_or(0, |at| 1 << at)
}

/// Hash of a path where its values belong to what an event *is*; 0 for an envelope's, for the
/// level and timestamp (which forwarders overwrite) and for kind and apiVersion (which list items
/// lack); whether two events are one is decided by comparing them.
fn path_identity(path: &str, section: SectionId) -> u64 {
    if section == ENVELOPE || matches!(path, "level" | "kind" | "apiVersion" | "timestamp") {
        return 0;
    }
    let root = path.split('.').next().unwrap_or_default();
    if section == ROOT && !is_event_root(root) { 0 } else { xxh3_64(path.as_bytes()) | 1 }
}
