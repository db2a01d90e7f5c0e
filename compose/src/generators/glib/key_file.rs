//! Files of groups, keys and values, as GLib's `GKeyFile` reads them
//! (<https://specifications.freedesktop.org/desktop-entry-spec/latest/basic-format.html>).

/// Groups in their order, each with its keys and values in theirs; a group or key that comes again has its first place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KeyFile(pub(super) Vec<(String, Vec<(String, String)>)>);

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
            if let Some(name) = line
                .trim_ascii_end()
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
                group = Some(file.group(name));
                continue;
            }
            let wrong = |why: &str| format!("line {}: {why}", number + 1);
            let Some((key, value)) = line.split_once('=') else {
                return Err(wrong("this is neither a group nor a key with a value"));
            };
            let group = group.ok_or_else(|| wrong("a key outside of a group"))?;
            let (key, value) = (key.trim_ascii_end(), value.trim_ascii_start().to_owned());
            if key.is_empty() {
                return Err(wrong("a value without a key"));
            }
            // Translations are for other languages than that of the system.
            if key.ends_with(']') {
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
        assert!(KeyFile::parse("[a]\nx\n").is_err());
    }
}
