//! The house holds its plan: who may import whom, no circles, a first sentence in every file.
//!
//! Each message says what to do next.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// The rooms from the ground up, and what each may import beside itself.
const PLAN: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("query", &["event"]),
    ("source", &["event"]),
    ("intake", &["event", "source"]),
    ("sigma", &["event", "query"]),
    ("index", &["event", "query", "source", "intake"]),
    ("search", &["event", "query", "source", "intake", "index"]),
    ("ledger", &["event", "query", "search"]),
    ("hunt", &["event", "query", "intake", "sigma", "search", "ledger"]),
    ("report", &["event", "query", "sigma", "search", "hunt", "ledger"]),
    (
        "cli",
        &[
            "event", "query", "source", "intake", "sigma", "search", "index", "ledger", "hunt",
            "report",
        ],
    ),
];

/// Files that may be longer than the limit, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[
    ("src/index/pack/build.rs", "every column is filled in the one pass over an event"),
    ("src/query/value.rs", "one kind of value after the other: what equals what"),
    ("src/search/indexed.rs", "everything an index answers, beside how packs are put in order"),
    ("src/search/pack_eval.rs", "one kind of condition after the other, on the columns of a pack"),
    ("src/sigma/lower.rs", "one arm per modifier of the specification, read side by side"),
];

/// Lines of a file outside its tests.
const LINES_MAX: usize = 500;

/// Files that stand in a circle on purpose, each with its reason.
const CIRCLES: &[(&str, &str)] = &[
    ("src/hunt/investigate/classify.rs", "a timeline's entry is named by what the request did"),
    ("src/hunt/investigate/story.rs", "see classify.rs"),
    ("src/hunt/state/write.rs", "see classify.rs"),
    ("src/hunt/timeline.rs", "see classify.rs"),
    ("src/index/commit.rs", "what is committed is what was found to be no duplicate, and back"),
    ("src/index/dedupe.rs", "see commit.rs"),
    ("src/report/renderers/investigation_html.rs", "the registry of stories holds trait and table"),
    ("src/report/renderers/mermaid_markdown.rs", "see investigation_html.rs"),
    ("src/report/renderers/story_json.rs", "see investigation_html.rs"),
    ("src/report/renderers/story_text.rs", "see investigation_html.rs"),
    ("src/report/renderers/timesketch.rs", "see investigation_html.rs"),
    ("src/report/story_registry.rs", "see investigation_html.rs"),
    (
        "src/search/evidence.rs",
        "the trait's default answer is the plain count, whose rows it names",
    ),
    ("src/search/facet.rs", "see evidence.rs"),
    ("src/search/pack_eval.rs", "words, values and conditions of one pack need each other"),
    ("src/search/pack_values.rs", "see pack_eval.rs"),
    ("src/search/pack_words.rs", "see pack_eval.rs"),
    ("src/source/reader.rs", "an archive inside an archive is read by the reader again"),
    ("src/source/stream.rs", "see reader.rs"),
    ("src/source/unpack.rs", "see reader.rs"),
];

/// Files in which `unsafe` is argued.
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("src/index/memory.rs", "an option of the allocator is set in C; the argument is there"),
    ("src/index/mmap.rs", "mapping a file is unsafe whatever one does; the argument is there"),
];

struct File {
    /// From the root of the crate, with `/`.
    path: String,
    /// The whole text.
    text: String,
}

impl File {
    /// The lines in front of the unit tests, without comments.
    fn code(&self) -> Vec<&str> {
        self.own_lines().into_iter().filter(|line| !line.trim_start().starts_with("//")).collect()
    }

    /// The lines in front of the unit tests.
    fn own_lines(&self) -> Vec<&str> {
        self.text.lines().take_while(|line| *line != "#[cfg(test)]").collect()
    }

    /// Whether it holds nothing but tests.
    fn is_test(&self) -> bool {
        !self.path.starts_with("src/")
            || self.path.ends_with("tests.rs")
            || self.path.contains("/tests/")
            || self.path.ends_with("/testing.rs")
    }

    fn room(&self) -> Option<&str> {
        let (room, _) = self.path.strip_prefix("src/")?.split_once('/')?;
        Some(room)
    }
}

fn files(folders: &[&str]) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
            files.push(File { path, text });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 10, "the sources were not found");
    files
}

/// Every `crate::a::b::...` of the code; `super::` counts as what it stands for.
fn imports(file: &File) -> BTreeSet<Vec<String>> {
    let pattern = regex::Regex::new(r"\b(crate|super(?:::super)*)((?:::[a-z_0-9]+)+)").unwrap();
    let inside = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    let folder: Vec<&str> = inside.trim_end_matches("/mod").split('/').collect();
    let mut found = BTreeSet::new();
    for line in file.code() {
        for import in pattern.captures_iter(line) {
            let up = match &import[1] {
                "crate" => folder.len(),
                supers => supers.split("::").count(),
            };
            let mut path: Vec<String> =
                folder[..folder.len() - up].iter().map(|&part| part.to_owned()).collect();
            path.extend(import[2].split("::").skip(1).map(str::to_owned));
            found.insert(path);
        }
    }
    found
}

fn report(problems: &[String], remedy: &str) {
    assert!(problems.is_empty(), "\n{}\n=> {remedy}\n", problems.join("\n"));
}

#[test]
fn rooms_import_downwards_only() {
    let mut problems = Vec::new();
    for file in files(&["src"]).iter().filter(|file| !file.is_test()) {
        let Some(room) = file.room() else { continue };
        let Some((_, allowed)) = PLAN.iter().find(|(name, _)| *name == room) else {
            problems.push(format!("{}: the room {room} is not in PLAN", file.path));
            continue;
        };
        for import in imports(file) {
            let other = import[0].as_str();
            if other != room && !allowed.contains(&other) {
                problems.push(format!("{}: {room} may not know {other}", file.path));
            }
        }
    }
    report(
        &problems,
        "move the code to the room that may know both, or argue a new row of PLAN in ARCHITECTURE.md",
    );
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let files = files(&["src"]);
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut edges: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| !file.is_test() && !file.path.ends_with("mod.rs")) {
        for import in imports(file) {
            // The longest prefix that is a file is what is imported from.
            let target = (1..=import.len()).rev().find_map(|n| {
                let path = format!("src/{}.rs", import[..n].join("/"));
                paths.contains(path.as_str()).then_some(path)
            });
            if let Some(target) = target.filter(|target| *target != file.path) {
                edges.entry(&file.path).or_default().insert(target);
            }
        }
    }
    // Files that nothing in the graph imports from are taken away until only circles are left.
    let mut left: BTreeMap<String, BTreeSet<String>> =
        edges.into_iter().map(|(from, to)| (from.to_owned(), to)).collect();
    loop {
        let n_before = left.len();
        let names: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, to| to.iter().any(|target| names.contains(target)));
        if left.len() == n_before {
            break;
        }
    }
    let mut in_circle: Vec<String> = Vec::new();
    for from in left.keys() {
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        let mut open: Vec<&String> = left[from].iter().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(left.get(next).into_iter().flatten());
            }
        }
        if seen.contains(from) && !CIRCLES.iter().any(|(path, _)| path == from) {
            let to: Vec<&str> = left[from].iter().map(String::as_str).collect();
            in_circle.push(format!("{from} -> {}", to.join(", ")));
        }
    }
    report(&in_circle, "move what both need into a file of its own below them");
}

#[test]
fn every_file_says_what_it_is_for() {
    let problems: Vec<String> = files(&["src", "tests", "benches"])
        .iter()
        .filter(|file| {
            let first = file.text.lines().next().unwrap_or_default();
            first.strip_prefix("//! ").is_none_or(|sentence| sentence.len() <= 10)
        })
        .map(|file| file.path.clone())
        .collect();
    report(&problems, "open the file with `//! ` and one sentence on what it is for");
}

#[test]
fn files_stay_readable() {
    let problems: Vec<String> = files(&["src"])
        .iter()
        .filter(|file| !file.is_test() && !LONG_FILES.iter().any(|(path, _)| *path == file.path))
        .filter(|file| file.own_lines().len() > LINES_MAX)
        .map(|file| format!("{}: {} lines", file.path, file.own_lines().len()))
        .collect();
    report(&problems, "split the file by concept, or add it to LONG_FILES with the reason");
}

#[test]
fn the_lists_of_exceptions_are_short_of_the_dead() {
    let files = files(&["src"]);
    for (path, reason) in LONG_FILES.iter().chain(CIRCLES).chain(UNSAFE_FILES) {
        assert!(!reason.is_empty());
        assert!(files.iter().any(|file| file.path == *path), "{path} is gone: take its row away");
    }
}

#[test]
fn names_are_the_fields_own() {
    let bad =
        regex::Regex::new(r"(?i)\b(mod|struct|enum|trait|fn)\s+\w*(utils?|helpers?|manager)\b")
            .unwrap();
    let mut problems = Vec::new();
    for file in files(&["src"]) {
        let name = file.path.rsplit('/').next().unwrap().trim_end_matches(".rs");
        if ["util", "utils", "helper", "helpers", "manager", "misc"].contains(&name) {
            problems.push(file.path.clone());
        }
        for line in file.code() {
            if bad.is_match(line) {
                problems.push(format!("{}: {}", file.path, line.trim()));
            }
        }
    }
    report(&problems, "call it by what it does; the words are in CONTRIBUTING.md");
}

#[test]
fn unsafe_stays_where_it_is_argued() {
    let word = regex::Regex::new(r"\bunsafe (\{|fn|impl|trait|extern)").unwrap();
    let mut problems = Vec::new();
    for file in files(&["src", "tests", "benches"]) {
        if file.path == "tests/tidy.rs" || UNSAFE_FILES.iter().any(|(path, _)| *path == file.path) {
            continue;
        }
        for line in file.code() {
            let code = line.split("//").next().unwrap_or_default();
            if word.is_match(code) {
                problems.push(format!("{}: {}", file.path, line.trim()));
            }
        }
    }
    report(&problems, "do it safely, or argue for a row of UNSAFE_FILES");
}

#[test]
fn tests_run_or_do_not_exist() {
    let bad = ["#[ignore", "#[should_panic", "todo!(", "unimplemented!("];
    let mut problems = Vec::new();
    for file in files(&["src", "tests", "benches"]) {
        if file.path == "tests/tidy.rs" {
            continue;
        }
        for line in file.text.lines().filter(|line| bad.iter().any(|word| line.contains(word))) {
            problems.push(format!("{}: {}", file.path, line.trim()));
        }
    }
    report(&problems, "finish it, or take it away");
}
