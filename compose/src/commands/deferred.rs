//! Commands that build an index from what is in the tree: each is run once, at the end, by a generator.

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, settle};
use crate::shell::process::{Command, Process, Status};

/// Everything here puts a name into `System::pending`, or does nothing and says so.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("depmod", |process| Ok(pending(process))),
    ("fc-cache", |process| Ok(pending(process))),
    ("helpztags", |process| Ok(pending(process))),
    ("gdk-pixbuf-query-loaders", |process| Ok(pending(process))),
    ("gio-querymodules", |process| Ok(pending(process))),
    ("glib-compile-schemas", |process| Ok(pending(process))),
    ("gtk-update-icon-cache", |process| Ok(pending(process))),
    ("iconvconfig", |process| Ok(pending(process))),
    ("install-info", |process| Ok(pending(process))),
    ("ldconfig", |process| Ok(pending(process))),
    ("locale-gen", |process| Ok(pending(process))),
    ("mandb", |process| Ok(pending(process))),
    ("update-ca-certificates", |process| Ok(pending(process))),
    ("update-fonts-alias", |process| Ok(pending(process))),
    ("update-fonts-dir", |process| Ok(pending(process))),
    ("update-fonts-scale", |process| Ok(pending(process))),
    ("update-desktop-database", |process| Ok(pending(process))),
    ("update-icon-caches", |process| Ok(pending(process))),
    ("update-info-dir", |process| Ok(pending(process))),
    ("update-initramfs", |process| Ok(pending(process))),
    ("update-mime", |process| Ok(pending(process))),
    ("update-mime-database", |process| Ok(pending(process))),
    // GLib calls its tools by path.
    ("/usr/lib/*/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders", |process| {
        Ok(pending(process))
    }),
    ("/usr/lib/*/glib-2.0/gio-querymodules", |process| Ok(pending(process))),
    ("/usr/lib/*/glib-2.0/glib-compile-schemas", |process| {
        Ok(pending(process))
    }),
    ("sshd", |process| settle(process, sshd)),
    ("perl", |process| settle(process, perl)),
];

const HOST_KEYS: &str = "ssh host keys are made on the node's first boot";

/// The generator of a command where it has another name.
const GENERATORS: &[(&str, &str)] = &[
    ("update-ca-certificates", "ca-certificates"),
    ("update-icon-caches", "gtk-update-icon-cache"),
    ("update-info-dir", "install-info"),
];

fn pending(process: &mut Process<'_>) -> Status {
    let name = process.args[0].rsplit('/').next().unwrap_or("").to_owned();
    let generator = GENERATORS
        .iter()
        .find(|(command, _)| *command == name)
        .map(|(_, generator)| (*generator).to_owned());
    process.system.pending.insert(generator.unwrap_or(name));
    0
}

fn skipped(process: &mut Process<'_>, why: &str) -> Status {
    process.note(why);
    0
}

/// `sshd -G` prints the effective configuration, from which openssh-server learns which host keys to make: none.
fn sshd(process: &mut Process<'_>) -> Done {
    Arguments::of(process, &["-G", "-T"])?;
    Ok(skipped(process, HOST_KEYS))
}

/// `perl -e ""`, by which libc6 finds out whether debconf can run. Any other program would have to be executed.
fn perl(process: &mut Process<'_>) -> Done {
    match process.args.get(1..) {
        Some([option, program]) if option == "-e" && program.is_empty() => Ok(0),
        _ => Err(process.unsupported("running a Perl program").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::shell::process::Halt;
    use crate::system::System;

    #[test]
    fn generators_are_asked_for_once_under_their_names() {
        let mut system = System::new("arm64", 0);
        for call in [
            &["ldconfig"][..],
            &["/sbin/ldconfig", "-v"],
            &["update-ca-certificates", "--hooksdir", ""],
        ] {
            let name = call[0].rsplit('/').next().unwrap();
            assert_eq!(lookup(name).unwrap()(&mut Process::new(&mut system, call)), Ok(0));
        }
        assert_eq!(
            system.pending.iter().collect::<Vec<_>>(),
            ["ca-certificates", "ldconfig"]
        );
    }

    #[test]
    fn perl_is_refused_but_for_the_probe() {
        let mut system = System::new("arm64", 0);
        let perl = lookup("perl").unwrap();
        assert_eq!(perl(&mut Process::new(&mut system, &["perl", "-e", ""])), Ok(0));
        let halt = perl(&mut Process::new(&mut system, &["perl", "-e", "1"])).unwrap_err();
        assert!(matches!(halt, Halt::Unsupported { .. }));
    }
}
