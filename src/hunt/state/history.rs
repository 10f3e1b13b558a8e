//! The history of an object and of its owners: every write that changed what it can do.

use serde_json::Value;

use crate::event::time::Timestamp;
use crate::hunt::state::fold::ObjectState;
use crate::hunt::state::kind::resource_of_kind;
use crate::hunt::state::rebuild::Rebuilt;
use crate::hunt::state::rebuild::rebuild;
use crate::hunt::state::value::at;
use crate::hunt::state::value::items_at;
use crate::hunt::state::value::text_at;
use crate::hunt::state::write::Target;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;

/// An owner chain longer than this is no real one (pod, replica set, deployment, operator, ...).
const MAX_OWNERS: usize = 8;

/// An object of an owner chain with its history.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Kind or resource name.
    pub kind: String,
    /// Namespace and name.
    pub key: (String, String),
    /// Its state with all changes.
    pub state: ObjectState,
}

/// Returns the object and its owners, the object first, and why the chain ends.
///
/// # Errors
/// As [`Evidence::search`].
pub fn owner_chain(
    evidence: &dyn Evidence,
    target: &Target,
    moment: Option<Timestamp>,
) -> Result<(Vec<Link>, Rebuilt, String), SearchError> {
    let first = rebuild(evidence, target, moment)?;
    let mut links = Vec::new();
    let mut open: Vec<(Target, Rebuilt)> = vec![(target.clone(), first.clone())];
    let mut why = "the topmost object names no owner".to_owned();
    while let Some((asked, rebuilt)) = open.pop() {
        for (key, state) in rebuilt.objects {
            let owner = controller(&state.object).map(|(kind, name)| Target {
                kind: resource_of_kind(&kind),
                namespace: key.0.clone(),
                name,
                cluster: asked.cluster.clone(),
            });
            if state.object.is_null() {
                why = "the body of the last object was not logged, so its owner is not known"
                    .to_owned();
            }
            let seen = |asked: &Target| {
                links.iter().any(|l: &Link| l.kind == asked.kind && l.key.1 == asked.name)
            };
            if let Some(owner) = owner.filter(|owner| !seen(owner)) {
                if links.len() < MAX_OWNERS {
                    let found = rebuild(evidence, &owner, moment)?;
                    if found.objects.is_empty() {
                        why = format!(
                            "no write to the owner {} {} is in the evidence",
                            owner.kind, owner.name
                        );
                    }
                    open.push((owner, found));
                }
            }
            links.push(Link { kind: asked.kind.clone(), key, state });
        }
    }
    Ok((links, first, why))
}

/// Kind and name of the owner that controls an object.
fn controller(object: &Value) -> Option<(String, String)> {
    let owners = items_at(object, &["metadata", "ownerReferences"]);
    let owner = owners
        .iter()
        .find(|owner| at(owner, &["controller"]).as_bool() == Some(true))
        .or_else(|| owners.first())?;
    Some((text_at(owner, &["kind"]), text_at(owner, &["name"])))
}
