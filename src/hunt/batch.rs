//! A whole set of rules against one body of evidence: selected, gated, asked together, correlated,
//! reported.

mod correlations;
mod followers;
mod groups;
mod novelty;
mod platform;
mod selection;
mod summary;
mod undecidable;

use std::collections::HashMap;
use std::collections::HashSet;

use crate::event::time::TimeRange;
use crate::hunt::allow_list::AllowList;
use crate::hunt::confidence::Confidence;
use crate::hunt::error::HuntError;
use crate::hunt::facts::Facts;
use crate::hunt::finding::Card;
use crate::hunt::finding::Finding;
use crate::hunt::finding::Group;
use crate::hunt::finding::HuntKind;
use crate::hunt::finding::HuntReport;
use crate::hunt::hunts::HUNTS;
use crate::hunt::hunts::HuntContext;
use crate::hunt::requests::Call;
use crate::hunt::requests::Request;
use crate::hunt::requests::collapse;
use crate::hunt::requests::collection;
use crate::hunt::requests::collection_among;
use crate::hunt::requests::pages;
use crate::hunt::requests::pages_among;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::Hits;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::Wider;
use crate::sigma::rule::Level;
use crate::sigma::rule::RuleSet;

/// Bytes of decoded columns to keep while hunting ([`crate::search::indexed::Searcher::with_cache`]).
pub const CACHE_BYTES: usize = 384 << 20;

/// What to hunt with.
#[derive(Debug, Default)]
pub struct Rules {
    /// Rules that came with the program, if they take part.
    pub builtin: RuleSet,
    /// Rules of the user.
    pub own: RuleSet,
    /// Whether the analyses of [`HUNTS`] take part.
    pub analyses: bool,
}

/// How to hunt.
#[derive(Clone, Debug)]
pub struct HuntOptions {
    /// Only events of this time; analyses learn from what was before.
    pub range: TimeRange,
    /// Lowest level reported.
    pub level: Level,
    /// Only rules with one of these tags; none for all.
    pub tags: Vec<String>,
    /// Requests named per finding.
    pub events: usize,
    /// Run rules for other log sources too.
    pub any_logsource: bool,
    /// Leave out events of the platform's own identities, and say how many that hid.
    pub no_platform: bool,
    /// Exceptions.
    pub allow: AllowList,
}

impl Default for HuntOptions {
    fn default() -> HuntOptions {
        HuntOptions {
            range: TimeRange::ALL,
            level: Level::Medium,
            tags: Vec::new(),
            events: 1000,
            any_logsource: false,
            no_platform: false,
            allow: AllowList::default(),
        }
    }
}

/// A question of the batch and its answer.
#[derive(Clone, Default)]
struct Asked {
    /// Its events only where [`novelty::wanted`].
    hits: Hits,
    calls: Vec<Call>,
    /// Events without a body that [`undecidable::question`] asks for.
    n_open: u64,
}

/// What all parts of a run share.
struct Run<'r> {
    evidence: &'r dyn Evidence,
    options: &'r HuntOptions,
    facts: Facts,
    /// Pages of lists but the first, among all that matches.
    pages: HashSet<EventId>,
    /// What looks like the collection of this evidence.
    collection: HashSet<EventId>,
    /// Events that the allow list takes out, by rule.
    allowed: crate::hunt::allow_list::Allowed,
    hidden: platform::Hidden,
}

impl Run<'_> {
    fn search_options(&self) -> SearchOptions {
        SearchOptions { range: self.options.range, ..SearchOptions::default() }
    }
}

/// Introduces every hunt of `rules`, for lists.
pub fn cards(rules: &Rules) -> Vec<Card> {
    let mut cards = selection::cards(rules);
    if rules.analyses {
        cards.extend(HUNTS.iter().map(|hunt| hunt.card()));
    }
    cards
}

/// Hunts.
///
/// `progress` is told what is being done, for a person who waits.
///
/// # Errors
/// When the evidence cannot be read.
pub fn hunt(
    evidence: &dyn Evidence,
    rules: &Rules,
    options: &HuntOptions,
    progress: &dyn Fn(&str),
) -> Result<HuntReport, HuntError> {
    let mut report = HuntReport::default();
    let mut selection = selection::select(rules, options, &mut report);
    progress(&format!("asking {} questions", selection.rules.len()));
    let mut run = Run {
        evidence,
        options,
        facts: Facts::default(),
        pages: HashSet::new(),
        collection: HashSet::new(),
        allowed: options.allow.resolve(evidence, options.range)?,
        hidden: platform::Hidden::new(options.no_platform),
    };
    let mut asked = ask_all(&mut run, &selection)?;
    report.n_asked = selection.n_reported();
    novelty::run(&mut run, &mut selection, &mut asked, &mut report)?;
    rule_findings(&mut run, &selection, &asked, &mut report)?;
    progress("correlating");
    correlations::run(&mut run, &selection, &asked, &mut report)?;
    // What is left to do asks for totals, and about other events.
    for answer in &mut asked {
        *answer = std::rc::Rc::new(Asked {
            hits: answer.hits.clone(),
            calls: Vec::new(),
            n_open: answer.n_open,
        });
    }
    run.facts = Facts::default();
    if rules.analyses {
        progress("analysing credentials, gaps and novelties");
        analyses(&mut run, &mut report)?;
    }
    progress("judging what cannot be decided");
    undecidable::run(&run, &selection, &asked, &mut report)?;
    report.findings.sort_by(|a, b| {
        let key = |f: &Finding| {
            (std::cmp::Reverse(f.card.level), std::cmp::Reverse(f.card.kind), f.first)
        };
        key(a).cmp(&key(b)).then_with(|| a.card.rule.cmp(&b.card.rule))
    });
    summary::identities(&mut report);
    summary::indicators(&mut report, evidence)?;
    report.notes.extend(run.hidden.note());
    report.allow_list = run.allowed.uses(&options.allow);
    Ok(report)
}

/// Puts the questions of all rules but followers.
fn ask_all(
    run: &mut Run<'_>,
    selection: &selection::Selection<'_>,
) -> Result<Vec<std::rc::Rc<Asked>>, SearchError> {
    let mut asked: Vec<Option<std::rc::Rc<Asked>>> = vec![None; selection.rules.len()];
    let now = selection.rules.iter().enumerate();
    let now = now.filter(|(_, chosen)| !followers::follows(chosen, selection));
    let questions = now.map(|(at, chosen)| (at, chosen.rule.question.clone())).collect();
    ask(run, selection, questions, true, &mut asked)?;
    Ok(asked.into_iter().map(Option::unwrap_or_default).collect())
}

/// Puts the questions of some rules, equal ones once, and collapses what matched into requests; the
/// first time it is asked as well what is a page, what collection, and what cannot be decided.
fn ask(
    run: &mut Run<'_>,
    selection: &selection::Selection<'_>,
    questions: Vec<(usize, QueryAst)>,
    first: bool,
    asked: &mut [Option<std::rc::Rc<Asked>>],
) -> Result<(), SearchError> {
    let mut different: Vec<QueryAst> = Vec::new();
    let mut wider = Wider::default();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut wanted: Vec<(usize, usize)> = Vec::with_capacity(questions.len());
    for (rule, question) in questions {
        let number = *numbers.entry(format!("{question:?}")).or_insert_with(|| {
            different.push(question);
            different.len() - 1
        });
        wanted.push((rule, number));
        wider.questions.resize(different.len(), None);
        let beside = selection.rules.get(rule).filter(|_| first).and_then(undecidable::question);
        if let (Some(beside), Some(slot)) = (beside, wider.questions.get_mut(number)) {
            *slot = Some(beside);
            wider.without = Some(undecidable::has_body());
        }
    }
    if first {
        different.extend([pages(), collection()]);
    }
    let options = run.search_options();
    let found = match different.as_slice() {
        // Packs remember the conditions of a question that comes alone.
        [one] => vec![(run.evidence.search(one, &options)?, 0)],
        all => run.evidence.search_all_wider(all, &wider, &options)?,
    };
    let (mut answers, n_open): (Vec<Hits>, Vec<u64>) = found.into_iter().unzip();
    if first {
        let mut next = || answers.pop().map(|answer| answer.hits).unwrap_or_default();
        let (collecting, paging) = (next(), next());
        run.pages = paging.iter().map(|hit| hit.id).collect();
        run.collection = collection_among(run.evidence, &mut run.facts, &collecting)?;
    }
    run.hidden.hide(run.evidence, answers.iter_mut().map(|answer| &mut answer.hits))?;
    // Hits are as large as calls; who goes on with hits says so.
    let goes_on = |rule: usize| selection.rules.get(rule).is_some_and(novelty::wanted);
    let kept: HashMap<usize, Vec<Hit>> = wanted
        .iter()
        .filter(|(rule, _)| goes_on(*rule))
        .filter_map(|(_, number)| Some((*number, answers.get(*number)?.hits.clone())))
        .collect();
    let lists = answers.iter_mut().map(|answer| std::mem::take(&mut answer.hits)).collect();
    let calls = collapse(run.evidence, &mut run.facts, lists, &run.pages)?;
    for (number, hits) in kept {
        if let Some(answer) = answers.get_mut(number) {
            answer.hits = hits;
        }
    }
    let answers: Vec<std::rc::Rc<Asked>> = answers
        .into_iter()
        .zip(calls)
        .zip(n_open)
        .map(|((hits, calls), n_open)| std::rc::Rc::new(Asked { hits, calls, n_open }))
        .collect();
    for (rule, number) in wanted {
        if let Some(slot) = asked.get_mut(rule) {
            *slot = answers.get(number).cloned();
        }
    }
    Ok(())
}

/// Reports what rules found by themselves.
fn rule_findings(
    run: &mut Run<'_>,
    selection: &selection::Selection<'_>,
    asked: &[std::rc::Rc<Asked>],
    report: &mut HuntReport,
) -> Result<(), SearchError> {
    let mut found = Vec::new();
    for (chosen, answer) in selection.rules.iter().zip(asked).filter(|(c, _)| c.reported) {
        let (kept, suppressed) = run.allowed.split(&chosen.card, &answer.calls);
        // Where everything was allowed it is counted with the allow list, no finding.
        if kept.is_empty() {
            report.n_nothing += 1;
        } else {
            found.push((&chosen.card, answer, kept, suppressed));
        }
    }
    // What all of them show is read in one pass over the packs.
    let shown = found.iter().flat_map(|(_, _, kept, _)| kept.iter().take(run.options.events));
    let shown: Vec<EventId> = shown.map(|call| call.event).collect();
    run.facts.load(run.evidence, &shown)?;
    for (card, answer, kept, suppressed) in found {
        let mut finding = finding(run, card, &kept, suppressed)?;
        finding.notes.extend(answer.hits.notes.iter().cloned());
        report.findings.push(finding);
    }
    Ok(())
}

/// Lays out the requests of a finding.
fn finding(
    run: &mut Run<'_>,
    card: &Card,
    calls: &[Call],
    suppressed: u64,
) -> Result<Finding, SearchError> {
    let shown = calls.iter().take(run.options.events).map(|call| call.event);
    run.facts.load(run.evidence, &shown.collect::<Vec<EventId>>())?;
    let requests: Vec<Request> = calls
        .iter()
        .take(run.options.events)
        .map(|call| Request::of(call, &run.facts, run.evidence))
        .collect();
    let n_collection = calls.iter().filter(|call| run.collection.contains(&call.event)).count();
    let mut notes = Vec::new();
    if n_collection > 0 {
        notes.push(format!(
            "{n_collection} of {} requests look like the collection of this evidence",
            calls.len()
        ));
    }
    if suppressed > 0 {
        notes.push(format!("{suppressed} requests are suppressed by the allow list"));
    }
    let confidence = match (card.kind, card.level) {
        _ if n_collection == calls.len() => Confidence::Low,
        (HuntKind::Correlation | HuntKind::Analysis, _) => Confidence::High,
        (_, Level::Medium | Level::High | Level::Critical) => Confidence::Medium,
        _ => Confidence::Low,
    };
    Ok(Finding {
        confidence,
        count: calls.iter().filter(|call| !call.is_page).count() as u64,
        n_requests: calls.len() as u64,
        n_events: calls.iter().map(|call| u64::from(call.n_events)).sum(),
        suppressed,
        first: calls.iter().filter_map(|call| call.time).min(),
        last: calls.iter().filter_map(|call| call.time).max(),
        next: summary::next_steps(&requests),
        requests,
        groups: Vec::new(),
        notes,
        card: card.clone(),
    })
}

/// Lays out a finding made of groups; the same request in two groups counts once.
fn group_finding(
    run: &mut Run<'_>,
    card: &Card,
    groups: Vec<(Group, Vec<Call>)>,
    suppressed: u64,
) -> Result<Finding, SearchError> {
    let mut calls: Vec<Call> = groups.iter().flat_map(|(_, calls)| calls.iter().copied()).collect();
    calls.sort_by_key(|call| (call.time, call.place, call.event));
    calls.dedup_by_key(|call| call.event);
    let mut left = run.options.events;
    let mut shown: Vec<EventId> = calls.iter().take(left).map(|call| call.event).collect();
    for (_, calls) in &groups {
        shown.extend(calls.iter().take(left).map(|call| call.event));
        left -= calls.len().min(left);
    }
    run.facts.load(run.evidence, &shown)?;
    let mut out = finding(run, card, &calls, suppressed)?;
    let mut left = run.options.events;
    for (mut group, calls) in groups {
        group.count = calls.iter().filter(|call| !call.is_page).count() as u64;
        group.requests = calls
            .iter()
            .take(left)
            .map(|call| Request::of(call, &run.facts, run.evidence))
            .collect();
        left -= group.requests.len().min(left);
        out.groups.push(group);
    }
    Ok(out)
}

/// Runs what Sigma cannot say.
fn analyses(run: &mut Run<'_>, report: &mut HuntReport) -> Result<(), HuntError> {
    let context = HuntContext::new(run.evidence, run.options.range);
    for hunt in HUNTS {
        let card = hunt.card();
        if !selection::wanted(&card, run.options) {
            report.n_left_out += 1;
            continue;
        }
        report.n_asked += 1;
        let mut answer = hunt.run(&context)?;
        report.notes.extend(answer.notes);
        if let Some(why) = answer.undecidable {
            report.undecidable.push(crate::hunt::finding::Silent { card, why, candidates: 0 });
            continue;
        }
        run.hidden.hide(run.evidence, answer.groups.iter_mut().map(|(_, hits)| hits))?;
        // An analysis may follow a trail beyond the range that all others were asked about.
        let beyond = answer.groups.iter().flat_map(|(_, hits)| hits);
        let beyond: Vec<Hit> =
            beyond.filter(|hit| !run.options.range.contains(hit.time)).copied().collect();
        run.collection.extend(collection_among(run.evidence, &mut run.facts, &beyond)?);
        run.pages.extend(pages_among(&run.facts, &beyond));
        let mut suppressed = 0;
        let mut groups = Vec::new();
        let (found, lists): (Vec<Group>, Vec<Vec<Hit>>) = answer.groups.into_iter().unzip();
        let calls = collapse(run.evidence, &mut run.facts, lists, &run.pages)?;
        for (group, calls) in found.into_iter().zip(calls) {
            let (kept, n) = run.allowed.split(&card, &calls);
            suppressed += n;
            // A group of which a part is allowed is no longer what the analysis found.
            if n == 0 && !kept.is_empty() {
                groups.push((group, kept));
            }
        }
        if groups.is_empty() {
            report.n_nothing += 1;
        } else {
            report.findings.push(group_finding(run, &card, groups, suppressed)?);
        }
    }
    Ok(())
}
