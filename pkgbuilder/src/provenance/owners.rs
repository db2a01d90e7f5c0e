//! Which package a path is of, and which section a package, as dpkg's database in the root says.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use computatom_compose::deb::Stanza;
use computatom_compose::dpkg::diversions::Diversions;
use computatom_compose::tree::Tree;
use computatom_spec::paths;

use super::{Root, text};

/// The package of each path, the path as it is in the tree (`/usr/bin/sh`, though a package ships `/bin/sh`).
///
/// # Errors
///
/// Fails where the database cannot be read.
pub(super) fn owners(root: &dyn Root) -> Result<HashMap<String, String>> {
    let tree = root.tree();
    let diversions = text(root, &format!("{}/diversions", paths::DPKG))?.unwrap_or_default();
    let diversions = Diversions::parse(&diversions);
    let mut owners = HashMap::new();
    let info = format!("{}/info", paths::DPKG);
    for (name, id) in tree.read_dir(&info).unwrap_or_default() {
        let Some(package) = name.strip_suffix(".list") else {
            continue;
        };
        // `libc6:arm64` where several architectures may be there at once.
        let package = package.split_once(':').map_or(package, |(name, _)| name);
        let list = root.content(id)?;
        for line in String::from_utf8_lossy(&list).lines() {
            let path = match diversions.of(line) {
                Some(diversion) if diversion.package != package => &diversion.to,
                _ => line,
            };
            if let Some(path) = place(tree, path) {
                owners.insert(path, package.to_owned());
            }
        }
    }
    Ok(owners)
}

/// The path without links above its last name; nothing for directories, which many packages ship, and for what is not
/// there.
fn place(tree: &Tree, path: &str) -> Option<String> {
    if !path.starts_with('/') || tree.lstat(path).ok()?.is_dir() {
        return None;
    }
    tree.canonical_parent(path).ok()
}

/// `Section` of each installed package; those that have none are left out.
///
/// # Errors
///
/// Fails where the database cannot be read.
pub(super) fn sections(root: &dyn Root) -> Result<BTreeMap<String, String>> {
    let mut status = None;
    // As dpkg left it, and where a finished image has it.
    for path in ["/var/lib/dpkg/status".to_owned(), format!("{}/status", paths::DPKG)] {
        status = status.or(text(root, &path)?);
    }
    let stanzas = Stanza::parse_all(&status.unwrap_or_default())?;
    let pair = |stanza: &Stanza| Some((stanza.get("Package")?.to_owned(), stanza.get("Section")?.to_owned()));
    Ok(stanzas.iter().filter_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_merged_into_usr_and_what_was_diverted_is_found() {
        let mut tree = Tree::new(1);
        tree.mkdir_all("/usr/bin", 0o755).unwrap();
        tree.symlink("usr/bin", "/bin").unwrap();
        let info = format!("{}/info", paths::DPKG);
        tree.mkdir_all(&info, 0o755).unwrap();
        for path in ["/usr/bin/sh", "/usr/bin/tool", "/usr/bin/tool.real", "/usr/bin/made"] {
            tree.write(path, "x", 0o755).unwrap();
        }
        let list = |tree: &mut Tree, name: &str, text: &str| {
            tree.write(&format!("{info}/{name}.list"), text.to_owned(), 0o644)
                .unwrap();
        };
        list(&mut tree, "dash", "/.\n/bin\n/bin/sh\n/bin/gone\n");
        list(&mut tree, "tool:arm64", "/usr/bin/tool\n");
        list(&mut tree, "wrapper", "/usr/bin/tool\n");
        let diversions = "/usr/bin/tool\n/usr/bin/tool.real\nwrapper\n";
        tree.write(&format!("{}/diversions", paths::DPKG), diversions, 0o644)
            .unwrap();
        tree.write(
            &format!("{}/status", paths::DPKG),
            "Package: dash\nSection: shells\nVersion: 1\n\nPackage: tool\nVersion: 1\n",
            0o644,
        )
        .unwrap();

        let owners = owners(&tree).unwrap();
        let owner = |path: &str| owners.get(path).map(String::as_str);
        assert_eq!(owner("/usr/bin/sh"), Some("dash"));
        assert_eq!(owner("/usr/bin/tool.real"), Some("tool"));
        assert_eq!(owner("/usr/bin/tool"), Some("wrapper"));
        assert_eq!(owner("/usr/bin/made"), None);
        assert_eq!(owner("/bin"), Some("dash"), "a link");
        assert_eq!(owners.len(), 4);
        assert_eq!(
            sections(&tree).unwrap(),
            BTreeMap::from([("dash".to_owned(), "shells".to_owned())])
        );
    }
}
