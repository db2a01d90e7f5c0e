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
use super::stop::Stop;
use super::superblock::{self, Head};

/// Room at the end that is left alone: mke2fs and resize2fs give up a last block group that is too small to be useful.
const SLACK: u64 = 16 << 20;
/// Where DATA is mounted until the image's `/var` has been compared with it.
const MOUNT_POINT: &str = "/data";

/// DATA's device.
#[derive(Clone, Debug)]
pub struct Data {
    device: PathBuf,
}

/// Makes sure that partition `number` exists and reaches the end of the disk.
pub fn partition(disk: &RootDisk, number: u32) -> Result<Data> {
    let mut file = disk.open()?;
    let change = partition::ensure_data(&mut file, number, boot::DATA_MINIMUM)?;
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
    })
}

/// Makes the file system on an empty DATA, else checks and grows it, with the tools of the root at `sysroot`.
///
/// Only zeros count as empty, which is how a new partition begins: what a torn sector hides is repaired from one of the
/// other superblocks, or left for a person to judge.
pub fn file_system(data: &Data, sysroot: &Path) -> Result<()> {
    let device = data.device.to_str().context("a device name is not UTF-8")?;
    match data.head()? {
        Head::Empty => return make(sysroot, device),
        // Before the check, which takes a time in the future for damage.
        Head::Ext4(superblock) => clock::not_before(superblock.last_use),
        Head::Damaged => console::say(&format!("the superblock of DATA on {device} is damaged")),
    }
    check(sysroot, device, false)?;
    // Not only when the partition has just grown: the power may have failed between the two.
    let size = data.open()?.size().context("reading the size of DATA")?;
    if let Head::Ext4(superblock) = data.head()?
        && superblock.size + SLACK < size
    {
        console::say(&format!("growing the file system on {device}"));
        // resize2fs insists on a whole check.
        check(sysroot, device, true)?;
        if run(sysroot, "/usr/sbin/resize2fs", &[device])? != 0 {
            console::say("DATA could not be grown; going on with its old size");
        }
    }
    Ok(())
}

impl Data {
    fn open(&self) -> Result<File> {
        File::open(&self.device).with_context(|| format!("opening {}", self.device.display()))
    }

    fn head(&self) -> Result<Head> {
        superblock::read(&self.open()?)
    }
}

fn make(sysroot: &Path, device: &str) -> Result<()> {
    console::say(&format!("making a file system on {device}"));
    // mke2fs writes the primary superblock last: a power cut leaves zeros, and the next boot begins anew. Lazy
    // initialisation keeps the first boot of a large card short.
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
        status => Err(Stop::because(format!(
            "DATA on {device} is beyond repair (e2fsck -f -y ended with {status}) and is left as it is; to give up what \
             this node has stored, burn the card again, or put it into another machine and overwrite the beginning of \
             this partition there: dd if=/dev/zero of=PARTITION bs=64k count=1"
        ))),
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

/// Runs a program of the root inside it; answers its exit status.
#[allow(unsafe_code, reason = "the standard library has no chroot for a child")]
fn run(sysroot: &Path, program: &str, args: &[&str]) -> Result<i32> {
    let root = sysroot.to_owned();
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", "/usr/sbin:/usr/bin");
    // The root that is / already needs no privilege.
    if root != Path::new("/") {
        // SAFETY: between fork and exec only two system calls are made, and nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                rustix::process::chroot(&root)?;
                rustix::process::chdir("/")?;
                Ok(())
            });
        }
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
    use std::os::unix::fs::FileExt;

    use tempfile::TempDir;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A partition of zeros, as a file: the real e2fsprogs take either.
    fn partition_of(size: u64) -> (TempDir, Data) {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("p7");
        File::create(&device).unwrap().set_len(size).unwrap();
        (folder, Data { device })
    }

    /// What this machine's own tools do to it.
    fn boot(data: &Data) -> Result<()> {
        file_system(data, Path::new("/"))
    }

    fn overwrite(data: &Data, bytes: &[u8], offset: u64) {
        let file = File::options().write(true).open(&data.device).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    fn debugfs(data: &Data, request: &str) -> String {
        let output = Command::new("/usr/sbin/debugfs")
            .args(["-w", "-R", request])
            .arg(&data.device)
            .output()
            .expect("debugfs is missing: apt-get install e2fsprogs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn superblock(data: &Data) -> superblock::Superblock {
        match data.head().unwrap() {
            Head::Ext4(superblock) => superblock,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_mke2fs_makes_is_read_as_it_is() {
        let (_folder, data) = partition_of(64 * MIB);
        boot(&data).unwrap();
        let superblock = superblock(&data);
        assert_eq!(superblock.size, 64 * MIB);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(superblock.last_use.abs_diff(i64::try_from(now.as_secs()).unwrap()) < 600);
    }

    #[test]
    fn torn_sectors_of_the_superblock_are_repaired_and_nothing_is_lost() {
        for torn in [&[1024_u64][..], &[1536], &[1024, 1536]] {
            let (folder, data) = partition_of(64 * MIB);
            boot(&data).unwrap();
            let note = folder.path().join("note");
            std::fs::write(&note, "the node's own").unwrap();
            debugfs(&data, &format!("write {} note", note.display()));
            // A sector of zeros leaves no sign of ext4; the clock must not follow one of noise.
            for (sector, fill) in torn.iter().zip([0_u8, 0xff]) {
                overwrite(&data, &[fill; 512], *sector);
            }
            assert_eq!(data.head().unwrap(), Head::Damaged);
            boot(&data).unwrap();
            assert_eq!(debugfs(&data, "cat note"), "the node's own", "{torn:?}");
            assert_eq!(superblock(&data).size, 64 * MIB);
        }
    }

    #[test]
    fn what_cannot_be_repaired_stays_as_it_is_and_stops_the_board() {
        let (_folder, data) = partition_of(32 * MIB);
        overwrite(&data, &[0xa5; 8192], 0);
        let before = std::fs::read(&data.device).unwrap();
        let error = boot(&data).unwrap_err();
        let said = format!("{error:#}");
        assert!(error.is::<Stop>(), "{said}");
        assert!(
            said.contains(data.device.to_str().unwrap()) && said.contains("dd if=/dev/zero"),
            "{said}"
        );
        assert!(std::fs::read(&data.device).unwrap() == before);
        // What the message says helps.
        overwrite(&data, &vec![0; 64 << 10], 0);
        boot(&data).unwrap();
        assert_eq!(superblock(&data).size, 32 * MIB);
    }

    #[test]
    fn the_file_system_follows_its_partition_also_after_a_power_cut() {
        let (_folder, data) = partition_of(64 * MIB);
        boot(&data).unwrap();
        // The table was written, then the power failed: the next boot sees a partition that does not change any more.
        File::options()
            .write(true)
            .open(&data.device)
            .unwrap()
            .set_len(200 * MIB)
            .unwrap();
        boot(&data).unwrap();
        assert_eq!(superblock(&data).size, 200 * MIB);
        let before = std::fs::read(&data.device).unwrap();
        boot(&data).unwrap();
        // e2fsck notes in the superblock that it was there.
        let after = std::fs::read(&data.device).unwrap();
        assert!(after[4096..] == before[4096..], "a third boot changes nothing");
    }
}
