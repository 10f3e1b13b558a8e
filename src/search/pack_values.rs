//! Values of fields for events of one pack, from the columns wherever that is exact.

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::event::field::Field;
use crate::event::field::Reading;
use crate::event::json::decode;
use crate::event::time::Timestamp;
use crate::event::words::equals_folded;
use crate::event::zone::Zone;
use crate::index::pack::build::META_CLUSTER;
use crate::index::pack::build::META_LOG;
use crate::index::pack::build::META_NODE;
use crate::index::pack::column::Dict;
use crate::index::pack::links::known_at;
use crate::index::pack::section::ROOT;
use crate::index::pack::section::SectionId;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::query::matcher::field_values;
use crate::search::codes::Codes;
use crate::search::codes::value_text;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::flag_names;
use crate::search::pack_eval::judge;
use crate::search::pack_eval::sections_of;

type Result<T> = std::result::Result<T, Damage>;

/// Values of one field, one list per event asked for.
pub type Lists = Vec<Vec<String>>;

/// Values from columns, and the events (by their place in the list) that must be parsed instead:
/// those where one event has values of one path in several columns, so that their order is only
/// in the text.
#[derive(Debug, Default)]
struct Columnar {
    codes: Codes,
    odd: BTreeSet<usize>,
}

impl Columnar {
    fn none(n: usize) -> Columnar {
        Columnar { codes: Codes::none(n), odd: BTreeSet::new() }
    }
}

/// Returns the values of `field` for `events` (ascending numbers).
///
/// # Errors
/// On damage.
pub fn values(scope: PackScope<'_>, events: &[usize], field: &Field, zone: Zone) -> Result<Lists> {
    Ok(codes(scope, events, field, zone)?.into_lists())
}

/// Returns the values of `field` for `events` (ascending numbers), the texts apart.
///
/// # Errors
/// On damage.
pub fn codes(scope: PackScope<'_>, events: &[usize], field: &Field, zone: Zone) -> Result<Codes> {
    let fast = match field.reading() {
        Reading::AnyOf(paths) => Some(any_of(scope.pack, events, &paths)?),
        Reading::FirstOf(paths) => Some(first_of(scope.pack, events, &paths, None)?),
        Reading::Namespace(paths) => {
            let own = path_values(scope.pack, events, "objectRef.resource")?;
            let mut found = first_of(scope.pack, events, &paths, Some(&own.codes))?;
            found.odd.extend(own.odd);
            Some(found)
        }
        Reading::Computed => computed(scope, events, field, zone)?,
    };
    let mut found = match fast {
        Some(found) => found,
        None => Columnar { odd: (0..events.len()).collect(), ..Columnar::none(events.len()) },
    };
    let whole = scope.pack.whole()?;
    for (number, _) in whole.iter() {
        found.odd.extend(events.binary_search(&(*number as usize)).ok());
    }
    if !found.odd.is_empty() {
        let mut reader = scope.pack.reader()?;
        for at in &found.odd {
            let Some(number) = events.get(*at) else { continue };
            let texts = reader.read(*number)?;
            let own = judge(scope, *number, &texts, |event| field_values(event, field, zone))?;
            found.codes.replace(*at, own);
        }
    }
    Ok(found.codes)
}

fn any_of(pack: &Pack, events: &[usize], paths: &[String]) -> Result<Columnar> {
    let mut found = Columnar::none(events.len());
    for path in paths {
        let own = path_values(pack, events, path)?;
        found.codes.absorb(own.codes, |_, _| true);
        found.odd.extend(own.odd);
    }
    Ok(found)
}

fn first_of(
    pack: &Pack,
    events: &[usize],
    paths: &[String],
    namespaces_only: Option<&Codes>,
) -> Result<Columnar> {
    let mut found = Columnar::none(events.len());
    let about_namespaces = |at: usize| {
        namespaces_only.is_none_or(|resources| {
            resources.of(at).any(|number| equals_folded(resources.text(number), "namespaces"))
        })
    };
    for (turn, path) in paths.iter().enumerate() {
        if found.codes.first.iter().all(|first| *first != 0) {
            break;
        }
        let own = path_values(pack, events, path)?;
        found.codes.absorb(own.codes, |so_far, at| {
            so_far.first.get(at) == Some(&0) && (turn == 0 || about_namespaces(at))
        });
        found.odd.extend(own.odd);
    }
    Ok(found)
}

/// Says whether any of the events has a part: most have no bodies, whose columns are large.
fn any_has(pack: &Pack, events: &[usize], section: SectionId) -> Result<bool> {
    let templates = pack.templates(section)?;
    Ok(events.iter().any(|event| templates.get(*event).is_some_and(|template| template > 0)))
}

/// Reads the values at one path.
fn path_values(pack: &Pack, events: &[usize], path: &str) -> Result<Columnar> {
    let mut found = Columnar::none(events.len());
    // Which column each event's values came from.
    let mut from: Vec<u32> = vec![0; events.len()];
    let mut columns = 0;
    for section in sections_of(path) {
        if !pack.has_section(section) {
            continue;
        }
        // Where columns can be asked for few events at little cost, they say it themselves.
        let asks_columns = pack.are_few(events.len()) && !pack.has_unlinked(section);
        if !asks_columns && !any_has(pack, events, section)? {
            continue;
        }
        for column in pack.directory(section)?.at(path) {
            columns += 1;
            let in_place = pack.reads_in_place(section, *column, events.len())?;
            if in_place || pack.are_few(events.len()) {
                let few = pack.few_values(section, *column, events)?;
                let number = |(id, value): (&u32, &Vec<u8>)| {
                    let text = decode(value, memchr::memchr(b'\\', value).is_some());
                    (*id, found.codes.number(text.into_owned()))
                };
                let numbers: HashMap<u32, u32> = few.values.iter().map(number).collect();
                for (at, id) in few.occurrences {
                    let number = numbers.get(&id).copied().unwrap_or_default();
                    found.put(at, columns, &mut from, number);
                }
                continue;
            }
            let dict = pack.dict(section, *column)?;
            let mut numbers = Numbers::new(dict.len(), events.len());
            let dict = found.codes.dict(dict);
            pack.occurrences_in(section, *column, events, |at, id| {
                let number = numbers.of(id, || found.codes.number_in(dict, id));
                found.put(at, columns, &mut from, number);
            })?;
        }
        if pack.links(section)?.literal_paths.contains(path) {
            columns += 1;
            let shapes = pack.shapes(section)?;
            let yes = found.codes.number("true".to_owned());
            let no = found.codes.number("false".to_owned());
            let mut known: HashMap<u32, Vec<u32>> = HashMap::new();
            for (template, known_here) in known_at(&shapes, path) {
                let number = match known_here {
                    Known::True => yes,
                    Known::False => no,
                    _ => continue,
                };
                known.entry(template).or_default().push(number);
            }
            let templates = pack.templates(section)?;
            for (at, number) in events.iter().enumerate() {
                let template = templates.get(*number).unwrap_or_default();
                for number in known.get(&template).into_iter().flatten() {
                    found.put(at, columns, &mut from, *number);
                }
            }
        }
    }
    Ok(found)
}

/// Numbers of values of one dictionary, given out as they are met.
enum Numbers {
    /// For few events of a large dictionary.
    Few(hashbrown::HashMap<u32, u32>),
    /// 0 where none was given out.
    All(Vec<u32>),
}

impl Numbers {
    fn new(n_values: usize, n_events: usize) -> Numbers {
        if n_events * 16 < n_values {
            Numbers::Few(hashbrown::HashMap::with_capacity(n_events))
        } else {
            Numbers::All(vec![0; n_values])
        }
    }

    fn of(&mut self, id: u32, give: impl FnOnce() -> u32) -> u32 {
        match self {
            Numbers::Few(numbers) => *numbers.entry(id).or_insert_with(give),
            Numbers::All(numbers) => match numbers.get_mut(id as usize) {
                Some(number) => {
                    if *number == 0 {
                        *number = give();
                    }
                    *number
                }
                None => give(),
            },
        }
    }
}

impl Columnar {
    /// Adds a value of an event that column `from` has.
    fn put(&mut self, at: usize, column: u32, from: &mut [u32], number: u32) {
        if let Some(from) = from.get_mut(at) {
            if *from != 0 && *from != column {
                self.odd.insert(at);
            }
            *from = column;
            self.codes.push(at, number);
        }
    }
}

fn computed(
    scope: PackScope<'_>,
    events: &[usize],
    field: &Field,
    zone: Zone,
) -> Result<Option<Columnar>> {
    let pack = scope.pack;
    let times = match field {
        Field::Time | Field::Hour | Field::Weekday if pack.are_few(events.len()) => {
            pack.few_times(events)?
        }
        Field::Time | Field::Hour | Field::Weekday => {
            let all = pack.times()?;
            events.iter().map(|event| all.get(*event).copied().unwrap_or(NO_TIME)).collect()
        }
        _ => Vec::new(),
    };
    let times = times.into_iter().map(|time| (time != NO_TIME).then_some(Timestamp(time)));
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    let lists = match field {
        Field::Peer => {
            // The last of a plain list of strings is the peer; `path_values` says when it is none.
            if !pack.has_plain_addresses()? {
                return Ok(None);
            }
            let mut found = path_values(pack, events, "sourceIPs")?;
            found.codes.keep_last();
            return Ok(Some(found));
        }
        Field::Time => times.map(|time| one(time.map(Timestamp::to_rfc3339))).collect(),
        Field::Hour => times
            .map(|time| one(time.and_then(|t| zone.hour(t)).map(|hour| hour.to_string())))
            .collect(),
        Field::Weekday => {
            times.map(|time| one(time.and_then(|t| zone.weekday(t)).map(str::to_owned))).collect()
        }
        Field::Took => {
            let took = took(pack)?;
            events
                .iter()
                .map(|n| one(took.get(*n).copied().flatten().map(|took| took.to_string())))
                .collect()
        }
        Field::Source => return Ok(Some(sources(scope, events)?)),
        Field::Node => return Ok(Some(meta(pack, events, META_NODE)?)),
        Field::Cluster => return Ok(Some(meta(pack, events, META_CLUSTER)?)),
        Field::Log => return Ok(Some(meta(pack, events, META_LOG)?)),
        Field::Flag => flag_names(scope, events)?,
        _ => return Ok(None),
    };
    Ok(Some(Columnar { codes: Codes::of_lists(lists), odd: BTreeSet::new() }))
}

/// Reads what is kept beside the events; where that is empty an event has no value.
fn meta(pack: &Pack, events: &[usize], at: usize) -> Result<Columnar> {
    let mut found = Columnar::none(events.len());
    let meta = pack.meta()?;
    let Some(column) = meta.get(at) else { return Ok(found) };
    let mut numbers: Vec<u32> = Vec::with_capacity(column.values.len());
    for value in &column.values {
        let text = String::from_utf8_lossy(value).into_owned();
        numbers.push(if text.is_empty() { 0 } else { found.codes.number(text) });
    }
    for (first, event) in found.codes.first.iter_mut().zip(events) {
        *first = numbers.get(column.id(*event) as usize).copied().unwrap_or_default();
    }
    Ok(found)
}

/// Reads in which source each event stands.
fn sources(scope: PackScope<'_>, events: &[usize]) -> Result<Columnar> {
    let mut found = Columnar::none(events.len());
    let places = scope.pack.places()?;
    let mut numbers: HashMap<u32, u32> = HashMap::new();
    for (at, event) in events.iter().enumerate() {
        let source = places.get(*event).map_or(u32::MAX, |place| place.source.0);
        let number = *numbers.entry(source).or_insert_with(|| {
            found.codes.number(scope.sources.get(source as usize).cloned().unwrap_or_default())
        });
        found.codes.push(at, number);
    }
    Ok(found)
}

/// Returns stageTimestamp − requestReceivedTimestamp of every event, in microseconds.
///
/// # Errors
/// On damage.
pub fn took(pack: &Pack) -> Result<Vec<Option<i64>>> {
    let start = moments(pack, "requestReceivedTimestamp")?;
    let end = moments(pack, "stageTimestamp")?;
    Ok(start.into_iter().zip(end).map(|(start, end)| Some(end? - start?)).collect())
}

/// Returns the first value under a key at the top of each event, where it is a time.
///
/// # Errors
/// On damage.
pub fn moments(pack: &Pack, key: &str) -> Result<Vec<Option<i64>>> {
    let mut found: Vec<Option<i64>> = vec![None; pack.len()];
    if !pack.has_section(ROOT) {
        return Ok(found);
    }
    let shapes = pack.shapes(ROOT)?;
    // Where the key holds a list its elements stand at the same path, and the key has no text.
    let plain: Vec<bool> = std::iter::once(false)
        .chain(shapes.templates.iter().map(|(_, shape)| {
            shape
                .nodes
                .iter()
                .find(|(path, _)| **path == *key)
                .is_some_and(|(_, k)| *k == Known::Value)
        }))
        .collect();
    let templates = pack.templates(ROOT)?;
    let directory = pack.directory(ROOT)?;
    let mut first: HashMap<usize, ()> = HashMap::new();
    let twice = shapes
        .templates
        .iter()
        .any(|(_, shape)| shape.nodes.iter().filter(|(path, _)| **path == *key).count() > 1);
    for column in directory.at(key) {
        let string =
            directory.rows.get(*column as usize).is_some_and(|row| row.kind == ValueKind::String);
        if !string {
            continue;
        }
        let dict = pack.dict(ROOT, *column)?;
        let known: Vec<Option<i64>> = match &*dict {
            Dict::Time(values) => values.iter().map(|value| Some(*value)).collect(),
            other => (0..other.len() as u32)
                .map(|id| Timestamp::parse(&value_text(other, id)).map(|time| time.0))
                .collect(),
        };
        pack.occurrences(ROOT, *column, |event, id| {
            let template = templates.get(event).unwrap_or_default();
            let usable = plain.get(template as usize).copied().unwrap_or_default()
                && (!twice || first.insert(event, ()).is_none());
            if let (true, Some(slot)) = (usable, found.get_mut(event)) {
                *slot = known.get(id as usize).copied().flatten();
            }
        })?;
    }
    Ok(found)
}
