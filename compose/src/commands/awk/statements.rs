//! Statements of a program.

use super::lexer::Token;
use super::parser::{Parsed, Parser};
use super::syntax::{Expression, Statement};

impl Parser {
    pub(super) fn block(&mut self) -> Parsed<Statement> {
        self.expect("{")?;
        let mut statements = Vec::new();
        self.terminators();
        while !self.take("}") {
            statements.push(self.statement()?);
            self.terminators();
        }
        Ok(Statement::Block(statements))
    }

    /// The statement that `if`, `while` and the like govern.
    fn body(&mut self) -> Parsed<Box<Statement>> {
        self.newlines();
        if self.take(";") {
            return Ok(Box::new(Statement::Block(Vec::new())));
        }
        Ok(Box::new(self.statement()?))
    }

    fn condition(&mut self) -> Parsed<Expression> {
        self.expect("(")?;
        let condition = self.expression()?;
        self.expect(")")?;
        Ok(condition)
    }

    fn statement(&mut self) -> Parsed<Statement> {
        if self.is("{") {
            return self.block();
        }
        if self.take_keyword("if") {
            let condition = self.condition()?;
            let body = self.body()?;
            let before = self.at;
            self.terminators();
            if self.take_keyword("else") {
                return Ok(Statement::If(condition, body, Some(self.body()?)));
            }
            self.at = before;
            return Ok(Statement::If(condition, body, None));
        }
        if self.take_keyword("while") {
            let condition = self.condition()?;
            return Ok(Statement::While(condition, self.body()?));
        }
        if self.take_keyword("do") {
            let body = self.body()?;
            self.terminators();
            if !self.take_keyword("while") {
                return Err("`do` without `while`".to_owned());
            }
            return Ok(Statement::Do(body, self.condition()?));
        }
        if self.take_keyword("for") {
            return self.for_loop();
        }
        let statement = self.simple()?;
        let ends = self.is("}") || self.is(";") || matches!(self.peek(), None | Some(Token::Newline));
        if ends {
            Ok(statement)
        } else {
            Err(format!("{:?} behind a statement", self.peek()))
        }
    }

    fn for_loop(&mut self) -> Parsed<Statement> {
        self.expect("(")?;
        if let [
            Token::Name(key),
            Token::Keyword("in"),
            Token::Name(array),
            Token::Symbol(")"),
            ..,
        ] = &self.tokens[self.at..]
        {
            let (key, array) = (key.clone(), array.clone());
            self.at += 4;
            return Ok(Statement::ForIn(key, array, self.body()?));
        }
        let first = if self.is(";") {
            None
        } else {
            Some(Box::new(self.simple()?))
        };
        self.expect(";")?;
        let condition = if self.is(";") { None } else { Some(self.expression()?) };
        self.expect(";")?;
        let step = if self.is(")") {
            None
        } else {
            Some(Box::new(self.simple()?))
        };
        self.expect(")")?;
        Ok(Statement::For(first, condition, step, self.body()?))
    }

    fn simple(&mut self) -> Parsed<Statement> {
        let Some(Token::Keyword(keyword)) = self.peek().cloned() else {
            return Ok(Statement::Expression(self.expression()?));
        };
        self.at += 1;
        let ends = self.is("}") || self.is(";") || matches!(self.peek(), None | Some(Token::Newline));
        Ok(match keyword {
            "print" | "printf" => self.print(keyword == "printf")?,
            "next" => Statement::Next,
            "break" => Statement::Break,
            "continue" => Statement::Continue,
            "exit" if ends => Statement::Exit(None),
            "exit" => Statement::Exit(Some(self.expression()?)),
            "delete" => {
                let Some(Token::Name(name)) = self.peek().cloned() else {
                    return Err("`delete` without an array".to_owned());
                };
                self.at += 1;
                let subscripts = if self.take("[") { Some(self.list("]")?) } else { None };
                Statement::Delete(name, subscripts)
            }
            other => return Err(format!("`{other}`")),
        })
    }

    fn print(&mut self, formatted: bool) -> Parsed<Statement> {
        let mut values = Vec::new();
        let empty = self.is("}") || self.is(";") || self.is(">") || matches!(self.peek(), None | Some(Token::Newline));
        if !empty {
            values = self.printed()?;
        }
        if self.is("|") || self.is(">>") {
            return Err("printing to a pipe or the end of a file".to_owned());
        }
        let file = if self.take(">") {
            Some(self.concatenation()?)
        } else {
            None
        };
        Ok(if formatted {
            Statement::Printf(values, file)
        } else {
            Statement::Print(values, file)
        })
    }

    /// What is printed: a list, perhaps in parentheses, in which `>` is no operator.
    fn printed(&mut self) -> Parsed<Vec<Expression>> {
        if self.is("(") {
            let before = self.at;
            self.at += 1;
            if let Ok(values) = self.list(")") {
                let ends = self.is("}") || self.is(";") || self.is(">") || self.is("|") || self.is(">>");
                if ends || matches!(self.peek(), None | Some(Token::Newline)) {
                    return Ok(values);
                }
            }
            self.at = before;
        }
        self.no_greater = true;
        let mut values = vec![self.expression()?];
        while self.take(",") {
            self.newlines();
            values.push(self.expression()?);
        }
        self.no_greater = false;
        Ok(values)
    }
}
