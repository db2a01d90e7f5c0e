//! Translates patterns: atoms, repetitions, groups and brackets one after another.

use super::Dialect;

/// `text` in the grammar of the `regex` crate; the error says what is wrong or not known.
pub(super) fn translate(text: &str, dialect: Dialect) -> Result<String, String> {
    if dialect == Dialect::Fixed {
        return Ok(regex::escape(text));
    }
    let mut translation = Translation {
        rest: text,
        dialect,
        extended: matches!(dialect, Dialect::Extended | Dialect::Awk),
        awk: dialect == Dialect::Awk,
        out: String::new(),
        atom: None,
        quantified: false,
        open: Vec::new(),
    };
    translation.run()?;
    Ok(translation.out)
}

/// A byte in the crate's grammar.
fn byte_escape(byte: u8) -> String {
    format!("\\x{byte:02x}")
}

struct Translation<'a> {
    rest: &'a str,
    dialect: Dialect,
    extended: bool,
    awk: bool,
    out: String,
    /// Where in `out` the last atom begins; none at the start of an expression and after anchors.
    atom: Option<usize>,
    quantified: bool,
    /// Where in `out` the groups now open begin.
    open: Vec<usize>,
}

impl Translation<'_> {
    fn run(&mut self) -> Result<(), String> {
        while let Some(next) = self.rest.chars().next() {
            let at_start = self.at_start();
            self.rest = &self.rest[next.len_utf8()..];
            match next {
                '\\' => self.escaped(at_start)?,
                '[' => self.bracket()?,
                '.' => self.push_atom("."),
                '*' if self.atom.is_some() => self.quantify("*"),
                '+' | '?' if self.dialect != Dialect::Basic && self.atom.is_some() => self.quantify(&next.to_string()),
                '{' if self.extended && self.atom.is_some() => self.interval("}"),
                '(' if self.extended => self.open_group(),
                ')' if self.extended && !self.open.is_empty() => self.close_group()?,
                '|' if self.extended => self.alternative(),
                '^' if self.extended || at_start => self.anchor("^"),
                '$' if self.extended || self.at_end() => self.anchor("$"),
                other => self.literal(other),
            }
        }
        if self.open.is_empty() {
            Ok(())
        } else {
            Err("unmatched ( or \\(".to_owned())
        }
    }

    fn at_start(&self) -> bool {
        self.out.is_empty() || self.atom.is_none() && (self.out.ends_with('(') || self.out.ends_with('|'))
    }

    fn at_end(&self) -> bool {
        self.rest.is_empty() || self.rest.starts_with("\\)") || self.rest.starts_with("\\|")
    }

    fn escaped(&mut self, at_start: bool) -> Result<(), String> {
        let Some(next) = self.rest.chars().next() else {
            return Err("trailing backslash".to_owned());
        };
        if self.awk
            && let Some((byte, length)) =
                crate::commands::escapes::escape(self.rest.as_bytes()).filter(|(byte, _)| *byte != b'\\')
        {
            self.rest = &self.rest[length..];
            self.push_atom(&format!("\\x{byte:02x}"));
            return Ok(());
        }
        self.rest = &self.rest[next.len_utf8()..];
        match next {
            '(' if !self.extended => self.open_group(),
            ')' if !self.extended => self.close_group()?,
            '{' if self.dialect == Dialect::Basic && !at_start => self.interval("\\}"),
            '|' if !self.extended => self.alternative(),
            '+' | '?' if self.dialect == Dialect::Basic && self.atom.is_some() => self.quantify(&next.to_string()),
            '1'..='9' => return Err(format!("back-reference \\{next}")),
            'w' | 'W' | 's' | 'S' if !self.awk => self.push_atom(&format!("\\{next}")),
            'b' | 'B' if !self.awk => self.anchor_inside(&format!("\\{next}")),
            '<' if !self.awk => self.anchor_inside(r"\b{start}"),
            '>' if !self.awk => self.anchor_inside(r"\b{end}"),
            '`' if !self.awk => self.anchor(r"\A"),
            '\'' if !self.awk => self.anchor(r"\z"),
            other => self.literal(other),
        }
        Ok(())
    }

    fn push_atom(&mut self, text: &str) {
        self.atom = Some(self.out.len());
        self.quantified = false;
        self.out.push_str(text);
    }

    fn literal(&mut self, letter: char) {
        let text = regex::escape(letter.encode_utf8(&mut [0; 4]));
        // Several bytes are one atom.
        let text = if letter.is_ascii() { text } else { format!("(?:{text})") };
        self.push_atom(&text);
    }

    fn anchor(&mut self, text: &str) {
        self.out.push_str(text);
        self.atom = None;
    }

    /// A word boundary: what follows it is no longer the start of the expression.
    fn anchor_inside(&mut self, text: &str) {
        self.push_atom(&format!("(?:{text})"));
    }

    fn quantify(&mut self, quantifier: &str) {
        let Some(atom) = self.atom else {
            return;
        };
        if self.quantified {
            // `a*?` would be lazy in the crate's grammar.
            self.out.insert_str(atom, "(?:");
            self.out.push(')');
        }
        self.out.push_str(quantifier);
        self.quantified = true;
    }

    fn interval(&mut self, close: &str) {
        let bounds = self
            .rest
            .find(close)
            .map(|at| (&self.rest[..at], &self.rest[at + close.len()..]));
        let Some((bounds, rest)) = bounds else {
            return self.literal('{');
        };
        let (low, high) = bounds
            .split_once(',')
            .map_or((bounds, None), |(low, high)| (low, Some(high)));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let valid =
            digits(low) && high.is_none_or(digits) && (!low.is_empty() || high.is_some_and(|high| !high.is_empty()));
        if !valid {
            return self.literal('{');
        }
        self.rest = rest;
        let low = if low.is_empty() { "0" } else { low };
        let bounds = high.map_or_else(|| format!("{{{low}}}"), |high| format!("{{{low},{high}}}"));
        self.quantify(&bounds);
    }

    fn open_group(&mut self) {
        self.open.push(self.out.len());
        self.out.push('(');
        self.atom = None;
    }

    fn close_group(&mut self) -> Result<(), String> {
        let start = self.open.pop().ok_or("unmatched ) or \\)")?;
        self.out.push(')');
        self.atom = Some(start);
        self.quantified = false;
        Ok(())
    }

    fn alternative(&mut self) {
        self.out.push('|');
        self.atom = None;
    }

    fn bracket(&mut self) -> Result<(), String> {
        let mut class = String::from("[");
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.rest = rest;
            class.push('^');
        }
        let mut first = true;
        loop {
            let bytes = self.rest.as_bytes();
            match bytes {
                [] => return Err("unmatched [".to_owned()),
                [b']', ..] if !first => break,
                [b'[', b':', ..] if self.dialect != Dialect::Emacs => {
                    let end = self.rest.find(":]").ok_or("unmatched [:")?;
                    class.push_str(&self.rest[..end + 2]);
                    self.rest = &self.rest[end + 2..];
                }
                _ => {
                    let low = self.bracket_byte()?;
                    let range = self.rest.starts_with('-') && !self.rest[1..].starts_with(']') && self.rest.len() > 1;
                    if range {
                        self.rest = &self.rest[1..];
                        let high = self.bracket_byte()?;
                        if high < low {
                            return Err("invalid range end".to_owned());
                        }
                        class += &byte_escape(low);
                        class.push('-');
                        class += &byte_escape(high);
                    } else {
                        class += &byte_escape(low);
                    }
                }
            }
            first = false;
        }
        self.rest = &self.rest[1..];
        class.push(']');
        self.push_atom(&class);
        Ok(())
    }

    /// One element of a bracket expression. A multi-byte character counts as its bytes.
    fn bracket_byte(&mut self) -> Result<u8, String> {
        let bytes = self.rest.as_bytes();
        for (open, close) in [("[.", ".]"), ("[=", "=]")] {
            if let Some(inside) = self.rest.strip_prefix(open) {
                let end = inside.find(close).ok_or_else(|| format!("unmatched {open}"))?;
                let &[byte] = &inside.as_bytes()[..end] else {
                    return Err(format!("collating element '{}'", &inside[..end]));
                };
                self.rest = &inside[end + 2..];
                return Ok(byte);
            }
        }
        if self.awk && bytes.len() > 1 && bytes[0] == b'\\' {
            let (byte, length) = crate::commands::escapes::escape(&bytes[1..]).unwrap_or((bytes[1], 1));
            self.rest = self
                .rest
                .get(1 + length..)
                .ok_or("a character that is not ASCII after a backslash")?;
            return Ok(byte);
        }
        let letter = self.rest.chars().next().ok_or("unmatched [")?;
        if !letter.is_ascii() {
            return Err("a character in brackets that is not ASCII".to_owned());
        }
        self.rest = &self.rest[1..];
        Ok(bytes[0])
    }
}
