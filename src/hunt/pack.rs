//! The rules that come with the program: the folder `rules` beside this file, in the binary.

use include_dir::Dir;
use include_dir::include_dir;

use crate::sigma::Vars;
use crate::sigma::rule::RuleSet;

static RULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/hunt/rules");

/// Every embedded file as (path, text), in the order of the paths.
pub fn files() -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let mut open = vec![&RULES];
    while let Some(dir) = open.pop() {
        open.extend(dir.dirs());
        for file in dir.files() {
            let path = file.path().to_str().unwrap_or_default();
            if path.ends_with(".yml") || path.ends_with(".yaml") {
                found.push((path, file.contents_utf8().unwrap_or_default()));
            }
        }
    }
    found.sort_unstable();
    found
}

/// Parses the pack without the events that its tests use: they are most of its text.
pub fn load(vars: &Vars) -> RuleSet {
    let texts: Vec<(&str, String)> =
        files().into_iter().map(|(path, text)| (path, without_tests(text))).collect();
    crate::sigma::parse(texts.iter().map(|(path, text)| (*path, text.as_str())), vars)
}

/// Parses the pack with everything in it.
pub fn load_with_tests(vars: &Vars) -> RuleSet {
    crate::sigma::parse(files(), vars)
}

/// Leaves out the block `test:` of `x-audithound`: its line and everything indented deeper.
fn without_tests(text: &str) -> String {
    let mut out = String::with_capacity(text.len() / 4);
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        if inside && !line.trim().is_empty() && !line.starts_with("   ") {
            inside = false;
        }
        if line.trim_end() == "  test:" {
            inside = true;
        }
        if !inside {
            out.push_str(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hunt/rules");
        let on_disk: BTreeSet<String> = walkdir::WalkDir::new(&root)
            .into_iter()
            .filter_map(Result::ok)
            .filter(|e| e.path().extension().is_some_and(|x| x == "yml" || x == "yaml"))
            .map(|e| e.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned())
            .collect();
        let embedded: BTreeSet<String> =
            files().iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(on_disk, embedded, "touch src/hunt/pack.rs and build again");
    }

    #[test]
    fn rules_are_the_same_with_and_without_their_tests() {
        let (short, long) = (load(&Vars::new()), load_with_tests(&Vars::new()));
        assert_eq!(short.rules.len(), long.rules.len());
        assert_eq!(short.correlations.len(), long.correlations.len());
        for (a, b) in short.rules.iter().zip(&long.rules) {
            assert_eq!((&a.question, &a.meta.title), (&b.question, &b.meta.title));
            assert!(a.meta.own("test").is_none() && a.meta.own("hunt") == b.meta.own("hunt"));
        }
    }

    #[test]
    fn every_rule_can_be_asked() {
        let set = load(&Vars::new());
        assert_eq!(set.unusable, []);
        assert_eq!(set.dangling_filters, []);
        let mut seen = BTreeSet::new();
        let metas =
            set.rules.iter().map(|r| &r.meta).chain(set.correlations.iter().map(|c| &c.meta));
        for meta in metas {
            assert!(meta.own("hunt").is_some(), "{}: x-audithound.hunt", meta.file);
            assert!(meta.author.is_some() && meta.description.is_some(), "{}", meta.file);
            assert!(meta.id.is_some(), "{}", meta.file);
            for name in [meta.id.as_deref(), meta.name.as_deref()] {
                let name = name.unwrap_or_default();
                assert!(
                    name.is_empty() || seen.insert(name.to_owned()),
                    "{}: {name} twice",
                    meta.file
                );
            }
        }
        for rule in &set.rules {
            // Only what waits for the reader's own list cannot be asked yet.
            let waits = rule.meta.own("placeholders").is_some();
            assert_eq!(rule.cannot_match().is_empty(), !waits, "{}", rule.meta.file);
            assert_eq!(crate::sigma::logsource::not_applicable(&rule.logsource), None);
        }
        for correlation in &set.correlations {
            assert_eq!(correlation.flaws, [], "{}", correlation.meta.file);
            for reference in &correlation.rules {
                let known = set.rules.iter().any(|r| r.meta.is_called(reference))
                    || set.correlations.iter().any(|c| c.meta.is_called(reference));
                assert!(known, "{}: {reference} is not in the pack", correlation.meta.file);
            }
        }
    }
}
