//! Every file of a root, as the manifest lists it.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use computatom_compose::tree::{Inode, InodeId, Kind};
use computatom_spec::manifest::FileRecord;
use rayon::prelude::*;

use super::Root;
use super::owners::owners;
use crate::interrupt;
use crate::verify::Sha256;

/// Permissions that are not written down.
const USUAL: u32 = 0o644;

/// Everything in `root` that is no directory, by path; contents are hashed on all cores.
///
/// # Errors
///
/// Fails where a content cannot be read, or the person interrupts.
pub fn records(root: &dyn Root) -> Result<BTreeMap<String, FileRecord>> {
    let tree = root.tree();
    let owners = owners(root)?;
    let mut first: HashMap<InodeId, String> = HashMap::new();
    let mut entries = tree.walk("/")?;
    entries.retain(|(_, id)| !tree.inode(*id).is_dir());
    entries.sort();
    for (path, id) in &entries {
        first.entry(*id).or_insert_with(|| path.clone());
    }
    let regular: Vec<InodeId> = first.keys().copied().filter(|id| tree.inode(*id).is_file()).collect();
    let digests: HashMap<InodeId, String> = regular
        .into_par_iter()
        .map(|id| {
            interrupt::check()?;
            let sha256 = root.digest(id).with_context(|| format!("reading {}", first[&id]))?;
            Ok((id, digest(sha256)))
        })
        .collect::<Result<_>>()?;
    let records = entries.into_iter().map(|(path, id)| {
        let mut record = describe(tree.inode(id));
        if let Some(digest) = digests.get(&id) {
            record.digest.clone_from(digest);
            record.size = root.size(id);
        }
        if first[&id] != path {
            record.hardlink.clone_from(&first[&id]);
        }
        record.package = owners.get(&path).cloned().unwrap_or_default();
        (path, record)
    });
    Ok(records.collect())
}

/// What the manifest says of a file of a boot partition, which has no owner and no permissions.
pub fn content(bytes: &[u8]) -> FileRecord {
    FileRecord {
        digest: digest(Sha256::of(bytes)),
        size: bytes.len() as u64,
        ..FileRecord::default()
    }
}

fn digest(sha256: Sha256) -> String {
    format!("sha256:{sha256}")
}

fn describe(inode: &Inode) -> FileRecord {
    let mut record = FileRecord::default();
    match &inode.kind {
        Kind::Symlink(target) => record.symlink.clone_from(target),
        _ if inode.mode != USUAL => record.mode = format!("{:o}", inode.mode),
        _ => {}
    }
    if (inode.uid, inode.gid) != (0, 0) {
        record.owner = format!("{}:{}", inode.uid, inode.gid);
    }
    record
}

#[cfg(test)]
mod tests {
    use computatom_compose::tree::{Follow, Tree};

    use super::*;

    #[test]
    fn only_what_is_unusual_is_written_down() {
        let mut tree = Tree::new(1);
        tree.mkdir("/a", 0o700).unwrap();
        tree.write("/a/plain", "x", 0o644).unwrap();
        tree.write("/a/su", "xy", 0o4755).unwrap();
        tree.chown("/a/plain", Some(0), Some(42), Follow::No).unwrap();
        tree.link("/a/su", "/a/sudo").unwrap();
        tree.symlink("su", "/a/link").unwrap();
        let records = records(&tree).unwrap();
        let names: Vec<&str> = records.keys().map(String::as_str).collect();
        assert_eq!(names, ["/a/link", "/a/plain", "/a/su", "/a/sudo"]);
        let text = |path: &str| serde_json::to_string(&records[path]).unwrap();
        assert_eq!(text("/a/link"), r#"{"symlink":"su"}"#);
        let x = digest(Sha256::of(b"x"));
        assert_eq!(
            text("/a/plain"),
            format!(r#"{{"digest":"{x}","size":1,"owner":"0:42"}}"#)
        );
        assert_eq!(records["/a/su"].mode, "4755");
        assert_eq!(records["/a/su"].hardlink, "");
        assert_eq!(records["/a/sudo"].hardlink, "/a/su");
        assert_eq!(records["/a/sudo"].digest, records["/a/su"].digest);
    }
}
