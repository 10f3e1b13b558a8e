//! What many events together tell: who owned which address when, where each credential was used,
//! which stages are one request.
//!
//! Pure folds of rows into intervals and uses; this room asks [`Evidence`] by columns and knows no
//! index and no files.  Every key begins with the cluster (attribution.md, rule 5).

pub mod address;
pub mod credential;
pub mod grouping;
pub mod judge;
pub mod learn;
pub mod network;
pub mod observe;
mod observe_others;
mod observed;
pub mod owner;
pub mod partial;
mod partial_bytes;
pub mod pod_networks;
pub mod question;
pub mod reason;
pub mod request;
mod request_columns;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod uri;
pub mod usage;

use crate::ledger::address::AddressLedger;
use crate::ledger::credential::CredentialLedger;
use crate::ledger::partial::Partial;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;

/// Everything derived from one body of evidence; built once, read by everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledgers {
    /// Which address belonged to whom, from when to when.
    pub addresses: AddressLedger,
    /// Where each credential came from and was used.
    pub credentials: CredentialLedger,
}

impl Ledgers {
    /// Folds what was kept of every part of the evidence when it was indexed; what was not kept is
    /// asked for.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn build(evidence: &dyn Evidence) -> Result<Ledgers, SearchError> {
        Ledgers::fold(evidence, Partial::of(evidence)?)
    }

    /// The same from the events themselves: slow, and what [`Self::build`] must agree with.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn scan(evidence: &dyn Evidence) -> Result<Ledgers, SearchError> {
        Ledgers::fold(evidence, Partial::gather(evidence)?)
    }

    fn fold(evidence: &dyn Evidence, partial: Partial) -> Result<Ledgers, SearchError> {
        let mut addresses = AddressLedger::fold(&partial.observed);
        addresses.learn_from_use(&partial.uses);
        let credentials =
            CredentialLedger::fold(evidence, &addresses, &partial.uses, partial.mints)?;
        Ok(Ledgers { addresses, credentials })
    }
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
