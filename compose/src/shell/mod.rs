//! A POSIX shell over a [`System`](crate::system::System): what dash does, as far as maintainer scripts go.

/// What a command sees of the shell that started it.
pub mod process;
