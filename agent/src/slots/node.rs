//! The slots of the machine that this runs on.

use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use computatom_spec::boot::extlinux;
use serde::Serialize;

use super::Slot;
use super::arm::{Arm, OneShot, Tryboot, Vcio};
use super::attempts;
use super::menu::Chain;
use super::state::{Pending, Place, State};
use super::update::Slots;
use super::verify::Verdict;
use crate::disk::table::Table;
use crate::init::cmdline::Cmdline;
use crate::root::Root;

/// Where the firmware's variables are.
const EFIVARS: &str = "/sys/firmware/efi/efivars";
/// Where the vendor's kernel has the way to the firmware.
const VCIO: &str = "/dev/vcio";

/// The disk that this system runs from.
#[derive(Debug)]
pub struct Node {
    disk: File,
    slots: Slots,
    root: Root,
}

/// What there is to say about the slots, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The slot that runs.
    pub running: String,
    /// The slot that starts, if the menu names one.
    pub committed: Option<String>,
    /// Boots in a row of slot A and of slot B that were not seen to go well, this one among them until it is.
    pub failed: [u32; 2],
    /// The update on trial.
    pub pending: Option<Trial>,
    /// Why the slot that does not run cannot be started; `null` if it can; not there if nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Option<String>>,
}

/// An update on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// Its slot.
    pub slot: String,
    /// Its version; empty if nobody said.
    pub version: String,
    /// Its root hash.
    pub root_hash: String,
    /// How far it is.
    pub state: Stage,
}

/// How far a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It begins with the next restart, unless the power fails before.
    Armed,
    /// It runs.
    Running,
    /// It was begun, and ended in a restart.
    Failed,
}

impl Node {
    /// Finds the disk with the root on the kernel's command line.
    ///
    /// # Errors
    ///
    /// Fails where the system was not started by our `/init`, or has no place for the state.
    pub fn open(root: &Root) -> Result<Self> {
        Self::find(root, open)
    }

    /// The same to be looked at often: nothing is written back and nothing can be written.
    ///
    /// # Errors
    ///
    /// As [`Node::open`].
    pub fn look(root: &Root) -> Result<Self> {
        Self::find(root, |path| Ok(File::open(path)?))
    }

    fn find(root: &Root, open: impl Fn(&Path) -> Result<File>) -> Result<Self> {
        let text = root.read("/proc/cmdline").context("reading the kernel command line")?;
        let cmdline = Cmdline::parse(&text.unwrap_or_default()).context("this is no system with slots")?;
        for name in root.list("/sys/block") {
            let path = root.path("/dev").join(&name);
            let Ok(disk) = open(&path) else { continue };
            let Ok(table) = Table::read(&disk) else { continue };
            let Some(number) = table.find(&cmdline.root) else {
                continue;
            };
            let chain = Chain::of(&table);
            let running = chain
                .slot_of_root(number)
                .with_context(|| format!("partition {number} is in no slot"))?;
            let place = Place::of(&table, cmdline.data).with_context(|| {
                format!(
                    "{} has no DATA, so nothing about slots can be remembered",
                    path.display()
                )
            })?;
            return Ok(Self {
                disk,
                slots: Slots {
                    table,
                    chain,
                    place,
                    running,
                },
                root: root.clone(),
            });
        }
        bail!("no disk has partition {}", cmdline.root)
    }

    /// What there is to say; `verify` reads the whole of the other slot, which takes a minute.
    ///
    /// # Errors
    ///
    /// Fails if the disk does.
    pub fn report(&self, verify: bool) -> Result<Report> {
        let state = State::read(&self.disk, self.slots.place)?;
        let menu = self.slots.chain.menu(&self.disk, &self.slots.table);
        let running = self.slots.running;
        Ok(Report {
            running: running.to_string(),
            committed: menu.ok().and_then(|menu| menu.slot).map(|slot| slot.to_string()),
            failed: state.failed,
            pending: state.pending.map(|pending| trial(pending, running)),
            other: if verify { Some(self.other()?) } else { None },
        })
    }

    fn other(&self) -> Result<Option<String>> {
        let Slots {
            table, chain, running, ..
        } = &self.slots;
        Ok(match attempts::verify_other(&self.disk, table, *chain, *running)? {
            Verdict::Sound => None,
            Verdict::Unsound(reason) => Some(reason),
        })
    }

    /// Arms one boot of the other slot.
    ///
    /// # Errors
    ///
    /// Fails if there is nothing to try, or the boot loader does not take it.
    pub fn try_other(&mut self, version: &str) -> Result<Slot> {
        let folder = self.root.path(EFIVARS);
        match self.slots.chain {
            Chain::RaspberryPi => {
                let arm = Vcio::open(&self.root.path(VCIO))?;
                self.slots.try_other(&mut self.disk, &mut Tryboot(arm), version)
            }
            Chain::UBoot => bail!(
                "U-Boot has no flag for a single boot, so this board has no trials: `default` in {} on its first partition \
                 names the slot that starts, and /init goes back to the other one after three boots that fail",
                extlinux::MENU
            ),
            Chain::SystemdBoot => {
                let mut arm = OneShot { folder: &folder };
                self.slots.try_other(&mut self.disk, &mut arm as &mut dyn Arm, version)
            }
        }
    }

    /// Makes the running slot the one that starts; says which, and whether anything changed.
    ///
    /// # Errors
    ///
    /// Fails if the disk does.
    pub fn commit(&mut self) -> Result<(Slot, bool)> {
        let changed = self.slots.commit(&mut self.disk)?;
        Ok((self.slots.running, changed))
    }

    /// Notes that this boot went well.
    ///
    /// # Errors
    ///
    /// Fails if the disk does.
    pub fn well(&mut self) -> Result<()> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        attempts::well(&mut self.disk, self.slots.place, self.slots.running, now)
    }
}

impl Report {
    /// The same for a screen: which slot runs, which one starts, what is on trial.
    pub fn sentence(&self) -> String {
        let running = &self.running;
        let trial = self.pending.as_ref().map(|trial| {
            let name = format!("{} {}", trial.slot, trial.version);
            let name = name.trim_end();
            match trial.state {
                Stage::Armed => format!("; {name} is tried by the next restart"),
                Stage::Running => ", on trial: a restart goes back".to_owned(),
                Stage::Failed => format!("; {name} was tried, and ended in a restart"),
            }
        });
        let starts = match &self.committed {
            Some(slot) if slot == running => format!("{running} runs and starts"),
            Some(slot) => format!("{running} runs, {slot} starts"),
            None => format!("{running} runs, and the menu names no slot: the next boot mends it"),
        };
        // The boot that runs counts as failed until it has gone well.
        let failed = self
            .failed
            .iter()
            .map(|count| count.saturating_sub(1))
            .max()
            .unwrap_or(0);
        let failed = match failed {
            0 => String::new(),
            1 => "; the boot before failed".to_owned(),
            count => format!("; {count} boots before failed"),
        };
        format!("{starts}{}{failed}", trial.unwrap_or_default())
    }
}

fn trial(pending: Pending, running: Slot) -> Trial {
    Trial {
        state: match (pending.begun, pending.slot == running) {
            (_, true) => Stage::Running,
            (0, false) => Stage::Armed,
            (_, false) => Stage::Failed,
        },
        slot: pending.slot.to_string(),
        version: pending.version,
        root_hash: pending.root_hash,
    }
}

/// Opens a disk, without what the kernel remembers of it: a boot partition may have been written through its own device.
#[allow(unsafe_code, reason = "an ioctl has no safe wrapper")]
fn open(path: &Path) -> Result<File> {
    /// `BLKFLSBUF`, `_IO(0x12, 97)` (`include/uapi/linux/fs.h`).
    const BLKFLSBUF: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(0x12, 97);
    let file = crate::init::machine::open(path)?;
    if file.metadata()?.file_type().is_block_device() {
        // SAFETY: BLKFLSBUF takes no argument and returns nothing but its status.
        unsafe { rustix::ioctl::ioctl(&file, rustix::ioctl::NoArg::<BLKFLSBUF>::new()) }
            .with_context(|| format!("writing back {}", path.display()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_says_what_runs_what_starts_and_what_is_tried() {
        let report = |running: &str, stage: Option<Stage>, failed| Report {
            running: running.to_owned(),
            committed: Some("a".to_owned()),
            failed,
            pending: stage.map(|state| Trial {
                slot: "b".to_owned(),
                version: "0.2.0".to_owned(),
                root_hash: String::new(),
                state,
            }),
            other: None,
        };
        for (report, sentence) in [
            (report("a", None, [1, 0]), "a runs and starts"),
            (report("a", None, [3, 0]), "a runs and starts; 2 boots before failed"),
            (
                report("a", Some(Stage::Armed), [0, 0]),
                "a runs and starts; b 0.2.0 is tried by the next restart",
            ),
            (
                report("b", Some(Stage::Running), [0, 1]),
                "b runs, a starts, on trial: a restart goes back",
            ),
            (
                report("a", Some(Stage::Failed), [2, 1]),
                "a runs and starts; b 0.2.0 was tried, and ended in a restart; the boot before failed",
            ),
        ] {
            assert_eq!(report.sentence(), sentence);
        }
    }
}
