//! Mounts, and the way into the real root.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount, mount_move};

/// Mounts that systemd expects to find, made here and moved into the root.
const KERNEL_MOUNTS: [&str; 4] = ["dev", "proc", "sys", "run"];
/// Where the changes of `/etc` of one boot live; gone with the next.
const ETC_CHANGES: &str = "/run/computatom-etc";

/// Mounts `/dev`, `/proc`, `/sys` and `/run` with the options systemd itself would use (`src/shared/mount-setup.c`).
pub fn mount_kernel_file_systems() -> Result<()> {
    for name in KERNEL_MOUNTS {
        fs::create_dir_all(Path::new("/").join(name))?;
    }
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    mount("devtmpfs", "/dev", c"devtmpfs", MountFlags::NOSUID, c"mode=0755").context("/dev")?;
    mount("proc", "/proc", c"proc", quiet, c"").context("/proc")?;
    mount("sysfs", "/sys", c"sysfs", quiet, c"").context("/sys")?;
    memory(
        Path::new("/run"),
        MountFlags::NOSUID | MountFlags::NODEV,
        c"mode=0755,size=20%",
    )?;
    Ok(())
}

/// Mounts `/tmp` and `/run/lock` of the root with the options of systemd's units for them (tmp.mount and run-lock.mount of Debian's
/// 257), which finds them mounted and starts no process: half a second of a small board for each. Not where the image has a
/// unit or a drop-in of its own for one.
///
/// # Errors
/// One is not mounted; systemd will try it.
pub fn mount_temporary(sysroot: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    for (unit, folder, flags, options) in [
        (
            "tmp.mount",
            sysroot.join("tmp"),
            flags | MountFlags::STRICTATIME,
            c"mode=1777,size=50%,nr_inodes=1m",
        ),
        (
            "run-lock.mount",
            "/run/lock".into(),
            flags | MountFlags::NOEXEC,
            c"mode=1777,size=5242880",
        ),
    ] {
        let own = |name: &str| fs::symlink_metadata(sysroot.join("etc/systemd/system").join(name)).is_ok();
        if !own(unit) && !own(&format!("{unit}.d")) && !folder.is_symlink() {
            memory(&folder, flags, options)?;
        }
    }
    Ok(())
}

/// Mounts a file system in memory.
fn memory(folder: &Path, flags: MountFlags, options: &std::ffi::CStr) -> Result<()> {
    fs::create_dir_all(folder)?;
    mount("tmpfs", folder, c"tmpfs", flags, options).with_context(|| folder.display().to_string())
}

/// Mounts the root squashfs, read-only, and gives programs started in it the devices.
pub fn mount_root(device: &Path, sysroot: &Path) -> Result<()> {
    fs::create_dir_all(sysroot).context("making a mount point")?;
    mount(
        device,
        sysroot,
        c"squashfs",
        MountFlags::RDONLY | MountFlags::NODEV,
        c"",
    )
    .with_context(|| format!("mounting the root from {}", device.display()))?;
    rustix::mount::mount_bind("/dev", sysroot.join("dev")).context("giving the root its /dev")
}

/// Lays a writable layer over `/etc` of the root: every boot starts from the image.
pub fn overlay_etc(sysroot: &Path) -> Result<()> {
    let (upper, work) = (
        Path::new(ETC_CHANGES).join("upper"),
        Path::new(ETC_CHANGES).join("work"),
    );
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    let etc = sysroot.join("etc");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        etc.display(),
        upper.display(),
        work.display()
    );
    let options = std::ffi::CString::new(options).expect("our own paths hold no NUL");
    mount(
        "etc",
        &etc,
        c"overlay",
        MountFlags::NOATIME | MountFlags::NODEV,
        options.as_c_str(),
    )?;
    Ok(())
}

/// Frees the initramfs, makes `sysroot` the root and becomes systemd.
pub fn into(sysroot: &Path, machine_id: &str) -> Result<Infallible> {
    // The bind mount served the tools that were run in the root; systemd gets the original.
    rustix::mount::unmount(sysroot.join("dev"), rustix::mount::UnmountFlags::DETACH).context("detaching /dev")?;
    for name in KERNEL_MOUNTS {
        mount_move(Path::new("/").join(name), sysroot.join(name)).with_context(|| format!("moving /{name}"))?;
    }
    empty(Path::new("/"), fs::metadata("/")?.dev());
    rustix::process::chdir(sysroot).context("entering the root")?;
    mount_move(".", "/").context("moving the root to /")?;
    rustix::process::chroot(".").context("changing the root")?;
    rustix::process::chdir("/").context("entering the root")?;
    // `--machine-id=` goes before /etc/machine-id (systemd(1)), whose file in the image is empty.
    let error = Command::new("/sbin/init")
        .arg(format!("--machine-id={machine_id}"))
        .exec();
    Err(error).context("starting /sbin/init of the root")
}

/// Removes what is on the initramfs itself: its memory is the board's. Failures only cost memory.
fn empty(folder: &Path, device: u64) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.dev() != device {
            continue;
        }
        if metadata.is_dir() {
            empty(&path, device);
            let _ = fs::remove_dir(&path);
        } else {
            let _ = fs::remove_file(&path);
        }
    }
}
