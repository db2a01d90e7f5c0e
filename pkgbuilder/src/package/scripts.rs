//! Maintainer scripts: the fragments that debhelper would put there, in its words.
//!
//! The composer interprets these scripts like everybody else's, so their shapes are those of `dh_installsysusers`,
//! `dh_installtmpfiles` and `dh_installsystemd` (debhelper 13, compat 14).

use std::path::Path;

use super::accounts;
use super::data::{Body, Entry, Kind};

/// The maintainer scripts of a package; an empty one is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// Runs before unpacking.
    pub preinst: String,
    /// Runs after unpacking.
    pub postinst: String,
    /// Runs before removal.
    pub prerm: String,
    /// Runs after removal.
    pub postrm: String,
}

const CONFIGURING: &str = "if [ \"$1\" = \"configure\" ] || [ \"$1\" = \"abort-upgrade\" ] || \
                           [ \"$1\" = \"abort-deconfigure\" ] || [ \"$1\" = \"abort-remove\" ] ; then";

/// Where a script of a recipe has our fragments: debhelper's own token.
const TOKEN: &str = "#DEBHELPER#";

impl Scripts {
    /// The scripts for what is in a package: users and folders first, then owners that need them, then its services.
    pub fn of(entries: &[Entry], services: &[String]) -> Self {
        let mut scripts = Self::fragments(entries, services);
        for script in [&mut scripts.postinst, &mut scripts.prerm, &mut scripts.postrm] {
            if !script.is_empty() {
                *script = format!("#!/bin/sh\nset -e\n{script}\nexit 0\n");
            }
        }
        scripts
    }

    /// The recipe's own scripts, with our fragments where they have `#DEBHELPER#`. A script without it stays as it is:
    /// then its author sees to users and folders; but services would never start, which is an error. What the recipe
    /// has no script for gets ours.
    pub fn merged(own: Self, entries: &[Entry], services: &[String]) -> Result<Self, String> {
        let fragments = Self::fragments(entries, services);
        let mut merged = Self::of(entries, services);
        merged.preinst = own.preinst;
        for (name, own, fragment, merged) in [
            ("postinstall", own.postinst, fragments.postinst, &mut merged.postinst),
            ("preremove", own.prerm, fragments.prerm, &mut merged.prerm),
            ("postremove", own.postrm, fragments.postrm, &mut merged.postrm),
        ] {
            if own.is_empty() {
                continue;
            }
            if own.lines().any(|line| line.trim() == TOKEN) {
                let lines: Vec<&str> = own
                    .lines()
                    .map(|line| {
                        if line.trim() == TOKEN {
                            fragment.trim_end()
                        } else {
                            line
                        }
                    })
                    .collect();
                *merged = lines.join("\n") + "\n";
            } else if services.is_empty() || fragment.is_empty() {
                *merged = own;
            } else {
                return Err(format!(
                    "the script `{name}` has no line `{TOKEN}`: write it where the services are to be seen to"
                ));
            }
        }
        Ok(merged)
    }

    fn fragments(entries: &[Entry], services: &[String]) -> Self {
        let named = |folder: &str| -> Vec<String> {
            entries
                .iter()
                .filter_map(|entry| entry.path.strip_prefix(folder)?.strip_prefix('/'))
                .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "conf"))
                .map(str::to_owned)
                .collect()
        };
        let mut scripts = Self::default();
        let sysusers = named("/usr/lib/sysusers.d");
        if !sysusers.is_empty() {
            scripts.postinst.push_str(&sysusers_fragment(&sysusers));
        }
        let tmpfiles = named("/usr/lib/tmpfiles.d");
        if !tmpfiles.is_empty() {
            scripts.postinst.push_str(&tmpfiles_fragment(&tmpfiles));
        }
        for entry in entries {
            scripts.postinst.push_str(&owner_fragment(entry));
        }
        for unit in services {
            scripts.postinst.push_str(&enable_fragment(unit));
        }
        if !services.is_empty() {
            let quoted: Vec<String> = services.iter().map(|unit| quoted(unit)).collect();
            let units = quoted.join(" ");
            scripts.postinst.push_str(&restart_fragment(&units));
            scripts.prerm.push_str(&stop_fragment(&units));
            scripts.postrm.push_str(&purge_fragment(&units));
        }
        let data = data_folders(entries);
        if !data.is_empty() {
            scripts.postrm.push_str(&data_fragment(&data));
        }
        scripts
    }

    /// Name and text of each script there is.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("preinst", self.preinst.as_str()),
            ("postinst", self.postinst.as_str()),
            ("postrm", self.postrm.as_str()),
            ("prerm", self.prerm.as_str()),
        ]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
    }
}

/// A word of the shell: unit names may hold `\x2d` and the like, paths anything.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// dpkg unpacks before the users and groups of sysusers.d exist, and then falls back to numbers: the owner is set when
/// they do, unless the administrator has another (dpkg-statoverride(1)). Accounts that every system has need nothing.
fn owner_fragment(entry: &Entry) -> String {
    let (owner, group) = (&entry.owner.0, &entry.group.0);
    let known = accounts::user(owner).is_some() && accounts::group(group).is_some();
    if known || matches!(entry.kind, Kind::Symlink(_)) {
        return String::new();
    }
    let (path, account) = (quoted(&entry.path), quoted(&format!("{owner}:{group}")));
    // chown takes setuid and setgid away.
    let again = if entry.mode & 0o6000 == 0 {
        String::new()
    } else {
        format!("\t\tchmod {:04o} {path}\n", entry.mode)
    };
    format!(
        "{CONFIGURING}\n\
         \tif ! dpkg-statoverride --list {path} >/dev/null; then\n\
         \t\tchown {account} {path}\n\
         {again}\
         \tfi\nfi\n"
    )
}

fn sysusers_fragment(files: &[String]) -> String {
    format!(
        "{CONFIGURING}\n\tsystemd-sysusers ${{DPKG_ROOT:+--root=\"$DPKG_ROOT\"}} {}\nfi\n",
        files.join(" ")
    )
}

fn tmpfiles_fragment(files: &[String]) -> String {
    format!(
        "{CONFIGURING}\n\
         \tif [ -x \"$(command -v systemd-tmpfiles)\" ]; then\n\
         \t\tsystemd-tmpfiles ${{DPKG_ROOT:+--root=\"$DPKG_ROOT\"}} --create {} || true\n\
         \tfi\nfi\n",
        files.join(" ")
    )
}

fn enable_fragment(unit: &str) -> String {
    let unit = quoted(unit);
    format!(
        "{CONFIGURING}\n\
         \t# This will only remove masks created by d-s-h on package removal.\n\
         \tdeb-systemd-helper unmask {unit} >/dev/null || true\n\n\
         \t# was-enabled defaults to true, so new installations run enable.\n\
         \tif deb-systemd-helper --quiet was-enabled {unit}; then\n\
         \t\t# Enables the unit on first installation, creates new\n\
         \t\t# symlinks on upgrades if the unit file has changed.\n\
         \t\tdeb-systemd-helper enable {unit} >/dev/null || true\n\
         \telse\n\
         \t\t# Update the statefile to add new symlinks (if any), which need to be\n\
         \t\t# cleaned up on purge. Also remove old symlinks.\n\
         \t\tdeb-systemd-helper update-state {unit} >/dev/null || true\n\
         \tfi\nfi\n"
    )
}

fn restart_fragment(units: &str) -> String {
    format!(
        "{CONFIGURING}\n\
         \tif [ -d /run/systemd/system ]; then\n\
         \t\tsystemctl --system daemon-reload >/dev/null || true\n\
         \t\tif [ -n \"$2\" ]; then\n\
         \t\t\t_dh_action=restart\n\
         \t\telse\n\
         \t\t\t_dh_action=start\n\
         \t\tfi\n\
         \t\tdeb-systemd-invoke $_dh_action {units} >/dev/null || true\n\
         \tfi\nfi\n"
    )
}

fn stop_fragment(units: &str) -> String {
    format!(
        "if [ -z \"$DPKG_ROOT\" ] && [ \"$1\" = remove ] && [ -d /run/systemd/system ] ; then\n\
         \tdeb-systemd-invoke stop {units} >/dev/null || true\n\
         fi\n"
    )
}

/// The folders below /var that the tmpfiles.d of the package makes: the data of its program.
fn data_folders(entries: &[Entry]) -> Vec<String> {
    let mut folders = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| entry.path.starts_with("/usr/lib/tmpfiles.d/"))
    {
        let Kind::File(Body::Bytes(text)) = &entry.kind else {
            continue;
        };
        for line in String::from_utf8_lossy(text).lines() {
            let mut words = line.split_whitespace();
            let (Some(kind), Some(path)) = (words.next(), words.next()) else {
                continue;
            };
            // tmpfiles.d(5): `%` begins a specifier, `\\` an escape.
            let plain = path.starts_with("/var/") && !path.contains(['%', '\\', '"', '\'']) && !path.contains("..");
            if kind.starts_with(['d', 'D', 'q', 'Q', 'v']) && plain && path.matches('/').count() > 2 {
                folders.push(quoted(path.trim_end_matches('/')));
            }
        }
    }
    folders
}

/// Removing keeps data, purging does not (Policy 6.8). What is mounted there (Nomad's tasks outlive it) is somebody else's.
fn data_fragment(folders: &[String]) -> String {
    format!(
        "if [ \"$1\" = \"purge\" ]; then\n\
         \tfor folder in {}; do\n\
         \t\tif grep -qs \" $folder/\" /proc/self/mounts; then\n\
         \t\t\techo \"$folder stays: something is mounted in it\" >&2\n\
         \t\telse\n\
         \t\t\trm -rf --one-file-system \"$folder\"\n\
         \t\tfi\n\
         \tdone\nfi\n",
        folders.join(" ")
    )
}

fn purge_fragment(units: &str) -> String {
    format!(
        "if [ \"$1\" = remove ] && [ -d /run/systemd/system ] ; then\n\
         \tsystemctl --system daemon-reload >/dev/null || true\n\
         fi\n\
         if [ \"$1\" = \"purge\" ]; then\n\
         \tif [ -x \"/usr/bin/deb-systemd-helper\" ]; then\n\
         \t\tdeb-systemd-helper purge {units} >/dev/null || true\n\
         \tfi\n\
         fi\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::data::Entry;

    #[test]
    fn a_package_without_users_folders_and_services_has_no_scripts() {
        let scripts = Scripts::of(&[Entry::file("/usr/bin/x", 0o755, Vec::new())], &[]);
        assert_eq!(scripts, Scripts::default());
        assert_eq!(scripts.members().count(), 0);
    }

    #[test]
    fn users_come_before_the_folders_they_own_and_both_before_the_service() {
        let entries = [
            Entry::file("/usr/lib/sysusers.d/consul.conf", 0o644, Vec::new()),
            Entry::file("/usr/lib/tmpfiles.d/consul.conf", 0o644, Vec::new()),
        ];
        let scripts = Scripts::of(&entries, &["consul.service".to_owned()]);
        let at = |text: &str| scripts.postinst.find(text).unwrap();
        assert!(at("systemd-sysusers ") < at("--create consul.conf"));
        assert!(at("--create consul.conf") < at("deb-systemd-helper enable 'consul.service'"));
        assert!(at("deb-systemd-helper enable") < at("deb-systemd-invoke $_dh_action 'consul.service'"));
        assert!(scripts.prerm.contains("deb-systemd-invoke stop 'consul.service'"));
        assert!(scripts.postrm.contains("deb-systemd-helper purge 'consul.service'"));
    }

    #[test]
    fn data_goes_when_the_package_is_purged() {
        let folders = "# a\nd /var/lib/tool 0700 tool tool -\nd /run/tool - - - -\nD /var/%x/y\nd /var/lib -\n";
        let entries = [Entry::file(
            "/usr/lib/tmpfiles.d/tool.conf",
            0o644,
            folders.as_bytes().to_vec(),
        )];
        let postrm = Scripts::of(&entries, &[]).postrm;
        assert!(
            postrm.contains("= \"purge\" ]; then\n\tfor folder in '/var/lib/tool'; do\n"),
            "{postrm}"
        );
    }

    #[test]
    fn owners_that_the_package_brings_are_set_once_they_exist() {
        let entries = [
            Entry::file("/usr/lib/sysusers.d/consul.conf", 0o644, Vec::new()),
            Entry::file("/etc/consul.d/it's.hcl", 0o640, Vec::new()).owned_by("root", "consul"),
            Entry::file("/usr/bin/x", 0o2755, Vec::new()).owned_by("root", "consul"),
            Entry::file("/etc/mail", 0o640, Vec::new()).owned_by("root", "mail"),
        ];
        let script = Scripts::of(&entries, &[]).postinst;
        let at = |text: &str| {
            script
                .find(text)
                .unwrap_or_else(|| panic!("{text} is not in\n{script}"))
        };
        assert!(at("systemd-sysusers ") < at(r"chown 'root:consul' '/etc/consul.d/it'\''s.hcl'"));
        assert!(at("chown 'root:consul' '/usr/bin/x'") < at("chmod 2755 '/usr/bin/x'"));
        assert!(!script.contains("/etc/mail"));
    }

    #[test]
    fn scripts_of_a_recipe_take_ours_in_or_stay_as_they_are() {
        let entries = [Entry::file("/usr/lib/sysusers.d/x.conf", 0o644, Vec::new())];
        let services = ["x.service".to_owned()];
        let own = |postinst: &str| Scripts {
            postinst: postinst.to_owned(),
            preinst: "#!/bin/sh\ntrue\n".to_owned(),
            ..Scripts::default()
        };
        let plain = "#!/bin/sh\necho hello\n";
        assert_eq!(Scripts::merged(own(plain), &entries, &[]).unwrap().postinst, plain);
        let error = Scripts::merged(own(plain), &entries, &services).unwrap_err();
        assert!(
            error.contains("the script `postinstall` has no line `#DEBHELPER#`"),
            "{error}"
        );
        let merged = Scripts::merged(own("#!/bin/sh\nset -e\n#DEBHELPER#\necho end\n"), &entries, &services).unwrap();
        assert!(
            merged.postinst.contains("deb-systemd-helper enable 'x.service'"),
            "{}",
            merged.postinst
        );
        assert!(merged.postinst.ends_with("fi\necho end\n") && !merged.postinst.contains(TOKEN));
        assert!(
            merged.prerm.contains("deb-systemd-invoke stop"),
            "what it has no script for gets ours"
        );
        assert_eq!(merged.preinst, "#!/bin/sh\ntrue\n");
    }

    /// dash reads them without complaint.
    #[test]
    fn scripts_are_shell() {
        let entries = [
            Entry::file("/etc/it's", 0o6755, Vec::new()).owned_by("consul", "consul"),
            Entry::file("/usr/lib/sysusers.d/consul.conf", 0o644, Vec::new()),
            Entry::file("/usr/lib/tmpfiles.d/consul.conf", 0o644, Vec::new()),
        ];
        let scripts = Scripts::of(&entries, &["consul.service".to_owned(), "b.timer".to_owned()]);
        assert_eq!(scripts.members().count(), 3);
        for (name, text) in scripts.members() {
            let status = std::process::Command::new("sh")
                .args(["-n", "-c", text])
                .status()
                .unwrap();
            assert!(status.success(), "{name}:\n{text}");
        }
    }
}
