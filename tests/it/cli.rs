//! Whole commands with their whole output, as an analyst sees them.

use std::process::Command;
use std::process::Output;

fn audithound(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_audithound"))
        .args(args)
        .env_remove("AUDITHOUND_INDEX")
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
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
}
