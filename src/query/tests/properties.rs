//! Properties over questions and events that nobody thought of.
