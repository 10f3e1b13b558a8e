//! Values of one field of many events, the texts apart: what is counted and grouped by needs no
//! text per event.

use std::collections::BTreeMap;
use std::collections::HashMap;

/// Values of one field, for each event asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes {
    /// The texts; equal ones may stand twice.
    pub texts: Vec<String>,
    /// For each event 0 where it has no value, else one more than the place of its first in
    /// `texts`.
    pub first: Vec<u32>,
    /// The further values of the events that have several, by the place of the event.
    pub more: BTreeMap<usize, Vec<u32>>,
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

    /// Adds a text and returns its number, which is never 0.
    pub fn number(&mut self, text: String) -> u32 {
        self.texts.push(text);
        u32::try_from(self.texts.len()).unwrap_or(u32::MAX)
    }

    /// Returns the text of a number.
    pub fn text(&self, number: u32) -> &str {
        let at = (number as usize).checked_sub(1);
        at.and_then(|at| self.texts.get(at)).map(String::as_str).unwrap_or_default()
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
        first.into_iter().chain(self.more.get(&at).into_iter().flatten().copied())
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

    /// Takes over the values that `other` has for the events at which `wanted` says so.
    pub fn absorb(&mut self, other: Codes, wanted: impl Fn(&Codes, usize) -> bool) {
        let offset = self.texts.len() as u32;
        self.texts.extend(other.texts);
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
    pub fn scatter(&mut self, part: Codes, places: impl Iterator<Item = usize>) {
        let offset = self.texts.len() as u32;
        self.texts.extend(part.texts);
        for (at, (place, first)) in places.zip(&part.first).enumerate() {
            if *first != 0 {
                self.push(place, first + offset);
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
        let text = |number| self.text(number).to_owned();
        (0..self.first.len()).map(|at| self.of(at).map(text).collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back() {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let lists = vec![own(&["a", "b"]), own(&[]), own(&["b"]), own(&["", "a", "a"])];
        let codes = Codes::of_lists(lists.clone());
        assert_eq!(codes.texts.len(), 3);
        assert_eq!(codes.clone().into_lists(), lists);
        let mut both = Codes::none(4);
        both.replace(2, own(&["c"]));
        both.absorb(codes, |so_far, at| so_far.first[at] == 0);
        both.keep_last();
        let last = [own(&["b"]), own(&[]), own(&["c"]), own(&["a"])];
        assert_eq!(both.into_lists(), last);
    }
}
