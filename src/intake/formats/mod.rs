//! One file for each format.

pub(crate) mod bare;
pub(crate) mod event_list;
pub(crate) mod node_prefix;
