//! From the kernel to systemd: the whole of the initramfs.
//!
//! The steps of [`boot`] in order; each file is one of them. What depends on bytes of a disk is decided over
//! [`crate::disk::BlockDevice`], and what the kernel and e2fsprogs do is behind [`machine::Machine`], so that all of it
//! can be tested (and its power cut) without a machine.

/// Errors that the next boot would only meet again.
pub mod stop;

/// Lines for the kernel log and the console.
pub mod console;

/// What the board's light says.
pub mod led;

/// What the kernel and e2fsprogs do for us.
pub mod machine;

/// The kernel command line.
pub mod cmdline;

/// Kernel modules that reaching the root needs.
pub mod modules;

/// The root through dm-verity.
pub mod verity;

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

/// Device nodes without a driver behind them yet.
pub mod static_nodes;

/// How punctual the timers of all programs are.
mod timers;

/// Mounts, and the way into the real root.
pub mod switch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use computatom_spec::{boot, paths};

use self::cmdline::Cmdline;
use self::data::Data;
use self::device::RootDisk;
use self::led::Pattern;
use self::machine::{Board, Machine};
use self::stop::Stop;
use crate::disk::table::Table;
use crate::slots::attempts::{self, Begun};
use crate::slots::state::Place;

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
    while let Some(stop) = error.downcast_ref::<Stop>() {
        console::alarm("this board waits to be switched off: a restart would not help");
        led::flash_for(stop.pattern, REMINDER);
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
    let sysroot = Path::new(SYSROOT);
    let mut board = Board {
        disk: RootDisk::wait(&cmdline)?,
        sysroot: sysroot.to_owned(),
    };
    let (data, begun) = begin(&mut board, &cmdline, boot::DATA_MINIMUM)?;
    match begun {
        Begun::Boot(_, said) | Begun::WithoutData(_, said, _) => said.iter().for_each(|line| console::alarm(line)),
        Begun::Restart(reason) => bail!("{reason}"),
    }
    switch::mount_root(
        &verity::open(&root_partition(&board.disk, &cmdline)?, &cmdline.root_hash)?,
        sysroot,
    )?;
    clock::not_before_image(sysroot);
    var(&mut board, data, &cmdline)?;
    switch::overlay_etc(sysroot).context("making /etc writable")?;
    if let Err(error) = switch::mount_temporary(sysroot) {
        console::alarm(&format!("mounting what is temporary is left to systemd: {error:#}"));
    }
    if let Err(error) = static_nodes::make(sysroot) {
        console::alarm(&format!(
            "a device whose driver is not loaded yet cannot be opened: {error:#}"
        ));
    }
    if let Some(slack) = &cmdline.timer_slack
        && let Err(error) = timers::may_be_late(slack)
    {
        console::alarm(&format!("timers stay as punctual as they are: {error:#}"));
    }
    let id = machine_id::of(Path::new("/"), &sysroot.join("var"))?;
    switch::into(sysroot, &id)
}

/// DATA's partition and what becomes of this boot of the slot: all that is done to the disk before a root is mounted.
///
/// # Errors
///
/// [`Stop`] where a restart would not help; others if the disk fails.
pub fn begin(machine: &mut impl Machine, cmdline: &Cmdline, minimum: u64) -> Result<(Result<Data, String>, Begun)> {
    let table = Table::read(&machine.disk()?)?;
    // A table that has lost a slot is not made worse: this boot is counted, and that is all.
    let (data, place) = if table.find(&cmdline.root).is_none() {
        let place = Place::of(&table, cmdline.data);
        (Err("the root is missing".to_owned()), place)
    } else {
        let data = data::partition(machine, cmdline.data, minimum).context("preparing the DATA partition")?;
        let place = data.as_ref().ok().and_then(|data| data.state);
        (data, place)
    };
    if place.is_none() {
        machine.say("boots cannot be counted here: all of the root is read before it is started");
    }
    let begun = attempts::begin(&mut machine.disk()?, place, cmdline).context("counting this boot of the slot")?;
    let data = match &begun {
        Begun::WithoutData(_, _, why) => Err(why.clone()),
        _ => data,
    };
    Ok((data, begun))
}

/// The partition with the root of this command line.
fn root_partition(disk: &RootDisk, cmdline: &Cmdline) -> Result<PathBuf> {
    let table = Table::read(&disk.open()?)?;
    let number = table.find(&cmdline.root);
    disk.partition(number.with_context(|| format!("the partition {} is gone", cmdline.root))?)
}

/// Gives the root its `/var`: DATA, or memory where there can be none.
fn var(board: &mut Board, data: Result<Data, String>, cmdline: &Cmdline) -> Result<()> {
    let sysroot = board.sysroot.clone();
    match data {
        Ok(data) => {
            data::file_system::prepare(board, &data, cmdline.format.as_deref()).context("preparing DATA")?;
            data::var::mount(&board.disk.partition(data.number)?, &sysroot)?;
            if let Some(seconds) = data::var::last_time(&sysroot) {
                clock::not_before(seconds);
            }
            Ok(())
        }
        Err(reason) => {
            console::alarm(&format!(
                "running without DATA: {reason}; what is stored now is lost when the power goes"
            ));
            board.show(Pattern::WithoutData);
            data::var::mount_memory(&sysroot)?;
            let place = Path::new("/").join(paths::WITHOUT_DATA.trim_start_matches('/'));
            std::fs::create_dir_all(place.parent().expect("it lies in /run"))?;
            std::fs::write(&place, format!("{reason}\n")).with_context(|| format!("writing {}", place.display()))
        }
    }
}
