//! The parts of an event that are stored apart, so that few shapes cover many events.
//!
//! An event is its root object with some values cut out: each value under one of these paths has
//! a skeleton table of its own.  The list is closed: whoever writes events must not be able to
//! make us keep a table per key of theirs.

/// One part: its number is its place in [`SECTIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionId(pub u8);

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct SectionRow {
    /// The part this one is cut out of.
    pub parent: Option<SectionId>,
    /// The key under which it stands there.
    pub key: &'static str,
    /// Joined path of the part; `None` for the root, whose paths start with their first key.
    pub path: Option<&'static str>,
}

/// The event's own object.
pub const ROOT: SectionId = SectionId(0);
/// The envelope's object; not cut out of the event but standing beside it.
pub const ENVELOPE: SectionId = SectionId(1);

const fn below(parent: SectionId, key: &'static str, path: &'static str) -> SectionRow {
    SectionRow { parent: Some(parent), key, path: Some(path) }
}

const REQUEST: SectionId = SectionId(8);
const RESPONSE: SectionId = SectionId(9);
const REQUEST_METADATA: SectionId = SectionId(10);
const RESPONSE_METADATA: SectionId = SectionId(13);

/// All parts.
pub const SECTIONS: &[SectionRow] = &[
    SectionRow { parent: None, key: "", path: None },
    SectionRow { parent: None, key: "", path: Some("envelope") },
    below(ROOT, "user", "user"),
    below(ROOT, "impersonatedUser", "impersonatedUser"),
    below(ROOT, "sourceIPs", "sourceIPs"),
    below(ROOT, "objectRef", "objectRef"),
    below(ROOT, "responseStatus", "responseStatus"),
    below(ROOT, "annotations", "annotations"),
    below(ROOT, "requestObject", "requestObject"),
    below(ROOT, "responseObject", "responseObject"),
    below(REQUEST, "metadata", "requestObject.metadata"),
    below(REQUEST, "spec", "requestObject.spec"),
    below(REQUEST, "status", "requestObject.status"),
    below(RESPONSE, "metadata", "responseObject.metadata"),
    below(RESPONSE, "spec", "responseObject.spec"),
    below(RESPONSE, "status", "responseObject.status"),
    below(REQUEST_METADATA, "annotations", "requestObject.metadata.annotations"),
    below(RESPONSE_METADATA, "annotations", "responseObject.metadata.annotations"),
];

/// How many parts there are.
pub const N_SECTIONS: usize = 18;

/// Returns the part that is cut out of `parent` under `key` (as written, without escapes).
pub fn child_section(parent: SectionId, key: &[u8]) -> Option<SectionId> {
    let id = match (parent.0, key) {
        (0, b"user") => 2,
        (0, b"impersonatedUser") => 3,
        (0, b"sourceIPs") => 4,
        (0, b"objectRef") => 5,
        (0, b"responseStatus") => 6,
        (0, b"annotations") => 7,
        (0, b"requestObject") => 8,
        (0, b"responseObject") => 9,
        (8, b"metadata") => 10,
        (8, b"spec") => 11,
        (8, b"status") => 12,
        (9, b"metadata") => 13,
        (9, b"spec") => 14,
        (9, b"status") => 15,
        (10, b"annotations") => 16,
        (13, b"annotations") => 17,
        _ => return None,
    };
    Some(SectionId(id))
}

/// Says whether parts are cut out of this one.
pub fn has_children(section: SectionId) -> bool {
    matches!(section.0, 0 | 8 | 9 | 10 | 13)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_lookup_agree() {
        assert_eq!(SECTIONS.len(), N_SECTIONS);
        for (number, row) in SECTIONS.iter().enumerate() {
            if let Some(parent) = row.parent {
                assert_eq!(
                    child_section(parent, row.key.as_bytes()),
                    Some(SectionId(number as u8))
                );
                assert!(has_children(parent));
                let base = SECTIONS[parent.0 as usize].path;
                let path = base.map_or(row.key.to_owned(), |base| format!("{base}.{}", row.key));
                assert_eq!(row.path, Some(path.as_str()));
            }
        }
    }
}
