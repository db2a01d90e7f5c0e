//! The file that says which slot starts: `autoboot.txt` of a Raspberry Pi, `loader.conf` of systemd-boot, `extlinux.conf`
//! of U-Boot.
//!
//! Each is one sector of one cluster in the image, and are only ever written as a whole and in their place: a commit is
//! one aligned write of 512 bytes, of which at most a few digits differ. FAT and folder stay as they are.

use anyhow::{Context, Result};
use computatom_spec::boot::{self, extlinux, gpt, mbr};

use super::Slot;
use super::fat::Volume;
use crate::disk::BlockDevice;
use crate::disk::table::Table;
use crate::init::cmdline::Cmdline;

/// Longest command line that is read: more than any kernel takes.
const CMDLINE_LIMIT: u64 = 64 << 10;

/// How a board gets from power-on to a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// The firmware of a Raspberry Pi, on a disk with an MBR.
    RaspberryPi,
    /// UEFI and systemd-boot, on a disk with a GPT.
    SystemdBoot,
    /// U-Boot, on a disk with a GPT whose first partition is marked as bootable.
    UBoot,
}

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Menu {
    /// The slot that starts, if the file names one.
    pub slot: Option<Slot>,
    /// Whether it is byte for byte what we write for that slot.
    pub exact: bool,
    /// Where its sector lies on the disk.
    at: u64,
}

impl Chain {
    /// The chain of a disk with this table.
    pub fn of(table: &Table) -> Self {
        match table {
            Table::Mbr(_) => Self::RaspberryPi,
            Table::Gpt(table) if table.is_bootable(gpt::ESP) => Self::UBoot,
            Table::Gpt(_) => Self::SystemdBoot,
        }
    }

    /// The file, and the partition it is on.
    pub fn file(self) -> (u32, &'static str) {
        match self {
            Self::RaspberryPi => (mbr::BOOTSEL.into(), "autoboot.txt"),
            Self::SystemdBoot => (gpt::ESP.into(), "loader/loader.conf"),
            Self::UBoot => (gpt::ESP.into(), extlinux::MENU),
        }
    }

    /// Where a person adds a word to the kernel's command line, of the slot that starts and of the other.
    pub fn words(self) -> String {
        match self {
            Self::RaspberryPi => format!(
                "in cmdline.txt on partitions {} and {}, from another machine",
                mbr::BOOT_A,
                mbr::BOOT_B
            ),
            Self::SystemdBoot => "for one boot: hold space while systemd-boot starts, then `e`".to_owned(),
            Self::UBoot => format!(
                "behind `{}` in {}/{label} and {}/{label} on partition {}, from another machine",
                extlinux::APPEND,
                extlinux::SLOT_A,
                extlinux::SLOT_B,
                gpt::ESP,
                label = extlinux::LABEL
            ),
        }
    }

    /// The slot whose root is partition `number`.
    pub fn slot_of_root(self, number: u32) -> Option<Slot> {
        Slot::BOTH.into_iter().find(|slot| self.root(*slot) == number)
    }

    /// The partition of a slot's root.
    pub fn root(self, slot: Slot) -> u32 {
        match (self, slot) {
            (Self::RaspberryPi, Slot::A) => mbr::ROOT_A,
            (Self::RaspberryPi, Slot::B) => mbr::ROOT_B,
            (Self::SystemdBoot | Self::UBoot, Slot::A) => gpt::ROOT_A,
            (Self::SystemdBoot | Self::UBoot, Slot::B) => gpt::ROOT_B,
        }
        .into()
    }

    /// The slot whose kernel is told this, by its boot files: which one was started when its root cannot say so.
    pub fn started(self, disk: &impl BlockDevice, table: &Table, cmdline: &Cmdline) -> Option<Slot> {
        Slot::BOTH.into_iter().find(|slot| {
            let told = self.cmdline(disk, table, *slot);
            told.is_ok_and(|told| (told.root, told.root_hash) == (cmdline.root, cmdline.root_hash))
        })
    }

    /// The whole file for a slot.
    pub fn text(self, slot: Slot) -> Vec<u8> {
        match self {
            Self::RaspberryPi => boot::autoboot_txt(boot_partition(slot), boot_partition(slot.other())),
            Self::SystemdBoot => boot::loader_conf(entry(slot)),
            Self::UBoot => boot::extlinux_conf(label(slot)),
        }
    }

    /// The slot that such a file starts, read as the firmware would; `None` if it names neither.
    pub fn parse(self, bytes: &[u8]) -> Option<Slot> {
        let text = String::from_utf8_lossy(bytes);
        match self {
            Self::RaspberryPi => {
                // Filters: what stands under [tryboot] or [none] is not for every boot.
                let (mut holds, mut partition) = (true, None);
                for line in text.lines().map(str::trim) {
                    if let Some(filter) = line.strip_prefix('[') {
                        holds = filter == "all]";
                    } else if let Some(value) = line.strip_prefix("boot_partition=").filter(|_| holds) {
                        partition = value.trim().parse().ok();
                    }
                }
                Slot::BOTH
                    .into_iter()
                    .find(|slot| partition == Some(boot_partition(*slot)))
            }
            Self::SystemdBoot => {
                let default = boot::default_entry(&text)?;
                Slot::BOTH.into_iter().find(|slot| entry(*slot) == default)
            }
            Self::UBoot => {
                let default = boot::default_entry(&text)?;
                Slot::BOTH.into_iter().find(|slot| label(*slot) == default)
            }
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Fails if it is missing, or is no single sector: what we cannot change in one write we do not change.
    pub fn menu(self, disk: &impl BlockDevice, table: &Table) -> Result<Menu> {
        let (number, path) = self.file();
        let extent = table.partition(number).context("the boot partition is missing")?.extent;
        let volume = Volume::open(disk, extent)?;
        let found = volume.find(path)?;
        let found = found.with_context(|| format!("partition {number} has no {path}: burn the card again"))?;
        let at = volume.only_sector(found)?.with_context(|| {
            format!("{path} is not one sector: it was changed by hand; pad it with empty lines to 512 bytes")
        })?;
        let mut bytes = [0; boot::MENU_SIZE];
        disk.read_at(&mut bytes, at)
            .with_context(|| format!("reading {path}"))?;
        let slot = self.parse(&bytes);
        Ok(Menu {
            slot,
            exact: slot.is_some_and(|slot| self.text(slot) == bytes),
            at,
        })
    }

    /// Makes a slot the one that starts; it is when this returns.
    pub fn choose(self, disk: &mut impl BlockDevice, menu: Menu, slot: Slot) -> Result<()> {
        disk.write_at(&self.text(slot), menu.at)
            .and_then(|()| disk.flush())
            .with_context(|| format!("writing {}", self.file().1))
    }

    /// What the kernel of a slot would be told, read where the boot loader reads it.
    ///
    /// # Errors
    ///
    /// Fails if the slot has no kernel, or its command line is not one of ours.
    pub fn cmdline(self, disk: &impl BlockDevice, table: &Table, slot: Slot) -> Result<Cmdline> {
        let number = match self {
            Self::RaspberryPi => u32::from(boot_partition(slot)),
            Self::SystemdBoot | Self::UBoot => gpt::ESP.into(),
        };
        let extent = table.partition(number).context("the boot partition is missing")?.extent;
        let volume = Volume::open(disk, extent)?;
        let bytes = match self {
            Self::RaspberryPi => {
                let found = volume.find("cmdline.txt")?;
                let found = found.with_context(|| format!("slot {slot} has no cmdline.txt"))?;
                volume.read(found, CMDLINE_LIMIT)?
            }
            Self::SystemdBoot => {
                let found = volume.find(&format!("EFI/Linux/{}", entry(slot)))?;
                let found = found.with_context(|| format!("slot {slot} has no {}", entry(slot)))?;
                let read = |offset, length| volume.read_range(found, offset, length);
                super::uki::section(read, ".cmdline", CMDLINE_LIMIT)?
                    .with_context(|| format!("{} has no command line", entry(slot)))?
            }
            Self::UBoot => {
                let path = format!("{}/{}", label(slot), extlinux::LABEL);
                let found = volume.find(&path)?;
                let found = found.with_context(|| format!("slot {slot} has no {path}"))?;
                let text = volume.read(found, CMDLINE_LIMIT)?;
                let append = extlinux::append(&String::from_utf8_lossy(&text)).map(str::to_owned);
                append
                    .with_context(|| format!("{path} has no command line"))?
                    .into_bytes()
            }
        };
        Cmdline::parse(&String::from_utf8_lossy(&bytes))
            .with_context(|| format!("reading the command line of slot {slot}"))
    }
}

fn boot_partition(slot: Slot) -> u8 {
    match slot {
        Slot::A => mbr::BOOT_A,
        Slot::B => mbr::BOOT_B,
    }
}

/// The name of a slot's entry in systemd-boot's menu.
pub(super) fn entry(slot: Slot) -> &'static str {
    match slot {
        Slot::A => gpt::KERNEL_A,
        Slot::B => gpt::KERNEL_B,
    }
}

/// The label of a slot in U-Boot's menu.
fn label(slot: Slot) -> &'static str {
    match slot {
        Slot::A => extlinux::SLOT_A,
        Slot::B => extlinux::SLOT_B,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHAINS: [Chain; 3] = [Chain::RaspberryPi, Chain::SystemdBoot, Chain::UBoot];

    #[test]
    fn what_is_written_for_a_slot_starts_it_also_when_torn() {
        for chain in CHAINS {
            for slot in Slot::BOTH {
                let (new, old) = (chain.text(slot), chain.text(slot.other()));
                assert_eq!((chain.parse(&new), new.len()), (Some(slot), 512));
                for at in 0..512 {
                    for torn in [[&new[..at], &old[at..]].concat(), [&old[..at], &new[at..]].concat()] {
                        assert!(chain.parse(&torn).is_some(), "{}", String::from_utf8_lossy(&torn));
                    }
                }
            }
        }
    }

    #[test]
    fn filters_and_other_files_are_read_as_the_firmware_reads_them() {
        let pi = |text: &str| Chain::RaspberryPi.parse(text.as_bytes());
        assert_eq!(pi("boot_partition=2\n"), Some(Slot::A));
        assert_eq!(pi("[none]\nboot_partition=2\n[all]\nboot_partition=3\n"), Some(Slot::B));
        assert_eq!(pi("[tryboot]\nboot_partition=2\n"), None);
        assert_eq!(pi("boot_partition=7\n"), None);
        let efi = |text: &str| Chain::SystemdBoot.parse(text.as_bytes());
        assert_eq!(efi("default node-b.efi\ndefault\tnode-a.efi \n"), Some(Slot::A));
        assert_eq!(efi("defaultnode-a.efi\n"), None);
        assert_eq!(efi("default node-*\n"), None);
    }

    proptest! {
        #[test]
        fn any_file_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            for chain in CHAINS {
                let _ = chain.parse(&bytes);
            }
        }
    }
}
