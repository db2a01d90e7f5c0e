//! Programs as trees (POSIX, awk, "Grammar").

use std::rc::Rc;

use super::lexer::{self, Token};
use super::syntax::{Expression, Place, Rule, Statement, When};
use crate::commands::regular_expression::{Dialect, Pattern};

/// A part of a program, or what is wrong with it.
pub(super) type Parsed<T> = Result<T, String>;

/// Functions of the language that are known; `length` may stand without parentheses.
const FUNCTIONS: &[&str] = &[
    "gsub", "index", "int", "length", "match", "split", "sprintf", "sub", "substr", "tolower", "toupper",
];

/// Parses a program; the error names what is wrong or not known.
pub(super) fn parse(program: &str) -> Parsed<Vec<Rule>> {
    let mut parser = Parser {
        tokens: lexer::tokens(program)?,
        at: 0,
        ranges: 0,
        no_in: false,
        no_greater: false,
    };
    let mut rules = Vec::new();
    parser.terminators();
    while parser.peek().is_some() {
        rules.push(parser.rule()?);
        parser.terminators();
    }
    Ok(rules)
}

pub(super) struct Parser {
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    ranges: usize,
    /// In the head of `for`, where `in` is not an operator.
    no_in: bool,
    /// In what is printed, where `>` names a file.
    pub(super) no_greater: bool,
}

impl Parser {
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol)
    }

    pub(super) fn take(&mut self, symbol: &str) -> bool {
        let found = self.is(symbol);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Keyword(found)) if *found == keyword);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.take(symbol) {
            Ok(())
        } else {
            Err(format!("a missing `{symbol}`"))
        }
    }

    pub(super) fn newlines(&mut self) {
        while self.peek() == Some(&Token::Newline) {
            self.at += 1;
        }
    }

    pub(super) fn terminators(&mut self) {
        while self.peek() == Some(&Token::Newline) || self.is(";") {
            self.at += 1;
        }
    }

    fn rule(&mut self) -> Parsed<Rule> {
        let when = if self.take_keyword("BEGIN") {
            When::Begin
        } else if self.take_keyword("END") {
            When::End
        } else if self.is("{") {
            When::Always
        } else {
            let first = self.expression()?;
            if self.take(",") {
                self.newlines();
                self.ranges += 1;
                When::Range(self.ranges - 1, first, self.expression()?)
            } else {
                When::If(first)
            }
        };
        let action = if self.is("{") {
            self.block()?
        } else if matches!(when, When::Begin | When::End) {
            return Err("BEGIN or END without an action".to_owned());
        } else {
            Statement::Print(Vec::new(), None)
        };
        Ok(Rule { when, action })
    }

    /// Expressions up to `close`, which is taken.
    pub(super) fn list(&mut self, close: &str) -> Parsed<Vec<Expression>> {
        let saved = (std::mem::take(&mut self.no_in), std::mem::take(&mut self.no_greater));
        let mut values = Vec::new();
        self.newlines();
        while !self.take(close) {
            if !values.is_empty() {
                self.expect(",")?;
                self.newlines();
            }
            values.push(self.expression()?);
            self.newlines();
        }
        (self.no_in, self.no_greater) = saved;
        Ok(values)
    }

    pub(super) fn expression(&mut self) -> Parsed<Expression> {
        let left = self.conditional()?;
        let Expression::Place(place) = &left else {
            return Ok(left);
        };
        for (symbol, operator) in [
            ("=", None),
            ("+=", Some('+')),
            ("-=", Some('-')),
            ("*=", Some('*')),
            ("/=", Some('/')),
            ("%=", Some('%')),
            ("^=", Some('^')),
            ("**=", Some('^')),
        ] {
            if self.take(symbol) {
                self.newlines();
                return Ok(Expression::Assign(
                    operator,
                    place.clone(),
                    Box::new(self.expression()?),
                ));
            }
        }
        Ok(left)
    }

    fn conditional(&mut self) -> Parsed<Expression> {
        let condition = self.or()?;
        if !self.take("?") {
            return Ok(condition);
        }
        self.newlines();
        let yes = self.expression()?;
        self.newlines();
        self.expect(":")?;
        self.newlines();
        let no = self.expression()?;
        Ok(Expression::Conditional(
            Box::new(condition),
            Box::new(yes),
            Box::new(no),
        ))
    }

    fn or(&mut self) -> Parsed<Expression> {
        let mut left = self.and()?;
        while self.take("||") {
            self.newlines();
            left = Expression::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expression> {
        let mut left = self.membership()?;
        while self.take("&&") {
            self.newlines();
            left = Expression::And(Box::new(left), Box::new(self.membership()?));
        }
        Ok(left)
    }

    fn membership(&mut self) -> Parsed<Expression> {
        let mut left = self.matching()?;
        while !self.no_in && self.take_keyword("in") {
            left = Expression::In(vec![left], self.array()?);
        }
        Ok(left)
    }

    fn array(&mut self) -> Parsed<String> {
        match self.peek().cloned() {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err("`in` without an array".to_owned()),
        }
    }

    fn matching(&mut self) -> Parsed<Expression> {
        let mut left = self.comparison()?;
        loop {
            let negated = if self.take("~") {
                false
            } else if self.take("!~") {
                true
            } else {
                return Ok(left);
            };
            left = Expression::Matches(negated, Box::new(left), Box::new(self.comparison()?));
        }
    }

    fn comparison(&mut self) -> Parsed<Expression> {
        let left = self.concatenation()?;
        for symbol in ["<", "<=", "==", "!=", ">=", ">"] {
            if self.is(symbol) && !(symbol == ">" && self.no_greater) {
                self.at += 1;
                let right = self.concatenation()?;
                return Ok(Expression::Compare(symbol.to_owned(), Box::new(left), Box::new(right)));
            }
        }
        Ok(left)
    }

    pub(super) fn concatenation(&mut self) -> Parsed<Expression> {
        let mut left = self.sum()?;
        loop {
            let begins = match self.peek() {
                Some(Token::Number(_) | Token::Text(_) | Token::Regex(_) | Token::Name(_) | Token::Call(_)) => true,
                Some(Token::Symbol(symbol)) => ["(", "$", "!", "-", "+", "++", "--"].contains(symbol),
                _ => false,
            };
            if !begins {
                return Ok(left);
            }
            left = Expression::Concatenate(Box::new(left), Box::new(self.sum()?));
        }
    }

    fn sum(&mut self) -> Parsed<Expression> {
        let mut left = self.product()?;
        loop {
            let operator = if self.take("+") {
                '+'
            } else if self.take("-") {
                '-'
            } else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Parsed<Expression> {
        let mut left = self.unary()?;
        loop {
            let operator = if self.take("*") {
                '*'
            } else if self.take("/") {
                '/'
            } else if self.take("%") {
                '%'
            } else {
                return Ok(left);
            };
            left = Expression::Arithmetic(operator, Box::new(left), Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> Parsed<Expression> {
        for (symbol, make) in [
            ("!", Expression::Not as fn(Box<Expression>) -> Expression),
            ("-", Expression::Negate),
            ("+", Expression::Plus),
        ] {
            if self.take(symbol) {
                return Ok(make(Box::new(self.unary()?)));
            }
        }
        self.power()
    }

    fn power(&mut self) -> Parsed<Expression> {
        let left = self.stepped()?;
        if self.take("^") || self.take("**") {
            // To the right, and a sign belongs to the exponent.
            let right = self.unary()?;
            return Ok(Expression::Arithmetic('^', Box::new(left), Box::new(right)));
        }
        Ok(left)
    }

    fn stepped(&mut self) -> Parsed<Expression> {
        for (symbol, step) in [("++", 1.0), ("--", -1.0)] {
            if self.take(symbol) {
                return match self.primary()? {
                    Expression::Place(place) => Ok(Expression::Step(step, true, place)),
                    _ => Err(format!("`{symbol}` before what cannot change")),
                };
            }
        }
        let value = self.primary()?;
        if let Expression::Place(place) = &value {
            for (symbol, step) in [("++", 1.0), ("--", -1.0)] {
                if self.take(symbol) {
                    return Ok(Expression::Step(step, false, place.clone()));
                }
            }
        }
        Ok(value)
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let token = self.peek().cloned().ok_or("an unfinished expression")?;
        self.at += 1;
        Ok(match token {
            Token::Number(number) => Expression::Number(number),
            Token::Text(text) => Expression::Text(text),
            Token::Regex(text) => Expression::Match(Rc::new(Pattern::new(&text, Dialect::Awk, false)?)),
            Token::Symbol("$") => Expression::Place(Place::Field(Box::new(self.stepped()?))),
            Token::Symbol("(") => {
                let mut values = self.list(")")?;
                if self.take_keyword("in") {
                    return Ok(Expression::In(values, self.array()?));
                }
                if values.len() != 1 {
                    return Err("a list in parentheses".to_owned());
                }
                // No longer a place: `(x) = 1` is no assignment, and `(x)++` none either.
                match values.remove(0) {
                    Expression::Place(place) => Expression::Place(place),
                    other => other,
                }
            }
            Token::Symbol("-") => Expression::Negate(Box::new(self.primary()?)),
            Token::Name(name) if name == "length" => Expression::Call(name, Vec::new()),
            Token::Name(name) if self.take("[") => Expression::Place(Place::Element(name, self.list("]")?)),
            Token::Name(name) => Expression::Place(Place::Variable(name)),
            Token::Call(name) if FUNCTIONS.contains(&name.as_str()) => {
                self.at += 1;
                Expression::Call(name, self.list(")")?)
            }
            Token::Call(name) => return Err(format!("function {name}")),
            Token::Keyword(keyword) => return Err(format!("`{keyword}`")),
            other => return Err(format!("{other:?}")),
        })
    }
}
