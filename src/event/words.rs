//! What a word is, and when two texts are the same: the one place that decides about case.

use std::borrow::Cow;

/// Folds `text` for comparison: values and words are compared without case (query.md, Grammar).
pub fn fold(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}

/// Folds without allocating where the text is folded already.
pub fn folded(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|c| c.is_ascii() && !c.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(fold(text))
    }
}

/// Compares `text` with an already folded one.
pub fn equals_folded(text: &str, folded: &str) -> bool {
    if text.is_ascii() {
        text.len() == folded.len()
            && text.bytes().zip(folded.bytes()).all(|(a, b)| a.to_ascii_lowercase() == b)
    } else {
        fold(text) == folded
    }
}

/// Iterates over the words of `text`: maximal runs of letters and digits (Unicode).
///
/// The words borrow from `text`; fold them to compare.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let found: Vec<&str> = words("k8s.ovn.org/pod-networks: ünï 10.128.1.81").collect();
        assert_eq!(found, ["k8s", "ovn", "org", "pod", "networks", "ünï", "10", "128", "1", "81"]);
    }

    #[test]
    fn folding_is_one_rule_for_all() {
        assert_eq!(fold("ÀB"), "àb");
        assert!(equals_folded("System:Anonymous", "system:anonymous"));
        assert!(!equals_folded("a", "ab"));
        assert!(equals_folded("\u{212A}", "k"));
    }
}
