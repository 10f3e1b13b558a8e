//! Every command of `docs/questions.md` is one that can be asked of the demonstration evidence.

use std::path::Path;
use std::process::Command;

use audithound::cli::args::Cli;
use clap::CommandFactory;
use clap::Parser;

/// The commands of the fenced blocks, split as a shell would.
fn commands() -> Vec<Vec<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/questions.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        match line {
            "```sh" => fenced = true,
            "```" => fenced = false,
            line if fenced => found.push(split(line)),
            _ => {}
        }
    }
    found
}

/// Words of a line; single quotes keep everything, a backslash outside them the next character.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            '\\' if !quoted => words.last_mut().unwrap().extend(chars.next()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// A command that the program does not have makes the examples about it wait, with a message.
fn is_a_command(name: &str) -> bool {
    let there = Cli::command().find_subcommand(name).is_some();
    if !there {
        eprintln!("skipped: there is no command {name}");
    }
    there
}

#[test]
fn lines_are_split_as_a_shell_splits_them() {
    let words = split(r#"audithound search 'a:(b OR c) "d e"' --fields x,y"#);
    assert_eq!(words, ["audithound", "search", r#"a:(b OR c) "d e""#, "--fields", "x,y"]);
}

#[test]
fn every_command_can_be_typed() {
    let commands = commands();
    assert!(commands.len() >= 60, "{}", commands.len());
    for words in commands.iter().filter(|words| is_a_command(&words[1])) {
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{}\n{error}", words.join(" "));
        }
    }
}

/// The demonstration evidence, indexed once.
fn demo(dir: &Path) {
    let evidence = Path::new(env!("CARGO_MANIFEST_DIR")).join("index-fixtures/audit-logs/demo");
    let output = Command::new(env!("CARGO_BIN_EXE_audithound"))
        .arg("index")
        .arg(evidence)
        .arg("--index")
        .arg(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_command_is_answered() {
    if !is_a_command("index") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("index");
    demo(&index);
    for words in commands().iter().filter(|words| is_a_command(&words[1])) {
        let output = Command::new(env!("CARGO_BIN_EXE_audithound"))
            .args(&words[1..])
            .env("AUDITHOUND_INDEX", &index)
            .output()
            .unwrap();
        // 0 found, 1 nothing found; 2 would be a question that cannot be asked.
        let code = output.status.code();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(code, Some(0 | 1)), "{}: {code:?}\n{stderr}", words.join(" "));
    }
}
