//! POSIX regular expressions (XBD chapter 9, with GNU's additions) on the `regex` crate.
//!
//! Text is bytes, as in the C locale. The `regex` crate prefers the first alternative that matches, POSIX the longest:
//! the start of a match is the same for both, and a second automaton that keeps all matches tells the longest end.
//! Back-references in a pattern are refused.

use std::cell::RefCell;
use std::fmt;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// The grammar a pattern is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `grep`, `sed`, `expr`.
    Basic,
    /// `grep -E`, `sed -E`.
    Extended,
    /// `find -regex`: groups and alternatives as in basic ones, `+` and `?` as in extended ones, no intervals and no
    /// classes (GNU's `RE_SYNTAX_EMACS`).
    Emacs,
    /// Extended, with C escapes also inside of brackets.
    Awk,
    /// `grep -F`.
    Fixed,
}

/// Where the span of group `n` lies: 0 is the whole match.
pub(crate) type Spans = Vec<Option<(usize, usize)>>;

/// A pattern ready to search with.
pub(crate) struct Pattern {
    regex: regex::bytes::Regex,
    longest: DFA,
    cache: RefCell<Cache>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.regex.as_str()).finish()
    }
}

/// What a match must cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Any part of the text.
    Part,
    /// Whole words.
    Words,
    /// The whole text.
    All,
}

/// Flags of a pattern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flags {
    pub(crate) ignore_case: bool,
    /// `^` and `$` match at every line (sed's `M`).
    pub(crate) multiline: bool,
    pub(crate) extent: Extent,
}

impl Pattern {
    /// Compiles `text`; the error says what is wrong or not known.
    pub(crate) fn new(text: &str, dialect: Dialect, ignore_case: bool) -> Result<Self, String> {
        let flags = Flags {
            ignore_case,
            multiline: false,
            extent: Extent::Part,
        };
        Self::with(text, dialect, flags)
    }

    /// Compiles `text` with `flags`.
    pub(crate) fn with(text: &str, dialect: Dialect, flags: Flags) -> Result<Self, String> {
        let body = translate(text, dialect)?;
        let body = match flags.extent {
            Extent::Part => body,
            Extent::Words => format!(r"\b{{start-half}}(?:{body})\b{{end-half}}"),
            Extent::All => format!("^(?:{body})$"),
        };
        let regex = regex::bytes::RegexBuilder::new(&body)
            .unicode(false)
            .dot_matches_new_line(true)
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multiline)
            .build()
            .map_err(|error| error.to_string())?;
        let config = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multiline);
        let longest = DFA::builder()
            .configure(DFA::config().match_kind(MatchKind::All))
            .syntax(config)
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .build(&body)
            .map_err(|error| error.to_string())?;
        let cache = RefCell::new(longest.create_cache());
        Ok(Self { regex, longest, cache })
    }

    /// How many groups the pattern has.
    pub(crate) fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// Whether the pattern matches somewhere in `text`.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The leftmost-longest match at or after `start`.
    pub(crate) fn find(&self, text: &[u8], start: usize) -> Option<(usize, usize)> {
        let found = self.regex.find_at(text, start)?;
        Some((
            found.start(),
            self.longest_end(text, found.start()).unwrap_or(found.end()),
        ))
    }

    /// The leftmost-longest match at or after `start`, with its groups.
    pub(crate) fn captures(&self, text: &[u8], start: usize) -> Option<Spans> {
        let found = self.regex.captures_at(text, start)?;
        let mut spans: Spans = found
            .iter()
            .map(|group| group.map(|group| (group.start(), group.end())))
            .collect();
        let (from, to) = spans[0]?;
        if let Some(end) = self.longest_end(text, from).filter(|&end| end > to) {
            // Groups within the longer match: search again in a text that ends there.
            let whole = format!("(?:{})\\z", self.regex.as_str());
            let again = regex::bytes::RegexBuilder::new(&whole)
                .unicode(false)
                .dot_matches_new_line(true)
                .build();
            let groups = again.ok().and_then(|regex| {
                let found = regex.captures_at(&text[..end], from)?;
                let spans = found
                    .iter()
                    .map(|group| group.map(|group| (group.start(), group.end())));
                Some(spans.collect::<Spans>())
            });
            spans = groups.unwrap_or(spans);
            spans[0] = Some((from, end));
        }
        Some(spans)
    }

    fn longest_end(&self, text: &[u8], start: usize) -> Option<usize> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        let found = self.longest.try_search_fwd(&mut self.cache.borrow_mut(), &input);
        found.ok().flatten().map(|half| half.offset())
    }
}

fn translate(text: &str, dialect: Dialect) -> Result<String, String> {
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
                super::escapes::escape(self.rest.as_bytes()).filter(|(byte, _)| *byte != b'\\')
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
            let (byte, length) = super::escapes::escape(&bytes[1..]).unwrap_or((bytes[1], 1));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(pattern: &str, dialect: Dialect, text: &str) -> Option<Spans> {
        Pattern::new(pattern, dialect, false)
            .unwrap()
            .captures(text.as_bytes(), 0)
    }

    #[test]
    fn the_longest_alternative_wins() {
        assert_eq!(spans("ab|abcd", Dialect::Extended, "xabcd").unwrap()[0], Some((1, 5)));
        assert_eq!(
            spans("a?(ab)?", Dialect::Extended, "ab").unwrap(),
            [Some((0, 2)), Some((0, 2))]
        );
        assert_eq!(spans("x*", Dialect::Basic, "aaa").unwrap()[0], Some((0, 0)));
    }

    #[test]
    fn back_references_are_refused() {
        assert_eq!(
            Pattern::new(r"\(a\)\1", Dialect::Basic, false).unwrap_err(),
            "back-reference \\1"
        );
        assert!(Pattern::new("[a", Dialect::Basic, false).is_err());
        assert!(Pattern::new("(a", Dialect::Extended, false).is_err());
    }

    #[test]
    fn brackets_keep_backslashes() {
        assert_eq!(spans(r"[\n]", Dialect::Basic, "n").unwrap()[0], Some((0, 1)));
        assert_eq!(spans(r"[\n]", Dialect::Basic, "\\").unwrap()[0], Some((0, 1)));
        assert_eq!(spans(r"[\n]", Dialect::Awk, "a\n").unwrap()[0], Some((1, 2)));
        assert_eq!(spans("[]a-]", Dialect::Basic, "-]").unwrap()[0], Some((0, 1)));
    }

    proptest::proptest! {
        #[test]
        fn no_pattern_panics(pattern in ".{0,20}", text in ".{0,20}") {
            for dialect in [Dialect::Basic, Dialect::Extended, Dialect::Emacs, Dialect::Awk] {
                if let Ok(pattern) = Pattern::new(&pattern, dialect, false) {
                    pattern.captures(text.as_bytes(), 0);
                }
            }
        }
    }
}
