//! Expressions and what they are worth.

use std::cmp::Ordering;
use std::rc::Rc;

use super::format;
use super::machine::{Machine, Ran, Stop};
use super::syntax::{Expression, Place};
use super::value::Value;
use crate::commands::regular_expression::{Dialect, Pattern};

impl Machine {
    /// The subscript of an array.
    pub(super) fn key(&mut self, subscripts: &[Expression]) -> Result<String, Stop> {
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

    /// The regular expression that a text is.
    pub(super) fn pattern(&mut self, text: &str) -> Result<Rc<Pattern>, Stop> {
        if let Some(known) = self.patterns.get(text) {
            return Ok(Rc::clone(known));
        }
        let unknown = |what| Stop::Unsupported(format!("pattern '{text}' ({what})"));
        let pattern = Rc::new(Pattern::new(text, Dialect::Awk, false).map_err(unknown)?);
        self.patterns.insert(text.to_owned(), Rc::clone(&pattern));
        Ok(pattern)
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
