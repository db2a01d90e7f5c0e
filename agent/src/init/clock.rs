//! A clock that never runs backwards: boards without one start in 1970.
//!
//! Certificates, Nomad's garbage collection and e2fsck all misjudge a clock that is behind what is written on DATA.
//! systemd-timesyncd goes on from here once a time server answers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use super::console;
use super::disk::BlockDevice;

/// Offset of the ext4 superblock, and in it of `s_mtime` and `s_wtime` (`Documentation/filesystems/ext4/super.rst`).
const SUPERBLOCK: u64 = 1024;
const LAST_MOUNT: usize = 0x2c;
const LAST_WRITE: usize = 0x30;

/// Sets the clock to the build time of the image at `sysroot` if it stands before that (`/usr/lib/clock-epoch`, as
/// systemd reads it too).
pub fn not_before_image(sysroot: &Path) {
    if let Ok(metadata) = std::fs::metadata(sysroot.join("usr/lib/clock-epoch")) {
        not_before(metadata.mtime());
    }
}

/// Sets the clock to the last time DATA was mounted or written, if it stands before that.
pub fn not_before_last_write(data: &impl BlockDevice) {
    let mut superblock = [0; 64];
    if data.read_at(&mut superblock, SUPERBLOCK).is_ok() {
        not_before(last_use(&superblock));
    }
}

fn last_use(superblock: &[u8; 64]) -> i64 {
    let seconds = |at: usize| u32::from_le_bytes(superblock[at..at + 4].try_into().expect("four bytes"));
    i64::from(seconds(LAST_MOUNT).max(seconds(LAST_WRITE)))
}

fn not_before(seconds: i64) {
    if clock_gettime(ClockId::Realtime).tv_sec >= seconds {
        return;
    }
    if let Err(error) = clock_settime(
        ClockId::Realtime,
        Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        },
    ) {
        console::say(&format!("cannot set the clock: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_of_mount_and_write_counts() {
        let mut superblock = [0; 64];
        superblock[LAST_MOUNT..LAST_MOUNT + 4].copy_from_slice(&7_u32.to_le_bytes());
        superblock[LAST_WRITE..LAST_WRITE + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        assert_eq!(last_use(&superblock), 0xffff_fff0);
    }
}
