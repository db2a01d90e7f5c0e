//! Stage 7: a composed tree to a disk image.

/// The squashfs writer.
pub mod squashfs;

/// FAT file systems inside an image.
pub mod fat;

/// The partition table.
pub mod partitions;

#[cfg(test)]
mod testing;
