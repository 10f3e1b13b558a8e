//! Folding writes into the state of objects, with what stays unknown marked as unknown.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::hunt::state::kind::is_built_in;
use crate::hunt::state::merge;
use crate::hunt::state::merge::Dialect;
use crate::hunt::state::patch;
use crate::hunt::state::signature::signature;
use crate::hunt::state::value::at;
use crate::hunt::state::value::put;
use crate::hunt::state::value::text_at;
use crate::hunt::state::value::text_of;
use crate::hunt::state::write::Write;
use crate::hunt::timeline::TimelineEvent;

/// Whether an object is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existence {
    /// Nothing was seen of it yet.
    #[default]
    Unknown,
    /// It exists.
    Present,
    /// Its deletion began; a grace period or finalizers still keep it.
    Terminating,
    /// It was deleted.
    Deleted,
    /// It was not created yet.
    NotYet,
}

impl Existence {
    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Existence::Unknown => "unknown",
            Existence::Present => "present",
            Existence::Terminating => "terminating",
            Existence::Deleted => "deleted",
            Existence::NotYet => "not-created-yet",
        }
    }
}

/// How much of an object is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knowledge {
    /// That it exists, and nothing else.
    #[default]
    Nothing,
    /// The parts that some patch named.
    Parts,
    /// All as it was asked for; defaults and admission may have changed it.
    Requested,
    /// All of it, as the server answered.
    Whole,
}

impl Knowledge {
    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Knowledge::Nothing => "nothing",
            Knowledge::Parts => "parts",
            Knowledge::Requested => "requested",
            Knowledge::Whole => "whole",
        }
    }
}

/// One write in the life of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The event.
    pub event: TimelineEvent,
    /// `(path, before, after)` of the signature; empty text for nothing.
    pub changes: Vec<(String, String, String)>,
    /// What this write leaves unknown.
    pub unknown: Vec<String>,
    /// Whether the object was there after it.
    pub existence: Existence,
}

/// An object as far as the log tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectState {
    /// Whether it is there.
    pub existence: Existence,
    /// What is known of it; null where nothing is.
    pub object: Value,
    /// How much that is.
    pub knowledge: Knowledge,
    /// Every reason why something is unknown, one sentence each.
    pub unknown: Vec<String>,
    /// Every write, in order.
    pub changes: Vec<Change>,
}

/// All objects met, by namespace and name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fold {
    /// The objects.
    pub objects: BTreeMap<(String, String), ObjectState>,
    /// Creations of objects whose name was never logged.
    pub nameless: usize,
}

impl Fold {
    /// Folds one write in.
    pub fn apply(&mut self, write: &Write) {
        if write.event.verb == "deletecollection" {
            self.delete_collection(write);
            return;
        }
        let nameless = write.event.name.is_empty()
            || (write.event.name.ends_with('-') && write.response.is_none());
        if nameless {
            self.nameless += 1;
            return;
        }
        self.objects.entry(key_of(write)).or_default().apply(write);
    }

    fn delete_collection(&mut self, write: &Write) {
        let named: Vec<String> = at(write.response.as_ref().unwrap_or(&Value::Null), &["items"])
            .as_array()
            .map(|items| items.iter().map(|i| text_at(i, &["metadata", "name"])).collect())
            .unwrap_or_default();
        for ((namespace, name), state) in &mut self.objects {
            if !write.event.namespace.is_empty() && *namespace != write.event.namespace {
                continue;
            }
            let hit = if named.is_empty() {
                selected(&state.object, state.knowledge, &write.selectors)
            } else {
                Some(named.contains(name))
            };
            match hit {
                Some(true) => state.delete(write, true),
                Some(false) => {}
                None => state.doubt(
                    write,
                    "a deletecollection with a selector may have deleted it: its labels are not known",
                ),
            }
        }
    }
}

/// Namespace and name of the object a write is about; a namespace lies in none.
pub fn key_of(write: &Write) -> (String, String) {
    let event = &write.event;
    let namespace = if event.resource == "namespaces" { "" } else { &event.namespace };
    (namespace.to_owned(), event.name.clone())
}

/// Says whether equality selectors select an object; `None` where that cannot be told.
fn selected(object: &Value, known: Knowledge, selectors: &[(String, String)]) -> Option<bool> {
    for (kind, selector) in selectors {
        for part in selector.split(',').filter(|part| !part.is_empty()) {
            let (key, wanted) = part.split_once('=')?;
            let wanted = wanted.trim_start_matches('=');
            if key.ends_with('!') || kind == "fieldSelector" && key != "metadata.name" {
                return None;
            }
            let value = if kind == "fieldSelector" {
                text_at(object, &["metadata", "name"])
            } else {
                text_at(object, &["metadata", "labels", key])
            };
            if known < Knowledge::Requested && value.is_empty() {
                return None;
            }
            if value != wanted {
                return Some(false);
            }
        }
    }
    Some(true)
}

impl ObjectState {
    /// Folds one write to this object in.
    pub fn apply(&mut self, write: &Write) {
        if write.event.verb == "delete" {
            self.delete(write, false);
            return;
        }
        let gone = matches!(self.existence, Existence::Deleted | Existence::NotYet);
        if write.event.verb == "create" && write.event.subresource.is_empty() {
            self.object = Value::Null;
            self.knowledge = Knowledge::Nothing;
            self.unknown.clear();
        } else if gone {
            self.object = Value::Null;
            self.knowledge = Knowledge::Nothing;
            self.unknown = vec![
                "it was made again after its deletion, and that creation is not in the evidence"
                    .to_owned(),
            ];
        } else if self.existence == Existence::Unknown && write.event.verb != "create" {
            self.unknown.push(
                "it existed before the first write in this evidence; what it was then is not known"
                    .to_owned(),
            );
        }
        let before = signature(&self.object);
        let known_before = self.knowledge > Knowledge::Nothing;
        let unknown = self.take_in(write);
        self.existence = self.existence_after();
        let changes = if known_before || write.event.verb == "create" {
            differences(&before, &signature(&self.object))
        } else {
            Vec::new()
        };
        self.unknown.extend(unknown.iter().cloned());
        let existence = self.existence;
        self.changes.push(Change { event: write.event.clone(), changes, unknown, existence });
    }

    /// An object whose last finalizer went after its deletion began is gone.
    fn existence_after(&self) -> Existence {
        let meta = at(&self.object, &["metadata"]);
        if at(meta, &["deletionTimestamp"]).is_null() {
            return Existence::Present;
        }
        let kept = at(meta, &["finalizers"]).as_array().is_some_and(|f| !f.is_empty())
            || at(&self.object, &["spec", "finalizers"]).as_array().is_some_and(|f| !f.is_empty());
        let grace = text_at(meta, &["deletionGracePeriodSeconds"]);
        if kept || !(grace.is_empty() || grace == "0") {
            Existence::Terminating
        } else {
            Existence::Deleted
        }
    }

    /// Takes the bodies of a write in and returns what they leave unknown.
    fn take_in(&mut self, write: &Write) -> Vec<String> {
        let sub = write.event.subresource.as_str();
        if sub == "binding" {
            return self.bind(write);
        }
        if sub == "scale" {
            return self.scale(write);
        }
        // The answer of any other write is the object itself, whatever the subresource.
        if let Some(response) = &write.response {
            self.object = response.clone();
            self.knowledge = Knowledge::Whole;
            self.unknown.clear();
            return Vec::new();
        }
        let Some(request) = &write.request else {
            return vec![format!(
                "the {} at {} changed it, and level {} logs no body of it",
                write.event.verb,
                when(write),
                level(write)
            )];
        };
        match (write.event.verb.as_str(), sub) {
            ("patch", _) => self.patch(write, request),
            (_, "status") => {
                // The status strategies keep the spec and let the metadata through.
                for keys in [&["status"][..], &["metadata", "labels"], &["metadata", "annotations"]]
                {
                    if !at(request, keys).is_null() {
                        put(&mut self.object, keys, at(request, keys).clone());
                    }
                }
                self.knowledge = self.knowledge.max(Knowledge::Parts);
                Vec::new()
            }
            _ => {
                self.object = request.clone();
                self.knowledge = Knowledge::Requested;
                self.unknown.clear();
                vec![
                    "defaults and what admission changed are not known: the answer was not logged"
                        .to_owned(),
                ]
            }
        }
    }

    fn bind(&mut self, write: &Write) -> Vec<String> {
        let node = write.request.as_ref().map(|r| text_at(r, &["target", "name"]));
        match node.filter(|node| !node.is_empty()) {
            Some(node) => {
                put(&mut self.object, &["spec", "nodeName"], Value::String(node));
                self.knowledge = self.knowledge.max(Knowledge::Parts);
                Vec::new()
            }
            None => vec!["it was bound to a node that was not logged".to_owned()],
        }
    }

    fn scale(&mut self, write: &Write) -> Vec<String> {
        let body = write.response.as_ref().or(write.request.as_ref()).unwrap_or(&Value::Null);
        let replicas = at(body, &["spec", "replicas"]).clone();
        if replicas.is_null() {
            return vec![format!("it was scaled at {}, to a number not logged", when(write))];
        }
        put(&mut self.object, &["spec", "replicas"], replicas);
        self.knowledge = self.knowledge.max(Knowledge::Parts);
        Vec::new()
    }

    fn patch(&mut self, write: &Write, request: &Value) -> Vec<String> {
        let base_known = self.knowledge >= Knowledge::Requested;
        self.knowledge = self.knowledge.max(Knowledge::Parts);
        let mut unknown = Vec::new();
        if let Value::Array(operations) = request {
            unknown.extend(patch::apply(&mut self.object, operations));
        } else {
            let strategic = merge::is_strategic(request);
            let dialect = if strategic || is_built_in(&write.group) {
                Dialect::Strategic
            } else {
                Dialect::Merge
            };
            if !strategic && merge::has_list(request) {
                unknown.push(format!(
                    "the patch at {} names no dialect, and its lists were read as {}",
                    when(write),
                    if dialect == Dialect::Strategic { "strategic merge" } else { "merge patch" }
                ));
            }
            merge::apply(&mut self.object, request, dialect);
        }
        if !base_known {
            unknown.push("only what patches named is known, the rest of it is not".to_owned());
        }
        unknown
    }

    fn delete(&mut self, write: &Write, of_collection: bool) {
        let mut unknown = Vec::new();
        if self.existence == Existence::Unknown {
            self.unknown.push(
                "it existed before the first write in this evidence; what it was then is not known"
                    .to_owned(),
            );
        }
        self.existence = Existence::Deleted;
        match write.response.as_ref().filter(|_| !of_collection) {
            Some(response) => {
                self.object = response.clone();
                self.knowledge = Knowledge::Whole;
                self.existence = match self.existence_after() {
                    Existence::Present => Existence::Deleted,
                    other => other,
                };
            }
            None if level(write) == "Metadata" => unknown.push(
                "whether finalizers or a grace period kept it for a while was not logged"
                    .to_owned(),
            ),
            None => {}
        }
        self.unknown.extend(unknown.iter().cloned());
        self.changes.push(Change {
            event: write.event.clone(),
            changes: Vec::new(),
            unknown,
            existence: self.existence,
        });
    }

    fn doubt(&mut self, write: &Write, why: &str) {
        self.unknown.push(why.to_owned());
        self.changes.push(Change {
            event: write.event.clone(),
            changes: Vec::new(),
            unknown: vec![why.to_owned()],
            existence: self.existence,
        });
    }
}

fn when(write: &Write) -> String {
    write.event.time.map_or_else(|| "an unknown time".to_owned(), |time| time.to_rfc3339())
}

fn level(write: &Write) -> &str {
    if write.event.level.is_empty() { "?" } else { &write.event.level }
}

/// Lists what differs between two sets of named values.
pub fn differences(
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Vec<(String, String, String)> {
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| {
            let side = |map: &BTreeMap<String, Value>| map.get(path).map(text_of);
            (path.clone(), side(before).unwrap_or_default(), side(after).unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::evidence::EventId;
    use serde_json::json;

    fn write(verb: &str, sub: &str, request: Option<Value>, response: Option<Value>) -> Write {
        let event = TimelineEvent {
            id: EventId(0),
            audit_id: "a".into(),
            stage: "ResponseComplete".into(),
            level: if request.is_some() { "RequestResponse" } else { "Metadata" }.into(),
            time: None,
            stage_time: None,
            user: "u".into(),
            acting_as: String::new(),
            verb: verb.into(),
            request_uri: String::new(),
            source_ips: Vec::new(),
            user_agent: String::new(),
            resource: "pods".into(),
            subresource: sub.into(),
            namespace: "n".into(),
            name: "p".into(),
            code: Some(200),
            reason: String::new(),
            credential: String::new(),
            log: String::new(),
            source: String::new(),
            offset: 0,
            line: 1,
            item: 0,
        };
        Write {
            event,
            group: String::new(),
            request,
            response,
            selectors: Vec::new(),
            version: None,
        }
    }

    fn fold(writes: &[Write]) -> ObjectState {
        let mut fold = Fold::default();
        for write in writes {
            fold.apply(write);
        }
        fold.objects.remove(&("n".to_owned(), "p".to_owned())).unwrap()
    }

    #[test]
    fn a_patch_without_an_answer_is_folded_into_what_is_known() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
        let patch = json!({"spec": {"containers": [{"name": "a", "image": "y"}]}});
        let state = fold(&[
            write("create", "", Some(pod.clone()), Some(pod)),
            write("patch", "", Some(patch), None),
        ]);
        assert_eq!(state.object["spec"]["containers"], json!([{"name": "a", "image": "y"}]));
        let change = state.changes.last().unwrap();
        assert_eq!(change.changes[0], ("containers.a.image".into(), "x".into(), "y".into()));
        assert!(change.unknown[0].contains("names no dialect"), "{:?}", change.unknown);
    }

    #[test]
    fn what_no_body_tells_is_unknown() {
        let state = fold(&[write("update", "", None, None)]);
        assert_eq!(state.existence, Existence::Present);
        assert_eq!(state.knowledge, Knowledge::Nothing);
        assert!(state.unknown.iter().any(|why| why.contains("before the first write")));
        assert!(state.unknown.iter().any(|why| why.contains("logs no body")));
    }

    #[test]
    fn a_pod_terminates_before_it_is_gone() {
        let dying = |grace: u64| json!({"metadata": {"name": "p", "deletionTimestamp": "t", "deletionGracePeriodSeconds": grace}});
        let options = Some(json!({"kind": "DeleteOptions"}));
        let first = write("delete", "", options.clone(), Some(dying(30)));
        let last = write("delete", "", options, Some(dying(0)));
        let status = write("patch", "status", Some(json!({"status": {}})), Some(dying(30)));
        assert_eq!(fold(std::slice::from_ref(&first)).existence, Existence::Terminating);
        assert_eq!(fold(&[first.clone(), status]).existence, Existence::Terminating);
        assert_eq!(fold(&[first, last]).existence, Existence::Deleted);
    }

    #[test]
    fn a_selector_deletes_what_it_selects_and_doubts_what_it_may() {
        let pod = |app: &str| json!({"metadata": {"name": "p", "labels": {"app": app}}});
        let mut all = write("deletecollection", "", Some(json!({})), None);
        all.event.name = String::new();
        all.selectors = vec![("labelSelector".into(), "app=web".into())];
        let made = |app: &str| write("create", "", Some(pod(app)), Some(pod(app)));
        assert_eq!(fold(&[made("web"), all.clone()]).existence, Existence::Deleted);
        assert_eq!(fold(&[made("db"), all.clone()]).existence, Existence::Present);
        let doubted = fold(&[write("create", "", None, None), all]);
        assert_eq!(doubted.existence, Existence::Present);
        assert!(doubted.unknown.iter().any(|why| why.contains("may have deleted")));
    }

    #[test]
    fn a_binding_and_a_scale_change_one_setting() {
        let bound = fold(&[
            write("create", "", None, None),
            write("create", "binding", Some(json!({"target": {"name": "w1"}})), None),
            write("update", "scale", Some(json!({"spec": {"replicas": 3}})), None),
        ]);
        assert_eq!(bound.object["spec"], json!({"nodeName": "w1", "replicas": 3}));
        assert_eq!(bound.knowledge, Knowledge::Parts);
    }
}
