//! Links that switch parts of a server on and off: Apache's `a2enmod` and its kin, `lighty-enable-mod`, `icinga2
//! feature`. The first two are Perl, the third is compiled.

use std::fmt::Write as _;

use super::arguments::Arguments;
use super::ending::{Done, Ending, settle};
use super::fnmatch::matches;
use crate::shell::process::{Command, Process};
use crate::tree::{Follow, Tree};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("a2dismod", |process| settle(process, apache)),
    ("a2disconf", |process| settle(process, apache)),
    ("a2dissite", |process| settle(process, apache)),
    ("a2enconf", |process| settle(process, apache)),
    ("a2enmod", |process| settle(process, apache)),
    ("a2ensite", |process| settle(process, apache)),
    ("icinga2", |process| settle(process, icinga)),
    ("lighty-enable-mod", |process| settle(process, lighttpd)),
];

/// Where Debian keeps Apache's configuration.
const APACHE: &str = "/etc/apache2";

/// One call of `a2enmod` or its kin.
struct Apache {
    enable: bool,
    /// As messages and markers call it.
    object: &'static str,
    available: String,
    enabled: String,
    suffix: &'static str,
    quiet: bool,
    force: bool,
    /// Who says so, for the marker: `maint` or `admin`.
    by: &'static str,
    out: String,
    err: String,
}

/// `a2(en|dis)(mod|conf|site) [-q] [-f] [-m] NAME…`, as apache2 2.4.62 has it.
fn apache(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, &["-q --quiet", "-f --force", "-m --maintmode"])?;
    let called = process.args[0].rsplit('/').next().unwrap_or("").to_owned();
    let (object, folder, suffix) = match &called[called.len() - 3..] {
        "mod" => ("module", "mods", ".load"),
        "onf" => ("conf", "conf", ".conf"),
        _ => ("site", "sites", ".conf"),
    };
    let mut run = Apache {
        enable: called.starts_with("a2en"),
        object,
        available: format!("{APACHE}/{folder}-available"),
        enabled: format!("{APACHE}/{folder}-enabled"),
        suffix,
        quiet: given.has("-q"),
        force: given.has("-f"),
        by: if given.has("-m") { "maint" } else { "admin" },
        out: String::new(),
        err: String::new(),
    };
    if given.operands.is_empty() {
        return Err(process.unsupported("asking for a name").into());
    }
    let mut status = 0;
    for operand in &given.operands {
        let pattern = operand.strip_suffix(suffix).unwrap_or(operand);
        let chosen = if run.enable { &run.available } else { &run.enabled };
        let names = names_in(&process.system.tree, chosen, suffix);
        let names: Vec<String> = names.into_iter().filter(|name| matches(pattern, name)).collect();
        if names.is_empty() {
            writeln!(run.err, "ERROR: No {object} found matching {operand}!").expect("a string takes all");
            status = 1;
        }
        for name in names {
            if !run.switch(&mut process.system.tree, &name)? {
                status = 1;
            }
        }
    }
    process.stdout.extend_from_slice(run.out.as_bytes());
    process.stderr.extend_from_slice(run.err.as_bytes());
    Ok(status)
}

/// The names of the files in `folder` that end with `suffix`, without it.
fn names_in(tree: &Tree, folder: &str, suffix: &str) -> Vec<String> {
    let entries = tree.read_dir(folder).unwrap_or_default().into_iter();
    let names = entries.filter_map(|(name, _)| Some(name.strip_suffix(suffix)?.to_owned()));
    names.filter(|name| !name.starts_with('.')).collect()
}

impl Apache {
    fn link(&self, name: &str, suffix: &str) -> String {
        format!("{}/{name}{suffix}", self.enabled)
    }

    fn target(&self, name: &str, suffix: &str) -> String {
        format!("{}/{name}{suffix}", self.available)
    }

    fn error(&mut self, text: &str) -> bool {
        writeln!(self.err, "ERROR: {text}").expect("a string takes all");
        false
    }

    fn say(&mut self, text: &str) {
        writeln!(self.out, "{text}").expect("a string takes all");
    }

    fn info(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Switches one thing; whether that went well.
    fn switch(&mut self, tree: &mut Tree, name: &str) -> Done<bool> {
        let path = self.target(name, self.suffix);
        if !tree.exists(&path) {
            return Ok(self.error(&format!("{} {name} does not exist!", capitalized(self.object))));
        }
        if !self.relations_hold(tree, name)? {
            return Ok(false);
        }
        // A module may have a configuration file beside it.
        let extra = (self.object == "module" && tree.exists(&self.target(name, ".conf"))).then_some(".conf");
        let shown = capitalized(self.object);
        if self.enable {
            if tree.lexists(&self.link(name, self.suffix)) && extra.is_none_or(|it| tree.lexists(&self.link(name, it)))
            {
                self.info(&format!("{shown} {name} already enabled"));
                return Ok(true);
            }
            let object = self.object;
            self.say(&format!("Enabling {object} {name}."));
            for suffix in [Some(self.suffix), extra].into_iter().flatten() {
                let link = self.link(name, suffix);
                if !tree.lexists(&link) {
                    let folder = self.available.rsplit('/').next().unwrap_or("");
                    tree.symlink(&format!("../{folder}/{name}{suffix}"), &link)?;
                }
            }
        } else {
            if !tree.lexists(&self.link(name, self.suffix)) {
                self.info(&format!("{shown} {name} already disabled"));
                return Ok(true);
            }
            for suffix in [Some(self.suffix), extra].into_iter().flatten() {
                let link = self.link(name, suffix);
                if tree.lexists(&link) {
                    tree.unlink(&link)?;
                }
            }
            self.say(&format!("{shown} {name} disabled."));
        }
        self.mark(tree, name)?;
        Ok(true)
    }

    /// What a thing needs or excludes: `# Depends:` and `# Conflicts:` at the top of its file.
    fn relations_hold(&mut self, tree: &mut Tree, name: &str) -> Done<bool> {
        let named = |tree: &Tree, name: &str, kind: &str, suffix: &str, folder: &str| {
            let text = tree.read_text(&format!("{folder}/{name}{suffix}")).unwrap_or_default();
            relation(&text, kind)
        };
        let (available, suffix) = (self.available.clone(), self.suffix);
        if self.object == "module" && self.enable {
            for needed in named(tree, name, "Depends", suffix, &available) {
                self.info(&format!("Considering dependency {needed} for {name}:"));
                if !self.switch(tree, &needed)? {
                    return Ok(self.error(&format!("Could not enable dependency {needed} for {name}, aborting")));
                }
            }
            for excluded in named(tree, name, "Conflicts", suffix, &available) {
                self.info(&format!("Considering conflict {excluded} for {name}:"));
                if tree.exists(&self.link(&excluded, suffix)) {
                    return Ok(self.error(&format!(
                        "Module {excluded} is enabled - cannot proceed due to conflicts. It needs to be disabled first!"
                    )));
                }
            }
        } else if self.object == "module" {
            let enabled = self.enabled.clone();
            let depending: Vec<String> = names_in(tree, &enabled, suffix)
                .into_iter()
                .filter(|other| {
                    named(tree, other, "Depends", suffix, &enabled)
                        .iter()
                        .any(|it| it == name)
                })
                .collect();
            if !depending.is_empty() && !self.force {
                return Ok(self.error(&format!(
                    "The following modules depend on {name} and need to be disabled first: {}",
                    depending.join(" ")
                )));
            }
            for other in depending {
                if !self.switch(tree, &other)? {
                    return Ok(false);
                }
            }
        } else if self.enable {
            for needed in named(tree, name, "Depends", suffix, &available) {
                if !tree.exists(&format!("{APACHE}/mods-enabled/{needed}.load")) {
                    let text = format!("WARNING: Module {needed} is not enabled, but {name} depends on it, aborting");
                    writeln!(self.err, "{text}").expect("a string takes all");
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Remembers who switched it, as `a2query` tells later.
    fn mark(&self, tree: &mut Tree, name: &str) -> Done<()> {
        let state = format!("/var/lib/apache2/{}", self.object);
        for (path, _) in tree.walk(&state).unwrap_or_default() {
            if path.rsplit('/').next() == Some(name) && tree.is_file(&path) {
                tree.unlink(&path)?;
            }
        }
        let what = if self.enable { "enabled" } else { "disabled" };
        let folder = format!("{state}/{what}_by_{}", self.by);
        tree.mkdir_all(&folder, 0o755)?;
        tree.write(&format!("{folder}/{name}"), Vec::new(), 0o644)?;
        Ok(())
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// The words behind `# KIND:` in the comments at the top of a file.
fn relation(text: &str, kind: &str) -> Vec<String> {
    text.lines()
        .take_while(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        .find_map(|line| line.strip_prefix("# ")?.strip_prefix(kind)?.strip_prefix(':'))
        .map(|words| words.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// `lighty-enable-mod NAME…`: a link in conf-enabled, for what a module needs as well.
fn lighttpd(process: &mut Process<'_>) -> Done {
    const CONFIG: &str = "/etc/lighttpd";
    let given = Arguments::of(process, &[])?;
    if given.operands.is_empty() {
        return Err(process.unsupported("asking for a name").into());
    }
    let modules = |tree: &Tree, folder: &str| -> Vec<(String, String)> {
        let names = names_in(tree, &format!("{CONFIG}/{folder}"), ".conf").into_iter();
        names
            .filter_map(|file| Some((file.split_once('-')?.1.to_owned(), file)))
            .collect()
    };
    let of_kind = |text: &str, kind: &str| -> Vec<String> {
        let marked = text.lines().filter_map(|line| {
            let rest = line.split_once(&format!("# -*- {kind}: "))?.1;
            Some(rest.split_once(" -*-")?.0.to_owned())
        });
        marked
            .flat_map(|names| names.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
            .collect()
    };
    let mut status = 0;
    let mut wanted: std::collections::VecDeque<String> = given.operands.into();
    while let Some(name) = wanted.pop_front() {
        let available = modules(&process.system.tree, "conf-available");
        let enabled = modules(&process.system.tree, "conf-enabled");
        let Some((_, file)) = available.iter().find(|(module, _)| *module == name) else {
            process.say(&format!("Ignoring unknown module: {name}"));
            status = 2;
            continue;
        };
        if enabled.iter().any(|(module, _)| *module == name) {
            process.say("already enabled");
            status = if status == 0 { 2 } else { status };
            continue;
        }
        let text = process
            .system
            .tree
            .read_text(&format!("{CONFIG}/conf-available/{file}.conf"))?;
        for needed in of_kind(&text, "depends") {
            if !available.iter().any(|(module, _)| *module == needed) {
                return Err(Ending::failed(format!("Unresolved dependency: {needed}")));
            }
            if !enabled.iter().any(|(module, _)| *module == needed) {
                process.say(&format!("Met dependency: {needed}"));
                wanted.push_back(needed);
            }
        }
        if let Some(other) = of_kind(&text, "conflicts")
            .into_iter()
            .find(|it| enabled.iter().any(|(module, _)| module == it))
        {
            return Err(Ending::failed(format!(
                "Conflicting dependencies: {name} conflicts with {other}"
            )));
        }
        let link = format!("{CONFIG}/conf-enabled/{file}.conf");
        process
            .system
            .tree
            .symlink(&format!("../conf-available/{file}.conf"), &link)?;
        process.say(&format!("Enabling {name}: ok"));
    }
    process.say("Run \"service lighttpd force-reload\" to enable changes");
    Ok(status)
}

/// `icinga2 feature enable NAME…`, of all that this program does.
fn icinga(process: &mut Process<'_>) -> Done {
    const CONFIG: &str = "/etc/icinga2";
    let given = Arguments::of(process, &[])?;
    let operands = given.operands();
    let ["feature", "enable", names @ ..] = &operands[..] else {
        return Err(process.unsupported(operands.join(" ")).into());
    };
    for name in names {
        let tree = &mut process.system.tree;
        if !tree.exists(&format!("{CONFIG}/features-available/{name}.conf")) {
            return Err(Ending::failed(format!(
                "Cannot enable feature '{name}'. Source file does not exist"
            )));
        }
        tree.mkdir_all(&format!("{CONFIG}/features-enabled"), 0o755)?;
        let link = format!("{CONFIG}/features-enabled/{name}.conf");
        if tree.lookup(&link, Follow::No).is_err() {
            tree.symlink(&format!("../features-available/{name}.conf"), &link)?;
        }
        process.say(&format!(
            "Enabling feature {name}. Make sure to restart Icinga 2 for these changes to take effect."
        ));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lookup;
    use crate::system::System;

    fn run(system: &mut System, args: &[&str]) -> (u8, String) {
        let mut process = Process::new(system, args);
        let status = lookup(args[0]).unwrap()(&mut process).unwrap();
        let said = [process.stdout, process.stderr].concat();
        (status, String::from_utf8(said).unwrap())
    }

    fn tree(files: &[(&str, &str)], folders: &[&str]) -> System {
        let mut system = System::new("arm64", 0);
        for folder in folders {
            system.tree.mkdir_all(folder, 0o755).unwrap();
        }
        for (path, text) in files {
            system.tree.mkdir_all(path.rsplit_once('/').unwrap().0, 0o755).unwrap();
            system.tree.write(path, text.as_bytes().to_vec(), 0o644).unwrap();
        }
        system
    }

    #[test]
    fn apache_modules_bring_what_they_need_and_are_marked() {
        let mut system = tree(
            &[
                (
                    "/etc/apache2/mods-available/mpm_event.load",
                    "# Conflicts: mpm_prefork\nLoadModule x\n",
                ),
                ("/etc/apache2/mods-available/mpm_event.conf", "\n"),
                (
                    "/etc/apache2/mods-available/mpm_prefork.load",
                    "# Conflicts: mpm_event\n",
                ),
                ("/etc/apache2/mods-available/php.load", "# Depends: mime\n"),
                (
                    "/etc/apache2/mods-available/mime.load",
                    "LoadModule y\n# Depends: absent\n",
                ),
            ],
            &["/etc/apache2/mods-enabled"],
        );
        assert_eq!(
            run(&mut system, &["a2enmod", "-m", "-q", "mpm_event"]),
            (0, "Enabling module mpm_event.\n".into())
        );
        let link = "/etc/apache2/mods-enabled/mpm_event";
        for suffix in ["load", "conf"] {
            let target = system.tree.read_link(&format!("{link}.{suffix}")).unwrap();
            assert_eq!(target, format!("../mods-available/mpm_event.{suffix}"));
        }
        assert!(
            system
                .tree
                .is_file("/var/lib/apache2/module/enabled_by_maint/mpm_event")
        );
        let (status, said) = run(&mut system, &["a2enmod", "-q", "mpm_prefork"]);
        assert_eq!(status, 1);
        assert!(said.contains("Module mpm_event is enabled"), "{said}");
        assert_eq!(run(&mut system, &["a2enmod", "-q", "php"]).0, 0);
        assert!(system.tree.exists("/etc/apache2/mods-enabled/mime.load"));
        let (status, said) = run(&mut system, &["a2dismod", "-q", "mime"]);
        assert_eq!((status, said.contains("depend on mime")), (1, true), "{said}");
        assert_eq!(run(&mut system, &["a2dismod", "-qm", "php"]).0, 0);
        assert!(system.tree.is_file("/var/lib/apache2/module/disabled_by_maint/php"));
        assert!(!system.tree.exists("/var/lib/apache2/module/enabled_by_admin/php"));
        assert_eq!(run(&mut system, &["a2enmod", "none"]).0, 1);
    }

    #[test]
    fn lighttpd_modules_bring_what_they_need() {
        let mut system = tree(
            &[
                ("/etc/lighttpd/conf-available/10-fastcgi.conf", "\n"),
                (
                    "/etc/lighttpd/conf-available/15-php.conf",
                    "# -*- depends: fastcgi -*-\n",
                ),
            ],
            &["/etc/lighttpd/conf-enabled"],
        );
        assert_eq!(run(&mut system, &["lighty-enable-mod", "php"]).0, 0);
        let link = system
            .tree
            .read_link("/etc/lighttpd/conf-enabled/10-fastcgi.conf")
            .unwrap();
        assert_eq!(link, "../conf-available/10-fastcgi.conf");
        assert_eq!(run(&mut system, &["lighty-enable-mod", "php"]).0, 2);
        assert_eq!(run(&mut system, &["lighty-enable-mod", "unknown"]).0, 2);
    }

    #[test]
    fn icinga_features_are_links_and_the_rest_is_refused() {
        let mut system = tree(&[("/etc/icinga2/features-available/checker.conf", "\n")], &[]);
        assert_eq!(run(&mut system, &["icinga2", "feature", "enable", "checker"]).0, 0);
        let link = system
            .tree
            .read_link("/etc/icinga2/features-enabled/checker.conf")
            .unwrap();
        assert_eq!(link, "../features-available/checker.conf");
        let mut process = Process::new(&mut system, &["icinga2", "daemon"]);
        assert!(lookup("icinga2").unwrap()(&mut process).is_err());
    }
}
