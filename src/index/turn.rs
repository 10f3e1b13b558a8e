//! Workers do things in the order of their units, whoever is ready first.

use std::collections::BTreeMap;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::index::commit::Commit;
use crate::index::commit::UnitResult;
use crate::index::dedupe::Duplicate;
use crate::index::dedupe::Seen;
use crate::index::error::IndexError;
use crate::index::manifest::Manifest;
use crate::index::pack::build::PackBuilder;

/// A change of the manifest that must not come before the units it speaks of.
struct Note(Box<dyn FnOnce(&mut Commit) + Send>);

impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Note")
    }
}

impl State {
    /// Makes the notes that are due.
    fn note(&mut self) {
        while let Some(first) = self.notes.first_entry() {
            if *first.key() > self.next_commit {
                break;
            }
            for Note(note) in first.remove() {
                note(&mut self.commit);
            }
        }
    }
}

/// Lets workers do things in the order of their units.
#[derive(Debug)]
pub struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    commit: Commit,
    seen: Option<Seen>,
    next_duplicates: u64,
    next_commit: u64,
    waiting: BTreeMap<u64, UnitResult>,
    /// What is to be noted once all units before a number are written.
    notes: BTreeMap<u64, Vec<Note>>,
    failed: Option<IndexError>,
}

impl Turn {
    /// Starts with unit 0.
    pub fn new(commit: Commit, seen: Seen) -> Turn {
        Turn {
            state: Mutex::new(State {
                commit,
                seen: Some(seen),
                next_duplicates: 0,
                next_commit: 0,
                waiting: BTreeMap::new(),
                notes: BTreeMap::new(),
                failed: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `change` on the writing side.
    pub fn with_commit<T>(&self, change: impl FnOnce(&mut Commit) -> T) -> T {
        change(&mut self.lock().commit)
    }

    /// Runs `change` on the writing side once all units below `unit` are written.
    pub fn after(&self, unit: u64, change: impl FnOnce(&mut Commit) + Send + 'static) {
        let mut state = self.lock();
        state.notes.entry(unit).or_default().push(Note(Box::new(change)));
        state.note();
    }

    /// Notes the first thing that went wrong and lets everybody go.
    pub fn fail(&self, error: IndexError) {
        let mut state = self.lock();
        if state.failed.is_none() {
            state.failed = Some(error);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the unit's turn, then returns which of its events were seen before.
    ///
    /// # Errors
    /// When an earlier event cannot be read back, or somebody else failed.
    pub fn duplicates(
        &self,
        unit: u64,
        builder: &PackBuilder,
        texts: impl Fn(&[u32]) -> Vec<Vec<u8>>,
    ) -> Result<Vec<Duplicate>, IndexError> {
        let mut state = self.lock();
        let mut seen = loop {
            if state.failed.is_some() {
                return Ok(Vec::new());
            }
            if state.next_duplicates == unit {
                if let Some(seen) = state.seen.take() {
                    break seen;
                }
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let found = seen.suspects(builder).and_then(|suspects| {
            let found = if suspects.is_empty() {
                Vec::new()
            } else {
                let manifest = self.wait_committed(unit)?;
                seen.confirm(&suspects, builder, &manifest, texts)?
            };
            seen.add(unit, builder, &found)?;
            Ok(found)
        });
        let mut state = self.lock();
        state.seen = Some(seen);
        state.next_duplicates = unit + 1;
        drop(state);
        self.changed.notify_all();
        found
    }

    /// Waits until everything before `unit` is written, and returns the manifest.
    fn wait_committed(&self, unit: u64) -> Result<Manifest, IndexError> {
        let mut state = self.lock();
        while state.next_commit < unit && state.failed.is_none() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(state.commit.manifest.clone())
    }

    /// Appends a unit as soon as all before it are.
    ///
    /// # Errors
    /// When writing fails.
    pub fn commit(&self, unit: UnitResult) -> Result<(), IndexError> {
        let mut state = self.lock();
        state.waiting.insert(unit.number, unit);
        while state.failed.is_none() {
            let next = state.next_commit;
            let Some(unit) = state.waiting.remove(&next) else { break };
            state.commit.add(unit)?;
            state.next_commit += 1;
            state.note();
            state.commit.checkpoint_if_due()?;
        }
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Ends the run.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn into_commit(self) -> Result<Commit, IndexError> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failed {
            Some(error) => Err(error),
            None => Ok(state.commit),
        }
    }
}
