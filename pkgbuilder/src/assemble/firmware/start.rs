//! From power-on to the kernel's first instruction, decision by decision.
//!
//! A small state machine: what the firmware keeps between two starts are [`Flags`], and every start uses them up.

use super::card::Card;
use super::config::{Config, State};
use super::eeprom::{Eeprom, Feature, NEWEST};
use super::models::{Board, Loader, Model};
use super::os::{self, Selection};

/// Longest `autoboot.txt` the firmware reads.
const AUTOBOOT_LIMIT: usize = 512;
/// Resets by the boot watchdog that are followed before it counts as one that does not end.
const MOST_RESETS: usize = 4;

/// What the firmware finds in registers that outlive a reset, but not a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// A trial boot was asked for.
    pub tryboot: bool,
    /// The argument of `reboot`: a partition, or 0 for the default.
    pub partition: u8,
}

/// A decision, and why it was taken.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Step {
    /// What was decided.
    pub decision: String,
    /// Why.
    pub because: String,
}

/// How a start ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The kernel runs.
    Started(Box<Selection>),
    /// Nothing runs; the last step says why.
    Dark,
}

/// A start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was decided, in order.
    pub steps: Vec<Step>,
    /// How it ended.
    pub end: End,
}

impl Outcome {
    /// What was started, if something was.
    pub fn selection(&self) -> Option<&Selection> {
        match &self.end {
            End::Started(selection) => Some(selection),
            End::Dark => None,
        }
    }

    /// Why nothing was started.
    pub fn reason(&self) -> String {
        let last = self.steps.last();
        last.map_or_else(String::new, |step| format!("{}: {}", step.decision, step.because))
    }
}

/// A board with a card in it.
#[derive(Debug)]
pub struct Firmware<'a, C> {
    card: &'a C,
    model: &'static Model,
    eeprom: Eeprom,
    /// What holds for the next start.
    pub flags: Flags,
}

/// Before the kernel runs, something failed: how it is called, and why.
pub(super) struct Failure(pub(super) String, pub(super) String);

/// Steps so far.
#[derive(Default)]
pub(super) struct Trace(Vec<Step>);

impl Trace {
    pub(super) fn note(&mut self, decision: impl Into<String>, because: impl Into<String>) {
        self.0.push(Step {
            decision: decision.into(),
            because: because.into(),
        });
    }
}

impl<'a, C: Card> Firmware<'a, C> {
    /// A board that has just been given power. Boards without a boot EEPROM have what is said of it on their card.
    pub fn new(card: &'a C, board: Board, eeprom: Eeprom) -> Self {
        Self {
            card,
            model: board.model(),
            eeprom,
            flags: Flags::default(),
        }
    }

    /// The power goes and comes: the flags are gone.
    pub fn power_cut(&mut self) {
        self.flags = Flags::default();
    }

    /// What `reboot "PARTITION tryboot"` leaves.
    pub fn reboot(&mut self, flags: Flags) {
        self.flags = flags;
    }

    /// The kernel that was started hangs. Whether the board is reset by and by, to start as if nothing had been asked for:
    /// `kernel_watchdog_partition` was measured to change nothing.
    pub fn hang(&mut self, running: &Selection) -> bool {
        self.flags = Flags::default();
        running.watchdog > 0
    }

    /// Starts, and uses the flags up.
    pub fn start(&mut self) -> Outcome {
        let mut flags = std::mem::take(&mut self.flags);
        let mut trace = Trace::default();
        self.eeprom_of(&mut trace);
        for _ in 0..MOST_RESETS {
            let Failure(what, why) = match self.once(flags, &mut trace) {
                Ok(selection) => {
                    let end = End::Started(Box::new(selection));
                    return Outcome { steps: trace.0, end };
                }
                Err(failure) => failure,
            };
            let watchdog = self.eeprom.watchdog().filter(|_| self.has_eeprom());
            let Some(seconds) = watchdog else {
                trace.note(what, why);
                return Outcome {
                    steps: trace.0,
                    end: End::Dark,
                };
            };
            let partition = self.eeprom.boot_watchdog_partition;
            trace.note(what, why);
            trace.note(
                format!("reset after {seconds} s, to partition {partition}"),
                "BOOT_WATCHDOG_TIMEOUT and BOOT_WATCHDOG_PARTITION of the EEPROM",
            );
            flags = Flags {
                tryboot: false,
                partition,
            };
        }
        trace.note("it is reset again and again", "each start fails as the one before");
        Outcome {
            steps: trace.0,
            end: End::Dark,
        }
    }

    fn has_eeprom(&self) -> bool {
        matches!(self.model.loader, Loader::Eeprom(_))
    }

    /// Boards without an EEPROM have all that does not need one.
    fn has(&self, feature: Feature) -> bool {
        !self.has_eeprom() || self.eeprom.has(feature)
    }

    fn eeprom_of(&self, trace: &mut Trace) {
        if !self.has_eeprom() {
            return;
        }
        let date = self.eeprom.date;
        let why = if date > NEWEST {
            format!("newer than {NEWEST}, the newest whose decisions were measured")
        } else if !self.eeprom.has(Feature::Sections) {
            "older than 2022-12-01: it knows no sections in autoboot.txt".to_owned()
        } else {
            "it knows sections in autoboot.txt and tryboot_a_b".to_owned()
        };
        trace.note(format!("the boot EEPROM is of {date}"), why);
    }

    /// One start, with no reset.
    fn once(&self, flags: Flags, trace: &mut Trace) -> Result<Selection, Failure> {
        let volumes = self.card.volumes();
        let Some(first) = volumes.first().copied() else {
            return Err(Failure("dark".into(), "the card has no FAT partition".into()));
        };
        if !self.has_eeprom() {
            if !self.exists(first, "bootcode.bin") {
                return Err(Failure(
                    "dark".into(),
                    format!(
                        "the first FAT partition, {first}, has no bootcode.bin: the ROM of a {} looks for it there and \
                         nowhere else",
                        self.model.title
                    ),
                ));
            }
            trace.note(
                format!("bootcode.bin of partition {first}"),
                "the ROM takes it from the first FAT",
            );
        }
        let choice = self.autoboot(first, flags, trace);
        let partition = self.partition(&volumes, &choice, trace)?;
        self.firmware_file(partition, trace)?;
        let ab = choice.ab;
        let settings = if choice.tryboot && !ab {
            "tryboot.txt"
        } else {
            "config.txt"
        };
        if choice.tryboot && !ab {
            trace.note(
                "tryboot.txt in place of config.txt",
                "a trial boot without tryboot_a_b=1",
            );
        }
        os::select(self.card, self.model, partition, settings, choice.tryboot, trace)
    }

    fn exists(&self, partition: u8, path: &str) -> bool {
        self.card
            .files(partition)
            .iter()
            .any(|file| file.eq_ignore_ascii_case(path))
    }

    /// What the flags and `autoboot.txt` ask for.
    fn autoboot(&self, first: u8, flags: Flags, trace: &mut Trace) -> Choice {
        let tryboot = flags.tryboot && self.has(Feature::Flag);
        if flags.tryboot && !tryboot {
            trace.note(
                "a normal boot",
                "an EEPROM from before 2020-10-28 knows no tryboot flag",
            );
        }
        let text = self.card.read(first, "autoboot.txt");
        let text = text.as_deref().map(|bytes| &bytes[..bytes.len().min(AUTOBOOT_LIMIT)]);
        let text = text.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let sections = self.has(Feature::Sections);
        let state = State {
            models: &[],
            tryboot,
            partition: None,
        };
        let config = match &text {
            None => Config::default(),
            Some(text) if sections => Config::parse(text, &state),
            Some(text) => Config::without_sections(text),
        };
        let ab = sections && config.flag("tryboot_a_b");
        if flags.partition != 0 {
            trace.note(
                format!("partition {} is asked for", flags.partition),
                "the reset before it named it",
            );
            return Choice {
                partition: flags.partition,
                tryboot,
                ab,
            };
        }
        let named = config
            .get("boot_partition")
            .and_then(|number| number.parse::<u8>().ok());
        let why = match (named, sections) {
            (_, _) if text.is_none() => format!("partition {first}, the first FAT, has no autoboot.txt"),
            (None | Some(0), _) => "autoboot.txt names no partition".to_owned(),
            (Some(_), true) if tryboot => "boot_partition of autoboot.txt, in a trial boot".to_owned(),
            (Some(_), true) => "boot_partition of autoboot.txt".to_owned(),
            (Some(_), false) => "the last boot_partition of autoboot.txt: its sections are not seen".to_owned(),
        };
        let partition = named.unwrap_or(0);
        // Measured: an old EEPROM that follows autoboot.txt has tryboot=0, whatever was asked for.
        let tryboot = tryboot && (sections || partition == 0);
        let asked = match partition {
            0 => "the first partition that can be booted is asked for".to_owned(),
            number => format!("partition {number} is asked for"),
        };
        trace.note(asked, why);
        Choice { partition, tryboot, ab }
    }

    /// Whether the loader takes a partition for one to boot from.
    fn bootable(&self, partition: u8) -> bool {
        let (begins, ends) = self.model.bootable;
        self.card.files(partition).iter().any(|file| {
            let file = file.to_ascii_lowercase();
            !file.contains('/') && file.starts_with(begins) && file.ends_with(ends)
        })
    }

    fn partition(&self, volumes: &[u8], choice: &Choice, trace: &mut Trace) -> Result<u8, Failure> {
        let mark = format!("{}*{}", self.model.bootable.0, self.model.bootable.1);
        let asked = choice.partition;
        if asked != 0 && volumes.contains(&asked) {
            if self.bootable(asked) {
                trace.note(format!("partition {asked}"), format!("it has {mark}"));
                return Ok(asked);
            }
            if !(self.has_eeprom() && self.eeprom.walks()) {
                return Err(Failure(
                    "dark".into(),
                    format!("partition {asked} is asked for, and has no {mark}"),
                ));
            }
            let behind = volumes.iter().filter(|number| **number > asked);
            let before = volumes.iter().filter(|number| **number < asked);
            let next = behind.chain(before).copied().find(|number| self.bootable(*number));
            let Some(next) = next else {
                return Err(Failure("dark".into(), format!("no partition has {mark}")));
            };
            trace.note(
                format!("partition {next}"),
                format!("partition {asked} has no {mark}, and PARTITION_WALK goes on to the next that has it"),
            );
            return Ok(next);
        }
        let found = volumes.iter().copied().find(|number| self.bootable(*number));
        let Some(found) = found else {
            return Err(Failure("dark".into(), format!("no FAT partition has {mark}")));
        };
        let why = if asked == 0 {
            format!("the first FAT with {mark}")
        } else {
            format!("there is no FAT partition {asked}; it is the first with {mark}")
        };
        trace.note(format!("partition {found}"), why);
        Ok(found)
    }

    /// The firmware proper, which most models load from the card.
    fn firmware_file(&self, partition: u8, trace: &mut Trace) -> Result<(), Failure> {
        let Some(name) = self.model.start else {
            trace.note(
                "the firmware of the EEPROM",
                format!("a {} loads none from the card", self.model.title),
            );
            return Ok(());
        };
        let Some(content) = self.card.read(partition, name) else {
            return Err(Failure(
                "dark".into(),
                format!(
                    "partition {partition} has no {name}, which is the firmware of a {}",
                    self.model.title
                ),
            ));
        };
        if !is_whole(&content) {
            return Err(Failure(
                "hangs before the kernel".into(),
                format!("{name} of partition {partition} is not a whole program: it was cut off or overwritten"),
            ));
        }
        trace.note(
            format!("{name} of partition {partition}"),
            format!("the firmware of a {}", self.model.title),
        );
        Ok(())
    }
}

/// What is asked for, before the card is looked at.
struct Choice {
    /// 0 for the default.
    partition: u8,
    tryboot: bool,
    /// A trial chooses a partition rather than `tryboot.txt`.
    ab: bool,
}

/// Whether an ELF file (elf(5), 32 bits) has all the segments that its header tells of.
fn is_whole(program: &[u8]) -> bool {
    let word = |at: usize| {
        let bytes = program.get(at..at + 4)?;
        Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
    };
    let half = |at: usize| {
        let bytes = program.get(at..at + 2)?;
        Some(u64::from(u16::from_le_bytes(bytes.try_into().ok()?)))
    };
    let check = || -> Option<bool> {
        let (table, size, count) = (word(28)?, half(42)?, half(44)?);
        for index in 0..count {
            let at = usize::try_from(table + index * size).ok()?;
            let (offset, length) = (word(at + 4)?, word(at + 16)?);
            if offset + length > program.len() as u64 {
                return Some(false);
            }
        }
        Some(true)
    };
    program.starts_with(b"\x7fELF") && check() == Some(true)
}
