//! Units enabled, disabled and masked by the definition: the links that `systemctl` would make.
//!
//! `[Install]` is read as systemd.unit(5) says: `WantedBy=`, `RequiredBy=`, `UpheldBy=`, `Alias=`, `Also=`,
//! `DefaultInstance=`.

use std::collections::BTreeSet;

use anyhow::Result;
use computatom_compose::tree::{Inode, Tree};

use super::{Input, make_parent, remove};
use crate::bail_input;

const ADMIN: &str = "/etc/systemd/system";
const VENDOR: &str = "/usr/lib/systemd/system";

/// Applies the definition's `units`: masks win over enablement, that over disablement.
pub(super) fn switch(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    let units = &input.image.units;
    for unit in &units.disable {
        find(tree, unit)?;
        disable(tree, unit)?;
    }
    let mut done = BTreeSet::new();
    for unit in &units.enable {
        enable(tree, unit, &mut done)?;
    }
    for unit in &units.mask {
        mask(tree, unit)?;
    }
    Ok(())
}

/// The file of a unit, or of the template it is an instance of.
fn find(tree: &Tree, unit: &str) -> Result<String> {
    let template = unit.split_once('@').and_then(|(name, rest)| {
        let (_, kind) = rest.rsplit_once('.')?;
        Some(format!("{name}@.{kind}"))
    });
    for name in [Some(unit), template.as_deref()].into_iter().flatten() {
        for folder in [ADMIN, VENDOR] {
            let path = format!("{folder}/{name}");
            if tree.is_file(&path) {
                return Ok(path);
            }
        }
    }
    bail_input!(
        "the definition's `units` name {unit}, which no package of the image has: mind the spelling and the suffix"
    )
}

/// What `[Install]` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Install {
    /// Unit and kind of folder (`wants`) that get a link.
    links: Vec<(String, &'static str)>,
    alias: Vec<String>,
    also: Vec<String>,
    default_instance: Option<String>,
}

impl Install {
    fn parse(text: &str) -> Self {
        let mut install = Self::default();
        let mut inside = false;
        let joined = text.replace("\\\n", " ");
        for line in joined.lines().map(str::trim) {
            if line.starts_with('[') {
                inside = line == "[Install]";
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';'])) else {
                continue;
            };
            let words = || value.split_whitespace().map(str::to_owned);
            match key.trim() {
                "WantedBy" => install.links.extend(words().map(|unit| (unit, "wants"))),
                "RequiredBy" => install.links.extend(words().map(|unit| (unit, "requires"))),
                "UpheldBy" => install.links.extend(words().map(|unit| (unit, "upholds"))),
                "Alias" => install.alias.extend(words()),
                "Also" => install.also.extend(words()),
                "DefaultInstance" => install.default_instance = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        install
    }
}

fn enable(tree: &mut Tree, unit: &str, done: &mut BTreeSet<String>) -> Result<()> {
    if !done.insert(unit.to_owned()) {
        return Ok(());
    }
    let path = find(tree, unit)?;
    let install = Install::parse(&tree.read_text(&path)?);
    let link = match &install.default_instance {
        Some(instance) => unit.replace("@.", &format!("@{instance}.")),
        None => unit.to_owned(),
    };
    if install == Install::default() {
        bail_input!("the definition enables {unit}, which has no [Install] section: it starts by itself or not at all");
    }
    for (target, kind) in &install.links {
        put_link(tree, &path, &format!("{ADMIN}/{target}.{kind}/{link}"))?;
    }
    for alias in &install.alias {
        put_link(tree, &path, &format!("{ADMIN}/{alias}"))?;
    }
    for also in &install.also {
        enable(tree, also, done)?;
    }
    Ok(())
}

fn put_link(tree: &mut Tree, target: &str, path: &str) -> Result<()> {
    remove(tree, path)?;
    make_parent(tree, path)?;
    tree.symlink(target, path)?;
    Ok(())
}

/// Removes every link below /etc/systemd/system that has the unit's name or leads to its file.
fn disable(tree: &mut Tree, unit: &str) -> Result<()> {
    if !tree.is_dir(ADMIN) {
        return Ok(());
    }
    for (path, id) in tree.walk(ADMIN)? {
        let inode = tree.inode(id);
        if !inode.is_symlink() {
            continue;
        }
        let target = tree.read_link(&path)?;
        let name = |path: &str| path.rsplit('/').next() == Some(unit);
        let masked = target == "/dev/null";
        if !masked && (name(&target) || name(&path)) {
            tree.unlink(&path)?;
        }
    }
    Ok(())
}

/// A unit that is not there may be masked: a later package could bring it.
fn mask(tree: &mut Tree, unit: &str) -> Result<()> {
    let path = format!("{ADMIN}/{unit}");
    if tree.lstat(&path).is_ok_and(Inode::is_file) {
        bail_input!("the definition masks {unit}, whose file is itself in {ADMIN}: leave that file out instead");
    }
    put_link(tree, "/dev/null", &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::new(1);
        tree.mkdir_all(VENDOR, 0o755).unwrap();
        tree.mkdir_all(&format!("{ADMIN}/multi-user.target.wants"), 0o755)
            .unwrap();
        let mut unit = |name: &str, install: &str| {
            let text = format!("[Unit]\nDescription=x\nWantedBy=no\n[Install]\n{install}");
            tree.write(&format!("{VENDOR}/{name}"), text, 0o644).unwrap();
        };
        unit(
            "a.service",
            "# WantedBy=no.target\nWantedBy=multi-user.target \\\n  other.target\nAlias=b.service\nAlso=c.socket\n",
        );
        unit("c.socket", "RequiredBy=sockets.target\n");
        unit("tty@.service", "WantedBy=getty.target\nDefaultInstance=tty1\n");
        unit("static.service", "");
        tree
    }

    #[test]
    fn enabling_makes_the_links_of_systemctl() {
        let mut tree = tree();
        let mut done = BTreeSet::new();
        enable(&mut tree, "a.service", &mut done).unwrap();
        enable(&mut tree, "tty@.service", &mut done).unwrap();
        enable(&mut tree, "tty@ttyS1.service", &mut done).unwrap();
        for (link, file) in [
            ("multi-user.target.wants/a.service", "a.service"),
            ("other.target.wants/a.service", "a.service"),
            ("b.service", "a.service"),
            ("sockets.target.requires/c.socket", "c.socket"),
            ("getty.target.wants/tty@tty1.service", "tty@.service"),
            ("getty.target.wants/tty@ttyS1.service", "tty@.service"),
        ] {
            assert_eq!(
                tree.read_link(&format!("{ADMIN}/{link}")).unwrap(),
                format!("{VENDOR}/{file}"),
                "{link}"
            );
        }
        assert!(!tree.lexists(&format!("{ADMIN}/no.target.wants")));
        disable(&mut tree, "a.service").unwrap();
        assert!(!tree.lexists(&format!("{ADMIN}/multi-user.target.wants/a.service")));
        assert!(!tree.lexists(&format!("{ADMIN}/b.service")));
        assert!(tree.lexists(&format!("{ADMIN}/sockets.target.requires/c.socket")));
    }

    #[test]
    fn what_cannot_be_switched_is_said() {
        let mut tree = tree();
        let mut done = BTreeSet::new();
        let absent = enable(&mut tree, "absent.service", &mut done).unwrap_err();
        assert!(absent.to_string().contains("absent.service"), "{absent}");
        let fixed = enable(&mut tree, "static.service", &mut done).unwrap_err();
        assert!(fixed.to_string().contains("[Install]"), "{fixed}");
        mask(&mut tree, "a.service").unwrap();
        assert_eq!(tree.read_link(&format!("{ADMIN}/a.service")).unwrap(), "/dev/null");
        tree.write(&format!("{ADMIN}/own.service"), "", 0o644).unwrap();
        assert!(mask(&mut tree, "own.service").is_err());
    }
}
