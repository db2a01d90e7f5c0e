//! Unit files, what enabling one links, and whether a preset wants that: systemd.unit(5), systemd.preset(5).

use super::config_files;
use crate::commands::ending::Done;
use crate::commands::fnmatch::matches;
use crate::tree::{Kind, Tree};

/// The system's units or the users'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instance {
    System,
    User,
}

impl Instance {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
        }
    }

    /// Where units are enabled.
    pub(super) fn config(self) -> String {
        format!("/etc/systemd/{}", self.name())
    }

    /// Where unit files are looked for, in order.
    fn search_path(self) -> [String; 5] {
        let name = self.name();
        [
            format!("/etc/systemd/{name}"),
            format!("/run/systemd/{name}"),
            format!("/usr/local/lib/systemd/{name}"),
            format!("/usr/lib/systemd/{name}"),
            format!("/usr/share/systemd/{name}"),
        ]
    }
}

/// `[Install]` of a unit file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Install {
    /// Directory suffix (`wants`, `requires`, `upholds`) and the unit that pulls this one in.
    pub(super) wanted: Vec<(&'static str, String)>,
    pub(super) alias: Vec<String>,
    pub(super) also: Vec<String>,
    pub(super) default_instance: Option<String>,
}

impl Install {
    pub(super) fn parse(text: &str) -> Self {
        let mut install = Self::default();
        let mut inside = false;
        let mut continued = String::new();
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(head) = line.strip_suffix('\\') {
                continued.push_str(head);
                continued.push(' ');
                continue;
            }
            let line = std::mem::take(&mut continued) + line;
            if line.starts_with('[') {
                inside = line == "[Install]";
            } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
                install.take(key.trim(), value.trim());
            }
        }
        install
    }

    fn take(&mut self, key: &str, value: &str) {
        let values = config_files::words(value);
        let suffix = match key {
            "WantedBy" => "wants",
            "RequiredBy" => "requires",
            "UpheldBy" => "upholds",
            "Alias" => return extend(&mut self.alias, values),
            "Also" => return extend(&mut self.also, values),
            "DefaultInstance" => {
                self.default_instance = values.into_iter().next();
                return;
            }
            _ => return,
        };
        if values.is_empty() {
            self.wanted.retain(|(kind, _)| *kind != suffix);
        }
        self.wanted.extend(values.into_iter().map(|unit| (suffix, unit)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.alias.is_empty() && self.also.is_empty()
    }
}

/// An empty assignment forgets the earlier ones.
fn extend(list: &mut Vec<String>, values: Vec<String>) {
    if values.is_empty() {
        list.clear();
    }
    list.extend(values);
}

/// `getty@tty1.service` to `getty@.service` and `tty1`; `None` for a plain unit.
pub(super) fn template(unit: &str) -> Option<(String, &str)> {
    let (stem, rest) = unit.split_once('@')?;
    let (instance, kind) = rest.rsplit_once('.')?;
    Some((format!("{stem}@.{kind}"), instance))
}

/// The unit as a file and under its name.
#[derive(Debug)]
pub(super) struct Unit {
    /// Its name; with an instance if it has one.
    pub(super) name: String,
    /// Where its file is.
    pub(super) path: String,
    pub(super) install: Install,
    /// Whether it is a link to `/dev/null`.
    pub(super) masked: bool,
}

/// Finds a unit by name, an instance also by its template.
pub(super) fn find(tree: &Tree, instance: Instance, name: &str) -> Done<Option<Unit>> {
    let template = template(name).map(|(template, _)| template);
    for candidate in std::iter::once(name).chain(template.as_deref()) {
        for folder in instance.search_path() {
            let path = format!("{folder}/{candidate}");
            let Ok(inode) = tree.lstat(&path) else { continue };
            if let Kind::Symlink(target) = &inode.kind
                && target == "/dev/null"
            {
                return Ok(Some(unit(name, path, "", true)));
            }
            // A link in the configuration folder is an alias or a linked file: the file behind it counts.
            let path = if folder.starts_with("/etc") && inode.is_symlink() {
                tree.canonical(&path)?
            } else {
                path
            };
            if tree.is_file(&path) {
                let text = tree.read_text(&path)?;
                return Ok(Some(unit(name, path, &text, false)));
            }
        }
    }
    Ok(None)
}

fn unit(name: &str, path: String, text: &str, masked: bool) -> Unit {
    Unit {
        name: name.to_owned(),
        path,
        install: Install::parse(text),
        masked,
    }
}

/// Every unit file with its name, each name once.
pub(super) fn all(tree: &Tree, instance: Instance) -> Done<Vec<String>> {
    let mut names = std::collections::BTreeSet::new();
    for folder in instance.search_path() {
        if tree.is_dir(&folder) {
            let entries = tree
                .read_dir(&folder)?
                .into_iter()
                .filter(|(_, id)| !tree.inode(*id).is_dir());
            names.extend(entries.map(|(name, _)| name));
        }
    }
    Ok(names.into_iter().collect())
}

/// The links that enable a unit, each with its target; units it names in `Also=` included.
pub(super) fn links(tree: &Tree, instance: Instance, unit: &Unit) -> Done<Vec<(String, String)>> {
    let mut links = Vec::new();
    let mut seen = vec![unit.name.clone()];
    collect(tree, instance, unit, &mut seen, &mut links)?;
    Ok(links)
}

fn collect(
    tree: &Tree,
    instance: Instance,
    unit: &Unit,
    seen: &mut Vec<String>,
    links: &mut Vec<(String, String)>,
) -> Done<()> {
    let config = instance.config();
    let mut name = unit.name.clone();
    if let Some((_, "")) = template(&name)
        && let Some(default) = &unit.install.default_instance
    {
        name = name.replacen("@.", &format!("@{default}."), 1);
    }
    let within = |text: &str| {
        let instance = template(&name).map_or("", |(_, instance)| instance);
        let prefix = name.split(['@', '.']).next().unwrap_or("");
        text.replace("%i", instance).replace("%p", prefix).replace("%n", &name)
    };
    for alias in &unit.install.alias {
        let alias = within(alias);
        if alias != unit.name {
            links.push((format!("{config}/{alias}"), unit.path.clone()));
        }
    }
    let bare_template = matches!(template(&name), Some((_, "")));
    for (suffix, by) in &unit.install.wanted {
        let by = within(by);
        // A template without an instance can only be pulled in by a template.
        if !bare_template || matches!(template(&by), Some((_, ""))) {
            links.push((format!("{config}/{by}.{suffix}/{name}"), unit.path.clone()));
        }
    }
    for also in &unit.install.also {
        let also = within(also);
        if !seen.contains(&also) {
            seen.push(also.clone());
            if let Some(other) = find(tree, instance, &also)? {
                collect(tree, instance, &other, seen, links)?;
            }
        }
    }
    Ok(())
}

/// Whether a unit is a template that only an instance of it can be pulled in by plain units.
pub(super) fn lacks_instance(unit: &Unit) -> bool {
    let is_bare = |name: &str| matches!(template(name), Some((_, "")));
    is_bare(&unit.name)
        && unit.install.default_instance.is_none()
        && unit.install.wanted.iter().any(|(_, by)| !is_bare(by))
}

/// What the presets say about a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Preset {
    /// To be enabled; a template with these instances.
    Enable(Vec<String>),
    Disable,
    Ignore,
}

/// The rule that matches first; a unit without one is enabled (systemd.preset(5)).
pub(super) fn preset(tree: &Tree, instance: Instance, unit: &str) -> Done<Preset> {
    for path in config_files::all(tree, &format!("systemd/{}-preset", instance.name()), ".preset")? {
        for line in tree.read_text(&path)?.lines() {
            let mut words = line.split_whitespace();
            let (Some(verb), Some(pattern)) = (words.next(), words.next()) else {
                continue;
            };
            let of_template = template(unit).is_some_and(|(template, _)| template == pattern);
            if !of_template && !matches(pattern, unit) {
                continue;
            }
            match verb {
                "enable" => return Ok(Preset::Enable(words.map(str::to_owned).collect())),
                "disable" => return Ok(Preset::Disable),
                "ignore" => return Ok(Preset::Ignore),
                _ => {}
            }
        }
    }
    Ok(Preset::Enable(Vec::new()))
}

/// Puts the links of a unit in place; an existing link to another target is replaced, a file is left alone.
pub(super) fn enable(tree: &mut Tree, instance: Instance, unit: &Unit) -> Done<()> {
    for (link, target) in links(tree, instance, unit)? {
        let folder = link.rsplit_once('/').map_or("/", |(folder, _)| folder);
        tree.mkdir_all(folder, 0o755)?;
        match tree.read_link(&link) {
            Ok(old) if old == target || same_file(tree, &link, &target) => continue,
            Ok(_) => tree.unlink(&link)?,
            Err(_) if tree.lexists(&link) => continue,
            Err(_) => {}
        }
        tree.symlink(&target, &link)?;
    }
    Ok(())
}

/// A link by way of `/lib` is the same as one by way of `/usr/lib` on a merged-/usr system.
fn same_file(tree: &Tree, a: &str, b: &str) -> bool {
    matches!((tree.canonical(a), tree.canonical(b)), (Ok(a), Ok(b)) if a == b && tree.exists(&a))
}

/// Carries out the preset of a unit; what is to be disabled is left as it is if `enable_only`.
pub(super) fn apply_preset(tree: &mut Tree, instance: Instance, unit: &Unit, enable_only: bool) -> Done<()> {
    match preset(tree, instance, &unit.name)? {
        Preset::Enable(instances) if instances.is_empty() => enable(tree, instance, unit),
        Preset::Enable(instances) => {
            for name in instances {
                let name = unit.name.replacen("@.", &format!("@{name}."), 1);
                if let Some(unit) = find(tree, instance, &name)? {
                    enable(tree, instance, &unit)?;
                }
            }
            Ok(())
        }
        Preset::Disable if !enable_only => disable(tree, instance, &unit.name),
        Preset::Disable | Preset::Ignore => Ok(()),
    }
}

/// Removes every link below the configuration folder that enables `name` or is an alias of it.
pub(super) fn disable(tree: &mut Tree, instance: Instance, name: &str) -> Done<()> {
    let config = instance.config();
    if !tree.is_dir(&config) {
        return Ok(());
    }
    let bare_template = matches!(template(name), Some((_, "")));
    let mut gone = Vec::new();
    for (path, id) in tree.walk(&config)? {
        let Kind::Symlink(target) = &tree.inode(id).kind else {
            continue;
        };
        let base = path.rsplit('/').next().unwrap_or("");
        let own = target.rsplit('/').next().unwrap_or("");
        let instance_of_it = bare_template && template(base).is_some_and(|(template, _)| template == name);
        let is_alias = own == name && target != "/dev/null";
        if (base == name && target != "/dev/null") || is_alias || instance_of_it {
            gone.push(path);
        }
    }
    for path in gone {
        tree.unlink(&path)?;
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        if folder != config && tree.read_dir(&folder)?.is_empty() {
            tree.rmdir(&folder)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in super::super) fn tree() -> Tree {
        let mut tree = Tree::new(0);
        let dir = "/usr/lib/systemd/system";
        tree.mkdir_all(dir, 0o755).unwrap();
        tree.mkdir_all("/usr/lib/systemd/system-preset", 0o755).unwrap();
        let preset = "# none\nenable getty@.service\ndisable *wait*\nenable foo@.service a b\n";
        tree.write("/usr/lib/systemd/system-preset/90-systemd.preset", preset, 0o644)
            .unwrap();
        for (name, install) in [
            (
                "ssh.service",
                "[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\nAlso=keys.service",
            ),
            (
                "keys.service",
                "[Install]\nRequiredBy=ssh.service ssh.socket\nUpheldBy=x.target\nAlso=ssh.service",
            ),
            (
                "getty@.service",
                "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1",
            ),
            ("time-wait.service", "[Install]\nWantedBy=sysinit.target"),
            ("plain.service", "[Unit]\nWantedBy=not.here"),
            ("foo@.service", "[Install]\nWantedBy=multi-user.target"),
        ] {
            tree.write(&format!("{dir}/{name}"), install.to_owned() + "\n", 0o644)
                .unwrap();
        }
        tree
    }

    fn names(tree: &Tree, unit: &str) -> Vec<String> {
        let unit = find(tree, Instance::System, unit).unwrap().unwrap();
        let links = links(tree, Instance::System, &unit).unwrap();
        links
            .into_iter()
            .map(|(link, _)| link.trim_start_matches("/etc/systemd/system/").to_owned())
            .collect()
    }

    #[test]
    fn the_links_of_a_unit_include_those_of_its_companions() {
        let tree = tree();
        let expected = [
            "sshd.service",
            "multi-user.target.wants/ssh.service",
            "ssh.service.requires/keys.service",
            "ssh.socket.requires/keys.service",
            "x.target.upholds/keys.service",
        ];
        assert_eq!(names(&tree, "ssh.service"), expected);
        assert_eq!(
            names(&tree, "getty@.service"),
            ["getty.target.wants/getty@tty1.service"]
        );
        assert_eq!(
            names(&tree, "getty@tty2.service"),
            ["getty.target.wants/getty@tty2.service"]
        );
        assert!(names(&tree, "foo@.service").is_empty());
        assert!(names(&tree, "plain.service").is_empty());
    }

    #[test]
    fn presets_decide_and_disabling_undoes() {
        let mut tree = tree();
        let system = Instance::System;
        for name in ["ssh.service", "time-wait.service", "foo@.service"] {
            let unit = find(&tree, system, name).unwrap().unwrap();
            apply_preset(&mut tree, system, &unit, true).unwrap();
        }
        let config = "/etc/systemd/system";
        assert!(!tree.lexists(&format!("{config}/sysinit.target.wants")));
        assert_eq!(
            tree.read_link(&format!("{config}/sshd.service")).unwrap(),
            "/usr/lib/systemd/system/ssh.service"
        );
        assert!(tree.lexists(&format!("{config}/multi-user.target.wants/foo@b.service")));
        disable(&mut tree, system, "ssh.service").unwrap();
        disable(&mut tree, system, "foo@.service").unwrap();
        assert!(!tree.lexists(&format!("{config}/sshd.service")));
        assert!(!tree.lexists(&format!("{config}/multi-user.target.wants")));
        assert!(tree.lexists(&format!("{config}/x.target.upholds/keys.service")));
    }

    proptest! {
        #[test]
        fn any_unit_file_is_read(text in "([\\[\\]A-Za-z=@. %\\\\\"]{0,30}\n){0,9}") {
            let _ = Install::parse(&text);
        }
    }
}
