//! What `/init` does about slots before it mounts a root: it counts, mends the menu, and gives up on a slot that fails.
//!
//! A boot has failed unless the agent says that it went well ([`well`]). After [`LIMIT`] such boots of the committed slot
//! the other one becomes it, if all of it verifies; without such a slot the board goes on with the one it has as long as
//! that verifies, and else stands still. Where nothing can be counted, that is decided at each boot. `docs/boot.md` has
//! the whole state machine.

use anyhow::{Context, Result};

use super::menu::{Chain, Menu};
use super::state::{Pending, Place, State};
use super::verify::{Verdict, verify};
use super::{LIMIT, Slot};
use crate::disk::BlockDevice;
use crate::disk::table::{READ_ONLY, Table};
use crate::init::cmdline::Cmdline;
use crate::init::led::Pattern;
use crate::init::stop::Stop;

/// A boot that has begun, as far as slots are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Go on with this slot; what there is to say about it.
    Boot(Slot, Vec<String>),
    /// Go on with it, but without DATA: the disk takes no writes; why.
    WithoutData(Slot, Vec<String>, String),
    /// The other slot starts from now on: restart; why.
    Restart(String),
}

/// Counts this boot of the slot whose command line is `cmdline`, and decides whether it goes on.
///
/// # Errors
///
/// [`Stop`] if no slot verifies; others if the disk fails, or is not one of ours.
pub fn begin(disk: &mut impl BlockDevice, place: Option<Place>, cmdline: &Cmdline) -> Result<Begun> {
    let table = Table::read(disk)?;
    let chain = Chain::of(&table);
    let running = running(disk, &table, chain, cmdline)?;
    let Some(place) = place.filter(|_| !disk.read_only().unwrap_or(true)) else {
        return uncounted(disk, &table, chain, running, cmdline, Vec::new());
    };
    let mut said = Vec::new();
    let mut state = match State::read(disk, place) {
        Ok(state) => state,
        Err(error) => {
            said.push(format!("this boot is not counted: {error:#}"));
            return uncounted(disk, &table, chain, running, cmdline, said);
        }
    };
    let menu = chain.menu(disk, &table);
    let named = menu.as_ref().ok().and_then(|menu| menu.slot);
    // The menu is what boot loaders go by; the state's copy stands in for a damaged one.
    let committed = named.or(state.committed).unwrap_or(running);
    settle(&mut state, running, committed);
    match menu.and_then(|menu| mend(disk, chain, menu, committed)) {
        Ok(true) => said.push(format!("mended {}: slot {committed} starts", chain.file().1)),
        Ok(false) => {}
        Err(error) => said.push(format!("the boot menu is not mended: {error:#}")),
    }
    let failed = state.failed(running);
    // A trial is over with the next restart, whatever comes of it.
    if failed >= LIMIT && state.pending.as_ref().is_none_or(|pending| pending.slot != running) {
        let why = if running == committed {
            if let Some(reason) = give_up(disk, &table, chain, &mut state, place, running)? {
                return Ok(Begun::Restart(reason));
            }
            format!("slot {} is no other system that does", running.other())
        } else {
            disobeyed(chain, committed)
        };
        said.push(sound_at_least(disk, &table, cmdline, running, failed, &why)?);
    }
    state.failed[running.index()] = failed.saturating_add(1);
    if let Err(error) = state.write(disk, place) {
        let why = format!("{error:#}");
        said.push(format!("this boot is not counted: {why}"));
        return Ok(match uncounted(disk, &table, chain, running, cmdline, said)? {
            Begun::Boot(slot, said) => Begun::WithoutData(slot, said, why),
            begun => begun,
        });
    }
    if table.find(&cmdline.root).is_none() {
        return Ok(Begun::Restart(format!(
            "slot {running} is missing: there is no partition {}; after {LIMIT} such boots slot {} starts if it verifies; \
             burn the card again, or restore its partition table",
            cmdline.root,
            running.other()
        )));
    }
    Ok(Begun::Boot(running, said))
}

/// The slot that was started: the one with the root, and where that is missing the one with this command line.
fn running(disk: &impl BlockDevice, table: &Table, chain: Chain, cmdline: &Cmdline) -> Result<Slot> {
    let Some(number) = table.find(&cmdline.root) else {
        let started = chain.started(disk, table, cmdline);
        return started.with_context(|| format!("there is no partition {}, and no slot that names it", cmdline.root));
    };
    chain.slot_of_root(number).ok_or_else(|| {
        Stop::because(format!(
            "the root is partition {number}, which is no slot's: burn the card again, or give the partitions their old \
             numbers ({} and {} are the slots)",
            chain.root(Slot::A),
            chain.root(Slot::B)
        ))
    })
}

/// What there is to say of a slot that has failed often and goes on, as no other starts (`why`); rotten, it ends here.
fn sound_at_least(
    disk: &impl BlockDevice,
    table: &Table,
    cmdline: &Cmdline,
    running: Slot,
    failed: u32,
    why: &str,
) -> Result<String> {
    match verify_slot(disk, table, cmdline)? {
        Verdict::Sound => Ok(format!(
            "slot {running} verifies but did not come up well {failed} times, and {why}"
        )),
        Verdict::Unsound(reason) => Err(Stop::showing(
            Pattern::NoSlot,
            format!(
                "slot {running} has failed {failed} times and does not verify ({reason}), and {why}: burn the card again, \
                 or replace it"
            ),
        )),
    }
}

/// Why the slot that the menu names is no way out, if it is not the one that runs.
fn disobeyed(chain: Chain, named: Slot) -> String {
    format!(
        "the boot loader did not start slot {named}, which {} names",
        chain.file().1
    )
}

/// What becomes of a boot that cannot be counted: nothing would ever end a slot that fails again and again, so all of it
/// is read before it is started.
fn uncounted(
    disk: &mut impl BlockDevice,
    table: &Table,
    chain: Chain,
    running: Slot,
    cmdline: &Cmdline,
    said: Vec<String>,
) -> Result<Begun> {
    let other = running.other();
    let Verdict::Unsound(reason) = verify_slot(disk, table, cmdline)? else {
        return Ok(Begun::Boot(running, said));
    };
    // A menu that names the other slot already has not helped, unless this was started once, by a person or for a trial.
    let named = chain.menu(disk, table).ok().and_then(|menu| menu.slot);
    let why = if disk.read_only().unwrap_or(true) {
        READ_ONLY.to_owned()
    } else if named == Some(other) {
        format!(
            "{}; if it was told so for this boot alone, switch the board off and on",
            disobeyed(chain, other)
        )
    } else if chain == Chain::RaspberryPi && table.find(&cmdline.root).is_none() {
        // Logical partitions have no gaps: what is behind the one that is lost is lost, or has its number.
        "the chain of partitions is torn, and the menu is left as it is".to_owned()
    } else {
        match start_other(disk, table, chain, running)? {
            Verdict::Sound => {
                return Ok(Begun::Restart(format!(
                    "slot {running} does not verify ({reason}), slot {other} does and starts from now on"
                )));
            }
            Verdict::Unsound(why) => why,
        }
    };
    Err(Stop::showing(
        Pattern::NoSlot,
        format!(
            "slot {running} does not verify ({reason}), and slot {other} cannot take its place ({why}): burn the card \
             again, or replace it"
        ),
    ))
}

/// Makes the other slot the one that starts, if it is another system and verifies; else says why not.
fn start_other(disk: &mut impl BlockDevice, table: &Table, chain: Chain, running: Slot) -> Result<Verdict> {
    let verdict = verify_other(disk, table, chain, running)?;
    if verdict != Verdict::Sound {
        return Ok(verdict);
    }
    let menu = chain.menu(disk, table);
    Ok(match menu.and_then(|menu| chain.choose(disk, menu, running.other())) {
        Ok(()) => Verdict::Sound,
        Err(error) => Verdict::Unsound(format!("{error:#}")),
    })
}

/// Writes a menu anew that is not as we write it; says whether it was so.
fn mend(disk: &mut impl BlockDevice, chain: Chain, menu: Menu, committed: Slot) -> Result<bool> {
    if !menu.exact {
        chain.choose(disk, menu, committed)?;
    }
    Ok(!menu.exact)
}

/// Notes what the menu has become, and that a trial begins.
fn settle(state: &mut State, running: Slot, committed: Slot) {
    state.committed = Some(committed);
    state.pending = state.pending.take().and_then(|pending| match pending {
        // The menu was written, and the power failed before the state was.
        Pending { slot, .. } if slot == committed => None,
        Pending { slot, begun, .. } if slot == running => Some(Pending {
            begun: begun.saturating_add(1),
            ..pending
        }),
        waiting => Some(waiting),
    });
}

/// Makes the other slot the committed one, if it is another system, verifies and has not failed as often.
fn give_up(
    disk: &mut impl BlockDevice,
    table: &Table,
    chain: Chain,
    state: &mut State,
    place: Place,
    running: Slot,
) -> Result<Option<String>> {
    let other = running.other();
    if state.failed(other) >= LIMIT || start_other(disk, table, chain, running)? != Verdict::Sound {
        return Ok(None);
    }
    state.committed = Some(other);
    state.pending = None;
    state.write(disk, place)?;
    Ok(Some(format!(
        "slot {running} has failed {} times, slot {other} verifies and starts from now on",
        state.failed(running)
    )))
}

/// Whether the slot that does not run holds a system of its own, and all of it is as it was written.
///
/// # Errors
///
/// Fails for want of memory.
pub fn verify_other(disk: &impl BlockDevice, table: &Table, chain: Chain, running: Slot) -> Result<Verdict> {
    let other = running.other();
    let cmdline = match chain.cmdline(disk, table, other) {
        Ok(cmdline) => cmdline,
        Err(error) => return Ok(Verdict::Unsound(format!("{error:#}"))),
    };
    // On a fresh card both kernels start the only root there is. One that was lost has no number.
    let number = table.find(&cmdline.root);
    if number.is_some_and(|number| number != chain.root(other)) {
        return Ok(Verdict::Unsound(format!("slot {other} has no root of its own yet")));
    }
    verify_slot(disk, table, &cmdline)
}

fn verify_slot(disk: &impl BlockDevice, table: &Table, cmdline: &Cmdline) -> Result<Verdict> {
    let partition = table.find(&cmdline.root).and_then(|number| table.partition(number));
    let Some(partition) = partition else {
        return Ok(Verdict::Unsound(format!("there is no partition {}", cmdline.root)));
    };
    verify(disk, partition.extent, &cmdline.root_hash)
}

/// Notes that this boot of a slot went well, `now` in seconds since 1970. Written once a boot.
///
/// # Errors
///
/// Fails if the disk does.
pub fn well(disk: &mut impl BlockDevice, place: Place, running: Slot, now: i64) -> Result<()> {
    let mut state = State::read(disk, place)?;
    if state.failed(running) > 0 {
        state.failed[running.index()] = 0;
        state.time = state.time.max(now);
        state.write(disk, place)?;
    }
    Ok(())
}
