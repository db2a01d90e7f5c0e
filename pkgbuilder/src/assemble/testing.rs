//! Trees for the tests of this stage.

mod files;
mod job;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use computatom_compose::tree::{Inode, Kind, Tree};

use self::files::module;
pub(crate) use self::files::{device_tree, efi_program, program};
pub(crate) use self::job::{build, build_image, image, lock, manifest, packages};
use crate::compose::{Digests, Reading, Rootfs};

/// Time of everything in [`sample`].
pub(crate) const EPOCH: i64 = 1_700_000_000;

/// A tree whose digests are yet to be taken.
pub(crate) fn rootfs(tree: &Tree) -> Rootfs {
    Rootfs {
        tree: tree.clone(),
        digests: Digests::default(),
        reading: Reading::default(),
    }
}

/// A small tree with one of everything a file system can hold.
pub(crate) fn sample() -> Tree {
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
pub(crate) fn oracle(command: &mut Command) -> String {
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

/// [`sample`] with kernel, modules, firmware and `/init`, all of the right shape and none that would run.
pub(crate) fn with_kernel() -> Tree {
    let release = "6.12.10+deb13-arm64";
    let mut tree = sample();
    let put = |tree: &mut Tree, path: &str, content: &[u8]| {
        tree.mkdir_all(path.rsplit_once('/').unwrap().0, 0o755).unwrap();
        tree.write(path, content.to_vec(), 0o755).unwrap();
    };
    put(&mut tree, computatom_spec::paths::INIT, b"\x7fELF init");
    let mut kernel = vec![7; 100_000];
    kernel[56..60].copy_from_slice(b"ARMd");
    put(&mut tree, &format!("/boot/vmlinuz-{release}"), &kernel);
    put(&mut tree, "/boot/vmlinuz-6.12.9+deb13-arm64", b"has no modules");
    for name in [
        "bootcode.bin",
        "start.elf",
        "start4.elf",
        "start_cd.elf",
        "fixup.dat",
        "fixup4.dat",
        "LICENCE",
    ] {
        let content = if Path::new(name).extension().is_some_and(|extension| extension == "elf") {
            program(name)
        } else {
            name.into()
        };
        put(&mut tree, &format!("/usr/lib/raspi-firmware/{name}"), &content);
    }
    for name in [
        "bcm2837-rpi-3-b.dtb",
        "bcm2837-rpi-3-b-plus.dtb",
        "bcm2837-rpi-zero-2-w.dtb",
        "bcm2711-rpi-4-b.dtb",
        "notes.txt",
    ] {
        let content = device_tree(&[
            "/aliases",
            "/soc",
            "/soc/gpio@7e200000",
            "/soc/i2c@7e804000",
            "/soc/spi@7e204000",
        ]);
        put(
            &mut tree,
            &format!("/usr/lib/linux-image-{release}/broadcom/{name}"),
            &content,
        );
    }
    let folder = format!("/usr/lib/modules/{release}");
    put(
        &mut tree,
        &format!("{folder}/modules.builtin"),
        b"kernel/drivers/mmc/core/mmc_block.ko\n",
    );
    for (path, depends) in [
        ("drivers/mmc/host/sdhci", ""),
        ("drivers/mmc/host/sdhci-pltfm", "sdhci"),
        ("drivers/mmc/host/sdhci-iproc", "sdhci-pltfm,sdhci"),
        ("drivers/regulator/fixed", ""),
        ("drivers/mmc/host/bcm2835", ""),
        ("drivers/regulator/gpio-regulator", ""),
        ("arch/arm64/crypto/sha256-arm64", ""),
        ("arch/arm64/crypto/sha2-ce", "sha256-arm64"),
        ("drivers/md/dm-mod", ""),
        ("drivers/md/dm-verity", "dm-mod"),
        ("crypto/crc32c_generic", ""),
        ("lib/crc16", ""),
        ("fs/ext4/ext4", "crc16"),
        ("fs/squashfs/squashfs", ""),
        ("fs/overlayfs/overlay", ""),
    ] {
        put(&mut tree, &format!("{folder}/kernel/{path}.ko.xz"), &module(depends));
    }
    tree
}
