//! Values of one field of many events, the texts apart: what is counted and grouped by needs no
//! text per event, and a text that nobody looks at is never made.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::event::json::decode;
use crate::event::time::Timestamp;
use crate::index::pack::column::Dict;

/// Values of one field, for each event asked about.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    /// Dictionaries that texts stand in.
    dicts: Vec<Arc<Dict>>,
    /// Where the text of each number stands; equal ones may stand twice.
    texts: Vec<Place>,
    /// Texts that stand in no dictionary.
    own: Vec<String>,
    /// Texts that were made of what stands in a dictionary.
    made: Made,
    /// For each event 0 where it has no value, else the number of its first.
    pub first: Vec<u32>,
    /// The further values of the events that have several, by the place of the event.
    pub more: BTreeMap<usize, Vec<u32>>,
}

/// Where a text stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Which dictionary, or [`OWN`].
    dict: u32,
    /// Which of its values.
    id: u32,
}

const OWN: u32 = u32::MAX;

/// Made when the first is asked for: most columns are only counted by.
#[derive(Debug, Default)]
struct Made(OnceLock<Box<[OnceLock<Box<str>>]>>);

impl Clone for Made {
    /// Whoever copies may make them again.
    fn clone(&self) -> Made {
        Made::default()
    }
}

impl Codes {
    /// No values for so many events.
    pub fn none(n: usize) -> Codes {
        Codes { first: vec![0; n], ..Codes::default() }
    }

    /// Keeps the texts of lists of values apart.
    pub fn of_lists(lists: Vec<Vec<String>>) -> Codes {
        let mut codes = Codes::none(lists.len());
        let mut numbers: HashMap<String, u32> = HashMap::new();
        for (at, list) in lists.into_iter().enumerate() {
            for text in list {
                let number = match numbers.get(&text) {
                    Some(number) => *number,
                    None => {
                        let number = codes.number(text.clone());
                        numbers.insert(text, number);
                        number
                    }
                };
                codes.push(at, number);
            }
        }
        codes
    }

    /// How many texts there are; they are numbered from 1.
    pub fn n_texts(&self) -> usize {
        self.texts.len()
    }

    /// The texts in the order of their numbers.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        (1..=self.texts.len() as u32).map(|number| self.text(number))
    }

    /// Adds a text and returns its number, which is never 0.
    pub fn number(&mut self, text: String) -> u32 {
        self.own.push(text);
        self.place(Place { dict: OWN, id: self.own.len() as u32 - 1 })
    }

    /// Adds a dictionary; [`Self::number_in`] takes what is returned.
    pub fn dict(&mut self, dict: Arc<Dict>) -> u32 {
        self.dicts.push(dict);
        self.dicts.len() as u32 - 1
    }

    /// Adds a value of a dictionary and returns its number.
    pub fn number_in(&mut self, dict: u32, id: u32) -> u32 {
        self.place(Place { dict, id })
    }

    fn place(&mut self, place: Place) -> u32 {
        self.made = Made::default();
        self.texts.push(place);
        u32::try_from(self.texts.len()).unwrap_or(u32::MAX)
    }

    fn place_of(&self, number: u32) -> Option<Place> {
        self.texts.get((number as usize).checked_sub(1)?).copied()
    }

    /// Returns the text of a number.
    pub fn text(&self, number: u32) -> &str {
        let Some(place) = self.place_of(number) else { return "" };
        if place.dict == OWN {
            return self.own.get(place.id as usize).map_or("", String::as_str);
        }
        let Some(dict) = self.dicts.get(place.dict as usize) else { return "" };
        if let Some(text) = plain(dict, place.id) {
            return text;
        }
        let made = self.made.0.get_or_init(|| self.texts.iter().map(|_| OnceLock::new()).collect());
        let Some(slot) = made.get(number as usize - 1) else { return "" };
        slot.get_or_init(|| value_text(dict, place.id).into())
    }

    /// Returns the time that the text of a number is, without making the text where it stands as
    /// a time.
    pub fn time(&self, number: u32) -> Option<Timestamp> {
        let place = self.place_of(number)?;
        match self.dicts.get(place.dict as usize).map(|dict| &**dict) {
            Some(Dict::Time(values)) => values.get(place.id as usize).copied().map(Timestamp),
            _ => Timestamp::parse(self.text(number)),
        }
    }

    /// Gives every text a class: equal texts, and only they, are in the same one.
    pub fn classes(&self) -> Classes {
        let mut classes = Classes { of: Vec::with_capacity(self.texts.len() + 1), first: vec![0] };
        classes.of.push(0);
        let mut table: HashTable<(u64, u32)> = HashTable::with_capacity(self.texts.len());
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for number in 1..=self.texts.len() as u32 {
            self.bytes(number, &mut own);
            let hash = xxh3_64(&own);
            let same = |(known, class): &(u64, u32)| {
                *known == hash && {
                    let first = classes.first.get(*class as usize).copied().unwrap_or_default();
                    self.bytes(first, &mut other);
                    own == other
                }
            };
            let class = match table.find(hash, same) {
                Some((_, class)) => *class,
                None => {
                    let class = classes.first.len() as u32;
                    classes.first.push(number);
                    table.insert_unique(hash, (hash, class), |(hash, _)| *hash);
                    class
                }
            };
            classes.of.push(class);
        }
        classes
    }

    /// Puts the bytes of a text into `out`.
    fn bytes(&self, number: u32, out: &mut Vec<u8>) {
        out.clear();
        let place = self.place_of(number);
        let dict = place.and_then(|place| self.dicts.get(place.dict as usize));
        match (place, dict) {
            // An identifier has nothing that is written otherwise than it is.
            (Some(place), Some(dict)) if matches!(**dict, Dict::Uuid { .. }) => {
                let value = dict.get(place.id);
                match memchr::memchr(b'\\', &value) {
                    None if value.is_ascii() => out.extend_from_slice(&value),
                    _ => out.extend_from_slice(value_text(dict, place.id).as_bytes()),
                }
            }
            _ => out.extend_from_slice(self.text(number).as_bytes()),
        }
    }

    /// Gives the event at a place one more value.
    pub fn push(&mut self, at: usize, number: u32) {
        match self.first.get_mut(at) {
            Some(slot) if *slot == 0 => *slot = number,
            Some(_) => self.more.entry(at).or_default().push(number),
            None => {}
        }
    }

    /// Returns the values of the event at a place.
    pub fn of(&self, at: usize) -> impl Iterator<Item = u32> + '_ {
        let first = self.first.get(at).copied().filter(|number| *number != 0);
        let more = if self.more.is_empty() { None } else { self.more.get(&at) };
        first.into_iter().chain(more.into_iter().flatten().copied())
    }

    /// Puts other values in place of those of an event.
    pub fn replace(&mut self, at: usize, values: Vec<String>) {
        self.more.remove(&at);
        if let Some(slot) = self.first.get_mut(at) {
            *slot = 0;
        }
        for text in values {
            let number = self.number(text);
            self.push(at, number);
        }
    }

    /// Takes over all texts of another; what is returned is added to its numbers.
    fn take_texts(&mut self, other: &Codes) -> u32 {
        let offset = self.texts.len() as u32;
        let (dicts, own) = (self.dicts.len() as u32, self.own.len() as u32);
        self.made = Made::default();
        self.dicts.extend(other.dicts.iter().cloned());
        self.own.extend(other.own.iter().cloned());
        self.texts.extend(other.texts.iter().map(|place| match place.dict {
            OWN => Place { dict: OWN, id: place.id + own },
            dict => Place { dict: dict + dicts, id: place.id },
        }));
        offset
    }

    /// Takes over the values that `other` has for the events at which `wanted` says so.
    pub fn absorb(&mut self, other: Codes, wanted: impl Fn(&Codes, usize) -> bool) {
        let offset = self.take_texts(&other);
        for (at, first) in other.first.iter().enumerate() {
            if *first != 0 && wanted(self, at) {
                self.push(at, first + offset);
                for number in other.more.get(&at).into_iter().flatten() {
                    self.push(at, number + offset);
                }
            }
        }
    }

    /// Takes over the values of a part of the events, which stand at these places of the whole.
    pub fn scatter(&mut self, part: &Codes, places: impl Iterator<Item = usize>) {
        let offset = self.take_texts(part);
        for (at, (place, first)) in places.zip(&part.first).enumerate() {
            if *first == 0 {
                continue;
            }
            self.push(place, first + offset);
            if !part.more.is_empty() {
                for number in part.more.get(&at).into_iter().flatten() {
                    self.push(place, number + offset);
                }
            }
        }
    }

    /// Leaves of every event only the last value.
    pub fn keep_last(&mut self) {
        for (at, more) in std::mem::take(&mut self.more) {
            if let (Some(slot), Some(last)) = (self.first.get_mut(at), more.last()) {
                *slot = *last;
            }
        }
    }

    /// Returns one list of texts per event.
    pub fn into_lists(self) -> Vec<Vec<String>> {
        let text = |number| match self.place_of(number) {
            Some(place) if place.dict != OWN => {
                let dict = self.dicts.get(place.dict as usize);
                dict.map(|dict| value_text(dict, place.id)).unwrap_or_default()
            }
            _ => self.text(number).to_owned(),
        };
        (0..self.first.len()).map(|at| self.of(at).map(text).collect()).collect()
    }
}

/// Which texts are equal.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    /// The class of each number; that of 0 is 0.
    of: Vec<u32>,
    /// The first number of each class.
    first: Vec<u32>,
}

impl Classes {
    /// The class of a number; 0 is that of no value.
    pub fn of(&self, number: u32) -> u32 {
        self.of.get(number as usize).copied().unwrap_or_default()
    }

    /// A number of a class.
    pub fn number(&self, class: u32) -> u32 {
        self.first.get(class as usize).copied().unwrap_or_default()
    }

    /// One more than the largest class.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Says whether there is not even the class of no value.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// A value of a dictionary that is the text it stands for.
fn plain(dict: &Dict, id: u32) -> Option<&str> {
    match dict {
        Dict::Text { text, ends } => {
            let at = id as usize;
            let start = if at == 0 { 0 } else { ends.get(at - 1).copied()? };
            let value = text.get(start as usize..ends.get(at).copied()? as usize)?;
            let escaped = memchr::memchr(b'\\', value).is_some();
            if escaped { None } else { std::str::from_utf8(value).ok() }
        }
        _ => None,
    }
}

/// Returns a value of a dictionary with its escapes decoded.
pub fn value_text(dict: &Dict, id: u32) -> String {
    let value = dict.get(id);
    decode(&value, memchr::memchr(b'\\', &value).is_some()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn lists_come_back() {
        let lists = vec![own(&["a", "b"]), own(&[]), own(&["b"]), own(&["", "a", "a"])];
        let codes = Codes::of_lists(lists.clone());
        assert_eq!(codes.n_texts(), 3);
        assert_eq!(codes.clone().into_lists(), lists);
        let mut both = Codes::none(4);
        both.replace(2, own(&["c"]));
        both.absorb(codes, |so_far, at| so_far.first[at] == 0);
        both.keep_last();
        let last = [own(&["b"]), own(&[]), own(&["c"]), own(&["a"])];
        assert_eq!(both.into_lists(), last);
    }

    /// Whatever a text is kept as, it is the same text.
    #[test]
    fn texts_of_dictionaries_are_texts() {
        let escaped = br"a\u0062cx".to_vec();
        let text = Dict::Text { ends: vec![8, 9], text: escaped };
        let uuid = Dict::Uuid { prefix: b"JTI=".to_vec(), ids: vec![[0x1f; 16]] };
        let id = "JTI=1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f";
        let mut part = Codes::none(4);
        for dict in [text, uuid, Dict::Int(vec![-7]), Dict::Time(vec![1_500_000])] {
            let dict = part.dict(Arc::new(dict));
            let number = part.number_in(dict, 0);
            part.push(dict as usize, number);
        }
        let more = part.number_in(0, 1);
        part.push(0, more);
        let time = "1970-01-01T00:00:01.500000Z";
        assert_eq!(part.texts().collect::<Vec<_>>(), ["abc", id, "-7", time, "x"]);
        assert_eq!(part.time(4), Some(Timestamp(1_500_000)));
        assert_eq!(part.time(3), None);
        let mut whole = Codes::of_lists(vec![own(&[id, "abc", "x"]), own(&[]), own(&[])]);
        whole.first.resize(7, 0);
        whole.scatter(&part, 3..7);
        assert_eq!(whole.of(3).map(|n| whole.text(n)).collect::<Vec<_>>(), ["abc", "x"]);
        let classes = whole.classes();
        let of = |at: usize| whole.of(at).map(|n| classes.of(n)).collect::<Vec<_>>();
        assert_eq!((of(0), of(1)), (vec![1, 2, 3], vec![]));
        assert_eq!((of(3), of(4), of(5), of(6)), (vec![2, 3], vec![1], vec![4], vec![5]));
        assert_eq!(classes.len(), 6);
        assert_eq!(whole.text(classes.number(2)), "abc");
        assert_eq!(whole.into_lists()[6], [time]);
    }
}
