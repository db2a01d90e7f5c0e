//! Trees for the tests of this stage.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use computatom_compose::tree::{Inode, Kind, Tree};
use computatom_spec::manifest::{FORMAT, Manifest, PackageRecord};

use super::{DiskImage, Job, assemble};
use crate::compose::{Digests, Reading, Rootfs};
use crate::definition::format::Format;
use crate::definition::image::{Debian, Image, Partitions, Target, Units};
use crate::fetch::cache::Cache;
use crate::reporter::Reporter;

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

/// A program of the right shape for UEFI, with one section of data and room for the headers of more.
pub(crate) fn efi_program(data: usize) -> Vec<u8> {
    let (pe, headers) = (0x80, 0x400);
    let mut program = vec![0; headers];
    let mut put = |at: usize, bytes: &[u8]| program[at..at + bytes.len()].copy_from_slice(bytes);
    let word = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let stored = data.next_multiple_of(512);
    put(0, b"MZ");
    put(0x3c, &word(pe));
    put(pe, b"PE\0\0\x64\x86\x01\0");
    // The optional header: 240 bytes, with sixteen data directories.
    put(pe + 20, &[240, 0, 0x22, 0]);
    let optional = pe + 24;
    put(optional, &[0x0b, 0x02]);
    for (at, value) in [
        (8, stored),
        (32, 0x1000),
        (36, 512),
        (56, 0x1000 + data.next_multiple_of(0x1000)),
        (60, headers),
        (108, 16),
    ] {
        put(optional + at, &word(value));
    }
    // UEFI application.
    put(optional + 68, &[10, 0]);
    let section = optional + 240;
    put(section, b".data");
    for (at, value) in [(8, data), (12, 0x1000), (16, stored), (20, headers), (36, 0x4000_0040)] {
        put(section + at, &word(value));
    }
    program.extend(vec![0xa5; data]);
    program.resize(headers + stored, 0);
    program
}

/// A kernel module of nothing but its `.modinfo`.
fn module(depends: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder
        .write_all(format!("\x7fELF\0license=GPL\0depends={depends}\0name=x\0").as_bytes())
        .unwrap();
    encoder.finish().unwrap()
}

/// A program of one segment, as firmware is: its header, the header of the segment, and `content`.
pub(crate) fn program(content: &str) -> Vec<u8> {
    let mut program = vec![0; 84];
    program[..4].copy_from_slice(b"\x7fELF");
    program[28] = 52;
    program[42] = 32;
    program[44] = 1;
    program[52 + 4] = 84;
    program[52 + 16] = u8::try_from(content.len()).unwrap();
    program.extend_from_slice(content.as_bytes());
    program
}

/// A device tree of these nodes, each after its parent, and nothing else.
pub(crate) fn device_tree(nodes: &[&str]) -> Vec<u8> {
    let mut tree = dtoolkit::model::DeviceTree::new();
    for path in nodes {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = tree
            .find_node_mut(if parent.is_empty() { "/" } else { parent })
            .unwrap();
        parent.add_child(dtoolkit::model::DeviceTreeNode::new(name).unwrap());
    }
    tree.to_dtb()
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

/// A lock that pins nothing but what every build needs.
pub(crate) fn lock() -> crate::resolve::Lock {
    crate::resolve::Lock {
        format: 1,
        image: "test".to_owned(),
        epoch: EPOCH,
        disk_signature: "c0de0042".to_owned(),
        components: BTreeMap::new(),
        debian: BTreeMap::new(),
        request: BTreeMap::new(),
    }
}

/// A definition that asks for little.
pub(crate) fn image() -> Image {
    Image {
        name: "test".to_owned(),
        description: "an image for tests".to_owned(),
        targets: vec![Target {
            name: "raspberrypi-arm64".to_owned(),
            arch: computatom_spec::arch::Arch::Arm64,
            packages: Vec::new(),
            formats: Vec::new(),
        }],
        roles: vec![computatom_spec::role::Role::Client],
        debian: Debian {
            suites: Vec::new(),
            components: Vec::new(),
            packages: Vec::new(),
            prefer: Vec::new(),
            avoid: Vec::new(),
            recommends: false,
            sources: BTreeMap::new(),
            pins: Vec::new(),
        },
        components: Vec::new(),
        exclude: Vec::new(),
        files: Vec::new(),
        units: Units::default(),
        partitions: Partitions {
            bootsel_mib: 8,
            boot_mib: 8,
            root_mib: 16,
        },
        disk_gib: 16,
        cmdline: Vec::new(),
        site: computatom_spec::site::Site::default(),
    }
}

/// The manifest of [`image`] with two packages.
pub(crate) fn manifest(image: &Image) -> Manifest {
    Manifest {
        format: FORMAT,
        image: image.name.clone(),
        target: image.targets[0].name.clone(),
        tool: "0".to_owned(),
        epoch: EPOCH,
        definition: serde_json::to_value(image).unwrap(),
        packages: packages(),
        files: BTreeMap::new(),
        volumes: BTreeMap::new(),
    }
}

/// Makes the image of a tree for a target, in `folder`/out, the uncompressed one beside the other.
pub(crate) fn build(tree: &Tree, target: &str, folder: &Path) -> anyhow::Result<DiskImage> {
    let mut image = image();
    target.clone_into(&mut image.targets[0].name);
    let job = Job {
        image: &image,
        target: &image.targets[0],
        lock: &lock(),
        packages: &packages(),
        out: &folder.join("out"),
        cache: &Cache::at(&folder.join("cache"))?,
        level: 3,
        formats: &[Format::Img, Format::Zst],
    };
    assemble(rootfs(tree), &job, &Reporter::new(true))
}

/// Two packages, one from the archive and one of our own.
pub(crate) fn packages() -> Vec<PackageRecord> {
    let record = |name: &str, version: &str, source: &str, origin: &str| PackageRecord {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: "arm64".to_owned(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        source: source.to_owned(),
        origin: origin.to_owned(),
        verified: "pinned SHA-256".to_owned(),
        ..PackageRecord::default()
    };
    vec![
        record(
            "libc6",
            "2:2.41-12+deb13u1",
            "debian",
            "pool/main/g/glibc/libc6_2.41-12+deb13u1_arm64.deb",
        ),
        record(
            "nomad",
            "1.10.5-1",
            "go-module",
            "github.com/hashicorp/nomad@v1.10.5 go1.24",
        ),
    ]
}
