//! DATA: made on the first boot, grown to a larger card, checked before every mount, never formatted over.

use anyhow::Result;

use super::machine::Machine;
use crate::disk::BlockDevice;
use crate::disk::table::{self, Change, Extent, Room, Table};
use crate::slots::state::{Place, State};

/// Its file system: made, checked, grown.
pub mod file_system;

/// `/var`: DATA, or memory in its place.
pub mod var;

/// DATA's partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// Its number.
    pub number: u32,
    /// Where it lies on the disk.
    pub extent: Extent,
    /// Where the state of this disk is, unless another partition lies there.
    pub state: Option<Place>,
}

/// Makes sure that partition `number` exists and reaches the end of the disk, and that the kernel knows.
///
/// Where there cannot be one, the reason is said, and answered, and the board goes on without.
///
/// # Errors
///
/// Fails if the disk does, or its table is damaged.
pub fn partition(machine: &mut impl Machine, number: u32, minimum: u64) -> Result<Result<Data, String>> {
    let mut disk = machine.disk()?;
    let room = table::ensure_data(&mut disk, number, minimum, |disk, extent| {
        let place = Place::before(extent);
        place.clear(disk)?;
        // What lies there from now on is a file system in the making, until it is made.
        let mut state = State {
            formatting: true,
            ..State::default()
        };
        state.write(disk, place)
    })?;
    let Room::Ready {
        extent,
        change,
        unreachable,
    } = room
    else {
        let Room::None(reason) = room else {
            unreachable!("there are two")
        };
        return Ok(Err(reason));
    };
    if change != Change::None {
        machine.say(if change == Change::Added {
            "made the DATA partition"
        } else {
            "grew the DATA partition"
        });
        machine.reread_partitions()?;
    }
    if unreachable > 0 {
        machine.say(&format!(
            "the card has {} GB more than an MBR can name (2 TiB): they are left unused",
            unreachable / 1_000_000_000
        ));
    }
    if disk.read_only()? {
        return Ok(Err(table::READ_ONLY.to_owned()));
    }
    let state = Place::of(&Table::read(&disk)?, number);
    Ok(Ok(Data { number, extent, state }))
}
