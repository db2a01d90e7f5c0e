//! What a shell remembers between commands, and the shell itself.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::files::{Files, Handle};
use super::parse::Aliases;
use super::process::{Halt, Origin, Status};
use super::session::Session;
use super::syntax::Command;
use crate::system::System;

/// Why the normal course of commands is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// `break n`
    Break(u32),
    /// `continue n`
    Continue(u32),
    /// `return`
    Return(Status),
    /// `exit`, or a failed command under `set -e`.
    Exit(Status),
    /// An error that ends the shell with 2, unless it happens in a builtin that is not special (XCU 2.8.1).
    Error,
    /// The interpretation cannot go on.
    Halt(Halt),
}

impl From<Halt> for Flow {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

pub(super) type Run<T = Status> = Result<T, Flow>;

/// A variable; one without a value may still be exported or read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: Option<String>,
    /// The elements of an array of bash, but for the first, which is the value.
    pub(super) elements: BTreeMap<u64, String>,
    pub(super) exported: bool,
    pub(super) readonly: bool,
}

impl Variable {
    /// The value at `index`.
    pub(super) fn element(&self, index: u64) -> Option<&str> {
        match index {
            0 => self.value.as_deref(),
            index => self.elements.get(&index).map(String::as_str),
        }
    }

    /// All values, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.value.iter().chain(self.elements.values())
    }
}

/// A defined function.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) body: Rc<Command>,
    /// The file it was read from, for messages.
    pub(super) origin: Rc<Origin>,
}

/// The options of `set` we know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options(u32);

/// Letter (or `\0`) and long name of each option, in the order dash lists them.
pub(super) const OPTIONS: &[(char, &str)] = &[
    ('e', "errexit"),
    ('f', "noglob"),
    ('n', "noexec"),
    ('x', "xtrace"),
    ('v', "verbose"),
    ('C', "noclobber"),
    ('a', "allexport"),
    ('b', "notify"),
    ('u', "nounset"),
    ('m', "monitor"),
    ('h', "hashall"),
    ('\0', "pipefail"),
    ('\0', "posix"),
];

impl Options {
    /// Whether the option called `name` is on.
    pub(super) fn has(self, name: &str) -> bool {
        Self::bit(name).is_some_and(|bit| self.0 & bit != 0)
    }

    pub(super) fn set(&mut self, name: &str, on: bool) {
        if let Some(bit) = Self::bit(name) {
            self.0 = if on { self.0 | bit } else { self.0 & !bit };
        }
    }

    fn bit(name: &str) -> Option<u32> {
        OPTIONS
            .iter()
            .position(|(_, known)| *known == name)
            .map(|index| 1 << index)
    }

    /// The long name of the option with this letter.
    pub(super) fn name_of(letter: char) -> Option<&'static str> {
        let known = OPTIONS.iter().find(|(known, _)| *known == letter && letter != '\0');
        known.map(|(_, name)| *name)
    }

    /// The value of `$-`.
    pub(super) fn letters(self) -> String {
        let on = OPTIONS
            .iter()
            .filter(|(letter, name)| *letter != '\0' && self.has(name));
        on.map(|(letter, _)| letter).collect()
    }
}

/// What a call of a function puts back when it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) variables: Vec<(String, Option<Variable>)>,
    pub(super) options: Option<Options>,
}

/// All a subshell gets a copy of.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) variables: BTreeMap<String, Variable>,
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) params: Vec<String>,
    pub(super) arg0: String,
    pub(super) files: Files,
    /// Current directory as the user walked there, links and all.
    pub(super) cwd: String,
    pub(super) umask: u32,
    pub(super) options: Options,
    /// `$?`
    pub(super) status: Status,
    pub(super) traps: BTreeMap<String, String>,
    pub(super) aliases: Aliases,
    /// What ran in the background: process number and status, for `wait`.
    pub(super) jobs: BTreeMap<u32, Status>,
    /// `$!`
    pub(super) background: Option<u32>,
    pub(super) scopes: Vec<Scope>,
    /// Loops of this function (or script) that are running.
    pub(super) loops: u32,
    /// Functions and sourced files that are running: where `return` leads.
    pub(super) calls: u32,
    /// `$$`
    pub(super) pid: u32,
    /// Where `getopts` is inside a word of options.
    pub(super) getopts_offset: usize,
    pub(super) bash: bool,
    /// Whether debconf's confmodule was sourced: its functions exist from then on.
    pub(super) confmodule: bool,
}

/// Bytes that an entry of a table takes beside its text.
pub(super) const ENTRY: usize = 64;

/// A shell at work on a system.
#[derive(Debug)]
pub(super) struct Shell<'s> {
    pub(super) system: &'s mut System,
    pub(super) session: Session,
    pub(super) origin: Rc<Origin>,
    /// Line of the running command. Not part of the state: after a halt it still tells the place.
    pub(super) line: usize,
    pub(super) state: State,
    /// Status of the last command substitution in the current simple command.
    pub(super) substituted: Option<Status>,
    /// Whether the running command's failure is being tested, so that `set -e` does not apply.
    pub(super) tested: bool,
}

impl State {
    /// The state of a fresh shell with the environment `env`.
    pub(super) fn new(env: &BTreeMap<String, String>, cwd: &str, umask: u32, pid: u32, files: Files) -> Self {
        let exported = |value: &String| Variable {
            value: Some(value.clone()),
            exported: true,
            ..Variable::default()
        };
        let is_name = |name: &str| super::parse::is_name(name);
        let mut state = Self {
            variables: env
                .iter()
                .filter(|(name, _)| is_name(name))
                .map(|(name, value)| (name.clone(), exported(value)))
                .collect(),
            functions: BTreeMap::new(),
            params: Vec::new(),
            arg0: "sh".to_owned(),
            files,
            cwd: cwd.to_owned(),
            umask,
            options: Options::default(),
            status: 0,
            traps: BTreeMap::new(),
            aliases: Aliases::default(),
            jobs: BTreeMap::new(),
            background: None,
            scopes: Vec::new(),
            loops: 0,
            calls: 0,
            pid,
            getopts_offset: 0,
            bash: false,
            confmodule: false,
        };
        for (name, value) in [("IFS", " \t\n"), ("OPTIND", "1"), ("PWD", cwd)] {
            state.put(name, value);
        }
        if state.get("PATH").is_none() {
            state.put("PATH", super::PATH);
        }
        if state.get("PPID").is_none() {
            state.put("PPID", "1");
        }
        state
    }

    /// The status of what fails before it begins: of a redirection, of an expansion.
    pub(super) fn failure(&self) -> Status {
        if self.bash { 1 } else { 2 }
    }

    /// Bytes, roughly, that a copy of it takes.
    pub(super) fn weight(&self) -> usize {
        let variables = self.variables.iter().map(|(name, variable)| {
            let values: usize = variable.all().map(|value| value.len() + ENTRY).sum();
            name.len() + values + ENTRY
        });
        let params = self.params.iter().map(|param| param.len() + ENTRY);
        let entries = self.functions.len() + self.files.len() + self.scopes.len() + self.jobs.len();
        variables.sum::<usize>() + params.sum::<usize>() + entries * ENTRY
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name)?.value.as_deref()
    }

    /// Sets a variable, read-only or not; whether it is exported stays.
    pub(super) fn put(&mut self, name: &str, value: &str) {
        let all_exported = self.options.has("allexport");
        let variable = self.variables.entry(name.to_owned()).or_default();
        variable.value = Some(value.to_owned());
        variable.exported |= all_exported;
    }

    /// The environment commands get.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let passes = |variable: &Variable| variable.exported && variable.elements.is_empty();
        let exported = self.variables.iter().filter(|(_, variable)| passes(variable));
        exported
            .filter_map(|(name, variable)| Some((name.clone(), variable.value.clone()?)))
            .collect()
    }

    /// Makes `name` local to the running function; its value stays until it is set.
    pub(super) fn make_local(&mut self, name: &str) {
        let old = self.variables.get(name).cloned();
        if let Some(scope) = self.scopes.last_mut()
            && !scope.variables.iter().any(|(known, _)| known == name)
        {
            scope.variables.push((name.to_owned(), old));
        }
    }

    /// Leaves the innermost scope.
    pub(super) fn leave_scope(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        for (name, old) in scope.variables.into_iter().rev() {
            match old {
                Some(variable) => self.variables.insert(name, variable),
                None => self.variables.remove(&name),
            };
        }
        if let Some(options) = scope.options {
            self.options = options;
        }
    }
}

impl Shell<'_> {
    /// Writes `NAME: LINE: text` to standard error, as dash does.
    pub(super) fn complain(&mut self, text: &str) {
        let message = format!("{}: {}: {text}\n", self.state.arg0, self.line);
        // A closed standard error swallows the message, as everywhere.
        let _ = self.write(2, message.as_bytes());
    }

    /// The error that ends the shell (or the builtin), with its message.
    pub(super) fn error(&mut self, text: &str) -> Flow {
        self.complain(text);
        Flow::Error
    }

    /// Sets a variable; an error if it is read-only.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Run<()> {
        self.session.fits_word(value.len())?;
        if self.state.variables.get(name).is_some_and(|variable| variable.readonly) {
            return Err(self.error(&format!("{name}: is read only")));
        }
        if name == "OPTIND" {
            self.state.getopts_offset = 0;
        }
        self.state.put(name, value);
        Ok(())
    }

    /// Sets one element of an array; an error if it is read-only.
    pub(super) fn set_element(&mut self, name: &str, index: u64, value: String) -> Run<()> {
        if index == 0 {
            return self.set(name, &value);
        }
        self.session.fits_word(value.len())?;
        let variable = self.state.variables.entry(name.to_owned()).or_default();
        if variable.readonly {
            return Err(self.error(&format!("{name}: is read only")));
        }
        variable.elements.insert(index, value);
        Ok(())
    }

    /// Switches the option with this letter; `false` if there is none.
    pub(super) fn set_letter(&mut self, letter: char, on: bool) -> bool {
        let name = Options::name_of(letter);
        if let Some(name) = name {
            self.state.options.set(name, on);
        }
        name.is_some()
    }

    /// Runs something that counts as one level of nesting.
    pub(super) fn nested<T>(&mut self, run: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        self.session.enter()?;
        let result = run(self);
        self.session.leave();
        result
    }

    /// The halt for a construct or builtin we lack.
    pub(super) fn unsupported(command: &str, what: impl Into<String>) -> Flow {
        Flow::Halt(Halt::unsupported(command, what.into()))
    }

    /// The current directory without symbolic links, as `getcwd(3)` tells it.
    pub(super) fn physical_cwd(&self) -> String {
        let cwd = &self.state.cwd;
        self.system.tree.canonical(cwd).unwrap_or_else(|_| cwd.clone())
    }

    /// `path` made absolute.
    pub(super) fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') || path.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.state.cwd.trim_end_matches('/'))
        }
    }

    /// The handle behind a descriptor.
    pub(super) fn handle(&self, fd: u32) -> Option<Handle> {
        self.state.files.get(&fd).cloned()
    }
}
