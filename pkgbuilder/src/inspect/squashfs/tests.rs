use std::io::Write as _;

use computatom_compose::tree::{Follow, Kind};
use proptest::prelude::*;

use super::*;
use crate::assemble::squashfs::{self, Options};
use crate::assemble::testing::{EPOCH, rootfs, sample};
use crate::provenance;

/// A file with `tree` as a squashfs behind `offset` bytes.
fn written(tree: &Tree, offset: u64) -> File {
    let file = tempfile::tempfile().unwrap();
    let options = Options { level: 3, epoch: EPOCH };
    squashfs::write(&rootfs(tree), &file, offset, options, None, &|_| {}).unwrap();
    file
}

#[test]
fn what_was_written_is_read_back() {
    let tree = sample();
    let read = FileSystem::open(written(&tree, 4096), 4096).unwrap();
    let paths = |tree: &Tree| -> Vec<String> {
        let mut paths: Vec<String> = tree.walk("/").unwrap().into_iter().map(|(path, _)| path).collect();
        paths.sort();
        paths
    };
    assert_eq!(paths(read.tree()), paths(&tree));
    assert_eq!(provenance::records(&read).unwrap(), provenance::records(&tree).unwrap());
    for (path, id) in tree.walk("/").unwrap() {
        let inode = tree.inode(id);
        let found = read.tree().inode(read.tree().lookup(&path, Follow::No).unwrap());
        let about = |inode: &computatom_compose::tree::Inode| (inode.mode, inode.uid, inode.gid, inode.mtime);
        assert_eq!(about(found), about(inode), "{path}");
        match (&found.kind, &inode.kind) {
            (Kind::File(_), Kind::File(_)) => {}
            (found, Kind::Dir(_)) => assert!(matches!(found, Kind::Dir(_)), "{path}"),
            (found, inode) => assert_eq!(format!("{found:?}"), format!("{inode:?}"), "{path}"),
        }
    }
}

#[test]
fn what_is_stored_adds_up() {
    let tree = sample();
    let read = FileSystem::open(written(&tree, 0), 0).unwrap();
    let stored = read.stored();
    let of = |path: &str| {
        let id = read.tree().lookup(path, Follow::No).unwrap();
        stored[&id]
    };
    let total: u64 = stored.values().sum();
    assert!(
        total <= read.used() && total > read.used() / 2,
        "{total} of {}",
        read.used()
    );
    assert_eq!(of("/zeros"), 0);
    assert_eq!(of("/empty"), 0);
    // Equal contents are stored once.
    assert!(of("/copy") > 0);
    assert_eq!(of("/large"), 0);
    let many =
        |range: std::ops::Range<u32>| -> u64 { range.map(|number| of(&format!("/many/file-{number:04}"))).sum() };
    assert!(many(0..1000) > 0);
    assert_eq!(many(1000..3000), 0);
}

#[test]
fn other_compressions_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "x").unwrap();
    let image = folder.path().join("image");
    crate::assemble::testing::oracle(
        std::process::Command::new("mksquashfs")
            .arg(folder.path().join("a"))
            .arg(&image)
            .args(["-comp", "gzip", "-quiet", "-no-progress"]),
    );
    let error = FileSystem::open(File::open(&image).unwrap(), 0).unwrap_err();
    assert!(format!("{error:#}").contains("compressed by method 1"), "{error:#}");
}

#[test]
fn mksquashfs_is_understood_too() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::write(root.join("a/b/large"), vec![9; 300_000]).unwrap();
    std::fs::write(root.join("a/small"), "small").unwrap();
    std::os::unix::fs::symlink("b", root.join("a/link")).unwrap();
    let image = folder.path().join("image");
    crate::assemble::testing::oracle(std::process::Command::new("mksquashfs").arg(&root).arg(&image).args([
        "-comp",
        "zstd",
        "-quiet",
        "-no-progress",
    ]));
    let read = FileSystem::open(File::open(&image).unwrap(), 0).unwrap();
    let content = |path: &str| read.content(read.tree().lookup(path, Follow::Yes).unwrap()).unwrap();
    assert!(content("/a/link/large") == vec![9; 300_000]);
    assert_eq!(content("/a/small"), "small");
}

/// A small file system in memory, to be damaged.
fn small() -> Vec<u8> {
    use std::io::{Read as _, Seek as _};
    let mut tree = Tree::new(EPOCH);
    tree.mkdir_all("/usr/share/doc", 0o755).unwrap();
    tree.write("/usr/share/doc/a", "a small file", 0o644).unwrap();
    tree.write("/usr/share/b", vec![b'x'; 200_000], 0o644).unwrap();
    tree.symlink("share", "/usr/link").unwrap();
    tree.link("/usr/share/doc/a", "/usr/hard").unwrap();
    let mut file = written(&tree, 0);
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn damage_is_an_error_or_another_tree_and_never_a_panic(
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = small();
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        if cut {
            bytes.truncate(keep.index(bytes.len()));
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        if let Ok(read) = FileSystem::open(file, 0) {
            let _ = read.stored();
            let _ = provenance::records(&read);
        }
    }
}
