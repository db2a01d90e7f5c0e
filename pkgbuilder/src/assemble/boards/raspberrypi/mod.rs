//! Raspberry Pi: what the firmware on the board reads from the card.
//!
//! The firmware takes `autoboot.txt` from the first FAT, and the rest from the partition that it names
//! (raspberrypi.com/documentation/computers/config_txt.html, "autoboot.txt"). Pi 3 and older have `bootcode.bin` loaded
//! from the first FAT by the ROM. The settings are those that Debian's `raspi-firmware` writes for Debian's kernel
//! (/etc/kernel/postinst.d/z50-raspi-firmware).

/// I2C and SPI on the pin header.
mod header;

/// Whose kernel it is.
mod kernels;

use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use computatom_compose::tree::Tree;
use computatom_spec::arch::Arch;
use computatom_spec::boot::{autoboot_txt, mbr};

use self::kernels::Flavour;
use super::super::fat::Files;
use super::super::firmware;
use super::super::initramfs::{self, Kernel, Modules};
use super::super::medium::Medium;
use super::super::partitions::Table;
use super::{Board, Boot, BootInput, BootVolume, command_line};
use crate::bail_input;
use crate::definition::image::Partitions;

/// Name of the target for Pi 3, 4, Zero 2 W.
pub const NAME_ARM64: &str = "raspberrypi-arm64";
/// Name of the target for these and the Pi 5.
pub const NAME_ARM64_5: &str = "raspberrypi5-arm64";
/// Name of the target for Pi 1 and Zero.
pub const NAME_ARMEL: &str = "raspberrypi-armel";

/// Where Debian's `raspi-firmware` puts what it packages.
const FIRMWARE: &str = "/usr/lib/raspi-firmware";
const INITRAMFS: &str = "initramfs.img";
/// What the ROM of Pi 3 and older loads from the first FAT.
const BOOTCODE: &str = "bootcode.bin";
/// Overlays of the vendor's kernel, which its firmware applies: for HATs that name theirs.
const OVERLAYS: &str = "overlays";

/// To use the root: squashfs and its verity, DATA, the overlay on /etc.
const NEEDED: &[&str] = &["sdhci-iproc", "squashfs", "dm-verity", "overlay", "ext4"];
/// The same on a Pi 5, whose kernel has to know its card reader, too.
const NEEDED_5: &[&str] = &[
    "sdhci-iproc",
    "sdhci-brcmstb",
    "squashfs",
    "dm-verity",
    "overlay",
    "ext4",
];
/// To reach it (Debian's kernel has MMC itself built in): the controllers of Pi 3 and older (`bcm2835`, or `sdhci-iproc` as
/// the device tree has it), 4 (`sdhci-iproc`; its power and voltage switches are `fixed` and `gpio-regulator`) and 5
/// (`sdhci-brcmstb`, the switches hang on `gpio-brcmstb`, the pins on `pinctrl-brcmstb-bcm2712`; not in trixie's kernel).
/// And SHA-256 for verity, which the kernel would else do in plain C: by NEON, by the instructions that the Pi 5 has for
/// it, in ARMv6's assembly. (From Linux 6.16 on they are in the kernel itself.) And crc32c, which ext4 asked for by name up
/// to Linux 6.13, so that `depends=` does not know of it. And the board's light, which says why it stands still to people
/// without a screen.
const WANTED: &[&str] = &[
    "fixed",
    "gpio-brcmstb",
    "gpio-regulator",
    "pinctrl-brcmstb-bcm2712",
    "bcm2835",
    "crc32c_generic",
    "sha256-arm64",
    "sha2-ce",
    "sha256-arm",
    "leds-gpio",
    "ledtrig-timer",
];

/// Without `enable_uart=1` the serial console has no stable clock.
fn config(kernel: &str, arm_64bit: bool, flavour: &Flavour) -> String {
    format!(
        "\
# Written by pkgbuilder. What is changed here is lost with the next update of this slot.
[all]
arm_64bit={}
enable_uart=1
{}disable_splash=1
kernel={kernel}
initramfs {INITRAMFS} followkernel
",
        u8::from(arm_64bit),
        flavour.settings,
    )
}

/// Boards that one kernel serves.
#[derive(Debug)]
pub struct RaspberryPi {
    name: &'static str,
    arch: Arch,
    /// The firmware's own name for such a kernel: what it falls back to without a config.txt.
    kernel: &'static str,
    /// Folder of device trees in the kernel package, below its own; Linux has none for 32-bit Arm that Debian would keep.
    device_trees: &'static str,
    /// Both consoles, the serial one last: that is /dev/console. The firmware's `serial0` alias would be replaced by a name
    /// of the vendor's kernel.
    consoles: &'static str,
    /// Modules without which its boards do not start.
    needed: &'static [&'static str],
    /// Models that the kernel has to know, and whose firmware each image is followed through.
    models: &'static [firmware::Board],
}

/// Pi 3, 4, Zero 2 W. Linux' own device trees name the mini UART on the pin header of Pi 3 and 4 `serial1`, hence ttyS1 (as
/// Debian's raspi-firmware has it).
pub const ARM64: RaspberryPi = RaspberryPi {
    name: NAME_ARM64,
    arch: Arch::Arm64,
    kernel: "kernel8.img",
    device_trees: "/broadcom",
    consoles: "console=tty1 console=ttyS1,115200",
    needed: NEEDED,
    models: &[
        firmware::Board::Pi3,
        firmware::Board::Pi3Plus,
        firmware::Board::Pi02,
        firmware::Board::Pi4,
    ],
};

/// The same boards and the Pi 5, whose serial console is on a connector of its own (`ttyAMA10`).
pub const ARM64_5: RaspberryPi = RaspberryPi {
    name: NAME_ARM64_5,
    consoles: "console=tty1 console=ttyS1,115200 console=ttyAMA10,115200",
    needed: NEEDED_5,
    models: &[
        firmware::Board::Pi3,
        firmware::Board::Pi3Plus,
        firmware::Board::Pi02,
        firmware::Board::Pi4,
        firmware::Board::Pi5,
    ],
    ..ARM64
};

/// Pi 1 and Zero: ARMv6. The PL011 is on the pin header, but for the Zero W, whose Bluetooth has it.
pub const ARMEL: RaspberryPi = RaspberryPi {
    name: NAME_ARMEL,
    arch: Arch::Armel,
    kernel: "kernel.img",
    device_trees: "",
    consoles: "console=tty1 console=ttyS1,115200 console=ttyAMA0,115200",
    needed: NEEDED,
    models: &[firmware::Board::Pi0, firmware::Board::Pi1],
};

impl Board for RaspberryPi {
    fn name(&self) -> &'static str {
        self.name
    }

    fn arch(&self) -> Arch {
        self.arch
    }

    fn partitions(&self, sizes: &Partitions, signature: u32) -> Result<Table> {
        Table::raspberrypi(sizes, signature)
    }

    fn root(&self) -> u8 {
        mbr::ROOT_A
    }

    fn idle_roots(&self) -> &'static [u8] {
        &[mbr::ROOT_B]
    }

    fn boot(&self, tree: &Tree, epoch: i64) -> Result<Box<dyn Boot>> {
        let (files, words) = self.slot_files(tree, epoch)?;
        Ok(Box::new(Slots {
            bootcode: firmware_file(tree, BOOTCODE)?,
            files,
            words,
        }))
    }

    fn check(&self, image: &dyn Medium) -> Result<()> {
        firmware::check(image, self.models)
    }
}

/// What the firmware takes from the card.
#[derive(Debug)]
pub struct Slots {
    /// What the ROM of Pi 3 and older loads.
    pub bootcode: Bytes,
    /// What both slots have in common: all but the kernel's command line.
    pub files: Files,
    /// Words of that line for this kernel.
    pub words: String,
}

impl Boot for Slots {
    fn volumes(&self, boot: &BootInput<'_>) -> Result<Vec<BootVolume>> {
        // Slot B has a kernel but not yet a root: it too starts ROOT_A. An old boot EEPROM that always takes the last
        // line of autoboot.txt then still finds a system.
        let mut files = self.files.clone();
        let line = command_line(boot, mbr::ROOT_A, mbr::DATA, &self.words)?;
        files.insert("cmdline.txt".to_owned(), line.into());
        let select = Files::from([
            ("autoboot.txt".to_owned(), autoboot_txt(mbr::BOOT_A, mbr::BOOT_B).into()),
            (BOOTCODE.to_owned(), self.bootcode.clone()),
        ]);
        let volume = |partition, label, files| BootVolume {
            partition,
            label,
            files,
        };
        Ok(vec![
            volume(mbr::BOOTSEL, "BOOTSEL", select),
            volume(mbr::BOOT_A, "BOOT_A", files.clone()),
            volume(mbr::BOOT_B, "BOOT_B", files),
        ])
    }
}

impl RaspberryPi {
    /// What both slots have in common, and words for the kernel's command line.
    fn slot_files(&self, tree: &Tree, epoch: i64) -> Result<(Files, String)> {
        let kernel = Kernel::find(tree)?;
        let mut files = Files::new();
        for (name, _) in tree.read_dir(FIRMWARE).unwrap_or_default() {
            let wanted = name.starts_with("start") && has_extension(&name, "elf")
                || name.starts_with("fixup") && has_extension(&name, "dat");
            if wanted {
                files.insert(name.clone(), firmware_file(tree, &name)?);
            }
        }
        for name in self.models.iter().filter_map(|model| model.start_file()) {
            firmware_file(tree, name)?;
        }
        let flavour = Flavour::of(&kernel);
        files.extend(self.device_trees(tree, &kernel, flavour)?);
        for model in self.models {
            flavour.must_know(*model, &kernel, &files)?;
        }
        let modules = Modules {
            needed: self.needed,
            wanted: WANTED,
        };
        let initramfs = initramfs::build(tree, &kernel, modules, epoch)?;
        files.insert(INITRAMFS.to_owned(), initramfs.into());
        files.insert(self.kernel.to_owned(), kernel.image);
        let config = config(self.kernel, self.arch == Arch::Arm64, flavour);
        files.insert("config.txt".to_owned(), config.into());
        Ok((files, flavour.words(self.consoles)))
    }

    /// The device trees of the kernel, and its overlays where they are for the firmware to apply.
    fn device_trees(&self, tree: &Tree, kernel: &Kernel, flavour: &Flavour) -> Result<Files> {
        let base = format!("/usr/lib/linux-image-{}", kernel.release);
        let mut files = Files::new();
        let folder = format!("{base}{}", self.device_trees);
        for (name, _) in tree.read_dir(&folder).unwrap_or_default() {
            if has_extension(&name, "dtb") {
                let path = format!("{folder}/{name}");
                let content = flavour
                    .device_tree(tree.read(&path)?)
                    .with_context(|| format!("changing the device tree {path}"))?;
                files.insert(name, content);
            }
        }
        if files.is_empty() {
            bail_input!(
                "the kernel package has no device trees in {folder}: choose one for the \
                 Raspberry Pi, as `linux-image-arm64`, and mind what `exclude` leaves out"
            );
        }
        let overlays = format!("{base}/{OVERLAYS}");
        for (name, _) in tree.read_dir(&overlays).unwrap_or_default() {
            if has_extension(&name, "dtbo") || name == "README" {
                files.insert(format!("{OVERLAYS}/{name}"), tree.read(&format!("{overlays}/{name}"))?);
            }
        }
        Ok(files)
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

fn firmware_file(tree: &Tree, name: &str) -> Result<Bytes> {
    let Ok(content) = tree.read(&format!("{FIRMWARE}/{name}")) else {
        bail_input!("the root file system lacks {FIRMWARE}/{name}: add `raspi-firmware` to the target's `packages`");
    };
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{EPOCH, with_kernel};
    use super::*;
    use crate::verify::Sha256;

    fn volumes(cmdline: &[String]) -> Vec<BootVolume> {
        let sizes = Partitions {
            bootsel_mib: 32,
            boot_mib: 64,
            root_mib: 64,
        };
        let table = ARM64.partitions(&sizes, 0xc0de_0042).unwrap();
        let boot = BootInput {
            table: &table,
            root_hash: Sha256::of(b""),
            cmdline,
        };
        ARM64.boot(&with_kernel(), EPOCH).unwrap().volumes(&boot).unwrap()
    }

    #[test]
    fn both_slots_hold_all_that_firmware_needs_and_point_at_root_a() {
        let volumes = volumes(&["quiet".to_owned()]);
        let [select, a, b] = volumes.as_slice() else {
            panic!("three volumes")
        };
        assert_eq!(a.files, b.files);
        for name in [
            "config.txt",
            "start.elf",
            "start4.elf",
            "fixup.dat",
            "kernel8.img",
            INITRAMFS,
            "bcm2837-rpi-3-b.dtb",
        ] {
            assert!(a.files.contains_key(name), "{name}");
        }
        let line = std::str::from_utf8(&a.files["cmdline.txt"]).unwrap();
        assert_eq!(
            line,
            "root=PARTUUID=c0de0042-05 rootfstype=squashfs ro rootwait \
             computatom.roothash=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 computatom.data=7 \
             console=tty1 console=ttyS1,115200 panic=10 quiet\n"
        );
        assert_eq!(
            select.files.keys().collect::<Vec<_>>(),
            ["autoboot.txt", "bootcode.bin"]
        );
        assert_eq!(select.files["autoboot.txt"].len(), 512);
    }

    #[test]
    fn missing_firmware_is_named() {
        let mut tree = with_kernel();
        tree.unlink("/usr/lib/raspi-firmware/start4.elf").unwrap();
        assert!(
            firmware_file(&tree, "start4.elf")
                .unwrap_err()
                .to_string()
                .contains("raspi-firmware")
        );
    }
}
