use super::{Parsed, Parser};
use crate::shell::syntax::{Compound, TestExpr, Word};

/// Operators of `[[` between two words, longest first.
const BINARY: &[&str] = &[
    "==", "!=", "=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef",
];

impl Parser<'_> {
    pub(super) fn extended_test(&mut self) -> Parsed<Compound> {
        self.take_reserved("[[");
        let expr = self.test_or()?;
        self.linebreak()?;
        if !self.take_reserved("]]") {
            return Err(self.unexpected());
        }
        Ok(Compound::Test(expr))
    }

    fn test_or(&mut self) -> Parsed<TestExpr> {
        let mut left = self.test_and()?;
        loop {
            self.linebreak()?;
            if !self.take("||") {
                return Ok(left);
            }
            left = TestExpr::Or(Box::new(left), Box::new(self.test_and()?));
        }
    }

    fn test_and(&mut self) -> Parsed<TestExpr> {
        let mut left = self.test_primary()?;
        loop {
            self.linebreak()?;
            if !self.take("&&") {
                return Ok(left);
            }
            left = TestExpr::And(Box::new(left), Box::new(self.test_primary()?));
        }
    }

    fn test_primary(&mut self) -> Parsed<TestExpr> {
        self.nested(|parser| {
            parser.linebreak()?;
            if parser.take_reserved("!") {
                return Ok(TestExpr::Not(Box::new(parser.test_primary()?)));
            }
            if parser.take("(") {
                let inner = parser.test_or()?;
                parser.linebreak()?;
                return if parser.take(")") {
                    Ok(inner)
                } else {
                    Err(parser.unexpected())
                };
            }
            let first = parser.test_word()?;
            parser.linebreak()?;
            if let Some(operator) = first.literal()
                && operator.len() == 2
                && operator.starts_with('-')
            {
                let operator = operator.to_owned();
                return Ok(TestExpr::Unary(operator, parser.test_word()?));
            }
            if parser.looking_at("=~") {
                return parser.halt("[[ =~ ]]", "matching a regular expression");
            }
            for operator in BINARY {
                if parser.take(operator) {
                    parser.linebreak()?;
                    return Ok(TestExpr::Binary(first, (*operator).to_owned(), parser.test_word()?));
                }
            }
            Ok(TestExpr::Word(first))
        })
    }

    fn test_word(&mut self) -> Parsed<Word> {
        self.linebreak()?;
        if self.reserved() == Some("]]") {
            return Err(self.unexpected());
        }
        self.word()?.ok_or_else(|| self.unexpected())
    }
}
