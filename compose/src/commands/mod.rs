//! Every command a maintainer script can call, one file per family, one visible table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::shell::process::Command;

/// Families of commands, each a slice of name and implementation.
const FAMILIES: &[&[(&str, Command)]] = &[];

/// The command called `name`: a bare name, or an absolute path for programs outside of `PATH`
/// (`/usr/lib/systemd/systemd-sysctl`).
pub fn lookup(name: &str) -> Option<Command> {
    static TABLE: LazyLock<BTreeMap<&str, Command>> =
        LazyLock::new(|| FAMILIES.iter().flat_map(|family| family.iter().copied()).collect());
    TABLE.get(name).copied()
}
