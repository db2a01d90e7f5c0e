//! Simple commands, in dash's order: words, redirections, assignments, then the command itself.

use std::fmt::Write as _;

use super::builtins::{self, Builtin, Kind};
use super::expand::Arguments;
use super::process::Status;
use super::programs::Program;
use super::state::{Flow, Function, Run, Scope, Shell, Variable};
use super::syntax::{Piece, Simple, Word};

/// What a command word stands for.
#[derive(Debug)]
pub(super) enum Target {
    /// No command word: assignments and redirections only.
    Nothing,
    Builtin(&'static Builtin),
    Function(Function),
    Program(Program),
}

impl Shell<'_> {
    /// Runs a simple command.
    pub(super) fn simple(&mut self, simple: &Simple, tested: bool) -> Run {
        self.session.step()?;
        self.substituted = None;
        let args = self.arguments(&simple.words)?;
        let target = match args.first() {
            None => Target::Nothing,
            Some(name) => self.target(name),
        };
        let special = matches!(&target, Target::Builtin(builtin) if builtin.is_special());
        let saved = (!simple.redirects.is_empty()).then(|| self.state.files.clone());
        let line = self.line;
        let result = match self.redirect_all(&simple.redirects) {
            Ok(true) => self.with_assignments(simple, &target, &args, tested),
            Ok(false) if special && !self.state.bash => Err(Flow::Error),
            Ok(false) => Ok(self.state.failure()),
            Err(flow) => Err(flow),
        };
        if !matches!(result, Err(Flow::Halt(_))) {
            self.line = line;
        }
        if let Some(saved) = saved
            && !keeps_redirections(&args)
        {
            self.state.files = saved;
        }
        result
    }

    /// Expands the words of a command; those of `export` and the like that look like assignments are not split.
    fn arguments(&mut self, words: &[Word]) -> Run<Vec<String>> {
        let mut args = Arguments::default();
        for word in words {
            let declares = args
                .words
                .iter()
                .find(|arg| *arg != "command")
                .is_some_and(|name| self.declares(name));
            if declares && looks_like_assignment(word) {
                let text = self.assignment_word(word)?;
                args.extend(vec![text], &self.session)?;
            } else {
                args.extend(self.fields(word)?, &self.session)?;
            }
        }
        Ok(args.words)
    }

    fn declares(&self, name: &str) -> bool {
        builtins::find(name, self.state.bash).is_some_and(|builtin| builtin.kind == Kind::Declaring)
            && !self.state.functions.contains_key(name)
    }

    /// What `name` stands for, in the order of XCU 2.9.1.4.
    pub(super) fn target(&self, name: &str) -> Target {
        let builtin = builtins::find(name, self.state.bash);
        if let Some(builtin) = builtin
            && builtin.is_special()
        {
            return Target::Builtin(builtin);
        }
        if let Some(function) = self.state.functions.get(name) {
            return Target::Function(function.clone());
        }
        match builtin {
            Some(builtin) => Target::Builtin(builtin),
            None => Target::Program(self.program(name)),
        }
    }

    fn with_assignments(&mut self, simple: &Simple, target: &Target, args: &[String], tested: bool) -> Run {
        let lasting = match target {
            Target::Nothing => true,
            Target::Builtin(builtin) => builtin.is_special(),
            Target::Function(_) | Target::Program(_) => false,
        };
        let scoped = !lasting && !simple.assignments.is_empty();
        if scoped {
            self.state.scopes.push(Scope::default());
        }
        let result = self.assign_and_run(simple, lasting, target, args, tested);
        if scoped && !matches!(result, Err(Flow::Halt(_))) {
            self.state.leave_scope();
        }
        result
    }

    fn assign_and_run(
        &mut self,
        simple: &Simple,
        lasting: bool,
        target: &Target,
        args: &[String],
        tested: bool,
    ) -> Run {
        let mut trace = String::new();
        for assignment in &simple.assignments {
            let name = &assignment.name;
            if !lasting {
                self.make_temporary(name);
            }
            let value = self.assign(assignment)?;
            let _ = write!(trace, " {name}={value}");
        }
        if self.state.options.has("xtrace") {
            for arg in args {
                let _ = write!(trace, " {arg}");
            }
            let prompt = self.state.get("PS4").unwrap_or("+ ").to_owned();
            let text = format!("{prompt}{}\n", trace.trim_start());
            self.write(2, text.as_bytes())?;
        }
        self.tested = tested;
        match target {
            Target::Nothing => Ok(self.substituted.unwrap_or(0)),
            Target::Builtin(builtin) => self.run_builtin(builtin, args),
            Target::Function(function) => {
                // The scope of its assignments becomes part of the function's own, as in dash.
                self.call(function, &args[1..], tested)
            }
            Target::Program(program) => self.run_program(program, args),
        }
    }

    /// Runs a builtin; an error ends the shell only if the builtin is special, and in bash only if it runs others.
    pub(super) fn run_builtin(&mut self, builtin: &Builtin, args: &[String]) -> Run {
        let name = builtin.name;
        match (builtin.run)(self, args) {
            Err(Flow::Error) if matches!(name, "[" | "test" | "getopts") => Ok(2),
            Err(Flow::Error) if name == "set" && self.state.bash => Ok(2),
            Err(Flow::Error) if self.state.bash && !matches!(name, "eval" | "." | "source") => Ok(1),
            Err(Flow::Error) if !builtin.is_special() => Ok(2),
            other => other,
        }
    }

    /// Makes `name` a variable of this command only, exported.
    fn make_temporary(&mut self, name: &str) {
        self.state.make_local(name);
        let variable: &mut Variable = self.state.variables.entry(name.to_owned()).or_default();
        variable.exported = true;
    }

    /// Writes the output of a builtin; 1 (with a message) if standard output is closed.
    pub(super) fn put_out(&mut self, name: &str, data: &[u8], status: Status) -> Run {
        if data.is_empty() || self.write(1, data)? {
            return Ok(status);
        }
        self.complain(&format!("{name}: {name}: I/O error"));
        Ok(1)
    }
}

/// `exec` without a command leaves its redirections in force.
fn keeps_redirections(args: &[String]) -> bool {
    let mut words = args.iter().skip_while(|arg| *arg == "command");
    words.next().is_some_and(|name| name == "exec") && words.next().is_none()
}

fn looks_like_assignment(word: &Word) -> bool {
    match word.0.first() {
        Some(Piece::Literal(text)) => super::parse::split_assignment(text).is_some(),
        _ => false,
    }
}
