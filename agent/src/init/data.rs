//! DATA: made on the first boot, grown to a larger card, checked before every mount, never formatted over.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use computatom_spec::boot;
use rustix::mount::MountFlags;

use super::clock;
use super::console;
use super::device::RootDisk;
use super::disk::BlockDevice;
use super::partition::{self, Change};
use super::skeleton;

/// Offset of the magic number in an ext4 file system: superblock at 1024, `s_magic` at 0x38 of it
/// (`Documentation/filesystems/ext4/super.rst`).
const MAGIC_OFFSET: u64 = 1024 + 0x38;
/// `s_magic`, little-endian.
const MAGIC: [u8; 2] = [0x53, 0xef];
/// Where DATA is mounted until the image's `/var` has been compared with it.
const MOUNT_POINT: &str = "/data";

/// DATA's device, and whether it was given more room at this boot.
#[derive(Clone, Debug)]
pub struct Data {
    device: PathBuf,
    change: Change,
}

/// Makes sure that partition `number` exists and reaches the end of the disk.
pub fn partition(disk: &RootDisk, number: u32) -> Result<Data> {
    let mut file = disk.open()?;
    let change = partition::ensure_data(&mut file, number)?;
    drop(file);
    if change != Change::None {
        console::say(if change == Change::Added {
            "made the DATA partition"
        } else {
            "grew the DATA partition"
        });
        disk.reread_partitions()?;
    }
    Ok(Data {
        device: disk.partition(number)?,
        change,
    })
}

/// Makes the file system on an empty DATA, else checks and grows it, with the tools of the root at `sysroot`.
pub fn file_system(data: &Data, sysroot: &Path) -> Result<()> {
    let device = data.device.to_str().context("a device name is not UTF-8")?;
    if !is_ext4(&File::open(&data.device).with_context(|| format!("opening {device}"))?)? {
        console::say(&format!("making a file system on {device}"));
        // mke2fs writes the primary superblock last: a power cut leaves no magic number, and the next boot begins
        // anew. Lazy initialisation keeps the first boot of a large card short.
        // No discard either: some cards take minutes to erase themselves, and fstrim.timer does it in time.
        let options = [
            "-q",
            "-F",
            "-t",
            "ext4",
            "-m",
            "1",
            "-E",
            "nodiscard",
            "-L",
            boot::DATA_LABEL,
            device,
        ];
        let made = run(sysroot, "/usr/sbin/mke2fs", &options)?;
        if made != 0 {
            bail!("mke2fs ended with {made} on {device}: is the card writable?");
        }
        return Ok(());
    }
    clock::not_before_last_write(&File::open(&data.device)?);
    check(sysroot, device, data.change == Change::Grown)?;
    if data.change == Change::Grown && run(sysroot, "/usr/sbin/resize2fs", &[device])? != 0 {
        console::say("DATA could not be grown; going on with its old size");
    }
    Ok(())
}

/// Repairs what can be repaired without asking; the statuses are those of `e2fsck(8)`.
fn check(sysroot: &Path, device: &str, force: bool) -> Result<()> {
    let args: &[&str] = if force { &["-f", "-p", device] } else { &["-p", device] };
    let preen = run(sysroot, "/usr/sbin/e2fsck", args)?;
    if preen < 4 {
        return Ok(());
    }
    console::say(&format!(
        "DATA is damaged (e2fsck -p ended with {preen}): repairing what can be repaired"
    ));
    match run(sysroot, "/usr/sbin/e2fsck", &["-f", "-y", device])? {
        status if status < 4 => Ok(()),
        status => bail!("DATA is beyond repair (e2fsck -y ended with {status}): burn the card again, or replace it"),
    }
}

/// Mounts DATA as `/var` of the root, completed by what the image's own `/var` holds.
pub fn mount(data: &Data, sysroot: &Path) -> Result<()> {
    std::fs::create_dir_all(MOUNT_POINT).context("making a mount point")?;
    // Few and large writes: a card wears by them (noatime, lazytime, commit=60).
    rustix::mount::mount(
        &data.device,
        MOUNT_POINT,
        c"ext4",
        MountFlags::NOATIME | MountFlags::LAZYTIME | MountFlags::NODEV | MountFlags::NOSUID,
        c"commit=60,errors=remount-ro",
    )
    .with_context(|| format!("mounting {}", data.device.display()))?;
    skeleton::complete(&sysroot.join("var"), Path::new(MOUNT_POINT)).context("completing /var")?;
    rustix::mount::mount_move(MOUNT_POINT, sysroot.join("var")).context("moving DATA to /var")
}

fn is_ext4(device: &impl BlockDevice) -> Result<bool> {
    let mut magic = [0; 2];
    device
        .read_at(&mut magic, MAGIC_OFFSET)
        .context("reading the superblock of DATA")?;
    Ok(magic == MAGIC)
}

/// Runs a program of the root inside it; answers its exit status.
#[allow(unsafe_code, reason = "the standard library has no chroot for a child")]
fn run(sysroot: &Path, program: &str, args: &[&str]) -> Result<i32> {
    let root = sysroot.to_owned();
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", "/usr/sbin:/usr/bin");
    // SAFETY: between fork and exec only two system calls are made, and nothing is allocated.
    unsafe {
        command.pre_exec(move || {
            rustix::process::chroot(&root)?;
            rustix::process::chdir("/")?;
            Ok(())
        });
    }
    let output = command
        .output()
        .with_context(|| format!("running {program} of the root"))?;
    let status = output
        .status
        .code()
        .with_context(|| format!("{program} was ended by a signal"))?;
    if status != 0 {
        for line in String::from_utf8_lossy(&output.stderr)
            .lines()
            .chain(String::from_utf8_lossy(&output.stdout).lines())
        {
            console::say(&format!("{program}: {line}"));
        }
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::super::disk::memory::Memory;
    use super::*;

    #[test]
    fn ext4_is_known_by_its_magic_number() {
        let mut disk = Memory::new(4096);
        assert!(!is_ext4(&disk).unwrap());
        disk.bytes[1080..1082].copy_from_slice(&MAGIC);
        assert!(is_ext4(&disk).unwrap());
    }
}
