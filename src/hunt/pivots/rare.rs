//! `rare [NAME]`: first seen, least frequent agents, verbs, namespaces, addresses.

use rayon::iter::IntoParallelRefIterator;
use rayon::iter::ParallelIterator;

use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::user::user_name;
use crate::ledger::question::is;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::FacetRow;

/// See the file's text.
#[derive(Debug)]
pub struct Rare;

impl Pivot for Rare {
    fn name(&self) -> &'static str {
        "rare"
    }

    fn about(&self) -> &'static str {
        "first seen and least frequent agents, actions, namespaces, addresses of an identity"
    }

    fn arguments(&self) -> &'static str {
        "[NAME or NAMESPACE/NAME]"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let user = table::optional_argument(self, arguments)?.map(user_name);
        let question = context.refined(match &user {
            Some(user) => is("who", user),
            None => QueryAst::All,
        });
        let mut answer = context.answer(self, &question);
        let asked = context.without_platform(&mut answer, &question)?;
        let mut kinds: Vec<(&str, Vec<Field>)> = vec![
            ("agents", vec![Field::path("userAgent")]),
            (
                "actions",
                vec![
                    Field::path("verb"),
                    Field::path("objectRef.resource"),
                    Field::path("objectRef.subresource"),
                ],
            ),
            ("namespaces", vec![Field::path("objectRef.namespace")]),
            ("addresses", vec![Field::Peer]),
        ];
        if user.is_none() {
            kinds.insert(0, ("users", vec![Field::path("user.username")]));
        }
        let ask = |(_, fields): &(&str, Vec<Field>)| {
            context.evidence.top(&asked, context.range, fields, None, 1)
        };
        let found: Vec<Vec<FacetRow>> =
            kinds.par_iter().map(ask).collect::<Result<_, SearchError>>()?;
        for ((title, _), mut rows) in kinds.into_iter().zip(found) {
            let different = rows.len();
            rows.sort_by(|a, b| {
                (a.count, std::cmp::Reverse(a.first), &a.values).cmp(&(
                    b.count,
                    std::cmp::Reverse(b.first),
                    &b.values,
                ))
            });
            let mut section = table::section(title, &["value", "events", "first", "last"]);
            for row in rows.into_iter().take(ROWS) {
                let value: Vec<String> = row.values.into_iter().flatten().collect();
                table::push(
                    &mut section,
                    vec![
                        if value.is_empty() { Cell::Empty } else { value.join(" ").into() },
                        i64::try_from(row.count).unwrap_or(i64::MAX).into(),
                        row.first.into(),
                        row.last.into(),
                    ],
                    Vec::new(),
                );
            }
            if different > ROWS {
                section.notes.push(format!("the rarest {ROWS} of {different}"));
            }
            answer.sections.push(section);
        }
        answer.summary = match user {
            Some(user) => format!("what {user} did least often"),
            None => "what happened least often".to_owned(),
        };
        Ok(answer)
    }
}

/// Rows per table.
const ROWS: usize = 25;
