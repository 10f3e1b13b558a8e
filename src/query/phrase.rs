//! Words next to each other inside one text.

use crate::event::words::equals_folded;
use crate::event::words::fold;
use crate::event::words::words;
use crate::query::ast::WordPattern;
use crate::query::glob::CompiledGlob;

/// The words of a question made ready.
#[derive(Clone, Debug)]
pub struct CompiledWords(Vec<CompiledWord>);

/// One word of a [`CompiledWords`].
#[derive(Clone, Debug)]
pub enum CompiledWord {
    /// Exactly this folded word.
    Is(String),
    /// A word that fits.
    Like(CompiledGlob),
}

impl CompiledWord {
    /// Makes one word ready.
    pub fn compile(word: &WordPattern) -> CompiledWord {
        match word {
            WordPattern::Is(word) => CompiledWord::Is(fold(word)),
            WordPattern::Like(glob) => CompiledWord::Like(CompiledGlob::compile(glob, false)),
        }
    }

    /// Says whether `word` fits, folded or not.
    pub fn accepts(&self, word: &str) -> bool {
        match self {
            CompiledWord::Is(folded) => equals_folded(word, folded),
            CompiledWord::Like(glob) => glob.accepts(word),
        }
    }
}

impl CompiledWords {
    /// Makes `words` ready.
    pub fn compile(words: &[WordPattern]) -> CompiledWords {
        CompiledWords(words.iter().map(CompiledWord::compile).collect())
    }

    /// The words in their order.
    pub fn words(&self) -> &[CompiledWord] {
        &self.0
    }

    /// Says whether the words stand next to each other in this one text.
    pub fn accepts(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return true };
        words(text).any(|word| {
            first.accepts(word) && (rest.is_empty() || follow(rest, behind(text, word)))
        })
    }
}

/// Returns what stands behind `word`, which borrows from `text`.
fn behind<'t>(text: &'t str, word: &str) -> &'t str {
    let end = (word.as_ptr() as usize + word.len()).saturating_sub(text.as_ptr() as usize);
    text.get(end..).unwrap_or_default()
}

fn follow(patterns: &[CompiledWord], text: &str) -> bool {
    let mut words = words(text);
    patterns.iter().all(|pattern| words.next().is_some_and(|word| pattern.accepts(word)))
}

/// Returns the query part of a request URI with `%41` and `+` decoded, if there is any.
pub fn decoded_query_part(uri: &str) -> Option<String> {
    let (_, query) = uri.split_once('?')?;
    if !query.contains(['%', '+']) {
        return None;
    }
    let bytes = query.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&c) = bytes.get(at) {
        let hex = |from: usize| bytes.get(from).and_then(|c| (*c as char).to_digit(16));
        match (c, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(c);
                at += 1;
            }
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}
