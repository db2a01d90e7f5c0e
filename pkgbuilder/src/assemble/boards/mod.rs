//! The boards an image can be for: one file each, one table.
//!
//! To add one: write `boards/<family>.rs` with a type that is a [`Board`], and give it a line in [`BOARDS`]. Its target, and what
//! is not to be left out of the packages for it, are `jsonnet/targets.libsonnet`'s and `jsonnet/exclude.libsonnet`'s.

/// Raspberry Pi with Debian's kernels, 64 bit and ARMv6.
pub mod raspberrypi;

/// Boards with a Rockchip processor, which U-Boot starts.
pub mod rockchip;

/// Machines and virtual machines with UEFI.
pub mod uefi;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::LazyLock;

use anyhow::Result;
use bytes::Bytes;
use computatom_compose::tree::Tree;
use computatom_spec::arch::Arch;
use computatom_spec::boot;
use computatom_spec::manifest::FileRecord;

use super::container;
use super::fat::Files;
use super::medium::Medium;
use super::partitions::Table;
use crate::definition::format::Format;
use crate::definition::image::{Partitions, Target};
use crate::provenance;
use crate::verify::Sha256;
use crate::{bail_input, input_error};

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

    /// Takes out of the composed tree, `/boot` still in it, what its image starts from; `epoch` is the time of what is made,
    /// in seconds since 1970.
    ///
    /// # Errors
    ///
    /// A tree that lacks kernel, firmware or `/init` is wrong input.
    fn boot(&self, tree: &Tree, epoch: i64) -> Result<Box<dyn Boot>>;

    /// What can be made of its image, what is usual first.
    fn formats(&self) -> &'static [Format] {
        &[Format::Zst, Format::Img, Format::Xz, Format::Qcow2]
    }

    /// Boots the finished image as far as its firmware would, and fails if that does not end in a kernel and a root.
    fn check(&self, image: &dyn Medium) -> Result<()>;
}

/// What an image starts from, before it is known which root that starts.
pub trait Boot: Debug {
    /// What lies beside the partitions: where on the disk (bytes), and the bytes.
    ///
    /// # Errors
    ///
    /// Wrong input if it has no room there.
    fn raw(&self) -> Result<Vec<(u64, Bytes)>> {
        Ok(Vec::new())
    }

    /// What lies on the boot partitions.
    ///
    /// # Errors
    ///
    /// Programs that are not what UEFI starts are wrong input.
    fn volumes(&self, input: &BootInput<'_>) -> Result<Vec<BootVolume>>;
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
    &rockchip::ROCK64,
    &uefi::AMD64,
    &uefi::ARM64,
];

/// The names of all targets, for the validation of definitions.
pub fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
        let boards = BOARDS.iter().map(|board| board.name());
        boards.chain([container::NAME_AMD64, container::NAME_ARM64]).collect()
    });
    &NAMES
}

/// What is to be made of a target's image: what was asked for, else what the target says, else what is usual.
///
/// # Errors
///
/// A format that there cannot be of that target is wrong input.
pub fn formats(target: &Target, asked: Option<&[Format]>) -> Result<Vec<Format>> {
    let possible = if container::arch(&target.name).is_some() {
        container::FORMATS
    } else {
        find(&target.name)?.formats()
    };
    let asked = asked.unwrap_or(&target.formats);
    if let Some(format) = asked.iter().find(|format| !possible.contains(format)) {
        let names: Vec<&str> = possible.iter().map(|format| format.name()).collect();
        bail_input!(
            "there is no `{format}` of {}: a format of it is {}",
            target.name,
            names.join(", ")
        );
    }
    Ok(if asked.is_empty() {
        possible[..1].to_vec()
    } else {
        asked.to_vec()
    })
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
    fn every_board_is_found_by_its_name_and_has_a_target() {
        let targets = include_str!("../../../../jsonnet/targets.libsonnet");
        let mut named: Vec<&str> = targets
            .lines()
            .filter_map(|line| Some(line.split_once("name: '")?.1.split_once('\'')?.0))
            .collect();
        named.sort_unstable();
        let mut all = names().to_vec();
        all.sort_unstable();
        assert_eq!(all, named);
        for board in BOARDS {
            assert_eq!(find(board.name()).unwrap().arch(), board.arch());
        }
        assert!(find("abacus").unwrap_err().to_string().contains("raspberrypi-arm64"));
    }

    #[test]
    fn what_makes_no_sense_for_a_target_is_refused() {
        let target = |name: &str, formats: &[Format]| Target {
            name: name.to_owned(),
            arch: Arch::Arm64,
            packages: Vec::new(),
            formats: formats.to_vec(),
        };
        let usual = |name, own: &[Format]| formats(&target(name, own), None).unwrap();
        assert_eq!(usual("raspberrypi-arm64", &[]), [Format::Zst]);
        assert_eq!(usual("oci-arm64", &[]), [Format::Oci]);
        assert_eq!(usual("uefi-amd64", &[Format::BoxVirtualbox]), [Format::BoxVirtualbox]);
        let pi = target("raspberrypi-arm64", &[Format::Xz]);
        assert_eq!(formats(&pi, Some(&[Format::Img])).unwrap(), [Format::Img]);
        for (name, format) in [
            ("raspberrypi-arm64", Format::BoxLibvirt),
            ("raspberrypi-armel", Format::Oci),
            ("uefi-arm64", Format::BoxVirtualbox),
            ("oci-amd64", Format::Img),
        ] {
            for wrong in [
                formats(&target(name, &[format]), None),
                formats(&target(name, &[]), Some(&[format])),
            ] {
                let error = wrong.unwrap_err();
                assert_eq!(crate::failure::exit_code(&error), 2);
                assert!(error.to_string().contains(&format!("`{format}` of {name}")), "{error}");
            }
        }
    }
}
