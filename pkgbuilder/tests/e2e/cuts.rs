//! Power cuts in a real first boot, in the growth to a larger card, and in the commit of a slot: all that the kernel, the tools of
//! e2fsprogs and the services write is logged, and what a cut after some of it may have left is booted. (`tests/crash` does so with
//! our own code, ten thousand times, and without a kernel.)

use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use computatom_spec::boot::gpt;
use pkgbuilder::assemble::partitions::Table;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::board::Board;
use super::cluster::Node;
use super::data::{self, GROWING};
use super::machine::{CARD_SIZE, Card, Machine};
use super::scenario::{CORE, LONG, Site, kept, say, wait};
use super::slots;
use super::write_log::WriteLog;

const BOARD: Board = Board::Virt(1536);
/// How many cuts of a first boot are booted, one in each part of its log.
const CUTS: usize = 6;

pub(crate) fn first_boot_and_growth(site: &Site) -> Result<()> {
    let seed = seed();
    let folder = site.folder.join("cuts");
    let image = site.image("vm", "uefi-arm64")?;
    let card = first_boot(&folder, &image, seed)?;
    growth(&folder, &card, seed)
}

/// Others with each run, as the log is another one; which they are is said.
fn seed() -> u64 {
    rand::thread_rng().gen_range(0..1 << 32)
}

/// The card that it leaves, its power cut as soon as Nomad was ready.
fn first_boot(folder: &Path, image: &Path, seed: u64) -> Result<Card> {
    say("the writes of a first boot");
    let card = Card::burn(BOARD, image, folder, "first")?.logged()?;
    let mut machine = card.boot(&CORE, 1)?;
    in_use(&mut machine)?;
    machine.cut_power()?;
    let fresh = |name: &str| Card::burn(BOARD, image, folder, name);
    let cuts = Cuts::of(&card, &fresh, seed)?;
    let (entries, flushes) = cuts.log.count();
    ensure!(flushes > 10, "a first boot flushes more often than {flushes} times");
    let mut lost = 0;
    for number in 0..CUTS {
        let part = number * entries / CUTS..(number + 1) * entries / CUTS;
        lost += cuts.boot(number, part)?.lost;
    }
    ensure!(lost > 0, "no cut lost anything");
    Ok(card)
}

/// The same card, of twice the size: before anything mounts it DATA's partition is made to reach its end, its journal is replayed,
/// and it grows. One of the cuts is before that, and two are in it.
fn growth(folder: &Path, used: &Card, seed: u64) -> Result<()> {
    const MOUNTED: &str = "EXT4-fs (vda4): mounted filesystem";
    say("the writes of a growth");
    let small = data::size(used, gpt::DATA)?;
    let enlarged = used.copy(folder, "enlarged")?;
    fs::remove_file(&used.image)?;
    File::options()
        .write(true)
        .open(&enlarged.image)?
        .set_len(2 * CARD_SIZE)?;
    let card = enlarged.copy(folder, "grown")?.logged()?;
    let mut machine = card.boot(&CORE, 1)?;
    machine.wait_for(GROWING, LONG)?;
    machine.wait_for(MOUNTED, LONG)?;
    machine.cut_power()?;
    let data = Table::read(&File::open(&card.image)?)?.get(gpt::DATA)?;
    fs::remove_file(&card.image)?;

    let before = |name: &str| enlarged.copy(folder, name);
    let cuts = Cuts::of(&card, &before, seed)?;
    let (entries, _) = cuts.log.count();
    // The table's copy lies there too, but behind DATA.
    let begins = (cuts.log.within(CARD_SIZE..data.end()).next()).context("nothing is written where DATA was not")?;
    let middle = begins.midpoint(entries);
    let mut unfinished = 0;
    for (number, part) in (CUTS..).zip([0..begins, begins..middle, middle..entries]) {
        let booted = cuts.boot(number, part)?;
        unfinished += usize::from(booted.console.contains(GROWING));
        let large = booted.data;
        ensure!(large == small + CARD_SIZE, "DATA had {small} bytes and has {large}");
    }
    ensure!(unfinished > 1, "{unfinished} of the cuts left something to grow");
    Ok(())
}

/// The slot on trial is committed: it starts once the menu's sector is flushed, and not before that is written.
pub(crate) fn commit(site: &Site) -> Result<()> {
    let folder = site.folder.join("commit");
    say("the writes of a commit");
    let card = Card::burn(BOARD, &site.image("vm", "uefi-arm64")?, &folder, "tried")?;
    slots::write_second_slot(&card, &folder)?;
    let mut machine = card.boot(&CORE, 1)?;
    in_use(&mut machine)?;
    slots::restart_into_trial(machine)?;
    let tried = card.copy(&folder, "on-trial")?;
    let card = card.logged()?;
    let mut machine = card.boot(&CORE, 2)?;
    in_use(&mut machine)?;
    let begins = WriteLog::open(&card.log())?.count().0;
    let said = machine.run("computatom-agent slot commit --force", LONG)?;
    ensure!(said.contains("slot b starts from now on"), "{said}");
    machine.cut_power()?;
    let esp = Table::read(&File::open(&card.image)?)?.get(gpt::ESP)?;
    fs::remove_file(&card.image)?;

    let before = |name: &str| tried.copy(&folder, name);
    let cuts = Cuts::of(&card, &before, seed())?;
    let menu: Vec<usize> = cuts.log.within(esp.start..esp.end()).collect();
    let [menu] = menu[..] else {
        bail!("the menu is written once, and not by {menu:?} of the entries");
    };
    ensure!(begins <= menu, "the menu was written before its commit");
    let flush = (cuts.log.flush_after(menu)).context("no flush comes after the menu")?;
    let parts = [
        (begins..menu + 1, "a"),
        (menu + 1..flush + 1, "either"),
        (flush + 1..cuts.log.count().0 + 1, "b"),
    ];
    for (number, (part, expected)) in parts.into_iter().enumerate() {
        let said = cuts.boot(number, part)?.slots;
        let starts = |slot| {
            let both = format!("running    slot {slot}\nstarts     slot {slot}\n");
            said.contains(&both) && (expected == slot || expected == "either")
        };
        ensure!(starts("a") || starts("b"), "slot {expected} was to start: {said}");
    }
    Ok(())
}

/// The log of a boot, and the card as it was before.
struct Cuts<'a> {
    log: WriteLog,
    before: &'a dyn Fn(&str) -> Result<Card>,
    seed: u64,
}

/// What came of a cut.
struct Booted {
    /// Sectors.
    lost: u64,
    console: String,
    /// What `slot status` says.
    slots: String,
    /// The size of DATA.
    data: u64,
}

impl<'a> Cuts<'a> {
    fn of(logged: &Card, before: &'a dyn Fn(&str) -> Result<Card>, seed: u64) -> Result<Self> {
        let log = WriteLog::open(&logged.log())?;
        let (entries, flushes) = log.count();
        say(&format!("{entries} entries, {flushes} flushes"));
        Ok(Self { log, before, seed })
    }

    /// Boots what a power cut after some number of entries, one of `part`, may have left: until Nomad is ready with DATA in use.
    fn boot(&self, number: usize, part: Range<usize>) -> Result<Booted> {
        let mut random = StdRng::seed_from_u64(self.seed << 8 | number as u64);
        let happened = self.log.loses(part.clone()).choose(&mut random).unwrap_or(part.start);
        let card = (self.before)(&number.to_string())?;
        let disk = File::options().write(true).open(&card.image)?;
        let lost = self.log.replay(&disk, happened, &mut random)?;
        say(&format!(
            "power cut after {happened} of {} entries, {lost} sectors lost (seed {})",
            self.log.count().0,
            self.seed
        ));
        let mut machine = card.boot(&CORE, 1)?;
        in_use(&mut machine)?;
        let slots = machine.run("computatom-agent slot status", LONG)?;
        let console = machine.console();
        machine.cut_power()?;
        let data = data::size(&card, gpt::DATA)?;
        fs::remove_file(&card.image)?;
        Ok(Booted {
            lost,
            console,
            slots,
            data,
        })
    }
}

/// Waits until Nomad is ready, and sees that DATA is in use.
fn in_use(machine: &mut Machine) -> Result<()> {
    let node = Node::new(CORE.name, CORE.address);
    kept(machine, &node, |machine| {
        wait(machine, "Nomad", LONG, || node.nomad_ready())?;
        let without = machine.run("cat /run/computatom/without-data 2>/dev/null || echo none", LONG)?;
        ensure!(without.trim() == "none", "it runs without DATA: {without}");
        Ok(())
    })
}
