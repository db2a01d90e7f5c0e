//! Shell patterns over whole strings, as `fnmatch(3)` without flags: `*` also crosses `/`.

/// Whether `text` matches `pattern` (`*`, `?`, `[…]`, `\` quotes).
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    // One place to come back to is enough: a later `*` makes an earlier one's choice irrelevant.
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => match bracket(&pattern, p, text[t]) {
                Some((true, next)) => Some(next),
                Some((false, _)) => None,
                None => (text[t] == '[').then_some(p + 1),
            },
            Some('\\') if p + 1 < pattern.len() => (pattern[p + 1] == text[t]).then_some(p + 2),
            Some(&c) => (c == text[t]).then_some(p + 1),
            None => None,
        };
        match (step, &mut retry) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((after, from))) => {
                *from += 1;
                (p, t) = (*after, *from);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether `c` is in the bracket expression that starts at `at`, and where that ends; `None` if it is none.
fn bracket(pattern: &[char], at: usize, c: char) -> Option<(bool, usize)> {
    let mut i = at + 1;
    let negated = matches!(pattern.get(i), Some('!' | '^'));
    if negated {
        i += 1;
    }
    let first = i;
    let mut found = false;
    loop {
        let low = *pattern.get(i)?;
        if low == ']' && i > first {
            return Some((found != negated, i + 1));
        }
        if pattern.get(i + 1) == Some(&'-') && pattern.get(i + 2).is_some_and(|&high| high != ']') {
            found |= (low..=pattern[i + 2]).contains(&c);
            i += 3;
        } else {
            found |= low == c;
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_in_fnmatch() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*.service", "a.b.service", true),
            ("a*b*c", "aXbYbZc", true),
            ("a?c", "ac", false),
            ("/usr/*/x", "/usr/a/b/x", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_ends_quickly(text in "[a-z./@-]{0,30}", pattern in "[a*?\\[\\]!-]{0,30}") {
            prop_assert!(matches(&text, &text));
            let _ = matches(&pattern, &"a".repeat(200));
        }
    }
}
