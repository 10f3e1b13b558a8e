//! `|expand`: placeholders become the values they stand for before a rule is lowered, so that every
//! other modifier applies to the values.

use rsigma_parser::Detection;
use rsigma_parser::DetectionItem;
use rsigma_parser::Detections;
use rsigma_parser::Modifier;
use rsigma_parser::SigmaString;
use rsigma_parser::SigmaValue;

use crate::sigma::error::SigmaError;
use crate::sigma::lower::Vars;

/// Most texts that one value may become.
const MAX_TEXTS: usize = 100_000;

/// Puts the values of `vars` in the place of every placeholder.
///
/// # Errors
/// A placeholder without values, and `|all` where one has several: all of them can never be meant.
pub fn expand(detections: &mut Detections, vars: &Vars) -> Result<(), SigmaError> {
    let mut open: Vec<&mut Detection> = detections.named.values_mut().collect();
    while let Some(detection) = open.pop() {
        match detection {
            Detection::AllOf(items) => {
                for item in items {
                    expand_item(item, vars)?;
                }
            }
            Detection::AnyOf(parts) | Detection::And(parts) => open.extend(parts),
            Detection::ArrayMatch { body, .. } => open.push(body),
            Detection::Conditional { named, .. } => open.extend(named.values_mut()),
            Detection::Keywords(_) => {}
        }
    }
    Ok(())
}

/// Says whether any value has the modifier.
pub fn any(detections: &Detections) -> bool {
    let mut open: Vec<&Detection> = detections.named.values().collect();
    while let Some(detection) = open.pop() {
        match detection {
            Detection::AllOf(items) => {
                if items.iter().any(|item| item.field.has_modifier(Modifier::Expand)) {
                    return true;
                }
            }
            Detection::AnyOf(parts) | Detection::And(parts) => open.extend(parts),
            Detection::ArrayMatch { body, .. } => open.push(body),
            Detection::Conditional { named, .. } => open.extend(named.values()),
            Detection::Keywords(_) => {}
        }
    }
    false
}

fn expand_item(item: &mut DetectionItem, vars: &Vars) -> Result<(), SigmaError> {
    if !item.field.has_modifier(Modifier::Expand) {
        return Ok(());
    }
    item.field.modifiers.retain(|modifier| *modifier != Modifier::Expand);
    let all = item.field.has_modifier(Modifier::All);
    let mut values = Vec::new();
    for value in &item.values {
        let SigmaValue::String(text) = value else {
            values.push(value.clone());
            continue;
        };
        let texts = expand_text(&text.original, vars)?;
        if all && texts.len() > 1 {
            let what = "|all with a placeholder that has several values";
            return Err(SigmaError::Unsupported(what.into()));
        }
        values.extend(texts.iter().map(|text| SigmaValue::String(SigmaString::new(text))));
    }
    item.values = values;
    Ok(())
}

/// The texts that `before %name% behind` stands for; names are words, any other `%` is itself.
fn expand_text(text: &str, vars: &Vars) -> Result<Vec<String>, SigmaError> {
    let mut texts = vec![String::new()];
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        let word = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        };
        let Some((name, after)) = behind.split_once('%').filter(|(name, _)| word(name)) else {
            for text in &mut texts {
                text.push_str(before);
                text.push('%');
            }
            rest = behind;
            continue;
        };
        let values = vars
            .get(name)
            .filter(|values| !values.is_empty())
            .ok_or_else(|| SigmaError::Placeholder(name.to_owned()))?;
        if texts.len().saturating_mul(values.len()) > MAX_TEXTS {
            let what = format!("placeholders that stand for more than {MAX_TEXTS} texts");
            return Err(SigmaError::Unsupported(what));
        }
        texts = texts
            .iter()
            .flat_map(|text| values.iter().map(move |value| format!("{text}{before}{value}")))
            .collect();
        rest = after;
    }
    for text in &mut texts {
        text.push_str(rest);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_becomes_its_values() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let vars: Vars =
            [("a".to_owned(), list(&["x", "y"])), ("b".to_owned(), list(&["1"]))].into();
        assert_eq!(expand_text("-%a%-%b%", &vars).unwrap(), ["-x-1", "-y-1"]);
        assert_eq!(expand_text("100% of %a", &vars).unwrap(), ["100% of %a"]);
        assert_eq!(expand_text("50% %a%", &vars).unwrap(), ["50% x", "50% y"]);
        assert_eq!(expand_text("50%%", &vars).unwrap(), ["50%%"]);
        assert_eq!(expand_text("%c%", &vars), Err(SigmaError::Placeholder("c".to_owned())));
    }
}
