//! `audithound demo`: the bundled incident, investigated with the commands anybody would type.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;

use crate::cli::common::parse_query;
use crate::cli::exit::Exit;
use crate::event::field::CREDENTIAL_ID;
use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::report::sanitize;
use crate::search::evidence::Evidence;
use crate::search::indexed;

/// Runs one command line, results to the writer.
pub type Runner<'r> = &'r dyn Fn(&[String], &mut dyn Write) -> anyhow::Result<Exit>;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  audithound demo\n\n\
    The evidence is made up: two incidents in an hour and a half of a small cluster, in six files \
    of different kinds. It is written to DIR/evidence and indexed into DIR/index.")]
pub struct DemoArgs {
    /// Directory for the evidence and its index
    #[arg(long, value_name = "DIR", default_value = "./audithound-demo")]
    pub dir: PathBuf,
}

macro_rules! evidence {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/index-fixtures/audit-logs/demo/", $name
        )))),*]
    };
}

/// The bundled evidence (`index-fixtures/audit-logs/demo`).
const EVIDENCE: &[(&str, &[u8])] = evidence![
    "audit.log",
    "copy-from-laptop.log",
    "forwarded.log.zst",
    "must-gather.tar.gz",
    "node-logs.log.gz",
    "webhook-batch.json",
];

/// One question of the walk.
struct Step {
    /// What the analyst wants to know, and why now.
    why: &'static str,
    /// What is typed behind `audithound`.
    command: &'static [&'static str],
}

/// The walk through the investigation, in the order one would ask; `{address}` and `{credential}`
/// are what the answers before have named ([`Clues`]).
const STEPS: &[Step] = &[
    Step {
        why: "Somebody without a token was refused. From where, and what was asked for?",
        command: &["search", "user:system:anonymous AND code:403"],
    },
    Step {
        why: "Whose address is that, and who else acted from it?",
        command: &["pivot", "ip", "{address}"],
    },
    Step {
        why: "Seconds later the same address held a token. \
              A token's pod and its node are two addresses; which credentials have three or more?",
        command: &["top", "credential", "credential:*", "--distinct", "peer", "--min", "3"],
    },
    Step {
        why: "It left its pod. Where was it minted, and where was it used?",
        command: &["pivot", "credential", "{credential}"],
    },
    Step {
        why: "Why was it allowed to read every secret?",
        command: &["top", "reason", "credential:{credential} decision:allow"],
    },
    Step {
        why: "Who gave it that role?",
        command: &[
            "search",
            "resource:clusterrolebindings verb:create requestObject.roleRef.name:cluster-admin",
            "--fields",
            "time,user,peer,name,requestObject.subjects.name",
        ],
    },
    Step {
        why: "A pod in the host's process namespace: what does it run?",
        command: &[
            "search",
            "verb:create requestObject.spec.hostPID:true",
            "--fields",
            "time,user,ns,name,requestObject.spec.containers.image,\
             requestObject.spec.containers.command",
        ],
    },
    Step {
        why: "And who went in? (Four events are two requests are one session.)",
        command: &["pivot", "exec"],
    },
    Step {
        why: "The whole story from the first clue alone:",
        command: &["investigate", "{address}"],
    },
];

/// What the evidence itself answers to the first questions.
struct Clues {
    /// The address that was refused without a token.
    address: String,
    /// The credential that was used from most addresses.
    credential: String,
}

impl Clues {
    fn find(index: &Path) -> anyhow::Result<Clues> {
        let evidence = indexed::open(index)?;
        let first = |query: &str, field: Field, distinct: Option<Field>| {
            let question = parse_query(query)?;
            let rows = evidence.top(&question, TimeRange::ALL, &[field], distinct.as_ref(), 1)?;
            let value = rows.into_iter().next().and_then(|row| row.values.into_iter().next());
            value.flatten().with_context(|| format!("the demo's evidence does not answer {query}"))
        };
        let credential = Field::path(CREDENTIAL_ID);
        Ok(Clues {
            address: first("user:system:anonymous AND code:403", Field::Peer, None)?,
            credential: first("credential:*", credential, Some(Field::Peer))?,
        })
    }

    fn fill(&self, arg: &str) -> String {
        arg.replace("{address}", &self.address).replace("{credential}", &self.credential)
    }
}

/// Writes the evidence, indexes it and walks through the questions.
///
/// # Errors
/// When the directory cannot be written, or a command fails.
pub fn run(args: &DemoArgs, out: &mut dyn Write, run: Runner<'_>) -> anyhow::Result<Exit> {
    let evidence = args.dir.join("evidence");
    let index = args.dir.join("index").to_string_lossy().into_owned();
    lay_out(&evidence)?;
    writeln!(
        out,
        "Two incidents in an hour and a half of a small cluster, in {} files of different kinds.\n",
        EVIDENCE.len()
    )?;
    let path = evidence.to_string_lossy().into_owned();
    walk(1, "First the evidence becomes an index.", &["index", &path], &index, out, run)?;
    let clues = Clues::find(Path::new(&index))?;
    for (step, number) in STEPS.iter().zip(2..) {
        let command: Vec<String> = step.command.iter().map(|arg| clues.fill(arg)).collect();
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        walk(number, step.why, &command, &index, out, run)?;
    }
    let shown = sanitize::terminal(&index).into_owned();
    writeln!(
        out,
        "Go on from here:\n\n  \
         export AUDITHOUND_INDEX={shown}\n  \
         audithound show AUDIT_ID            # one request, all of it (--fields id names them)\n  \
         audithound histogram --interval 5m  # when was it busy\n  \
         audithound top user,verb 'resource:secrets'\n  \
         audithound hunt                     # every built-in rule and correlation\n  \
         audithound pivot --list             # every other way to go on from one thing\n  \
         audithound sources                  # what this evidence can and cannot show\n  \
         audithound fields                   # every name a question can use\n\n\
         And your own: audithound index PATH... --index case.index"
    )?;
    Ok(Exit::Found)
}

/// Writes the bundled files; one that is there already must be the same, for evidence is never
/// overwritten.
fn lay_out(evidence: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(evidence)
        .with_context(|| format!("cannot make the directory {}", evidence.display()))?;
    for (name, bytes) in EVIDENCE {
        let path = evidence.join(name);
        match std::fs::read(&path) {
            Ok(there) if there == *bytes => {}
            Ok(_) => bail!(
                "{} is there already and is another file\n  hint: --dir DIR names another place",
                path.display()
            ),
            Err(_) => std::fs::write(&path, bytes)
                .with_context(|| format!("cannot write {}", path.display()))?,
        }
    }
    Ok(())
}

/// Shows a command with its answer and its time.
fn walk(
    number: usize,
    why: &str,
    command: &[&str],
    index: &str,
    out: &mut dyn Write,
    run: Runner<'_>,
) -> anyhow::Result<()> {
    let typed: Vec<String> = command.iter().map(|arg| quoted(arg)).collect();
    writeln!(out, "{number}. {why}\n\n$ audithound {}", typed.join(" "))?;
    let mut args: Vec<String> = vec!["audithound".to_owned()];
    args.extend(command.iter().map(|arg| (*arg).to_owned()));
    args.extend(["--index".to_owned(), index.to_owned()]);
    let start = Instant::now();
    let mut answer: Vec<u8> = Vec::new();
    run(&args, &mut answer)?;
    let elapsed = start.elapsed();
    out.write_all(&answer)?;
    writeln!(out, "({:.1} ms)\n", elapsed.as_secs_f64() * 1e3)?;
    out.flush()?;
    Ok(())
}

/// Returns an argument as a shell would have to be told it.
fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        sanitize::terminal(arg).into_owned()
    } else {
        format!("'{}'", sanitize::terminal(arg).replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn every_step_is_a_command() {
        for step in STEPS {
            let args = ["audithound"].iter().chain(step.command);
            let parsed = Cli::try_parse_from(args);
            assert!(parsed.is_ok(), "{:?}: {}", step.command, parsed.unwrap_err());
        }
    }

    #[test]
    fn evidence_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path()).unwrap();
        lay_out(folder.path()).unwrap();
        std::fs::write(folder.path().join("audit.log"), "mine").unwrap();
        assert!(lay_out(folder.path()).is_err());
        assert_eq!(std::fs::read(folder.path().join("audit.log")).unwrap(), b"mine");
    }
}
