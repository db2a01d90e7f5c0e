//! Every command a maintainer script can call, one file per family, one visible table.

/// adduser, useradd, update-passwd, …
mod accounts;

/// su, runuser, setpriv, sudo
mod acting;

/// update-alternatives
mod alternatives;

/// Options and operands of a command line.
mod arguments;

/// chmod, chown, chgrp
mod attributes;

/// awk
mod awk;

/// setcap, getcap
mod capabilities;

/// cut, fold, paste, tr
mod columns;

/// cmp, diff
mod comparison;

/// cp
mod copy;

/// mkdir, touch, mktemp, …
mod creation;

/// date
mod date;

/// db_get, debconf-set-selections, …
mod debconf;

/// Commands that wait for the end of the build.
mod deferred;

/// md5sum, sha256sum, …
mod digests;

/// dpkg-query, dpkg-divert, dpkg-statoverride, …
mod dpkg;

/// How a command ends early.
mod ending;

/// base64, gzip, iconv, tac, zcat
mod encoding;

/// a2enmod, lighty-enable-mod, icinga2 feature
mod enabling;

/// env, uname, hostname, which, …
mod environment;

/// Backslash escapes of C strings.
mod escapes;

/// expr, seq
mod expr;

/// mv, rm, rmdir, unlink
mod files;

/// find
mod find;

/// Shell patterns over whole strings.
mod fnmatch;

/// getopt
mod getopt;

/// What is an option among words, and what an operand.
mod getopt_long;

/// grep, egrep, fgrep
mod grep;

/// id, groups, whoami, getent, …
mod identity;

/// Commands about the running machine, of which there is none.
mod idle;

/// install
mod install;

/// java
mod java;

/// make-ssl-cert, rndc-confgen, ssh-keygen
mod keys;

/// ln, link
mod links;

/// linux-update-symlinks, linux-run-hooks
mod linux_base;

/// ls
mod listing;

/// locale, update-locale
mod locale;

/// update-xmlcatalog, update-catalog
mod markup_catalogs;

/// File modes as text.
mod mode;

/// basename, dirname, readlink, realpath, pwd
mod names;

/// File operands: what to read, where to write.
mod operands;

/// The real tools as judges of ours.
#[cfg(test)]
mod oracle;

/// Users and groups of the tree.
mod owners;

/// pam-auth-update
mod pam;

/// gdk-pixbuf-query-loaders
mod pixbuf_loaders;

/// pg_lsclusters, pg_createcluster, …
mod postgresql;

/// python3, py3compile, …
mod python;

/// POSIX regular expressions.
mod regular_expression;

/// run-parts
mod run_parts;

/// sed
mod sed;

/// sort
mod sort;

/// nice, timeout, flock, …
mod spawning;

/// stat
mod stat;

/// systemctl, deb-systemd-helper, systemd-sysusers, …
mod systemd;

/// cat, head, tail, wc, tee, …
mod text;

/// ucf, ucfr
mod ucf;

/// uniq, comm
mod uniq;

/// update-rc.d
mod update_rc_d;

/// xargs
mod xargs;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::shell::process::Command;

/// Families of commands, each a slice of name and implementation.
const FAMILIES: &[&[(&str, Command)]] = &[
    accounts::adduser::COMMANDS,
    accounts::conversion::COMMANDS,
    accounts::groups::COMMANDS,
    accounts::passwords::COMMANDS,
    accounts::users::COMMANDS,
    acting::COMMANDS,
    alternatives::COMMANDS,
    attributes::COMMANDS,
    awk::COMMANDS,
    capabilities::COMMANDS,
    columns::COMMANDS,
    comparison::COMMANDS,
    copy::COMMANDS,
    creation::COMMANDS,
    date::COMMANDS,
    debconf::COMMANDS,
    deferred::COMMANDS,
    digests::COMMANDS,
    dpkg::divert::COMMANDS,
    dpkg::query::COMMANDS,
    dpkg::statoverride::COMMANDS,
    dpkg::tools::COMMANDS,
    enabling::COMMANDS,
    encoding::COMMANDS,
    environment::COMMANDS,
    expr::COMMANDS,
    files::COMMANDS,
    find::COMMANDS,
    getopt::COMMANDS,
    grep::COMMANDS,
    identity::COMMANDS,
    idle::COMMANDS,
    install::COMMANDS,
    java::COMMANDS,
    keys::COMMANDS,
    links::COMMANDS,
    linux_base::COMMANDS,
    listing::COMMANDS,
    locale::COMMANDS,
    markup_catalogs::COMMANDS,
    names::COMMANDS,
    pam::COMMANDS,
    pixbuf_loaders::COMMANDS,
    postgresql::COMMANDS,
    python::COMMANDS,
    run_parts::COMMANDS,
    sed::COMMANDS,
    sort::COMMANDS,
    spawning::COMMANDS,
    stat::COMMANDS,
    systemd::deb_systemd_helper::COMMANDS,
    systemd::offline::COMMANDS,
    systemd::systemctl::COMMANDS,
    systemd::sysusers::COMMANDS,
    systemd::tmpfiles::COMMANDS,
    text::COMMANDS,
    ucf::COMMANDS,
    uniq::COMMANDS,
    update_rc_d::COMMANDS,
    xargs::COMMANDS,
];

/// The command called `name`: a bare name, or an absolute path for programs outside of `PATH`
/// (`/usr/lib/systemd/systemd-sysctl`).
///
/// `*` in a path of the table stands for the architecture's library folder (`/usr/lib/aarch64-linux-gnu`).
pub fn lookup(name: &str) -> Option<Command> {
    static TABLE: LazyLock<BTreeMap<&str, Command>> =
        LazyLock::new(|| FAMILIES.iter().flat_map(|family| family.iter().copied()).collect());
    let by_folder = || {
        let (folder, rest) = name.strip_prefix("/usr/lib/")?.split_once('/')?;
        let known = TABLE.get(format!("/usr/lib/*/{rest}").as_str()).copied();
        known.filter(|_| folder.contains("-linux-gnu"))
    };
    TABLE.get(name).copied().or_else(by_folder)
}
