//! How a command ends early.

use crate::shell::process::{Halt, Outcome, Process, Status};
use crate::tree::TreeError;

/// Why a command ended before its work was done.
#[derive(Debug)]
pub(crate) enum Ending {
    /// As the real command would: a message on standard error and a status.
    Failed {
        /// Exit status.
        status: Status,
        /// The message, without the command's name.
        text: String,
    },
    /// The interpretation cannot go on.
    Halted(Halt),
}

impl Ending {
    /// Failure with status 1.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::with(1, text)
    }

    /// Failure with a given status.
    pub(crate) fn with(status: Status, text: impl Into<String>) -> Self {
        Self::Failed {
            status,
            text: text.into(),
        }
    }
}

impl From<TreeError> for Ending {
    fn from(error: TreeError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<Halt> for Ending {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

/// What the body of a command answers.
pub(crate) type Done<T = Status> = Result<T, Ending>;

/// Runs the body of a command and turns its ending into what the shell understands.
pub(crate) fn settle(process: &mut Process<'_>, body: fn(&mut Process<'_>) -> Done) -> Outcome {
    match body(process) {
        Ok(status) => Ok(status),
        Err(Ending::Failed { status, text }) => {
            if !text.is_empty() {
                process.fail(&text);
            }
            Ok(status)
        }
        Err(Ending::Halted(halt)) => Err(halt),
    }
}
