//! Control flow: lists, pipelines, compound commands, subshells, functions; `set -e` after dash's `evaltree`.

use std::rc::Rc;

use super::expand::Arguments;
use super::files::Description;
use super::parse::{ParseError, Parser, Problem};
use super::process::{Halt, Status};
use super::state::{Flow, Function, Run, Scope, Shell};
use super::syntax::{AndOr, Arm, Command, CommandKind, Compound, Junction, List, Pipeline, Redirect, Word};

impl Shell<'_> {
    /// Runs a text, command by command; its first line counts as `line`.
    pub(super) fn run_text(&mut self, text: &str, line: usize, tested: bool) -> Run {
        self.session.parses(text.len())?;
        self.nested(|shell| {
            let mut parser = Parser::new(text, line, shell.state.bash);
            let mut status = 0;
            loop {
                parser.aliases = Rc::clone(&shell.state.aliases);
                match parser.next_command() {
                    Ok(None) => return Ok(status),
                    Ok(Some(list)) => status = shell.list(&list, tested)?,
                    Err(error) => return Err(shell.parse_error(error)),
                }
            }
        })
    }

    fn parse_error(&mut self, error: ParseError) -> Flow {
        self.line = error.line;
        match error.problem {
            Problem::Halt(halt) => Flow::Halt(halt),
            Problem::Syntax(message) => self.error(&format!("Syntax error: {message}")),
        }
    }

    /// Runs commands one after another; `tested`: a failure is looked at by someone, so `set -e` does not end us.
    pub(super) fn list(&mut self, list: &List, tested: bool) -> Run {
        let mut status = 0;
        for and_or in &list.0 {
            status = self.and_or(and_or, tested)?;
        }
        Ok(status)
    }

    fn and_or(&mut self, and_or: &AndOr, tested: bool) -> Run {
        if and_or.background {
            return self.background(and_or);
        }
        self.joined(and_or, tested)
    }

    /// Runs something in the background: to its end, now, which is one of the orders a real machine could choose.
    fn background(&mut self, and_or: &AndOr) -> Run {
        let pid = self.session.new_pid();
        let status = self.subshell(|shell| {
            shell.state.files.insert(0, Description::null());
            shell.joined(and_or, false)
        })?;
        self.state.jobs.insert(pid, status);
        self.state.background = Some(pid);
        self.state.status = 0;
        Ok(0)
    }

    fn joined(&mut self, and_or: &AndOr, tested: bool) -> Run {
        let mut left = and_or.rest.len();
        let mut status = self.pipeline(&and_or.first, tested || left > 0)?;
        for (junction, pipeline) in &and_or.rest {
            left -= 1;
            if (status == 0) == (*junction == Junction::And) {
                status = self.pipeline(pipeline, tested || left > 0)?;
            }
        }
        Ok(status)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, tested: bool) -> Run {
        let checked = tested || pipeline.negated;
        let mut status = match pipeline.stages.as_slice() {
            [command] => self.command(command, checked)?,
            stages => {
                let status = self.stages(stages, checked)?;
                self.state.status = status;
                self.check_errexit(status, checked)?;
                status
            }
        };
        if pipeline.negated {
            status = u8::from(status == 0);
            self.state.status = status;
        }
        Ok(status)
    }

    /// Runs the stages one after the other, each in a subshell that reads all that the one before wrote.
    fn stages(&mut self, stages: &[Command], tested: bool) -> Run {
        let mut input = None;
        let mut result = 0;
        let pipefail = self.state.options.has("pipefail");
        for (index, stage) in stages.iter().enumerate() {
            let last = index + 1 == stages.len();
            let output = Description::output();
            let pipe = Rc::clone(&output);
            let from = input.take();
            let status = self.subshell(|shell| {
                if let Some(from) = from {
                    shell.state.files.insert(0, from);
                }
                if !last {
                    shell.state.files.insert(1, pipe);
                }
                shell.command(stage, tested)
            })?;
            if !pipefail || status != 0 {
                result = status;
            }
            input = Some(Description::input(Description::collected(&output)));
        }
        Ok(result)
    }

    /// Under `set -e` an untested failure ends the shell.
    fn check_errexit(&self, status: Status, tested: bool) -> Run<()> {
        if status != 0 && !tested && self.state.options.has("errexit") {
            return Err(Flow::Exit(status));
        }
        Ok(())
    }

    /// Runs one command and sets `$?`.
    pub(super) fn command(&mut self, command: &Command, tested: bool) -> Run {
        self.line = command.line;
        match &command.kind {
            CommandKind::Simple(simple) => {
                let status = self.simple(simple, tested)?;
                self.state.status = status;
                self.check_errexit(status, tested)?;
                Ok(status)
            }
            CommandKind::Function(name, body) => {
                let function = Function {
                    body: Rc::clone(body),
                    origin: Rc::clone(&self.origin),
                };
                self.state.functions.insert(name.clone(), function);
                self.state.status = 0;
                Ok(0)
            }
            CommandKind::Compound(compound, redirects) => {
                let subshell = matches!(**compound, Compound::Subshell(_));
                let status = self.nested(|shell| shell.redirected(compound, redirects, tested))?;
                self.state.status = status;
                // Of the compound commands dash looks only at subshells; in the others the failing command inside counts.
                self.check_errexit(status, tested || !subshell)?;
                Ok(status)
            }
        }
    }

    fn redirected(&mut self, compound: &Compound, redirects: &[Redirect], tested: bool) -> Run {
        if redirects.is_empty() {
            return self.compound(compound, tested);
        }
        let saved = self.state.files.clone();
        let result = match self.redirect_all(redirects) {
            Ok(true) => self.compound(compound, tested),
            Ok(false) => {
                let status = self.state.failure();
                self.check_errexit(status, tested).map(|()| status)
            }
            Err(flow) => Err(flow),
        };
        self.state.files = saved;
        result
    }

    fn compound(&mut self, compound: &Compound, tested: bool) -> Run {
        match compound {
            Compound::Group(list) => self.list(list, tested),
            Compound::Subshell(list) => self.subshell(|shell| shell.list(list, tested)),
            Compound::If { arms, otherwise } => {
                for (condition, branch) in arms {
                    if self.list(condition, true)? == 0 {
                        return self.list(branch, tested);
                    }
                }
                otherwise.as_ref().map_or(Ok(0), |branch| self.list(branch, tested))
            }
            Compound::Loop { until, condition, body } => self.looping(|shell, status| {
                if (shell.list(condition, true)? == 0) == *until {
                    return Ok(false);
                }
                *status = shell.list(body, tested)?;
                Ok(true)
            }),
            Compound::For { name, words, body } => self.for_loop(name, words.as_deref(), body, tested),
            Compound::Case { subject, arms } => self.case(subject, arms, tested),
            Compound::Test(expr) => Ok(u8::from(!self.extended_test(expr)?)),
            Compound::Arithmetic(expression) => Ok(u8::from(self.arithmetic(expression)? == 0)),
        }
    }

    /// Runs rounds of a loop until one answers `false` or is broken out of.
    fn looping(&mut self, mut round: impl FnMut(&mut Self, &mut Status) -> Run<bool>) -> Run {
        let mut status = 0;
        self.state.loops += 1;
        let result = loop {
            self.session.step()?;
            match round(self, &mut status) {
                Ok(true) => {}
                Ok(false) => break Ok(status),
                Err(Flow::Continue(1)) => status = 0,
                Err(Flow::Break(1)) => break Ok(0),
                Err(Flow::Continue(levels)) => break Err(Flow::Continue(levels - 1)),
                Err(Flow::Break(levels)) => break Err(Flow::Break(levels - 1)),
                Err(flow) => break Err(flow),
            }
        };
        self.state.loops = self.state.loops.saturating_sub(1);
        result
    }

    fn for_loop(&mut self, name: &str, words: Option<&[Word]>, body: &List, tested: bool) -> Run {
        let values = match words {
            None => self.state.params.clone(),
            Some(words) => {
                let mut values = Arguments::default();
                for word in words {
                    values.extend(self.fields(word)?, &self.session)?;
                }
                values.words
            }
        };
        let mut values = values.into_iter();
        self.looping(|shell, status| {
            let Some(value) = values.next() else { return Ok(false) };
            shell.set(name, &value)?;
            *status = shell.list(body, tested)?;
            Ok(true)
        })
    }

    fn case(&mut self, subject: &Word, arms: &[Arm], tested: bool) -> Run {
        self.substituted = None;
        let subject: Vec<char> = self.string(subject)?.chars().collect();
        let mut status = self.substituted.unwrap_or(0);
        let mut falls = false;
        for arm in arms {
            let mut hit = falls;
            for pattern in &arm.patterns {
                if !hit {
                    let pattern = self.pattern(pattern)?;
                    hit = self.matches(&pattern, &subject)?;
                }
            }
            if !hit {
                continue;
            }
            if !arm.body.0.is_empty() {
                status = self.list(&arm.body, tested)?;
            }
            if !arm.falls_through {
                return Ok(status);
            }
            falls = true;
        }
        Ok(status)
    }

    /// Runs something in a copy of this shell.
    pub(super) fn subshell(&mut self, run: impl FnOnce(&mut Self) -> Run) -> Run {
        // What a subshell costs: a copy of everything that it could change.
        self.session.work(self.state.weight())?;
        let saved = self.state.clone();
        let (line, origin) = (self.line, Rc::clone(&self.origin));
        self.state.traps.clear();
        self.state.jobs.clear();
        let result = self.nested(run);
        let status = self.finish(result)?;
        self.state = saved;
        self.line = line;
        self.origin = origin;
        Ok(status)
    }

    /// The exit status of a shell that ended with `result`, its EXIT trap run.
    pub(super) fn finish(&mut self, result: Run) -> Result<Status, Halt> {
        let status = match result {
            Ok(status) | Err(Flow::Exit(status) | Flow::Return(status)) => status,
            Err(Flow::Break(_) | Flow::Continue(_)) => self.state.status,
            Err(Flow::Error) => self.state.failure(),
            Err(Flow::Halt(halt)) => {
                self.session.halted_at(&self.origin, self.line);
                return Err(halt);
            }
        };
        let Some(action) = self.state.traps.remove("EXIT") else {
            return Ok(status);
        };
        self.state.status = status;
        match self.run_text(&action, self.line.max(1), false) {
            Err(Flow::Exit(status)) => Ok(status),
            Err(Flow::Error) => Ok(self.state.failure()),
            Err(Flow::Halt(halt)) => {
                self.session.halted_at(&self.origin, self.line);
                Err(halt)
            }
            Ok(_) | Err(_) => Ok(status),
        }
    }

    /// Calls a function.
    pub(super) fn call(&mut self, function: &Function, args: &[String], tested: bool) -> Run {
        let params = std::mem::replace(&mut self.state.params, args.to_vec());
        let loops = std::mem::replace(&mut self.state.loops, 0);
        let origin = std::mem::replace(&mut self.origin, Rc::clone(&function.origin));
        let (line, offset) = (self.line, self.state.getopts_offset);
        self.state.scopes.push(Scope::default());
        self.state.calls += 1;
        let result = self.nested(|shell| shell.command(&function.body, tested));
        if matches!(result, Err(Flow::Halt(_))) {
            return result;
        }
        self.state.calls -= 1;
        self.state.leave_scope();
        self.state.params = params;
        self.state.loops = loops;
        self.state.getopts_offset = offset;
        self.origin = origin;
        self.line = line;
        match result {
            Err(Flow::Return(status)) => Ok(status),
            other => other,
        }
    }
}
