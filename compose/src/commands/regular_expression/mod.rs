//! POSIX regular expressions (XBD chapter 9, with GNU's additions) on the `regex` crate.
//!
//! Text is bytes, as in the C locale. The `regex` crate prefers the first alternative that matches, POSIX the longest:
//! the start of a match is the same for both, and a second automaton that keeps all matches tells the longest end.
//! Back-references in a pattern are refused.

/// POSIX grammar into the grammar of the `regex` crate.
mod translation;

use std::cell::RefCell;
use std::fmt;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use translation::translate;

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
