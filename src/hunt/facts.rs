//! What is known about the events that hunts matched: values of a few fields, each text kept once.

use hashbrown::HashMap;
use std::collections::BTreeMap;

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::DECISION;
use crate::event::field::Field;
use crate::search::codes::Codes;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;

/// A fact about an event that findings show or count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// auditID
    AuditId,
    /// stage
    Stage,
    /// verb
    Verb,
    /// user.username
    User,
    /// impersonatedUser.username
    As,
    /// sourceIPs
    Addresses,
    /// the last of sourceIPs
    Peer,
    /// userAgent
    Agent,
    /// objectRef.apiGroup
    Group,
    /// objectRef.resource
    Resource,
    /// objectRef.subresource
    Sub,
    /// namespace
    Namespace,
    /// name with its fallbacks
    Name,
    /// responseStatus.code
    Code,
    /// authorizer's decision
    Decision,
    /// credential id
    Credential,
    /// requestURI
    Uri,
}

const N_FACTS: usize = 17;

fn fact_fields() -> [Field; N_FACTS] {
    [
        Field::path("auditID"),
        Field::path("stage"),
        Field::path("verb"),
        Field::path("user.username"),
        Field::path("impersonatedUser.username"),
        Field::path("sourceIPs"),
        Field::Peer,
        Field::path("userAgent"),
        Field::path("objectRef.apiGroup"),
        Field::path("objectRef.resource"),
        Field::path("objectRef.subresource"),
        Field::Namespace,
        Field::Name,
        Field::path("responseStatus.code"),
        Field::path(DECISION),
        Field::path(CREDENTIAL_ID),
        Field::path("requestURI"),
    ]
}

/// Texts, each kept once.
#[derive(Debug, Default)]
pub struct Texts {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Texts {
    /// The number of a text; 0 is the empty one.
    pub fn number(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len() + 1).unwrap_or(u32::MAX);
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> &str {
        (number as usize)
            .checked_sub(1)
            .and_then(|at| self.texts.get(at))
            .map_or("", String::as_str)
    }
}

/// Values of one field; those of an event are kept by its number.
#[derive(Debug)]
struct Column {
    field: Field,
    /// For each event one more than the number of its first text; 0 where it was not asked about.
    first: Table,
    /// The further values of the events that have several.
    more: HashMap<EventId, Vec<u32>>,
}

/// One number per event, 0 where none was put.
///
/// The lower halves of the ids of one upper half are dense, and the upper halves are few (see
/// [`EventId`]), so that a list of lists is faster than a map, and smaller where many events have a
/// number; where few have, there is a map in place of the list.
#[derive(Debug, Default)]
pub struct Table {
    parts: Vec<Part>,
    far: HashMap<EventId, u32>,
}

/// The numbers of the events of one upper half.
#[derive(Debug)]
enum Part {
    /// And the largest place.
    Few(HashMap<u32, u32>, usize),
    /// Below 65,536.
    Shorts(Vec<u16>),
    All(Vec<u32>),
}

impl Default for Part {
    fn default() -> Part {
        Part::Few(HashMap::new(), 0)
    }
}

impl Part {
    fn get(&self, at: usize) -> u32 {
        let found = match self {
            Part::Few(few, _) => few.get(&(at as u32)).copied(),
            Part::Shorts(all) => all.get(at).copied().map(u32::from),
            Part::All(all) => all.get(at).copied(),
        };
        found.unwrap_or(0)
    }

    fn put(&mut self, at: usize, number: u32) {
        match self {
            Part::Few(few, last) => {
                few.insert(at as u32, number);
                *last = at.max(*last);
                // An entry of a map takes about eight times what a number takes in a list.
                if few.len() >= 64 && few.len() * 8 >= *last {
                    self.list();
                }
            }
            Part::Shorts(all) => match u16::try_from(number) {
                Ok(number) => set(all, at, number),
                Err(_) => {
                    let wide = all.iter().map(|number| u32::from(*number));
                    *self = Part::All(wide.collect());
                    self.put(at, number);
                }
            },
            Part::All(all) => set(all, at, number),
        }
    }

    /// Makes a list of the map.
    fn list(&mut self) {
        let Part::Few(few, last) = self else { return };
        let mut part = Part::Shorts(vec![0; *last + 1]);
        few.iter().for_each(|(at, number)| part.put(*at as usize, *number));
        *self = part;
    }
}

fn set<T: Copy + Default>(all: &mut Vec<T>, at: usize, number: T) {
    if all.len() <= at {
        all.reserve_exact(at + 1 - all.len() + all.len() / 8);
        all.resize(at + 1, T::default());
    }
    if let Some(slot) = all.get_mut(at) {
        *slot = number;
    }
}

/// Of so many events values are read at a time: what is made of them on the way is larger than what
/// is kept.
const AT_A_TIME: usize = 1 << 16;
/// Upper halves below this are places in a list.
const PARTS: usize = 1 << 20;
/// Lower halves below this are places in a list.
const PLACES: usize = 1 << 27;

fn place(id: EventId) -> Option<(usize, usize)> {
    let place = ((id.0 >> 32) as usize, id.0 as u32 as usize);
    (place.0 < PARTS && place.1 < PLACES).then_some(place)
}

impl Table {
    /// The number of an event.
    pub fn get(&self, id: EventId) -> u32 {
        match place(id) {
            Some((part, at)) => self.parts.get(part).map_or(0, |part| part.get(at)),
            None => self.far.get(&id).copied().unwrap_or(0),
        }
    }

    /// Sets the number of an event.
    pub fn put(&mut self, id: EventId, number: u32) {
        let Some((part, at)) = place(id) else {
            self.far.insert(id, number);
            return;
        };
        if self.parts.len() <= part {
            self.parts.resize_with(part + 1, Part::default);
        }
        if let Some(part) = self.parts.get_mut(part) {
            part.put(at, number);
        }
    }
}

/// What is known about the events that some hunt matched: of each only what was asked for.
#[derive(Debug)]
pub struct Facts {
    columns: Vec<Column>,
    texts: Texts,
}

impl Default for Facts {
    fn default() -> Facts {
        let mut facts = Facts { columns: Vec::new(), texts: Texts::default() };
        for field in fact_fields() {
            facts.slot(&field);
        }
        facts
    }
}

impl Facts {
    /// The place of a field; of a [`Fact`] it is its number.
    pub fn slot(&mut self, field: &Field) -> usize {
        if let Some(at) = self.columns.iter().position(|column| column.field == *field) {
            return at;
        }
        self.columns.push(Column {
            field: field.clone(),
            first: Table::default(),
            more: HashMap::new(),
        });
        self.columns.len() - 1
    }

    /// Reads all that findings show of events.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn load(&mut self, evidence: &dyn Evidence, ids: &[EventId]) -> Result<(), SearchError> {
        let all: Vec<usize> = (0..N_FACTS).collect();
        self.load_some(evidence, ids, &all)
    }

    /// Reads what is not known yet of some fields of events.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn load_some(
        &mut self,
        evidence: &dyn Evidence,
        ids: &[EventId],
        slots: &[usize],
    ) -> Result<(), SearchError> {
        let mut open: BTreeMap<Vec<EventId>, Vec<usize>> = BTreeMap::new();
        for slot in slots {
            let Some(column) = self.columns.get(*slot) else { continue };
            let mut missing: Vec<EventId> =
                ids.iter().copied().filter(|id| column.first.get(*id) == 0).collect();
            missing.sort_unstable();
            missing.dedup();
            if !missing.is_empty() {
                open.entry(missing).or_default().push(*slot);
            }
        }
        for (ids, slots) in open {
            let fields: Vec<Field> = slots
                .iter()
                .filter_map(|slot| self.columns.get(*slot))
                .map(|column| column.field.clone())
                .collect();
            for ids in ids.chunks(AT_A_TIME) {
                for (slot, codes) in slots.iter().zip(evidence.codes(ids, &fields)?) {
                    self.keep(*slot, ids, &codes);
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, slot: usize, ids: &[EventId], codes: &Codes) {
        let numbers: Vec<u32> = codes.texts().map(|text| self.texts.number(text)).collect();
        let number = |code: u32| {
            let at = (code as usize).checked_sub(1);
            at.and_then(|at| numbers.get(at)).copied().unwrap_or(0)
        };
        let Some(column) = self.columns.get_mut(slot) else { return };
        for (id, first) in ids.iter().zip(&codes.first) {
            column.first.put(*id, number(*first) + 1);
        }
        for (at, more) in &codes.more {
            if let Some(id) = ids.get(*at) {
                column.more.insert(*id, more.iter().map(|code| number(*code)).collect());
            }
        }
    }

    /// The first value of a fact, empty where the event has none.
    pub fn text(&self, id: EventId, fact: Fact) -> &str {
        self.texts.text(self.number(id, fact))
    }

    /// All values of a field that are not empty, as numbers of texts.
    pub fn numbers(&self, id: EventId, slot: usize) -> impl Iterator<Item = u32> + '_ {
        let column = self.columns.get(slot);
        let first = column.map_or(0, |column| column.first.get(id)).saturating_sub(1);
        let more = column.filter(|column| !column.more.is_empty());
        let more = more.and_then(|column| column.more.get(&id)).into_iter().flatten().copied();
        std::iter::once(first).chain(more).filter(|number| *number != 0)
    }

    /// The number of a text that is made of others.
    pub fn number_of(&mut self, text: &str) -> u32 {
        self.texts.number(text)
    }

    /// The texts behind the numbers.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The number of the first value of a fact.
    pub fn number(&self, id: EventId, fact: Fact) -> u32 {
        let column = self.columns.get(fact as usize);
        column.map_or(0, |column| column.first.get(id)).saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_few_and_of_many_events_are_kept() {
        for step in [1, 3, 7, 1000] {
            let ids: Vec<EventId> = (0..2)
                .flat_map(|part| (0..30_000_u64).rev().step_by(step).map(move |at| part << 32 | at))
                .chain([u64::MAX, 1 << 60])
                .map(EventId)
                .collect();
            let mut table = Table::default();
            for turn in [1, 2, 70_000] {
                (turn..).zip(&ids).for_each(|(number, id)| table.put(*id, number));
                for (number, id) in (turn..).zip(&ids) {
                    assert_eq!(table.get(*id), number);
                }
            }
            let unknown = EventId(ids[0].0 + 1);
            assert_eq!(table.get(unknown), 0);
        }
    }
}
