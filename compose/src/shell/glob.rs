//! Pathname expansion over the tree (XCU 2.14.3).

use super::pattern::Pattern;
use super::process::Halt;
use super::state::{ENTRY, Shell};

impl Shell<'_> {
    /// The paths that match, sorted by bytes; empty if none does (the word then stays as it is).
    pub(super) fn glob(&self, chars: &[(char, bool)]) -> Result<Vec<String>, Halt> {
        let components: Vec<&[(char, bool)]> = chars.split(|(c, _)| *c == '/').collect();
        let mut found = vec![String::new()];
        for (index, component) in components.iter().enumerate() {
            let last = index + 1 == components.len();
            let pattern = Pattern::new(component);
            let mut next = Vec::new();
            let mut bytes = 0;
            for prefix in &found {
                let before = next.len();
                self.extend(prefix, &pattern, last, &mut next)?;
                bytes += next.iter().skip(before).map(|path| path.len() + ENTRY).sum::<usize>();
                // `/*/../*/../*` multiplies what there is with each part.
                self.session.fits_word(bytes)?;
            }
            self.session.work(bytes)?;
            found = next;
        }
        found.sort();
        Ok(found)
    }

    /// What `pattern` matches in the directory `prefix` (with a trailing slash, or empty).
    fn extend(&self, prefix: &str, pattern: &Pattern, last: bool, found: &mut Vec<String>) -> Result<(), Halt> {
        let tree = &self.system.tree;
        let end = if last { "" } else { "/" };
        if !pattern.is_special() {
            let path = format!("{prefix}{}", pattern.literal());
            let exists = path.is_empty() || tree.lexists(&self.absolute(&path));
            if !last || exists {
                found.push(format!("{path}{end}"));
            }
            return Ok(());
        }
        let dir = if prefix.is_empty() { "." } else { prefix };
        let mut names: Vec<String> = match tree.read_dir(&self.absolute(dir)) {
            Ok(entries) => entries.into_iter().map(|(name, _)| name).collect(),
            Err(_) => return Ok(()),
        };
        if pattern.starts_with_dot() {
            names.extend([".".to_owned(), "..".to_owned()]);
        }
        self.session.work(names.len() * ENTRY)?;
        for name in names {
            let hidden = name.starts_with('.') && !pattern.starts_with_dot();
            let letters: Vec<char> = name.chars().collect();
            if hidden || !self.matches(pattern, &letters)? {
                continue;
            }
            let path = format!("{prefix}{name}");
            if last || tree.is_dir(&self.absolute(&path)) {
                found.push(format!("{path}{end}"));
            }
        }
        Ok(())
    }
}
