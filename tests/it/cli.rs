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

/// The demo's evidence in a folder of its own.
fn evidence() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("evidence");
    std::fs::create_dir(&into).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("index-fixtures/audit-logs/demo");
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "expect.toml" {
            std::fs::copy(entry.path(), into.join(entry.file_name())).unwrap();
        }
    }
    folder
}

/// Runs a command line in `folder`; single quotes are the only quotes.
fn typed(folder: &Path, line: &str) -> Output {
    let mut args: Vec<String> = vec![String::new()];
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            args.last_mut().unwrap().push_str(part);
            continue;
        }
        let mut words = part.split(' ');
        args.last_mut().unwrap().push_str(words.next().unwrap());
        args.extend(words.map(str::to_owned));
    }
    args.retain(|arg| !arg.is_empty());
    assert_eq!(args[0], "audithound", "{line}");
    command().current_dir(folder).args(&args[1..]).output().unwrap()
}

/// The line of a summary that no two runs have in common.
fn is_timing(line: &str) -> bool {
    line.contains(" MB in ") && line.contains("MB/s")
}

/// Every command of the README's session is run, and its output is what stands there.
#[test]
fn the_session_of_the_readme_is_real() {
    let folder = evidence();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    let mut n_commands = 0;
    while let Some(line) = lines.next() {
        out.push_str(&format!("{line}\n"));
        let Some(command) = line.strip_prefix("$ ") else { continue };
        n_commands += 1;
        let mut before = Vec::new();
        while let Some(shown) = lines.next_if(|next| !next.is_empty() && *next != "```") {
            before.push(shown);
        }
        let output = typed(folder.path(), command);
        for line in stdout(&output).lines().chain(stderr(&output).lines()) {
            let kept = before.iter().find(|old| is_timing(old) && is_timing(line));
            out.push_str(&format!("{}\n", kept.unwrap_or(&line)));
        }
    }
    assert!(n_commands > 5, "the session is gone");
    expect_file![path].assert_eq(&out);
}

#[test]
fn the_demo_walks_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let output = typed(folder.path(), "audithound demo");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(text.contains("640 events"), "{text}");
    assert!(text.contains(" ms)") && text.contains("Go on from here"), "{text}");
    assert!(text.contains("$ audithound investigate"), "{text}");
    // A second time nothing is indexed twice.
    let again = typed(folder.path(), "audithound demo");
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
}

#[test]
fn exit_codes_say_found_nothing_and_error() {
    let folder = evidence();
    let code = |line: &str| typed(folder.path(), line).status.code().unwrap();
    assert_eq!(code("audithound index evidence"), 0);
    assert_eq!(code("audithound search 'code:403'"), 0);
    assert_eq!(code("audithound search 'code:999'"), 1);
    assert_eq!(code("audithound search 'code:999' --count"), 1);
    assert_eq!(code("audithound search 'cod:403'"), 2);
    assert_eq!(code("audithound search '*' --since yesterday"), 2);
    assert_eq!(code("audithound search '*' --fields nonsense"), 2);
    assert_eq!(code("audithound search '*' --tz Mars"), 2);
    assert_eq!(code("audithound show no-such-id"), 1);
    assert_eq!(code("audithound index nowhere"), 2);
    assert_eq!(code("audithound top user 'code:999'"), 1);
    assert_eq!(code("audithound histogram --interval never"), 2);
}

#[test]
fn count_prints_one_integer_and_nothing_else() {
    let folder = evidence();
    typed(folder.path(), "audithound index evidence");
    for (line, expected) in [
        ("audithound search '*' --count", "640\n"),
        ("audithound search 'code:999' --count", "0\n"),
        ("audithound scan '*' evidence --count", "640\n"),
        ("audithound rejected --count", "1\n"),
    ] {
        let output = typed(folder.path(), line);
        assert_eq!(stdout(&output), expected, "{line}");
    }
}

#[test]
fn search_and_scan_print_the_same() {
    let folder = evidence();
    typed(folder.path(), "audithound index evidence");
    for question in ["*", "code:>=400", "sub:exec", "-user:system:*", "requestObject.spec:*", "403"]
    {
        for options in [
            "--format raw --limit 0",
            "--format jsonl --limit 0",
            "--format csv --limit 7",
            "--sort newest --limit 3",
            "--fields time,user,source,hour --limit 9 --tz Europe/Berlin",
            "--since 30m --no-platform",
        ] {
            let search = typed(folder.path(), &format!("audithound search '{question}' {options}"));
            let scan =
                typed(folder.path(), &format!("audithound scan '{question}' evidence {options}"));
            assert_eq!(stdout(&search), stdout(&scan), "{question} {options}");
            assert_eq!(search.status.code(), scan.status.code(), "{question} {options}");
        }
    }
}

#[test]
fn the_summary_of_an_index_run_is_the_last_line() {
    let folder = evidence();
    let output = typed(folder.path(), "audithound index evidence --format json");
    let text = stdout(&output);
    let value: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    for key in [
        "sources",
        "bytes_read",
        "lines_read",
        "events_indexed",
        "duplicates",
        "blank",
        "rejected",
        "first_event",
        "last_event",
        "elapsed_ms",
    ] {
        assert!(value.get(key).is_some(), "{key} is missing in {text}");
    }
    assert_eq!(value["events_indexed"], 640);
    let again = typed(folder.path(), "audithound index evidence --format json");
    let text = stdout(&again);
    let value: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(value["events_indexed"], 0, "{text}");
}

#[test]
fn a_flipped_byte_is_named_with_its_place() {
    let folder = evidence();
    typed(folder.path(), "audithound index evidence");
    let sound = typed(folder.path(), "audithound verify");
    assert_eq!(sound.status.code(), Some(0), "{}", stdout(&sound));
    let path = folder.path().join("evidence/copy-from-laptop.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let source = typed(folder.path(), "audithound verify");
    assert_eq!(source.status.code(), Some(2), "{}", stdout(&source));
    assert!(stdout(&source).contains("copy-from-laptop.log"), "{}", stdout(&source));
    // Without its sources the index is checked alone, and that is said.
    std::fs::remove_dir_all(folder.path().join("evidence")).unwrap();
    let alone = typed(folder.path(), "audithound verify");
    assert_eq!(alone.status.code(), Some(0), "{}", stdout(&alone));
    assert!(stdout(&alone).contains("gone "), "{}", stdout(&alone));
    let path = folder.path().join("audithound.index/packs-000001");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let index = typed(folder.path(), "audithound verify");
    assert_eq!(index.status.code(), Some(2), "{}", stdout(&index));
    assert!(stdout(&index).contains("packs-000001"), "{}", stdout(&index));
}

#[test]
fn two_copies_are_compared_by_what_the_events_are() {
    let folder = evidence();
    let original = std::fs::read(folder.path().join("evidence/copy-from-laptop.log")).unwrap();
    let cut: Vec<u8> =
        original.split_inclusive(|byte| *byte == b'\n').skip(2).flatten().copied().collect();
    std::fs::write(folder.path().join("cut.log"), cut).unwrap();
    let same = typed(
        folder.path(),
        "audithound compare evidence/copy-from-laptop.log evidence/copy-from-laptop.log --count",
    );
    assert_eq!((stdout(&same).as_str(), same.status.code()), ("0\n", Some(1)));
    let output = typed(folder.path(), "audithound compare evidence/copy-from-laptop.log cut.log");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains(" only in A, 0 only in B"), "{}", stdout(&output));
}
