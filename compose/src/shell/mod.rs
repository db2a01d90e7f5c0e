//! A POSIX shell over a [`System`]: what dash does, as far as maintainer scripts go.
//!
//! Nothing is executed: every command word is a builtin, a function, a command of [`crate::commands`], or a
//! shell script of the tree, which is interpreted in turn. Anything else stops the interpretation.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use crate::system::System;
use process::{Halt, Origin, Outcome, Process, Status};
use session::Session;

/// What a command sees of the shell that started it.
pub mod process;

/// Options and bounds of an interpretation.
pub mod session;

/// The `PATH` dpkg gives to maintainer scripts.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A script that came to its end, well or badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Exit status.
    pub status: Status,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// A script that could not be interpreted to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halted {
    /// The script; a script of the tree if a maintainer script had called one.
    pub origin: Origin,
    /// Line of the command that stopped it, from 1.
    pub line: usize,
    /// Why.
    pub halt: Halt,
}

impl fmt::Display for Halted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, line, halt } = self;
        write!(f, "package {}, {}, line {line}: {halt}", origin.package, origin.script)
    }
}

impl std::error::Error for Halted {}

/// Interprets `script` (a text with or without `#!` line) with positional parameters `args` and environment `env`.
///
/// Commands without an implementation stop the interpretation.
pub fn run_script(
    system: &mut System,
    origin: Origin,
    script: &str,
    args: &[String],
    env: &BTreeMap<String, String>,
) -> Result<Finished, Halted> {
    run_in(&Session::default(), system, origin, script, args, env)
}

/// [`run_script`] in a given session: other options, a budget shared by several scripts.
pub fn run_in(
    _session: &Session,
    _system: &mut System,
    origin: Origin,
    _script: &str,
    _args: &[String],
    _env: &BTreeMap<String, String>,
) -> Result<Finished, Halted> {
    Err(Halted {
        origin,
        line: 0,
        halt: Halt::Unsupported {
            command: "sh".to_owned(),
            what: "interpretation".to_owned(),
        },
    })
}

/// Starts a command for another one: the [`process::Spawner`] every process gets.
pub fn spawn(parent: &mut Process<'_>, args: &[String], _stdin: Bytes) -> Outcome {
    Err(match args.first() {
        Some(name) => Halt::UnknownCommand(name.clone()),
        None => parent.unsupported("starting a command without a name"),
    })
}
