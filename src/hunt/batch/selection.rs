//! Which rules run: level, tags, log source; and those that only feed a correlation.

use crate::hunt::attack::has_tag;
use crate::hunt::batch::HuntOptions;
use crate::hunt::batch::Rules;
use crate::hunt::finding::Card;
use crate::hunt::finding::HuntKind;
use crate::hunt::finding::HuntReport;
use crate::hunt::finding::Silent;
use crate::sigma::logsource::not_applicable;
use crate::sigma::rule::Correlation;
use crate::sigma::rule::NeededLevel;
use crate::sigma::rule::Rule;

/// A rule that will be asked.
pub struct Chosen<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// As it introduces itself.
    pub card: Card,
    /// Whether its matches are findings of their own.
    pub reported: bool,
}

/// A correlation that will run.
pub struct ChosenCorrelation<'r> {
    /// The correlation.
    pub correlation: &'r Correlation,
    /// As it introduces itself.
    pub card: Card,
    /// Whether its instances are findings of their own (others only feed another correlation).
    pub reported: bool,
}

/// Everything that will run.
#[derive(Default)]
pub struct Selection<'r> {
    /// Rules.
    pub rules: Vec<Chosen<'r>>,
    /// Correlations, every one behind those it refers to.
    pub correlations: Vec<ChosenCorrelation<'r>>,
}

impl Selection<'_> {
    /// Rules and correlations whose matches are findings of their own.
    pub fn n_reported(&self) -> usize {
        self.rules.iter().filter(|chosen| chosen.reported).count()
            + self.correlations.iter().filter(|chosen| chosen.reported).count()
    }
}

/// Says whether a rule of the pack is only a side of a correlation (`x-audithound.base`).
fn is_base(rule: &Rule) -> bool {
    rule.meta.own("base").and_then(serde_json::Value::as_bool) == Some(true)
}

/// Says whether level and tags ask for a hunt.
pub fn wanted(card: &Card, options: &HuntOptions) -> bool {
    card.level >= options.level
        && (options.tags.is_empty() || options.tags.iter().any(|tag| has_tag(&card.tags, tag)))
}

/// The level a correlation needs: that of the most demanding rule it refers to.
fn needs_of(correlation: &Correlation, rules: &[&Rule]) -> NeededLevel {
    correlation
        .rules
        .iter()
        .filter_map(|reference| rules.iter().find(|rule| rule.meta.is_called(reference)))
        .map(|rule| rule.needs)
        .max()
        .unwrap_or_default()
}

/// Introduces every rule and correlation of `rules`, for lists.
pub fn cards(rules: &Rules) -> Vec<Card> {
    let all: Vec<&Rule> = rules.builtin.rules.iter().chain(&rules.own.rules).collect();
    let mut cards = Vec::new();
    for (set, builtin) in [(&rules.builtin, true), (&rules.own, false)] {
        let hunts = set.rules.iter().filter(|rule| !is_base(rule));
        cards.extend(hunts.map(|r| Card::of(&r.meta, HuntKind::Rule, r.needs, builtin)));
        cards.extend(
            set.correlations
                .iter()
                .map(|c| Card::of(&c.meta, HuntKind::Correlation, needs_of(c, &all), builtin)),
        );
    }
    cards
}

/// Selects, and reports what is left out and why.
pub fn select<'r>(
    rules: &'r Rules,
    options: &HuntOptions,
    report: &mut HuntReport,
) -> Selection<'r> {
    let mut usable: Vec<(&Rule, Card)> = Vec::new();
    let mut correlations: Vec<(&Correlation, Card)> = Vec::new();
    let all: Vec<&Rule> = rules.builtin.rules.iter().chain(&rules.own.rules).collect();
    for (set, builtin) in [(&rules.builtin, true), (&rules.own, false)] {
        let unusable = set.unusable.iter().map(|u| (u.file.clone(), u.why.clone()));
        report.unusable.extend(unusable);
        for (filter, target) in &set.dangling_filters {
            report.notes.push(format!("filter {filter:?} names {target:?}, which is not loaded"));
        }
        for rule in &set.rules {
            let card = Card::of(&rule.meta, HuntKind::Rule, rule.needs, builtin);
            gate(rule, card, options, report, &mut usable);
        }
        for correlation in &set.correlations {
            let needs = needs_of(correlation, &all);
            let card = Card::of(&correlation.meta, HuntKind::Correlation, needs, builtin);
            correlations.push((correlation, card));
        }
    }
    let correlations = in_order(correlations, &usable, report);
    let fed: Vec<bool> = correlations.iter().map(|(_, card)| wanted(card, options)).collect();
    let feeds = |reference: &str| needed_by(reference, &correlations, &fed);
    let mut selection = Selection::default();
    for (rule, card) in usable {
        let is_wanted = wanted(&card, options) && !is_base(rule) && !only_feeds(rule, &card, rules);
        let is_fed = [Some(card.rule.as_str()), card.id.as_deref(), rule.meta.name.as_deref()]
            .into_iter()
            .flatten()
            .chain([card.title.as_str()])
            .any(&feeds);
        if !is_wanted && !is_base(rule) {
            report.n_left_out += 1;
        }
        if is_wanted || is_fed {
            selection.rules.push(Chosen { rule, card, reported: is_wanted });
        }
    }
    for ((correlation, card), reported) in correlations.iter().zip(&fed) {
        let feeds_other = [Some(card.rule.as_str()), card.id.as_deref()]
            .into_iter()
            .flatten()
            .chain(correlation.meta.name.as_deref())
            .any(&feeds);
        if !reported {
            report.n_left_out += 1;
        }
        if *reported || feeds_other {
            selection.correlations.push(ChosenCorrelation {
                correlation,
                card: card.clone(),
                reported: *reported,
            });
        }
    }
    selection
}

/// Sigma: what a correlation refers to makes no findings of its own unless it says `generate`.
/// Rules of the pack are findings by their own level.
fn only_feeds(rule: &Rule, card: &Card, rules: &Rules) -> bool {
    if card.origin == "builtin" {
        return false;
    }
    let mut referring = rules
        .own
        .correlations
        .iter()
        .filter(|c| c.rules.iter().any(|reference| rule.meta.is_called(reference)))
        .peekable();
    referring.peek().is_some() && !referring.any(|c| c.generate)
}

fn gate<'r>(
    rule: &'r Rule,
    card: Card,
    options: &HuntOptions,
    report: &mut HuntReport,
    usable: &mut Vec<(&'r Rule, Card)>,
) {
    if !options.any_logsource
        && let Some(why) = not_applicable(&rule.logsource)
    {
        report.not_applicable.push(Silent { card, why, candidates: 0 });
        return;
    }
    let reasons = rule.cannot_match();
    if reasons.is_empty() {
        usable.push((rule, card));
    } else {
        report.cannot_match.push(Silent { card, why: reasons.join("; "), candidates: 0 });
    }
}

/// Orders correlations behind what they refer to; those that refer to nothing loaded, or to
/// themselves, cannot match.
fn in_order<'r>(
    mut waiting: Vec<(&'r Correlation, Card)>,
    usable: &[(&'r Rule, Card)],
    report: &mut HuntReport,
) -> Vec<(&'r Correlation, Card)> {
    let mut ready: Vec<(&Correlation, Card)> = Vec::new();
    loop {
        let before = waiting.len();
        let mut later = Vec::new();
        for (correlation, card) in waiting {
            let known = |reference: &String| {
                usable.iter().any(|(rule, _)| rule.meta.is_called(reference))
                    || ready.iter().any(|(other, _)| other.meta.is_called(reference))
            };
            if correlation.flaws.iter().any(|flaw| flaw.fatal) {
                let why: Vec<&str> =
                    correlation.flaws.iter().map(|flaw| flaw.text.as_str()).collect();
                report.cannot_match.push(Silent { why: why.join("; "), card, candidates: 0 });
            } else if correlation.rules.iter().all(known) {
                ready.push((correlation, card));
            } else {
                later.push((correlation, card));
            }
        }
        waiting = later;
        if waiting.is_empty() || waiting.len() == before {
            break;
        }
    }
    for (correlation, card) in waiting {
        let missing: Vec<&str> = correlation
            .rules
            .iter()
            .filter(|reference| {
                !usable.iter().any(|(rule, _)| rule.meta.is_called(reference))
                    && !ready.iter().any(|(other, _)| other.meta.is_called(reference))
            })
            .map(String::as_str)
            .collect();
        let why =
            format!("refers to rules that are not loaded or cannot run: {}", missing.join(", "));
        report.cannot_match.push(Silent { card, why, candidates: 0 });
    }
    ready
}

/// Says whether a wanted correlation refers to `reference`, directly or through another.
fn needed_by(reference: &str, correlations: &[(&Correlation, Card)], wanted: &[bool]) -> bool {
    let mut open = vec![reference.to_owned()];
    let mut seen: Vec<String> = Vec::new();
    while let Some(reference) = open.pop() {
        for ((correlation, card), wanted) in correlations.iter().zip(wanted) {
            if !correlation.rules.contains(&reference) {
                continue;
            }
            if *wanted {
                return true;
            }
            for name in [Some(card.rule.clone()), card.id.clone(), correlation.meta.name.clone()]
                .into_iter()
                .flatten()
            {
                if !seen.contains(&name) {
                    seen.push(name.clone());
                    open.push(name);
                }
            }
        }
    }
    false
}
