use std::rc::Rc;

use super::{Parsed, Parser, RESERVED, is_name};
use crate::shell::syntax::{Arm, Command, CommandKind, Compound, List, Simple};

impl Parser<'_> {
    pub(super) fn command(&mut self) -> Parsed<Command> {
        self.nested(|parser| {
            parser.skip_blanks();
            let line = parser.line;
            let kind = match parser.compound()? {
                Some(compound) => CommandKind::Compound(Box::new(compound), parser.redirects()?),
                None => parser.simple_or_function()?,
            };
            Ok(Command { line, kind })
        })
    }

    /// The compound command that starts here, if one does.
    fn compound(&mut self) -> Parsed<Option<Compound>> {
        if self.bash && self.take("((") {
            let expression = self.arithmetic()?;
            return Ok(Some(Compound::Arithmetic(expression)));
        }
        if self.take("(") {
            let list = self.compound_list(false)?;
            if !self.take(")") {
                return Err(self.unexpected());
            }
            return Ok(Some(Compound::Subshell(list)));
        }
        let Some(word) = self.reserved() else { return Ok(None) };
        let compound = match word {
            "{" => {
                self.take_reserved("{");
                let list = self.compound_list(false)?;
                self.expect_reserved("}")?;
                Compound::Group(list)
            }
            "if" => self.if_clause()?,
            "while" | "until" => {
                let until = word == "until";
                self.take_reserved(word);
                let condition = self.compound_list(false)?;
                let body = self.do_group()?;
                Compound::Loop { until, condition, body }
            }
            "for" => self.for_clause()?,
            "case" => self.case_clause()?,
            "[[" if self.bash => self.extended_test()?,
            "select" | "coproc" | "time" if self.bash => return self.halt(word, "this command of bash"),
            _ if RESERVED.contains(&word) && word != "in" => return Err(self.unexpected()),
            _ => return Ok(None),
        };
        Ok(Some(compound))
    }

    fn do_group(&mut self) -> Parsed<List> {
        self.expect_reserved("do")?;
        let body = self.compound_list(false)?;
        self.expect_reserved("done")?;
        Ok(body)
    }

    fn if_clause(&mut self) -> Parsed<Compound> {
        self.take_reserved("if");
        let mut arms = Vec::new();
        loop {
            let condition = self.compound_list(false)?;
            self.expect_reserved("then")?;
            arms.push((condition, self.compound_list(false)?));
            if !self.take_reserved("elif") {
                break;
            }
        }
        let otherwise = if self.take_reserved("else") {
            Some(self.compound_list(false)?)
        } else {
            None
        };
        self.expect_reserved("fi")?;
        Ok(Compound::If { arms, otherwise })
    }

    fn for_clause(&mut self) -> Parsed<Compound> {
        self.take_reserved("for");
        self.skip_blanks();
        if self.looking_at("((") {
            return self.halt("for ((", "the arithmetic loop of bash");
        }
        let Some(name) = self.take_name() else {
            return self.syntax("Bad for loop variable");
        };
        let name = name.to_owned();
        self.linebreak()?;
        let words = if self.take_reserved("in") {
            let mut words = Vec::new();
            while let Some(word) = self.word()? {
                words.push(word);
            }
            if !matches!(self.peek(), Some(';' | '\n')) {
                return Err(self.unexpected());
            }
            Some(words)
        } else {
            None
        };
        self.take(";");
        let body = self.do_group()?;
        Ok(Compound::For { name, words, body })
    }

    fn case_clause(&mut self) -> Parsed<Compound> {
        self.take_reserved("case");
        let Some(subject) = self.word()? else {
            return Err(self.unexpected());
        };
        self.expect_reserved("in")?;
        let mut arms = Vec::new();
        loop {
            self.linebreak()?;
            if self.take_reserved("esac") {
                return Ok(Compound::Case { subject, arms });
            }
            arms.push(self.case_arm()?);
        }
    }

    fn case_arm(&mut self) -> Parsed<Arm> {
        self.take("(");
        let mut patterns = Vec::new();
        loop {
            match self.word()? {
                Some(pattern) => patterns.push(pattern),
                None => return Err(self.unexpected()),
            }
            self.skip_blanks();
            if self.take(")") {
                break;
            }
            if !self.take("|") {
                return Err(self.unexpected());
            }
        }
        let body = self.compound_list(true)?;
        if self.looking_at(";;&") {
            return self.halt(";;&", "this end of a case branch");
        }
        let falls_through = self.bash && self.take(";&");
        if !falls_through && !self.take(";;") && self.reserved() != Some("esac") {
            return Err(self.unexpected());
        }
        Ok(Arm {
            patterns,
            body,
            falls_through,
        })
    }

    pub(super) fn simple_or_function(&mut self) -> Parsed<CommandKind> {
        if self.bash && self.take_reserved("function") {
            self.skip_blanks();
            let Some(name) = self.word()? else {
                return Err(self.unexpected());
            };
            let Some(name) = name.literal().map(str::to_owned) else {
                return self.syntax("Bad function name");
            };
            self.skip_blanks();
            if self.take("(") {
                self.skip_blanks();
                self.take(")");
            }
            return self.function(name);
        }
        let mut simple = Simple::default();
        let mut may_be_alias = true;
        loop {
            self.skip_blanks();
            if may_be_alias && let Some(alias) = self.alias()? {
                may_be_alias = alias.continues;
                simple.extend(alias.command);
            } else if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
            } else if simple.words.is_empty()
                && let Some(assignment) = self.assignment()?
            {
                simple.assignments.push(assignment);
            } else if let Some(word) = self.word()? {
                simple.words.push(word);
                may_be_alias = false;
            } else if self.peek() == Some('(') && simple.words.len() == 1 {
                if !simple.assignments.is_empty() || !simple.redirects.is_empty() {
                    return Err(self.unexpected());
                }
                self.bump();
                self.skip_blanks();
                if self.bash && self.peek() != Some(')') {
                    return self.halt("name=(", "an array");
                }
                if !self.take(")") {
                    return Err(self.unexpected());
                }
                return match simple.words[0].literal().map(str::to_owned) {
                    Some(name) => self.function(name),
                    None => self.syntax("Bad function name"),
                };
            } else if self.bash && self.peek() == Some('(') {
                return self.halt("name=(", "an array");
            } else {
                break;
            }
        }
        if simple == Simple::default() {
            return Err(self.unexpected());
        }
        Ok(CommandKind::Simple(simple))
    }

    fn function(&mut self, name: String) -> Parsed<CommandKind> {
        if !self.bash && !is_name(&name) {
            return self.syntax("Bad function name");
        }
        self.linebreak()?;
        Ok(CommandKind::Function(name, Rc::new(self.command()?)))
    }
}
