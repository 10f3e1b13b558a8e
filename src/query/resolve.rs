//! Names of fields become [`Field`]s; a name that is none is answered with the nearest ones.

use crate::event::field::ALIASES;
use crate::event::field::FIELDS;
use crate::event::field::Field;
use crate::event::field::PSEUDO_FIELDS;

/// Paths below which any key may stand; every other path is one of the table or an error.
pub const OPEN_ROOTS: &[&str] = &[
    "user.extra",
    "impersonatedUser.extra",
    "authenticationMetadata",
    "responseStatus.details",
    "responseStatus.metadata",
    "requestObject",
    "responseObject",
    "annotations",
    "metadata",
    "envelope",
];

/// Paths of bodies that people ask for by their end, for suggestions alone.
const BODY_PATHS: &[&str] = &[
    "requestObject.spec.containers.image",
    "requestObject.spec.containers.command",
    "requestObject.spec.containers.securityContext.privileged",
    "requestObject.spec.hostPID",
    "requestObject.spec.hostNetwork",
    "requestObject.spec.hostIPC",
    "requestObject.spec.nodeName",
    "requestObject.spec.serviceAccountName",
    "requestObject.spec.volumes.hostPath.path",
    "requestObject.roleRef.name",
    "requestObject.subjects.name",
    "requestObject.rules.verbs",
    "requestObject.rules.resources",
    "requestObject.metadata.labels",
];

/// A name that is no field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField {
    /// The name as typed.
    pub name: String,
    /// Names of fields that come near, best first.
    pub nearest: Vec<String>,
    /// The fields of the object the name points into, if it is one with a fixed list.
    pub siblings: Vec<&'static str>,
}

impl UnknownField {
    /// One clause on what to type instead; `None` where nothing comes near.
    pub fn hint(&self) -> Option<String> {
        match (self.nearest.as_slice(), self.siblings.is_empty()) {
            ([], true) => None,
            ([], false) => Some(format!("the fields there are {}", self.siblings.join(", "))),
            (nearest, _) => Some(format!("did you mean {}?", nearest.join(" or "))),
        }
    }
}

/// Resolves the name of a field: an alias, a pseudo field, a path of the table, or a path below an
/// open root.  Names are compared with case.
///
/// # Errors
/// [`UnknownField`] with the names that come near.
pub fn resolve(name: &str) -> Result<Field, UnknownField> {
    if let Some(field) = pseudo(name) {
        return Ok(field);
    }
    if let Some(alias) = ALIASES.iter().find(|alias| alias.name == name) {
        return Ok(Field::path(alias.stands_for));
    }
    resolve_path(name).map(|()| match name.strip_prefix("envelope.") {
        Some(path) => Field::Envelope(path.to_owned()),
        None => Field::path(name),
    })
}

/// Resolves the path of `path{ ... }`: an alias only where no field has that name.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_object(name: &str) -> Result<String, UnknownField> {
    if resolve_path(name).is_ok() {
        return Ok(name.to_owned());
    }
    match ALIASES.iter().find(|alias| alias.name == name) {
        Some(alias) => Ok(alias.stands_for.to_owned()),
        None => Err(unknown(name)),
    }
}

/// Checks that `path` can exist in an event, without aliases.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_path(path: &str) -> Result<(), UnknownField> {
    if is_path(path) { Ok(()) } else { Err(unknown(path)) }
}

/// Says whether `path` can exist in an event, without aliases.
pub fn is_path(path: &str) -> bool {
    let known = FIELDS.iter().any(|row| row.name == path) || path == "envelope";
    known
        || OPEN_ROOTS.iter().any(|root| {
            path.strip_prefix(root).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1)
        })
}

/// Says whether `name` resolves, without looking for what comes near where it does not.
pub fn is_field(name: &str) -> bool {
    pseudo(name).is_some() || ALIASES.iter().any(|alias| alias.name == name) || is_path(name)
}

fn pseudo(name: &str) -> Option<Field> {
    Some(match name {
        "level" => Field::Level,
        "who" => Field::Who,
        "ns" => Field::Namespace,
        "name" => Field::Name,
        "peer" => Field::Peer,
        "time" => Field::Time,
        "took" => Field::Took,
        "hour" => Field::Hour,
        "weekday" => Field::Weekday,
        "source" => Field::Source,
        "node" => Field::Node,
        "cluster" => Field::Cluster,
        "log" => Field::Log,
        "flag" => Field::Flag,
        _ => return None,
    })
}

fn unknown(name: &str) -> UnknownField {
    let siblings = siblings(name);
    let mut scored: Vec<(usize, &str)> = FIELDS
        .iter()
        .chain(PSEUDO_FIELDS)
        .map(|row| row.name)
        .chain(ALIASES.iter().map(|alias| alias.name))
        .chain(BODY_PATHS.iter().copied())
        .filter_map(|known| Some((nearness(name, known)?, known)))
        .collect();
    scored.sort_by_key(|(score, known)| (*score, known.len()));
    let best = scored.first().map_or(0, |(score, _)| *score);
    let mut nearest: Vec<String> = scored
        .into_iter()
        .filter(|(score, _)| *score <= best + 1)
        .take(3)
        .map(|(_, known)| known.to_owned())
        .collect();
    let first = name.split(['.', '/']).next().unwrap_or_default();
    if ["spec", "status", "roleRef", "subjects", "rules", "data", "webhooks"].contains(&first) {
        nearest.insert(0, format!("requestObject.{name}"));
    } else if name.contains('/') && name.contains('.') {
        nearest.insert(0, format!("annotations.{name}"));
        nearest.insert(1, format!("user.extra.{name}"));
    }
    nearest.dedup();
    nearest.truncate(3);
    UnknownField { name: name.to_owned(), nearest, siblings }
}

/// Returns the fields of the closed object that `name` points into.
fn siblings(name: &str) -> Vec<&'static str> {
    let Some((parent, _)) = name.split_once('.') else { return Vec::new() };
    FIELDS
        .iter()
        .map(|row| row.name)
        .filter(|known| known.strip_prefix(parent).is_some_and(|rest| rest.starts_with('.')))
        .collect()
}

/// Scores how near `known` comes to what was typed; less is nearer, `None` is not near.
fn nearness(typed: &str, known: &str) -> Option<usize> {
    /// Longer names are no slip of the finger, and the distance costs their product.
    const LONGEST: usize = 200;
    if typed.is_empty() || typed.len() > LONGEST {
        return None;
    }
    let (typed, known) = (typed.to_ascii_lowercase(), known.to_ascii_lowercase());
    if typed == known {
        return Some(0);
    }
    let parent = |path: &str| path.rsplit_once('.').map(|(parent, _)| parent.to_owned());
    let same_parent = parent(&typed).is_none() || parent(&typed) == parent(&known);
    let whole = edit_distance(&typed, &known);
    // Below the same parent only the last key tells names apart.
    if parent(&typed) != parent(&known) && whole <= allowed(&typed) {
        return Some(whole);
    }
    let known_last = known.rsplit('.').next().unwrap_or(&known);
    let typed_last = typed.rsplit('.').next().unwrap_or(&typed);
    if !same_parent || typed_last.is_empty() {
        return None;
    }
    let last = edit_distance(typed_last, known_last);
    if last <= allowed(typed_last) {
        return Some(last + usize::from(parent(&typed) != parent(&known)));
    }
    let inside = typed_last.len() >= 3 && known_last.contains(typed_last);
    inside.then_some(3 + known_last.len().saturating_sub(typed_last.len()) / 3)
}

/// How many slips a word of this length may have.
fn allowed(word: &str) -> usize {
    match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    }
}

/// The number of inserted, deleted, replaced and swapped characters between two words (optimal
/// string alignment).
pub fn edit_distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let replaced = at(&last, j) + usize::from(ca != cb);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// Returns the known path nearest to one that no event has, for the hint below an open root.
pub fn nearest_path<'k>(unknown: &str, known: impl Iterator<Item = &'k str>) -> Option<String> {
    /// The work is bounded: a corpus may have a hundred thousand paths.
    const LONGEST: usize = 300;
    if unknown.len() > LONGEST {
        return None;
    }
    let folded = unknown.to_lowercase();
    let typed_last = folded.rsplit('.').next().unwrap_or_default().to_owned();
    let mut best: Option<(usize, &str)> = None;
    for path in known.filter(|path| *path != unknown) {
        let path_folded = path.to_lowercase();
        let allowed = (folded.len() / 4).clamp(1, 8);
        let score = if path_folded == folded {
            0
        } else if path.len().abs_diff(unknown.len()) <= allowed {
            let distance = edit_distance(&folded, &path_folded);
            if distance > allowed {
                continue;
            }
            distance
        } else if path_folded.ends_with(&format!(".{typed_last}")) {
            // The same last key somewhere else: nearer the more of the start they share.
            let shared =
                folded.split('.').zip(path_folded.split('.')).take_while(|(a, b)| a == b).count();
            20_usize.saturating_sub(shared)
        } else {
            continue;
        };
        let better = best.is_none_or(|(least, shortest)| {
            (score, path.len(), path) < (least, shortest.len(), shortest)
        });
        if better {
            best = Some((score, path));
        }
    }
    best.map(|(_, path)| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve() {
        let path = |name: &str| resolve(name).unwrap();
        assert_eq!(path("user"), Field::path("user.username"));
        assert_eq!(path("user.username"), Field::path("user.username"));
        assert_eq!(path("verb"), Field::path("verb"));
        assert_eq!(path("level"), Field::Level);
        assert_eq!(path("ns"), Field::Namespace);
        assert_eq!(path("envelope.stream"), Field::Envelope("stream".into()));
        assert_eq!(path("metadata.creationTimestamp"), Field::path("metadata.creationTimestamp"));
        let extra = "user.extra.authentication.kubernetes.io/credential-id";
        assert_eq!(path("credential"), Field::path(extra));
        assert_eq!(path(extra), Field::path(extra));
        assert_eq!(resolve_object("user"), Ok("user".into()));
        assert_eq!(resolve_object("ip"), Ok("sourceIPs".into()));
        for row in FIELDS.iter().chain(PSEUDO_FIELDS) {
            assert!(resolve(row.name).is_ok(), "{}", row.name);
        }
    }

    #[test]
    fn unknown_names_are_answered_with_near_ones() {
        let near = |name: &str| resolve(name).unwrap_err().nearest;
        assert_eq!(near("objectRef.resorce").first().unwrap(), "objectRef.resource");
        assert_eq!(near("sourceIp").first().unwrap(), "sourceIPs");
        assert_eq!(near("sourceIPs.x"), ["sourceIPs"]);
        assert_eq!(near("User").first().unwrap(), "user");
        assert_eq!(near("username").first().unwrap(), "user.username");
        assert_eq!(near("namespace").first().unwrap(), "objectRef.namespace");
        assert_eq!(near("user.nam").first().unwrap(), "user.username");
        assert_eq!(near("verbb").first().unwrap(), "verb");
        assert_eq!(near("spec.hostPID").first().unwrap(), "requestObject.spec.hostPID");
        assert_eq!(near("image").first().unwrap(), "requestObject.spec.containers.image");
        assert_eq!(
            near("authorization.k8s.io/decision").first().unwrap(),
            "annotations.authorization.k8s.io/decision"
        );
        assert!(near("zzzzzz").is_empty());
        let foo = resolve("objectRef.foo").unwrap_err();
        assert!(foo.hint().unwrap().contains("objectRef.subresource"), "{:?}", foo.hint());
        for name in ["", "annotations.", "requestObject..", "user.", ".", "12", "verb.x"] {
            let _ = resolve(name);
        }
        assert!(resolve("annotations.").is_err());
        assert!(resolve("verb.x").is_err());
        assert!(resolve(&"x".repeat(100_000)).is_err());
    }

    #[test]
    fn the_nearest_existing_path() {
        let known = [
            "requestObject.spec.hostPID",
            "requestObject.spec.containers.image",
            "responseObject.spec.containers.image",
        ];
        let near = |unknown: &str| nearest_path(unknown, known.iter().copied());
        assert_eq!(near("requestObject.spec.hostPid").unwrap(), known[0]);
        assert_eq!(near("requestObject.spec.container.image").unwrap(), known[1]);
        assert_eq!(near("requestObject.image").unwrap(), known[1]);
        assert_eq!(near("annotations.foo"), None);
    }

    #[test]
    fn distances() {
        assert_eq!(edit_distance("abc", "abc"), 0);
        assert_eq!(edit_distance("abc", "acb"), 1);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("resorce", "resource"), 1);
    }
}
