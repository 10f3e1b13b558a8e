//! `peers NAME`: who else did what this one did, the rarest actions first.

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::Field;
use crate::hunt::answer::Answer;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests as table;
use crate::hunt::pivots::credential::known_id;
use crate::hunt::pivots::user::user_name;
use crate::ledger::question::is;
use crate::query::ast::QueryAst;
use crate::search::evidence::questions_each;
use std::collections::HashMap;

/// See the file's text.
#[derive(Debug)]
pub struct Peers;

impl Pivot for Peers {
    fn name(&self) -> &'static str {
        "peers"
    }

    fn about(&self) -> &'static str {
        "who else did what this one did, the rarest actions first"
    }

    fn arguments(&self) -> &'static str {
        "NAME, NAMESPACE/NAME or credential ID"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let typed = table::one_argument(self, arguments)?;
        let id = known_id(context, typed);
        let own = match context.ledgers.credentials.by_id(&id).next() {
            Some(_) => is(CREDENTIAL_ID, &id),
            None => is("user", &user_name(typed)),
        };
        let question = context.refined(own.clone());
        let mut answer = context.answer(self, &question);
        let question = context.without_platform(&mut answer, &question)?;
        let fields = [
            Field::path("verb"),
            Field::path("objectRef.resource"),
            Field::path("objectRef.subresource"),
        ];
        let actions = context.evidence.top(&question, context.range, &fields, None, 1)?;
        let compared: Vec<Vec<Option<String>>> =
            actions.iter().take(ACTIONS).map(|action| action.values.clone()).collect();
        let mut others = context.refined(own.negated());
        if context.options.no_platform {
            let same = questions_each(&others, &fields, &compared);
            context.without_platform(&mut answer, &QueryAst::any_of(same))?;
            others = QueryAst::all_of(vec![others, context.platform().negated()]);
        }
        let users = Field::path("user.username");
        let others =
            context.evidence.top_each(&others, context.range, &fields, &compared, &users)?;
        let mut rows: Vec<(usize, Vec<crate::hunt::answer::Cell>)> = Vec::new();
        let mut shared: HashMap<&str, Vec<usize>> = HashMap::new();
        let titles: Vec<String> =
            actions.iter().map(|action| action_title(&action.values)).collect();
        for (at, ((action, others), title)) in actions.iter().zip(&others).zip(&titles).enumerate()
        {
            for other in others {
                let user = other.values.first().and_then(Option::as_deref).unwrap_or_default();
                shared.entry(user).or_default().push(at);
            }
            let named = others.iter().take(10).map(|other| {
                let user = other.values.first().cloned().flatten().unwrap_or_default();
                format!("{user} ({})", other.count)
            });
            rows.push((
                others.len(),
                vec![
                    title.clone().into(),
                    i64::try_from(action.count).unwrap_or(i64::MAX).into(),
                    i64::try_from(others.len()).unwrap_or(i64::MAX).into(),
                    crate::hunt::spec_paths::list_cell(named.collect()),
                    action.first.into(),
                    action.last.into(),
                ],
            ));
        }
        rows.sort_by_key(|(others, _)| *others);
        let alone = rows.iter().filter(|(others, _)| *others == 0).count();
        answer.summary =
            format!("{} kinds of action, {alone} of them done by nobody else", rows.len());
        let mut section = table::section(
            "actions",
            &["action", "events", "others", "most_frequent_others", "first", "last"],
        );
        for (_, cells) in rows {
            table::push(&mut section, cells, Vec::new());
        }
        answer.sections.push(section);
        let mut alike = table::section("most alike", &["user", "actions_shared", "actions"]);
        let mut shared: Vec<(&str, Vec<usize>)> = shared.into_iter().collect();
        shared.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(b.0)));
        for (user, own) in shared.into_iter().take(20) {
            let count = i64::try_from(own.len()).unwrap_or(i64::MAX);
            let titles = own.iter().filter_map(|at| titles.get(*at).cloned()).collect();
            table::push(
                &mut alike,
                vec![user.into(), count.into(), crate::hunt::spec_paths::list_cell(titles)],
                Vec::new(),
            );
        }
        answer.sections.push(alike);
        if actions.len() > ACTIONS {
            answer.notes.push(format!(
                "only the {ACTIONS} most frequent of {} kinds of action were compared",
                actions.len()
            ));
        }
        Ok(answer)
    }
}

/// At most so many kinds of action are compared.
const ACTIONS: usize = 60;

fn action_title(values: &[Option<String>]) -> String {
    let text = |at: usize| values.get(at).cloned().flatten();
    let resource = text(1).unwrap_or_else(|| "(path)".to_owned());
    let verb = text(0).unwrap_or_default();
    match text(2) {
        Some(sub) => format!("{verb} {resource}/{sub}"),
        None => format!("{verb} {resource}"),
    }
}
