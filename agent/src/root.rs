//! The machine as a parameter: every path the agent reads or writes hangs off a [`Root`].

use std::io;
use std::path::{Path, PathBuf};

/// Prefix of all paths: `/` on a node, a scenario folder in tests.
#[derive(Clone, Debug)]
pub struct Root(PathBuf);

impl Root {
    /// The running system.
    pub fn system() -> Self {
        Self(PathBuf::from("/"))
    }

    /// A tree somewhere else.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Whether this is the running system: only there may the kernel's host name or a unit be touched.
    pub fn is_system(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// An absolute path of the node, under this root.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    /// The text of a file, or `None` when there is no such file; bytes that are not UTF-8 are replaced.
    pub fn read(&self, absolute: &str) -> io::Result<Option<String>> {
        match std::fs::read(self.path(absolute)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            // ENOTDIR and EINVAL/EIO: sysfs attributes that the hardware does not fill in.
            Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// One value from `/proc` or `/sys`: trimmed, without the NUL that device-tree strings end in;
    /// `None` when it is missing, empty or not readable.
    pub fn attribute(&self, absolute: &str) -> Option<String> {
        let text = self.read(absolute).ok().flatten()?;
        let value = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// Names in a directory, sorted; empty when there is none.
    pub fn list(&self, absolute: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(absolute)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_unstable();
        names
    }
}
