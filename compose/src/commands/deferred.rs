//! Commands that build an index from what is in the tree: each is run once, at the end, by a generator.

use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, settle};
use crate::shell::process::{Command, Process, Status};

/// Everything here puts a name into `System::pending`, or does nothing and says so.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("depmod", |process| Ok(pending(process))),
    ("fc-cache", |process| Ok(pending(process))),
    ("gio-querymodules", |process| Ok(of_directory(process, GIO_MODULES))),
    ("glib-compile-schemas", |process| Ok(of_directory(process, SCHEMAS))),
    ("gtk-update-icon-cache", |process| Ok(pending(process))),
    ("iconvconfig", |process| Ok(pending(process))),
    ("install-info", |process| Ok(pending(process))),
    ("ldconfig", |process| Ok(pending(process))),
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
    ("update-mime-database", |process| {
        Ok(of_directory(process, TYPES_OF_FILES))
    }),
    // GLib calls its tools by path.
    ("/usr/lib/*/glib-2.0/gio-querymodules", |process| {
        Ok(of_directory(process, GIO_MODULES))
    }),
    ("/usr/lib/*/glib-2.0/glib-compile-schemas", |process| {
        Ok(of_directory(process, SCHEMAS))
    }),
    ("helpztags", |process| settle(process, helpztags)),
    ("localedef", |process| settle(process, localedef)),
    ("sshd", |process| settle(process, sshd)),
    ("perl", |process| settle(process, perl)),
];

/// What tools of one place are run for, as a beginning and an end.
const GIO_MODULES: (&str, &str) = ("/usr/lib/", "/gio/modules");
const SCHEMAS: (&str, &str) = ("/usr/share/glib-2.0/", "schemas");
const TYPES_OF_FILES: (&str, &str) = ("/usr/share/", "mime");

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

/// A generator that knows one place: another, or an option, is a note.
fn of_directory(process: &mut Process<'_>, (begin, end): (&str, &str)) -> Status {
    if let [_, directory] = &process.args[..]
        && directory.starts_with(begin)
        && directory.trim_end_matches('/').ends_with(end)
    {
        return pending(process);
    }
    let call = process.args.join(" ");
    skipped(
        process,
        &format!("`{call}` is not done here, for it is not about the system's own directory"),
    )
}

fn skipped(process: &mut Process<'_>, why: &str) -> Status {
    process.note(why);
    0
}

/// `helpztags DIRECTORY...` lists the tags of the help of Vim's addons.
fn helpztags(process: &mut Process<'_>) -> Done {
    for directory in Arguments::of(process, &[])?.operands() {
        let names = process
            .system
            .tree
            .read_dir(&process.path(directory))
            .unwrap_or_default();
        if !names.is_empty() {
            process.note(format!(
                "the tags of the help in {directory} are not made: `:helptags ALL` in Vim makes them"
            ));
        }
    }
    Ok(0)
}

/// `localedef … NAME`, by which locale-gen, a script, compiles what /etc/locale.gen asks for.
fn localedef(process: &mut Process<'_>) -> Done {
    for name in Arguments::of(process, &["-c", "-i =", "-f =", "-A ="])?.operands() {
        process.note(format!(
            "the locale {name} is not compiled: C.UTF-8 is always there, and the package locales-all has all others"
        ));
    }
    Ok(0)
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
    fn generators_of_one_directory_leave_others_to_a_note() {
        let mut system = System::new("arm64", 0);
        let tool = lookup("glib-compile-schemas").unwrap();
        let mut run = |directory: &str| {
            let mut process = Process::new(&mut system, &["glib-compile-schemas", directory]);
            assert_eq!(tool(&mut process), Ok(0));
            (system.pending.len(), system.notes.len())
        };
        assert_eq!(run("/opt/schemas"), (0, 1));
        assert_eq!(run("/usr/share/glib-2.0/schemas/"), (1, 1));
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
