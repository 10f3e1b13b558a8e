//! Analyses that Sigma cannot say; one file and one row each.

use std::cell::OnceCell;

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::hunt::error::HuntError;
use crate::hunt::finding::Card;
use crate::hunt::finding::Group;
use crate::hunt::finding::HuntKind;
use crate::ledger::Ledgers;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::Hit;
use crate::search::evidence::SearchOptions;
use crate::sigma::rule::Level;
use crate::sigma::rule::NeededLevel;

pub mod audit_silence;
pub mod beacon;
pub mod credential_two_addresses;
pub mod csr_lineage;
pub mod first_seen;
pub mod machineconfig_static_pod;
pub mod new_image_privileged;
pub mod node_compromise_chain;
pub mod token_away_from_pod;
pub mod token_lineage;
pub mod ua_family_switch;
pub mod webhook_mutation;

/// Every analysis.
pub static HUNTS: &[&dyn Hunt] = &[
    &token_away_from_pod::TokenAwayFromPod,
    &credential_two_addresses::CredentialTwoAddresses,
    &ua_family_switch::UaFamilySwitch,
    &token_lineage::TokenLineage,
    &audit_silence::AuditSilence,
    &csr_lineage::CsrLineage,
    &webhook_mutation::WebhookMutation,
    &node_compromise_chain::NodeCompromiseChain,
    &machineconfig_static_pod::MachineconfigStaticPod,
    &new_image_privileged::NewImagePrivileged,
    &first_seen::FirstSeen,
    &beacon::Beacon,
];

/// What analyses are given; what is expensive is made once, by whoever asks first.
pub struct HuntContext<'e> {
    /// The evidence.
    pub evidence: &'e dyn Evidence,
    /// Only what happened here is reported; everything may be learned from.
    pub range: TimeRange,
    ledgers: OnceCell<Ledgers>,
}

impl std::fmt::Debug for HuntContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HuntContext").field("range", &self.range).finish_non_exhaustive()
    }
}

impl<'e> HuntContext<'e> {
    /// Nothing is read yet.
    pub fn new(evidence: &'e dyn Evidence, range: TimeRange) -> HuntContext<'e> {
        HuntContext { evidence, range, ledgers: OnceCell::new() }
    }

    /// The ledgers of all the evidence.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn ledgers(&self) -> Result<&Ledgers, SearchError> {
        if let Some(ledgers) = self.ledgers.get() {
            return Ok(ledgers);
        }
        let ledgers = Ledgers::build(self.evidence)?;
        Ok(self.ledgers.get_or_init(|| ledgers))
    }
}

/// What an analysis says.
#[derive(Debug, Default)]
pub struct HuntAnswer {
    /// Instances with the events that prove them.
    pub groups: Vec<(Group, Vec<Hit>)>,
    /// Why the evidence cannot answer, if it cannot.
    pub undecidable: Option<String>,
    /// Remarks on the evidence.
    pub notes: Vec<String>,
}

/// An analysis.
pub trait Hunt: Sync {
    /// As it introduces itself.
    fn card(&self) -> Card;

    /// Answers.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    fn run(&self, context: &HuntContext<'_>) -> Result<HuntAnswer, HuntError>;
}

/// `path` begins with `prefix`.
fn starts(path: &str, prefix: &str) -> QueryAst {
    let glob = Glob(vec![GlobPart::Text(prefix.to_owned()), GlobPart::AnyRun]);
    QueryAst::Field { field: Field::path(path), test: Test::Like { glob, cased: false } }
}

/// `path` equals one of `values`.
fn any_equals(path: &str, values: &[&str]) -> QueryAst {
    QueryAst::any_of(values.iter().map(|value| QueryAst::path_equals(path, value)).collect())
}

/// Every use of a credential in the range asked about.
fn uses(
    context: &HuntContext<'_>,
    credential: &crate::ledger::credential::Credential,
) -> Result<Vec<Hit>, SearchError> {
    let mut parts = vec![credential.question()];
    if !credential.cluster.is_empty() {
        parts.push(QueryAst::equals(Field::Cluster, &credential.cluster));
    }
    let options = SearchOptions { range: context.range, ..SearchOptions::default() };
    Ok(context.evidence.search(&QueryAst::all_of(parts), &options)?.hits)
}

/// What the analyses of this folder say about themselves.
struct Intro {
    rule: &'static str,
    id: &'static str,
    title: &'static str,
    level: Level,
    tags: &'static [&'static str],
    description: &'static str,
    falsepositives: &'static [&'static str],
}

impl Intro {
    fn card(&self) -> Card {
        let own = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        let tags = own(self.tags);
        let (tactics, techniques) = crate::hunt::attack::read_tags(&tags);
        Card {
            rule: self.rule.to_owned(),
            id: Some(self.id.to_owned()),
            title: self.title.to_owned(),
            level: self.level,
            techniques,
            tactics,
            tags,
            author: "audithound".to_owned(),
            status: "experimental".to_owned(),
            description: self.description.to_owned(),
            falsepositives: own(self.falsepositives),
            references: Vec::new(),
            license: None,
            needs: NeededLevel::Metadata,
            fallback: None,
            kind: HuntKind::Analysis,
            origin: "builtin".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn analyses_are_unique_and_described() {
        let cards: Vec<Card> = HUNTS.iter().map(|hunt| hunt.card()).collect();
        let names: BTreeSet<&str> = cards.iter().map(|card| card.rule.as_str()).collect();
        let ids: BTreeSet<&str> = cards.iter().filter_map(|card| card.id.as_deref()).collect();
        assert_eq!((names.len(), ids.len()), (HUNTS.len(), HUNTS.len()));
        assert!(cards.iter().all(|card| !card.description.is_empty() && !card.tags.is_empty()));
    }
}
