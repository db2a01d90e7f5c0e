use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use computatom_compose::tree::{InodeId, Kind};

use super::super::medium::Layout;
use super::super::testing::{EPOCH, from_tar, oracle, rootfs, sample};
use super::*;
use crate::verify::Sha256;

const OPTIONS: Options = Options { level: 3, epoch: EPOCH };

fn image(tree: &Tree, cache: Option<&Arc<BlockCache>>) -> (Vec<u8>, Written) {
    let (file, layout) = (tempfile::tempfile().unwrap(), Layout::new(1 << 30));
    let media: [&dyn Medium; 2] = [&layout, &file];
    let [(bytes, written), (same, _)] = media.map(|medium| {
        let written = write(&rootfs(tree), medium, 0, OPTIONS, cache, &|_| {}).unwrap();
        let mut bytes = vec![0; usize::try_from(written.bytes).unwrap()];
        medium.read_exact_at(&mut bytes, 0).unwrap();
        (bytes, written)
    });
    assert!(bytes == same);
    (bytes, written)
}

/// Extracts an image with unsquashfs and compares every inode with the tree. Needs root for owners and devices.
fn compare(tree: &Tree, image: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.squashfs");
    std::fs::write(&file, image).unwrap();
    let root = folder.path().join("root");
    oracle(
        Command::new("unsquashfs")
            .args(["-q", "-n", "-d"])
            .arg(&root)
            .arg(&file),
    );
    let mut inodes: HashMap<InodeId, u64> = HashMap::new();
    let entries = tree.walk("/").unwrap();
    for (path, id) in &entries {
        let inode = tree.inode(*id);
        let real = root.join(path.trim_start_matches('/'));
        let about = real
            .symlink_metadata()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        if !inode.is_symlink() {
            assert_eq!(about.mode() & 0o7777, inode.mode, "{path}");
        }
        assert_eq!((about.uid(), about.gid()), (inode.uid, inode.gid), "{path}");
        assert_eq!(about.mtime(), inode.mtime, "{path}");
        assert_eq!(
            *inodes.entry(*id).or_insert(about.ino()),
            about.ino(),
            "{path} is a hard link"
        );
        assert_eq!(xattrs(&real), inode.xattrs, "{path}");
        let device = |major: u32, minor: u32| {
            (rustix::fs::major(about.rdev()), rustix::fs::minor(about.rdev())) == (major, minor)
        };
        match &inode.kind {
            Kind::Dir(entries) => assert_eq!(std::fs::read_dir(&real).unwrap().count(), entries.len(), "{path}"),
            Kind::File(content) => assert!(std::fs::read(&real).unwrap() == *content, "{path} differs"),
            Kind::Symlink(target) => assert_eq!(std::fs::read_link(&real).unwrap(), Path::new(target)),
            Kind::Char { major, minor } => {
                assert!(about.file_type().is_char_device() && device(*major, *minor), "{path}");
            }
            Kind::Block { major, minor } => {
                assert!(about.file_type().is_block_device() && device(*major, *minor), "{path}");
            }
            Kind::Fifo => assert!(about.file_type().is_fifo(), "{path}"),
        }
    }
    let listed = oracle(Command::new("unsquashfs").args(["-l"]).arg(&file));
    assert_eq!(
        listed.lines().filter(|line| line.starts_with("squashfs-root/")).count(),
        entries.len()
    );
}

fn xattrs(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0_u8; 4096];
    let length = rustix::fs::llistxattr(path, names.as_mut_slice()).unwrap();
    names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = String::from_utf8(name.to_vec()).unwrap();
            let mut value = vec![0_u8; 4096];
            let length = rustix::fs::lgetxattr(path, name.as_str(), value.as_mut_slice()).unwrap();
            value.truncate(length);
            (name, value)
        })
        .collect()
}

#[test]
fn unsquashfs_reads_back_the_tree() {
    let tree = sample();
    let (bytes, written) = image(&tree, None);
    // The two large files are equal, the zeros are holes.
    assert!(written.bytes < 9_000_000, "{written:?}");
    compare(&tree, &bytes);
}

#[test]
fn the_bytes_do_not_depend_on_threads_or_offset() {
    let tree = sample();
    let (bytes, _) = image(&tree, None);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert!(pool.install(|| image(&tree, None)).0 == bytes);
    let file = tempfile::tempfile().unwrap();
    write(&rootfs(&tree), &file, 4 << 20, OPTIONS, None, &|_| {}).unwrap();
    let mut again = vec![0; bytes.len()];
    file.read_exact_at(&mut again, 4 << 20).unwrap();
    assert!(again == bytes);
}

#[test]
fn files_of_every_length_have_their_blocks() {
    const HALF: usize = BLOCK_SIZE / 2;
    const QUARTER: usize = BLOCK_SIZE / 4;
    let mut tree = Tree::new(EPOCH);
    let mut put = |blocks: usize, rest: usize| {
        let content: Vec<u8> = (0..blocks * BLOCK_SIZE + rest)
            .map(|at| u8::try_from((at / 3 + blocks + rest) % 251).unwrap())
            .collect();
        tree.write(&format!("/{blocks}-{rest}"), content, 0o644).unwrap();
    };
    for rest in [1, QUARTER, QUARTER + 1, HALF, HALF + 1, BLOCK_SIZE - 1] {
        for blocks in 0..3 {
            put(blocks, rest);
        }
    }
    put(1, 0);
    put(2, 0);
    // The short end of what is a hole but for it.
    let mut sparse = vec![0; 3 * BLOCK_SIZE];
    sparse.extend(b"end");
    tree.write("/sparse", sparse, 0o644).unwrap();
    tree.write("/zeros", vec![0; BLOCK_SIZE + 5], 0o644).unwrap();
    tree.write("/empty", "", 0o644).unwrap();
    let (bytes, _) = image(&tree, None);
    compare(&tree, &bytes);
}

#[test]
fn an_empty_tree_is_a_file_system() {
    let (bytes, written) = image(&Tree::new(EPOCH), None);
    assert_eq!(written.inodes, 1);
    compare(&Tree::new(EPOCH), &bytes);
}

#[test]
fn the_cache_gives_the_same_bytes_and_survives_damage() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sample();
    let open = || Arc::new(BlockCache::open(folder.path(), OPTIONS.level).unwrap());
    let (cold, first) = image(&tree, Some(&open()));
    let (warm, second) = image(&tree, Some(&open()));
    assert!(cold == warm && cold == image(&tree, None).0);
    assert_eq!(second.cached, second.blocks);
    assert!(first.cached < first.blocks);

    let of_kind = |kind: &str| {
        let found = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut found = found.filter(|path| path.extension().is_some_and(|extension| extension == kind));
        found.next().unwrap()
    };
    let path = of_kind("blocks");
    let pristine = std::fs::read(&path).unwrap();
    let mut rotten = pristine.clone();
    rotten[100] ^= 1;
    rotten.extend_from_slice(b"half a record");
    std::fs::write(&path, &rotten).unwrap();
    let (healed, third) = image(&tree, Some(&open()));
    assert!(healed == cold);
    assert!(third.cached < third.blocks);
    let (_, fourth) = image(&tree, Some(&open()));
    assert_eq!(fourth.cached, fourth.blocks);

    std::fs::write(&path, &pristine[..pristine.len() / 2]).unwrap();
    assert!(image(&tree, Some(&open())).0 == cold);
    assert_eq!(image(&tree, Some(&open())).1.cached, fourth.blocks);

    // Without its index, with a damaged one, and with that of another file that had its name.
    let index = of_kind("index");
    let whole = std::fs::read(&index).unwrap();
    let mut damaged = whole.clone();
    damaged[30] ^= 1;
    std::fs::write(&index, damaged).unwrap();
    assert_eq!(image(&tree, Some(&open())).1.cached, fourth.blocks);
    std::fs::remove_file(&index).unwrap();
    assert_eq!(image(&tree, Some(&open())).1.cached, fourth.blocks);
    std::fs::rename(&path, folder.path().join("other")).unwrap();
    std::fs::write(
        &path,
        vec![0; usize::try_from(path.with_file_name("other").metadata().unwrap().len()).unwrap()],
    )
    .unwrap();
    std::fs::write(&index, whole).unwrap();
    assert!(image(&tree, Some(&open())).0 == cold);
    assert_eq!(image(&tree, Some(&open())).1.cached, fourth.blocks);
}

#[test]
fn a_block_that_cannot_be_read_is_kept_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = BlockCache::open(folder.path(), 3).unwrap();
    let keys = [b"one", b"two"].map(|name| Sha256::of(name));
    let keep = || {
        for key in &keys {
            cache.put(key, b"a block", false).unwrap();
        }
        cache.flush().unwrap();
    };
    let found = || keys.map(|key| cache.get(&key, Vec::new()).is_some());
    keep();
    assert_eq!(found(), [true, true]);
    let files = std::fs::read_dir(folder.path()).unwrap();
    let mut files = files.map(|entry| entry.unwrap().path());
    let path = files.find(|path| path.extension().unwrap() == "blocks").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(path.metadata().unwrap().len() - 3).unwrap();
    assert_eq!(found(), [true, false]);
    keep();
    assert_eq!(found(), [true, true]);
}

#[test]
fn two_builds_share_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let tree = sample();
    let caches = [
        Arc::new(BlockCache::open(folder.path(), 3).unwrap()),
        Arc::new(BlockCache::open(folder.path(), 3).unwrap()),
    ];
    std::thread::scope(|scope| {
        let images: Vec<_> = caches
            .iter()
            .map(|cache| scope.spawn(|| image(&tree, Some(cache)).0))
            .collect();
        let images: Vec<_> = images.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(images[0] == images[1]);
    });
    let (_, written) = image(&tree, Some(&caches[0]));
    assert_eq!(written.cached, written.blocks);
}

#[test]
fn a_changed_small_file_leaves_most_blocks_in_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new(EPOCH);
    for number in 0_u32..4000 {
        let mut content = vec![0_u8; 3000];
        let mut state = number + 1;
        for byte in &mut content {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        tree.write(&format!("/{number:04}"), content, 0o644).unwrap();
    }
    let open = || Arc::new(BlockCache::open(folder.path(), OPTIONS.level).unwrap());
    image(&tree, Some(&open()));
    tree.write("/0100", "shorter", 0o644).unwrap();
    let (_, written) = image(&tree, Some(&open()));
    assert!(written.blocks - written.cached < 5, "{written:?}");
}

/// `COMPUTATOM_TREE=root.tar cargo test -p pkgbuilder squashfs -- --ignored --nocapture`: time and size of a real root.
#[test]
#[ignore = "needs a tar archive of a root file system"]
fn measure_a_real_root() {
    let tree = from_tar(Path::new(&std::env::var_os("COMPUTATOM_TREE").unwrap()));
    for level in [3, 6, 9, 12, 15] {
        let folder = tempfile::tempdir().unwrap();
        for run in ["cold", "warm"] {
            let start = std::time::Instant::now();
            let cache = Arc::new(BlockCache::open(folder.path(), level).unwrap());
            let file = tempfile::tempfile().unwrap();
            let options = Options { level, epoch: EPOCH };
            let written = write(&rootfs(&tree), &file, 0, options, Some(&cache), &|_| {}).unwrap();
            println!("level {level} {run}: {:?} {written:?}", start.elapsed());
            if run == "warm" && level == 3 {
                let mut bytes = vec![0; usize::try_from(written.bytes).unwrap()];
                file.read_exact_at(&mut bytes, 0).unwrap();
                compare(&tree, &bytes);
            }
        }
    }
}
