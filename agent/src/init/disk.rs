//! A disk as `/init` sees it: bytes at offsets, and a barrier.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Size of a sector: the unit of partition tables on SD cards and disks alike, and of an atomic write.
pub const SECTOR: u64 = 512;
/// The same, as the length of a buffer.
pub const SECTOR_LENGTH: usize = 512;

/// What partitioning and DATA need of a disk; a test's disk can lose its power after any write.
pub trait BlockDevice {
    /// Size in bytes.
    fn size(&self) -> io::Result<u64>;

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

/// A disk in memory whose power fails after a given number of writes.
#[cfg(test)]
pub(crate) mod memory {
    use super::{BlockDevice, io};

    #[derive(Clone, Debug)]
    pub(crate) struct Memory {
        pub(crate) bytes: Vec<u8>,
        pub(crate) writes_left: usize,
    }

    impl Memory {
        pub(crate) fn new(size: usize) -> Self {
            Self {
                bytes: vec![0; size],
                writes_left: usize::MAX,
            }
        }
    }

    impl BlockDevice for Memory {
        fn size(&self) -> io::Result<u64> {
            Ok(self.bytes.len() as u64)
        }

        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let part = self
                .bytes
                .get(start..start + buffer.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(part);
            Ok(())
        }

        fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
            if self.writes_left == 0 {
                return Err(io::Error::other("power cut"));
            }
            self.writes_left -= 1;
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let part = self
                .bytes
                .get_mut(start..start + bytes.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            part.copy_from_slice(bytes);
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
