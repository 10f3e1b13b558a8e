//! Whole commands with their whole output, as an analyst sees them.

use std::path::Path;
use std::process::Command;
use std::process::Output;

use clap::CommandFactory;
use expect_test::expect_file;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audithound"));
    command.env_remove("AUDITHOUND_INDEX").env_remove("NO_COLOR").env("COLUMNS", "100");
    command
}

fn audithound(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `docs/cli.md` is what `--help` says: help is written where the option is, and nowhere else.
#[test]
fn the_reference_is_the_help() {
    let mut text = String::from(
        "# Commands\n\nThis file is made from `--help` of every command; \
         `UPDATE_EXPECT=1 cargo test` renews it.\n",
    );
    let mut root = audithound::cli::args::Cli::command();
    root.build();
    let mut names: Vec<Vec<String>> = vec![Vec::new()];
    for sub in root.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        names.push(vec![sub.get_name().to_owned()]);
        for inner in sub.get_subcommands().filter(|inner| inner.get_name() != "help") {
            names.push(vec![sub.get_name().to_owned(), inner.get_name().to_owned()]);
        }
    }
    for name in names {
        let mut args: Vec<&str> = name.iter().map(String::as_str).collect();
        args.push("--help");
        let output = audithound(&args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        let help: String =
            stdout(&output).lines().map(|line| format!("{}\n", line.trim_end())).collect();
        let title = ["audithound"].into_iter().chain(name.iter().map(String::as_str));
        let title: Vec<&str> = title.collect();
        text.push_str(&format!("\n## {}\n\n```text\n{help}```\n", title.join(" ")));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    expect_file![path].assert_eq(&text);
}

#[test]
fn fields_are_listed() {
    let output = audithound(&["fields"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("objectRef.subresource"));
}

#[test]
fn a_mistyped_command_is_an_error() {
    let output = audithound(&["serach", "x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(stderr(&output).contains("search"), "{}", stderr(&output));
}

#[test]
fn a_mistyped_option_is_no_question() {
    let output = audithound(&["search", "--cuont"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no such option"), "{}", stderr(&output));
}

#[test]
fn no_index_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("none.index");
    let output = audithound(&["search", "*", "--index", dir.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = stderr(&output);
    assert!(said.contains("none.index") && said.contains("audithound index"), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = command()
        .args(["fields", "--format", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}
