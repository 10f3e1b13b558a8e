//! Values of fields for events of one pack, from the columns wherever that is exact.

use std::collections::HashMap;

use crate::event::field::Field;
use crate::event::field::Reading;
use crate::event::json::decode;
use crate::event::time::Timestamp;
use crate::event::words::equals_folded;
use crate::event::zone::Zone;
use crate::index::pack::column::Dict;
use crate::index::pack::section::ROOT;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::ValueKind;
use crate::index::pack::view::NO_TIME;
use crate::index::pack::view::Pack;
use crate::index::pack::wire::Damage;
use crate::query::matcher::field_values;
use crate::search::pack_eval::PackScope;
use crate::search::pack_eval::judge;
use crate::search::pack_eval::origin;
use crate::search::pack_eval::sections_of;
use crate::search::pack_eval::source_name;

type Result<T> = std::result::Result<T, Damage>;

/// Values of one field, one list per event asked for.
pub type Lists = Vec<Vec<String>>;

/// Returns the values of `field` for `events` (ascending numbers).
///
/// # Errors
/// On damage.
pub fn values(scope: PackScope<'_>, events: &[usize], field: &Field, zone: Zone) -> Result<Lists> {
    let fast = match field.reading() {
        Reading::AnyOf(paths) => any_of(scope.pack, events, &paths)?,
        Reading::FirstOf(paths) => first_of(scope.pack, events, &paths, None)?,
        Reading::Namespace(paths) => {
            let own = path_values(scope.pack, events, "objectRef.resource")?;
            match own {
                Some(own) => first_of(scope.pack, events, &paths, Some(&own))?,
                None => None,
            }
        }
        Reading::Computed => computed(scope, events, field, zone)?,
    };
    match fast {
        Some(lists) if scope.pack.whole()?.is_empty() => Ok(lists),
        Some(mut lists) => {
            let whole = scope.pack.whole()?;
            for (number, texts) in whole.iter() {
                if let Ok(at) = events.binary_search(&(*number as usize)) {
                    let own = judge(scope, *number as usize, texts, |event| {
                        field_values(event, field, zone)
                    })?;
                    if let Some(slot) = lists.get_mut(at) {
                        *slot = own;
                    }
                }
            }
            Ok(lists)
        }
        None => {
            let mut reader = scope.pack.reader()?;
            events
                .iter()
                .map(|number| {
                    let texts = reader.read(*number)?;
                    judge(scope, *number, &texts, |event| field_values(event, field, zone))
                })
                .collect()
        }
    }
}

fn any_of(pack: &Pack, events: &[usize], paths: &[String]) -> Result<Option<Lists>> {
    let mut lists: Lists = vec![Vec::new(); events.len()];
    for path in paths {
        let Some(own) = path_values(pack, events, path)? else { return Ok(None) };
        for (list, own) in lists.iter_mut().zip(own) {
            list.extend(own);
        }
    }
    Ok(Some(lists))
}

fn first_of(
    pack: &Pack,
    events: &[usize],
    paths: &[String],
    namespaces_only: Option<&Lists>,
) -> Result<Option<Lists>> {
    let mut lists: Lists = vec![Vec::new(); events.len()];
    for (at, path) in paths.iter().enumerate() {
        if lists.iter().all(|list| !list.is_empty()) {
            break;
        }
        let Some(own) = path_values(pack, events, path)? else { return Ok(None) };
        for (number, (list, own)) in lists.iter_mut().zip(own).enumerate() {
            let may = at == 0
                || namespaces_only.is_none_or(|resources| {
                    resources
                        .get(number)
                        .is_some_and(|r| r.iter().any(|r| equals_folded(r, "namespaces")))
                });
            if list.is_empty() && may {
                *list = own;
            }
        }
    }
    Ok(Some(lists))
}

/// Returns the values at one path, or `None` where the order of an event's values cannot be told
/// from one column: such events are parsed.
fn path_values(pack: &Pack, events: &[usize], path: &str) -> Result<Option<Lists>> {
    let mut lists: Lists = vec![Vec::new(); events.len()];
    let mut columns = 0;
    for section in sections_of(path) {
        if !pack.has_section(section) {
            continue;
        }
        if pack.links(section)?.literal_paths.contains(path) {
            return Ok(None);
        }
        for column in pack.directory(section)?.at(path) {
            columns += 1;
            if columns > 1 {
                return Ok(None);
            }
            let dict = pack.dict(section, *column)?;
            let mut wanted = events.iter().enumerate().peekable();
            pack.occurrences(section, *column, |event, id| {
                while wanted.peek().is_some_and(|(_, number)| **number < event) {
                    wanted.next();
                }
                if let Some((at, number)) = wanted.peek() {
                    if **number == event {
                        if let Some(list) = lists.get_mut(*at) {
                            list.push(value_text(&dict, id));
                        }
                    }
                }
            })?;
        }
    }
    Ok(Some(lists))
}

/// Returns a value of a dictionary with its escapes decoded.
pub fn value_text(dict: &Dict, id: u32) -> String {
    let value = dict.get(id);
    decode(&value, memchr::memchr(b'\\', &value).is_some()).into_owned()
}

fn computed(
    scope: PackScope<'_>,
    events: &[usize],
    field: &Field,
    zone: Zone,
) -> Result<Option<Lists>> {
    let pack = scope.pack;
    let times = pack.times()?;
    let time =
        |number: usize| times.get(number).copied().filter(|time| *time != NO_TIME).map(Timestamp);
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    Ok(Some(match field {
        Field::Peer => {
            // Exact only for plain lists of strings; `path_values` says when it is none.
            let root = pack.shapes(ROOT)?;
            let odd = root
                .templates
                .iter()
                .any(|(_, shape)| shape.nodes.iter().any(|(path, _)| path == "sourceIPs"));
            let own = crate::index::pack::section::SectionId(4);
            let nested = pack.shapes(own)?.templates.iter().any(|(_, shape)| {
                shape.nodes.iter().skip(1).any(|(_, known)| *known != Known::Value)
            });
            match path_values(pack, events, "sourceIPs")? {
                Some(lists) if !odd && !nested => {
                    lists.into_iter().map(|mut list| one(list.pop())).collect()
                }
                _ => return Ok(None),
            }
        }
        Field::Time => events.iter().map(|n| one(time(*n).map(Timestamp::to_rfc3339))).collect(),
        Field::Hour => events
            .iter()
            .map(|n| one(time(*n).and_then(|t| zone.hour(t)).map(|hour| hour.to_string())))
            .collect(),
        Field::Weekday => events
            .iter()
            .map(|n| one(time(*n).and_then(|t| zone.weekday(t)).map(str::to_owned)))
            .collect(),
        Field::Took => {
            let took = took(pack)?;
            events
                .iter()
                .map(|n| one(took.get(*n).copied().flatten().map(|took| took.to_string())))
                .collect()
        }
        Field::Source => events
            .iter()
            .map(|n| Ok(vec![source_name(scope, *n)?.to_owned()]))
            .collect::<Result<Lists>>()?,
        Field::Node | Field::Cluster | Field::Log => events
            .iter()
            .map(|n| {
                let origin = origin(pack, *n)?;
                Ok(one(match field {
                    Field::Node => origin.node,
                    Field::Cluster => origin.cluster,
                    _ => origin.log,
                }))
            })
            .collect::<Result<Lists>>()?,
        _ => return Ok(None),
    }))
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
                .find(|(path, _)| path == key)
                .is_some_and(|(_, k)| *k == Known::Value)
        }))
        .collect();
    let templates = pack.templates(ROOT)?;
    let directory = pack.directory(ROOT)?;
    let mut first: HashMap<usize, ()> = HashMap::new();
    let twice = shapes
        .templates
        .iter()
        .any(|(_, shape)| shape.nodes.iter().filter(|(path, _)| path == key).count() > 1);
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
            let template = templates.get(event).copied().unwrap_or_default();
            let usable = plain.get(template as usize).copied().unwrap_or_default()
                && (!twice || first.insert(event, ()).is_none());
            if let (true, Some(slot)) = (usable, found.get_mut(event)) {
                *slot = known.get(id as usize).copied().flatten();
            }
        })?;
    }
    Ok(found)
}
