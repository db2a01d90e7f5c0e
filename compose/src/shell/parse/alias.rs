use std::rc::Rc;

use super::{Parsed, Parser, is_delimiter};
use crate::shell::syntax::{CommandKind, Simple};

/// What an alias stands for.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) command: Simple,
    /// Its text ends with a blank: the next word may be an alias, too.
    pub(super) continues: bool,
}

/// Aliases that one command may begin with, one standing for the next.
const MAX_EXPANSIONS: u32 = 1000;

/// Words that an alias of our kind cannot begin with.
const COMPOUND: &[&str] = &["if", "while", "until", "for", "case", "{", "!", "function", "[["];

impl Parser<'_> {
    /// The alias whose name stands here, in front of a simple command (XCU 2.3.1). bash has none in scripts.
    pub(super) fn alias(&mut self) -> Parsed<Option<Alias>> {
        if self.bash || self.aliases.is_empty() {
            return Ok(None);
        }
        let rest = self.rest();
        let end = rest.find(is_delimiter).unwrap_or(rest.len());
        let name = &rest[..end];
        let Some(text) = self.aliases.get(name).cloned() else {
            return Ok(None);
        };
        self.expansions += 1;
        if self.expansions > MAX_EXPANSIONS {
            return self.halt(&format!("alias {name}"), "aliases that stand for ever more aliases");
        }
        let mut inner = self.inner(&text, self.line);
        inner.expansions = self.expansions;
        // Within itself an alias is a word like others: `alias ls="ls -l"`.
        Rc::make_mut(&mut inner.aliases).remove(name);
        let command = self.nested(|_| inner.alias_text(name))?;
        self.expansions = inner.expansions;
        self.pos += end;
        Ok(Some(Alias {
            command,
            continues: text.ends_with([' ', '\t']),
        }))
    }

    /// The whole text as the beginning of a simple command.
    fn alias_text(&mut self, name: &str) -> Parsed<Simple> {
        self.skip_blanks();
        let unlike = self.reserved().is_some_and(|word| COMPOUND.contains(&word)) || self.looking_at("(");
        if self.peek().is_none() {
            return Ok(Simple::default());
        }
        if !unlike && let CommandKind::Simple(simple) = self.simple_or_function()? {
            self.skip_blanks();
            if self.peek().is_none() {
                return Ok(simple);
            }
        }
        self.halt(
            &format!("alias {name}"),
            "an alias for more than the words of a command",
        )
    }
}
