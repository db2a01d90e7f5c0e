//! A board with a card in memory: the firmware model starts it, `/init`'s own code does the rest with the real e2fsprogs.

use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use computatom_agent::disk::crc::crc32;
use computatom_agent::disk::memory::Memory;
use computatom_agent::disk::table::Table;
use computatom_agent::disk::{BlockDevice, SECTOR};
use computatom_agent::init::cmdline::Cmdline;
use computatom_agent::init::led::Pattern;
use computatom_agent::init::machine::{Machine, Tool};
use computatom_agent::init::superblock::{self, Head};
use computatom_agent::init::{self, data};
use computatom_agent::slots::attempts::{self, Begun};
use computatom_agent::slots::menu::Chain;
use computatom_agent::slots::state::Place;
use computatom_agent::slots::update::Slots;
use computatom_agent::slots::verify::{Verdict, verify};
use computatom_agent::slots::{LIMIT, Slot};
use pkgbuilder::assemble::{firmware, partitions};

use super::card::{Card, Event, Mirror, Part};
use super::e2fsprogs::{Step, Tracer, ask};

/// Least size of DATA here: small, so that a cut is quick, and large enough for blocks of 4 KiB, as on real cards.
pub(crate) const MINIMUM: u64 = 512 << 20;

/// How `/init` ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// In systemd, of this slot.
    Up(Slot),
    /// The same without DATA; why.
    WithoutData(Slot, String),
    /// In a restart; why.
    Restart(String),
}

/// Files and programs that all boards of a test share.
#[derive(Debug)]
pub(crate) struct Workshop {
    tracer: Tracer,
    /// The card up to DATA, for the firmware model and the builder's own reader of partition tables.
    front: Mirror,
    /// DATA, for e2fsprogs.
    data: Mirror,
    folder: tempfile::TempDir,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            tracer: Tracer::new(folder.path()),
            front: Mirror::new(folder.path().join("card")),
            data: Mirror::new(folder.path().join("data")),
            folder,
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// A board with power.
#[derive(Debug)]
pub(crate) struct Board<'a> {
    pub(crate) workshop: &'a mut Workshop,
    pub(crate) card: Rc<RefCell<Card>>,
    /// Where the image ends.
    front: u64,
    /// What the kernel found when it last looked, in bytes.
    kernel: Vec<(u32, u64, u64)>,
    /// Seconds since 1970.
    pub(crate) clock: i64,
    /// What a time server says once the board is up; 0 where there is none.
    pub(crate) server: i64,
    pub(crate) said: Vec<String>,
    /// The events between which a commit lies, where there was one.
    pub(crate) commit: (usize, usize),
}

impl<'a> Board<'a> {
    /// Puts a card in, whose image ends at `front`; a board has no clock.
    pub(crate) fn new(workshop: &'a mut Workshop, card: Memory, front: u64) -> Self {
        Self {
            workshop,
            card: Card::new(card),
            front,
            kernel: Vec::new(),
            clock: 0,
            server: 0,
            said: Vec::new(),
            commit: (usize::MAX, usize::MAX),
        }
    }

    fn size(&self) -> u64 {
        self.card.borrow().now.size().unwrap()
    }

    fn show_front(&mut self) {
        let card = self.card.borrow();
        self.workshop.front.show(&card.now, 0, self.front, self.size());
    }

    /// The partitions as Linux finds them, which is stricter than `/init`.
    fn look(&mut self) -> Result<()> {
        self.show_front();
        let card = self.card.borrow();
        self.kernel = if let Ok(Table::Gpt(_)) = Table::read(&card.now) {
            // Linux takes the backup only when told to.
            let mut without = card.now.clone();
            let size = self.size();
            without.zero(size - SECTOR, SECTOR)?;
            let table = Table::read(&without);
            table.map(|table| extents(table.partitions())).unwrap_or_default()
        } else {
            let table = partitions::Table::read(self.workshop.front.file())?;
            let all = table.partitions.iter();
            all.map(|it| (u32::from(it.number), it.start, it.size)).collect()
        };
        Ok(())
    }

    /// From power-on to the kernel's command line.
    fn firmware(&mut self, options: &firmware::Options) -> Result<firmware::Boot> {
        self.show_front();
        firmware::boot(self.workshop.front.path(), firmware::Board::Pi4, options).context("following the firmware")
    }

    /// What `/init` does to the disk, started by `cmdline`, until systemd would take over.
    pub(crate) fn init(&mut self, cmdline: &Cmdline) -> Result<Outcome> {
        let table = Table::read(&self.card.borrow().now).context("looking for the root")?;
        let started = Chain::of(&table).started(&self.card.borrow().now, &table, cmdline);
        ensure!(
            table.find(&cmdline.root).is_some() || started.is_some(),
            "no disk has the root or its boot files"
        );
        // A kernel that cannot make sense of the table has no partitions, until it is mended and looked at again.
        if self.look().is_err() {
            self.kernel.clear();
        }
        let (data, begun) = init::begin(self, cmdline, MINIMUM)?;
        let slot = match begun {
            Begun::Boot(slot, said) | Begun::WithoutData(slot, said, _) => {
                self.said.extend(said);
                slot
            }
            Begun::Restart(reason) => return Ok(Outcome::Restart(reason)),
        };
        // The kernel's part: it would not mount, or restart the board at the first wrong block.
        let table = Table::read(&self.disk()?)?;
        let root = table.find(&cmdline.root).context("the root is gone")?;
        self.at(root)?;
        let extent = table.partition(root).context("the root is gone")?.extent;
        if let Verdict::Unsound(reason) = verify(&self.disk()?, extent, &cmdline.root_hash)? {
            return Ok(Outcome::Restart(reason));
        }
        let data = match data {
            Ok(data) => data,
            Err(reason) => return Ok(Outcome::WithoutData(slot, reason)),
        };
        self.at(data.number)?;
        data::file_system::prepare(self, &data, cmdline.format.as_deref())?;
        Ok(Outcome::Up(slot))
    }

    /// The command line that a boot ends in: the firmware model's on a Raspberry Pi, that of the menu's slot elsewhere. A
    /// `trial` starts the other one, as U-Boot does where it cannot load the first.
    pub(crate) fn power_on(&mut self, trial: bool) -> Result<Cmdline> {
        let table = Table::read(&self.card.borrow().now);
        if let Ok(table @ Table::Gpt(_)) = table {
            self.show_front();
            self.restore_primary();
            let image = File::open(self.workshop.front.path())?;
            let chain = Chain::of(&table);
            match chain {
                Chain::UBoot => firmware::u_boot::check(&image).context("following U-Boot")?,
                _ => firmware::uefi::check(&image, "x64").context("following systemd-boot")?,
            }
            let disk = self.disk()?;
            let committed = chain.menu(&disk, &table)?.slot.context("the menu names no slot")?;
            return chain.cmdline(&disk, &table, if trial { committed.other() } else { committed });
        }
        let options = firmware::Options {
            tryboot: trial,
            ..firmware::Options::default()
        };
        let taken = self.firmware(&options)?;
        Cmdline::parse(&taken.cmdline)
    }

    /// The command line of a boot as `/proc/cmdline` has it.
    pub(crate) fn cmdline_text(&mut self, trial: bool) -> Result<String> {
        let cmdline = self.power_on(trial)?;
        let hash = hex::encode(cmdline.root_hash);
        Ok(format!("root=PARTUUID={} computatom.roothash={hash}\n", cmdline.root))
    }

    /// What UEFI does where the primary GPT is torn and the backup is whole (EDK II, `PartitionRestoreGptTable`; U-Boot
    /// reads the backup, `find_valid_gpt`); here only
    /// in what the model of the firmware is shown, so that `/init` has to mend the card itself.
    fn restore_primary(&mut self) {
        let card = self.card.borrow().now.clone();
        let sector = |at: u64| {
            let mut bytes = [0; 512];
            card.read_at(&mut bytes, at * SECTOR).unwrap();
            bytes
        };
        let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let last = card.size().unwrap() / SECTOR - 1;
        let whole = |at: u64| {
            let mut header = sector(at);
            let sum = u32::from_le_bytes(header[16..20].try_into().unwrap());
            header[16..20].fill(0);
            let mut entries = vec![0; 128 * 128];
            card.read_at(&mut entries, number(&header, 72).min(last - 32) * SECTOR)
                .unwrap();
            let right = header.starts_with(b"EFI PART")
                && crc32(&header[..92]) == sum
                && crc32(&entries) == u32::from_le_bytes(header[88..92].try_into().unwrap());
            right.then_some((header, entries))
        };
        if whole(1).is_none()
            && let Some((mut header, entries)) = whole(last)
        {
            for (at, value) in [(24, 1), (32, last), (72, 2)] {
                header[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
            let sum = crc32(&header[..92]);
            header[16..20].copy_from_slice(&sum.to_le_bytes());
            let mut restored = card;
            restored.write_at(&header, SECTOR).unwrap();
            restored.write_at(&entries, 2 * SECTOR).unwrap();
            self.workshop.front.show(&restored, 0, self.front, self.size());
        }
    }

    /// Lets the board restart until it is up, and has been for a minute.
    pub(crate) fn boot(&mut self) -> Result<Slot> {
        let mut reasons = Vec::new();
        // Each slot may fail as often as it may before it is given up.
        for _ in 0..2 * LIMIT + 2 {
            let cmdline = self.power_on(false)?;
            match self.init(&cmdline)? {
                Outcome::Up(slot) => {
                    // Nobody cuts the power within the first minute, but for who cuts it on purpose.
                    let slots = self.slots(slot, cmdline.data)?;
                    self.clock = self.clock.max(self.server);
                    attempts::well(&mut self.disk()?, slots.place, slot, self.clock)?;
                    return Ok(slot);
                }
                Outcome::WithoutData(_, reason) => bail!("it runs without DATA: {reason}"),
                Outcome::Restart(reason) => reasons.push(reason),
            }
        }
        bail!("it restarts for ever: {}", reasons.join("; "))
    }

    /// The slots of this board while `running` runs.
    pub(crate) fn slots(&mut self, running: Slot, data: u32) -> Result<Slots> {
        let table = Table::read(&self.disk()?)?;
        Ok(Slots {
            chain: Chain::of(&table),
            place: Place::of(&table, data).context("there is no state")?,
            table,
            running,
        })
    }

    fn at(&self, number: u32) -> Result<(u64, u64)> {
        let found = self.kernel.iter().find(|(it, ..)| *it == number);
        let (_, start, size) = found.with_context(|| format!("the kernel knows no partition {number}"))?;
        Ok((*start, *size))
    }

    fn show_data(&mut self, number: u32) -> Result<u64> {
        let (start, size) = self.at(number)?;
        let card = self.card.borrow();
        self.workshop.data.show(&card.now, start, size, size);
        Ok(start)
    }

    fn traced(&mut self, program: &str, arguments: &[&str], number: u32) -> Result<i32> {
        let start = self.show_data(number)?;
        let path = self.workshop.data.path().to_owned();
        let (status, steps) = self.workshop.tracer.run(program, arguments, &path, self.clock)?;
        let mut card = self.card.borrow_mut();
        for step in steps {
            self.workshop
                .data
                .changed(&step)
                .with_context(|| format!("following {program}"))?;
            match step {
                Step::Write(offset, bytes) => card.write(start + offset, &bytes)?,
                Step::Zero(offset, length) => card.zero(start + offset, length)?,
                Step::Flush => card.flush(),
            }
        }
        Ok(status)
    }

    /// Writes a file to DATA's root folder, and waits until it is on the medium.
    pub(crate) fn store(&mut self, number: u32, name: &str, content: &str) -> Result<()> {
        let path = self.workshop.folder().join(name);
        std::fs::write(&path, content)?;
        let request = format!("write {} {name}", path.display());
        ensure!(self.traced("debugfs", &["-w", "-R", &request], number)? == 0);
        self.card.borrow_mut().flush();
        Ok(())
    }

    /// Reads a file of DATA's root folder.
    pub(crate) fn load(&mut self, number: u32, name: &str) -> Result<String> {
        self.show_data(number)?;
        let (_, said) = ask("debugfs", &["-R", &format!("cat {name}")], self.workshop.data.path());
        Ok(said)
    }

    /// What debugfs says of DATA's journal.
    pub(crate) fn journal(&mut self, number: u32) -> Result<String> {
        self.show_data(number)?;
        Ok(ask("debugfs", &["-R", "stat <8>"], self.workshop.data.path()).1)
    }

    /// Whether DATA is a file system without a fault that fills its partition, and that the card.
    pub(crate) fn is_sound(&mut self, number: u32) -> Result<()> {
        /// What alignment, a GPT's second half and a last group that is not worth it may leave.
        const SLACK: u64 = 24 << 20;
        let device = self.partition(number)?;
        let Head::Ext4(superblock) = superblock::read(&device)?.head else {
            bail!("DATA has no superblock");
        };
        let end = device.start + superblock.size;
        ensure!(
            end + SLACK > self.size(),
            "DATA ends at {end}, the card at {}",
            self.size()
        );
        self.show_data(number)?;
        let (status, said) = ask("e2fsck", &["-f", "-n"], self.workshop.data.path());
        if status != 0 {
            bail!("e2fsck finds fault with DATA ({status}): {said}");
        }
        Ok(())
    }

    /// Whether our record of what programs did is complete.
    pub(crate) fn is_faithful(&self) -> bool {
        self.workshop.data.is_faithful()
    }

    /// The card as it is.
    pub(crate) fn now(&self) -> Memory {
        self.card.borrow().now.clone()
    }

    /// Everything that was done to the card since it was put in.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.card.borrow().events.clone()
    }
}

fn extents(partitions: &[computatom_agent::disk::table::Partition]) -> Vec<(u32, u64, u64)> {
    let all = partitions.iter();
    all.map(|it| (it.number, it.extent.start * SECTOR, it.extent.sectors * SECTOR))
        .collect()
}

impl Machine for Board<'_> {
    type Device = Part;

    fn disk(&mut self) -> Result<Part> {
        Ok(Part {
            card: Rc::clone(&self.card),
            start: 0,
            size: self.size(),
        })
    }

    fn partition(&mut self, number: u32) -> Result<Part> {
        let (start, size) = self.at(number)?;
        Ok(Part {
            card: Rc::clone(&self.card),
            start,
            size,
        })
    }

    fn reread_partitions(&mut self) -> Result<()> {
        self.look()
    }

    fn run(&mut self, tool: Tool, arguments: &[&str], number: u32) -> Result<i32> {
        let name = tool.path().rsplit('/').next().unwrap_or_default();
        self.traced(name, arguments, number)
    }

    fn not_before(&mut self, seconds: i64) {
        self.clock = self.clock.max(seconds);
    }

    fn say(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }

    fn show(&mut self, _: Pattern) {}
}
