//! Groups requests by what they have in some columns: by numbers, so that thousands of requests
//! cost as many texts as there are groups.

use hashbrown::HashMap;

use crate::ledger::request::Request;

/// The values of a group.
pub type Values<const N: usize> = [Option<String>; N];

/// Numbers the combinations of values that requests have in some columns, from 0 as they are met.
#[derive(Debug)]
pub struct Grouping<const N: usize> {
    names: [&'static str; N],
    /// Whose classes are known; requests of several questions have their own.
    of: Option<usize>,
    columns: [usize; N],
    by_class: HashMap<[u32; N], usize>,
    by_values: HashMap<Values<N>, usize>,
    values: Vec<Values<N>>,
    last: Option<([u32; N], usize)>,
}

impl<const N: usize> Grouping<N> {
    /// Groups by these columns, which must have been asked for.
    pub fn by(names: [&'static str; N]) -> Grouping<N> {
        Grouping {
            names,
            of: None,
            columns: [0; N],
            by_class: HashMap::new(),
            by_values: HashMap::new(),
            values: Vec::new(),
            last: None,
        }
    }

    /// The number of the group of a request.
    pub fn of(&mut self, request: &Request) -> usize {
        if self.of != Some(request.asked_together()) {
            self.of = Some(request.asked_together());
            self.columns = self.names.map(|name| request.column_number(name));
            self.by_class.clear();
            self.last = None;
        }
        let key = self.columns.map(|column| request.class(column));
        if let Some((_, group)) = self.last.filter(|(last, _)| *last == key) {
            return group;
        }
        let group = match self.by_class.get(&key) {
            Some(group) => *group,
            None => {
                let values = self.names.map(|name| request.get(name).map(str::to_owned));
                let next = self.values.len();
                let group = *self.by_values.entry(values.clone()).or_insert(next);
                if group == next {
                    self.values.push(values);
                }
                self.by_class.insert(key, group);
                group
            }
        };
        self.last = Some((key, group));
        group
    }

    /// The values of a group.
    pub fn values(&self, group: usize) -> [Option<&str>; N] {
        let values = self.values.get(group);
        std::array::from_fn(|at| values.and_then(|values| values.get(at)?.as_deref()))
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Says whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Something that follows from the values of some columns, found out once per combination.
#[derive(Debug)]
pub struct Once<const N: usize, T> {
    grouping: Grouping<N>,
    known: Vec<T>,
}

impl<const N: usize, T> Once<N, T> {
    /// Of these columns.
    pub fn by(names: [&'static str; N]) -> Once<N, T> {
        Once { grouping: Grouping::by(names), known: Vec::new() }
    }

    /// What follows from the values of a request.
    pub fn of(
        &mut self,
        request: &Request,
        find: impl FnOnce([Option<&str>; N]) -> T,
    ) -> Option<&mut T> {
        let group = self.grouping.of(request);
        if group == self.known.len() {
            let found = find(self.grouping.values(group));
            self.known.push(found);
        }
        self.known.get_mut(group)
    }
}
