//! Runs a program.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::format;
use super::syntax::{Expression, Place, Rule, Statement, When};
use super::value::Value;
use crate::commands::regular_expression::{Dialect, Pattern};
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

    /// Runs the rules over the records of a file.
    pub(super) fn pattern(&mut self, text: &str) -> Result<Rc<Pattern>, Stop> {
        if let Some(known) = self.patterns.get(text) {
            return Ok(Rc::clone(known));
        }
        let unknown = |what| Stop::Unsupported(format!("pattern '{text}' ({what})"));
        let pattern = Rc::new(Pattern::new(text, Dialect::Awk, false).map_err(unknown)?);
        self.patterns.insert(text.to_owned(), Rc::clone(&pattern));
        Ok(pattern)
    }

    fn step(&mut self) -> Ran {
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

    pub(super) fn formatted(&mut self, values: &[Expression]) -> Result<String, Stop> {
        let values = values
            .iter()
            .map(|value| self.value(value))
            .collect::<Result<Vec<_>, _>>()?;
        let Some((format, values)) = values.split_first() else {
            return Err(Stop::Unsupported("printf without a format".to_owned()));
        };
        format::printf(&self.convert(format), values).map_err(Stop::Unsupported)
    }

    fn key(&mut self, subscripts: &[Expression]) -> Result<String, Stop> {
        let mut parts = Vec::new();
        for subscript in subscripts {
            let value = self.value(subscript)?;
            parts.push(self.convert(&value));
        }
        Ok(parts.join(&self.text_of("SUBSEP")))
    }

    pub(super) fn get(&mut self, place: &Place) -> Result<Value, Stop> {
        match place {
            Place::Variable(name) => Ok(self.variable(name)),
            Place::Element(array, subscripts) => {
                let key = self.key(subscripts)?;
                Ok(self
                    .arrays
                    .entry(array.clone())
                    .or_default()
                    .entry(key)
                    .or_default()
                    .clone())
            }
            Place::Field(number) => {
                let number = self.value(number)?.number();
                self.field(number)
            }
        }
    }

    pub(super) fn set(&mut self, place: &Place, value: Value) -> Ran {
        match place {
            Place::Variable(name) => {
                if name == "NF" {
                    self.fields.resize(index(value.number())?, String::new());
                    self.stale = true;
                }
                self.variables.insert(name.clone(), value);
            }
            Place::Element(array, subscripts) => {
                let key = self.key(subscripts)?;
                self.arrays.entry(array.clone()).or_default().insert(key, value);
            }
            Place::Field(number) => {
                let number = self.value(number)?.number();
                let number = index(number)?;
                let text = self.convert(&value);
                if number == 0 {
                    return self.set_record(text);
                }
                if self.fields.len() < number {
                    self.fields.resize(number, String::new());
                }
                self.fields[number - 1] = text;
                self.stale = true;
                self.count_fields();
            }
        }
        Ok(())
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expression: &Expression) -> Result<Value, Stop> {
        self.step()?;
        Ok(match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Match(pattern) => {
                self.refresh();
                truth(pattern.is_match(self.record.as_bytes()))
            }
            Expression::Place(place) => self.get(place)?,
            Expression::Assign(operator, place, value) => {
                let mut value = self.value(value)?;
                if let Some(operator) = operator {
                    value = Value::Number(arithmetic(*operator, self.get(place)?.number(), value.number())?);
                }
                self.set(place, value.clone())?;
                value
            }
            Expression::Step(step, before, place) => {
                let old = self.get(place)?.number();
                self.set(place, Value::Number(old + step))?;
                Value::Number(if *before { old + step } else { old })
            }
            Expression::Conditional(condition, yes, no) => {
                let chosen = if self.value(condition)?.holds() { yes } else { no };
                self.value(chosen)?
            }
            Expression::Or(left, right) => truth(self.value(left)?.holds() || self.value(right)?.holds()),
            Expression::And(left, right) => truth(self.value(left)?.holds() && self.value(right)?.holds()),
            Expression::In(subscripts, array) => {
                let key = self.key(subscripts)?;
                truth(self.arrays.get(array).is_some_and(|array| array.contains_key(&key)))
            }
            Expression::Matches(negated, text, pattern) => {
                let text = self.value(text)?;
                let text = self.convert(&text);
                let pattern = self.as_pattern(pattern)?;
                truth(pattern.is_match(text.as_bytes()) != *negated)
            }
            Expression::Compare(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let ordering = left.compare(&right, &self.text_of("CONVFMT"));
                truth(match operator.as_str() {
                    "<" => ordering == Some(Ordering::Less),
                    "<=" => ordering.is_some_and(Ordering::is_le),
                    "==" => ordering == Some(Ordering::Equal),
                    "!=" => ordering != Some(Ordering::Equal),
                    ">=" => ordering.is_some_and(Ordering::is_ge),
                    _ => ordering == Some(Ordering::Greater),
                })
            }
            Expression::Concatenate(left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                let text = self.convert(&left) + &self.convert(&right);
                self.fits(text.len())?;
                Value::Text(text)
            }
            Expression::Arithmetic(operator, left, right) => {
                let (left, right) = (self.value(left)?.number(), self.value(right)?.number());
                Value::Number(arithmetic(*operator, left, right)?)
            }
            Expression::Not(value) => truth(!self.value(value)?.holds()),
            Expression::Negate(value) => Value::Number(-self.value(value)?.number()),
            Expression::Plus(value) => Value::Number(self.value(value)?.number()),
            Expression::Call(name, values) => self.call(name, values)?,
        })
    }

    /// A regular expression as written, or text that is one.
    pub(super) fn as_pattern(&mut self, expression: &Expression) -> Result<Rc<Pattern>, Stop> {
        if let Expression::Match(pattern) = expression {
            return Ok(Rc::clone(pattern));
        }
        let text = self.value(expression)?;
        let text = self.convert(&text);
        self.pattern(&text)
    }
}

fn truth(holds: bool) -> Value {
    Value::Number(if holds { 1.0 } else { 0.0 })
}

/// A field or array position.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are checked"
)]
pub(super) fn index(number: f64) -> Result<usize, Stop> {
    if (0.0..1e6).contains(&number) {
        Ok(number as usize)
    } else {
        Err(Stop::Unsupported(format!("field {number}")))
    }
}

fn arithmetic(operator: char, left: f64, right: f64) -> Result<f64, Stop> {
    Ok(match operator {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '^' => left.powf(right),
        _ if right == 0.0 => return Err(Stop::Unsupported("division by zero".to_owned())),
        '/' => left / right,
        _ => left % right,
    })
}
