//! Why an operation on the tree failed.

use std::fmt;

/// Why a tree operation failed; displays as `strerror(3)` would, with the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeError {
    /// The path as the caller gave it.
    pub path: String,
    /// The cause.
    pub errno: Errno,
}

/// The causes a tree operation can fail for, named as in `errno(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    /// `ENOENT`
    NoEntry,
    /// `ENOTDIR`
    NotDir,
    /// `EISDIR`
    IsDir,
    /// `EEXIST`
    Exists,
    /// `ENOTEMPTY`
    NotEmpty,
    /// `ELOOP`
    Loop,
    /// `ENAMETOOLONG`
    NameTooLong,
    /// `EINVAL`
    Invalid,
}

impl Errno {
    /// The failure of an operation on `path` for this cause.
    pub(super) fn at(self, path: &str) -> TreeError {
        TreeError {
            path: path.to_owned(),
            errno: self,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntry => "No such file or directory",
            Self::NotDir => "Not a directory",
            Self::IsDir => "Is a directory",
            Self::Exists => "File exists",
            Self::NotEmpty => "Directory not empty",
            Self::NameTooLong => "File name too long",
            Self::Loop => "Too many levels of symbolic links",
            Self::Invalid => "Invalid argument",
        })
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.errno)
    }
}

impl std::error::Error for TreeError {}

/// Result of a tree operation.
pub type Result<T> = std::result::Result<T, TreeError>;
