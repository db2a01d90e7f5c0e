//! The lines of tmpfiles.d(5).

use crate::accounts;
use crate::commands::systemd::{config_files, specifiers};
use crate::shell::process::Process;

/// Mode field: bits, and its prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) bits: u32,
    /// `~`: only what the file's present mode allows.
    pub(super) masked: bool,
    /// `:`: only for what is newly made.
    pub(super) only_new: bool,
}

/// An owner, by number; whether it is given only to what is newly made.
pub(super) type Owner = Option<(u32, bool)>;

/// A line of tmpfiles.d(5).
#[derive(Debug)]
pub(super) struct Line {
    pub(super) kind: char,
    pub(super) modifiers: String,
    pub(super) path: String,
    pub(super) mode: Option<Mode>,
    pub(super) uid: Owner,
    pub(super) gid: Owner,
    pub(super) argument: Option<String>,
}

impl Line {
    /// Reads a line; `Ok(None)` if it does not apply while an image is built.
    pub(super) fn parse(process: &Process<'_>, line: &str, boot: bool) -> Result<Option<Self>, String> {
        let (words, argument) = config_files::words_and_rest(line, 6);
        let field = |at: usize| {
            words
                .get(at)
                .map(String::as_str)
                .filter(|word| !word.is_empty() && *word != "-")
        };
        let (Some(kind), Some(path)) = (words.first(), field(1)) else {
            return Err(format!("`{line}` is incomplete"));
        };
        let mut letters = kind.chars();
        let kind = letters.next().ok_or_else(|| format!("`{line}` lacks a type"))?;
        let modifiers: String = letters.collect();
        if let Some(unknown) = modifiers.chars().find(|modifier| !"+!-=~^$?".contains(*modifier)) {
            return Err(format!("unknown modifier `{unknown}` in `{line}`"));
        }
        if (modifiers.contains('!') && !boot) || modifiers.contains('^') {
            return Ok(None);
        }
        let Some(path) = specifiers::expand(process.system, path) else {
            return Ok(None);
        };
        if !path.starts_with('/') {
            return Err(format!("`{path}` is no absolute path"));
        }
        let argument = match argument.filter(|argument| argument != "-") {
            Some(text) => match specifiers::expand(process.system, &text) {
                Some(text) => Some(text),
                None => return Ok(None),
            },
            None => None,
        };
        let tree = &process.system.tree;
        Ok(Some(Self {
            kind,
            modifiers,
            path: path.trim_end_matches('/').to_owned(),
            mode: field(2).map(mode).transpose()?,
            uid: owner(field(3), |name| accounts::uid(tree, name)).map_err(|name| format!("unknown user `{name}`"))?,
            gid: owner(field(4), |name| accounts::gid(tree, name)).map_err(|name| format!("unknown group `{name}`"))?,
            argument,
        }))
    }

    pub(super) fn is(&self, modifier: char) -> bool {
        self.modifiers.contains(modifier)
    }

    /// What to copy or link: the argument, else the same path under `/usr/share/factory`.
    pub(super) fn source(&self) -> String {
        self.argument
            .clone()
            .unwrap_or_else(|| format!("/usr/share/factory{}", self.path))
    }
}

fn mode(text: &str) -> Result<Mode, String> {
    let digits = text.trim_start_matches(['~', ':']);
    let prefixes = &text[..text.len() - digits.len()];
    let bits = u32::from_str_radix(digits, 8).ok().filter(|bits| *bits <= 0o7777);
    Ok(Mode {
        bits: bits.ok_or_else(|| format!("`{text}` is no mode"))?,
        masked: prefixes.contains('~'),
        only_new: prefixes.contains(':'),
    })
}

fn owner(text: Option<&str>, id: impl Fn(&str) -> Option<u32>) -> Result<Owner, String> {
    text.map(|text| {
        let name = text.trim_start_matches(':');
        id(name)
            .map(|id| (id, text.starts_with(':')))
            .ok_or_else(|| name.to_owned())
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in "[a-zA-Z][+!^?$=~-]{0,2} /[ -~]{0,40}") {
            let mut system = System::new("arm64", 0);
            let process = Process::new(&mut system, &["systemd-tmpfiles"]);
            let _ = Line::parse(&process, &line, false);
        }
    }
}
