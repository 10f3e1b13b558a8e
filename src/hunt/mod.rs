//! Many questions at once become findings; one event becomes its neighbours.

pub mod answer;
pub mod error;
pub mod pack;
pub mod pivot;
pub mod pivot_registry;
pub mod pivots;
pub mod investigate;
pub mod state;
pub mod timeline;
