//! Every command a maintainer script can call, one file per family, one visible table.

/// adduser, useradd, update-passwd, …
mod accounts;

/// Options and operands of a command line.
mod arguments;

/// db_get, debconf-set-selections, …
mod debconf;

/// dpkg-query, dpkg-divert, dpkg-statoverride, …
mod dpkg;

/// How a command ends early.
mod ending;

/// Shell patterns over whole strings.
mod pattern;

/// Commands about the running machine, of which there is none.
mod idle;

/// update-rc.d
mod services;

/// systemctl, deb-systemd-helper, systemd-sysusers, …
mod systemd;

/// Commands that wait for the end of the build.
mod triggers;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::shell::process::Command;

/// Families of commands, each a slice of name and implementation.
const FAMILIES: &[&[(&str, Command)]] = &[
    accounts::adduser::COMMANDS,
    accounts::conversion::COMMANDS,
    accounts::groups::COMMANDS,
    accounts::users::COMMANDS,
    debconf::COMMANDS,
    dpkg::divert::COMMANDS,
    dpkg::query::COMMANDS,
    dpkg::statoverride::COMMANDS,
    dpkg::tools::COMMANDS,
    idle::COMMANDS,
    services::COMMANDS,
    systemd::helper::COMMANDS,
    systemd::offline::COMMANDS,
    systemd::systemctl::COMMANDS,
    systemd::sysusers::COMMANDS,
    systemd::tmpfiles::COMMANDS,
    triggers::COMMANDS,
];

/// The command called `name`: a bare name, or an absolute path for programs outside of `PATH`
/// (`/usr/lib/systemd/systemd-sysctl`).
pub fn lookup(name: &str) -> Option<Command> {
    static TABLE: LazyLock<BTreeMap<&str, Command>> =
        LazyLock::new(|| FAMILIES.iter().flat_map(|family| family.iter().copied()).collect());
    TABLE.get(name).copied()
}
