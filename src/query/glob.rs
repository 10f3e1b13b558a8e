//! Patterns with `*` and `?`, matched in bounded time.

use crate::event::words::fold;
use crate::event::words::folded;
use crate::query::ast::Glob;
use crate::query::ast::GlobPart;

/// A [`Glob`] made ready: the runs of text between its stars.
///
/// The first run is bound to the start, the last to the end, each one between to the first place
/// where it fits: no backtracking over stars, so an evil pattern costs value times pattern at most.
#[derive(Clone, Debug)]
pub struct CompiledGlob {
    cased: bool,
    starred: bool,
    runs: Vec<Vec<Atom>>,
}

#[derive(Clone, Debug)]
enum Atom {
    Text(String),
    AnyOne,
}

impl CompiledGlob {
    /// Makes `glob` ready.
    pub fn compile(glob: &Glob, cased: bool) -> CompiledGlob {
        let mut runs: Vec<Vec<Atom>> = vec![Vec::new()];
        let mut starred = false;
        for part in &glob.0 {
            match (part, runs.last_mut()) {
                (GlobPart::AnyRun, _) => {
                    starred = true;
                    runs.push(Vec::new());
                }
                (GlobPart::AnyOne, Some(run)) => run.push(Atom::AnyOne),
                (GlobPart::Text(text), Some(_)) if text.is_empty() => {}
                (GlobPart::Text(text), Some(run)) => {
                    run.push(Atom::Text(if cased { text.clone() } else { fold(text) }));
                }
                (_, None) => {}
            }
        }
        CompiledGlob { cased, starred, runs }
    }

    /// Says whether the whole of `text` fits.
    pub fn accepts(&self, text: &str) -> bool {
        if self.cased || text.is_ascii() {
            return self.fits(text.as_bytes(), !self.cased);
        }
        self.fits(folded(text).as_bytes(), false)
    }

    /// Returns what every folded text that fits starts with.
    pub fn folded_prefix(&self) -> &str {
        match self.runs.first().and_then(|run| run.first()) {
            Some(Atom::Text(text)) if !self.cased => text,
            _ => "",
        }
    }

    /// Returns a regex (over bytes) that finds every ASCII text that fits; `None` where the pattern
    /// itself is not ASCII.
    pub fn ascii_pattern(&self) -> Option<String> {
        let mut out = String::from(if self.cased { r"\A" } else { r"(?i-u)\A" });
        for (number, run) in self.runs.iter().enumerate() {
            if number > 0 {
                out.push_str("(?s-u:.)*");
            }
            for atom in run {
                match atom {
                    Atom::Text(text) if text.is_ascii() => out.push_str(&regex::escape(text)),
                    Atom::Text(_) => return None,
                    Atom::AnyOne => out.push_str("(?s-u:.)"),
                }
            }
        }
        out.push_str(r"\z");
        Some(out)
    }

    /// Says whether case counts.
    pub fn is_cased(&self) -> bool {
        self.cased
    }

    fn fits(&self, text: &[u8], fold: bool) -> bool {
        let Some((first, rest)) = self.runs.split_first() else { return text.is_empty() };
        let Some(mut at) = run_at(first, text, 0, fold) else { return false };
        if !self.starred {
            return at == text.len();
        }
        let Some((last, middle)) = rest.split_last() else { return true };
        for run in middle {
            match find_run(run, text, at, fold) {
                Some(end) => at = end,
                None => return false,
            }
        }
        // The last run is bound to the end: try each start that is left, from the shortest.
        run_at_end(last, text, at, fold)
    }
}

/// Matches `run` at `at` and returns the offset behind it.
fn run_at(run: &[Atom], text: &[u8], at: usize, fold: bool) -> Option<usize> {
    let mut here = at;
    for atom in run {
        match atom {
            Atom::AnyOne => here += char_length(*text.get(here)?),
            Atom::Text(want) => {
                let found = text.get(here..here + want.len())?;
                let same = if fold {
                    found.iter().zip(want.as_bytes()).all(|(a, b)| a.to_ascii_lowercase() == *b)
                } else {
                    found == want.as_bytes()
                };
                if !same {
                    return None;
                }
                here += want.len();
            }
        }
    }
    (here <= text.len()).then_some(here)
}

fn find_run(run: &[Atom], text: &[u8], from: usize, fold: bool) -> Option<usize> {
    let mut at = from;
    loop {
        if let Some(Atom::Text(want)) = run.first() {
            // Jump to the next place where the first byte fits.
            let first = *want.as_bytes().first()?;
            let rest = text.get(at..)?;
            at += if fold {
                memchr::memchr2(first, first.to_ascii_uppercase(), rest)?
            } else {
                memchr::memchr(first, rest)?
            };
        }
        if let Some(end) = run_at(run, text, at, fold) {
            return Some(end);
        }
        at += char_length(*text.get(at)?);
    }
}

fn run_at_end(run: &[Atom], text: &[u8], from: usize, fold: bool) -> bool {
    // Walk back over the characters that the run takes.
    let mut start = text.len();
    for atom in run.iter().rev() {
        match atom {
            Atom::Text(want) => match start.checked_sub(want.len()) {
                Some(at) => start = at,
                None => return false,
            },
            Atom::AnyOne => {
                let Some(mut at) = start.checked_sub(1) else { return false };
                while at > 0 && text.get(at).is_some_and(|c| (0x80..0xC0).contains(c)) {
                    at -= 1;
                }
                start = at;
            }
        }
    }
    start >= from && run_at(run, text, start, fold) == Some(text.len())
}

fn char_length(first: u8) -> usize {
    match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}
