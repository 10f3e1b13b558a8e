//! The places of the events of a pack, kept as differences to the smallest.

use crate::event::place::Place;
use crate::event::place::SourceId;
use crate::index::pack::layout::places::read_columns;
use crate::index::pack::numbers::Numbers;
use crate::index::pack::numbers::packed;
use crate::index::pack::wire::Short;

/// Where every event of a pack stands.
///
/// Most packs are made of one run of lines of one source: six bytes an event instead of 32.
#[derive(Debug, Default)]
pub struct Places {
    sources: Column,
    offsets: Column,
    lines: Column,
    items: Column,
}

#[derive(Debug)]
enum Column {
    /// What is added to each number.
    Near(u64, Numbers),
    /// Too far apart for that.
    Far(Vec<u64>),
}

impl Default for Column {
    fn default() -> Column {
        Column::Far(Vec::new())
    }
}

impl Column {
    fn of(all: Vec<u64>) -> Column {
        let (Some(least), Some(most)) = (all.iter().min(), all.iter().max()) else {
            return Column::default();
        };
        let least = *least;
        match u32::try_from(most - least) {
            Ok(0) => Column::Near(least, Numbers::Zeros(all.len())),
            Ok(most) if all.iter().zip(least..).all(|(here, at)| *here == at) => {
                Column::Near(least, Numbers::Rising(most as usize + 1))
            }
            Ok(most) => {
                let numbers = all.iter().map(|value| (value - least) as u32);
                Column::Near(least, packed(numbers, most))
            }
            Err(_) => Column::Far(all),
        }
    }

    fn get(&self, at: usize) -> Option<u64> {
        match self {
            Column::Near(least, numbers) => numbers.get(at).map(|number| least + u64::from(number)),
            Column::Far(all) => all.get(at).copied(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Column::Near(_, numbers) => numbers.memory(),
            Column::Far(all) => all.len() * 8,
        }
    }
}

impl Places {
    /// Reads `n` places from the bytes of their frame.
    ///
    /// # Errors
    /// When the bytes are not what `places::write` wrote.
    pub fn read(bytes: &[u8], n: usize) -> Result<Places, Short> {
        let [sources, offsets, lines, items] = read_columns(bytes, n)?.map(Column::of);
        Ok(Places { sources, offsets, lines, items })
    }

    /// Returns the place of an event.
    pub fn get(&self, event: usize) -> Option<Place> {
        Some(Place {
            source: SourceId(self.sources.get(event)? as u32),
            offset: self.offsets.get(event)?,
            line: self.lines.get(event)?,
            item: self.items.get(event)? as u32,
        })
    }

    /// Returns all places in the order of the events.
    pub fn iter(&self) -> impl Iterator<Item = Place> + '_ {
        (0..).map_while(|event| self.get(event))
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        match &self.sources {
            Column::Near(_, numbers) => numbers.len(),
            Column::Far(all) => all.len(),
        }
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes they take in memory, about.
    pub fn memory(&self) -> usize {
        [&self.sources, &self.offsets, &self.lines, &self.items].map(Column::memory).iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::pack::layout::places;

    #[test]
    fn near_and_far_places_come_back() {
        let place =
            |source, offset, line, item| Place { source: SourceId(source), offset, line, item };
        let lists = [
            vec![],
            vec![place(3, 100, 7, 0), place(3, 350, 8, 0), place(3, 400, 9, 0)],
            vec![place(3, 70_000, 7, 0), place(3, 0, 9, 1), place(4, 400, 8, 2)],
            vec![place(0, 1 << 40, 1, 0), place(u32::MAX, u64::MAX, u64::MAX, u32::MAX)],
        ];
        for list in lists {
            let mut bytes = Vec::new();
            places::write(&list, &mut bytes);
            let read = Places::read(&bytes, list.len()).unwrap();
            assert_eq!(read.iter().collect::<Vec<_>>(), list);
            assert_eq!(read.get(list.len()), None);
            assert!(Places::read(&bytes, list.len() + 1).is_err());
        }
    }
}
