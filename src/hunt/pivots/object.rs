//! `object KIND NAMESPACE/NAME`: the whole history of an object as changes.

use crate::event::field::DECISION;
use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::state::fold::ObjectState;
use crate::hunt::state::rebuild::rebuild;
use crate::hunt::state::write::Target;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::query::ast::QueryAst;

/// See the file's text.
#[derive(Debug)]
pub struct Object;

impl Pivot for Object {
    fn name(&self) -> &'static str {
        "object"
    }

    fn about(&self) -> &'static str {
        "the whole history of an object as changes, refused attempts included"
    }

    fn arguments(&self) -> &'static str {
        "KIND [NAMESPACE/]NAME"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let [kind, name] = arguments else { return Err(table::usage(self)) };
        let (namespace, name) = name.split_once('/').unwrap_or(("", name.as_str()));
        if name.is_empty() {
            return Err(table::usage(self));
        }
        let target = Target {
            kind: kind.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            cluster: None,
        };
        let question = context.refined(target.writes());
        let mut answer = context.answer(self, &question);
        let rebuilt = rebuild(context.evidence, &target, context.range.until)?;
        for ((namespace, name), state) in &rebuilt.objects {
            let title = if namespace.is_empty() {
                format!("{kind} {name}")
            } else {
                format!("{kind} {namespace}/{name}")
            };
            answer.sections.push(history(context, &title, state));
            for why in &state.unknown {
                table::note_once(&mut answer, format!("unknown: {why}"));
            }
        }
        answer.notes.extend(rebuilt.notes.clone());
        // Refused and failed attempts change nothing, and tell who tried.
        let failed = QueryAst::all_of(vec![
            question.clone(),
            QueryAst::any_of(vec![
                is(DECISION, "forbid"),
                QueryAst::Field {
                    field: Field::path("responseStatus.code"),
                    test: crate::query::ast::Test::Range {
                        low: crate::query::ast::Bound::Included("400".to_owned()),
                        high: crate::query::ast::Bound::Open,
                    },
                },
            ]),
        ]);
        let attempts = context.requests(&mut answer, &failed, &[])?;
        let columns = [
            table::TIME,
            table::USER,
            table::AS,
            table::VERB,
            table::RESOURCE,
            table::NAMESPACE,
            table::CODE,
            table::OUTCOME,
            table::PEER,
            table::AGENT,
        ];
        answer.sections.push(context.table("attempts that failed", &attempts, &columns));
        let reads = context.refined(QueryAst::all_of(vec![target.reads(), not(has("sub"))]));
        let readers = context.requests(&mut answer, &reads, &[])?;
        answer.sections.push(crate::hunt::pivot_tally::tally_owners(
            context,
            &readers,
            ("read by", "user"),
            ("user", "user"),
            |owner, _| owner,
        ));
        let changes: usize = rebuilt.objects.values().map(|state| state.changes.len()).sum();
        answer.summary = match rebuilt.objects.values().next() {
            None => format!("no write to {kind} {name} in this evidence"),
            Some(state) => format!(
                "{changes} writes, {} failed attempts, {} reads by name; it is {}",
                attempts.len(),
                readers.len(),
                state.existence.name()
            ),
        };
        Ok(answer)
    }
}

fn history(
    context: &PivotContext<'_>,
    title: &str,
    state: &ObjectState,
) -> crate::hunt::answer::Section {
    let mut section = table::section(
        title,
        &[
            "time",
            "user",
            "as",
            "verb",
            "subresource",
            "code",
            "peer",
            "agent",
            "exists",
            "changes",
        ],
    );
    for change in &state.changes {
        let event = &change.event;
        if !context.range.contains(event.time) {
            continue;
        }
        let mut lines: Vec<String> = change
            .changes
            .iter()
            .map(|(path, before, after)| match (before.as_str(), after.as_str()) {
                ("", after) => format!("{path}: {after}"),
                (before, "") => format!("{path}: {before} removed"),
                (before, after) => format!("{path}: {before} -> {after}"),
            })
            .collect();
        lines.extend(change.unknown.iter().map(|why| format!("unknown: {why}")));
        let text = |text: &str| if text.is_empty() { Cell::Empty } else { text.into() };
        table::push(
            &mut section,
            vec![
                event.time.into(),
                text(&event.user),
                text(&event.acting_as),
                text(&event.verb),
                text(&event.subresource),
                event.code.into(),
                event.source_ips.last().cloned().into(),
                text(&event.user_agent),
                change.existence.name().into(),
                crate::hunt::spec_paths::list_cell(lines),
            ],
            vec![event.id],
        );
    }
    section
}
