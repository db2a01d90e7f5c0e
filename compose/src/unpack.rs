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
            let may_lead_on = matches!(entry.kind, EntryKind::Dir | EntryKind::Symlink(_));
            let excluded = self.filters.excludes(&entry.path, may_lead_on);
            // Many packages may hold a directory, also one that is left out and so not in the tree.
            let left_out_dir = excluded && entry.kind == EntryKind::Dir;
            if left_out_dir || self.is_shared_dir(entry, &diversions, package.name()) {
                self.files.give(&key, &entry.path, package.name());
                continue;
            }
            match self.claim(&key, entry, package, &diversions)? {
                Claim::Theirs => continue,
                Claim::Ours => self.files.give(&key, &entry.path, package.name()),
            }
            if excluded {
                continue;
            }
            let destination = diversions.destination(&entry.path, package.name()).to_owned();
            if conffiles.iter().any(|conffile| conffile.path == entry.path)
                && self.keeps_conffile(entry, &destination, package.name())
            {
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

/// What dpkg unpacks, and no package of Debian's may hold: it would be a way into every node.
fn check(entry: &Entry, mode: u32) -> Result<()> {
    if matches!(entry.kind, EntryKind::Char { .. } | EntryKind::Block { .. }) {
        bail!("it is a device, which no package may hold (Policy 10.6): do without the package, or have it mended");
    }
    let privileged = mode & 0o6000 != 0 || entry.xattrs.contains_key("security.capability");
    if matches!(entry.kind, EntryKind::File(_)) && privileged && mode & 0o022 != 0 {
        bail!(
            "it runs with the rights of others and others may write it (mode {mode:04o}), so that everybody on the node \
             would have these rights: do without the package, or have it mended"
        );
    }
    Ok(())
}

fn place(tree: &mut Tree, entry: &Entry, destination: &str, source: &Source<'_>) -> Result<()> {
    check(entry, source.mode)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deb::tests::package;
    use crate::path_filter::PathRule;

    struct World {
        system: System,
        files: Files,
        filters: PathFilters,
        unpacked: HashMap<String, Control>,
    }

    impl World {
        fn new(rules: &[PathRule]) -> Self {
            let mut system = System::new("arm64", 100);
            system.tree.mkdir_all("/var/lib/dpkg", 0o755).unwrap();
            Self {
                system,
                files: Files::default(),
                filters: PathFilters::new(rules).unwrap(),
                unpacked: HashMap::new(),
            }
        }

        fn unpack(&mut self, package: &Package) -> Result<()> {
            let mut unpacker = Unpacker {
                system: &mut self.system,
                files: &mut self.files,
                filters: &self.filters,
                unpacked: &self.unpacked,
            };
            unpacker.unpack(package)?;
            self.unpacked.insert(package.name().to_owned(), package.control.clone());
            Ok(())
        }
    }

    #[test]
    fn merged_usr_is_one_directory_and_the_list_keeps_the_packages_names() {
        let mut world = World::new(&[]);
        let base = package(
            "base-files",
            "",
            &[],
            &[("./", ""), ("./usr/lib/", ""), ("./lib", "-> usr/lib")],
        );
        world.unpack(&base).unwrap();
        let old = package("old", "", &[], &[("./", ""), ("./lib/", ""), ("./lib/a", "1")]);
        world.unpack(&old).unwrap();
        assert_eq!(world.system.tree.read_text("/usr/lib/a").unwrap(), "1");
        assert!(world.system.tree.lstat("/lib").unwrap().is_symlink());
        assert_eq!(world.files.list("old"), "/.\n/lib\n/lib/a\n");
        let new = package(
            "new",
            "",
            &[],
            &[("./usr/", ""), ("./usr/lib/", ""), ("./usr/lib/a", "2")],
        );
        let error = world.unpack(&new).unwrap_err().to_string();
        assert!(error.contains("packages old and new both hold /usr/lib/a"), "{error}");
    }

    #[test]
    fn replaces_moves_a_file_either_way() {
        let mut world = World::new(&[]);
        world
            .unpack(&package("aa", "", &[], &[("./x", "aa"), ("./y", "aa")]))
            .unwrap();
        world
            .unpack(&package("bb", "Replaces: aa (<< 2)\n", &[], &[("./x", "bb")]))
            .unwrap();
        assert_eq!(world.system.tree.read_text("/x").unwrap(), "bb");
        assert_eq!(world.files.list("aa"), "/y\n");
        assert_eq!(Vec::from_iter(world.files.take_shortened()), ["aa"]);
        world.unpack(&package("cc", "", &[], &[("./z", "cc")])).unwrap();
        world
            .unpack(&package("dd", "Replaces: cc\n", &[], &[("./w", "dd")]))
            .unwrap();
        world.unpack(&package("ee", "", &[], &[("./v", "ee")])).unwrap();
        assert!(
            world
                .unpack(&package("ff", "Replaces: ee (<< 1)\n", &[], &[("./v", "ff")]))
                .is_err()
        );
        world
            .unpack(&package("gg", "Replaces: hh\n", &[], &[("./u", "gg")]))
            .unwrap();
        world
            .unpack(&package("hh", "", &[], &[("./u", "hh"), ("./t", "hh")]))
            .unwrap();
        assert_eq!(world.system.tree.read_text("/u").unwrap(), "gg");
        assert_eq!(world.files.list("hh"), "/t\n");
    }

    #[test]
    fn diversions_and_statoverrides_hold_for_later_packages() {
        let mut world = World::new(&[]);
        let tree = &mut world.system.tree;
        tree.write("/var/lib/dpkg/diversions", "/x\n/x.real\ndiverter\n", 0o644)
            .unwrap();
        tree.write("/var/lib/dpkg/statoverride", "#3 #4 4750 /y\n", 0o644)
            .unwrap();
        world
            .unpack(&package("aa", "", &[], &[("./x", "aa"), ("./y", "aa")]))
            .unwrap();
        world
            .unpack(&package("diverter", "", &[], &[("./x", "diverter")]))
            .unwrap();
        let tree = &world.system.tree;
        assert_eq!(tree.read_text("/x").unwrap(), "diverter");
        assert_eq!(tree.read_text("/x.real").unwrap(), "aa");
        let y = tree.stat("/y").unwrap();
        assert_eq!((y.uid, y.gid, y.mode), (3, 4, 0o4750));
        assert_eq!(world.files.list("aa"), "/x\n/y\n");
    }

    #[test]
    fn the_first_package_decides_on_a_directory_and_excluded_files_are_listed() {
        let mut world = World::new(&[PathRule::Exclude("/usr/share/doc/*".to_owned())]);
        let mut first = package("aa", "", &[], &[("./d/", ""), ("./usr/share/doc/aa", "text")]);
        first.entries[0].mode = 0o1777;
        first.entries[0].mtime = 500;
        world.unpack(&first).unwrap();
        world.unpack(&package("bb", "", &[], &[("./d/", "")])).unwrap();
        let dir = world.system.tree.stat("/d").unwrap();
        assert_eq!((dir.mode, dir.mtime), (0o1777, 100));
        assert!(!world.system.tree.lexists("/usr/share/doc/aa"));
        assert_eq!(world.files.list("aa"), "/d\n/usr/share/doc/aa\n");
    }

    #[test]
    fn hard_links_share_an_inode_even_if_their_first_name_is_left_out() {
        let mut world = World::new(&[PathRule::Exclude("/b".to_owned())]);
        let mut links = package(
            "aa",
            "",
            &[],
            &[("./a", "1"), ("./a2", "x"), ("./b", "2"), ("./b2", "x")],
        );
        links.entries[1].kind = EntryKind::Hardlink("/a".to_owned());
        links.entries[3].kind = EntryKind::Hardlink("/b".to_owned());
        world.unpack(&links).unwrap();
        let tree = &world.system.tree;
        assert_eq!(
            tree.lookup("/a", Follow::No).unwrap(),
            tree.lookup("/a2", Follow::No).unwrap()
        );
        assert_eq!(tree.read_text("/b2").unwrap(), "2");
        links.entries[1].kind = EntryKind::Hardlink("/nowhere".to_owned());
        let error = World::new(&[]).unpack(&links).unwrap_err();
        assert!(format!("{error:#}").contains("which the package does not hold"));
    }
}
