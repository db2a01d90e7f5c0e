//! What was changed by hand in the `common-*` files since they were written.

use std::collections::{BTreeMap, BTreeSet};

use super::{ADDITIONAL, CONFIG, END, FALLBACK, PRIMARY, STACKS, STATE};
use crate::commands::ending::Done;
use crate::tree::Tree;

/// What an administrator has added to or taken from the options of modules, and which modules are enabled.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) modules: Vec<String>,
    /// Per stack and module line: options added, options removed.
    pub(super) options: BTreeMap<(String, String), (BTreeSet<String>, BTreeSet<String>)>,
}

impl Changes {
    /// Compares the files in use with what was written last; `None` if they differ in more than options.
    pub(super) fn find(tree: &Tree) -> Done<Option<Self>> {
        let mut changes = Self::default();
        for stack in STACKS {
            let (saved, current) = (format!("{STATE}/{stack}"), format!("{CONFIG}/common-{stack}"));
            if !tree.exists(&saved) || !tree.exists(&current) {
                return Ok(None);
            }
            if changes
                .compare(stack, &tree.read_text(&saved)?, &tree.read_text(&current)?)
                .is_none()
            {
                return Ok(None);
            }
        }
        Ok(Some(changes))
    }

    fn compare(&mut self, stack: &str, saved: &str, current: &str) -> Option<()> {
        let mut module = "";
        let mut expected = Vec::new();
        for line in saved.lines() {
            match line.strip_prefix("Module: ") {
                Some(name) => module = name,
                None => expected.push((module, without_jumps(line))),
            }
        }
        let mut expected = expected.into_iter();
        let kind = stack.trim_end_matches("-noninteractive");
        let mut state = 0;
        for line in current.lines() {
            state = match state {
                0 if line.starts_with(PRIMARY) => 1,
                1 if line.starts_with(FALLBACK) => 2,
                2 if line.starts_with(ADDITIONAL) => 3,
                3 if line.starts_with(END) => 4,
                1 | 3 => {
                    let line = without_jumps(line.strip_prefix(kind).unwrap_or(line).trim_start());
                    self.match_line(stack, &mut expected, &line)?;
                    state
                }
                other => other,
            };
        }
        (state >= 3).then_some(())
    }

    /// Finds the next expected module line that `line` is, and notes how their options differ.
    fn match_line<'s>(
        &mut self,
        stack: &str,
        expected: &mut impl Iterator<Item = (&'s str, String)>,
        line: &str,
    ) -> Option<()> {
        loop {
            let (module, wanted) = expected.next()?;
            let (head, options) = split_line(&wanted);
            let Some(rest) = line.strip_prefix(head.as_str()) else {
                continue;
            };
            if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
                continue;
            }
            self.modules.push(module.to_owned());
            let found: BTreeSet<String> = rest.split_whitespace().map(str::to_owned).collect();
            let wanted: BTreeSet<String> = options.into_iter().collect();
            let added = found.difference(&wanted).cloned().collect();
            let removed = wanted.difference(&found).cloned().collect();
            self.options.insert((stack.to_owned(), head), (added, removed));
            return Some(());
        }
    }
}

/// Control and module as one text, then the options: `[success=2 default=ignore] pam_unix.so nullok`.
pub(super) fn split_line(line: &str) -> (String, Vec<String>) {
    let control = if line.starts_with('[') {
        line.find(']').map_or(line.len(), |end| end + 1)
    } else {
        line.find(char::is_whitespace).unwrap_or(line.len())
    };
    let after = line[control..].trim_start();
    let module = after.find(char::is_whitespace).unwrap_or(after.len());
    let head = line.len() - after.len() + module;
    (
        line[..head].to_owned(),
        line[head..].split_whitespace().map(str::to_owned).collect(),
    )
}

/// The line without the numbers and `end`s that say how many modules a success skips.
pub(super) fn without_jumps(line: &str) -> String {
    let Some((control, rest)) = line.strip_prefix('[').and_then(|line| line.split_once(']')) else {
        return line.to_owned();
    };
    let control: Vec<&str> = control
        .split(' ')
        .map(|word| {
            word.trim_end_matches(|c: char| c.is_ascii_digit())
                .trim_end_matches("end")
        })
        .collect();
    format!("[{}]{rest}", control.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_line_is_split(line in "\\[?[ -~]{0,30}") {
            let (head, _) = split_line(&line);
            prop_assert!(line.starts_with(&head));
            let _ = without_jumps(&line);
        }
    }
}
