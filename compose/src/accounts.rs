//! Users and groups of the tree: `/etc/passwd`, `/etc/group`, `/etc/shadow`, `/etc/gshadow`, and who gets which id.
//!
//! On an installed machine an account's number depends on the order of installation. Files on DATA outlive the root
//! file system that gave them their owners, so here a name has the same number in every image: from [`STABLE_IDS`],
//! else from a hash of the name.

use std::collections::BTreeSet;

use crate::tree::{Result, Tree};

/// Which name has which number.
mod stable_ids;

pub use stable_ids::STABLE_IDS;

/// Ids that names outside of the table are hashed into, first and last.
const HASHED: (u32, u32) = (300, 899);

/// One of the four account files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    /// `/etc/passwd`, `passwd(5)`
    Passwd,
    /// `/etc/group`, `group(5)`
    Group,
    /// `/etc/shadow`, `shadow(5)`
    Shadow,
    /// `/etc/gshadow`, `gshadow(5)`
    Gshadow,
}

impl File {
    /// Where the file is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Passwd => "/etc/passwd",
            Self::Group => "/etc/group",
            Self::Shadow => "/etc/shadow",
            Self::Gshadow => "/etc/gshadow",
        }
    }

    /// Mode of the file when it is made by systemd-sysusers; `shadowconfig` opens the shadow files to their group.
    fn mode(self) -> u32 {
        match self {
            Self::Passwd | Self::Group => 0o644,
            Self::Shadow | Self::Gshadow => 0o000,
        }
    }
}

/// The records of an account file: colon-separated fields, the name first. Lines are kept as they are unless changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    file: File,
    records: Vec<Vec<String>>,
}

impl Database {
    /// Reads a file of the tree; an absent one is empty.
    pub fn load(tree: &Tree, file: File) -> Result<Self> {
        let text = if tree.exists(file.path()) {
            tree.read_text(file.path())?
        } else {
            String::new()
        };
        Ok(Self::parse(file, &text))
    }

    /// Reads the text of a file.
    pub fn parse(file: File, text: &str) -> Self {
        let records = text
            .lines()
            .map(|line| line.split(':').map(str::to_owned).collect())
            .collect();
        Self { file, records }
    }

    /// Writes the file back; an existing one keeps mode and owner.
    pub fn store(&self, tree: &mut Tree) -> Result<()> {
        let mut text = String::new();
        for record in &self.records {
            text.push_str(&record.join(":"));
            text.push('\n');
        }
        tree.mkdir_all("/etc", 0o755)?;
        tree.write(self.file.path(), text, self.file.mode())?;
        Ok(())
    }

    /// The record of `name`.
    pub fn get(&self, name: &str) -> Option<&[String]> {
        self.records.iter().find(|record| record[0] == name).map(Vec::as_slice)
    }

    /// The record of `name`, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Vec<String>> {
        self.records.iter_mut().find(|record| record[0] == name)
    }

    /// Adds a record at the end.
    pub fn push(&mut self, record: &[&str]) {
        self.records
            .push(record.iter().map(|&field| field.to_owned()).collect());
    }

    /// Removes the record of `name`; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.records.len();
        self.records.retain(|record| record[0] != name);
        self.records.len() < before
    }

    /// Every record, in order.
    pub fn records(&self) -> &[Vec<String>] {
        &self.records
    }

    /// The number of `name`: uid in passwd, gid in group.
    pub fn id(&self, name: &str) -> Option<u32> {
        self.get(name)?.get(2)?.parse().ok()
    }

    /// The first name with number `id`.
    pub fn name(&self, id: u32) -> Option<&str> {
        let id = id.to_string();
        let found = self.records.iter().find(|record| record.get(2) == Some(&id))?;
        Some(&found[0])
    }

    /// Adds `user` to the list in the last field of the record `group` (group and gshadow); whether that changed it.
    pub fn add_member(&mut self, group: &str, user: &str) -> bool {
        match self.get_mut(group) {
            Some(record) if record.len() >= 4 => {
                let members = &mut record[3];
                if members.split(',').any(|member| member == user) {
                    return false;
                }
                if !members.is_empty() {
                    members.push(',');
                }
                members.push_str(user);
                true
            }
            _ => false,
        }
    }

    /// Takes `user` out of the list in the last field of the record `group`; whether that changed it.
    pub fn remove_member(&mut self, group: &str, user: &str) -> bool {
        match self.get_mut(group) {
            Some(record) if record.len() >= 4 => {
                let left: Vec<&str> = record[3].split(',').filter(|member| *member != user).collect();
                let left = left.join(",");
                let changed = left != record[3];
                record[3] = left;
                changed
            }
            _ => false,
        }
    }
}

/// The uid of a user given by name or number, as `chown(1)` reads it.
pub fn uid(tree: &Tree, user: &str) -> Option<u32> {
    id(tree, File::Passwd, user)
}

/// The gid of a group given by name or number, as `chown(1)` reads it.
pub fn gid(tree: &Tree, group: &str) -> Option<u32> {
    id(tree, File::Group, group)
}

fn id(tree: &Tree, file: File, name: &str) -> Option<u32> {
    let database = Database::load(tree, file).ok()?;
    database.id(name).or_else(|| name.parse().ok())
}

/// Days since 1970 on the tree's clock, for the date of last change in shadow.
pub fn today(tree: &Tree) -> i64 {
    tree.now.div_euclid(86_400)
}

/// An id for a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The number.
    pub id: u32,
    /// Whether it comes from [`STABLE_IDS`]; otherwise it can differ between images and deserves a note.
    pub stable: bool,
}

/// The id a new system user (`File::Passwd`) or group (`File::Group`) called `name` gets: the one of the table, else
/// the first free one from a place that depends on the name only, so that other packages rarely move it.
pub fn allocate(database: &Database, name: &str) -> Allocation {
    let taken: BTreeSet<u32> = database
        .records
        .iter()
        .filter_map(|record| record.get(2)?.parse().ok())
        .collect();
    if let Some(&(_, id)) = STABLE_IDS.iter().find(|(known, _)| *known == name)
        && !taken.contains(&id)
    {
        return Allocation { id, stable: true };
    }
    let (first, last) = HASHED;
    let size = last - first + 1;
    let start = fnv1a(name) % size;
    let id = (0..size)
        .map(|step| first + (start + step) % size)
        .find(|id| !taken.contains(id))
        .unwrap_or(last);
    Allocation { id, stable: false }
}

/// The first free id from `first` on, for ordinary accounts (1000 in Debian).
pub fn first_free(database: &Database, first: u32) -> u32 {
    let taken: BTreeSet<u32> = database
        .records
        .iter()
        .filter_map(|record| record.get(2)?.parse().ok())
        .collect();
    (first..=u32::MAX).find(|id| !taken.contains(id)).unwrap_or(first)
}

/// The 32-bit Fowler-Noll-Vo hash (RFC 9923), which will not change under us as a library's might.
fn fnv1a(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_table_gives_every_id_once_and_in_debians_range() {
        let names: BTreeSet<&str> = STABLE_IDS.iter().map(|(name, _)| *name).collect();
        let ids: BTreeSet<u32> = STABLE_IDS.iter().map(|(_, id)| *id).collect();
        assert_eq!((names.len(), ids.len()), (STABLE_IDS.len(), STABLE_IDS.len()));
        // 100 is the gid of `users` (base-passwd).
        assert!(
            ids.iter()
                .all(|id| (101..=999).contains(id) && !(HASHED.0..=HASHED.1).contains(id))
        );
    }

    #[test]
    fn an_unknown_name_has_the_same_id_whatever_came_before() {
        let empty = Database::parse(File::Passwd, "");
        let other = Database::parse(File::Passwd, "root:x:0:0::/:/bin/sh\nprometheus:x:114:114::/:/bin/sh\n");
        assert_eq!(allocate(&empty, "strange"), allocate(&other, "strange"));
        assert!(!allocate(&empty, "strange").stable);
        assert_eq!(allocate(&empty, "prometheus"), Allocation { id: 114, stable: true });
        assert!(!allocate(&other, "prometheus").stable, "the id is taken");
    }

    #[test]
    fn fnv_matches_the_published_vectors() {
        assert_eq!(fnv1a(""), 0x811c_9dc5);
        assert_eq!(fnv1a("foobar"), 0xbf9c_f968);
    }

    #[test]
    fn members_come_and_go() {
        let mut groups = Database::parse(File::Group, "adm:x:4:\nsudo:x:27:alice,bob\nbroken\n");
        assert!(groups.add_member("adm", "alice"));
        assert!(!groups.add_member("adm", "alice"));
        assert!(groups.remove_member("sudo", "alice"));
        assert!(!groups.add_member("broken", "alice"));
        assert_eq!(groups.get("adm").unwrap()[3], "alice");
        assert_eq!(groups.get("sudo").unwrap()[3], "bob");
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back(text in "([ -~]*\n)*") {
            let mut tree = Tree::new(0);
            Database::parse(File::Group, &text).store(&mut tree).unwrap();
            prop_assert_eq!(tree.read_text("/etc/group").unwrap(), text);
        }
    }
}
