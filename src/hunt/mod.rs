//! Many questions at once become findings; one event becomes its neighbours.

pub mod allow_list;
pub mod answer;
pub mod attack;
pub mod batch;
pub mod confidence;
pub mod correlation;
pub mod coverage;
pub mod error;
pub mod facts;
pub mod finding;
pub mod hunts;
pub mod investigate;
pub mod pack;
pub mod pivot;
pub mod pivot_registry;
pub mod pivot_requests;
pub mod pivot_tally;
pub mod pivots;
pub mod pod_spec;
pub mod requests;
pub mod spec_paths;
pub mod state;
pub mod timeline;
