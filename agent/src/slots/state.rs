//! What a node remembers about its slots and about making DATA: one sector of text, kept twice before DATA.
//!
//! It lies outside any file system, in the 4 MiB before DATA that belong to no partition, because `/init` needs it when
//! the root with all its tools does not verify, and because a sector is the largest thing that a card writes at once.
//! The two copies are written in turn: the newer whole one holds, so a torn write loses only what it was to say.
//! `docs/boot.md` shows the layout.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::Slot;
use crate::disk::crc::crc32;
use crate::disk::table::{Extent, Table};
use crate::disk::{BlockDevice, SECTOR, SECTOR_LENGTH};

/// How far before DATA the copies begin, in bytes: a megabyte apart, so that no erase block of a small card holds both.
pub const COPIES: [u64; 2] = [2 << 20, 1 << 20];
/// What before DATA must belong to nobody.
const RESERVED: u64 = 2 << 20;
const TITLE: &str = "computatom state 1";

/// The state; a node that has none yet has the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// How often it was written: tells the newer copy.
    pub number: u64,
    /// DATA's file system is being made: whatever is there now may go.
    pub formatting: bool,
    /// The slot that the boot menu names, to restore it when it is damaged.
    pub committed: Option<Slot>,
    /// Boots begun of each slot since its last one that went well: A, B.
    pub failed: [u32; 2],
    /// When a boot last went well, in seconds since 1970: the clock of a board without one does not go behind that.
    pub time: i64,
    /// An update on trial.
    pub pending: Option<Pending>,
}

/// A slot that was written and is to be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub slot: Slot,
    /// What its image calls itself; empty if nobody said.
    pub version: String,
    /// The dm-verity root hash it was written with; empty if nobody said.
    pub root_hash: String,
    /// Trial boots begun: 0 means that the trial was armed, and the power failed before it began.
    pub begun: u32,
}

/// Where the state of a disk is: the place of its DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(Extent);

impl Place {
    /// The place before partition `number`; `None` where there is no DATA, or another partition lies there.
    pub fn of(table: &Table, number: u32) -> Option<Self> {
        let data = table.partition(number)?.extent;
        let begin = data.start.checked_sub(RESERVED / SECTOR).filter(|begin| *begin > 0)?;
        let taken = |other: &crate::disk::table::Partition| {
            other.number != number && other.extent.start < data.start && other.extent.end() > begin
        };
        (!table.partitions().iter().any(taken)).then_some(Self(data))
    }

    /// The place before a DATA that is being made there.
    pub fn before(data: Extent) -> Self {
        Self(data)
    }

    fn copy(self, index: usize) -> u64 {
        self.0.start * SECTOR - COPIES[index]
    }

    /// Forgets whatever is there, an earlier use of the card's among it; durable only after a flush.
    pub fn clear(self, disk: &mut impl BlockDevice) -> Result<()> {
        for index in 0..COPIES.len() {
            disk.write_at(&[0; SECTOR_LENGTH], self.copy(index))
                .context("clearing the state before DATA")?;
        }
        Ok(())
    }
}

impl State {
    /// Reads the newer whole copy; the default where there is none. One that cannot be read, as its sector is worn, is none:
    /// as it may have been the newer one, DATA is not taken for half made then.
    ///
    /// # Errors
    ///
    /// Fails if neither can be read.
    pub fn read(disk: &impl BlockDevice, place: Place) -> Result<Self> {
        let mut newest = Self::default();
        let mut errors = Vec::new();
        for index in 0..COPIES.len() {
            let mut sector = [0; SECTOR_LENGTH];
            if let Err(error) = disk.read_at(&mut sector, place.copy(index)) {
                errors.push(error);
            } else if let Some(state) = Self::parse(&sector).filter(|state| state.number > newest.number) {
                newest = state;
            }
        }
        newest.formatting &= errors.is_empty();
        match errors.pop() {
            Some(error) if errors.len() + 1 == COPIES.len() => Err(error).context("reading the state before DATA"),
            _ => Ok(newest),
        }
    }

    /// Writes it over the older copy, and over the newer one where that fails; it is durable when this returns.
    ///
    /// # Errors
    ///
    /// Fails if neither can be written.
    pub fn write(&mut self, disk: &mut impl BlockDevice, place: Place) -> Result<()> {
        self.number += 1;
        let sector = self.to_sector()?;
        let older = usize::from(self.number.is_multiple_of(2));
        let mut write = |index| disk.write_at(&sector, place.copy(index)).and_then(|()| disk.flush());
        write(older)
            .or_else(|_| write(1 - older))
            .context("writing the state before DATA")
    }

    /// Boots of a slot that failed in a row.
    pub fn failed(&self, slot: Slot) -> u32 {
        self.failed[slot.index()]
    }

    fn to_sector(&self) -> Result<[u8; SECTOR_LENGTH]> {
        let mut text = format!("{TITLE}\nnumber={}\n", self.number);
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            writeln!(text, "{name}={value}").expect("a string takes any text");
        };
        line("data", &if self.formatting { "formatting" } else { "made" });
        if let Some(slot) = self.committed {
            line("committed", &slot);
        }
        for slot in Slot::BOTH {
            line(&format!("failed.{slot}"), &self.failed(slot));
        }
        line("time", &self.time);
        if let Some(pending) = &self.pending {
            line("pending", &pending.slot);
            line("pending.version", &pending.version);
            line("pending.root", &pending.root_hash);
            line("pending.begun", &pending.begun);
        }
        let sum = crc32(text.as_bytes());
        writeln!(text, "crc32={sum:08x}").expect("a string takes any text");
        let mut sector = [b'\n'; SECTOR_LENGTH];
        let room = sector.get_mut(..text.len());
        room.context("the state does not fit into a sector: choose a shorter version")?
            .copy_from_slice(text.as_bytes());
        Ok(sector)
    }

    fn parse(sector: &[u8; SECTOR_LENGTH]) -> Option<Self> {
        let text = std::str::from_utf8(sector).ok()?;
        let (body, sum) = text.rsplit_once("crc32=")?;
        if sum.trim_end() != format!("{:08x}", crc32(body.as_bytes())) {
            return None;
        }
        let mut lines = body.lines();
        if lines.next()? != TITLE {
            return None;
        }
        let mut state = Self::default();
        for line in lines {
            // A later release may write more than this one knows.
            let (name, value) = line.split_once('=')?;
            let pending = state.pending.as_mut();
            match (name, pending) {
                ("number", _) => state.number = value.parse().ok()?,
                ("data", _) => state.formatting = value == "formatting",
                ("committed", _) => state.committed = Some(Slot::parse(value)?),
                ("failed.a", _) => state.failed[0] = value.parse().ok()?,
                ("failed.b", _) => state.failed[1] = value.parse().ok()?,
                ("time", _) => state.time = value.parse().ok()?,
                ("pending", _) => {
                    state.pending = Some(Pending {
                        slot: Slot::parse(value)?,
                        version: String::new(),
                        root_hash: String::new(),
                        begun: 0,
                    });
                }
                ("pending.version", Some(pending)) => value.clone_into(&mut pending.version),
                ("pending.root", Some(pending)) => value.clone_into(&mut pending.root_hash),
                ("pending.begun", Some(pending)) => pending.begun = value.parse().ok()?,
                _ => {}
            }
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::disk::memory::Memory;

    const PLACE: Place = Place(Extent {
        start: 8192,
        sectors: 8192,
    });

    fn sample() -> State {
        State {
            number: 0,
            formatting: false,
            committed: Some(Slot::A),
            failed: [1, 3],
            time: 1_760_000_000,
            pending: Some(Pending {
                slot: Slot::B,
                version: "0.2.0".to_owned(),
                root_hash: "5e".repeat(32),
                begun: 1,
            }),
        }
    }

    #[test]
    fn the_newer_copy_holds_and_a_torn_one_does_not() {
        let mut disk = Memory::new(8 << 20);
        assert_eq!(State::read(&disk, PLACE).unwrap(), State::default());
        let mut state = sample();
        state.write(&mut disk, PLACE).unwrap();
        let first = state.clone();
        assert_eq!(State::read(&disk, PLACE).unwrap(), first);
        state.failed = [0, 0];
        let before = disk.clone();
        state.write(&mut disk, PLACE).unwrap();
        assert_eq!(State::read(&disk, PLACE).unwrap(), state);
        for torn in 0..SECTOR_LENGTH {
            let mut cut = before.clone();
            let sector = state.to_sector().unwrap();
            cut.write_at(&sector[..torn], PLACE.copy(usize::from(state.number.is_multiple_of(2))))
                .unwrap();
            let read = State::read(&cut, PLACE).unwrap();
            assert!(read == first || read == state, "torn after {torn} bytes: {read:?}");
        }
    }

    #[test]
    fn one_worn_copy_is_no_copy_and_two_are_an_error() {
        for worn in 0..2 {
            let mut disk = Memory::new(8 << 20);
            let mut state = State {
                formatting: true,
                ..sample()
            };
            state.write(&mut disk, PLACE).unwrap();
            state.write(&mut disk, PLACE).unwrap();
            disk.worn = vec![PLACE.copy(worn)];
            let read = State::read(&disk, PLACE).unwrap();
            assert_eq!((read.failed, read.formatting), (state.failed, false));
            for failed in 2..5 {
                state.failed = [failed, 0];
                state.write(&mut disk, PLACE).unwrap();
                assert_eq!(State::read(&disk, PLACE).unwrap().failed, [failed, 0]);
            }
            disk.worn = vec![PLACE.copy(0), PLACE.copy(1)];
            assert!(State::read(&disk, PLACE).is_err() && state.write(&mut disk, PLACE).is_err());
        }
    }

    #[test]
    fn what_an_earlier_card_left_is_forgotten() {
        let mut disk = Memory::new(8 << 20);
        for _ in 0..3 {
            sample().write(&mut disk, PLACE).unwrap();
        }
        PLACE.clear(&mut disk).unwrap();
        assert_eq!(State::read(&disk, PLACE).unwrap(), State::default());
    }

    #[test]
    fn a_version_too_long_for_the_sector_is_refused() {
        let mut state = sample();
        state.pending.as_mut().unwrap().version = "x".repeat(400);
        let error = state.write(&mut Memory::new(8 << 20), PLACE).unwrap_err();
        assert!(format!("{error:#}").contains("shorter version"), "{error:#}");
    }

    proptest! {
        #[test]
        fn any_sector_is_read_without_panic(body in "(computatom state 1\n)?([a-z.]{0,20}=[a-z0-9]{0,12}\n){0,12}") {
            let mut sector = [b'\n'; SECTOR_LENGTH];
            let text = format!("{body}crc32={:08x}", crc32(body.as_bytes()));
            let length = text.len().min(SECTOR_LENGTH);
            sector[..length].copy_from_slice(&text.as_bytes()[..length]);
            let _ = State::parse(&sector);
        }

        #[test]
        fn what_is_written_is_read(number in 0..u64::MAX / 2, failed in any::<[u32; 2]>(), version in "[!-~]{0,64}") {
            let mut state = sample();
            state.number = number;
            state.failed = failed;
            state.pending.as_mut().unwrap().version = version;
            prop_assert_eq!(State::parse(&state.to_sector().unwrap()).unwrap(), state);
        }
    }
}
