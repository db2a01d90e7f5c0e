//! Integer expressions (XCU 2.6.4): C's operators on 64 bits, wrapping.

use crate::shell::state::Flow;

/// Where names get their values.
pub(in crate::shell) trait Variables {
    fn value(&mut self, name: &str) -> Result<i64, Trouble>;
    fn assign(&mut self, name: &str, value: i64) -> Result<(), Flow>;
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::shell) enum Trouble {
    /// The expression is wrong.
    Wrong(String),
    /// A variable could not be read or set; the message is already written.
    Flow(Flow),
}

impl From<Flow> for Trouble {
    fn from(flow: Flow) -> Self {
        Self::Flow(flow)
    }
}

type Value = Result<i64, Trouble>;

/// Operators of two operands, longest first, with how tightly they bind.
const BINARY: &[(&str, u8)] = &[
    ("||", 1),
    ("&&", 2),
    ("<<", 8),
    (">>", 8),
    ("==", 6),
    ("!=", 6),
    ("<=", 7),
    (">=", 7),
    ("|", 3),
    ("^", 4),
    ("&", 5),
    ("<", 7),
    (">", 7),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("%", 10),
];

const ASSIGNMENTS: &[&str] = &["<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "&=", "^=", "|=", "="];

/// Parentheses and operators that may stand inside one another.
const MAX_NESTING: u32 = 100;

/// The value of `text`; an empty one is 0.
pub(in crate::shell) fn evaluate(text: &str, variables: &mut dyn Variables) -> Value {
    let mut evaluator = Evaluator {
        rest: text,
        variables,
        idle: 0,
        nesting: 0,
    };
    evaluator.blanks();
    if evaluator.rest.is_empty() {
        return Ok(0);
    }
    let value = evaluator.assignment()?;
    if evaluator.rest.is_empty() {
        Ok(value)
    } else {
        Err(wrong("expecting EOF"))
    }
}

/// A constant: decimal, `0x` or octal after `0`, perhaps with a sign.
pub(in crate::shell) fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') {
        i64::from_str_radix(digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { value.wrapping_neg() } else { value })
}

struct Evaluator<'t> {
    rest: &'t str,
    variables: &'t mut dyn Variables,
    /// Above 0 in a branch that is not taken: parsed, but without effects.
    idle: u32,
    nesting: u32,
}

impl<'t> Evaluator<'t> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                self.blanks();
                true
            }
            None => false,
        }
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.nesting >= MAX_NESTING {
            return Err(wrong("nested too deeply"));
        }
        self.nesting += 1;
        let value = parse(self);
        self.nesting -= 1;
        value
    }

    fn assignment(&mut self) -> Value {
        self.nested(|evaluator| {
            let start = evaluator.rest;
            let name = evaluator.name();
            if !name.is_empty()
                && !evaluator.rest.starts_with("==")
                && let Some(operator) = ASSIGNMENTS.iter().find(|operator| evaluator.take(operator))
            {
                let right = evaluator.assignment()?;
                if evaluator.idle > 0 {
                    return Ok(right);
                }
                let value = match operator.strip_suffix('=') {
                    Some("") | None => right,
                    Some(operator) => {
                        let left = evaluator.variables.value(name)?;
                        evaluator.apply(operator, left, right)?
                    }
                };
                evaluator.variables.assign(name, value)?;
                return Ok(value);
            }
            evaluator.rest = start;
            evaluator.conditional()
        })
    }

    fn conditional(&mut self) -> Value {
        let condition = self.binary(1)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes = self.branch(condition == 0, Self::assignment)?;
        if !self.take(":") {
            return Err(wrong("expecting ':'"));
        }
        let no = self.branch(condition != 0, |evaluator| evaluator.nested(Self::conditional))?;
        Ok(if condition == 0 { no } else { yes })
    }

    fn branch(&mut self, idle: bool, parse: impl FnOnce(&mut Self) -> Value) -> Value {
        self.idle += u32::from(idle);
        let value = parse(self);
        self.idle -= u32::from(idle);
        value
    }

    fn binary(&mut self, least: u8) -> Value {
        let mut left = self.unary()?;
        loop {
            let next = BINARY.iter().find(|(operator, _)| self.rest.starts_with(operator));
            let Some(&(operator, binds)) = next else {
                return Ok(left);
            };
            let assigns =
                self.rest[operator.len()..].starts_with('=') && !matches!(operator, "==" | "!=" | "<=" | ">=");
            if binds < least || assigns && binds != 1 && binds != 2 {
                return Ok(left);
            }
            self.take(operator);
            let idle = operator == "||" && left != 0 || operator == "&&" && left == 0;
            let right = self.branch(idle, |evaluator| evaluator.nested(|inner| inner.binary(binds + 1)))?;
            left = match operator {
                "||" => i64::from(left != 0 || right != 0),
                "&&" => i64::from(left != 0 && right != 0),
                _ => self.apply(operator, left, right)?,
            };
        }
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Value {
        // Shift counts wrap at 64, as the machines dash runs on do it.
        let shift = u32::try_from(right & 63).expect("six bits");
        Ok(match operator {
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<" => i64::from(left < right),
            "<=" => i64::from(left <= right),
            ">" => i64::from(left > right),
            ">=" => i64::from(left >= right),
            "<<" => left.wrapping_shl(shift),
            ">>" => left.wrapping_shr(shift),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" | "%" if right == 0 && self.idle == 0 => return Err(wrong("division by zero")),
            "/" if right != 0 => left.wrapping_div(right),
            "%" if right != 0 => left.wrapping_rem(right),
            _ => 0,
        })
    }

    fn unary(&mut self) -> Value {
        self.nested(|evaluator| {
            if evaluator.take("!") {
                Ok(i64::from(evaluator.unary()? == 0))
            } else if evaluator.take("~") {
                Ok(!evaluator.unary()?)
            } else if evaluator.take("-") {
                Ok(evaluator.unary()?.wrapping_neg())
            } else if evaluator.take("+") {
                evaluator.unary()
            } else {
                evaluator.primary()
            }
        })
    }

    fn primary(&mut self) -> Value {
        if self.take("(") {
            let value = self.assignment()?;
            if !self.take(")") {
                return Err(wrong("expecting ')'"));
            }
            return Ok(value);
        }
        let name = self.name();
        if !name.is_empty() {
            return if self.idle > 0 {
                Ok(0)
            } else {
                self.variables.value(name)
            };
        }
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(self.rest.len());
        let Some(value) = number(&self.rest[..end]) else {
            return Err(wrong("expecting primary"));
        };
        self.rest = &self.rest[end..];
        self.blanks();
        Ok(value)
    }

    /// The name at this place, or nothing.
    fn name(&mut self) -> &'t str {
        let rest = self.rest;
        if !rest.starts_with(is_name_start) {
            return "";
        }
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        self.rest = &rest[end..];
        self.blanks();
        &rest[..end]
    }
}

fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn wrong(message: &str) -> Trouble {
    Trouble::Wrong(message.to_owned())
}
