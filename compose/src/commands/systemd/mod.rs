//! systemd's tools as they behave without a running systemd, and Debian's helpers around them.

/// Which `*.conf` files of `/etc`, `/run` and `/usr` apply.
mod config_files;

/// deb-systemd-helper and deb-systemd-invoke
pub(crate) mod deb_systemd_helper;

/// systemd-machine-id-setup, systemd-hwdb, journalctl, udevadm, …
pub(crate) mod offline;

/// The one-letter `%` placeholders of unit and configuration files.
mod specifiers;

/// systemctl
pub(crate) mod systemctl;

/// systemd-sysusers
pub(crate) mod sysusers;

/// systemd-tmpfiles
pub(crate) mod tmpfiles;

/// Unit files, their `[Install]` sections and presets.
mod units;

#[cfg(test)]
mod tests {
    use crate::commands::lookup;
    use crate::shell::process::Process;
    use crate::system::System;
    use crate::tree::{Kind, Tree};
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;

    /// Links below `/etc/systemd` and files of the helper's state, as `golden.gen.sh` lists them.
    fn list(tree: &Tree) -> BTreeSet<String> {
        let roots = ["/etc/systemd/system", "/etc/systemd/user", "/var/lib/systemd"];
        let found = roots.iter().flat_map(|root| tree.walk(root).unwrap_or_default());
        let lines = found.filter_map(|(path, id)| match &tree.inode(id).kind {
            Kind::Symlink(target) => Some(format!("{path} -> {target}")),
            Kind::File(content) => Some(format!(
                "{path}: {}",
                String::from_utf8_lossy(content).replace('\n', ",")
            )),
            _ => None,
        });
        lines.collect()
    }

    /// What each call changes is what it changes with the real tools.
    #[test]
    fn calls_change_what_the_real_tools_change() {
        let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/systemd");
        let mut system = System::new("arm64", 0);
        let folders = [
            ("system", "/usr/lib/systemd/system"),
            ("user", "/usr/lib/systemd/user"),
            ("preset", "/usr/lib/systemd/system-preset"),
        ];
        for (from, to) in folders {
            system.tree.mkdir_all(to, 0o755).unwrap();
            for entry in fs::read_dir(data.join(from)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                system
                    .tree
                    .write(&format!("{to}/{name}"), fs::read(&path).unwrap(), 0o644)
                    .unwrap();
            }
        }
        system.tree.symlink("usr/lib", "/lib").unwrap();
        system.tree.mkdir_all("/usr/bin", 0o755).unwrap();
        system.tree.write("/usr/bin/systemctl", "", 0o755).unwrap();
        let mut transcript = Vec::new();
        let mut before = list(&system.tree);
        for call in fs::read_to_string(data.join("calls")).unwrap().lines() {
            let args: Vec<&str> = call.split(' ').collect();
            let mut process = Process::new(&mut system, &args);
            process
                .env
                .insert("DPKG_MAINTSCRIPT_PACKAGE".to_owned(), "x".to_owned());
            let status = lookup(args[0]).unwrap()(&mut process).unwrap();
            transcript.extend([format!("$ {call}"), format!("= {status}")]);
            let after = list(&system.tree);
            transcript.extend(before.difference(&after).map(|line| format!("< {line}")));
            transcript.extend(after.difference(&before).map(|line| format!("> {line}")));
            before = after;
        }
        let expected = fs::read_to_string(data.join("expected")).unwrap();
        for (ours, theirs) in transcript.iter().zip(expected.lines()) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(transcript.len(), expected.lines().count());
    }
}
