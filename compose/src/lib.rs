//! Debian packages to a root file system, without executing anything.
//!
//! Packages are unpacked into a [`tree::Tree`] in dpkg's order; their maintainer scripts are interpreted
//! over it by a small POSIX shell whose every command is ours. Nothing here touches the host or knows of
//! boards, Nomad or images.

/// Reading `.deb` files.
pub mod deb;

/// In which order packages are unpacked and configured.
pub mod order;

/// Files that packages list but that are left out.
pub mod path_filter;

/// Payloads into the tree.
pub mod unpack;

/// From packages to a configured tree.
pub mod install;

/// The root file system in memory.
pub mod tree;

/// What maintainer scripts act on: the tree and the state dpkg and debconf keep beside it.
pub mod system;

/// Users and groups of the tree, and the numbers they get.
pub mod accounts;

/// debconf's templates, questions and answers.
pub mod debconf;

/// The files dpkg keeps its state in.
pub mod dpkg;

/// The POSIX shell that interprets maintainer scripts.
pub mod shell;

/// What stands in for passages of maintainer scripts that run compiled programs.
mod configurators;

/// The commands scripts can call, one file per family.
pub mod commands;

/// What compiled helpers would have generated.
pub mod generators;

pub use install::{Composed, Failure, Options, Progress, compose};
