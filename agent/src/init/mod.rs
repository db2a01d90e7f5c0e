//! From the kernel to systemd: the whole of the initramfs.
//!
//! The steps of [`boot`] in order; each file is one of them. Where a decision depends on bytes of a disk it is
//! made over the [`disk::BlockDevice`] trait, so that it can be tested (and its power cut) without a machine.

/// Errors that the next boot would only meet again.
pub mod stop;

/// Lines for the kernel log and the console.
pub mod console;

/// The kernel command line.
pub mod cmdline;

/// Kernel modules that reaching the root needs.
pub mod modules;

/// A disk as `/init` sees it.
pub mod disk;

/// The root through dm-verity.
pub mod verity;

/// MBR and logical partitions: reading, and adding or growing DATA.
pub mod partition;

/// Which disk of this machine holds the root.
pub mod device;

/// What the head of DATA says.
pub mod superblock;

/// DATA: made on the first boot, checked on every other.
pub mod data;

/// A clock that never runs backwards, on boards that have none.
pub mod clock;

/// What the image's `/var` has and DATA lacks.
pub mod skeleton;

/// A machine id that survives a new card.
pub mod machine_id;

/// Mounts, and the way into the real root.
pub mod switch;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use self::cmdline::Cmdline;
use self::device::RootDisk;
use self::stop::Stop;

/// Where the root is mounted before it becomes `/`.
const SYSROOT: &str = "/sysroot";

/// Time for a person to read the error before the board restarts, as the kernel's `panic=10`.
const REBOOT_DELAY: Duration = Duration::from_secs(10);

/// How often the error of a board that stands still is said again, for whoever plugs in a screen later.
const REMINDER: Duration = Duration::from_mins(5);

/// Boots, or says why not and restarts the board; what the next boot would only meet again keeps it where it is.
pub fn run() -> ExitCode {
    let Err(error) = boot();
    console::alarm(&format!("cannot boot: {error:#}"));
    while error.is::<Stop>() {
        console::alarm("this board waits to be switched off: a restart would not help");
        std::thread::sleep(REMINDER);
        console::alarm(&format!("cannot boot: {error:#}"));
    }
    console::alarm(&format!("restarting in {} s", REBOOT_DELAY.as_secs()));
    std::thread::sleep(REBOOT_DELAY);
    // Were the restart to fail, leaving process 1 makes the kernel panic, and `panic=` restart the board.
    if let Err(error) = rustix::system::reboot(rustix::system::RebootCommand::Restart) {
        console::alarm(&format!("cannot restart: {error}"));
    }
    ExitCode::FAILURE
}

fn boot() -> Result<std::convert::Infallible> {
    switch::mount_kernel_file_systems().context("mounting /dev, /proc, /sys and /run")?;
    let cmdline = Cmdline::read(Path::new("/proc/cmdline"))?;
    modules::load(Path::new("/modules"))?;
    let disk = RootDisk::wait(&cmdline.root)?;
    let data = data::partition(&disk, cmdline.data).context("preparing the DATA partition")?;
    let root = verity::open(&disk.partition(cmdline.root.partition)?, &cmdline.root_hash)?;
    switch::mount_root(&root, Path::new(SYSROOT))?;
    clock::not_before_image(Path::new(SYSROOT));
    data::file_system(&data, Path::new(SYSROOT)).context("preparing DATA")?;
    data::mount(&data, Path::new(SYSROOT))?;
    switch::overlay_etc(Path::new(SYSROOT)).context("making /etc writable")?;
    let id = machine_id::of(Path::new("/"), &Path::new(SYSROOT).join("var"))?;
    switch::into(Path::new(SYSROOT), &id)
}
