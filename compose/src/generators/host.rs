//! Directories of the host as trees, for comparing generators with the helpers they replace.

use std::fs;
use std::path::Path;

use crate::tree::{Kind, Tree};

/// Copies what is below `directory` into `tree`.
pub(super) fn load(tree: &mut Tree, directory: &Path) {
    load_below(tree, directory, "");
}

fn load_below(tree: &mut Tree, directory: &Path, path: &str) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            let _ = tree.mkdir(&path, 0o755);
            load_below(tree, &entry.path(), &path);
        } else if kind.is_symlink() {
            tree.symlink(fs::read_link(entry.path()).unwrap().to_str().unwrap(), &path)
                .unwrap();
        } else if kind.is_file() {
            tree.write(&path, fs::read(entry.path()).unwrap(), 0o644).unwrap();
        }
    }
}

/// Every path with its type, the target of links and the size of files.
pub(super) fn listing(tree: &Tree) -> Vec<String> {
    let show = |(path, id): (String, _)| match &tree.inode(id).kind {
        Kind::Symlink(target) => format!("{path} -> {target}"),
        Kind::File(content) => format!("{path} {}", content.len()),
        _ => path,
    };
    tree.walk("/").unwrap().into_iter().map(show).collect()
}
