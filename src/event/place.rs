//! Where an event stands: enough to find its bytes again in the evidence.

/// A source by its number in one index or one scan; the manifest holds its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

/// The place of one record in its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file, or the member of an archive.
    pub source: SourceId,
    /// Offset of the enclosing record, 0-based, in the decompressed bytes of the source.
    pub offset: u64,
    /// Number of the line the record starts on, 1-based.
    pub line: u64,
    /// Which event of the record, 0 where a record holds one.
    pub item: u32,
}

/// What is known about where an event came from, beside its own text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The node whose API server wrote it.
    pub node: Option<String>,
    /// The cluster; every derived fact is kept per cluster.
    pub cluster: Option<String>,
    /// `kube-apiserver`, `openshift-apiserver`, `oauth-apiserver`, `oauth-server`, `ovn`, `auditd`.
    pub log: Option<String>,
}

/// What is odd about a record; each is a value of the pseudo field `flag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Flag {
    /// Two equal keys in one object.
    DuplicateKey,
    /// Strict JSON parsers refuse the text; the tolerant one read it.
    Lenient,
    /// The text was cut by whoever forwarded it; what could be recovered is there.
    Truncated,
    /// The time is the envelope's: the event itself names none.
    EnvelopeTime,
    /// The same auditID, stage and server with other content was seen as well.
    AuditIdConflict,
}

impl Flag {
    /// All flags, in the order of their names' declaration.
    pub const ALL: [Flag; 5] = [
        Flag::DuplicateKey,
        Flag::Lenient,
        Flag::Truncated,
        Flag::EnvelopeTime,
        Flag::AuditIdConflict,
    ];

    /// The value of `flag:` that finds it.
    pub fn name(self) -> &'static str {
        match self {
            Flag::DuplicateKey => "duplicate-key",
            Flag::Lenient => "lenient",
            Flag::Truncated => "truncated",
            Flag::EnvelopeTime => "envelope-time",
            Flag::AuditIdConflict => "audit-id-conflict",
        }
    }
}
