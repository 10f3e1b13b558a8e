//! Many questions at once become findings; one event becomes its neighbours.

pub mod answer;
pub mod pack;
pub mod state;
pub mod timeline;
