//! Two roots, path by path.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use bytes::Bytes;
use computatom_compose::tree::{InodeId, Kind, Tree};

/// A path's object as both sides show it. Modification times are not compared: dpkg's are those of its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: char,
    pub(crate) mode: u32,
    /// `user:group`
    pub(crate) owner: String,
    /// Target of a link, numbers of a device.
    pub(crate) target: String,
    /// The first of the names of a file that has several.
    pub(crate) first_name: String,
    /// Capabilities and other extended attributes by full name.
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    pub(crate) content: Bytes,
}

/// A root by path.
pub(crate) type Side = BTreeMap<String, Object>;

/// In what a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Missing,
    Extra,
    Type,
    Target,
    Mode,
    Owner,
    HardLink,
    Capability,
    Attribute,
    Content,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Type => "type",
            Self::Target => "target",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::HardLink => "hardlink",
            Self::Capability => "capability",
            Self::Attribute => "attribute",
            Self::Content => "content",
        }
    }
}

/// One difference.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) what: What,
    pub(crate) path: String,
    /// Where the real root's link leads, if it is one; else ours.
    pub(crate) target: String,
    pub(crate) detail: String,
}

/// Files whose order, or whose numbers, depend on the order of installation: what does not matter is taken out.
fn comparable(path: &str, content: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(content);
    let sorted = |mut parts: Vec<String>| {
        parts.sort();
        Bytes::from(parts.join("\n"))
    };
    match path {
        "/etc/passwd" | "/etc/group" => sorted(text.lines().map(without_numbers).collect()),
        "/etc/shadow"
        | "/etc/gshadow"
        | "/var/lib/dpkg/statoverride"
        | "/var/lib/dpkg/triggers/File"
        | "/var/lib/ucf/hashfile"
        | "/var/lib/ucf/registry" => sorted(text.lines().map(str::to_owned).collect()),
        // In the order of depmod's hash table; what is looked up is modules.symbols.bin.
        path if path.starts_with("/usr/lib/modules/") && path.ends_with("/modules.symbols") => {
            sorted(text.lines().map(str::to_owned).collect())
        }
        "/var/lib/apt/extended_states" => sorted(text.split("\n\n").map(str::to_owned).collect()),
        "/var/lib/dpkg/diversions" => {
            let lines: Vec<&str> = text.lines().collect();
            sorted(lines.chunks(3).map(|diversion| diversion.join(" ")).collect())
        }
        _ => content.clone(),
    }
}

/// A record of passwd or group with its dynamic numbers (100 to 999) replaced: ours are stable by our own table.
fn without_numbers(record: &str) -> String {
    let fields = record
        .split(':')
        .enumerate()
        .map(|(at, field)| match field.parse::<u32>() {
            Ok(100..=999) if at == 2 || at == 3 => "#",
            _ => field,
        });
    fields.collect::<Vec<_>>().join(":")
}

/// Every difference between the two.
pub(crate) fn differences(real: &Side, ours: &Side) -> Vec<Difference> {
    let mut found = Vec::new();
    for (path, theirs) in real {
        let mut add = |what, detail: String| {
            found.push(Difference {
                what,
                path: path.clone(),
                target: theirs.target.clone(),
                detail,
            });
        };
        match ours.get(path) {
            None => add(What::Missing, theirs.kind.to_string()),
            Some(mine) if theirs.kind != mine.kind => add(What::Type, pair(theirs.kind, mine.kind)),
            Some(mine) => compare(path, theirs, mine, &mut add),
        }
    }
    for (path, mine) in ours {
        if !real.contains_key(path) {
            found.push(Difference {
                what: What::Extra,
                path: path.clone(),
                target: mine.target.clone(),
                detail: mine.kind.to_string(),
            });
        }
    }
    found
}

fn pair(real: impl std::fmt::Display, ours: impl std::fmt::Display) -> String {
    format!("real {real} ours {ours}")
}

/// Two objects of the same type.
fn compare(path: &str, real: &Object, ours: &Object, add: &mut dyn FnMut(What, String)) {
    if real.target != ours.target {
        add(What::Target, pair(&real.target, &ours.target));
    }
    if real.mode != ours.mode && real.kind != 'l' {
        add(What::Mode, format!("real {:o} ours {:o}", real.mode, ours.mode));
    }
    if real.owner != ours.owner {
        add(What::Owner, pair(&real.owner, &ours.owner));
    }
    if real.first_name != ours.first_name {
        add(What::HardLink, pair(&real.first_name, &ours.first_name));
    }
    let names: BTreeSet<&String> = real.xattrs.keys().chain(ours.xattrs.keys()).collect();
    for name in names {
        let (theirs, mine) = (real.xattrs.get(name), ours.xattrs.get(name));
        if theirs != mine {
            let what = match name.as_str() {
                "security.capability" => What::Capability,
                _ => What::Attribute,
            };
            add(what, format!("{name} real {theirs:02x?} ours {mine:02x?}"));
        }
    }
    if real.content != ours.content {
        let (theirs, mine) = (comparable(path, &real.content), comparable(path, &ours.content));
        if theirs != mine {
            add(What::Content, first_difference(&theirs, &mine));
        }
    }
}

/// The first line in which two texts differ, or their sizes.
fn first_difference(real: &[u8], ours: &[u8]) -> String {
    let (Ok(real), Ok(ours)) = (std::str::from_utf8(real), std::str::from_utf8(ours)) else {
        return format!("real {} bytes, ours {} bytes", real.len(), ours.len());
    };
    let mut pairs = real
        .lines()
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(ours.lines().map(Some).chain([None]));
    let pair = pairs.find(|(real, ours)| real != ours).unwrap_or((None, None));
    let short = |line: Option<&str>| line.map(|line| line.chars().take(90).collect::<String>());
    format!("real {:?} ours {:?}", short(pair.0), short(pair.1))
}

/// Differences grouped by what differs and by the top of the path.
pub(crate) fn by_cause(differences: &[&Difference]) -> String {
    let mut groups: BTreeMap<(What, String), Vec<&Difference>> = BTreeMap::new();
    for difference in differences {
        let top: Vec<&str> = difference.path.split('/').take(4).collect();
        groups
            .entry((difference.what, top.join("/")))
            .or_default()
            .push(difference);
    }
    let mut text = String::new();
    for ((what, top), members) in groups {
        let _ = writeln!(text, "{} {top}: {}", what.name(), members.len());
        for member in members.iter().take(12) {
            let _ = writeln!(text, "    {} {}", member.path, member.detail);
        }
    }
    text
}

/// Names of accounts by number, from the text of passwd or group.
pub(crate) fn names(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let (Some(name), Some(Ok(number))) = (fields.first(), fields.get(2).map(|number| number.parse())) {
            names.entry(number).or_insert_with(|| (*name).to_owned());
        }
    }
    names
}

/// The name of an account, or its number where it has none.
pub(crate) fn name_of(names: &HashMap<u32, String>, number: u32) -> String {
    names.get(&number).cloned().unwrap_or_else(|| number.to_string())
}

/// Our side.
pub(crate) fn side_of_tree(tree: &Tree) -> Side {
    let text = |path: &str| tree.read_text(path).unwrap_or_default();
    let (users, groups) = (names(&text("/etc/passwd")), names(&text("/etc/group")));
    let paths = tree.walk("/").expect("walking the tree");
    let mut names_of: HashMap<InodeId, Vec<&String>> = HashMap::new();
    for (path, id) in &paths {
        names_of.entry(*id).or_default().push(path);
    }
    let mut side = Side::new();
    for (path, id) in &paths {
        let inode = tree.inode(*id);
        let (kind, target, content) = match &inode.kind {
            Kind::Dir(_) => ('d', String::new(), Bytes::new()),
            Kind::File(content) => ('f', String::new(), content.clone()),
            Kind::Symlink(target) => ('l', target.clone(), Bytes::new()),
            Kind::Char { major, minor } => ('c', format!("{major},{minor}"), Bytes::new()),
            Kind::Block { major, minor } => ('b', format!("{major},{minor}"), Bytes::new()),
            Kind::Fifo => ('p', String::new(), Bytes::new()),
        };
        let object = Object {
            kind,
            mode: inode.mode,
            owner: format!("{}:{}", name_of(&users, inode.uid), name_of(&groups, inode.gid)),
            target,
            first_name: first_name(&names_of[id]),
            xattrs: inode.xattrs.clone(),
            content,
        };
        side.insert(path.clone(), object);
    }
    side
}

/// The first of several names in byte order; a file with one name has no first one.
pub(crate) fn first_name(names: &[&String]) -> String {
    match names {
        [] | [_] => String::new(),
        _ => names.iter().min().map(|name| (*name).clone()).unwrap_or_default(),
    }
}
