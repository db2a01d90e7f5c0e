//! A POSIX shell over a [`System`]: what dash does, as far as maintainer scripts go.
//!
//! Nothing is executed: every command word is a builtin, a function, a command of [`crate::commands`], or a
//! shell script of the tree, which is interpreted in turn. Anything else stops the interpretation.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use crate::system::System;
use files::Description;
use process::{Halt, Origin, Outcome, Process, Status};
use session::Session;
use state::{Shell, State};

/// What a command sees of the shell that started it.
pub mod process;

/// Options and bounds of an interpretation.
pub mod session;

/// What a script uses, without running it.
pub mod inventory;

mod builtins;
mod expand;
mod files;
mod glob;
mod parse;
mod pattern;
mod programs;
mod redirect;
mod run;
mod simple;
mod state;
mod syntax;

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
    session: &Session,
    system: &mut System,
    origin: Origin,
    script: &str,
    args: &[String],
    env: &BTreeMap<String, String>,
) -> Result<Finished, Halted> {
    let depth = session.depth();
    let interpret = || interpret(session, system, &origin, script, args, env);
    // The evaluator recurses as deep as the script nests: a stack of its own keeps that off the caller's.
    let result = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("shell".to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, interpret) {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => Err((0, Halt::Limit(format!("starting a thread for the shell: {error}")))),
        }
    });
    let place = session.take_place();
    session.unwind(depth);
    result.map_err(|(line, halt)| {
        let (origin, line) = place.unwrap_or((origin, line));
        Halted { origin, line, halt }
    })
}

/// Bytes of stack for [`Session::max_depth`] levels, many times over.
const STACK: usize = 256 << 20;

fn interpret(
    session: &Session,
    system: &mut System,
    origin: &Origin,
    script: &str,
    args: &[String],
    env: &BTreeMap<String, String>,
) -> Result<Finished, (usize, Halt)> {
    let (stdout, stderr) = (Description::output(), Description::output());
    let files = BTreeMap::from([
        (0, Description::null()),
        (1, Rc::clone(&stdout)),
        (2, Rc::clone(&stderr)),
    ]);
    let Some(interpreter) = programs::interpreter(script) else {
        let line = script.lines().next().unwrap_or_default().to_owned();
        return Err((1, Halt::unknown(&line)));
    };
    let mut state = State::new(env, "/", 0o022, session.new_pid(), files);
    state.params = args.to_vec();
    state.arg0.clone_from(&origin.script);
    state.bash = interpreter.bash;
    let mut shell = Shell {
        system,
        session: session.clone(),
        origin: Rc::new(origin.clone()),
        line: 0,
        state,
        substituted: None,
        tested: false,
    };
    let result = shell.start(script, interpreter.options);
    match shell.finish(result) {
        Ok(status) => Ok(Finished {
            status,
            stdout: Description::collected(&stdout),
            stderr: Description::collected(&stderr),
        }),
        Err(halt) => Err((shell.line, halt)),
    }
}

/// Starts a command for another one: the [`process::Spawner`] every process gets.
pub fn spawn(parent: &mut Process<'_>, args: &[String], stdin: Bytes) -> Outcome {
    let Some(name) = args.first() else {
        return Err(parent.unsupported("starting a command without a name"));
    };
    let (stdout, stderr) = (Description::output(), Description::output());
    let files = BTreeMap::from([
        (0, Description::input(stdin)),
        (1, Rc::clone(&stdout)),
        (2, Rc::clone(&stderr)),
    ]);
    let session = parent.session.clone();
    let mut state = State::new(&parent.env, &parent.cwd, parent.umask, session.new_pid(), files);
    parent.args[0].clone_into(&mut state.arg0);
    let mut shell = Shell {
        system: parent.system,
        session,
        origin: Rc::new(parent.origin.clone()),
        line: 0,
        state,
        substituted: None,
        tested: false,
    };
    shell.session.step()?;
    let program = shell.program(name);
    let result = shell.nested(|shell| shell.run_program(&program, args));
    let status = shell.finish(result)?;
    let unread = shell.unread(0).unwrap_or_default();
    // `env` and its like hand on their whole input: what the child left of it is there for the next to read.
    if parent.stdin.is_empty() {
        parent.stdin = unread;
    }
    parent.stdout.extend(Description::collected(&stdout));
    parent.stderr.extend(Description::collected(&stderr));
    Ok(status)
}

#[cfg(test)]
mod tests;
