use std::cell::OnceCell;
use std::rc::Rc;

use super::{Parsed, Parser, PendingHere};
use crate::shell::syntax::{Piece, Redirect, RedirectAction, Word};

impl Parser<'_> {
    /// The redirections after a compound command.
    pub(super) fn redirects(&mut self) -> Parsed<Vec<Redirect>> {
        let mut all = Vec::new();
        loop {
            self.skip_blanks();
            match self.redirect()? {
                Some(redirect) => all.push(redirect),
                None => return Ok(all),
            }
        }
    }

    /// The redirection that starts here, if one does.
    pub(super) fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let operator = &self.rest()[digits..];
        if self.bash && digits == 0 && operator.starts_with("&>") {
            self.take("&>");
            let append = self.take(">");
            let action = RedirectAction::Both(self.target()?, append);
            return Ok(Some(Redirect { fd: 1, action }));
        }
        if !operator.starts_with(['<', '>']) {
            return Ok(None);
        }
        if operator.starts_with("<(") || operator.starts_with(">(") {
            if self.bash {
                return self.halt("<( )", "process substitution");
            }
            return Err(self.unexpected());
        }
        let fd = if digits == 0 {
            u32::from(operator.starts_with('>'))
        } else {
            match self.rest()[..digits].parse() {
                Ok(fd) if fd < 1024 => fd,
                _ => return self.syntax("Bad fd number"),
            }
        };
        self.pos += digits;
        let action = self.redirect_action()?;
        Ok(Some(Redirect { fd, action }))
    }

    fn redirect_action(&mut self) -> Parsed<RedirectAction> {
        Ok(if self.bash && self.take("<<<") {
            RedirectAction::HereString(self.target()?)
        } else if self.take("<<") {
            let strip_tabs = self.take("-");
            self.here_document(strip_tabs)?
        } else if self.take("<&") || self.take(">&") {
            RedirectAction::Duplicate(self.target()?)
        } else if self.take("<>") {
            RedirectAction::ReadWrite(self.target()?)
        } else if self.take(">>") {
            RedirectAction::Append(self.target()?)
        } else if self.take(">|") {
            RedirectAction::Clobber(self.target()?)
        } else if self.take(">") {
            RedirectAction::Write(self.target()?)
        } else {
            self.take("<");
            RedirectAction::Read(self.target()?)
        })
    }

    fn target(&mut self) -> Parsed<Word> {
        if let Some(word) = self.word()? {
            return Ok(word);
        }
        if self.bash && (self.looking_at("<(") || self.looking_at(">(")) {
            return self.halt("<( )", "process substitution");
        }
        Err(self.unexpected())
    }

    fn here_document(&mut self, strip_tabs: bool) -> Parsed<RedirectAction> {
        let word = self.target()?;
        let quoted = word
            .0
            .iter()
            .any(|piece| matches!(piece, Piece::Quoted(_) | Piece::DoubleQuoted(_)));
        let Some(delimiter) = delimiter_text(&word) else {
            return self.halt("<<", "an expansion in the delimiter of a here-document");
        };
        let body = Rc::new(OnceCell::new());
        self.pending.push(PendingHere {
            body: Rc::clone(&body),
            delimiter,
            quoted,
            strip_tabs,
        });
        Ok(RedirectAction::Here(body))
    }

    /// Reads the bodies of the here-documents announced in the line that just ended.
    pub(super) fn read_here_documents(&mut self) -> Parsed<()> {
        for pending in std::mem::take(&mut self.pending) {
            let first_line = self.line;
            let text = self.here_lines(&pending);
            let word = if pending.quoted {
                Word::quoted(text)
            } else {
                let mut parser = self.inner(&text, first_line);
                Word(vec![Piece::DoubleQuoted(parser.here_body()?)])
            };
            // Set once: the cell was made for this body.
            let _ = pending.body.set(word);
        }
        Ok(())
    }

    fn here_lines(&mut self, pending: &PendingHere) -> String {
        let mut text = String::new();
        let mut continued = false;
        while !self.rest().is_empty() {
            let rest = self.rest();
            let end = rest.find('\n').map_or(rest.len(), |end| end + 1);
            self.pos += end;
            self.line += 1;
            let line = if pending.strip_tabs && !continued {
                rest[..end].trim_start_matches('\t')
            } else {
                &rest[..end]
            };
            let bare = line.strip_suffix('\n').unwrap_or(line);
            if bare == pending.delimiter && !continued {
                break;
            }
            let backslashes = bare.len() - bare.trim_end_matches('\\').len();
            continued = !pending.quoted && backslashes % 2 == 1;
            text.push_str(line);
        }
        text
    }
}

/// The text of a here-document's delimiter without its quotes.
fn delimiter_text(word: &Word) -> Option<String> {
    let mut text = String::new();
    for piece in &word.0 {
        match piece {
            Piece::Literal(part) | Piece::Quoted(part) => text.push_str(part),
            Piece::DoubleQuoted(inner) => text.push_str(&delimiter_text(&Word(inner.clone()))?),
            Piece::Tilde { user, .. } => {
                text.push('~');
                text.push_str(user);
            }
            _ => return None,
        }
    }
    Some(text)
}
