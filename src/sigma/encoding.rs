//! The texts that Sigma's value modifiers (`base64`, `base64offset`, `wide`, `windash`, ...) stand
//! for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sigma::error::SigmaError;

/// Characters that `windash` lets stand for a dash (Sigma modifiers appendix).
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
/// 5^6 texts are enough for one value.
const MAX_DASHES: usize = 6;

/// Returns `text` as UTF-16, in the byte order asked for.
pub fn utf16(text: &str, big_endian: bool, mark: bool) -> Vec<u8> {
    let mut bytes = if mark { vec![0xFF, 0xFE] } else { Vec::new() };
    for unit in text.encode_utf16() {
        bytes.extend(if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() });
    }
    bytes
}

/// Returns the base64 form of `bytes`.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Returns what is common to every base64 text that holds `bytes` at offset 0, 1 and 2 of a group.
///
/// The characters that also depend on what stands before or behind are cut off (pySigma,
/// `SigmaBase64OffsetModifier`).
pub fn base64_offsets(bytes: &[u8]) -> Vec<String> {
    (0..3_usize)
        .filter_map(|offset| {
            let mut padded = vec![b' '; offset];
            padded.extend_from_slice(bytes);
            let encoded = STANDARD.encode(&padded);
            let start = [0, 2, 3].get(offset).copied()?;
            let cut = match (bytes.len() + offset) % 3 {
                0 => 0,
                1 => 3,
                _ => 2,
            };
            let end = encoded.len().checked_sub(cut)?;
            encoded.get(start..end).filter(|text| !text.is_empty()).map(str::to_owned)
        })
        .collect()
}

/// Returns `text` with every dash replaced by every character that may stand for it.
///
/// # Errors
/// When that would be too many texts.
pub fn windash(text: &str) -> Result<Vec<String>, SigmaError> {
    if text.chars().filter(|c| *c == '-').count() > MAX_DASHES {
        return Err(SigmaError::Unsupported(format!("|windash on more than {MAX_DASHES} dashes")));
    }
    let mut texts = vec![String::new()];
    for c in text.chars() {
        if c == '-' {
            texts = texts
                .iter()
                .flat_map(|before| DASHES.iter().map(move |dash| format!("{before}{dash}")))
                .collect();
        } else {
            for text in &mut texts {
                text.push(c);
            }
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_found_wherever_the_text_stands() {
        for before in ["", "a", "ab", "abc"] {
            for after in ["", "x", "xy", "xyz"] {
                let encoded = base64(format!("{before}nsenter -t 1{after}").as_bytes());
                let patterns = base64_offsets(b"nsenter -t 1");
                assert!(patterns.iter().any(|p| encoded.contains(p)), "{before} {after}");
            }
        }
    }

    #[test]
    fn every_dash_varies() {
        assert_eq!(windash("-a -b").unwrap().len(), 25);
        assert_eq!(windash("ab").unwrap(), ["ab"]);
        assert!(windash("--------").is_err());
    }

    #[test]
    fn wide_is_utf16() {
        assert_eq!(utf16("a", false, false), [b'a', 0]);
        assert_eq!(utf16("a", true, false), [0, b'a']);
        assert_eq!(utf16("a", false, true), [0xFF, 0xFE, b'a', 0]);
    }
}
