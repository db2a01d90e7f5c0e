//! Cards in memory.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::testing::program;
use super::card::Card;
use super::eeprom::Eeprom;
use super::models::Board;
use super::start::{Firmware, Flags, Outcome};

/// Boot partitions and their files.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory(pub(super) BTreeMap<u8, BTreeMap<String, Bytes>>);

impl Memory {
    /// As `build` lays a card out.
    pub(super) fn fresh() -> Self {
        let mut card = Self::default();
        card.put(
            1,
            "autoboot.txt",
            "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n",
        );
        card.put(1, "bootcode.bin", "x");
        for slot in [2, 3] {
            card.put(
                slot,
                "config.txt",
                "arm_64bit=1\nupstream_kernel=1\nkernel=kernel8.img\ninitramfs initramfs.img followkernel\n\
                 kernel_watchdog_timeout=60\nkernel_watchdog_partition=3\n",
            );
            for name in ["start.elf", "start4.elf"] {
                card.0
                    .entry(slot)
                    .or_default()
                    .insert(name.to_owned(), program(name).into());
            }
            for name in [
                "kernel8.img",
                "initramfs.img",
                "bcm2837-rpi-3-b.dtb",
                "bcm2837-rpi-3-b-plus.dtb",
                "bcm2837-rpi-zero-2-w.dtb",
                "bcm2711-rpi-4-b.dtb",
                "bcm2712-rpi-5-b.dtb",
            ] {
                card.put(slot, name, "x");
            }
            card.put(
                slot,
                "cmdline.txt",
                &format!("root=PARTUUID=c0de0042-0{} quiet\n", slot + 3),
            );
        }
        card
    }

    pub(super) fn put(&mut self, partition: u8, name: &str, content: &str) {
        let content = Bytes::copy_from_slice(content.as_bytes());
        self.0.entry(partition).or_default().insert(name.to_owned(), content);
    }

    pub(super) fn with(mut self, partition: u8, name: &str, content: &str) -> Self {
        self.put(partition, name, content);
        self
    }

    pub(super) fn without(mut self, partition: u8, name: &str) -> Self {
        self.0.entry(partition).or_default().remove(name).expect("it was there");
        self
    }
}

impl Card for Memory {
    fn volumes(&self) -> Vec<u8> {
        self.0.keys().copied().collect()
    }

    fn files(&self, partition: u8) -> Vec<String> {
        self.0[&partition].keys().cloned().collect()
    }

    fn read(&self, partition: u8, path: &str) -> Option<Bytes> {
        let files = self.0.get(&partition)?.iter();
        let mut found = files.filter(|(name, _)| name.eq_ignore_ascii_case(path));
        Some(found.next()?.1.clone())
    }

    fn partition_of(&self, partuuid: &str) -> Option<u8> {
        partuuid
            .strip_prefix("c0de0042-")?
            .parse()
            .ok()
            .filter(|number| (1..8).contains(number))
    }
}

pub(super) fn eeprom(date: &str) -> Eeprom {
    Eeprom::of(date.parse().unwrap())
}

pub(super) fn pi4<'a>(card: &'a impl Card, date: &str) -> Firmware<'a, impl Card> {
    Firmware::new(card, Board::Pi4, eeprom(date))
}

/// Partition and tryboot, as `/proc/device-tree/chosen/bootloader` has them.
pub(super) fn seen(outcome: &Outcome) -> (u8, bool) {
    let taken = outcome.selection().unwrap_or_else(|| panic!("{}", outcome.reason()));
    (taken.partition, taken.tryboot)
}

pub(super) const TRIAL: Flags = Flags {
    tryboot: true,
    partition: 0,
};
pub(super) const NEW: &str = "2026-05-17";
pub(super) const A: (u8, bool) = (2, false);
pub(super) const B_ON_TRIAL: (u8, bool) = (3, true);
