//! What many events together tell: who owned which address when, where each credential was used,
//! which stages are one request.
//!
//! Pure folds of rows into intervals and uses; this room asks [`Evidence`] by columns and knows no
//! index and no files.  Every key begins with the cluster (attribution.md, rule 5).

pub mod address;
pub mod credential;
pub mod judge;
pub mod learn;
pub mod network;
pub mod observe;
mod observe_others;
mod observed;
pub mod owner;
pub mod pod_networks;
pub mod question;
pub mod reason;
pub mod request;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod uri;
pub mod usage;

use crate::ledger::address::AddressLedger;
use crate::ledger::credential::CredentialLedger;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;

/// Everything derived from one body of evidence; built once, read by everybody.
#[derive(Clone, Debug, Default)]
pub struct Ledgers {
    /// Which address belonged to whom, from when to when.
    pub addresses: AddressLedger,
    /// Where each credential came from and was used.
    pub credentials: CredentialLedger,
}

impl Ledgers {
    /// Reads what the ledgers need and folds it.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn build(evidence: &dyn Evidence) -> Result<Ledgers, SearchError> {
        let uses = usage::gather(evidence)?;
        let mut observed = observe::gather(evidence)?;
        let mut addresses = AddressLedger::fold(&mut observed);
        addresses.learn_from_use(&uses);
        let mints = credential::mints(evidence)?;
        let credentials = CredentialLedger::fold(evidence, &addresses, &uses, mints)?;
        Ok(Ledgers { addresses, credentials })
    }
}

#[cfg(test)]
#[path = "attribution_tests.rs"]
mod tests;
