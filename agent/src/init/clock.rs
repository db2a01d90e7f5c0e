//! A clock that never runs backwards: boards without one start in 1970.
//!
//! Certificates, Nomad's garbage collection and e2fsck all misjudge a clock that is behind what is written on DATA.
//! systemd-timesyncd goes on from here once a time server answers.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};

use super::console;

/// Sets the clock to the build time of the image at `sysroot` if it stands before that (`/usr/lib/clock-epoch`, as
/// systemd reads it too).
pub fn not_before_image(sysroot: &Path) {
    if let Ok(metadata) = std::fs::metadata(sysroot.join("usr/lib/clock-epoch")) {
        not_before(metadata.mtime());
    }
}

/// Sets the clock to `seconds` since 1970 if it stands before that.
pub fn not_before(seconds: i64) {
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
