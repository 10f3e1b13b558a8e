//! What the ledgers need of one part of the evidence: gathered when the part is indexed, kept with
//! it, and merged with that of the other parts in any order.
//!
//! What it holds does not depend on how the evidence was cut: the merge of all parts is what
//! gathering from the whole gives, which is the oracle of the tests.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::net::IpAddr;

use rayon::iter::IntoParallelRefIterator;
use rayon::iter::ParallelIterator;

use crate::ledger::credential;
use crate::ledger::credential::Mint;
use crate::ledger::network::Network;
use crate::ledger::observe;
use crate::ledger::observed::NODE_PROOFS;
use crate::ledger::observed::NodeEvent;
use crate::ledger::observed::Observed;
use crate::ledger::partial_bytes;
use crate::ledger::partial_bytes::Unpacked;
use crate::ledger::usage;
use crate::ledger::usage::Use;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::pack_evidence::DeriveByAsking;

/// Keeps with every pack what the ledgers need of it.
pub static DERIVE_LEDGERS: DeriveByAsking = DeriveByAsking(derive);

fn derive(evidence: &dyn Evidence) -> Result<Vec<u8>, SearchError> {
    let counts = evidence.counts(&usage::fields())?;
    let uses = if counts.is_some() { Vec::new() } else { combined(usage::gather(evidence)?) };
    let mut partial =
        Partial { uses, observed: observe::gather(evidence)?, mints: credential::mints(evidence)? };
    partial.settle();
    Ok(partial_bytes::pack(counts.as_deref(), &partial.uses, &partial.observed, &partial.mints))
}

/// What the ledgers are folded from.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// Every identity with every address and agent, counted.
    pub uses: Vec<Use>,
    /// What was said about pods, nodes and balancers.
    pub observed: Observed,
    /// Who minted what.
    pub mints: Vec<Mint>,
}

impl Partial {
    /// Gathers it by asking.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn gather(evidence: &dyn Evidence) -> Result<Partial, SearchError> {
        let mut partial = Partial {
            uses: combined(usage::gather(evidence)?),
            observed: observe::gather(evidence)?,
            mints: credential::mints(evidence)?,
        };
        partial.settle();
        Ok(partial)
    }

    /// Merges what was kept with the parts of the evidence; a part without is asked.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn of(evidence: &dyn Evidence) -> Result<Partial, SearchError> {
        let parts = evidence.parts();
        if parts.is_empty() {
            return Partial::gather(evidence);
        }
        let read: Vec<(u64, Unpacked)> = parts
            .par_iter()
            .map(|part| {
                let kept = part.evidence.derived()?;
                if let Some(kept) = kept.and_then(|kept| partial_bytes::unpack(&kept, part.first)) {
                    return Ok((part.first, kept));
                }
                // Packs of before, or of another version of the ledgers.
                let bytes = derive(&*part.evidence)?;
                let read = partial_bytes::unpack(&bytes, part.first);
                read.map(|read| (part.first, read)).ok_or_else(|| {
                    SearchError::Damaged("what was derived cannot be read back".to_owned())
                })
            })
            .collect::<Result<_, SearchError>>()?;
        Partial::merge(evidence, read)
    }

    fn merge(evidence: &dyn Evidence, parts: Vec<(u64, Unpacked)>) -> Result<Partial, SearchError> {
        let mut whole = Partial::default();
        let mut counts: Vec<(u64, Vec<u8>)> = Vec::new();
        for (first, part) in parts {
            counts.extend(part.counts.map(|kept| (first, kept)));
            whole.uses.extend(part.uses);
            whole.observed.pods.extend(part.observed.pods);
            whole.observed.nodes.extend(part.observed.nodes);
            whole.observed.balancers.extend(part.observed.balancers);
            whole.mints.extend(part.mints);
        }
        match evidence.merged_counts(&usage::fields(), &counts)? {
            Some(rows) => whole.uses.extend(rows.into_iter().map(usage::from_row)),
            None => whole.uses = usage::gather(evidence)?,
        }
        whole.uses = combined(whole.uses);
        whole.settle();
        Ok(whole)
    }

    /// Puts everything in the order it is folded in, which is that of time and event whatever the
    /// order of the parts, and leaves out what says nothing more.
    fn settle(&mut self) {
        sort_uses(&mut self.uses);
        let Observed { pods, nodes, balancers } = &mut self.observed;
        pods.sort_by_key(|pod| (pod.time, pod.event));
        nodes.sort_by_key(|node| (node.time, node.event));
        only_news(nodes);
        balancers.sort_by_key(|balancer| (balancer.time, balancer.event));
        self.mints.sort_by_key(|mint| (mint.time, mint.event));
    }
}

/// A node says the same all day: its first events prove it, later ones are kept for what is new.
fn only_news(nodes: &mut Vec<NodeEvent>) {
    type Known = (usize, BTreeSet<IpAddr>, BTreeSet<Network>);
    let mut known: HashMap<(String, String), Known> = HashMap::new();
    nodes.retain(|event| {
        let key = (event.cluster.clone(), event.node.clone());
        let (kept, addresses, subnets) = known.entry(key).or_default();
        let news = !event.addresses.is_subset(addresses) || !event.subnets.is_subset(subnets);
        let keep = news || *kept < NODE_PROOFS;
        if keep {
            *kept += 1;
            addresses.extend(event.addresses.iter().copied());
            subnets.extend(event.subnets.iter().copied());
        }
        keep
    });
}

type UseKey<'u> = (
    (&'u str, &'u Option<String>, &'u str, &'u Option<String>, &'u Option<String>),
    (&'u Option<String>, &'u Option<String>, &'u Option<String>, &'u Option<String>),
    &'u Option<String>,
);

fn key(one: &Use) -> UseKey<'_> {
    (
        (&one.cluster, &one.credential, &one.user, &one.uid, &one.pod),
        (&one.pod_uid, &one.node, &one.peer, &one.agent),
        &one.log,
    )
}

fn sort_uses(uses: &mut [Use]) {
    uses.sort_by(|a, b| b.events.cmp(&a.events).then_with(|| key(a).cmp(&key(b))));
}

/// Counts what has the same values once.
fn combined(mut uses: Vec<Use>) -> Vec<Use> {
    uses.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut out: Vec<Use> = Vec::with_capacity(uses.len());
    for one in uses {
        match out.last_mut().filter(|last| key(last) == key(&one)) {
            Some(last) => {
                last.events += one.events;
                last.first = last.first.into_iter().chain(one.first).min();
                last.last = last.last.max(one.last);
            }
            None => out.push(one),
        }
    }
    out
}
