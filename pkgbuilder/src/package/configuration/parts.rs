//! What a configuration package consists of, before it is a package.

use zeroize::Zeroizing;

use super::super::data::{Entry, Kind};

/// Who may read a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Audience {
    /// Everyone on the machine: nothing secret is in it.
    #[default]
    Everyone,
    /// root.
    Root,
    /// root, and the members of a group that exists when the package is configured. Until then, root alone.
    Group(&'static str),
}

/// A file of a configuration package.
#[derive(Clone)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: Zeroizing<String>,
    pub(super) audience: Audience,
    /// Whether its owner may change it.
    pub(super) conffile: bool,
    pub(super) folder: bool,
}

impl File {
    /// A file that its owner may change.
    pub(super) fn config(path: &str, text: String) -> Self {
        Self {
            path: path.to_owned(),
            text: Zeroizing::new(text),
            audience: Audience::Everyone,
            conffile: true,
            folder: false,
        }
    }

    /// A file that only the package changes.
    pub(super) fn fixed(path: &str, text: &str) -> Self {
        Self {
            conffile: false,
            ..Self::config(path, text.to_owned())
        }
    }

    /// An empty folder.
    pub(super) fn folder(path: &str) -> Self {
        Self {
            folder: true,
            ..Self::fixed(path, "")
        }
    }

    /// The file as it is unpacked: what is secret is root's alone until its group exists.
    pub(super) fn entry(&self) -> Entry {
        if self.folder {
            return Entry::dir(&self.path, 0o755);
        }
        let mode = if self.audience == Audience::Everyone {
            0o644
        } else {
            0o600
        };
        let mut entry = Entry::file(&self.path, mode, self.text.as_bytes().to_vec());
        entry.conffile = self.conffile;
        debug_assert!(matches!(entry.kind, Kind::File(_)));
        entry
    }
}

/// What the package does to what reads its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing.
    #[default]
    Nothing,
    /// The unit is started with the new settings, also where it did not run.
    Always(&'static str),
    /// The unit is restarted where it runs.
    IfRunning(&'static str),
    /// NetworkManager looks at its connections again.
    Connections,
}

/// The parts of a configuration package.
#[derive(Clone, Default)]
pub(super) struct Parts {
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) depends: Vec<String>,
    pub(super) recommends: Vec<String>,
    /// A virtual package of which a machine has one: it is provided and conflicted with.
    pub(super) family: Option<&'static str>,
    pub(super) files: Vec<File>,
    pub(super) start: Start,
}
