//! Runs a program, statement by statement.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::expressions::index;
use super::syntax::{Expression, Rule, Statement, When};
use super::value::Value;
use crate::commands::regular_expression::Pattern;
use crate::shell::process::Halt;
use crate::shell::session::Session;

/// Why running a statement does not go on with the next one.
#[derive(Debug)]
pub(super) enum Stop {
    Next,
    Exit(u8),
    Break,
    Continue,
    Unsupported(String),
    Halt(Halt),
}

pub(super) type Ran = Result<(), Stop>;

/// Variables, the current record and the output.
pub(super) struct Machine {
    pub(super) variables: BTreeMap<String, Value>,
    pub(super) arrays: BTreeMap<String, BTreeMap<String, Value>>,
    pub(super) record: String,
    pub(super) fields: Vec<String>,
    /// The record is to be made anew from the fields.
    pub(super) stale: bool,
    pub(super) open_ranges: BTreeMap<usize, bool>,
    pub(super) patterns: BTreeMap<String, Rc<Pattern>>,
    session: Session,
    pub(super) output: Vec<u8>,
    pub(super) errors: Vec<u8>,
}

impl Machine {
    /// A machine that draws on the budget of `session`: a loop that never ends must stop the build.
    pub(super) fn new(environment: BTreeMap<String, String>, session: Session) -> Self {
        let mut machine = Self {
            variables: BTreeMap::new(),
            arrays: BTreeMap::new(),
            record: String::new(),
            fields: Vec::new(),
            stale: false,
            open_ranges: BTreeMap::new(),
            patterns: BTreeMap::new(),
            session,
            output: Vec::new(),
            errors: Vec::new(),
        };
        for (name, value) in [
            ("FS", " "),
            ("OFS", " "),
            ("ORS", "\n"),
            ("RS", "\n"),
            ("SUBSEP", "\u{1c}"),
            ("CONVFMT", "%.6g"),
            ("OFMT", "%.6g"),
        ] {
            machine.variables.insert(name.to_owned(), Value::Text(value.to_owned()));
        }
        for name in ["NR", "FNR", "NF", "RSTART"] {
            machine.variables.insert(name.to_owned(), Value::Number(0.0));
        }
        machine.variables.insert("RLENGTH".to_owned(), Value::Number(-1.0));
        let environment = environment.into_iter().map(|(name, value)| (name, Value::Input(value)));
        machine.arrays.insert("ENVIRON".to_owned(), environment.collect());
        machine
    }

    /// Assigns what comes from the command line: text that may be a number.
    pub(super) fn assign_input(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), Value::Input(value.to_owned()));
    }

    pub(super) fn variable(&self, name: &str) -> Value {
        self.variables.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn text_of(&self, name: &str) -> String {
        self.variable(name).text("%.6g")
    }

    pub(super) fn convert(&self, value: &Value) -> String {
        match value {
            Value::Number(_) => value.text(&self.text_of("CONVFMT")),
            other => other.text("%.6g"),
        }
    }

    /// Runs the `BEGIN` rules, or the `END` rules.
    pub(super) fn run_named(&mut self, rules: &Rc<[Rule]>, begin: bool) -> Ran {
        for rule in rules.iter() {
            if matches!((&rule.when, begin), (When::Begin, true) | (When::End, false)) {
                self.run(&rule.action)?;
            }
        }
        Ok(())
    }

    /// Counts against the budget.
    pub(super) fn step(&mut self) -> Ran {
        self.session.step().map_err(Stop::Halt)
    }

    /// Checks that a text or the output may be `length` bytes long.
    pub(super) fn fits(&self, length: usize) -> Ran {
        self.session.fits(length).map_err(Stop::Halt)
    }

    pub(super) fn run(&mut self, statement: &Statement) -> Ran {
        self.step()?;
        match statement {
            Statement::Block(statements) => statements.iter().try_for_each(|statement| self.run(statement)),
            Statement::Expression(expression) => self.value(expression).map(drop),
            Statement::Print(values, file) => {
                let text = if values.is_empty() {
                    self.field(0.0)?.text("%.6g")
                } else {
                    let convert = self.text_of("OFMT");
                    let texts = values.iter().map(|value| Ok(self.value(value)?.text(&convert)));
                    let texts = texts.collect::<Result<Vec<_>, Stop>>()?;
                    texts.join(&self.text_of("OFS"))
                };
                let text = text + &self.text_of("ORS");
                self.write(&text, file.as_ref())
            }
            Statement::Printf(values, file) => {
                let text = self.formatted(values)?;
                self.write(&text, file.as_ref())
            }
            Statement::If(condition, yes, no) => {
                if self.value(condition)?.holds() {
                    self.run(yes)
                } else {
                    no.as_ref().map_or(Ok(()), |no| self.run(no))
                }
            }
            Statement::While(condition, body) => self.repeat(None, Some(condition), None, body),
            Statement::For(first, condition, step, body) => {
                self.repeat(first.as_deref(), condition.as_ref(), step.as_deref(), body)
            }
            Statement::Do(body, condition) => {
                match self.run(body) {
                    Err(Stop::Break) => return Ok(()),
                    Err(Stop::Continue) => {}
                    other => other?,
                }
                self.repeat(None, Some(condition), None, body)
            }
            Statement::ForIn(key, array, body) => {
                let keys: Vec<String> = self
                    .arrays
                    .get(array)
                    .map(|array| array.keys().cloned().collect())
                    .unwrap_or_default();
                for name in keys {
                    self.variables.insert(key.clone(), Value::Input(name));
                    match self.run(body) {
                        Err(Stop::Break) => break,
                        Err(Stop::Continue) => {}
                        other => other?,
                    }
                }
                Ok(())
            }
            Statement::Delete(array, None) => {
                self.arrays.remove(array);
                Ok(())
            }
            Statement::Delete(array, Some(subscripts)) => {
                let key = self.key(subscripts)?;
                if let Some(array) = self.arrays.get_mut(array) {
                    array.remove(&key);
                }
                Ok(())
            }
            Statement::Next => Err(Stop::Next),
            Statement::Break => Err(Stop::Break),
            Statement::Continue => Err(Stop::Continue),
            Statement::Exit(None) => Err(Stop::Exit(0)),
            Statement::Exit(Some(status)) => {
                let status = self.value(status)?.number();
                Err(Stop::Exit(u8::try_from(index(status.rem_euclid(256.0))?).unwrap_or(0)))
            }
        }
    }

    fn repeat(
        &mut self,
        first: Option<&Statement>,
        condition: Option<&Expression>,
        step: Option<&Statement>,
        body: &Statement,
    ) -> Ran {
        if let Some(first) = first {
            self.run(first)?;
        }
        while condition.map_or(Ok(true), |condition| Ok::<_, Stop>(self.value(condition)?.holds()))? {
            match self.run(body) {
                Err(Stop::Break) => break,
                Err(Stop::Continue) => {}
                other => other?,
            }
            if let Some(step) = step {
                self.run(step)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &str, file: Option<&Expression>) -> Ran {
        let name = file
            .map(|file| self.value(file))
            .transpose()?
            .map(|name| self.convert(&name));
        match name.as_deref() {
            None | Some("/dev/stdout" | "-") => self.output.extend_from_slice(text.as_bytes()),
            Some("/dev/stderr") => self.errors.extend_from_slice(text.as_bytes()),
            Some(other) => return Err(Stop::Unsupported(format!("writing {other}"))),
        }
        self.fits(self.output.len().max(self.errors.len()))
    }
}
