//! Stage 7: a composed tree to a disk image.

/// What happens to a composed tree before it becomes the root.
pub mod rootfs;

/// The squashfs writer.
pub mod squashfs;

/// The partition table.
pub mod partitions;

/// FAT file systems inside an image.
pub mod fat;

/// The initramfs.
pub mod initramfs;

/// The boards an image can be for.
pub mod boards;

/// The boot model: what a board's firmware would start.
pub mod firmware;

#[cfg(test)]
mod testing;
