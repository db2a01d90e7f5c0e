//! The search path of `sysusers.d(5)`, `tmpfiles.d(5)` and `systemd.preset(5)`.

use std::collections::BTreeMap;

use crate::tree::{Result, Tree};

/// Directories, the one that overrides the others first.
const ROOTS: &[&str] = &["/etc", "/run", "/usr/local/lib", "/usr/lib"];

/// The files `*SUFFIX` of `FOLDER` in effect (`sysusers.d`, `systemd/system-preset`), sorted by name: a file in an
/// earlier root replaces one of the same name, and a link to `/dev/null` masks it.
pub(super) fn all(tree: &Tree, folder: &str, suffix: &str) -> Result<Vec<String>> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for root in ROOTS {
        let folder = format!("{root}/{folder}");
        if !tree.is_dir(&folder) {
            continue;
        }
        for (name, _) in tree.read_dir(&folder)? {
            if name.ends_with(suffix) {
                found.entry(name.clone()).or_insert(format!("{folder}/{name}"));
            }
        }
    }
    Ok(found.into_values().filter(|path| tree.is_file(path)).collect())
}

/// The file called `name`: a path as it is, a bare name looked up in the search path.
pub(super) fn named(tree: &Tree, folder: &str, name: &str) -> Option<String> {
    if name.starts_with('/') {
        return tree.is_file(name).then(|| name.to_owned());
    }
    ROOTS
        .iter()
        .map(|root| format!("{root}/{folder}/{name}"))
        .find(|path| tree.lexists(path))
}

/// Splits a line at white space; quotes and backslashes as in systemd's `extract_first_word` with `CUNESCAPE`.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut started = false;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                started = true;
            }
            (_, '\\') => {
                started = true;
                unescape(&mut chars, &mut word);
            }
            (None, _) if c.is_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                    started = false;
                }
            }
            _ => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

/// Reads what follows a backslash.
fn unescape(chars: &mut std::str::Chars<'_>, word: &mut String) {
    match chars.next() {
        Some('n') => word.push('\n'),
        Some('t') => word.push('\t'),
        Some('r') => word.push('\r'),
        Some('s') => word.push(' '),
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            match u8::from_str_radix(&digits, 16) {
                Ok(byte) => word.push(char::from(byte)),
                Err(_) => word.extend(["\\x", digits.as_str()]),
            }
        }
        Some(other) => word.push(other),
        None => word.push('\\'),
    }
}

/// The first `count` words of a line and, as one, whatever follows them (for arguments that keep their spaces).
pub(super) fn words_and_rest(line: &str, count: usize) -> (Vec<String>, Option<String>) {
    let mut rest = line.trim();
    let mut heads = Vec::new();
    for _ in 0..count {
        if rest.is_empty() {
            return (heads, None);
        }
        let end = word_end(rest);
        heads.extend(words(&rest[..end]));
        rest = rest[end..].trim_start();
    }
    let tail = (!rest.is_empty()).then(
        || match rest.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
            Some(inner) => inner.to_owned(),
            None => rest.to_owned(),
        },
    );
    (heads, tail)
}

fn word_end(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            _ if escaped => escaped = false,
            _ if c == '\\' => escaped = true,
            Some(open) => quote = Some(open).filter(|open| *open != c),
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => return at,
            None => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_as_systemd_does() {
        assert_eq!(words("u! name - \"a b\" 'c'd"), ["u!", "name", "-", "a b", "cd"]);
        assert_eq!(words("a \\x41 \"\" b\\ c"), ["a", "A", "", "b c"]);
        let (heads, tail) = words_and_rest("f /x 0644 - - - two  words here", 6);
        assert_eq!(heads.len(), 6);
        assert_eq!(tail.as_deref(), Some("two  words here"));
        assert_eq!(words_and_rest("d /x", 6), (vec!["d".to_owned(), "/x".to_owned()], None));
    }

    #[test]
    fn earlier_roots_win_and_null_masks() {
        let mut tree = Tree::new(0);
        for root in ["/etc/x.d", "/usr/lib/x.d", "/dev"] {
            tree.mkdir_all(root, 0o755).unwrap();
        }
        for path in [
            "/etc/x.d/a.conf",
            "/usr/lib/x.d/a.conf",
            "/usr/lib/x.d/b.conf",
            "/usr/lib/x.d/c.conf",
        ] {
            tree.write(path, "", 0o644).unwrap();
        }
        tree.symlink("/dev/null", "/etc/x.d/b.conf").unwrap();
        assert_eq!(
            all(&tree, "x.d", ".conf").unwrap(),
            ["/etc/x.d/a.conf", "/usr/lib/x.d/c.conf"]
        );
        assert_eq!(named(&tree, "x.d", "c.conf").as_deref(), Some("/usr/lib/x.d/c.conf"));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "[ -~]{0,60}") {
            let all = words(&line);
            let (heads, _) = words_and_rest(&line, 3);
            prop_assert!(heads.len() <= all.len().max(3));
        }
    }
}
