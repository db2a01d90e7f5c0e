//! Payloads into the tree, as dpkg unpacks them on a fresh system.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context as _, Result, bail};

use crate::accounts;
use crate::deb::{Control, Entry, EntryKind, Package};
use crate::dpkg::diversions::Diversions;
use crate::dpkg::statoverrides::StatOverrides;
use crate::path_filter::PathFilters;
use crate::system::{Note, System};
use crate::tree::{Follow, Inode, InodeId, Kind, Tree};

/// Which package owns which path: dpkg's files database.
#[derive(Debug, Default)]
pub struct Files {
    /// Canonical path to owners; a directory may have many, a diverted file two.
    owners: HashMap<String, Vec<String>>,
    /// Package to its paths as its archive names them, in order, the root first as `/.`.
    lists: HashMap<String, Vec<String>>,
    /// Packages that lost a file to one that replaces it, since last asked.
    shortened: BTreeSet<String>,
}

impl Files {
    /// The content of `info/PACKAGE.list`.
    pub fn list(&self, package: &str) -> String {
        let mut text = String::new();
        for path in self.lists.get(package).into_iter().flatten() {
            text.push_str(path);
            text.push('\n');
        }
        text
    }

    /// Packages that lost files to others since the last call: their lists on disk are to be written anew.
    pub fn take_shortened(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.shortened)
    }

    fn give(&mut self, key: &str, path: &str, package: &str) {
        let owners = self.owners.entry(key.to_owned()).or_default();
        if owners.iter().all(|owner| owner != package) {
            owners.push(package.to_owned());
        }
        self.lists.entry(package.to_owned()).or_default().push(if path == "/" {
            "/.".to_owned()
        } else {
            path.to_owned()
        });
    }

    fn take(&mut self, key: &str, path: &str, package: &str) {
        if let Some(owners) = self.owners.get_mut(key) {
            owners.retain(|owner| owner != package);
        }
        if let Some(list) = self.lists.get_mut(package) {
            list.retain(|listed| listed != path);
        }
        self.shortened.insert(package.to_owned());
    }
}

/// What a package's unpacking depends on beside the package.
#[derive(Debug)]
pub struct Unpacker<'a> {
    /// Where it goes.
    pub system: &'a mut System,
    /// Who owns what so far.
    pub files: &'a mut Files,
    /// What is listed but left out.
    pub filters: &'a PathFilters,
    /// Control information of what is unpacked already, by name.
    pub unpacked: &'a HashMap<String, Control>,
}

/// What becomes of an entry that another package owns too.
enum Claim {
    /// It is unpacked.
    Ours,
    /// The other package replaces it: it is neither unpacked nor listed.
    Theirs,
}

impl Unpacker<'_> {
    /// Unpacks `package`; its paths, as its archive names them, are returned for the file triggers.
    ///
    /// A file that another package owns is an error naming both, unless one of them `Replaces` the other
    /// or is the one a diversion was made for (Policy 7.6, dpkg's `tarobject`).
    pub fn unpack(&mut self, package: &Package) -> Result<Vec<String>> {
        let diversions = Diversions::load(&self.system.tree)?;
        let overrides = StatOverrides::load(&self.system.tree)?;
        let conffiles = package.control.conffiles();
        let mut owners = Owners::default();
        let mut seen = Vec::with_capacity(package.entries.len());
        for entry in &package.entries {
            seen.push(entry.path.clone());
            let key = canonical_or_literal(&self.system.tree, &entry.path);
            if entry.path != "/" && self.is_shared_dir(entry, &diversions, package.name()) {
                self.files.give(&key, &entry.path, package.name());
                continue;
            }
            match self.claim(&key, entry, package, &diversions)? {
                Claim::Theirs => continue,
                Claim::Ours => self.files.give(&key, &entry.path, package.name()),
            }
            if entry.path == "/" || self.filters.excludes(&entry.path, entry.kind == EntryKind::Dir) {
                continue;
            }
            let destination = diversions.destination(&entry.path, package.name()).to_owned();
            if conffiles.contains(&entry.path) && self.keeps_conffile(entry, &destination, package.name()) {
                continue;
            }
            let (mut uid, mut gid) = owners.of(entry, &self.system.tree);
            let mut mode = entry.mode;
            if let Some(fixed) = overrides.of(&entry.path) {
                let Some(owner) = fixed.owner(&self.system.tree) else {
                    bail!(
                        "the owner that statoverride gives to {} is unknown in the tree",
                        entry.path
                    );
                };
                (uid, gid) = owner;
                mode = fixed.mode;
            }
            let source = Source {
                package,
                diversions: &diversions,
                owner: (uid, gid),
                mode,
            };
            place(&mut self.system.tree, entry, &destination, &source)
                .with_context(|| format!("unpacking {} of package {}", entry.path, package.name()))?;
        }
        Ok(seen)
    }

    /// A directory that exists keeps its metadata: the first package's stay (dpkg's `tarobject`).
    fn is_shared_dir(&self, entry: &Entry, diversions: &Diversions, package: &str) -> bool {
        entry.kind == EntryKind::Dir && self.system.tree.is_dir(diversions.destination(&entry.path, package))
    }

    fn claim(&mut self, key: &str, entry: &Entry, package: &Package, diversions: &Diversions) -> Result<Claim> {
        let others: Vec<String> = match self.files.owners.get(key) {
            Some(owners) => owners
                .iter()
                .filter(|owner| *owner != package.name())
                .cloned()
                .collect(),
            None => return Ok(Claim::Ours),
        };
        for other in others {
            // Of a diverted file the diverting package and one more may be owners.
            if let Some(diversion) = diversions.of(&entry.path)
                && (diversion.package == other || diversion.package == package.name())
            {
                continue;
            }
            let Some(installed) = self.unpacked.get(&other) else {
                continue;
            };
            if replaces(&package.control, installed) {
                self.files.take(key, &entry.path, &other);
            } else if replaces(installed, &package.control) {
                return Ok(Claim::Theirs);
            } else {
                bail!(
                    "packages {other} and {} both hold {}: remove one of them from the definition, \
                     or have one declare `Replaces`",
                    package.name(),
                    entry.path
                );
            }
        }
        Ok(Claim::Ours)
    }

    /// A conffile that is there already, owned by nobody and with other content, is local configuration:
    /// it stays, as dpkg leaves it without an answer at its prompt.
    fn keeps_conffile(&mut self, entry: &Entry, destination: &str, package: &str) -> bool {
        let EntryKind::File(ours) = &entry.kind else {
            return false;
        };
        let keep = matches!(self.system.tree.read(destination), Ok(theirs) if theirs != *ours);
        if keep {
            self.system.notes.push(Note {
                package: package.to_owned(),
                script: "unpack".to_owned(),
                text: format!("{destination} existed with other content and is kept instead of the conffile"),
            });
        }
        keep
    }
}

/// Whether `new` may take over files of `old`.
fn replaces(new: &Control, old: &Control) -> bool {
    new.replaces
        .flat()
        .any(|relation| relation.name == old.name && relation.accepts(&old.version))
}

/// `path` without links in its parents, so that `/lib/x` and `/usr/lib/x` are one.
fn canonical_or_literal(tree: &Tree, path: &str) -> String {
    tree.canonical_parent(path).unwrap_or_else(|_| path.to_owned())
}

/// What an entry becomes, apart from its kind and name.
struct Source<'a> {
    package: &'a Package,
    diversions: &'a Diversions,
    owner: (u32, u32),
    mode: u32,
}

fn place(tree: &mut Tree, entry: &Entry, destination: &str, source: &Source<'_>) -> Result<()> {
    let parent = destination.rsplit_once('/').map_or("", |(parent, _)| parent);
    if !parent.is_empty() && !tree.is_dir(parent) {
        tree.mkdir_all(parent, 0o755)?;
    }
    let kind = match &entry.kind {
        EntryKind::Hardlink(target) => match hardlink_target(tree, target, source) {
            Ok(id) => {
                tree.replace_with(destination, id)?;
                return Ok(());
            }
            // Its first name was left out by a filter: this one gets the content.
            Err(content) => content?,
        },
        EntryKind::Symlink(target) => {
            if leads_to_same_dir(tree, destination, target) {
                return Ok(());
            }
            Kind::Symlink(target.clone())
        }
        EntryKind::Dir => Kind::Dir(BTreeMap::new()),
        EntryKind::File(content) => Kind::File(content.clone()),
        EntryKind::Char { major, minor } => Kind::Char {
            major: *major,
            minor: *minor,
        },
        EntryKind::Block { major, minor } => Kind::Block {
            major: *major,
            minor: *minor,
        },
        EntryKind::Fifo => Kind::Fifo,
    };
    let mut inode = Inode::new(kind, source.mode, entry.mtime.min(tree.now));
    if inode.is_symlink() {
        inode.mode = 0o777;
    }
    (inode.uid, inode.gid) = source.owner;
    inode.xattrs.clone_from(&entry.xattrs);
    tree.replace(destination, inode)?;
    Ok(())
}

/// The inode a hard link names; else the content its first name has in the archive.
fn hardlink_target(tree: &Tree, target: &str, source: &Source<'_>) -> std::result::Result<InodeId, Result<Kind>> {
    let place = source.diversions.destination(target, source.package.name());
    if let Ok(id) = tree.lookup(place, Follow::No)
        && !tree.inode(id).is_dir()
    {
        return Ok(id);
    }
    let first = source.package.entries.iter().find(|entry| entry.path == target);
    Err(match first.map(|entry| &entry.kind) {
        Some(EntryKind::File(content)) => Ok(Kind::File(content.clone())),
        _ => Err(anyhow::anyhow!(
            "it is a hard link to {target}, which the package does not hold"
        )),
    })
}

/// A link to the very directory that stands in its place changes nothing (dpkg's `linktosameexistingdir`).
fn leads_to_same_dir(tree: &Tree, path: &str, target: &str) -> bool {
    let absolute = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("{}/{target}", path.rsplit_once('/').map_or("", |(parent, _)| parent))
    };
    match (tree.lookup(path, Follow::Yes), tree.lookup(&absolute, Follow::Yes)) {
        (Ok(here), Ok(there)) => here == there && tree.inode(here).is_dir(),
        _ => false,
    }
}

/// Owners by name where the tree knows them, else by number (dpkg's `tar_entry_update_from_system`);
/// remembered while one package is unpacked.
#[derive(Default)]
struct Owners {
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<u32>>,
}

impl Owners {
    fn of(&mut self, entry: &Entry, tree: &Tree) -> (u32, u32) {
        let user = entry.user.as_ref().and_then(|name| {
            let known = self.users.entry(name.clone());
            *known.or_insert_with(|| accounts::uid(tree, name))
        });
        let group = entry.group.as_ref().and_then(|name| {
            let known = self.groups.entry(name.clone());
            *known.or_insert_with(|| accounts::gid(tree, name))
        });
        (user.unwrap_or(entry.uid), group.unwrap_or(entry.gid))
    }
}
