//! How sure a finding or a step is: one scale for hunts and investigations.

/// How sure it is that something means what its title says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Another reading fits as well, often a harmless one; look at the context.
    Low,
    /// Probable: one event says so, or something is inferred.
    Medium,
    /// The log says so itself, or several facts agree.
    High,
}

impl Confidence {
    /// The word in every output.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }
}
