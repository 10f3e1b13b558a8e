//! From one clue to the whole story: who, from where, with which credential, and what came of it.
//!
//! A clue becomes leads (an address, a credential, a pod, a binding); each lead is followed by
//! narrow questions to the evidence and may open further leads; it ends where the evidence ends,
//! and says why.  The rules of attribution (shared addresses, own nodes, claimed addresses) are
//! applied where an address or a credential is judged: in [`crate::ledger`].

pub mod advice;
pub mod ask;
pub mod binding;
pub mod classify;
pub mod clue;
pub mod consequence;
pub mod follow;
pub mod hypothesis;
pub mod steps;
pub mod story;
pub mod trail;
