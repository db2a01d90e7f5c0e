//! Trial and commit: the two steps that turn a slot which was written into the one that starts.
//!
//! Both are made of single sectors in an order in which the power may fail anywhere: the state says what is meant before
//! the boot loader is asked, and the menu is the moment of a commit.

use anyhow::{Context, Result, bail, ensure};

use super::Slot;
use super::arm::Arm;
use super::attempts::verify_other;
use super::menu::Chain;
use super::state::{Pending, Place, State};
use super::verify::Verdict;
use crate::disk::BlockDevice;
use crate::disk::table::Table;

/// Longest version that the state has room for.
const LONGEST_VERSION: usize = 64;

/// The slots of one disk.
#[derive(Clone, Debug)]
pub struct Slots {
    /// Its partition table.
    pub table: Table,
    /// How it is booted.
    pub chain: Chain,
    /// Where its state is.
    pub place: Place,
    /// The slot that runs.
    pub running: Slot,
}

impl Slots {
    /// The slot that the menu starts, else the one that the state remembers.
    ///
    /// # Errors
    ///
    /// Fails if neither says.
    pub fn committed(&self, disk: &impl BlockDevice) -> Result<Slot> {
        let menu = self.chain.menu(disk, &self.table)?;
        let state = State::read(disk, self.place)?;
        menu.slot
            .or(state.committed)
            .with_context(|| format!("{} names no slot: restart, which mends it", self.chain.file().1))
    }

    /// Verifies the slot that does not run, notes that it is on trial, and arms one boot of it.
    ///
    /// # Errors
    ///
    /// Fails if there is nothing to try, or the boot loader does not take it: then nothing has changed.
    pub fn try_other(&self, disk: &mut impl BlockDevice, arm: &mut dyn Arm, version: &str) -> Result<Slot> {
        ensure!(
            version.len() <= LONGEST_VERSION && version.bytes().all(|byte| byte.is_ascii_graphic()),
            "the version `{version}` is not at most {LONGEST_VERSION} printable characters"
        );
        let committed = self.committed(disk)?;
        let slot = committed.other();
        if self.running == slot {
            bail!("slot {slot} is on trial already: commit it, or restart to go back to slot {committed}");
        }
        if let Verdict::Unsound(reason) = verify_other(disk, &self.table, self.chain, committed)? {
            bail!("slot {slot} cannot be tried: {reason}");
        }
        let root_hash = self.chain.cmdline(disk, &self.table, slot)?.root_hash;
        let before = State::read(disk, self.place)?;
        let mut state = before.clone();
        state.committed = Some(committed);
        state.failed[slot.index()] = 0;
        state.pending = Some(Pending {
            slot,
            version: version.to_owned(),
            root_hash: hex::encode(root_hash),
            begun: 0,
        });
        state.write(disk, self.place)?;
        if let Err(error) = arm.arm(slot) {
            state.pending = before.pending;
            state.failed = before.failed;
            state.write(disk, self.place)?;
            return Err(error);
        }
        Ok(slot)
    }

    /// Makes the slot that runs the one that starts.
    ///
    /// # Errors
    ///
    /// Fails if the disk does.
    pub fn commit(&self, disk: &mut impl BlockDevice) -> Result<bool> {
        let menu = self.chain.menu(disk, &self.table)?;
        let changed = menu.slot != Some(self.running) || !menu.exact;
        if changed {
            self.chain.choose(disk, menu, self.running)?;
        }
        let mut state = State::read(disk, self.place)?;
        let before = state.clone();
        state.committed = Some(self.running);
        state.failed[self.running.index()] = 0;
        state.pending = state.pending.filter(|pending| pending.slot != self.running);
        if state != before {
            state.write(disk, self.place)?;
        }
        Ok(changed)
    }
}
