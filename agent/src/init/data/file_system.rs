//! The file system of DATA, by the real e2fsprogs of the root.

use anyhow::{Context, Result, bail};
use computatom_spec::boot;

use super::Data;
use crate::disk::BlockDevice;
use crate::disk::table::{self, Table};
use crate::init::led::Pattern;
use crate::init::machine::{Machine, Tool};
use crate::init::stop::Stop;
use crate::init::superblock::{self, Backup, Found, Head};
use crate::slots::menu::Chain;
use crate::slots::state::State;

/// Room at the end that is left alone: mke2fs and resize2fs give up a last block group that is too small to be useful.
const SLACK: u64 = 16 << 20;
/// How often a repair is begun anew while it gets on.
const REPAIRS: u32 = 4;
/// From this size on mke2fs would make a journal of 32 MiB up to a gigabyte, and write all of it: minutes of a slow card. A
/// node writes little at a time; where a journal is full, what it holds is written out earlier than after `commit=` seconds.
const LARGE: u64 = 1 << 30;
/// The journal from there on, in MiB.
const JOURNAL: &str = "size=16";

/// Makes the file system of an empty DATA, else checks and grows it, with the tools of the root.
///
/// Anything else there is formatted only by consent: `consent` is the fingerprint of just these contents.
///
/// # Errors
///
/// [`Stop`] if DATA holds something else, or is beyond repair; others if the card or a program fails.
pub fn prepare(machine: &mut impl Machine, data: &Data, consent: Option<&str>) -> Result<()> {
    let found = superblock::read(&machine.partition(data.number)?)?;
    let state = state(machine, data)?;
    // A torn superblock forgets the time, and so does a DATA that is made anew.
    machine.not_before(state.time);
    if state.formatting || found.head == Head::Empty {
        return make(machine, data);
    }
    if consent == Some(found.fingerprint.as_str()) {
        machine.say("formatting DATA, as the kernel command line allows for what it holds");
        return make(machine, data);
    }
    let backup = match &found.head {
        Head::Ext4(superblock) => {
            // Before the check, which takes a time in the future for damage.
            machine.not_before(superblock.last_use);
            None
        }
        Head::Foreign(name) => {
            let what = format!("holds {name}, which is not this node's");
            return Err(unusable(machine, &found, data, &what));
        }
        Head::Empty | Head::Damaged => {
            machine.say("the superblock of DATA is damaged");
            superblock::backup(&machine.partition(data.number)?)?
        }
    };
    check(machine, data, false, backup)?;
    // Not only when the partition has just grown: the power may have failed between the two.
    let device = machine.partition(data.number)?;
    let size = device.size().context("reading the size of DATA")?;
    if let Head::Ext4(superblock) = superblock::read(&device)?.head
        && superblock.size + SLACK < size
    {
        drop(device);
        machine.say("growing the file system of DATA");
        // resize2fs insists on a whole check.
        check(machine, data, true, None)?;
        if machine.run(Tool::Resize2fs, &[], data.number)? != 0 {
            machine.say("DATA could not be grown; going on with its old size");
            // What it has begun is to be whole before it is mounted.
            check(machine, data, true, None)?;
        }
    }
    Ok(())
}

/// The state as it is on the disk; without one that can be read DATA is taken for made, and is not formatted.
fn state(machine: &mut impl Machine, data: &Data) -> Result<State> {
    let Some(place) = data.state else {
        return Ok(State::default());
    };
    State::read(&machine.disk()?, place).or_else(|error| {
        machine.say(&format!("going on without the state: {error:#}"));
        Ok(State::default())
    })
}

/// Notes whether DATA is being made.
fn note(machine: &mut impl Machine, data: &Data, formatting: bool) -> Result<()> {
    let mut now = state(machine, data)?;
    if let Some(place) = data.state
        && now.formatting != formatting
    {
        now.formatting = formatting;
        now.write(&mut machine.disk()?, place)?;
    }
    Ok(())
}

fn make(machine: &mut impl Machine, data: &Data) -> Result<()> {
    machine.say("making a file system for DATA");
    note(machine, data, true)?;
    let mut device = machine.partition(data.number)?;
    let size = device.size().context("reading the size of DATA")?;
    // No other file system's signature is to survive in what mke2fs leaves alone.
    let zeros = vec![0; usize::try_from(table::EMPTIED.min(size)).context("emptying DATA")?];
    device
        .write_at(&zeros, 0)
        .and_then(|()| device.flush())
        .context("emptying the beginning of DATA")?;
    drop(device);
    // Lazy initialisation keeps the first boot of a large card short. No discard: some cards take minutes to erase
    // themselves, and fstrim.timer does it in time.
    let mut options = vec!["-q", "-F", "-t", "ext4", "-m", "1", "-L", boot::DATA_LABEL];
    options.extend(["-E", "nodiscard,lazy_itable_init=1"]);
    if size >= LARGE {
        options.extend(["-J", JOURNAL]);
    }
    let made = machine.run(Tool::Mke2fs, &options, data.number)?;
    if made != 0 {
        bail!("mke2fs ended with {made} on DATA: is the card writable?");
    }
    note(machine, data, false)
}

/// Repairs what can be repaired without asking, in place of a damaged superblock by a copy of it; the statuses are those of
/// `e2fsck(8)`.
fn check(machine: &mut impl Machine, data: &Data, force: bool, backup: Option<Backup>) -> Result<()> {
    let place = backup.map(|backup| [backup.block, backup.block_size].map(|number| number.to_string()));
    let place: Vec<&str> = place
        .iter()
        .flat_map(|[block, size]| ["-b", block, "-B", size])
        .collect();
    let options = |options: &[&'static str]| [options, &place].concat();
    let first: &[&str] = if force { &["-f", "-p"] } else { &["-p"] };
    let preen = machine.run(Tool::E2fsck, &options(first), data.number)?;
    if preen < 4 {
        return Ok(());
    }
    machine.say(&format!(
        "DATA is damaged (e2fsck -p ended with {preen}): repairing what can be repaired"
    ));
    // What one run has repaired may let the next see more: 4 alone says that something is left, and that it went on.
    let mut status = 4;
    for _ in 0..REPAIRS {
        if status == 4 {
            status = machine.run(Tool::E2fsck, &options(&["-f", "-y"]), data.number)?;
        }
    }
    if status < 4 {
        return Ok(());
    }
    let found = superblock::read(&machine.partition(data.number)?)?;
    let what = format!("is beyond repair (e2fsck -f -y ended with {status})");
    Err(unusable(machine, &found, data, &what))
}

/// DATA stays as it is, and the board stands still: a node without its memory must not pass for itself.
fn unusable(machine: &mut impl Machine, found: &Found, data: &Data, what: &str) -> anyhow::Error {
    let table = machine.disk().and_then(|disk| Table::read(&disk));
    let place = table.map_or_else(|_| String::new(), |table| format!(" ({})", Chain::of(&table).words()));
    Stop::showing(
        Pattern::DataUnusable,
        format!(
            "DATA (partition {}) {what}, and is left as it is; to give up what it holds, add `{}={}` to the kernel \
             command line{place}, or burn the card again",
            data.number,
            boot::FORMAT,
            found.fingerprint
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    use tempfile::TempDir;

    use super::*;
    use crate::disk::table::Extent;
    use crate::slots::state::Place;

    const MIB: u64 = 1 << 20;

    /// A disk and its DATA as files, with this machine's own e2fsprogs.
    struct Bench {
        folder: TempDir,
        device: PathBuf,
        data: Data,
        said: Vec<String>,
        not_before: i64,
    }

    impl Machine for Bench {
        type Device = File;

        fn disk(&mut self) -> Result<File> {
            crate::init::machine::open(&self.folder.path().join("disk"))
        }

        fn partition(&mut self, _: u32) -> Result<File> {
            crate::init::machine::open(&self.device)
        }

        fn reread_partitions(&mut self) -> Result<()> {
            Ok(())
        }

        fn run(&mut self, tool: Tool, arguments: &[&str], _: u32) -> Result<i32> {
            let mut command = Command::new(tool.path());
            command.args(arguments).arg(&self.device).stdout(Stdio::null());
            Ok(command.stderr(Stdio::null()).status()?.code().unwrap())
        }

        fn not_before(&mut self, seconds: i64) {
            self.not_before = seconds;
        }

        fn say(&mut self, text: &str) {
            self.said.push(text.to_owned());
        }

        fn show(&mut self, _: Pattern) {}
    }

    /// A partition of zeros.
    fn partition_of(size: u64) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("p7");
        File::create(&device).unwrap().set_len(size).unwrap();
        File::create(folder.path().join("disk"))
            .unwrap()
            .set_len(16 * MIB)
            .unwrap();
        let extent = Extent {
            start: 8 * MIB / 512,
            sectors: size / 512,
        };
        Bench {
            folder,
            device,
            data: Data {
                number: 7,
                extent,
                state: Some(Place::before(extent)),
            },
            said: Vec::new(),
            not_before: 0,
        }
    }

    fn boot_with(bench: &mut Bench, consent: Option<&str>) -> Result<()> {
        let data = bench.data;
        prepare(bench, &data, consent)
    }

    fn boot(bench: &mut Bench) -> Result<()> {
        boot_with(bench, None)
    }

    fn head(bench: &mut Bench) -> Head {
        superblock::read(&bench.partition(7).unwrap()).unwrap().head
    }

    fn overwrite(data: &Bench, bytes: &[u8], offset: u64) {
        let file = File::options().write(true).open(&data.device).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    fn debugfs(data: &Bench, request: &str) -> String {
        let output = Command::new("/usr/sbin/debugfs")
            .args(["-w", "-R", request])
            .arg(&data.device)
            .output()
            .expect("debugfs is missing: apt-get install e2fsprogs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn superblock(data: &mut Bench) -> superblock::Superblock {
        match head(data) {
            Head::Ext4(superblock) => superblock,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_mke2fs_makes_is_read_as_it_is() {
        let mut data = partition_of(64 * MIB);
        boot(&mut data).unwrap();
        let superblock = superblock(&mut data);
        assert_eq!(superblock.size, 64 * MIB);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        assert!(superblock.last_use.abs_diff(i64::try_from(now.as_secs()).unwrap()) < 600);
    }

    #[test]
    fn torn_sectors_of_the_superblock_are_repaired_and_nothing_is_lost() {
        for torn in [&[1024_u64][..], &[1536], &[1024, 1536]] {
            let mut data = partition_of(64 * MIB);
            boot(&mut data).unwrap();
            let note = data.folder.path().join("note");
            std::fs::write(&note, "the node's own").unwrap();
            debugfs(&data, &format!("write {} note", note.display()));
            // A sector of zeros leaves no sign of ext4; the clock must not follow one of noise.
            for (sector, fill) in torn.iter().zip([0_u8, 0xff]) {
                overwrite(&data, &[fill; 512], *sector);
            }
            assert_eq!(head(&mut data), Head::Damaged);
            boot(&mut data).unwrap();
            assert_eq!(debugfs(&data, "cat note"), "the node's own", "{torn:?}");
            assert_eq!(superblock(&mut data).size, 64 * MIB);
        }
    }

    /// Without the bits of its features it looks whole to e2fsck, which made an ext2 of it.
    #[test]
    fn a_superblock_torn_before_its_features_comes_back_from_a_copy() {
        let mut data = partition_of(64 * MIB);
        boot(&mut data).unwrap();
        let features = |data: &Bench| debugfs(data, "features");
        let before = features(&data);
        assert!(before.contains("metadata_csum"), "{before}");
        overwrite(&data, &[0; 512 - 0x60], 1024 + 0x60);
        boot(&mut data).unwrap();
        assert_eq!(features(&data), before);
    }

    #[test]
    fn what_cannot_be_repaired_stays_as_it_is_and_stops_the_board() {
        let mut data = partition_of(32 * MIB);
        overwrite(&data, &[0xa5; 8192], 0);
        let before = std::fs::read(&data.device).unwrap();
        let error = boot(&mut data).unwrap_err();
        let said = format!("{error:#}");
        assert!(error.is::<Stop>(), "{said}");
        assert!(
            said.contains("partition 7") && said.contains("computatom.format="),
            "{said}"
        );
        assert!(std::fs::read(&data.device).unwrap() == before);
        // A consent to something else is none; what the message says helps, and does so once.
        assert!(boot_with(&mut data, Some("00000000")).is_err());
        let (_, consent) = said.split_once("computatom.format=").unwrap();
        boot_with(&mut data, Some(&consent[..8])).unwrap();
        assert_eq!(superblock(&mut data).size, 32 * MIB);
        let before = std::fs::read(&data.device).unwrap();
        boot_with(&mut data, Some(&consent[..8])).unwrap();
        assert!(std::fs::read(&data.device).unwrap()[4096..] == before[4096..]);
    }

    #[test]
    fn a_foreign_file_system_is_never_formatted_nor_repaired_without_consent() {
        let mut data = partition_of(64 * MIB);
        // Its old superblocks survive in a FAT over ext4: e2fsck would find them, and destroy the FAT.
        boot(&mut data).unwrap();
        let made = Command::new("/usr/sbin/mkfs.vfat")
            .arg(&data.device)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        let before = std::fs::read(&data.device).unwrap();
        for _ in 0..2 {
            let error = boot(&mut data).unwrap_err();
            assert_eq!(error.downcast_ref::<Stop>().unwrap().pattern, Pattern::DataUnusable);
            assert!(error.to_string().contains("holds FAT"), "{error:#}");
            assert!(std::fs::read(&data.device).unwrap() == before);
        }
    }

    #[test]
    fn a_file_system_in_the_making_is_made_again_whatever_is_there() {
        let mut data = partition_of(64 * MIB);
        let place = data.data.state.unwrap();
        let mut state = State {
            formatting: true,
            ..State::default()
        };
        state.write(&mut data.disk().unwrap(), place).unwrap();
        overwrite(&data, b"XFSB", 0);
        boot(&mut data).unwrap();
        assert_eq!(superblock(&mut data).size, 64 * MIB);
        assert!(!State::read(&data.disk().unwrap(), place).unwrap().formatting);
    }

    #[test]
    fn a_large_file_system_gets_no_larger_journal_than_it_needs() {
        let mut data = partition_of(20 << 30);
        boot(&mut data).unwrap();
        let text = debugfs(&data, "stat <8>");
        assert!(text.contains("Size: 16777216"), "{text}");
        assert!(data.not_before == 0, "a new file system says nothing about the time");
        boot(&mut data).unwrap();
        assert!(data.not_before > 1_700_000_000);
    }

    #[test]
    fn the_file_system_follows_its_partition_also_after_a_power_cut() {
        let mut data = partition_of(64 * MIB);
        boot(&mut data).unwrap();
        // The table was written, then the power failed: the next boot sees a partition that does not change any more.
        File::options()
            .write(true)
            .open(&data.device)
            .unwrap()
            .set_len(200 * MIB)
            .unwrap();
        boot(&mut data).unwrap();
        assert_eq!(superblock(&mut data).size, 200 * MIB);
        let before = std::fs::read(&data.device).unwrap();
        boot(&mut data).unwrap();
        // e2fsck notes in the superblock that it was there.
        let after = std::fs::read(&data.device).unwrap();
        assert!(after[4096..] == before[4096..], "a third boot changes nothing");
    }
}
