//! An image to a card.
//!
//! Look first (`drives`, what will be lost), refuse what is in use, then write and read back (`write`).

/// Disks as the kernel describes them.
pub mod drives;

/// The image against its block map.
mod digests;

/// Images in whatever they are compressed.
pub mod image;

/// Burning around DATA.
pub mod keep;

/// A device, or a file in its place.
pub mod medium;

/// Burning with secrets.
pub mod secrets;

/// File systems by what they call themselves.
mod signature;

/// Threads in turns.
mod turns;

/// Who uses a disk.
mod users;

/// Writing and reading back.
pub mod write;

#[cfg(test)]
mod testing;

/// Bytes that are decompressed, written and read at once, at multiples of it: what cards erase at once is not larger.
pub const PIECE: u64 = 4 << 20;
/// The block with the partition table, which is written last: the MBR, and the header of a GPT.
const HEAD: u64 = 4096;
