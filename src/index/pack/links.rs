//! The columns of a section, and which of its templates hold them.

use std::collections::HashSet;
use std::sync::Arc;

use crate::index::pack::layout::ColumnRow;
use crate::index::pack::shape::Gap;
use crate::index::pack::shape::Known;
use crate::index::pack::shape::Shape;
use crate::index::pack::wire::Cursor;
use crate::index::pack::wire::Damage;
use crate::index::pack::wire::Short;

type Result<T> = std::result::Result<T, Damage>;

/// Which templates of a section hold which columns.
#[derive(Debug, Default)]
pub struct Links {
    /// Column of each value gap of each template, by its place in the directory.
    pub gap_columns: Vec<Vec<u32>>,
    /// For each column: the templates (by number plus one, ascending) that hold it, and how often.
    ///
    /// Most columns of bodies stand in one template of many hundreds.
    holders: Vec<Vec<(u32, u32)>>,
    n_templates: usize,
    /// Paths at which some template has `true` or `false`.
    pub literal_paths: HashSet<String>,
}

impl Links {
    pub(super) fn new(n_columns: usize, n_templates: usize) -> Links {
        Links { holders: vec![Vec::new(); n_columns], n_templates, ..Links::default() }
    }

    /// Adds the next template.
    pub(super) fn add(&mut self, columns: Vec<u32>) {
        let number = self.gap_columns.len() as u32 + 1;
        for column in &columns {
            let Some(holders) = self.holders.get_mut(*column as usize) else { continue };
            match holders.last_mut() {
                Some((last, count)) if *last == number => *count += 1,
                _ => holders.push((number, 1)),
            }
        }
        self.gap_columns.push(columns);
    }

    /// Returns how many columns there are.
    pub fn n_columns(&self) -> usize {
        self.holders.len()
    }

    /// Returns how often each template (by number plus one) holds a column.
    pub(super) fn counts(&self, column: u32) -> Result<Vec<u32>> {
        let holders = self.holders.get(column as usize).ok_or(Short)?;
        let mut counts = vec![0; self.n_templates + 1];
        for (template, count) in holders {
            if let Some(slot) = counts.get_mut(*template as usize) {
                *slot = *count;
            }
        }
        Ok(counts)
    }

    /// Returns the templates (by number plus one, ascending) that hold a column, and how often.
    pub(super) fn holders(&self, column: u32) -> &[(u32, u32)] {
        self.holders.get(column as usize).map(Vec::as_slice).unwrap_or_default()
    }

    /// Says whether every template holds a column exactly once.
    pub(super) fn one_each(&self, column: u32) -> Result<bool> {
        let holders = self.holders.get(column as usize).ok_or(Short)?;
        Ok(holders.len() == self.n_templates && holders.iter().all(|(_, count)| *count == 1))
    }
}

/// Skeletons of one section, taken apart.
#[derive(Debug, Default)]
pub struct Shapes {
    /// The text of all skeletons.
    pub(super) text: Vec<u8>,
    /// Range of each in `text`, and its shape.
    pub templates: Vec<(std::ops::Range<usize>, Shape)>,
    /// Their columns.
    pub links: Arc<Links>,
    /// Every different key of the section.
    pub keys: Vec<String>,
    /// For each template: its keys, by their place in `keys`.
    pub keys_of: Vec<Vec<u32>>,
}

/// The columns of one section.
#[derive(Debug, Default)]
pub struct Directory {
    /// All rows.
    pub rows: Vec<ColumnRow>,
    /// Their numbers in the order of their paths.
    pub(super) by_path: Vec<u32>,
}

impl Directory {
    /// Returns the bytes it takes in memory, about.
    pub(super) fn memory(&self) -> usize {
        self.rows.len() * 160
    }

    /// Returns the columns at a joined path.
    pub fn at(&self, path: &str) -> &[u32] {
        let path_of = |at: &u32| self.rows.get(*at as usize).map(|row| row.path.as_str());
        let start = self.by_path.partition_point(|at| path_of(at) < Some(path));
        let own = self.by_path.get(start..).unwrap_or_default();
        let end = own.iter().take_while(|at| path_of(at) == Some(path)).count();
        own.get(..end).unwrap_or_default()
    }
}

pub(super) const NO_JSON: Damage = Damage { offset: 0, what: "a skeleton is no JSON" };

/// Finds `n` skeletons in their frame.
pub(super) fn skeletons_in(frame: &[u8], n: usize) -> std::result::Result<Vec<&[u8]>, Short> {
    let mut cursor = Cursor::new(frame);
    let lens: Vec<usize> =
        (0..n).map(|_| cursor.get_len(frame.len())).collect::<std::result::Result<_, _>>()?;
    lens.into_iter().map(|len| cursor.take(len)).collect()
}

/// Returns the column of each value gap of a skeleton.
pub(super) fn gap_columns(shape: &Shape, directory: &Directory) -> Result<Vec<u32>> {
    let mut columns = Vec::with_capacity(shape.gaps.len());
    for (_, gap) in &shape.gaps {
        let Gap::Value { path, kind } = gap else { continue };
        let column = directory
            .at(path)
            .iter()
            .find(|at| directory.rows.get(**at as usize).is_some_and(|r| r.kind == *kind))
            .ok_or(Damage { offset: 0, what: "a gap without a column" })?;
        columns.push(*column);
    }
    Ok(columns)
}

/// Says what a skeleton tells of a path, for every template that has it.
pub fn known_at(shapes: &Shapes, path: &str) -> Vec<(u32, Known)> {
    let mut found = Vec::new();
    for (number, (_, shape)) in shapes.templates.iter().enumerate() {
        for (here, known) in &shape.nodes {
            if **here == *path {
                found.push((number as u32 + 1, *known));
            }
        }
    }
    found
}
