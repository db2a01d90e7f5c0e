//! Boards with a Rockchip processor: U-Boot at raw offsets, and one FAT with kernel, initramfs, device tree and command line
//! of each slot.
//!
//! ```text
//! sector 64           idbloader.img: what the processor's ROM looks for there, and starts
//! sector 16384        u-boot.itb: U-Boot and the firmware behind it
//! p1, 16 MiB          extlinux/extlinux.conf     which label is started
//!                     a/label.conf, a/vmlinuz …  slot A
//!                     b/…                        slot B: on a fresh card it, too, starts ROOT_A
//! ```
//!
//! Offsets are those of Debian's `u-boot-install-rockchip` (opensource.rock-chips.com, "Boot option"); a GPT ends at sector
//! 34. A label that cannot be loaded makes U-Boot try the other one (`boot_unattempted_labels` in its boot/pxe_utils.c).

use anyhow::Result;
use bytes::Bytes;
use computatom_compose::tree::Tree;
use computatom_spec::arch::Arch;
use computatom_spec::boot::{self, extlinux, gpt};

use super::super::fat::Files;
use super::super::firmware::u_boot;
use super::super::initramfs::{self, Kernel, Modules};
use super::super::medium::Medium;
use super::super::partitions::{SECTOR, Table};
use super::{Board, Boot, BootInput, BootVolume, command_line};
use crate::bail_input;
use crate::definition::image::Partitions;

/// Name of the target for the Rock64.
pub const NAME_ROCK64: &str = "rock64";

/// Where Debian's `u-boot-rockchip` puts what it packages.
const U_BOOT: &str = "/usr/lib/u-boot";
const KERNEL: &str = "vmlinuz";
const INITRAMFS: &str = "initrd.img";
const DEVICE_TREE: &str = "board.dtb";

/// What lies in front of the first partition: name, first byte, and the byte that it must not reach.
const LOADERS: [(&str, u64, u64); 2] = [
    ("idbloader.img", 64 * SECTOR, ENVIRONMENT.0),
    ("u-boot.itb", 16384 * SECTOR, 16 << 20),
];
/// Where U-Boot keeps what was changed of its settings (`CONFIG_ENV_OFFSET` and `CONFIG_ENV_SIZE` of Debian's): nothing, even
/// if the card had some of another system.
const ENVIRONMENT: (u64, usize) = (0x003f_8000, 0x8000);

/// To use the root, and the controller of the card.
const NEEDED: &[&str] = &["dw_mmc-rockchip", "squashfs", "dm-verity", "overlay", "ext4"];
/// What the card's power hangs on: a regulator switched by a pin, and one of the power chip, which is on an I2C bus. The
/// others as on the Raspberry Pi.
const WANTED: &[&str] = &[
    "gpio-rockchip",
    "i2c-rk3x",
    "fixed",
    "rk808-regulator",
    "io-domain",
    "crc32c_generic",
    "sha256-arm64",
    "sha2-ce",
    "leds-gpio",
    "ledtrig-timer",
];

/// One board.
#[derive(Debug)]
pub struct Rockchip {
    name: &'static str,
    /// Folder of its U-Boot.
    u_boot: &'static str,
    /// Its device tree, in the kernel package.
    device_tree: &'static str,
    consoles: &'static str,
}

/// Pine64's Rock64. Its serial console is at 1.5 MBd, as U-Boot's.
pub const ROCK64: Rockchip = Rockchip {
    name: NAME_ROCK64,
    u_boot: "rock64-rk3328",
    device_tree: "rockchip/rk3328-rock64.dtb",
    consoles: "console=tty1 console=ttyS2,1500000",
};

impl Board for Rockchip {
    fn name(&self) -> &'static str {
        self.name
    }

    fn arch(&self) -> Arch {
        Arch::Arm64
    }

    fn partitions(&self, sizes: &Partitions, signature: u32) -> Result<Table> {
        Table::u_boot(sizes, signature)
    }

    fn root(&self) -> u8 {
        gpt::ROOT_A
    }

    fn idle_roots(&self) -> &'static [u8] {
        &[gpt::ROOT_B]
    }

    fn boot(&self, tree: &Tree, epoch: i64) -> Result<Box<dyn Boot>> {
        let kernel = Kernel::find(tree)?;
        let modules = Modules {
            needed: NEEDED,
            wanted: WANTED,
        };
        let initramfs = initramfs::build(tree, &kernel, modules, epoch)?;
        let device_tree = format!("/usr/lib/linux-image-{}/{}", kernel.release, self.device_tree);
        let Ok(device_tree) = tree.read(&device_tree) else {
            bail_input!(
                "the kernel {} does not know the board {}: it has no {device_tree}; choose another kernel package, and mind \
                 what `exclude` leaves out",
                kernel.release,
                self.name
            );
        };
        let mut loaders = Vec::new();
        for (name, ..) in LOADERS {
            let path = format!("{U_BOOT}/{}/{name}", self.u_boot);
            let Ok(content) = tree.read(&path) else {
                bail_input!("the root file system lacks {path}: add `u-boot-rockchip` to the target's `packages`");
            };
            loaders.push(content);
        }
        Ok(Box::new(Extlinux {
            loaders,
            slot: Files::from([
                (KERNEL.to_owned(), kernel.image),
                (INITRAMFS.to_owned(), initramfs.into()),
                (DEVICE_TREE.to_owned(), device_tree),
            ]),
            consoles: self.consoles,
        }))
    }

    fn check(&self, image: &dyn Medium) -> Result<()> {
        u_boot::check(image)
    }
}

/// U-Boot, and what its menu starts.
#[derive(Debug)]
pub struct Extlinux {
    /// `idbloader.img` and `u-boot.itb`.
    pub loaders: Vec<Bytes>,
    /// Kernel, initramfs and device tree: `vmlinuz`, `initrd.img` and `board.dtb`.
    pub slot: Files,
    /// `console=` words.
    pub consoles: &'static str,
}

impl Boot for Extlinux {
    fn raw(&self) -> Result<Vec<(u64, Bytes)>> {
        let mut raw = vec![(ENVIRONMENT.0, Bytes::from(vec![0; ENVIRONMENT.1]))];
        for ((name, start, end), content) in LOADERS.into_iter().zip(&self.loaders) {
            if start + content.len() as u64 > end {
                bail_input!(
                    "{name} of `u-boot-rockchip` has {} bytes, and {} of them have room in front of the partitions",
                    content.len(),
                    end - start
                );
            }
            raw.push((start, content.clone()));
        }
        Ok(raw)
    }

    fn volumes(&self, input: &BootInput<'_>) -> Result<Vec<BootVolume>> {
        let line = command_line(input, gpt::ROOT_A, gpt::DATA, self.consoles)?;
        let mut volume = Files::from([(extlinux::MENU.to_owned(), boot::extlinux_conf(extlinux::SLOT_A).into())]);
        for slot in [extlinux::SLOT_A, extlinux::SLOT_B] {
            for (name, content) in &self.slot {
                volume.insert(format!("{slot}/{name}"), content.clone());
            }
            volume.insert(
                format!("{slot}/{}", extlinux::LABEL),
                label(slot, line.trim_end()).into(),
            );
        }
        Ok(vec![BootVolume {
            partition: gpt::ESP,
            label: "BOOT",
            files: volume,
        }])
    }
}

/// What the label of a slot starts (U-Boot, doc/README.pxe).
fn label(slot: &str, cmdline: &str) -> String {
    format!(
        "label {slot}\n\tkernel /{slot}/{KERNEL}\n\tinitrd /{slot}/{INITRAMFS}\n\tfdt /{slot}/{DEVICE_TREE}\n\t{} {cmdline}\n",
        extlinux::APPEND
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::super::super::DiskImage;
    use super::super::super::testing::{self, oracle, with_kernel};
    use super::*;
    use crate::definition::format::Format;

    const RELEASE: &str = "6.12.10+deb13-arm64";

    /// A tree with what the board needs; U-Boot is `u_boot` bytes long.
    fn tree(u_boot: usize) -> Tree {
        let mut tree = with_kernel();
        let mut put = |path: String, content: Vec<u8>| {
            tree.mkdir_all(path.rsplit_once('/').unwrap().0, 0o755).unwrap();
            tree.write(&path, content, 0o644).unwrap();
        };
        put(format!("{U_BOOT}/rock64-rk3328/idbloader.img"), vec![0x52; 135_168]);
        let mut loader = vec![0x42; u_boot];
        loader[..4].copy_from_slice(b"\xd0\x0d\xfe\xed");
        put(format!("{U_BOOT}/rock64-rk3328/u-boot.itb"), loader);
        let device_tree = dtoolkit::model::DeviceTree::new().to_dtb();
        put(
            format!("/usr/lib/linux-image-{RELEASE}/{}", ROCK64.device_tree),
            device_tree,
        );
        // Any module will do.
        let folder = format!("/usr/lib/modules/{RELEASE}/kernel");
        let module = tree.read(&format!("{folder}/fs/squashfs/squashfs.ko.xz")).unwrap();
        tree.write(&format!("{folder}/fs/dw_mmc-rockchip.ko.xz"), module, 0o644)
            .unwrap();
        tree
    }

    fn build(tree: &Tree, folder: &Path) -> Result<DiskImage> {
        testing::build(tree, NAME_ROCK64, folder)
    }

    #[test]
    fn the_loader_lies_where_debians_installer_puts_it() {
        let folder = tempfile::tempdir().unwrap();
        let tree = tree(924_160);
        let made = build(&tree, folder.path()).unwrap();
        let raw = made.file(Format::Img).unwrap().to_owned();

        // What `u-boot-install-rockchip` does, and bytes that nothing else has been written over.
        for (name, sector) in [("idbloader.img", 64), ("u-boot.itb", 16384)] {
            let file = folder.path().join(name);
            let content = tree.read(&format!("{U_BOOT}/rock64-rk3328/{name}")).unwrap();
            fs::write(&file, &content).unwrap();
            oracle(
                Command::new("cmp")
                    .args(["-i", &format!("{}:0", sector * 512), "-n", &content.len().to_string()])
                    .args([&raw, &file]),
            );
        }
        let verified = oracle(Command::new("sfdisk").arg("--verify").arg(&raw));
        assert!(verified.contains("No errors detected"), "{verified}");
        let dump = oracle(Command::new("sfdisk").arg("-d").arg(&raw));
        let line = dump.lines().find(|line| line.contains("name=\"BOOT\"")).unwrap();
        assert!(
            line.contains("start=       32768,") && line.contains("LegacyBIOSBootable"),
            "{line}"
        );

        // The FAT on its own: fsck.vfat takes no offset.
        let table = Table::read(&fs::File::open(&raw).unwrap()).unwrap();
        let boot = table.get(gpt::ESP).unwrap();
        let alone = folder.path().join("boot.fat");
        let mib = |bytes: u64| (bytes >> 20).to_string();
        oracle(
            Command::new("dd")
                .args([
                    "bs=1M",
                    "status=none",
                    &format!("skip={}", mib(boot.start)),
                    &format!("count={}", mib(boot.size)),
                ])
                .arg(format!("if={}", raw.display()))
                .arg(format!("of={}", alone.display())),
        );
        oracle(Command::new("fsck.vfat").arg("-n").arg(&alone));
        let read = |path: &str| oracle(Command::new("mtype").arg("-i").arg(&alone).arg(format!("::{path}")));
        let menu = read(extlinux::MENU);
        assert!(
            menu.contains("\ninclude /a/label.conf\ninclude /b/label.conf\ndefault a\n"),
            "{menu}"
        );
        assert_eq!(menu.len(), boot::MENU_SIZE);
        for slot in ["a", "b"] {
            let label = read(&format!("{slot}/label.conf"));
            assert!(
                label.starts_with(&format!("label {slot}\n\tkernel /{slot}/vmlinuz\n")),
                "{label}"
            );
            let root = format!("\tappend root=PARTUUID={} ", table.partuuid(gpt::ROOT_A).unwrap());
            assert!(label.contains(&root), "{label}");
            assert!(label.ends_with(" console=ttyS2,1500000 panic=10\n"), "{label}");
        }
        // The .bmap names the loader, too.
        let bmap = fs::read_to_string(folder.path().join("out/test-rock64.bmap")).unwrap();
        assert!(bmap.contains("> 2048-"), "{bmap}");
    }

    #[test]
    fn what_the_board_lacks_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |tree: &Tree| {
            let error = build(tree, folder.path()).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
            format!("{error:#}")
        };
        let mut without = tree(1000);
        without.unlink("/usr/lib/u-boot/rock64-rk3328/u-boot.itb").unwrap();
        assert!(refused(&without).contains("add `u-boot-rockchip`"));
        let mut without = tree(1000);
        without
            .unlink(&format!("/usr/lib/linux-image-{RELEASE}/{}", ROCK64.device_tree))
            .unwrap();
        assert!(refused(&without).contains("does not know the board rock64"));
        let said = refused(&tree((8 << 20) + 1));
        assert!(
            said.contains("u-boot.itb of `u-boot-rockchip` has 8388609 bytes"),
            "{said}"
        );
    }

    #[test]
    fn a_loader_that_is_damaged_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let made = build(&tree(924_160), folder.path()).unwrap();
        let raw = made.file(Format::Img).unwrap();
        let file = fs::File::options().read(true).write(true).open(raw).unwrap();
        ROCK64.check(&file).unwrap();
        file.write_all_at(&[0; 4], 16384 * SECTOR).unwrap();
        let error = ROCK64.check(&file).unwrap_err();
        assert!(error.to_string().contains("no U-Boot at sector 16384"), "{error}");
    }
}
