//! `network NAMESPACE/POD --at TIME`: which NetworkPolicies selected a pod at a moment.

use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::state::fold::Existence;
use crate::hunt::state::rebuild::rebuild;
use crate::hunt::state::value::at;
use crate::hunt::state::value::items_at;
use crate::hunt::state::value::text_at;
use crate::hunt::state::value::texts_at;
use crate::hunt::state::write::Target;
use serde_json::Value;

/// See the file's text.
#[derive(Debug)]
pub struct NetworkPivot;

impl Pivot for NetworkPivot {
    fn name(&self) -> &'static str {
        "network"
    }

    fn about(&self) -> &'static str {
        "which NetworkPolicies selected a pod at a moment (--at)"
    }

    fn arguments(&self) -> &'static str {
        "NAMESPACE/POD"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let typed = table::one_argument(self, arguments)?;
        let Some((namespace, name)) = typed.split_once('/') else {
            return Err(table::usage(self));
        };
        let moment = context.options.at.or(context.range.until);
        let target = |kind: &str, name: &str| Target {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            cluster: None,
        };
        let policies = target("networkpolicies", "");
        let mut answer = context.answer(self, &context.refined(policies.writes()));
        let pod = rebuild(context.evidence, &target("pods", name), moment)?;
        let state = pod.objects.get(&(namespace.to_owned(), name.to_owned()));
        let labels = state.map(|state| at(&state.object, &["metadata", "labels"]).clone());
        let rebuilt = rebuild(context.evidence, &policies, moment)?;
        let mut section = table::section(
            "policies",
            &["policy", "exists", "selects_it", "types", "ingress_rules", "egress_rules", "since"],
        );
        let mut selecting = 0;
        for ((_, policy), state) in &rebuilt.objects {
            if matches!(state.existence, Existence::Deleted | Existence::NotYet) {
                continue;
            }
            let selector = at(&state.object, &["spec", "podSelector"]);
            let selects = match (&labels, selector) {
                (_, Value::Null) => None,
                (None | Some(Value::Null), selector) => is_empty(selector).then_some(true),
                (Some(labels), selector) => Some(matches(selector, labels)),
            };
            selecting += usize::from(selects == Some(true));
            let since: Option<Timestamp> =
                state.changes.first().and_then(|change| change.event.time);
            let count = |key: &str| {
                i64::try_from(items_at(&state.object, &["spec", key]).len()).unwrap_or(i64::MAX)
            };
            table::push(
                &mut section,
                vec![
                    policy.clone().into(),
                    state.existence.name().into(),
                    match selects {
                        Some(yes) => Cell::Bool(yes),
                        None => "unknown".into(),
                    },
                    texts_at(&state.object, &["spec", "policyTypes"]).into(),
                    count("ingress").into(),
                    count("egress").into(),
                    since.into(),
                ],
                state.changes.iter().map(|change| change.event.id).collect(),
            );
        }
        answer.summary = format!(
            "{selecting} of {} policies known in {namespace} select {typed}",
            section.rows.len()
        );
        if state.is_none() {
            answer.notes.push(format!(
                "no body of pod {typed} is in the evidence, so its labels are not known: only \
                 policies that select every pod are certain"
            ));
        }
        answer.notes.push(
            "policies made before the evidence begins are not known; no policy listed does not \
             mean that none was there"
                .to_owned(),
        );
        answer.sections.push(section);
        Ok(answer)
    }
}

fn is_empty(selector: &Value) -> bool {
    selector.as_object().is_some_and(serde_json::Map::is_empty)
}

/// Evaluates a metav1.LabelSelector (k8s.io/apimachinery pkg/apis/meta/v1/helpers.go).
fn matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = selector.get("matchLabels").and_then(Value::as_object).is_none_or(|wanted| {
        wanted.iter().all(|(key, value)| label(key) == value.as_str() && value.is_string())
    });
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    equal
        && expressions.is_none_or(|all| {
            all.iter().all(|one| {
                let key = text_at(one, &["key"]);
                let values = texts_at(one, &["values"]);
                let value = label(&key);
                match text_at(one, &["operator"]).as_str() {
                    "In" => value.is_some_and(|value| values.iter().any(|v| v == value)),
                    "NotIn" => value.is_none_or(|value| values.iter().all(|v| v != value)),
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    _ => false,
                }
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select_as_the_server_does() {
        let check = |selector: &str, labels: &str| {
            matches(
                &serde_json::from_str(selector).unwrap(),
                &serde_json::from_str(labels).unwrap(),
            )
        };
        assert!(check("{}", "{}"));
        assert!(check(r#"{"matchLabels":{"app":"web"}}"#, r#"{"app":"web","x":"y"}"#));
        assert!(!check(r#"{"matchLabels":{"app":"web"}}"#, r#"{"app":"db"}"#));
        let not_in = r#"{"matchExpressions":[{"key":"a","operator":"NotIn","values":["1"]}]}"#;
        assert!(check(not_in, "{}") && check(not_in, r#"{"a":"2"}"#));
        assert!(!check(not_in, r#"{"a":"1"}"#));
    }
}
