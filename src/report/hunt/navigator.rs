//! A hunt's findings as a layer for the ATT&CK Navigator.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::Value;
use serde_json::json;

use crate::hunt::attack::ATTACK_VERSION;
use crate::hunt::attack::TACTICS;
use crate::hunt::finding::HuntReport;
use crate::report::error::ReportError;
use crate::report::hunt::HuntRenderer;
use crate::report::hunt::write_json;
use crate::report::renderer::View;

/// Techniques scored by the requests of their findings.
#[derive(Debug)]
pub struct Navigator;

impl HuntRenderer for Navigator {
    fn name(&self) -> &'static str {
        "navigator"
    }

    fn about(&self) -> &'static str {
        "an ATT&CK Navigator layer of the findings"
    }

    fn render(
        &self,
        report: &HuntReport,
        _view: &View<'_>,
        out: &mut dyn Write,
    ) -> Result<(), ReportError> {
        let mut found: BTreeMap<&str, (u64, Vec<String>)> = BTreeMap::new();
        for finding in &report.findings {
            for technique in &finding.card.techniques {
                let entry = found.entry(technique).or_default();
                entry.0 += finding.count;
                let card = &finding.card;
                entry.1.push(format!(
                    "{} ({}, by {}): {}",
                    card.rule, card.level, card.author, finding.count
                ));
            }
        }
        let highest = found.values().map(|(score, _)| *score).max().unwrap_or(1);
        let techniques: Vec<Value> = found
            .iter()
            .map(|(technique, (score, comments))| {
                json!({
                    "techniqueID": technique,
                    "score": score,
                    "enabled": true,
                    "comment": comments.join("\n"),
                    "showSubtechniques": technique.contains('.'),
                })
            })
            .collect();
        let mut tactics: Vec<&str> = report
            .findings
            .iter()
            .flat_map(|f| f.card.tactics.iter().map(String::as_str))
            .collect();
        tactics.sort_by_key(|t| TACTICS.iter().position(|(name, ..)| name == t));
        tactics.dedup();
        let layer = json!({
            "name": "audithound findings",
            "versions": { "attack": ATTACK_VERSION, "navigator": "5.1.0", "layer": "4.5" },
            "domain": "enterprise-attack",
            "description": format!(
                "{} findings in Kubernetes audit logs; MITRE ATT&CK v{ATTACK_VERSION} (Defense \
                 Evasion is Stealth and Defense Impairment). Tactics: {}",
                report.findings.len(),
                tactics.join(", ")
            ),
            "filters": { "platforms": ["Containers"] },
            "sorting": 3,
            "hideDisabled": false,
            "techniques": techniques,
            "gradient": { "colors": ["#ffe766", "#ff6666"], "minValue": 0, "maxValue": highest },
            "legendItems": [],
            "metadata": [],
        });
        write_json(&layer, out)
    }
}
