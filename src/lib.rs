//! audithound: a fast indexed search engine for Kubernetes and OpenShift audit-log archives.

pub mod cli;
pub mod event;
pub mod hunt;
pub mod index;
pub mod intake;
pub mod ledger;
pub mod query;
pub mod report;
pub mod search;
pub mod sigma;
pub mod source;
