//! What takes the room: files, added up by package, by group of packages and by folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use computatom_spec::manifest::Manifest;
use serde::Serialize;
use serde_json::Value;

use crate::housekeeping::quantity::bytes;
use crate::provenance;

/// Packages listed for people.
const LISTED: usize = 25;
/// Folders with less than this share of the whole (in percent) are not listed for people.
const LEAST_SHARE: u64 = 2;
/// What is of no package.
const GENERATED: &str = "(generated)";
/// Group of what lies on the boot partitions.
const BOOT: &str = "boot partitions";
/// Group of the definition's components.
const COMPONENTS: &str = "components";

/// Something that takes room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Package, group or folder.
    pub name: String,
    /// For packages: the group that each belongs to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Files in it.
    pub files: u64,
    /// Bytes of their contents.
    pub size: u64,
    /// Bytes as stored on the card, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<u64>,
}

impl Room {
    fn add(&mut self, size: u64, stored: Option<u64>) {
        self.files += 1;
        self.size += size;
        self.stored = match (self.stored, stored) {
            (Some(so_far), Some(more)) => Some(so_far + more),
            (None, Some(more)) if self.files == 1 => Some(more),
            _ => None,
        };
    }
}

/// All of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Name of the definition.
    pub image: String,
    /// Target.
    pub target: String,
    /// Everything together.
    pub total: Room,
    /// Bytes of the compressed image, where one was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressed: Option<u64>,
    /// Groups: components, sections of Debian's packages, boot partitions, what is of no package; largest first.
    pub groups: Vec<Room>,
    /// Packages, largest first.
    pub packages: Vec<Room>,
    /// Folders with all that is below them, by path.
    pub folders: Vec<Room>,
}

/// Adds up the files of a manifest; `stored` has the bytes as stored of the root's files, where that is known.
pub fn measure(manifest: &Manifest, stored: Option<&BTreeMap<String, u64>>, compressed: Option<u64>) -> Sizes {
    let groups_of = Groups::new(manifest);
    let mut total = Room::default();
    let mut groups: BTreeMap<String, Room> = BTreeMap::new();
    let mut packages: BTreeMap<(String, String), Room> = BTreeMap::new();
    let mut folders: BTreeMap<String, Room> = BTreeMap::new();
    let mut add = |path: &str, group: String, package: &str, size: u64, stored: Option<u64>| {
        total.add(size, stored);
        groups.entry(group.clone()).or_default().add(size, stored);
        packages
            .entry((package.to_owned(), group))
            .or_default()
            .add(size, stored);
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        for folder in above {
            let folder = if folder.is_empty() { "/" } else { folder };
            folders.entry(folder.to_owned()).or_default().add(size, stored);
        }
    };
    for (path, file) in &manifest.files {
        if provenance::counts(file) && !file.digest.is_empty() {
            let package = if file.package.is_empty() {
                GENERATED
            } else {
                &file.package
            };
            let stored = stored.map(|stored| stored.get(path).copied().unwrap_or(0));
            add(path, groups_of.of(&file.package), package, file.size, stored);
        }
    }
    for (label, files) in &manifest.volumes {
        for (path, file) in files {
            // FAT does not compress.
            let path = format!("{label}/{path}");
            add(&path, BOOT.to_owned(), label, file.size, stored.map(|_| file.size));
        }
    }
    let named = |(name, room): (String, Room)| Room { name, ..room };
    let of_group = |((name, group), room): ((String, String), Room)| Room { name, group, ..room };
    Sizes {
        image: manifest.image.clone(),
        target: manifest.target.clone(),
        total: named(("everything".to_owned(), total)),
        compressed,
        groups: largest_first(groups.into_iter().map(named).collect()),
        packages: largest_first(packages.into_iter().map(of_group).collect()),
        folders: folders.into_iter().map(named).collect(),
    }
}

fn largest_first(mut rooms: Vec<Room>) -> Vec<Room> {
    rooms.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    rooms
}

/// Which group a package is of.
struct Groups {
    components: BTreeSet<String>,
    sections: BTreeMap<String, String>,
}

impl Groups {
    fn new(manifest: &Manifest) -> Self {
        let mut components = BTreeSet::new();
        let defined = manifest.definition.get("components").and_then(Value::as_array);
        for component in defined.into_iter().flatten() {
            let names = component.get("sources").and_then(Value::as_array).into_iter().flatten();
            let names = names
                .filter_map(|source| source.get("package"))
                .chain(component.get("name"));
            components.extend(names.filter_map(Value::as_str).map(str::to_owned));
        }
        let sections = manifest.packages.iter();
        let sections = sections.map(|package| (package.name.clone(), section(&package.section)));
        Self {
            components,
            sections: sections.collect(),
        }
    }

    fn of(&self, package: &str) -> String {
        if package.is_empty() {
            return GENERATED.to_owned();
        }
        if self.components.contains(package) {
            return COMPONENTS.to_owned();
        }
        self.sections.get(package).cloned().unwrap_or_else(|| section(""))
    }
}

/// A section without its area; what is firmware is told from the kernel, in whose section it is.
fn section(section: &str) -> String {
    match section.split_once('/') {
        Some(("non-free-firmware", _)) => "firmware".to_owned(),
        Some((_, name)) => name.to_owned(),
        None if section.is_empty() => "other".to_owned(),
        None => section.to_owned(),
    }
}

impl Sizes {
    /// What it is about, in a sentence.
    pub fn title(&self) -> String {
        let mut title = format!(
            "{} for {}: {} in {} files",
            self.image,
            self.target,
            bytes(self.total.size),
            self.total.files
        );
        if let Some(stored) = self.total.stored {
            let _ = write!(title, ", {} as stored", bytes(stored));
        }
        if let Some(compressed) = self.compressed {
            let _ = write!(title, ", {} to download", bytes(compressed));
        }
        title
    }

    /// For people: groups, the largest packages, the largest folders.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.title());
        self.rows(&mut text, "group", self.groups.iter());
        text.push('\n');
        let shown = self.packages.len().min(LISTED);
        let head = match self.packages.len() - shown {
            0 => "package".to_owned(),
            _ => format!("package (the {shown} largest of {})", self.packages.len()),
        };
        self.rows(&mut text, &head, self.packages.iter().take(LISTED));
        text.push('\n');
        let folders = self.large_folders();
        self.rows(&mut text, "folder", folders.iter());
        text
    }

    /// Folders with a share worth a line; one that is nearly all of the folder above stands for it.
    fn large_folders(&self) -> Vec<Room> {
        let worth = |room: &&Room| room.size * 100 >= self.total.size * LEAST_SHARE && room.size > 0;
        let large: Vec<&Room> = self.folders.iter().filter(worth).collect();
        let stands_for = |above: &Room, room: &Room| {
            let below = room.name.strip_prefix(above.name.trim_end_matches('/'));
            below.is_some_and(|rest| rest.starts_with('/') && rest != "/") && room.size * 100 >= above.size * 98
        };
        let keep = |room: &&&Room| {
            !large
                .iter()
                .any(|other| other.name != room.name && stands_for(room, other))
        };
        large.iter().filter(keep).map(|room| (**room).clone()).collect()
    }

    fn rows<'a>(&self, text: &mut String, head: &str, rooms: impl Iterator<Item = &'a Room> + Clone) {
        let width = rooms
            .clone()
            .map(|room| room.name.chars().count())
            .chain([head.len()])
            .max()
            .unwrap_or(0);
        let known = self.total.stored.is_some();
        let stored = if known { "     stored" } else { "" };
        let _ = writeln!(text, "{head:width$}        size  share{stored}   files");
        for room in rooms {
            let share = share(room.size, self.total.size);
            let _ = write!(text, "{:width$}  {:>10}  {share:>5}", room.name, bytes(room.size));
            if known {
                let _ = write!(text, " {:>10}", room.stored.map_or_else(String::new, bytes));
            }
            let _ = writeln!(text, " {:>7}", room.files);
        }
    }
}

/// A share in percent with one decimal: `12.3%`.
pub(super) fn share(part: u64, whole: u64) -> String {
    let tenths = (u128::from(part) * 2000 + u128::from(whole)) / (u128::from(whole.max(1)) * 2);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

#[cfg(test)]
pub(super) mod tests {
    use computatom_spec::manifest::{FORMAT, FileRecord, PackageRecord};

    use super::*;

    /// A manifest with packages of several groups.
    pub(in crate::inspect) fn manifest() -> Manifest {
        let package = |name: &str, section: &str| PackageRecord {
            name: name.to_owned(),
            section: section.to_owned(),
            ..PackageRecord::default()
        };
        let file = |package: &str, size: u64| FileRecord {
            digest: "sha256:0".to_owned(),
            size,
            package: package.to_owned(),
            ..FileRecord::default()
        };
        let mut files: BTreeMap<String, FileRecord> = [
            ("/usr/bin/nomad", file("nomad", 6000)),
            ("/usr/lib/firmware/brcm", file("firmware-brcm80211", 2500)),
            ("/usr/lib/libc.so", file("libc6", 1000)),
            ("/etc/ld.so.cache", file("", 400)),
        ]
        .map(|(path, file)| (path.to_owned(), file))
        .into();
        let mut other_name = file("libc6", 1000);
        other_name.hardlink = "/usr/lib/libc.so".to_owned();
        files.insert("/usr/lib/libc.so.6".to_owned(), other_name);
        files.insert(
            "/usr/lib/link".to_owned(),
            FileRecord {
                symlink: "libc.so".to_owned(),
                ..FileRecord::default()
            },
        );
        Manifest {
            format: FORMAT,
            image: "home".to_owned(),
            target: "board".to_owned(),
            tool: "0".to_owned(),
            epoch: 0,
            definition: serde_json::json!({ "components": [{ "name": "nomad", "sources": [] }] }),
            packages: vec![
                package("firmware-brcm80211", "non-free-firmware/kernel"),
                package("libc6", "libs"),
                package("nomad", "admin"),
            ],
            files,
            volumes: BTreeMap::from([("BOOT_A".to_owned(), BTreeMap::from([("k".to_owned(), file("", 100))]))]),
        }
    }

    #[test]
    fn every_inode_counts_once_and_every_sum_is_the_same() {
        let sizes = measure(&manifest(), None, None);
        assert_eq!((sizes.total.size, sizes.total.files), (10_000, 5));
        for rooms in [&sizes.groups, &sizes.packages] {
            assert_eq!(rooms.iter().map(|room| room.size).sum::<u64>(), 10_000);
        }
        let groups: Vec<(&str, u64)> = sizes
            .groups
            .iter()
            .map(|room| (room.name.as_str(), room.size))
            .collect();
        assert_eq!(
            groups,
            [
                ("components", 6000),
                ("firmware", 2500),
                ("libs", 1000),
                ("(generated)", 400),
                ("boot partitions", 100)
            ]
        );
        let folder = |name: &str| {
            sizes
                .folders
                .iter()
                .find(|room| room.name == name)
                .map(|room| room.size)
        };
        assert_eq!(folder("/"), Some(9900));
        assert_eq!(folder("/usr/lib"), Some(3500));
        assert_eq!(folder("BOOT_A"), Some(100));
    }

    #[test]
    fn the_table_has_what_is_stored_where_that_is_known() {
        let manifest = manifest();
        let without = measure(&manifest, None, None).table();
        assert!(!without.contains("stored"), "{without}");
        let stored = BTreeMap::from([("/usr/bin/nomad".to_owned(), 2000)]);
        let with = measure(&manifest, Some(&stored), Some(2300)).table();
        let line = with.lines().find(|line| line.starts_with("nomad")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["nomad", "5.9", "KiB", "60.0%", "2.0", "KiB", "1"]);
        assert!(with.starts_with("home for board: 9.8 KiB in 5 files, 2.1 KiB as stored, 2.2 KiB to download\n"));
        // `/usr/bin` stands for nothing but itself; `/` is told.
        assert!(with.contains("\n/usr/bin "), "{with}");
    }

    #[test]
    fn shares_are_rounded() {
        assert_eq!(share(1, 3), "33.3%");
        assert_eq!(share(2, 3), "66.7%");
        assert_eq!(share(0, 0), "0.0%");
    }
}
