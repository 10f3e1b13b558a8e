//! Groups of a correlation: by the numbers of the values of its group-by fields.

use hashbrown::HashMap;
use std::collections::BTreeMap;

use crate::event::field::Field;
use crate::hunt::batch::Run;
use crate::hunt::facts::Facts;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::sigma::rule::Correlation;

/// Groups a match may belong to at most: several values in several fields multiply.
const MAX_KEYS: usize = 64;

/// Numbers of groups: a group is one value of the last field within a group of the others.
#[derive(Default)]
pub(super) struct Keys {
    numbers: HashMap<(u32, u32), u32>,
    /// The group of the other fields, and the value.
    parts: Vec<(u32, u32)>,
}

/// The group of all matches where there is nothing to group by, and what every group begins with.
const ROOT: u32 = u32::MAX;

impl Keys {
    pub(super) fn number(&mut self, group: u32, value: u32) -> u32 {
        let next = self.parts.len() as u32;
        let number = *self.numbers.entry((group, value)).or_insert(next);
        if number == next {
            self.parts.push((group, value));
        }
        number
    }

    /// Returns the values of a group of so many fields, in the order of the fields.
    pub(super) fn values(&self, group: u32, n_fields: usize) -> Vec<u32> {
        let mut values = Vec::with_capacity(n_fields);
        let mut group = group;
        while values.len() < n_fields {
            let Some((rest, value)) = self.parts.get(group as usize) else { break };
            values.push(*value);
            group = *rest;
        }
        values.reverse();
        values
    }
}

/// Where the fields of a correlation stand among the facts.
pub(super) struct Slots {
    /// For each group-by its field by rule, `*` for all.
    group_by: Vec<BTreeMap<String, Vec<usize>>>,
    /// Fields whose values are counted.
    counted: Vec<usize>,
}

impl Slots {
    /// Reads the fields of a correlation for its requests.
    pub(super) fn load(
        run: &mut Run<'_>,
        correlation: &Correlation,
        ids: &[EventId],
    ) -> Result<Slots, SearchError> {
        let mut slots = |fields: &[Field]| -> Vec<usize> {
            fields.iter().map(|field| run.facts.slot(field)).collect()
        };
        let group_by: Vec<BTreeMap<String, Vec<usize>>> = correlation
            .group_by
            .iter()
            .map(|g| g.fields.iter().map(|(rule, own)| (rule.clone(), slots(own))).collect())
            .collect();
        let counted = slots(&correlation.value_fields);
        let mut all: Vec<usize> =
            group_by.iter().flat_map(BTreeMap::values).flatten().chain(&counted).copied().collect();
        all.sort_unstable();
        all.dedup();
        run.facts.load_some(run.evidence, ids, &all)?;
        Ok(Slots { group_by, counted })
    }

    /// The group-by fields as one of the rules names them.
    pub(super) fn of_rule(&self, correlation: &Correlation, rule: usize) -> RuleSlots {
        let reference = correlation.rules.get(rule).map_or("", String::as_str);
        let own = |fields: &'_ BTreeMap<String, Vec<usize>>| {
            fields.get(reference).or_else(|| fields.get("*")).cloned().unwrap_or_default()
        };
        RuleSlots(self.group_by.iter().map(own).collect())
    }

    /// Tells `each` what a match adds to the count: nothing but itself, or each value of the counted
    /// field.
    pub(super) fn counted(
        &self,
        event: EventId,
        facts: &mut Facts,
        mut each: impl FnMut(Option<u32>),
    ) {
        match self.counted.as_slice() {
            [] => each(None),
            [slot] => {
                let mut any = false;
                facts.numbers(event, *slot).for_each(|number| {
                    any = true;
                    each(Some(number));
                });
                if !any {
                    each(None);
                }
            }
            many => {
                let part = |slot: &usize| {
                    let number = facts.numbers(event, *slot).next().unwrap_or_default();
                    facts.texts().text(number).to_owned()
                };
                let parts: Vec<String> = many.iter().map(part).collect();
                each(Some(facts.number_of(&parts.join(" / "))));
            }
        }
    }
}

/// The group-by fields of one rule.
pub(super) struct RuleSlots(Vec<Vec<usize>>);

impl RuleSlots {
    /// The group of every combination of the values of the group-by fields; none where one has no
    /// value.
    pub(super) fn keys(&self, event: EventId, facts: &Facts, keys: &mut Keys) -> Vec<u32> {
        if self.0.is_empty() {
            return vec![keys.number(ROOT, 0)];
        }
        let mut groups: Vec<u32> = vec![ROOT];
        for slots in &self.0 {
            let mut found = slots.iter().flat_map(|slot| facts.numbers(event, *slot));
            let (first, second) = (found.next(), found.next());
            match (first, second) {
                (None, _) => return Vec::new(),
                (Some(only), None) => {
                    groups.iter_mut().for_each(|group| *group = keys.number(*group, only));
                }
                (Some(first), Some(second)) => {
                    let mut all: Vec<u32> = [first, second].into_iter().chain(found).collect();
                    all.sort_by_key(|number| facts.texts().text(*number));
                    all.dedup();
                    let pairs = groups.iter().flat_map(|g| all.iter().map(move |v| (*g, *v)));
                    groups = pairs.take(MAX_KEYS).map(|(g, v)| keys.number(g, v)).collect();
                }
            }
        }
        groups
    }
}
