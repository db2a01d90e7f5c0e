//! `/var` of the root: DATA, or memory in its place, completed by what the image's own `/var` holds.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::mount::MountFlags;

use crate::init::skeleton;

/// Where it is mounted until the image's `/var` has been compared with it.
const MOUNT_POINT: &str = "/data";
/// What systemd-timesyncd touches as time goes by, in `/var` (systemd-timesyncd.service(8)).
const LAST_TIME: &str = "lib/systemd/timesync/clock";

/// Mounts DATA as `/var` of the root, completed by what the image's own `/var` holds.
pub fn mount(device: &Path, sysroot: &Path) -> Result<()> {
    std::fs::create_dir_all(MOUNT_POINT).context("making a mount point")?;
    // Few and large writes: a card wears by them (noatime, lazytime, commit=60). What mke2fs left to be done, the inodes' tables
    // (50 MiB of a card of 8 GB), is done by and by: at ext4's own tenth of the card's time it holds up the first boot.
    // With delayed allocation a file that was written without a sync and closed is empty for half a minute, whatever else is
    // synced: Nomad's server ended for ever with the empty id of a power cut at its first start. Without it (nodelalloc), what
    // is in a file reaches the card before the journal says that it is there (data=ordered, the default; ext4(5)).
    rustix::mount::mount(
        device,
        MOUNT_POINT,
        c"ext4",
        MountFlags::NOATIME | MountFlags::LAZYTIME | MountFlags::NODEV | MountFlags::NOSUID,
        c"commit=60,errors=remount-ro,init_itable=100,nodelalloc",
    )
    .with_context(|| format!("mounting {}", device.display()))?;
    complete(sysroot)
}

/// Mounts memory as `/var` of the root: services start, and what they store is gone with the power.
pub fn mount_memory(sysroot: &Path) -> Result<()> {
    std::fs::create_dir_all(MOUNT_POINT).context("making a mount point")?;
    rustix::mount::mount(
        "var",
        MOUNT_POINT,
        c"tmpfs",
        MountFlags::NODEV | MountFlags::NOSUID,
        c"mode=0755,size=50%",
    )
    .context("mounting memory in place of DATA")?;
    complete(sysroot)
}

fn complete(sysroot: &Path) -> Result<()> {
    skeleton::complete(&sysroot.join("var"), Path::new(MOUNT_POINT)).context("completing /var")?;
    rustix::mount::mount_move(MOUNT_POINT, sysroot.join("var")).context("moving DATA to /var")
}

/// The last time that this node knew, in seconds since 1970: the superblock's is as old as the mount.
pub fn last_time(sysroot: &Path) -> Option<i64> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(sysroot.join("var").join(LAST_TIME)).ok()?;
    Some(metadata.mtime())
}
