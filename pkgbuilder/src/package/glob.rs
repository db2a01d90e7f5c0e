//! Patterns of file names as nfpm has them: `*` and `?` within a folder, `**` across folders, `[a-z]`, `[!a]`,
//! `{this,that}`, `\` before a plain character.
//!
//! They are gobwas' patterns, not globset's: `a/**/b` needs a folder in between, which decides where files go.

use crate::input_error;

/// A pattern, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Plain(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `**`
    All,
    /// Ranges, and whether it is none of them.
    Class(Vec<(char, char)>, bool),
    Either(Vec<Vec<Token>>),
}

/// Whether a name has characters that mean something in a pattern.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', ']', '{', '}', '\\'])
}

/// The folder of a pattern that has no special characters: where a search begins.
pub fn fixed_folder(pattern: &str) -> &str {
    let special = pattern
        .find(['*', '?', '[', ']', '{', '}', '\\'])
        .unwrap_or(pattern.len());
    pattern[..special].rfind('/').map_or("", |slash| &pattern[..=slash])
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut rest = text.chars().peekable();
        let tokens = tokens(&mut rest, false).map_err(|why| input_error!("`{text}` is not a pattern: {why}"))?;
        Ok(Self(tokens))
    }

    /// Whether it is `name`.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        matches(&self.0, &name, &mut |rest| rest.is_empty())
    }
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn tokens(rest: &mut Characters<'_>, inside: bool) -> Result<Vec<Token>, &'static str> {
    let mut found = Vec::new();
    while let Some(&c) = rest.peek() {
        if inside && (c == ',' || c == '}') {
            return Ok(found);
        }
        rest.next();
        found.push(match c {
            '\\' => Token::Plain(rest.next().ok_or("it ends with `\\`")?),
            '?' => Token::One,
            '*' if rest.next_if_eq(&'*').is_some() => Token::All,
            '*' => Token::Many,
            '[' => class(rest)?,
            '{' if inside => return Err("`{` inside `{`"),
            '{' => either(rest)?,
            c => Token::Plain(c),
        });
    }
    if inside { Err("`{` without `}`") } else { Ok(found) }
}

fn class(rest: &mut Characters<'_>) -> Result<Token, &'static str> {
    let none = rest.next_if_eq(&'!').is_some();
    let mut ranges = Vec::new();
    loop {
        let mut low = rest.next().ok_or("`[` without `]`")?;
        if low == ']' {
            break;
        }
        if low == '\\' {
            low = rest.next().ok_or("`[` without `]`")?;
        }
        let high = if rest.next_if_eq(&'-').is_some() {
            rest.next().ok_or("`[` without `]`")?
        } else {
            low
        };
        ranges.push((low, high));
    }
    if ranges.is_empty() {
        Err("`[]` has nothing in it")
    } else {
        Ok(Token::Class(ranges, none))
    }
}

fn either(rest: &mut Characters<'_>) -> Result<Token, &'static str> {
    let mut choices = vec![tokens(rest, true)?];
    while rest.next_if_eq(&',').is_some() {
        choices.push(tokens(rest, true)?);
    }
    rest.next();
    Ok(Token::Either(choices))
}

/// Whether `tokens` match a beginning of `name` whose rest `then` takes.
fn matches(tokens: &[Token], name: &[char], then: &mut dyn FnMut(&[char]) -> bool) -> bool {
    let Some((first, others)) = tokens.split_first() else {
        return then(name);
    };
    match first {
        Token::Many | Token::All => {
            let across = *first == Token::All;
            let reach = name.iter().take_while(|&&c| across || c != '/').count();
            (0..=reach).any(|taken| matches(others, &name[taken..], then))
        }
        Token::Either(choices) => choices
            .iter()
            .any(|choice| matches(choice, name, &mut |rest| matches(others, rest, then))),
        single => {
            let Some((&c, rest)) = name.split_first() else {
                return false;
            };
            let fits = match single {
                Token::Plain(plain) => *plain == c,
                Token::One => c != '/',
                Token::Class(ranges, none) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *none,
                _ => false,
            };
            fits && matches(others, rest, then)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(name)
    }

    #[test]
    fn as_nfpm_matches() {
        for (pattern, name) in [
            ("a/*.conf", "a/x.conf"),
            ("a/*.conf", "a/.conf"),
            ("a/**/*.txt", "a/b/x.txt"),
            ("a/**/*.txt", "a/b/c/x.txt"),
            ("a/**", "a/b/c"),
            ("?-[a-c][!0-9]", "x-bz"),
            ("{a,b*}/c", "bbb/c"),
            (r"\{file\}\[", "{file}["),
            ("[]a", "[]a"),
        ] {
            if pattern == "[]a" {
                assert!(Pattern::parse(pattern).is_err());
                continue;
            }
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a/*.conf", "a/b/x.conf"),
            // Where globset's `**` may be nothing.
            ("a/**/*.txt", "a/x.txt"),
            ("?", "/"),
            ("a", "ab"),
            ("{a,b}", "c"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_search_begins_where_the_pattern_is_plain() {
        assert_eq!(fixed_folder("./a/b*/c"), "./a/");
        assert_eq!(fixed_folder("*"), "");
        assert_eq!(fixed_folder("/x/y"), "/x/");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in ["[a", "{a", "a\\", "{a{b}}", "[]"] {
            let error = Pattern::parse(wrong).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn plain_names_match_themselves(name in "[a-zä/.]{0,20}") {
            prop_assert!(fits(&name, &name));
        }

        #[test]
        fn no_pattern_makes_it_panic(pattern in "[a*?{},!\\[\\]\\\\-]{0,12}", name in "[a/,]{0,8}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&name);
            }
        }
    }
}
