//! What the evidence can and cannot show: which times, which servers, which depth, which gaps.

pub mod cells;
pub mod clock_skew;
pub mod gaps;
pub mod profile;

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::coverage::cells::number;
use crate::hunt::coverage::cells::table;
use crate::hunt::coverage::cells::value;
use crate::hunt::coverage::clock_skew::skew_table;
use crate::hunt::coverage::gaps::gap_table;
use crate::hunt::coverage::profile::Depth;
use crate::hunt::coverage::profile::cannot_show_table;
use crate::hunt::coverage::profile::depth_table;
use crate::hunt::coverage::profile::depths;
use crate::hunt::coverage::profile::profile_table;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;

/// Resources of one row of the level table that are named; the rest is counted.
const RESOURCES_NAMED: usize = 12;

/// Returns tables of servers, levels, stages, gaps, clocks, and of what cannot be shown.
///
/// # Errors
/// As [`Evidence::search`].
pub fn coverage(evidence: &dyn Evidence) -> Result<Answer, SearchError> {
    let all = |fields: &[Field]| evidence.top(&QueryAst::All, TimeRange::ALL, fields, None, 1);
    let servers = all(&[Field::Cluster, Field::Node, Field::Log])?;
    let depths = depths(&all(&profile::FIELDS.map(|field| field()))?);
    let (gaps, mut notes) = gap_table(evidence, &servers)?;
    let (skew, skew_notes) = skew_table(evidence, &servers)?;
    notes.extend(skew_notes);
    Ok(Answer {
        name: "coverage".into(),
        sections: vec![
            server_table(&servers),
            level_table(&depths),
            profile_table(&depths),
            cannot_show_table(&depths),
            stage_table(&all(&[Field::path("stage")])?),
            gaps,
            skew,
            depth_table(&depths),
        ],
        notes,
        ..Answer::default()
    })
}

fn server_table(servers: &[FacetRow]) -> Section {
    let rows = servers
        .iter()
        .map(|row| {
            vec![
                Cell::from(value(row, 0)),
                Cell::from(value(row, 1)),
                Cell::from(value(row, 2)),
                number(row.count),
                Cell::from(row.first),
                Cell::from(row.last),
            ]
        })
        .collect();
    table("servers", &["cluster", "node", "log", "events", "first", "last"], rows)
}

/// Which verbs on which resources were recorded how deeply.
fn level_table(depths: &[Depth]) -> Section {
    let mut levels: BTreeMap<(&str, &str), (u64, BTreeSet<String>)> = BTreeMap::new();
    for depth in depths {
        let entry = levels.entry((&depth.level, &depth.verb)).or_default();
        entry.0 += depth.events;
        entry.1.extend(depth.resource.clone());
    }
    let rows = levels
        .into_iter()
        .map(|((level, verb), (count, resources))| {
            let more = resources.len().saturating_sub(RESOURCES_NAMED);
            let mut named: Vec<String> = resources.into_iter().take(RESOURCES_NAMED).collect();
            if more > 0 {
                named.push(format!("and {more} more"));
            }
            vec![Cell::from(level), Cell::from(verb), number(count), Cell::List(named)]
        })
        .collect();
    table("levels", &["level", "verb", "events", "resources"], rows)
}

fn stage_table(stages: &[FacetRow]) -> Section {
    let rows =
        stages.iter().map(|row| vec![Cell::from(value(row, 0)), number(row.count)]).collect();
    table("stages", &["stage", "events"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::scan::MemoryEvidence;

    fn event(minute: u32, resource: &str, verb: &str, level: &str) -> String {
        format!(
            r#"{{"kind":"Event","level":"{level}","stage":"ResponseComplete","verb":"{verb}","objectRef":{{"resource":"{resource}"}},"requestReceivedTimestamp":"2025-07-02T10:{minute:02}:07Z"}}"#
        )
    }

    fn section<'a>(answer: &'a Answer, title: &str) -> &'a Section {
        answer.sections.iter().find(|section| section.title == title).unwrap()
    }

    #[test]
    fn an_idle_hour_is_told_from_a_missing_one() {
        let mut log: Vec<String> = (0..60)
            .filter(|minute| !(20..30).contains(minute))
            .map(|minute| event(minute, "leases", "update", "Metadata"))
            .collect();
        log.push(event(45, "pods", "create", "Request"));
        let evidence = MemoryEvidence::from_lines("a", &log.join("\n"));
        let answer = coverage(&evidence).unwrap();
        let gaps = section(&answer, "gaps");
        assert_eq!(gaps.rows.len(), 1, "{gaps:?}");
        assert_eq!(gaps.rows[0].cells[3], Cell::Number(660));
        assert_eq!(section(&answer, "levels").rows.len(), 2);
        assert!(answer.notes.is_empty());
    }

    #[test]
    fn a_watch_that_ended_after_the_gap_fills_no_gap() {
        let mut log: Vec<String> =
            (30..60).map(|minute| event(minute, "leases", "update", "Metadata")).collect();
        log.push(
            event(5, "pods", "watch", "Metadata").replace(
                r#""stage":"#,
                r#""stageTimestamp":"2025-07-02T10:40:00.000000Z","stage":"#,
            ),
        );
        let evidence = MemoryEvidence::from_lines("a", &log.join("\n"));
        let answer = coverage(&evidence).unwrap();
        let gaps = section(&answer, "gaps");
        assert_eq!(gaps.rows.len(), 1, "{gaps:?}");
        assert_eq!(gaps.rows[0].cells[4..6], [Cell::Number(1), Cell::Number(1)]);
        let Cell::Text(what) = &gaps.rows[0].cells[7] else { panic!("{gaps:?}") };
        assert!(what.contains("still going on"), "{what}");
    }

    #[test]
    fn without_heartbeats_nothing_is_claimed() {
        let log = [event(0, "pods", "get", "Metadata"), event(50, "pods", "get", "Metadata")];
        let evidence = MemoryEvidence::from_lines("a", &log.join("\n"));
        let answer = coverage(&evidence).unwrap();
        assert!(section(&answer, "gaps").rows.is_empty());
        assert!(answer.notes[0].contains("cannot be told"), "{:?}", answer.notes);
    }
}
