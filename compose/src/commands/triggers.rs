//! Commands that build an index from what is in the tree: each is run once, at the end, by a generator.

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, settle};
use crate::shell::process::{Command, Process};

/// Everything here puts a name into `System::pending`, or does nothing and says so.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("ldconfig", |process| pending(process, "ldconfig")),
    ("depmod", |process| pending(process, "depmod")),
    ("update-ca-certificates", |process| pending(process, "ca-certificates")),
    ("update-initramfs", |process| pending(process, "update-initramfs")),
    ("iconvconfig", |process| pending(process, "iconvconfig")),
    ("locale-gen", |process| pending(process, "locale-gen")),
    ("update-locale", |process| pending(process, "locale-gen")),
    ("fc-cache", |process| pending(process, "fc-cache")),
    ("glib-compile-schemas", |process| {
        pending(process, "glib-compile-schemas")
    }),
    ("gio-querymodules", |process| pending(process, "gio-querymodules")),
    ("update-mime-database", |process| {
        pending(process, "update-mime-database")
    }),
    ("update-mime", |process| pending(process, "update-mime")),
    ("update-desktop-database", |process| {
        pending(process, "update-desktop-database")
    }),
    ("gtk-update-icon-cache", |process| {
        pending(process, "gtk-update-icon-cache")
    }),
    ("update-icon-caches", |process| {
        pending(process, "gtk-update-icon-cache")
    }),
    ("gdk-pixbuf-query-loaders", |process| {
        pending(process, "gdk-pixbuf-query-loaders")
    }),
    ("update-catalog", |process| pending(process, "update-catalog")),
    ("update-xmlcatalog", |process| pending(process, "update-xmlcatalog")),
    ("install-info", |process| pending(process, "install-info")),
    ("update-info-dir", |process| pending(process, "install-info")),
    ("mandb", |process| pending(process, "mandb")),
    ("py3compile", |process| {
        skipped(process, "Python modules are byte-compiled on the node")
    }),
    ("pypy3compile", |process| {
        skipped(process, "Python modules are byte-compiled on the node")
    }),
    ("pycompile", |process| {
        skipped(process, "Python modules are byte-compiled on the node")
    }),
    ("py3clean", |_| Ok(0)),
    ("pypy3clean", |_| Ok(0)),
    ("pyclean", |_| Ok(0)),
    ("ssh-keygen", |process| {
        skipped(process, "ssh host keys are made on the node's first boot")
    }),
    ("/usr/sbin/sshd", |process| settle(process, sshd)),
    ("sshd", |process| settle(process, sshd)),
    ("perl", |process| settle(process, perl)),
    ("/usr/bin/perl", |process| settle(process, perl)),
];

fn pending(process: &mut Process<'_>, generator: &str) -> crate::shell::process::Outcome {
    process.system.pending.insert(generator.to_owned());
    Ok(0)
}

fn skipped(process: &mut Process<'_>, why: &str) -> crate::shell::process::Outcome {
    process.note(why);
    Ok(0)
}

/// `sshd -G` prints the effective configuration, from which openssh-server learns which host keys to make: none.
fn sshd(process: &mut Process<'_>) -> Done {
    Arguments::of(process, &["-G", "-T"])?;
    process.note("ssh host keys are made on the node's first boot");
    Ok(0)
}

/// `perl -e ""`, by which libc6 finds out whether debconf can run. Any other program would have to be executed.
fn perl(process: &mut Process<'_>) -> Done {
    match process.args.get(1..) {
        Some([option, program]) if option == "-e" && program.is_empty() => Ok(0),
        _ => Err(process.unsupported("running a Perl program").into()),
    }
}
