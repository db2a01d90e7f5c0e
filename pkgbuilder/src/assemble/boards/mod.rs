//! The boards an image can be for: one file each, one table.
//!
//! To add one: write `boards/<family>.rs` with a type that is a [`Board`], and give it a line in [`BOARDS`].

/// Raspberry Pi with Debian's kernels, 64 bit and ARMv6.
pub mod raspberrypi;

/// Machines and virtual machines with UEFI.
pub mod uefi;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use anyhow::Result;
use computatom_compose::tree::Tree;
use computatom_spec::arch::Arch;
use computatom_spec::boot;
use computatom_spec::manifest::FileRecord;

use super::fat::Files;
use super::partitions::Table;
use crate::definition::image::Partitions;
use crate::input_error;
use crate::provenance;
use crate::verify::Sha256;

/// What is different from board to board.
pub trait Board: Debug + Sync {
    /// Name of the target (`raspberrypi-arm64`).
    fn name(&self) -> &'static str;

    /// Architecture of the packages.
    fn arch(&self) -> Arch;

    /// How the disk is divided.
    ///
    /// # Errors
    ///
    /// Sizes that cannot be are wrong input.
    fn partitions(&self, sizes: &Partitions, signature: u32) -> Result<Table>;

    /// The partition of the root that a fresh image boots.
    fn root(&self) -> u8;

    /// Partitions with a root of their own that is still to come: their first block is written as zeros, so that no
    /// older file system on a reused card is mistaken for one.
    fn idle_roots(&self) -> &'static [u8];

    /// Takes out of the composed tree, `/boot` still in it, what the boot partitions are made of; `epoch` is the time of
    /// what is made, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// A tree that lacks kernel, firmware or `/init` is wrong input.
    fn boot_files(&self, tree: &Tree, epoch: i64) -> Result<Files>;

    /// What lies on the boot partitions.
    ///
    /// # Errors
    ///
    /// Does not fail for the files of [`Board::boot_files`].
    fn boot_volumes(&self, files: Files, boot: &BootInput<'_>) -> Result<Vec<BootVolume>>;

    /// Boots the finished image as far as its firmware would, and fails if that does not end in a kernel and a root.
    fn check(&self, image: &Path) -> Result<()>;
}

/// What the boot partitions say of the rest of the image.
#[derive(Clone, Copy, Debug)]
pub struct BootInput<'a> {
    /// Partition numbers and signature.
    pub table: &'a Table,
    /// The root's: what its hash tree comes to.
    pub root_hash: Sha256,
    /// Appended to the kernel command line.
    pub cmdline: &'a [String],
}

/// A FAT volume of an image.
#[derive(Debug)]
pub struct BootVolume {
    /// Partition number.
    pub partition: u8,
    /// Label.
    pub label: &'static str,
    /// Content.
    pub files: Files,
}

impl BootVolume {
    /// The label, and what the manifest says of each file.
    pub fn records(&self) -> (String, BTreeMap<String, FileRecord>) {
        let files = self.files.iter();
        let files = files.map(|(path, bytes)| (path.clone(), provenance::content(bytes)));
        (self.label.to_owned(), files.collect())
    }
}

/// The kernel command line of a slot, ended by a newline: what `/init` reads, and the consoles, the one that is /dev/console
/// last. A panic resets the board after 10 seconds, which ends a trial boot.
fn command_line(boot: &BootInput<'_>, root: u8, data: u8, consoles: &str) -> Result<String> {
    let mut line = format!(
        "{}=PARTUUID={} rootfstype=squashfs ro rootwait {}={} {}={data} {consoles} panic=10",
        boot::ROOT,
        boot.table.partuuid(root)?,
        boot::ROOT_HASH,
        boot.root_hash,
        boot::DATA,
    );
    for word in boot.cmdline {
        line.push(' ');
        line.push_str(word);
    }
    line.push('\n');
    Ok(line)
}

/// Every board there is.
const BOARDS: &[&dyn Board] = &[
    &raspberrypi::ARM64,
    &raspberrypi::ARM64_5,
    &raspberrypi::ARMEL,
    &uefi::AMD64,
    &uefi::ARM64,
];

/// The names of all targets, for the validation of definitions.
pub fn names() -> &'static [&'static str] {
    const NAMES: &[&str] = &[
        raspberrypi::NAME_ARM64,
        raspberrypi::NAME_ARM64_5,
        raspberrypi::NAME_ARMEL,
        uefi::NAME_AMD64,
        uefi::NAME_ARM64,
    ];
    NAMES
}

/// The board of a target.
///
/// # Errors
///
/// A name that is not in the table is wrong input.
pub fn find(name: &str) -> Result<&'static dyn Board> {
    BOARDS
        .iter()
        .copied()
        .find(|board| board.name() == name)
        .ok_or_else(|| input_error!("there is no target `{name}`: choose one of {}", names().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_is_found_by_its_name() {
        let all: Vec<&str> = BOARDS.iter().map(|board| board.name()).collect();
        assert_eq!(all, names());
        for name in names() {
            assert_eq!(find(name).unwrap().name(), *name);
        }
        assert!(find("abacus").unwrap_err().to_string().contains("raspberrypi-arm64"));
    }
}
