//! The real root: made by mmdebstrap, read from its tar.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use computatom_compose::deb::{EntryKind, data};

use crate::compare::{Object, Side, first_name, name_of, names};

/// Where apt keeps the packages it installed.
const ARCHIVES: &str = "/var/cache/apt/archives/";

/// A root that the real tools made.
pub(crate) struct Root {
    pub(crate) side: Side,
    /// The very packages it was made of.
    pub(crate) debs: Vec<Bytes>,
    /// Names of those that came as dependencies.
    pub(crate) automatic: Vec<String>,
}

/// Installs `packages` into an empty amd64 root; the path of its tar, in `dir`.
pub(crate) fn root_tar(packages: &[&str], epoch: i64, dir: &Path) -> PathBuf {
    if let Some(tar) = std::env::var_os("COMPUTATOM_ORACLE_ROOT") {
        return tar.into();
    }
    let sources = dir.join("oracle.list");
    std::fs::write(&sources, sources_of_host()).expect("writing the sources");
    let tar = dir.join("real.tar");
    let output = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--architectures=amd64", "--format=tar"])
        .arg(format!("--include={}", packages.join(",")))
        // Keep the packages, and everything as dpkg left it.
        .arg("--skip=essential/unlink,cleanup/apt,cleanup/reproducible,cleanup/mmdebstrap,download/empty")
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .arg("--aptopt=APT::Keep-Downloaded-Packages \"true\"")
        .arg("--aptopt=Acquire::Languages \"none\"")
        .arg("trixie")
        .arg(&tar)
        .arg(&sources)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .output()
        .expect("running mmdebstrap (apt-get install mmdebstrap)");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Its many lines of what goes well would hide them where a log is cut.
    let errors: String = said
        .lines()
        .filter(|line| ["E:", "Err:", "dpkg:"].iter().any(|error| line.starts_with(error)))
        .fold(String::new(), |errors, line| errors + line + "\n");
    assert!(
        output.status.success(),
        "mmdebstrap failed:\n{errors}All that it said:\n{said}"
    );
    tar
}

/// Trixie's sources on the mirrors of the host's sources, those that Debian's keyring signs.
fn sources_of_host() -> String {
    let mut mirrors: Vec<(String, bool)> = Vec::new();
    let mut add = |uri: &str, suites: &str| {
        let mirror = (uri.trim_end_matches('/').to_owned(), suites.contains("-security"));
        if !mirrors.iter().any(|known| known.1 == mirror.1) {
            mirrors.push(mirror);
        }
    };
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        if file.extension().is_some_and(|extension| extension == "sources") {
            for stanza in computatom_compose::deb::Stanza::parse_all(&text).unwrap_or_default() {
                let field = |name: &str| stanza.get(name).unwrap_or_default();
                if field("Signed-By").contains("debian-archive-keyring") && field("Types").contains("deb") {
                    add(field("URIs"), field("Suites"));
                }
            }
        } else {
            for line in text.lines().filter(|line| line.starts_with("deb ")) {
                let words: Vec<&str> = line.split_whitespace().filter(|word| !word.starts_with('[')).collect();
                if let [_, uri, suite, ..] = words[..]
                    && ["bookworm", "trixie", "stable"]
                        .iter()
                        .any(|name| suite.starts_with(name))
                {
                    add(uri, suite);
                }
            }
        }
    }
    assert!(!mirrors.is_empty(), "the host's apt sources name no Debian mirror");
    let mut text = String::new();
    for (uri, security) in mirrors {
        for suite in if security {
            &["trixie-security"][..]
        } else {
            &["trixie", "trixie-updates"]
        } {
            let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
            let _ = writeln!(text, "deb [signed-by={keyring}] {uri} {suite} main non-free-firmware");
        }
    }
    text
}

impl Root {
    /// Reads the tar of a root.
    pub(crate) fn read(tar: &Bytes) -> Self {
        let entries = data::entries(tar).expect("reading the tar of the real root");
        let content = |path: &str| {
            let entry = entries
                .iter()
                .find(|entry| entry.path == path)
                .expect("a file of the real root");
            match &entry.kind {
                EntryKind::File(content) => String::from_utf8_lossy(content).into_owned(),
                _ => String::new(),
            }
        };
        let (users, groups) = (names(&content("/etc/passwd")), names(&content("/etc/group")));
        let states = content("/var/lib/apt/extended_states");
        let mut side = Side::new();
        let mut debs = Vec::new();
        let mut names_of: HashMap<&str, Vec<&String>> = HashMap::new();
        for entry in &entries {
            let (kind, target, content) = match &entry.kind {
                EntryKind::File(content) if is_package(&entry.path) => {
                    debs.push(content.clone());
                    continue;
                }
                EntryKind::Hardlink(first) => {
                    let object = side[first].clone();
                    side.insert(entry.path.clone(), object);
                    names_of.entry(first).or_insert_with(|| vec![first]).push(&entry.path);
                    continue;
                }
                EntryKind::Dir => ('d', String::new(), Bytes::new()),
                EntryKind::File(content) => ('f', String::new(), content.clone()),
                EntryKind::Symlink(target) => ('l', target.clone(), Bytes::new()),
                EntryKind::Char { major, minor } => ('c', format!("{major},{minor}"), Bytes::new()),
                EntryKind::Block { major, minor } => ('b', format!("{major},{minor}"), Bytes::new()),
                EntryKind::Fifo => ('p', String::new(), Bytes::new()),
            };
            let object = Object {
                kind,
                mode: entry.mode,
                owner: format!("{}:{}", name_of(&users, entry.uid), name_of(&groups, entry.gid)),
                target,
                first_name: String::new(),
                xattrs: entry.xattrs.clone(),
                content,
            };
            if entry.path != "/" {
                side.insert(entry.path.clone(), object);
            }
        }
        for names in names_of.values() {
            for name in names {
                side.get_mut(*name).expect("it was inserted above").first_name = first_name(names);
            }
        }
        let automatic = states
            .lines()
            .filter_map(|line| line.strip_prefix("Package: "))
            .map(str::to_owned);
        Self {
            side,
            debs,
            automatic: automatic.collect(),
        }
    }
}

/// Whether apt has put a package there.
fn is_package(path: &str) -> bool {
    path.starts_with(ARCHIVES) && Path::new(path).extension().is_some_and(|extension| extension == "deb")
}
