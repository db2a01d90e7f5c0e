//! What is burned: a block device, or a file in its place.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{Advice, FallocateFlags, OFlags};
use rustix::ioctl::{NoArg, Opcode, opcode};

use super::PIECE;
use crate::direct::{Buffer, PAGE};
use crate::{bail_input, input_error};

/// `BLKRRPART` and `BLKFLSBUF`, `_IO(0x12, 95)` and `_IO(0x12, 97)` (`include/uapi/linux/fs.h`).
const BLKRRPART: Opcode = opcode::none(0x12, 95);
const BLKFLSBUF: Opcode = opcode::none(0x12, 97);

/// Bytes at places: all that burning needs of a card.
pub trait Medium: Sync + Debug {
    /// What it is called in messages.
    fn name(&self) -> &str;

    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Writes `bytes` at `at`; they are on the medium only after [`Medium::sync`].
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes a range read as zeros.
    fn zero(&self, range: Range<u64>) -> io::Result<()>;

    /// Fills `buffer` from `at`.
    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// Waits until all that was written is on the medium.
    fn sync(&self) -> io::Result<()>;

    /// Makes sure that what is read next comes from the medium, not from memory.
    fn forget(&self) -> io::Result<()>;

    /// Makes the kernel look at the partition table again; whether it did.
    fn reread_table(&self) -> bool;
}

/// An opened device or file.
#[derive(Debug)]
pub struct Opened {
    file: File,
    name: String,
    size: u64,
    device: bool,
    /// Transfers bypass the page cache.
    direct: bool,
    /// Size of a block of the device: what direct transfers are multiples of.
    block: usize,
}

impl Opened {
    /// Opens a block device, nobody else having it, or a regular file.
    ///
    /// # Errors
    ///
    /// Wrong input is what cannot be burned: in use, write-protected, or something else than these two.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let kind = std::fs::metadata(path)
            .with_context(|| format!("looking at {name}"))?
            .file_type();
        let device = kind.is_block_device();
        if !device && !kind.is_file() {
            bail_input!("{name} is neither a block device nor a file: name the card, such as /dev/sdX");
        }
        // The kernel gives a block device exclusively only where neither it nor a partition of it is mounted or held.
        let exclusive = if device { OFlags::EXCL } else { OFlags::empty() };
        let open = |flags: OFlags| {
            let flags = i32::try_from(flags.bits()).map_err(|_| io::ErrorKind::InvalidInput)?;
            File::options().read(true).write(true).custom_flags(flags).open(path)
        };
        let (file, direct) = match open(exclusive | OFlags::DIRECT) {
            Ok(file) => (file, true),
            // Some file systems have no direct transfers.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                (open(exclusive).map_err(|error| refusal(&name, device, error))?, false)
            }
            Err(error) => return Err(refusal(&name, device, error)),
        };
        let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0)).with_context(|| format!("measuring {name}"))?;
        let block = if device {
            rustix::fs::ioctl_blksszget(&file).with_context(|| format!("asking {name} for the size of its blocks"))?
        } else {
            // File systems want multiples of their device's, which is not larger than a page.
            u32::try_from(PAGE).unwrap_or(u32::MAX)
        };
        Ok(Self {
            file,
            name,
            size,
            device,
            direct,
            block: usize::try_from(block)?.max(1),
        })
    }

    /// Makes an empty file as large as the image.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be made so large.
    pub fn fit(&mut self, size: u64) -> Result<()> {
        if !self.device && self.size == 0 {
            self.file
                .set_len(size)
                .with_context(|| format!("making {} as large as the image ({size} bytes)", self.name))?;
            self.size = size;
        }
        Ok(())
    }

    /// The file, for those who look at what is there now.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// How much of `length` bytes can go directly: whole blocks.
    fn whole(&self, length: usize) -> usize {
        if self.direct {
            length - length % self.block
        } else {
            length
        }
    }

    /// Does what direct transfers cannot: the last bytes of an image that is no multiple of blocks.
    fn buffered(&self, transfer: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&self.file)?;
        rustix::fs::fcntl_setfl(&self.file, flags - OFlags::DIRECT)?;
        let done = transfer();
        rustix::fs::fcntl_setfl(&self.file, flags)?;
        done
    }

    #[allow(unsafe_code, reason = "an ioctl has no safe wrapper")]
    fn ask<const REQUEST: Opcode>(&self) -> io::Result<()> {
        // SAFETY: both requests of this file that are asked for so take no argument, and touch no memory of ours.
        Ok(unsafe { rustix::ioctl::ioctl(&self.file, NoArg::<REQUEST>::new()) }?)
    }
}

fn refusal(name: &str, device: bool, error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::ResourceBusy => {
            input_error!("{name} is in use: unmount what is on it (`lsblk {name}` shows it), and close what has it open")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            input_error!("{name} is write-protected: move the switch of the card or its adapter, or take another")
        }
        io::ErrorKind::PermissionDenied if device => anyhow::Error::new(error).context(format!(
            "opening {name}: it takes root, or membership in the group of the device (`ls -l {name}`): run this with sudo"
        )),
        _ => anyhow::Error::new(error).context(format!("opening {name}")),
    }
}

impl Medium for Opened {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let (whole, rest) = bytes.split_at(self.whole(bytes.len()));
        if !whole.is_empty() {
            self.file.write_all_at(whole, at)?;
        }
        if !rest.is_empty() {
            self.buffered(|| self.file.write_all_at(rest, at + whole.len() as u64))?;
        }
        if !self.direct {
            // Else memory fills up with what the card has yet to take, and the progress shown is that of memory.
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        let length = range.end - range.start;
        // The kernel has the device do it where it can, and else writes zeros.
        let done = rustix::fs::fallocate(
            &self.file,
            FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
            range.start,
            length,
        );
        if done.is_ok() {
            return Ok(());
        }
        let zeros = Buffer::new(usize::try_from(length.min(PIECE)).map_err(io::Error::other)?);
        let mut at = range.start;
        while at < range.end {
            let part = usize::try_from((range.end - at).min(PIECE)).map_err(io::Error::other)?;
            self.write(&zeros.bytes()[..part], at)?;
            at += part as u64;
        }
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let (whole, rest) = buffer.split_at_mut(self.whole(buffer.len()));
        if !whole.is_empty() {
            self.file.read_exact_at(whole, at)?;
        }
        if !rest.is_empty() {
            let behind = at + whole.len() as u64;
            self.buffered(|| self.file.read_exact_at(rest, behind))?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget(&self) -> io::Result<()> {
        if self.device {
            // It takes a right that the group of the device does not give; direct transfers need no such thing.
            let _ = self.ask::<BLKFLSBUF>();
        }
        Ok(rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    fn reread_table(&self) -> bool {
        !self.device || self.ask::<BLKRRPART>().is_ok()
    }
}
