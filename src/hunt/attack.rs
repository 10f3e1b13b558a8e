//! MITRE ATT&CK names: what a rule's tags mean in the version that is written into layers.

/// Version of ATT&CK that tactics and techniques below are named after.
pub const ATTACK_VERSION: &str = "19";

/// Techniques that v19 moved: `Impair Defenses` became techniques of the tactic Defense Impairment
/// (elastic/detection-rules#6035; SigmaHQ tags since 2026).
const RENAMED: &[(&str, &str)] = &[
    ("T1562.001", "T1685"),
    ("T1562.004", "T1686"),
    ("T1562.007", "T1686"),
    ("T1562.008", "T1685.002"),
    ("T1562", "T1685"),
];

/// Tactics of v19 in the order of the matrix, as (short name, id, title).
pub const TACTICS: &[(&str, &str, &str)] = &[
    ("reconnaissance", "TA0043", "Reconnaissance"),
    ("resource-development", "TA0042", "Resource Development"),
    ("initial-access", "TA0001", "Initial Access"),
    ("execution", "TA0002", "Execution"),
    ("persistence", "TA0003", "Persistence"),
    ("privilege-escalation", "TA0004", "Privilege Escalation"),
    ("stealth", "TA0005", "Stealth"),
    ("defense-impairment", "TA0112", "Defense Impairment"),
    ("credential-access", "TA0006", "Credential Access"),
    ("discovery", "TA0007", "Discovery"),
    ("lateral-movement", "TA0008", "Lateral Movement"),
    ("collection", "TA0009", "Collection"),
    ("command-and-control", "TA0011", "Command and Control"),
    ("exfiltration", "TA0010", "Exfiltration"),
    ("impact", "TA0040", "Impact"),
];

/// Returns the technique that v19 has instead of `technique`.
pub fn current_technique(technique: &str) -> String {
    let upper = technique.to_ascii_uppercase();
    let exact = RENAMED.iter().find(|(old, _)| *old == upper);
    let parent = || RENAMED.iter().find(|(old, _)| upper.starts_with(&format!("{old}.")));
    exact.or_else(parent).map_or(upper.clone(), |(_, new)| (*new).to_owned())
}

/// Reads (tactics, techniques) from Sigma tags; `attack.defense-evasion`, which v19 split, becomes
/// stealth unless a technique of defense impairment stands beside it.
pub fn read_tags(tags: &[String]) -> (Vec<String>, Vec<String>) {
    let mut tactics: Vec<String> = Vec::new();
    let mut techniques: Vec<String> = Vec::new();
    for tag in tags {
        let Some(name) = tag.strip_prefix("attack.") else { continue };
        let name = name.to_ascii_lowercase().replace('_', "-");
        let is_technique = name
            .strip_prefix('t')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if is_technique {
            push_once(&mut techniques, current_technique(&name));
        } else if !name.starts_with(['g', 's']) || !name.chars().any(|c| c.is_ascii_digit()) {
            push_once(&mut tactics, name);
        }
    }
    let impairs = techniques.iter().any(|t| t.starts_with("T1685") || t.starts_with("T1686"));
    for tactic in &mut tactics {
        if tactic == "defense-evasion" {
            *tactic = if impairs { "defense-impairment" } else { "stealth" }.to_owned();
        }
    }
    tactics.dedup();
    (tactics, techniques)
}

fn push_once(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// Says whether a card's tags hold `wanted` (`attack.t1552.007`, `T1552`, `credential-access`);
/// a technique also stands for its sub-techniques, and the old name for the new.
pub fn has_tag(tags: &[String], wanted: &str) -> bool {
    let plain = wanted.strip_prefix("attack.").unwrap_or(wanted).to_ascii_lowercase();
    let plain = plain.replace('_', "-");
    let new = current_technique(&plain).to_ascii_lowercase();
    let (tactics, techniques) = read_tags(tags);
    let below = |technique: &String, name: &str| {
        let technique = technique.to_ascii_lowercase();
        technique == name || technique.starts_with(&format!("{name}."))
    };
    tags.iter().any(|tag| tag.eq_ignore_ascii_case(wanted))
        || tactics.contains(&plain)
        || techniques.iter().any(|t| below(t, &plain) || below(t, &new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_names_become_new_ones() {
        assert_eq!(current_technique("t1562.008"), "T1685.002");
        assert_eq!(current_technique("T1562.999"), "T1685");
        assert_eq!(current_technique("t1609"), "T1609");
        let tags: Vec<String> = ["attack.defense-evasion", "attack.t1562.008", "cve.2025-1"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(
            read_tags(&tags),
            (vec!["defense-impairment".to_owned()], vec!["T1685.002".to_owned()])
        );
    }

    #[test]
    fn tags_are_found_by_any_of_their_names() {
        let tags: Vec<String> =
            ["attack.credential_access", "attack.t1552.007"].map(str::to_owned).to_vec();
        for wanted in ["attack.t1552.007", "T1552", "attack.credential-access", "credential_access"]
        {
            assert!(has_tag(&tags, wanted), "{wanted}");
        }
        assert!(!has_tag(&tags, "T155"));
    }
}
