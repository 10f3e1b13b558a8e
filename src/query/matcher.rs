//! The judge: one question, one event, yes or no.  Every faster way must agree with it.

use std::borrow::Cow;

use crate::event::audit_event::AuditEvent;
use crate::event::field::Field;
use crate::event::field::Reading;
use crate::event::json::Elements;
use crate::event::json::Entries;
use crate::event::json::Json;
use crate::event::json::Kind;
use crate::event::words::equals_folded;
use crate::event::words::fold;
use crate::event::zone::Zone;
use crate::query::ast::Part;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::error::QueryError;
use crate::query::phrase::CompiledWords;
use crate::query::phrase::decoded_query_part;
use crate::query::value::CompiledTest;

/// Deepest nesting of a question that is judged; the parser allows half of it.
const MAX_DEPTH: usize = 256;

/// How a question is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchOptions {
    /// Zone of `hour` and `weekday`.
    pub zone: Zone,
}

/// A question made ready to judge many events, from many threads.
#[derive(Clone, Debug)]
pub struct Matcher {
    root: Judge,
    zone: Zone,
}

#[derive(Clone, Debug)]
enum Judge {
    All,
    And(Vec<Judge>),
    Or(Vec<Judge>),
    Not(Box<Judge>),
    /// Some leaf at one of these paths passes.
    Leaf {
        paths: Vec<String>,
        test: CompiledTest,
    },
    /// Some node at one of these paths is not null.
    Present {
        paths: Vec<String>,
    },
    /// Some value of the field passes.
    Value {
        field: Field,
        test: CompiledTest,
    },
    /// A value of the other field is this part of a value of the field.
    Related {
        field: Field,
        other: Field,
        part: Part,
        cased: bool,
    },
    Within {
        path: String,
        inner: Box<Judge>,
    },
    Words(CompiledWords),
}

/// Where paths start.
#[derive(Clone, Copy)]
enum Scope<'e, 't> {
    Event(&'e AuditEvent<'t>),
    Element(Json<'t>),
}

impl Matcher {
    /// Makes `question` ready.
    ///
    /// # Errors
    /// A regex that does not compile, conditions inside `path{ }` that have no place there, and
    /// nesting beyond any measure.
    pub fn compile(question: &QueryAst, options: &MatchOptions) -> Result<Matcher, QueryError> {
        let root = compile(question, None, options.zone, 0)?;
        Ok(Matcher { root, zone: options.zone })
    }

    /// Says whether the question is true of `event`.
    pub fn matches(&self, event: &AuditEvent<'_>) -> bool {
        judge(&self.root, Scope::Event(event), self.zone)
    }
}

fn compile(
    question: &QueryAst,
    prefix: Option<&str>,
    zone: Zone,
    depth: usize,
) -> Result<Judge, QueryError> {
    if depth > MAX_DEPTH {
        return Err(QueryError::new(0..0, "this question is nested too deeply"));
    }
    let all = |parts: &[QueryAst]| -> Result<Vec<Judge>, QueryError> {
        let mut parts: Vec<Judge> = parts
            .iter()
            .map(|part| compile(part, prefix, zone, depth + 1))
            .collect::<Result<_, _>>()?;
        // What is cheap to judge goes first; the order changes no answer.
        parts.sort_by_key(cost);
        Ok(parts)
    };
    Ok(match question {
        QueryAst::All => Judge::All,
        QueryAst::And(parts) => Judge::And(all(parts)?),
        QueryAst::Or(parts) => Judge::Or(all(parts)?),
        QueryAst::Not(inner) => Judge::Not(Box::new(compile(inner, prefix, zone, depth + 1)?)),
        QueryAst::Field { field, test } => compile_field(field, test, prefix, zone)?,
        QueryAst::Within { path, inner } => {
            let whole = joined(prefix, path);
            let inner = compile(inner, Some(&whole), zone, depth + 1)?;
            Judge::Within { path: path.clone(), inner: Box::new(inner) }
        }
        QueryAst::Words(_) if prefix.is_some() => {
            return Err(QueryError::new(0..0, "inside path{ } every condition needs a field"));
        }
        QueryAst::Words(words) => Judge::Words(CompiledWords::compile(words)),
    })
}

fn joined(prefix: Option<&str>, path: &str) -> String {
    match prefix {
        None => path.to_owned(),
        Some(prefix) if path.is_empty() => prefix.to_owned(),
        Some(prefix) => format!("{prefix}.{path}"),
    }
}

fn compile_field(
    field: &Field,
    test: &Test,
    prefix: Option<&str>,
    zone: Zone,
) -> Result<Judge, QueryError> {
    let related = match test {
        Test::SameAs(other) => Some((other, Part::Whole, false)),
        Test::Holds { other, part, cased } => Some((other, *part, *cased)),
        _ => None,
    };
    if let Some((other, part, cased)) = related {
        return Ok(Judge::Related { field: field.clone(), other: other.clone(), part, cased });
    }
    let kind = match (prefix, field) {
        (Some(_), Field::Path(path)) => Field::Path(joined(prefix, path)).kind(),
        (Some(_), other) => {
            let message = format!("`{}` has no place inside path{{ }}", other.name());
            return Err(QueryError::new(0..0, message));
        }
        (None, field) => field.kind(),
    };
    let compiled = CompiledTest::compile(test, kind, zone)?;
    Ok(match field.reading() {
        Reading::AnyOf(paths) if *test == Test::Present => Judge::Present { paths },
        Reading::AnyOf(paths) => Judge::Leaf { paths, test: compiled },
        _ => Judge::Value { field: field.clone(), test: compiled },
    })
}

fn cost(judge: &Judge) -> u32 {
    match judge {
        Judge::All => 0,
        Judge::Present { .. } | Judge::Leaf { .. } => 1,
        Judge::Value { .. } => 2,
        Judge::Related { .. } => 3,
        Judge::Within { .. } => 4,
        Judge::Not(inner) => cost(inner),
        Judge::And(parts) | Judge::Or(parts) => {
            parts.iter().map(cost).max().unwrap_or_default().saturating_add(1)
        }
        Judge::Words(_) => 1_000,
    }
}

fn judge(node: &Judge, scope: Scope<'_, '_>, zone: Zone) -> bool {
    match node {
        Judge::All => true,
        Judge::And(parts) => parts.iter().all(|part| judge(part, scope, zone)),
        Judge::Or(parts) => parts.iter().any(|part| judge(part, scope, zone)),
        Judge::Not(inner) => !judge(inner, scope, zone),
        Judge::Leaf { paths, test } => {
            let mut passes = |text: Cow<'_, str>| test.accepts(&text);
            paths.iter().any(|path| scope_leaves(scope, path, &mut passes))
        }
        Judge::Present { paths } => {
            let mut not_null = |node: Json<'_>| node.kind() != Kind::Null;
            paths.iter().any(|path| scope_nodes(scope, path, &mut not_null))
        }
        Judge::Value { field, test } => match scope {
            Scope::Event(event) if *field == Field::Time => {
                event.time.is_some_and(|time| test.accepts_time(time))
            }
            Scope::Event(event) => {
                field_values(event, field, zone).iter().any(|value| test.accepts(value))
            }
            Scope::Element(_) => false,
        },
        Judge::Related { field, other, part, cased } => {
            let comparable = |field: &Field| -> Vec<String> {
                let values = scope_values(scope, field, zone);
                if *cased { values } else { values.iter().map(|value| fold(value)).collect() }
            };
            let ours = comparable(field);
            comparable(other).iter().any(|inner| ours.iter().any(|text| part.is(inner, text)))
        }
        Judge::Within { path, inner } => scope_nodes(scope, path, &mut |node| {
            if node.kind() == Kind::Array {
                node.elements().any(|element| judge(inner, Scope::Element(element), zone))
            } else {
                judge(inner, Scope::Element(node), zone)
            }
        }),
        Judge::Words(words) => match scope {
            Scope::Event(event) => holds_words(event, words),
            Scope::Element(_) => false,
        },
    }
}

fn holds_words(event: &AuditEvent<'_>, words: &CompiledWords) -> bool {
    let texts = event
        .event
        .descendants()
        .chain(event.envelope.into_iter().flat_map(|envelope| envelope.descendants()));
    for node in texts {
        if node.leaf_text().is_some_and(|text| words.accepts(&text)) {
            return true;
        }
    }
    leaves(event.event, "requestURI", &mut |uri| {
        decoded_query_part(&uri).is_some_and(|query| words.accepts(&query))
    })
}

fn scope_values(scope: Scope<'_, '_>, field: &Field, zone: Zone) -> Vec<String> {
    match (scope, field) {
        (Scope::Event(event), field) => field_values(event, field, zone),
        (Scope::Element(element), Field::Path(path)) => {
            let mut values = Vec::new();
            leaves(element, path, &mut |text| {
                values.push(text.into_owned());
                false
            });
            values
        }
        (Scope::Element(_), _) => Vec::new(),
    }
}

/// Calls `found` with the nodes at `path` until it says `true`.
fn scope_nodes<'t>(
    scope: Scope<'_, 't>,
    path: &str,
    found: &mut dyn FnMut(Json<'t>) -> bool,
) -> bool {
    match scope {
        Scope::Element(element) => nodes_at(element, path, found),
        Scope::Event(event) => {
            nodes_at(event.event, path, found)
                || match (event.envelope, path.strip_prefix("envelope")) {
                    (Some(envelope), Some("")) => found(envelope),
                    (Some(envelope), Some(rest)) => rest
                        .strip_prefix('.')
                        .is_some_and(|rest| !rest.is_empty() && nodes_at(envelope, rest, found)),
                    _ => false,
                }
        }
    }
}

fn scope_leaves<'t>(
    scope: Scope<'_, 't>,
    path: &str,
    found: &mut dyn FnMut(Cow<'t, str>) -> bool,
) -> bool {
    scope_nodes(scope, path, &mut |node| leaves_of(node, found))
}

/// Calls `found` with the decoded text of each leaf at `path` below `root`, until it says `true`.
fn leaves<'t>(root: Json<'t>, path: &str, found: &mut dyn FnMut(Cow<'t, str>) -> bool) -> bool {
    nodes_at(root, path, &mut |node| leaves_of(node, found))
}

/// The leaves that a node at a path stands for: itself, or the leaves of an array's elements.
fn leaves_of<'t>(node: Json<'t>, found: &mut dyn FnMut(Cow<'t, str>) -> bool) -> bool {
    if node.kind() != Kind::Array {
        return node.leaf_text().is_some_and(found);
    }
    let mut open = vec![node.elements()];
    while let Some(elements) = open.last_mut() {
        match elements.next() {
            None => {
                open.pop();
            }
            Some(element) if element.kind() == Kind::Array => open.push(element.elements()),
            Some(element) => {
                if element.leaf_text().is_some_and(&mut *found) {
                    return true;
                }
            }
        }
    }
    false
}

/// One object or array that is being looked through for the rest of a path.
enum Level<'t, 'p> {
    Keys(Entries<'t>, &'p str),
    Items(Elements<'t>, &'p str),
}

impl<'t, 'p> Level<'t, 'p> {
    fn of(node: Json<'t>, rest: &'p str) -> Option<Level<'t, 'p>> {
        match node.kind() {
            Kind::Object => Some(Level::Keys(node.entries(), rest)),
            Kind::Array => Some(Level::Items(node.elements(), rest)),
            _ => None,
        }
    }
}

/// Calls `found` with every value below `root` whose keys, joined with dots, are `path`, in the
/// order of the text, until it says `true`; arrays are transparent.  The empty path is `root`.
///
/// Each node has one joined path, so each is looked at once at most, whatever its keys hold.
pub fn nodes_at<'t>(root: Json<'t>, path: &str, found: &mut dyn FnMut(Json<'t>) -> bool) -> bool {
    if path.is_empty() {
        return found(root);
    }
    // Only what lies deeper than the first level costs an allocation.
    let mut outer: Vec<Level<'t, '_>> = Vec::new();
    let Some(mut level) = Level::of(root, path) else { return false };
    loop {
        let deeper = match &mut level {
            Level::Keys(entries, rest) => {
                entries.next().map(|(key, value)| match behind_key(key, rest) {
                    Some("") => Step::Found(value),
                    Some(rest) => match rest.strip_prefix('.') {
                        Some(rest) => Step::into(value, rest),
                        None => Step::Past,
                    },
                    None => Step::Past,
                })
            }
            Level::Items(elements, rest) => elements.next().map(|value| Step::into(value, rest)),
        };
        match deeper {
            Some(Step::Past) => {}
            Some(Step::Found(value)) => {
                if found(value) {
                    return true;
                }
            }
            Some(Step::Into(inner)) => outer.push(std::mem::replace(&mut level, inner)),
            None => match outer.pop() {
                Some(before) => level = before,
                None => return false,
            },
        }
    }
}

/// What follows from one key or element.
enum Step<'t, 'p> {
    Past,
    Found(Json<'t>),
    Into(Level<'t, 'p>),
}

impl<'t, 'p> Step<'t, 'p> {
    fn into(value: Json<'t>, rest: &'p str) -> Step<'t, 'p> {
        Level::of(value, rest).map_or(Step::Past, Step::Into)
    }
}

/// Returns what is left of `path` behind `key`, if it starts with it.
fn behind_key<'p>(key: Json<'_>, path: &'p str) -> Option<&'p str> {
    let raw = key.raw();
    if let Some(rest) = path.as_bytes().strip_prefix(raw) {
        if !raw.contains(&b'\\') {
            return path.get(path.len() - rest.len()..);
        }
    } else if raw.is_ascii() && !raw.contains(&b'\\') {
        return None;
    }
    path.strip_prefix(key.leaf_text()?.as_ref())
}

/// Returns the decoded leaf texts of `field` in `event`, in the order of the text: numbers as
/// written, `true` and `false`, not null; objects yield nothing.
///
/// Where a field has fallbacks, the first path with any leaf gives the values.
pub fn field_values(event: &AuditEvent<'_>, field: &Field, zone: Zone) -> Vec<String> {
    match field.reading() {
        Reading::AnyOf(paths) => paths.iter().flat_map(|path| texts_at(event, path)).collect(),
        Reading::FirstOf(paths) => first_of(event, &paths),
        Reading::Namespace(paths) => namespace(event, &paths),
        Reading::Computed => computed(event, field, zone),
    }
}

fn texts_at(event: &AuditEvent<'_>, path: &str) -> Vec<String> {
    let mut values = Vec::new();
    scope_leaves(Scope::Event(event), path, &mut |text| {
        values.push(text.into_owned());
        false
    });
    values
}

fn first_of(event: &AuditEvent<'_>, paths: &[String]) -> Vec<String> {
    paths
        .iter()
        .map(|path| texts_at(event, path))
        .find(|values| !values.is_empty())
        .unwrap_or_default()
}

/// The namespace of the object, or the name of a namespace object.
fn namespace(event: &AuditEvent<'_>, paths: &[String]) -> Vec<String> {
    let Some((own, names)) = paths.split_first() else { return Vec::new() };
    let values = texts_at(event, own);
    let is_namespace = || {
        leaves(event.event, "objectRef.resource", &mut |text| equals_folded(&text, "namespaces"))
    };
    if values.is_empty() && is_namespace() { first_of(event, names) } else { values }
}

fn computed(event: &AuditEvent<'_>, field: &Field, zone: Zone) -> Vec<String> {
    let one = |value: Option<String>| value.into_iter().collect();
    match field {
        Field::Peer => peers(event),
        Field::Time => one(event.time.map(|time| time.to_rfc3339())),
        Field::Took => one(event.took().map(|micros| micros.to_string())),
        Field::Hour => one(event.time.and_then(|time| zone.hour(time)).map(|h| h.to_string())),
        Field::Weekday => one(event.time.and_then(|time| zone.weekday(time)).map(str::to_owned)),
        Field::Source => vec![event.source.to_owned()],
        Field::Node => one(event.origin.node.clone()),
        Field::Cluster => one(event.origin.cluster.clone()),
        Field::Log => one(event.origin.log.clone()),
        Field::Flag => event.flags().iter().map(|flag| flag.name().to_owned()).collect(),
        _ => Vec::new(),
    }
}

/// The last address of each list of addresses; there is one list, but for duplicate keys.
fn peers(event: &AuditEvent<'_>) -> Vec<String> {
    let mut peers = Vec::new();
    nodes_at(event.event, "sourceIPs", &mut |node| {
        let mut last = None;
        leaves_of(node, &mut |text| {
            last = Some(text.into_owned());
            false
        });
        peers.extend(last);
        false
    });
    peers
}
