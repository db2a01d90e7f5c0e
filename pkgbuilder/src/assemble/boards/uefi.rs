//! UEFI machines, real and virtual: systemd-boot and a unified kernel image for each slot on one EFI system partition.
//!
//! ```text
//! EFI/BOOT/BOOTX64.EFI       systemd-boot, under the name that firmware starts without being told
//! EFI/Linux/node-a.efi       the kernel of slot A; the first update writes node-b.efi
//! loader/loader.conf         which of them is started
//! startup.nsh                for a firmware that finds nothing to start and ends in its shell: try again
//! ```
//!
//! A trial is one boot of the other entry (`LoaderEntryOneShot`, systemd-boot(7)), a commit another loader.conf.

use anyhow::Result;
use bytes::Bytes;
use computatom_compose::tree::Tree;
use computatom_spec::arch::Arch;
use computatom_spec::boot::{self, gpt};

use super::super::fat::Files;
use super::super::firmware::uefi;
use super::super::initramfs::{self, Kernel, Modules};
use super::super::medium::Medium;
use super::super::partitions::Table;
use super::super::uki::{self, Section};
use super::{Board, Boot, BootInput, BootVolume, command_line};
use crate::bail_input;
use crate::definition::format::Format;
use crate::definition::image::Partitions;

/// Name of the target for PCs and virtual machines.
pub const NAME_AMD64: &str = "uefi-amd64";
/// Name of the target for Arm machines with UEFI.
pub const NAME_ARM64: &str = "uefi-arm64";

/// Where Debian's `systemd-boot-efi` puts what it packages.
const SYSTEMD_BOOT: &str = "/usr/lib/systemd/boot/efi";
/// To use the root.
const NEEDED: &[&str] = &["squashfs", "dm-verity", "overlay", "ext4"];
/// To reach it on the disks of virtual and real machines, as far as the kernel has them (Debian's cloud kernel leaves out
/// what no cloud has), and SHA-256 by the processor's own means; for crc32c see the Raspberry Pi's.
const WANTED: &[&str] = &[
    "crc32c_generic",
    "virtio_pci",
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "nvme",
    "ahci",
    "ata_piix",
    "xhci_pci",
    "ehci_pci",
    "usb_storage",
    "uas",
    "sdhci_pci",
    "sdhci_acpi",
    "mmc_block",
    "sha256-ssse3",
    "sha256-arm64",
    "sha2-ce",
];

/// Machines of one architecture.
#[derive(Debug)]
pub struct Uefi {
    name: &'static str,
    arch: Arch,
    /// What UEFI calls the architecture (UEFI specification 2.10, section 3.5.1.1), in lower case.
    suffix: &'static str,
    console: &'static str,
}

/// PCs and virtual machines.
pub const AMD64: Uefi = Uefi {
    name: NAME_AMD64,
    arch: Arch::Amd64,
    suffix: "x64",
    console: "console=tty0 console=ttyS0,115200",
};

/// Arm machines.
pub const ARM64: Uefi = Uefi {
    name: NAME_ARM64,
    arch: Arch::Arm64,
    suffix: "aa64",
    console: "console=tty0 console=ttyAMA0,115200",
};

/// What UEFI's shell runs of itself. A firmware ends there that could not start what the ESP holds (a write that was cut
/// short), or whose variables name the disk in a place where it no longer is; it would wait for a key. The loader is started
/// wherever it is found, and else everything is tried again.
fn startup(loader: &str) -> String {
    let loader = loader.replace('/', "\\");
    let lines = [
        "@echo -off".to_owned(),
        "for %i in 0 1 2 3 4 5 6 7".to_owned(),
        format!("  if exist FS%i:\\{loader} then"),
        format!("    FS%i:\\{loader}"),
        "  endif".to_owned(),
        "endfor".to_owned(),
        "reset".to_owned(),
    ];
    lines.map(|line| line + "\r\n").concat()
}

impl Board for Uefi {
    fn name(&self) -> &'static str {
        self.name
    }

    fn arch(&self) -> Arch {
        self.arch
    }

    fn partitions(&self, sizes: &Partitions, signature: u32) -> Result<Table> {
        Table::uefi(sizes, signature)
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
        let systemd = |name: String| {
            let Ok(content) = tree.read(&format!("{SYSTEMD_BOOT}/{name}")) else {
                bail_input!(
                    "the root file system lacks {SYSTEMD_BOOT}/{name}: add `systemd-boot-efi` to the target's `packages`"
                );
            };
            Ok(content)
        };
        let os_release = tree.read("/usr/lib/os-release").unwrap_or_default();
        Ok(Box::new(Programs {
            suffix: self.suffix,
            console: self.console,
            loader: systemd(format!("systemd-boot{}.efi", self.suffix))?,
            stub: systemd(format!("linux{}.efi.stub", self.suffix))?,
            os_release,
            release: kernel.release.into(),
            kernel: kernel.image,
            initramfs: initramfs.into(),
        }))
    }

    fn formats(&self) -> &'static [Format] {
        const BOTH: &[Format] = &[
            Format::Zst,
            Format::Img,
            Format::Xz,
            Format::Qcow2,
            Format::Vmdk,
            Format::BoxLibvirt,
            Format::BoxVirtualbox,
        ];
        match self.arch {
            Arch::Amd64 => BOTH,
            // VirtualBox's machines of this architecture are described in a way of their own.
            _ => &BOTH[..6],
        }
    }

    fn check(&self, image: &dyn Medium) -> Result<()> {
        uefi::check(image, self.suffix)
    }
}

/// systemd-boot, and what a unified kernel image is made of.
#[derive(Debug)]
pub struct Programs {
    /// What UEFI calls the architecture, in lower case.
    pub suffix: &'static str,
    /// The kernel's consoles.
    pub console: &'static str,
    /// systemd-boot.
    pub loader: Bytes,
    /// systemd-stub.
    pub stub: Bytes,
    /// os-release(5) of the root.
    pub os_release: Bytes,
    /// What the kernel calls itself.
    pub release: Bytes,
    /// The kernel.
    pub kernel: Bytes,
    /// The initramfs.
    pub initramfs: Bytes,
}

impl Boot for Programs {
    fn volumes(&self, input: &BootInput<'_>) -> Result<Vec<BootVolume>> {
        let cmdline = command_line(input, gpt::ROOT_A, gpt::DATA, self.console)?;
        let section = |name, content| Section { name, content };
        let image = uki::build(
            &self.stub,
            &[
                section(".osrel", &self.os_release),
                section(".uname", &self.release),
                section(".cmdline", cmdline.trim_end().as_bytes()),
                section(".initrd", &self.initramfs),
                section(".linux", &self.kernel),
            ],
        )?;
        let loader = format!("EFI/BOOT/BOOT{}.EFI", self.suffix.to_uppercase());
        let startup = startup(&loader);
        let files = Files::from([
            (loader, self.loader.clone()),
            (format!("EFI/Linux/{}", gpt::KERNEL_A), image.into()),
            ("loader/loader.conf".to_owned(), boot::loader_conf(gpt::KERNEL_A).into()),
            ("startup.nsh".to_owned(), startup.into()),
        ]);
        Ok(vec![BootVolume {
            partition: gpt::ESP,
            label: "ESP",
            files,
        }])
    }
}
