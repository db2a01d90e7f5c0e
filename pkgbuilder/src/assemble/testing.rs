//! Trees for the tests of this stage.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use computatom_compose::tree::{Inode, Kind, Tree};

/// Time of everything in [`sample`].
pub(super) const EPOCH: i64 = 1_700_000_000;

/// A small tree with one of everything a file system can hold.
pub(super) fn sample() -> Tree {
    let mut tree = Tree::new(EPOCH);
    tree.mkdir_all("/usr/bin", 0o755).unwrap();
    tree.write("/usr/bin/ping", vec![7_u8; 3000], 0o755).unwrap();
    let ping = tree
        .lookup("/usr/bin/ping", computatom_compose::tree::Follow::No)
        .unwrap();
    // cap_net_raw=ep, as setcap(8) stores it (VFS_CAP_REVISION_2).
    let mut capability = vec![1, 0, 0, 2, 0, 32];
    capability.resize(20, 0);
    tree.inode_mut(ping)
        .xattrs
        .insert("security.capability".to_owned(), capability);
    tree.link("/usr/bin/ping", "/usr/bin/ping4").unwrap();
    tree.symlink("usr/bin", "/bin").unwrap();
    tree.mkdir("/dev", 0o755).unwrap();
    tree.create("/dev/null", Inode::new(Kind::Char { major: 1, minor: 3 }, 0o666, EPOCH))
        .unwrap();
    tree.create(
        "/dev/sdzz9",
        Inode::new(
            Kind::Block {
                major: 259,
                minor: 70_000,
            },
            0o660,
            EPOCH,
        ),
    )
    .unwrap();
    tree.create("/dev/initctl", Inode::new(Kind::Fifo, 0o600, EPOCH))
        .unwrap();
    tree.mkdir("/tmp", 0o1777).unwrap();
    tree.mkdir("/many", 0o755).unwrap();
    for number in 0..3000 {
        tree.write(
            &format!("/many/file-{number:04}"),
            format!("content {}", number % 1000),
            0o644,
        )
        .unwrap();
    }
    tree.write("/empty", "", 0o644).unwrap();
    let mut large: Vec<u8> = (0..1_000_000_u32)
        .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    tree.write("/large", large.clone(), 0o600).unwrap();
    tree.write("/copy", large.clone(), 0o4755).unwrap();
    large[300_000..2_000_000].fill(0);
    tree.write("/holes", large, 0o644).unwrap();
    tree.write("/zeros", vec![0_u8; 5 << 20], 0o644).unwrap();
    tree.chown("/large", Some(1000), Some(70_000), computatom_compose::tree::Follow::No)
        .unwrap();
    tree
}

/// A tree from a tar archive, as mmdebstrap makes them.
pub(super) fn from_tar(path: &Path) -> Tree {
    let mut tree = Tree::new(EPOCH);
    let mut archive = tar::Archive::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = format!("/{}", entry.path().unwrap().display()).replace("/./", "/");
        let path = path.trim_end_matches('/').to_owned();
        let mut xattrs = BTreeMap::new();
        for extension in entry.pax_extensions().unwrap().into_iter().flatten() {
            let extension = extension.unwrap();
            if let Some(name) = extension.key().unwrap().strip_prefix("SCHILY.xattr.") {
                xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
            }
        }
        let header = entry.header().clone();
        let link = entry.link_name().unwrap().map(|link| link.display().to_string());
        let kind = match header.entry_type() {
            tar::EntryType::Directory => Kind::Dir(BTreeMap::new()),
            tar::EntryType::Symlink => Kind::Symlink(link.unwrap()),
            tar::EntryType::Link => {
                tree.link(&format!("/{}", link.unwrap().trim_start_matches("./")), &path)
                    .unwrap();
                continue;
            }
            tar::EntryType::Char => Kind::Char {
                major: header.device_major().unwrap().unwrap(),
                minor: header.device_minor().unwrap().unwrap(),
            },
            _ => {
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                Kind::File(content.into())
            }
        };
        if path.is_empty() || path == "/." {
            continue;
        }
        let mut inode = Inode::new(
            kind,
            header.mode().unwrap(),
            i64::try_from(header.mtime().unwrap()).unwrap(),
        );
        inode.uid = u32::try_from(header.uid().unwrap()).unwrap();
        inode.gid = u32::try_from(header.gid().unwrap()).unwrap();
        inode.xattrs = xattrs;
        tree.create(&path, inode).unwrap();
    }
    tree
}

/// Runs a tool that judges our bytes and returns what it printed; fails the test if the tool does.
pub(super) fn oracle(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{text}",
        output.status
    );
    text
}
