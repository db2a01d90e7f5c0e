//! A disk as `/init` and the slots see it: bytes at offsets, and a barrier.
//!
//! Everything that decides by bytes of a disk is written over [`BlockDevice`], so that it runs on a card, on a file and
//! on [`memory::Memory`], where the power can fail after any write.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};

/// A disk in memory, as large as one likes.
pub mod memory;

/// CRC-32 of partition tables and CRC-32C of ext4.
pub mod crc;

/// Partition tables: reading, mending, and making room for DATA.
pub mod table;

/// Size of a sector: the unit of partition tables on SD cards and disks alike, and of an atomic write.
pub const SECTOR: u64 = 512;
/// The same, as the length of a buffer.
pub const SECTOR_LENGTH: usize = 512;

/// What the partition table, DATA and the slots need of a disk.
pub trait BlockDevice {
    /// Size in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Whether writes are refused: cards have a switch for that, and worn ones lock themselves.
    fn read_only(&self) -> io::Result<bool>;

    /// Fills `buffer` from `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes `bytes` at `offset`; durable only after [`BlockDevice::flush`].
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// A barrier: everything written before is on the medium when this returns.
    fn flush(&mut self) -> io::Result<()>;
}

impl BlockDevice for File {
    fn size(&self) -> io::Result<u64> {
        use std::io::{Seek, SeekFrom};
        // A block device's metadata has no length; its end does.
        (&*self).seek(SeekFrom::End(0))
    }

    #[allow(unsafe_code, reason = "an ioctl has no safe wrapper")]
    fn read_only(&self) -> io::Result<bool> {
        /// `BLKROGET`, `_IO(0x12, 94)` (`include/uapi/linux/fs.h`); writes an `int`.
        const BLKROGET: rustix::ioctl::Opcode = rustix::ioctl::opcode::none(0x12, 94);
        if !self.metadata()?.file_type().is_block_device() {
            return Ok(false);
        }
        // SAFETY: BLKROGET writes one `int` and nothing else.
        let answer = unsafe { rustix::ioctl::ioctl(self, rustix::ioctl::Getter::<BLKROGET, i32>::new()) };
        Ok(answer? != 0)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
