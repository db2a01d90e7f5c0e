//! Shell patterns (XCU 2.14): `*`, `?`, bracket expressions.

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    AnyChar,
    AnyString,
    Set { negated: bool, members: Vec<Member> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Member {
    Range(char, char),
    Class(String),
}

impl Pattern {
    /// Compiles characters, each with whether it was quoted and so stands for itself.
    pub(super) fn new(chars: &[(char, bool)]) -> Self {
        let mut tokens = Vec::new();
        let mut index = 0;
        while let Some(&(c, quoted)) = chars.get(index) {
            index += 1;
            tokens.push(match c {
                _ if quoted => Token::Literal(c),
                '*' if tokens.last() == Some(&Token::AnyString) => continue,
                '*' => Token::AnyString,
                '?' => Token::AnyChar,
                '[' => match set(&chars[index..]) {
                    Some((token, length)) => {
                        index += length;
                        token
                    }
                    None => Token::Literal('['),
                },
                '\\' => match chars.get(index) {
                    Some(&(next, _)) => {
                        index += 1;
                        Token::Literal(next)
                    }
                    None => Token::Literal('\\'),
                },
                c => Token::Literal(c),
            });
        }
        Self(tokens)
    }

    /// Whether anything in it is special.
    pub(super) fn is_special(&self) -> bool {
        self.0.iter().any(|token| !matches!(token, Token::Literal(_)))
    }

    /// The text of a pattern without specials.
    pub(super) fn literal(&self) -> String {
        let literal = |token: &Token| match token {
            Token::Literal(c) => Some(*c),
            _ => None,
        };
        self.0.iter().filter_map(literal).collect()
    }

    /// Whether it starts with a dot that stands for itself, so that it may match hidden names.
    pub(super) fn starts_with_dot(&self) -> bool {
        self.0.first() == Some(&Token::Literal('.'))
    }

    /// Whether the whole of `text` matches; `None` if that took more than `most` comparisons. They are counted in `work`.
    pub(super) fn matches_within(&self, text: &[char], work: &mut usize, most: u64) -> Option<bool> {
        // After a mismatch the last `*` takes one character more: quadratic at worst.
        let (mut index, mut at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        loop {
            *work += 1;
            if *work > most {
                return None;
            }
            match (self.0.get(index), text.get(at)) {
                (Some(Token::AnyString), _) => {
                    retry = Some((index, at));
                    index += 1;
                    continue;
                }
                (None, None) => return Some(true),
                (Some(token), Some(&c)) if token.takes(c) => {
                    index += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((star, start)) if start < text.len() => {
                    retry = Some((star, start + 1));
                    index = star + 1;
                    at = start + 1;
                }
                _ => return Some(false),
            }
        }
    }

    /// Whether the whole of `text` matches, whatever that takes.
    #[cfg(test)]
    fn matches(&self, text: &[char]) -> bool {
        self.matches_within(text, &mut 0, u64::MAX).expect("no bound")
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::AnyChar => true,
            Self::AnyString => false,
            Self::Set { negated, members } => members.iter().any(|member| member.has(c)) != *negated,
        }
    }
}

impl Member {
    fn has(&self, c: char) -> bool {
        match self {
            Self::Range(low, high) => (*low..=*high).contains(&c),
            Self::Class(name) => match name.as_str() {
                "alnum" => c.is_ascii_alphanumeric(),
                "alpha" => c.is_ascii_alphabetic(),
                "blank" => matches!(c, ' ' | '\t'),
                "cntrl" => c.is_ascii_control(),
                "digit" => c.is_ascii_digit(),
                "graph" => c.is_ascii_graphic(),
                "lower" => c.is_ascii_lowercase(),
                "print" => c.is_ascii_graphic() || c == ' ',
                "punct" => c.is_ascii_punctuation(),
                "space" => c.is_ascii_whitespace() || c == '\x0b',
                "upper" => c.is_ascii_uppercase(),
                "xdigit" => c.is_ascii_hexdigit(),
                _ => false,
            },
        }
    }
}

/// The bracket expression after a `[` and its length, if it is closed.
fn set(chars: &[(char, bool)]) -> Option<(Token, usize)> {
    let special = |index: usize, wanted: char| chars.get(index) == Some(&(wanted, false));
    let negated = special(0, '!') || special(0, '^');
    let first = usize::from(negated);
    let mut index = first;
    let mut members = Vec::new();
    loop {
        let &(mut c, quoted) = chars.get(index)?;
        if c == ']' && !quoted && index > first {
            return Some((Token::Set { negated, members }, index + 1));
        }
        if c == '[' && !quoted && special(index + 1, ':') {
            let end = (index + 2..chars.len()).find(|&end| special(end, ':') && special(end + 1, ']'));
            if let Some(end) = end {
                members.push(Member::Class(chars[index + 2..end].iter().map(|(c, _)| c).collect()));
                index = end + 2;
                continue;
            }
        }
        if c == '\\' && !quoted {
            index += 1;
            c = chars.get(index)?.0;
        }
        index += 1;
        let closes = special(index + 1, ']');
        if special(index, '-') && !closes {
            let mut high = index + 1;
            if special(high, '\\') {
                high += 1;
            }
            members.push(Member::Range(c, chars.get(high)?.0));
            index = high + 1;
        } else {
            members.push(Member::Range(c, c));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let chars: Vec<(char, bool)> = pattern.chars().map(|c| (c, false)).collect();
        Pattern::new(&chars).matches(&text.chars().collect::<Vec<_>>())
    }

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[[:digit:]]*", "1x", true),
            ("[[:digit:]]*", "x1", false),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[\\]]", "]", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
        }
    }

    #[test]
    fn quoted_characters_stand_for_themselves() {
        let pattern = Pattern::new(&[('*', true), ('*', false)]);
        assert!(pattern.matches(&['*', 'a']));
        assert!(!pattern.matches(&['a']));
        assert!(!Pattern::new(&[('*', true)]).is_special());
    }

    #[test]
    fn many_stars_stay_fast() {
        let pattern = "*a".repeat(60);
        assert!(!matches(&pattern, &format!("{}b", "a".repeat(5000))));
    }
}
