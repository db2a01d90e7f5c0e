//! Stage 7: a composed tree to a disk image.

/// The squashfs writer.
pub mod squashfs;

#[cfg(test)]
mod testing;
