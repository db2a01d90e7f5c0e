use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::World;

/// What the definition of such a world asks for, beside its components.
const DEFINITION: [(&str, &str); 3] = [
    (
        "debian+",
        "{ packages: ['app', 'linux', 'bulk'], prefer: [], avoid: [] }",
    ),
    ("units", "{ enable: [], disable: [], mask: [] }"),
    ("partitions", "{ bootsel_mib: 8, boot_mib: 64, root_mib: 64 }"),
];

/// How the files of its image are called.
pub(crate) const STEM: &str = "tiny-raspberrypi-arm64";

/// A world with all that an image is made of, of the right shape and nothing that would run; `bulk` has `bulk_mib` MiB
/// that do not compress, so that writing them takes a while, and a script of that many rounds.
pub(crate) fn world(bulk_mib: usize, rounds: usize) -> World {
    let mut world = World::new();
    let linux = linux("6.12.10+deb13-arm64", &TREES);
    world.archive.add_files("trixie", "linux", "6.12-1", "", &linux);
    world
        .archive
        .add_files("trixie", "bulk", "1.0", "", &bulk(bulk_mib, rounds));
    world.archive.publish();
    world.define(&DEFINITION);
    world
}

/// The same definition with changes.
pub(crate) fn define(world: &World, changes: &[(&'static str, &'static str)]) {
    world.define(&[&DEFINITION, changes].concat());
}

/// A kernel module of nothing but its `.modinfo`.
fn module(depends: &str) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder
        .write_all(format!("\x7fELF\0license=GPL\0depends={depends}\0name=x\0").as_bytes())
        .unwrap();
    encoder.finish().unwrap()
}

/// The boards that Debian's kernel knows.
const TREES: [&str; 4] = [
    "bcm2837-rpi-3-b.dtb",
    "bcm2837-rpi-3-b-plus.dtb",
    "bcm2837-rpi-zero-2-w.dtb",
    "bcm2711-rpi-4-b.dtb",
];

/// Kernel, modules, device trees of these names, firmware and `/init`.
pub(crate) fn linux(release: &str, trees: &[&str]) -> Vec<(String, u32, Vec<u8>)> {
    // The magic number of a 64-bit Arm kernel (Documentation/arch/arm64/booting.rst).
    let mut kernel = vec![7; 100_000];
    kernel[56..60].copy_from_slice(b"ARMd");
    let mut files = vec![
        (computatom_spec::paths::INIT.to_owned(), b"\x7fELF init".to_vec()),
        (format!("/boot/vmlinuz-{release}"), kernel),
        (
            format!("/usr/lib/modules/{release}/modules.builtin"),
            b"kernel/drivers/mmc/core/mmc_block.ko\nkernel/drivers/mmc/host/sdhci-brcmstb.ko\n".to_vec(),
        ),
    ];
    for name in ["bootcode.bin", "start.elf", "start4.elf", "fixup.dat", "fixup4.dat"] {
        // An ELF header that tells of no segments: a whole program to the firmware.
        let mut content = b"\x7fELF".to_vec();
        content.resize(52, 0);
        files.push((format!("/usr/lib/raspi-firmware/{name}"), content));
    }
    for name in trees {
        let content = dtoolkit::model::DeviceTree::new().to_dtb();
        files.push((format!("/usr/lib/linux-image-{release}/broadcom/{name}"), content));
    }
    for (path, depends) in [
        ("drivers/mmc/host/sdhci", ""),
        ("drivers/mmc/host/sdhci-pltfm", "sdhci"),
        ("drivers/mmc/host/sdhci-iproc", "sdhci-pltfm,sdhci"),
        ("drivers/regulator/fixed", ""),
        ("drivers/mmc/host/bcm2835", ""),
        ("drivers/regulator/gpio-regulator", ""),
        ("drivers/md/dm-mod", ""),
        ("arch/arm64/crypto/sha256-arm64", ""),
        ("arch/arm64/crypto/sha2-ce", "sha256-arm64"),
        ("drivers/md/dm-verity", "dm-mod"),
        ("crypto/crc32c_generic", ""),
        ("lib/crc16", ""),
        ("fs/ext4/ext4", "crc16"),
        ("fs/squashfs/squashfs", ""),
        ("fs/overlayfs/overlay", ""),
    ] {
        let path = format!("/usr/lib/modules/{release}/kernel/{path}.ko.xz");
        files.push((path, module(depends)));
    }
    let files = files.into_iter();
    files
        .map(|(path, content)| (path.trim_start_matches('/').to_owned(), 0o644, content))
        .collect()
}

fn bulk(mib: usize, rounds: usize) -> Vec<(String, u32, Vec<u8>)> {
    let mut word = 88_172_645_463_325_252_u64;
    let content = (0..mib << 17).flat_map(|_| {
        // xorshift64 (Marsaglia, "Xorshift RNGs"): nothing that a compressor can use.
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word.to_le_bytes()
    });
    let script = format!("#!/bin/sh\nset -e\ni=0\nwhile [ $i -lt {rounds} ]; do i=$((i + 1)); done\n");
    vec![
        ("usr/share/bulk".to_owned(), 0o644, content.collect()),
        ("DEBIAN/postinst".to_owned(), 0o755, script.into_bytes()),
    ]
}

/// The names in a folder that may not exist, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl World {
    /// The output folder.
    pub(crate) fn out(&self) -> PathBuf {
        self.checkout().join("out")
    }

    /// Fails unless the image and its companions lie in the output folder, whole, and nothing else but `others`.
    #[track_caller]
    pub(crate) fn assert_image(&self, others: &[&str]) {
        let mut expected: Vec<String> = ["bmap", "img.zst", "manifest.json", "spdx.json"]
            .map(|suffix| format!("{STEM}.{suffix}"))
            .into();
        expected.extend(
            [".lock", "SHA256SUMS"]
                .iter()
                .chain(others)
                .map(|&name| name.to_owned()),
        );
        expected.sort();
        assert_eq!(names(&self.out()), expected);
        let mut sums = Command::new("sha256sum");
        let judged = sums
            .args(["--quiet", "-c", "SHA256SUMS"])
            .current_dir(self.out())
            .output();
        let judged = judged.unwrap();
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    }
}
