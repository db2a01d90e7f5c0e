//! The border between the shell and the commands it starts.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::session::Session;
use crate::system::System;

/// Exit status of a command, 0 to 255.
pub type Status = u8;

/// Why interpretation cannot go on: not a failing script, but something we do not do (or must not do).
/// The shell adds package, script and line on the way out.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Halt {
    /// No command of this name in the table or the tree.
    #[error("`{0}`: no such command in the vocabulary")]
    UnknownCommand(String),
    /// The command is known, this use of it is not.
    #[error("`{command}`: {what} is not supported")]
    Unsupported {
        /// Command or shell construct.
        command: String,
        /// Option, operand or construct, as written.
        what: String,
    },
    /// A bound was hit (steps, output size, recursion depth).
    #[error("{0}")]
    Limit(String),
}

/// Characters of a name or an argument that an error quotes.
const QUOTED: usize = 300;

impl Halt {
    /// The halt for what `command` does not do, as written, be it shortened.
    pub(super) fn unsupported(command: &str, what: String) -> Self {
        Self::Unsupported {
            command: shortened(command.to_owned()),
            what: shortened(what),
        }
    }

    /// The halt for a command that nobody knows.
    pub(super) fn unknown(name: &str) -> Self {
        Self::UnknownCommand(shortened(name.to_owned()))
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Result of what a command does; an ordinary failure is a [`Status`], not a [`Halt`].
pub type Outcome = Result<Status, Halt>;

/// A command of ours: reads arguments and standard input, changes the system, writes, answers a status.
pub type Command = fn(&mut Process<'_>) -> Outcome;

/// One running command.
#[derive(Debug)]
pub struct Process<'a> {
    /// The machine.
    pub system: &'a mut System,
    /// Arguments; `args[0]` is the name the command was called by.
    pub args: Vec<String>,
    /// Exported variables.
    pub env: BTreeMap<String, String>,
    /// Current directory, absolute, without links.
    pub cwd: String,
    /// File mode creation mask.
    pub umask: u32,
    /// What is left on standard input (pipeline stages run one after another). A command that reads takes what it
    /// read ([`Process::read_stdin`]): what is left here afterwards is what the next command in a loop will read.
    pub stdin: Bytes,
    /// Collected standard output; the shell routes it when the command ends.
    pub stdout: Vec<u8>,
    /// Collected standard error.
    pub stderr: Vec<u8>,
    /// Package and script on whose behalf this runs, for notes.
    pub origin: Origin,
    /// Starts another program with the given environment and input (for `xargs`, `find -exec`, `env`, `sh -c`,
    /// `run-parts`): a command of the table or a shell script of the tree.
    pub spawner: Spawner,
    /// Variables the shell shall set when the command has ended, in order (debconf's `RET`).
    pub assigns: Vec<(String, String)>,
    /// Options and remaining budget of the interpretation; handed on to whatever the command spawns.
    pub session: Session,
}

/// The script that is being interpreted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Package name.
    pub package: String,
    /// `preinst`, `postinst`, `config`, … or the path of a script in the tree.
    pub script: String,
}

/// How a command starts another one: its own system, environment, directory and umask, given arguments and input.
pub type Spawner = fn(parent: &mut Process<'_>, args: &[String], stdin: Bytes) -> Outcome;

impl<'a> Process<'a> {
    /// A process with arguments `args`, in `/`, with umask 022, the usual `PATH`, no input and a fresh session.
    pub fn new(system: &'a mut System, args: &[&str]) -> Self {
        Self {
            system,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: BTreeMap::from([("PATH".to_owned(), super::PATH.to_owned())]),
            cwd: "/".to_owned(),
            umask: 0o022,
            stdin: Bytes::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            origin: Origin::default(),
            spawner: super::spawn,
            assigns: Vec::new(),
            session: Session::default(),
        }
    }

    /// Takes all that is left on standard input.
    pub fn read_stdin(&mut self) -> Bytes {
        std::mem::take(&mut self.stdin)
    }

    /// Sets `name` in the shell that started this command, as debconf's `db_get` sets `RET`.
    pub fn assign(&mut self, name: &str, value: impl Into<String>) {
        self.assigns.push((name.to_owned(), value.into()));
    }

    /// Runs `args` as a child; its output is added to this process's output.
    pub fn spawn(&mut self, args: &[String], stdin: Bytes) -> Outcome {
        let spawner = self.spawner;
        spawner(self, args, stdin)
    }

    /// `path` made absolute against the current directory.
    pub fn path(&self, path: &str) -> String {
        if path.starts_with('/') || path.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.cwd.trim_end_matches('/'))
        }
    }

    /// Writes a line to standard output.
    pub fn say(&mut self, line: &str) {
        self.stdout.extend_from_slice(line.as_bytes());
        self.stdout.push(b'\n');
    }

    /// Writes `NAME: text` to standard error and answers 1.
    pub fn fail(&mut self, text: &str) -> Status {
        let line = format!("{}: {text}\n", self.args[0]);
        self.stderr.extend_from_slice(line.as_bytes());
        1
    }

    /// Records that something asked for was knowingly not done.
    pub fn note(&mut self, text: impl Into<String>) {
        let note = crate::system::Note {
            package: self.origin.package.clone(),
            script: self.origin.script.clone(),
            text: text.into(),
        };
        if !self.system.notes.contains(&note) {
            self.system.notes.push(note);
        }
    }

    /// The error for an option or use this command does not have.
    pub fn unsupported(&self, what: impl Into<String>) -> Halt {
        Halt::unsupported(&self.args[0], what.into())
    }
}
