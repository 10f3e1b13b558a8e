//! audithound: a fast indexed search engine for Kubernetes and OpenShift audit-log archives.

pub mod event;
pub mod hunt;
pub mod index;
pub mod intake;
pub mod query;
pub mod search;
pub mod source;
