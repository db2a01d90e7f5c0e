//! Which disk of this machine holds the root: the one whose partition table has the partition on the command line, else
//! the one whose boot files have that command line.
//!
//! The table is read by us and not by the kernel, which finds no logical partition behind a torn sector that the next
//! step mends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cmdline::Cmdline;
use super::console;
use super::machine;
use super::stop::Stop;
use crate::disk::table::Table;
use crate::slots::menu::Chain;

/// How long a card may take to appear; a USB disk behind a hub needs some seconds.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the disk that the firmware booted from is waited for when another one is there.
const PATIENCE_FOR_FIRMWARE_DISK: Duration = Duration::from_secs(10);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The disk that holds the root, or has lost it.
#[derive(Clone, Debug)]
pub struct RootDisk {
    /// Kernel name (`mmcblk0`).
    name: String,
}

impl RootDisk {
    /// Waits until a disk with the root of this command line is there; where none comes, the one that the kernel was
    /// loaded from is it, and its slot is missing.
    ///
    /// Two such disks are two burned from one image: the one that the firmware booted from is taken where it says so,
    /// else neither, because the wrong one has another node's data.
    pub fn wait(cmdline: &Cmdline) -> Result<Self> {
        let root = &cmdline.root;
        let began = Instant::now();
        let kind = firmware_disk(Path::new("/proc/device-tree/chosen/bootloader/boot-mode"));
        let mut said = false;
        loop {
            let mut found = find(|_, table| table.find(root).is_some())?;
            let waited = began.elapsed();
            if found.is_empty() && waited > PATIENCE {
                found = find(|disk, table| Chain::of(table).started(disk, table, cmdline).is_some())?;
            }
            match choose(&found, kind) {
                Choice::One(name) => return Ok(Self { name }),
                // The firmware's own disk may be slower to appear than another of the same image.
                Choice::OfOtherKind(name) if waited > PATIENCE_FOR_FIRMWARE_DISK => return Ok(Self { name }),
                Choice::Several if waited > PATIENCE_FOR_FIRMWARE_DISK => {
                    return Err(Stop::because(format!(
                        "{} disks have partition {root}: {}; they were burned from one image, so leave only one of \
                         them in this board",
                        found.len(),
                        found.join(" ")
                    )));
                }
                _ => {}
            }
            if waited > PATIENCE {
                // No slot's fault that could be counted, and a trial whose kernel has no driver ends with a restart.
                bail!(
                    "no disk with partition {root} appeared within {} s; disks seen: {}; check its plug and its power, or \
                     burn it again",
                    PATIENCE.as_secs(),
                    names()?.join(" ")
                );
            }
            if !said && waited > Duration::from_secs(5) {
                console::say(&format!("waiting for the disk with partition {root}"));
                said = true;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Opens the whole disk for reading and writing, or for reading where it refuses more.
    pub fn open(&self) -> Result<File> {
        machine::open(&Path::new("/dev").join(&self.name))
    }

    /// The device node of a partition, found by the number sysfs gives it.
    pub fn partition(&self, number: u32) -> Result<PathBuf> {
        let folder = Path::new("/sys/block").join(&self.name);
        for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
            let entry = entry?;
            let found = fs::read_to_string(entry.path().join("partition"))
                .ok()
                .and_then(|text| text.trim().parse().ok());
            if found == Some(number) {
                return Ok(Path::new("/dev").join(entry.file_name()));
            }
        }
        bail!("disk {} has no partition {number}", self.name)
    }

    /// Lets the kernel read the partition table again; fails while a partition is in use.
    #[allow(unsafe_code, reason = "an ioctl has no safe wrapper")]
    pub fn reread_partitions(&self) -> Result<()> {
        /// `BLKRRPART`, `_IO(0x12, 95)` (`include/uapi/linux/fs.h`).
        const BLKRRPART: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(0x12, 95);
        let file = self.open()?;
        // SAFETY: BLKRRPART takes no argument and returns nothing but its status.
        unsafe { rustix::ioctl::ioctl(&file, rustix::ioctl::NoArg::<BLKRRPART>::new()) }
            .with_context(|| format!("reading the partition table of {} again", self.name))
    }
}

/// Kernel names of all disks that are it.
fn find(is_it: impl Fn(&File, &Table) -> bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for name in names()? {
        // A drive without a medium cannot be read: not the one.
        let Ok(file) = File::open(Path::new("/dev").join(&name)) else {
            continue;
        };
        if Table::read(&file).is_ok_and(|table| is_it(&file, &table)) {
            found.push(name);
        }
    }
    Ok(found)
}

/// Kernel names of all disks, in byte order.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/block").context("listing /sys/block")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Which of the disks that would do is the one.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// None yet.
    None,
    /// This one.
    One(String),
    /// The only one, but the firmware booted from another kind of disk.
    OfOtherKind(String),
    /// More than one, and nothing tells them apart.
    Several,
}

fn choose(found: &[String], kind: Option<&str>) -> Choice {
    let preferred: Vec<&String> = found
        .iter()
        .filter(|name| kind.is_none_or(|kind| name.starts_with(kind)))
        .collect();
    match (preferred.as_slice(), found) {
        ([one], _) => Choice::One((*one).clone()),
        ([], [one]) => Choice::OfOtherKind(one.clone()),
        ([], []) => Choice::None,
        _ => Choice::Several,
    }
}

/// How the names of the kind of disk begin that the firmware booted from: `boot-mode` in the device tree, with the
/// numbers of `BOOT_ORDER` (Raspberry Pi documentation, "Device Tree boot parameters"). `None` where it does not say.
fn firmware_disk(boot_mode: &Path) -> Option<&'static str> {
    let bytes: [u8; 4] = fs::read(boot_mode).ok()?.try_into().ok()?;
    match u32::from_be_bytes(bytes) {
        1 => Some("mmcblk"),
        4 | 5 => Some("sd"),
        6 => Some("nvme"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(found: &[&str], kind: Option<&str>) -> Choice {
        choose(&found.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), kind)
    }

    #[test]
    fn one_disk_is_taken_and_of_two_only_the_firmwares() {
        assert_eq!(choice(&[], None), Choice::None);
        assert_eq!(choice(&["mmcblk0"], None), Choice::One("mmcblk0".to_owned()));
        assert_eq!(choice(&["mmcblk0", "sda"], None), Choice::Several);
        assert_eq!(choice(&["mmcblk0", "sda"], Some("sd")), Choice::One("sda".to_owned()));
        assert_eq!(
            choice(&["mmcblk0"], Some("sd")),
            Choice::OfOtherKind("mmcblk0".to_owned())
        );
        assert_eq!(choice(&["mmcblk0", "sda", "sdb"], Some("sd")), Choice::Several);
        assert_eq!(choice(&["sda", "sdb"], Some("mmcblk")), Choice::Several);
    }

    #[test]
    fn the_firmware_says_in_big_endian_where_it_booted_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boot-mode");
        assert_eq!(firmware_disk(&path), None);
        for (mode, kind) in [(1_u32, Some("mmcblk")), (4, Some("sd")), (6, Some("nvme")), (2, None)] {
            fs::write(&path, mode.to_be_bytes()).unwrap();
            assert_eq!(firmware_disk(&path), kind);
        }
    }
}
