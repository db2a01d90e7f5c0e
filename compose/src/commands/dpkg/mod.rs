//! dpkg's own tools, as far as maintainer scripts use them.

/// `dpkg --compare-versions`
mod compare;

/// dpkg-divert
pub(crate) mod divert;

/// dpkg-query and dpkg's queries
pub(crate) mod query;

/// What dpkg knows of a package.
pub(crate) mod stanza;

/// dpkg-statoverride
pub(crate) mod statoverride;

/// dpkg itself, dpkg-trigger, dpkg-maintscript-helper, dpkg-realpath
pub(crate) mod tools;
