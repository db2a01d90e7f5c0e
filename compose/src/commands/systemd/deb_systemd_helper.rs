//! deb-systemd-helper(1) and deb-systemd-invoke(1), as in init-system-helpers of trixie.
//!
//! The helper reads unit files in a simpler way than systemd does (no sections, no `UpheldBy=`); its state files hold
//! what it finds that way, so it is followed to the letter.

use super::units::{self, Instance};
use crate::commands::arguments::Arguments;
use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// The helper and its sibling.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("deb-systemd-helper", |process| settle(process, helper)),
    // Without a running systemd it exits with 0 (deb-systemd-invoke(1)).
    ("deb-systemd-invoke", |_| Ok(0)),
];

/// A link that enables a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    target: String,
    path: String,
}

/// One run of the helper.
struct Helper<'a> {
    tree: &'a mut Tree,
    instance: Instance,
    purge: bool,
}

fn helper(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["--quiet", "--user", "--system"])?;
    let Some((action, units)) = given.operands.split_first() else {
        return Ok(0);
    };
    if process.env.get("DPKG_MAINTSCRIPT_PACKAGE").is_none_or(String::is_empty) {
        return Err(Ending::failed("was not called from dpkg. Exiting."));
    }
    let purge = action == "purge"
        || process
            .env
            .get("_DEB_SYSTEMD_HELPER_PURGE")
            .is_some_and(|value| value == "1");
    let mut helper = Helper {
        tree: &mut process.system.tree,
        instance: if given.has("--user") {
            Instance::User
        } else {
            Instance::System
        },
        purge,
    };
    let asks = matches!(action.as_str(), "is-enabled" | "was-enabled" | "debian-installed");
    let mut status = u8::from(asks);
    for unit in units {
        let holds = match action.as_str() {
            "is-enabled" => helper.all_links_installed(unit)?,
            "was-enabled" => helper.was_enabled(unit)?,
            "debian-installed" => helper.debian_installed(unit),
            "update-state" => helper.update_state(unit).map(|()| true)?,
            "enable" => helper.enable(unit).map(|()| true)?,
            "reenable" => helper.reenable(unit).map(|()| true)?,
            "disable" | "purge" => helper.disable(unit).map(|()| true)?,
            "mask" => helper.mask(unit).map(|()| true)?,
            "unmask" => helper.unmask(unit).map(|()| true)?,
            // Not one of its actions: the real helper, too, goes through the units and does nothing.
            "start" | "stop" | "restart" => false,
            _ => return Err(process.unsupported(action).into()),
        };
        if asks && holds {
            status = 0;
        }
    }
    Ok(status)
}

impl Helper<'_> {
    fn state_folder(&self, what: &str) -> String {
        match self.instance {
            Instance::System => format!("/var/lib/systemd/deb-systemd-helper-{what}"),
            Instance::User => format!("/var/lib/systemd/deb-systemd-user-helper-{what}"),
        }
    }

    fn also_file(&self, unit: &str) -> String {
        format!("{}/{}.dsh-also", self.state_folder("enabled"), base_name(unit))
    }

    /// `/etc/systemd/system/x` as it is called in a state folder.
    fn state_file(&self, link: &str, what: &str) -> String {
        link.replacen(&self.instance.config(), &self.state_folder(what), 1)
    }

    fn find(&self, unit: &str) -> String {
        let name = self.instance.name();
        ["/etc", "/lib", "/usr/lib"]
            .iter()
            .map(|root| format!("{root}/systemd/{name}/{unit}"))
            .find(|path| self.tree.is_file(path))
            .unwrap_or_else(|| unit.to_owned())
    }

    /// All links of a unit, those of units it names in `Also=` first.
    fn closure(&self, unit: &str, visited: &mut Vec<String>) -> Done<Vec<Link>> {
        let path = self.find(unit);
        let name = base_name(&path).to_owned();
        let config = self.instance.config();
        let Ok(text) = self.tree.read_text(&path) else {
            return Err(Ending::failed(format!("error: unable to read {path}")));
        };
        let mut links = Vec::new();
        let mut folders = Vec::new();
        let mut wanted = name.clone();
        for line in text.lines() {
            let Some((key, value)) = line.trim_start().split_once('=') else {
                continue;
            };
            let values = value.split_whitespace().map(unquoted);
            match key.to_ascii_lowercase().as_str() {
                // A quoted name loses its suffix: unquoting overwrites what the script then looks at.
                kind @ ("wantedby" | "requiredby") => {
                    let suffix = if kind == "wantedby" { ".wants" } else { ".requires" };
                    folders.extend(value.split_whitespace().map(|by| {
                        let suffix = if unquoted(by) == by { suffix } else { "" };
                        format!("{config}/{}{suffix}/", unquoted(by))
                    }));
                }
                "also" => {
                    for also in values {
                        if also != name && !visited.iter().any(|seen| seen == also) {
                            visited.push(also.to_owned());
                            links.extend(self.closure(also, visited)?);
                        }
                    }
                }
                "alias" => links.extend(values.filter(|alias| *alias != name).map(|alias| Link {
                    target: path.clone(),
                    path: format!("{config}/{alias}"),
                })),
                "defaultinstance" => wanted = name.replacen("@.", &format!("@{}.", unquoted(value.trim())), 1),
                _ => {}
            }
        }
        links.extend(folders.into_iter().map(|folder| Link {
            target: path.clone(),
            path: folder + &wanted,
        }));
        Ok(links)
    }

    fn links(&self, unit: &str) -> Done<Vec<Link>> {
        self.closure(unit, &mut Vec::new())
    }

    fn is_link(&self, path: &str) -> bool {
        self.tree.read_link(path).is_ok()
    }

    fn all_links_installed(&self, unit: &str) -> Done<bool> {
        Ok(self.links(unit)?.iter().all(|link| self.is_link(&link.path)))
    }

    fn state_entries(&self, unit: &str) -> Done<Vec<String>> {
        let file = self.also_file(unit);
        if !self.tree.exists(&file) {
            return Ok(Vec::new());
        }
        Ok(self.tree.read_text(&file)?.lines().map(str::to_owned).collect())
    }

    /// Whether every link recorded for the unit is there; a unit without a record counts as enabled.
    fn was_enabled(&self, unit: &str) -> Done<bool> {
        Ok(self.state_entries(unit)?.iter().all(|link| self.is_link(link)))
    }

    fn debian_installed(&self, unit: &str) -> bool {
        self.tree.is_file(&self.also_file(unit))
    }

    fn enable(&mut self, unit: &str) -> Done<()> {
        let has_systemctl = self.tree.exists("/bin/systemctl") || self.tree.exists("/usr/bin/systemctl");
        if !has_systemctl {
            return self.make_links(unit, true);
        }
        let mut create = false;
        if self.debian_installed(unit) {
            create = self.links(unit)?.iter().any(|link| self.is_link(&link.path));
        } else if let Some(found) = units::find(self.tree, self.instance, unit)? {
            // The first installation obeys the presets: `systemctl --preset-mode=enable-only preset`.
            if !found.masked {
                units::apply_preset(self.tree, self.instance, &found, true)?;
            }
        } else {
            return Err(Ending::failed(format!("error: systemctl preset failed on {unit}")));
        }
        self.make_links(unit, create)
    }

    fn make_links(&mut self, unit: &str, create: bool) -> Done<()> {
        let also = self.also_file(unit);
        for link in self.links(unit)? {
            let mut recorded = self.state_entries(unit)?;
            if !recorded.contains(&link.path) {
                recorded.push(link.path.clone());
            }
            self.write_state(&also, &recorded)?;
            let state = self.state_file(&link.path, "enabled");
            if self.tree.exists(&state) {
                continue;
            }
            if create && !self.is_link(&link.path) {
                self.tree.mkdir_all(folder(&link.path), 0o755)?;
                self.tree.symlink(&link.target, &link.path)?;
            }
            self.touch(&state)?;
        }
        Ok(())
    }

    fn write_state(&mut self, file: &str, entries: &[String]) -> Done<()> {
        self.tree.mkdir_all(folder(file), 0o755)?;
        let text: String = entries.iter().flat_map(|entry| [entry, "\n"]).collect();
        self.tree.write(file, text, 0o644)?;
        Ok(())
    }

    fn touch(&mut self, file: &str) -> Done<()> {
        self.tree.mkdir_all(folder(file), 0o755)?;
        self.tree.append(file, b"", 0o644)?;
        Ok(())
    }

    fn update_state(&mut self, unit: &str) -> Done<()> {
        let entries: Vec<String> = self.links(unit)?.into_iter().map(|link| link.path).collect();
        self.write_state(&self.also_file(unit), &entries)
    }

    fn reenable(&mut self, unit: &str) -> Done<()> {
        self.remove_links(unit)?;
        self.make_links(unit, true)
    }

    fn remove_links(&mut self, unit: &str) -> Done<()> {
        let path = self.find(unit);
        let also = self.also_file(unit);
        let entries = self.state_entries(unit)?;
        if self.purge && self.tree.exists(&also) {
            self.tree.unlink(&also)?;
        }
        for link in entries {
            let present = self.is_link(&link);
            let state = self.state_file(&link, "enabled");
            if (self.purge || present) && self.tree.exists(&state) {
                self.tree.unlink(&state)?;
            }
            if present {
                self.tree.unlink(&link)?;
            }
        }
        let Ok(text) = self.tree.read_text(&path) else {
            return Ok(());
        };
        for line in text.lines() {
            if let Some((key, value)) = line.trim_start().split_once('=')
                && key.eq_ignore_ascii_case("also")
                && value.trim() != unit
            {
                self.remove_links(value.trim())?;
            }
        }
        Ok(())
    }

    fn disable(&mut self, unit: &str) -> Done<()> {
        self.remove_links(unit)?;
        let states = [
            "/var/lib/systemd/deb-systemd-helper-enabled",
            "/var/lib/systemd/deb-systemd-user-helper-enabled",
        ];
        for folder in states {
            self.remove_empty(folder)?;
        }
        for config in ["/etc/systemd/system", "/etc/systemd/user"] {
            if self.tree.is_dir(config) {
                for (name, _) in self.tree.read_dir(config)? {
                    self.remove_empty(&format!("{config}/{name}"))?;
                }
            }
        }
        Ok(())
    }

    /// Removes a directory and those in it as far as they are empty.
    fn remove_empty(&mut self, path: &str) -> Done<()> {
        if !self.tree.lstat(path).is_ok_and(crate::tree::Inode::is_dir) {
            return Ok(());
        }
        for (name, _) in self.tree.read_dir(path)? {
            self.remove_empty(&format!("{path}/{name}"))?;
        }
        if self.tree.read_dir(path)?.is_empty() {
            self.tree.rmdir(path)?;
        }
        Ok(())
    }

    fn mask_link(&self, unit: &str) -> String {
        format!("{}/{}", self.instance.config(), base_name(unit))
    }

    fn is_masked(&self, link: &str) -> bool {
        self.tree.read_link(link).is_ok_and(|target| target == "/dev/null")
    }

    fn mask(&mut self, unit: &str) -> Done<()> {
        let link = self.mask_link(unit);
        // A file there is the administrator's own; a dangling link is a left-over alias.
        if self.is_masked(&link) || self.tree.exists(&link) {
            return Ok(());
        }
        self.tree.mkdir_all(folder(&link), 0o755)?;
        if self.tree.lexists(&link) {
            self.tree.unlink(&link)?;
        }
        self.tree.symlink("/dev/null", &link)?;
        self.touch(&self.state_file(&link, "masked"))
    }

    fn unmask(&mut self, unit: &str) -> Done<()> {
        let link = self.mask_link(unit);
        let state = self.state_file(&link, "masked");
        if self.is_masked(&link) && self.tree.exists(&state) {
            self.tree.unlink(&link)?;
            self.tree.unlink(&state)?;
        }
        for folder in [
            "/var/lib/systemd/deb-systemd-helper-masked",
            "/var/lib/systemd/deb-systemd-user-helper-masked",
        ] {
            self.remove_empty(folder)?;
        }
        Ok(())
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("/", |(folder, _)| folder)
}

/// A word without a pair of quotes around it.
fn unquoted(word: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(word)
}
