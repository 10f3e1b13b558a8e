//! How the program ends: 0 found, 1 nothing found, 2 error.

use std::io::ErrorKind;
use std::process::ExitCode;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something was found, or the work is done.
    Found,
    /// The question could be asked, and nothing matches.
    Nothing,
    /// What was checked is not in order (a damaged index); the reasons were already said.
    Failed,
}

impl Exit {
    /// Returns `Found` where `found` holds, else `Nothing`.
    pub fn found(found: bool) -> Exit {
        if found { Exit::Found } else { Exit::Nothing }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        match exit {
            Exit::Found => ExitCode::SUCCESS,
            Exit::Nothing => ExitCode::from(1),
            Exit::Failed => ExitCode::from(2),
        }
    }
}

/// Says whether an error only means that whoever reads our output went away (`| head`), which
/// ends the program quietly.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_seen_below_its_context() {
        let pipe = std::io::Error::from(ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&anyhow::Error::from(pipe).context("cannot write the results")));
        let disk = std::io::Error::from(ErrorKind::StorageFull);
        assert!(!is_closed_pipe(&anyhow::Error::from(disk)));
    }
}
