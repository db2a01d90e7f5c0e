//! Profiles: `/usr/share/pam-configs/*`.

use std::collections::BTreeMap;

use super::PROFILES;
use crate::commands::ending::{Done, Ending};
use crate::tree::Tree;

/// A file of `/usr/share/pam-configs`: fields by name, continuation lines joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) name: String,
    fields: BTreeMap<String, String>,
}

impl Profile {
    pub(super) fn parse(name: &str, text: &str) -> Option<Self> {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut field = String::new();
        for line in text.lines() {
            let head = line.split_once(':').filter(|(name, value)| {
                !name.is_empty() && !name.contains(char::is_whitespace) && value.starts_with(char::is_whitespace)
            });
            if let Some((name, value)) = head {
                name.strip_suffix("-Final").unwrap_or(name).clone_into(&mut field);
                fields.insert(field.clone(), value.trim().to_owned());
            } else {
                // `Auth:` with nothing behind it starts a field whose lines follow.
                if let Some(name) = line
                    .strip_suffix(':')
                    .filter(|name| !name.contains(char::is_whitespace))
                {
                    name.strip_suffix("-Final").unwrap_or(name).clone_into(&mut field);
                    fields.insert(field.clone(), String::new());
                    continue;
                }
                let value = fields.entry(field.clone()).or_default();
                if !line.trim().is_empty() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
                *value = value.trim_start().to_owned();
            }
        }
        // A module that is gone for good disables its profile.
        if fields.values().any(|value| value.contains("pam_tally")) {
            return None;
        }
        if fields.get("Session-Interactive-Only").is_none_or(|only| only != "yes") {
            for suffix in ["", "-Type", "-Initial"] {
                if let Some(value) = fields.get(&format!("Session{suffix}")).cloned() {
                    fields.insert(format!("Session-noninteractive{suffix}"), value);
                }
            }
        }
        Some(Self {
            name: name.to_owned(),
            fields,
        })
    }

    pub(super) fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    fn priority(&self) -> i64 {
        self.get("Priority").parse().unwrap_or(0)
    }

    /// The lines for a stack; the first module of a block may have others.
    pub(super) fn lines(&self, stack: &str, first: bool) -> &str {
        let initial = self.get(&format!("{stack}-Initial"));
        if first && !initial.is_empty() {
            initial
        } else {
            self.get(stack)
        }
    }
}

/// `auth` to `Auth`, as fields begin.
pub(super) fn field_name(stack: &str) -> String {
    let mut letters = stack.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

pub(super) fn load(tree: &Tree) -> Done<Vec<Profile>> {
    let mut profiles = Vec::new();
    for (name, _) in tree
        .read_dir(PROFILES)
        .map_err(|_| Ending::failed("could not open config directory"))?
    {
        if name.ends_with('~') || (name.starts_with('#') && name.ends_with('#')) {
            continue;
        }
        profiles.extend(Profile::parse(&name, &tree.read_text(&format!("{PROFILES}/{name}"))?));
    }
    // The highest priority first; among equals in reverse order of names.
    profiles.sort_by(|a, b| b.priority().cmp(&a.priority()).then_with(|| b.name.cmp(&a.name)));
    Ok(profiles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_profile_is_read(text in "([A-Za-z-]{0,9}:?[ \t]{0,2}[ -~]{0,30}\n){0,9}") {
            let _ = Profile::parse("p", &text);
        }
    }
}
