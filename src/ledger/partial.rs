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
use crate::ledger::partial_bytes::PackedUse;
use crate::ledger::partial_bytes::Unpacked;
use crate::ledger::partial_bytes::earlier;
use crate::ledger::usage;
use crate::ledger::usage::Use;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::pack_evidence::DeriveByAsking;

/// Keeps with every pack what the ledgers need of it.
pub static DERIVE_LEDGERS: DeriveByAsking = DeriveByAsking(derive);

fn derive(evidence: &dyn Evidence) -> Result<Vec<u8>, SearchError> {
    let Partial { uses, observed, mints } = Partial::gather(evidence)?;
    Ok(partial_bytes::pack(&uses, &observed, &mints))
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
        let read: Vec<Unpacked> = parts
            .par_iter()
            .map(|part| {
                let kept = part.evidence.derived()?;
                if let Some(kept) = kept.and_then(|kept| partial_bytes::unpack(&kept, part.first)) {
                    return Ok(kept);
                }
                // Packs of before, or of another version of the ledgers.
                let bytes = derive(&*part.evidence)?;
                partial_bytes::unpack(&bytes, part.first).ok_or_else(|| {
                    SearchError::Damaged("what was derived cannot be read back".to_owned())
                })
            })
            .collect::<Result<_, SearchError>>()?;
        Ok(Partial::merge(read))
    }

    fn merge(parts: Vec<Unpacked>) -> Partial {
        let mut whole = Partial::default();
        let mut texts = Texts::default();
        let mut sums: HashMap<[u32; PackedUse::TEXTS], PackedUse> = HashMap::new();
        for part in parts {
            let mut numbers: Vec<Option<u32>> = vec![None; part.texts.len()];
            for row in part.uses {
                let mut key = [0; PackedUse::TEXTS];
                for (slot, local) in key.iter_mut().zip(row.texts) {
                    let Some(at) = (local as usize).checked_sub(1) else { continue };
                    let Some(text) = part.texts.get(at) else { continue };
                    let Some(known) = numbers.get_mut(at) else { continue };
                    *slot = *known.get_or_insert_with(|| texts.number(text));
                }
                let row = PackedUse { texts: key, ..row };
                sums.entry(key).and_modify(|sum| sum.add(&row)).or_insert(row);
            }
            whole.observed.pods.extend(part.observed.pods);
            whole.observed.nodes.extend(part.observed.nodes);
            whole.observed.balancers.extend(part.observed.balancers);
            whole.mints.extend(part.mints);
        }
        whole.uses = sums.into_values().map(|sum| sum.unpack(&texts.texts)).collect();
        whole.settle();
        whole
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

/// Texts of all parts, each numbered once.
#[derive(Default)]
struct Texts {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Texts {
    /// The number of a text; 0 stands for none.
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        self.texts.push(text.to_owned());
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        number
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
                last.first = earlier(last.first, one.first);
                last.last = last.last.max(one.last);
            }
            None => out.push(one),
        }
    }
    out
}
