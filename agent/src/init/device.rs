//! Which disk of this machine holds the root: the one whose MBR bears the signature on the command line.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cmdline::PartUuid;
use super::console;
use super::partition;

/// How long a card may take to appear; a USB disk behind a hub needs some seconds.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// The disk that holds the root.
#[derive(Clone, Debug)]
pub struct RootDisk {
    /// Kernel name (`mmcblk0`).
    name: String,
}

impl RootDisk {
    /// Waits until a disk with the signature of `root` and a partition of its number is there.
    pub fn wait(root: &PartUuid) -> Result<Self> {
        let began = Instant::now();
        let mut said = false;
        loop {
            if let Some(disk) = Self::find(root.disk_signature)?
                && disk.partition(root.partition).is_ok()
            {
                return Ok(disk);
            }
            let waited = began.elapsed();
            if waited > PATIENCE {
                bail!(
                    "no disk with signature {:08x} and partition {} appeared within {} s; disks seen: {}",
                    root.disk_signature,
                    root.partition,
                    PATIENCE.as_secs(),
                    names()?.join(" ")
                );
            }
            if !said && waited > Duration::from_secs(5) {
                console::say(&format!(
                    "waiting for the disk with signature {:08x}",
                    root.disk_signature
                ));
                said = true;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn find(signature: u32) -> Result<Option<Self>> {
        for name in names()? {
            // A drive without a medium cannot be read: not the one.
            let Ok(file) = File::open(Path::new("/dev").join(&name)) else {
                continue;
            };
            if partition::disk_signature(&file).ok().flatten() == Some(signature) {
                return Ok(Some(Self { name }));
            }
        }
        Ok(None)
    }

    /// Opens the whole disk for reading and writing.
    pub fn open(&self) -> Result<File> {
        let path = Path::new("/dev").join(&self.name);
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))
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

/// Kernel names of all disks, in byte order.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/block").context("listing /sys/block")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
