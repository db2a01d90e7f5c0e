//! Files of groups, keys and values, as GLib's `GKeyFile` reads them
//! (<https://specifications.freedesktop.org/desktop-entry-spec/latest/basic-format.html>).

/// Groups in their order, each with its keys and values in theirs; a group or key that comes again has its first place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyFile(pub(super) Vec<(String, Vec<(String, String)>)>);

/// The name in a line that begins a group.
fn group_line(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix('[')?.split_once(']')?;
    rest.trim_ascii().is_empty().then_some(name)
}

/// Whether a text can be the name of a language.
fn is_language(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@'))
}

/// Whether a key is the translation of another, if it is a key at all.
fn is_translation(key: &str) -> Option<bool> {
    let (name, language) = key
        .split_once('[')
        .map_or((key, None), |(name, rest)| (name, Some(rest)));
    let language = language.map(|rest| rest.strip_suffix(']').is_some_and(is_language));
    let is_key = !name.is_empty() && !name.contains(']') && language != Some(false);
    is_key.then_some(language.is_some())
}

impl KeyFile {
    /// Reads a file.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut file = Self::default();
        let mut group = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_ascii_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: &str| format!("line {}: {why}", number + 1);
            if let Some(name) = group_line(line) {
                if name.is_empty() || name.contains(|c: char| c == '[' || c.is_ascii_control()) {
                    return Err(wrong("this is no name of a group"));
                }
                group = Some(file.group(name));
                continue;
            }
            let Some((key, value)) = line.split_once('=') else {
                return Err(wrong("this is neither a group nor a key with a value"));
            };
            let group = group.ok_or_else(|| wrong("a key outside of a group"))?;
            let (key, value) = (key.trim_ascii_end(), value.trim_ascii_start().to_owned());
            // Translations are for other languages than that of the system.
            if is_translation(key).ok_or_else(|| wrong("this is no name of a key"))? {
                continue;
            }
            let keys: &mut Vec<(String, String)> = &mut file.0[group].1;
            match keys.iter_mut().find(|(known, _)| known == key) {
                Some((_, old)) => *old = value,
                None => keys.push((key.to_owned(), value)),
            }
        }
        Ok(file)
    }

    /// The place of a group, which is made if it is not there.
    fn group(&mut self, name: &str) -> usize {
        let found = self.0.iter().position(|(known, _)| known == name);
        found.unwrap_or_else(|| {
            self.0.push((name.to_owned(), Vec::new()));
            self.0.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_keys_are_read() {
        let file = KeyFile::parse("# c\n[a:b]\nx = 1 \ny='='\n\n[c]\n[a:b]\nx=2\nname[de]=3\n").unwrap();
        let keys = [("x", "2"), ("y", "'='")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            file.0,
            [("a:b".to_owned(), keys.to_vec()), ("c".to_owned(), Vec::new())]
        );
        assert_eq!(KeyFile::parse("x=1\n").unwrap_err(), "line 1: a key outside of a group");
        for text in [
            "[a]\nx\n",
            "[]\n",
            "[[a]\n",
            "[a\nx=1\n",
            "[a]\nx]=1\n",
            "[a]\nx[=1\n",
            "[a]\n=1\n",
        ] {
            assert!(KeyFile::parse(text).is_err(), "{text}");
        }
    }
}
