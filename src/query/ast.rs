//! The one form every question takes, whoever asked it: typed text, a Sigma rule, a pivot, a hunt.

use std::net::IpAddr;
use std::sync::Arc;

use crate::event::field::Field;

/// A question about one event: true or false.
///
/// A value type: comparable and printable; `parse(print(ast)) == ast` for whatever the language
/// can say (the `cased` and [`Test::SameAs`] forms come from Sigma rules alone).
#[derive(Clone, Debug, PartialEq)]
pub enum QueryAst {
    /// Every event.
    All,
    /// All of these hold; never empty.
    And(Vec<QueryAst>),
    /// At least one of these holds; never empty.
    Or(Vec<QueryAst>),
    /// The complement of the whole condition.
    Not(Box<QueryAst>),
    /// Some value of the field passes the test (arrays: any element).
    Field {
        /// Which values.
        field: Field,
        /// What is asked of each.
        test: Test,
    },
    /// All of `inner` holds within one element of the array, or the object, at `path`.
    /// Paths inside are relative to that element; the empty path is the element itself.
    Within {
        /// Joined keys of the array or object.
        path: String,
        /// Holds only `And`, `Or`, `Not`, `Field` with [`Field::Path`], and `Within`.
        inner: Box<QueryAst>,
    },
    /// These words stand next to each other inside one key or one value of the event.
    /// One entry is a bare word.  Words are folded ([`crate::event::words::fold`]).
    Words(Vec<WordPattern>),
}

/// One word of a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordPattern {
    /// Exactly this folded word.
    Is(String),
    /// A folded pattern with wildcards inside the word.
    Like(Glob),
}

/// A pattern with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(pub Vec<GlobPart>);

/// A piece of a [`Glob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GlobPart {
    /// This text.
    Text(String),
    /// `*`: any run of characters, also none.
    AnyRun,
    /// `?`: exactly one character.
    AnyOne,
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// Present and not null; `{}` and `[]` count as present, and so does anything inside.
    Present,
    /// The whole value is this text.
    Equals {
        /// As typed (not folded).
        text: String,
        /// Whether case counts.
        cased: bool,
    },
    /// The whole value fits this pattern.
    Like {
        /// As typed (not folded).
        glob: Glob,
        /// Whether case counts.
        cased: bool,
    },
    /// The pattern is found somewhere in the value; case counts unless the pattern says `(?i)`.
    Matches(String),
    /// The value lies between the bounds.
    Range {
        /// Lower bound.
        low: Bound,
        /// Upper bound.
        high: Bound,
    },
    /// The value is an address inside the network (address fields only).
    Network {
        /// Network address; v4-mapped v6 is stored as v4.
        address: IpAddr,
        /// Length of the prefix in bits.
        prefix: u8,
    },
    /// The value is one of these.
    OneOf(Arc<ValueSet>),
    /// The value equals some value of another field of the same event (Sigma `fieldref`).
    SameAs(Field),
    /// The value relates to some value of another field of the same event (Sigma `fieldref` with
    /// `startswith`, `contains`, `endswith` or `cased`).
    Holds {
        /// The other field.
        other: Field,
        /// Where in the value the other's value must stand.
        part: Part,
        /// Whether case counts.
        cased: bool,
    },
}

impl Test {
    /// Returns the field that the value is compared with, where it is no fixed text.
    pub fn other_field(&self) -> Option<&Field> {
        match self {
            Test::SameAs(other) | Test::Holds { other, .. } => Some(other),
            _ => None,
        }
    }
}

/// Which part of a value another text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Its start.
    Start,
    /// Any part of it.
    Middle,
    /// Its end.
    End,
}

impl Part {
    /// Says whether `inner` is this part of `text`.
    pub fn is(self, inner: &str, text: &str) -> bool {
        match self {
            Part::Whole => text == inner,
            Part::Start => text.starts_with(inner),
            Part::Middle => text.contains(inner),
            Part::End => text.ends_with(inner),
        }
    }
}

/// One side of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `*`.
    Open,
    /// The bound belongs to the range.
    Included(String),
    /// The bound does not belong to the range.
    Excluded(String),
}

/// The values of a file (`field:@FILE`), read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueSet {
    /// Where they came from, as typed.
    pub file: String,
    /// Texts, folded, sorted, unique.
    pub texts: Vec<String>,
    /// Networks and addresses (as whole-length networks), for address fields; sorted, unique.
    pub networks: Vec<(IpAddr, u8)>,
}

impl QueryAst {
    /// `field` equals `text`, without case.
    pub fn equals(field: Field, text: &str) -> QueryAst {
        QueryAst::Field { field, test: Test::Equals { text: text.to_owned(), cased: false } }
    }

    /// The joined path equals `text`, without case.
    pub fn path_equals(path: &str, text: &str) -> QueryAst {
        QueryAst::equals(Field::path(path), text)
    }

    /// `field` has a value.
    pub fn present(field: Field) -> QueryAst {
        QueryAst::Field { field, test: Test::Present }
    }

    /// All of `parts`; [`QueryAst::All`] for none, the part itself for one.
    pub fn all_of(parts: Vec<QueryAst>) -> QueryAst {
        let mut parts: Vec<QueryAst> = parts.into_iter().filter(|p| *p != QueryAst::All).collect();
        match parts.len() {
            0 => QueryAst::All,
            1 => parts.swap_remove(0),
            _ => QueryAst::And(parts),
        }
    }

    /// Any of `parts`; nothing at all for none, the part itself for one.
    pub fn any_of(mut parts: Vec<QueryAst>) -> QueryAst {
        match parts.len() {
            0 => QueryAst::Not(Box::new(QueryAst::All)),
            1 => parts.swap_remove(0),
            _ => QueryAst::Or(parts),
        }
    }

    /// The complement.
    #[must_use]
    pub fn negated(self) -> QueryAst {
        match self {
            QueryAst::Not(inner) => *inner,
            other => QueryAst::Not(Box::new(other)),
        }
    }
}
