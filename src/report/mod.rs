//! Hits and answers become something a person or a tool reads.
//!
//! What comes in is free of layout ([`crate::hunt::answer::Answer`]); what goes out is text in one
//! of the formats of [`renderer_registry`], with everything an attacker wrote made harmless for the
//! place it goes to ([`sanitize`]).
//! This room refuses to know flags, terminals and files.

pub mod embed;
pub mod error;
pub mod hits;
pub mod hunt;
pub mod pretty;
pub mod reference;
pub mod renderer;
pub mod renderer_registry;
pub mod renderers;
pub mod sanitize;
pub mod story_registry;
pub mod table;
