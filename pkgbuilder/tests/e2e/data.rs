//! DATA, which a first boot makes: on the smallest card that it has room on, through power cuts, on a larger card, and where
//! something else is in its place.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use computatom_agent::slots::state::{Place, State};
use computatom_spec::boot::{self, mbr};
use pkgbuilder::assemble::partitions::Table;

use super::board::Board;
use super::machine::Card;
use super::scenario::{PI, READY, Site, WORKER, say};
use super::slots::mcopy;

/// The smallest card that boards are to have room on; QEMU takes powers of two only.
const SMALL: u64 = 4 << 30;

const MAKING: &str = "computatom-init: making a file system for DATA";
pub(crate) const GROWING: &str = "computatom-init: growing the file system of DATA";
const MOUNTED: &str = "EXT4-fs (mmcblk0p7): mounted filesystem";

/// The power fails while mke2fs writes, twice, and the third boot has its DATA: a sample of `tests/crash`, with a kernel. On
/// the smallest card that there is to be room on; copied to a larger one, it has that one's room.
pub(crate) fn cut_short(site: &Site) -> Result<()> {
    let image = site.image("home", PI)?;
    let card = Card::burn_sized(Board::Pi3, &image, &site.folder, "cut-short", SMALL)?;
    for (number, pause) in [(1, 0), (2, 4)] {
        let mut machine = card.power_on(&WORKER, number)?;
        machine.wait_for(MAKING, READY)?;
        std::thread::sleep(Duration::from_secs(pause));
        say(&format!("power cut {pause} s into the making of DATA"));
        machine.cut_power()?;
    }
    let mut machine = card.power_on(&WORKER, 3)?;
    machine.wait_for(MOUNTED, READY)?;
    let console = machine.console();
    ensure!(console.contains(MAKING), "DATA is said to be made already: {console}");
    machine.cut_power()?;
    let small = size(&card, mbr::DATA)?;
    none_has_failed(&card)?;

    say("the same on a card of twice the size");
    File::options().write(true).open(&card.image)?.set_len(2 * SMALL)?;
    let mut machine = card.power_on(&WORKER, 4)?;
    machine.wait_for(GROWING, READY)?;
    machine.wait_for(MOUNTED, READY)?;
    machine.cut_power()?;
    let large = size(&card, mbr::DATA)?;
    none_has_failed(&card)?;
    ensure!(large == small + SMALL, "DATA had {small} bytes and has {large}");
    taken_by_another(&card)
}

/// As if the boots had gone well whose power was cut: after three that have not, /init reads all of the root, which takes two
/// minutes here and is not what this is about.
fn none_has_failed(card: &Card) -> Result<()> {
    let mut disk = File::options().read(true).write(true).open(&card.image)?;
    let table = computatom_agent::disk::table::Table::read(&disk)?;
    let place = Place::of(&table, mbr::DATA.into()).context("the card has no place for the state")?;
    let mut state = State::read(&disk, place)?;
    ensure!(state.failed != [0; 2], "boots are not counted");
    state.failed = [0; 2];
    state.write(&mut disk, place)
}

/// A file system that is not ours stays where DATA is to be, and goes once the command line says so.
fn taken_by_another(card: &Card) -> Result<()> {
    say("something else where DATA is");
    let file = File::options().read(true).write(true).open(&card.image)?;
    let start = Table::read(&file)?.get(mbr::DATA)?.start;
    let mut theirs = [0; 4096];
    theirs[..4].copy_from_slice(b"XFSB");
    file.write_all_at(&theirs, start)?;
    let mut machine = card.power_on(&WORKER, 5)?;
    machine.wait_for("holds XFS, which is not this node's, and is left as it is", READY)?;
    let word = format!("`{}=", boot::FORMAT);
    machine.wait_for(&word, READY)?;
    // To the end of the line.
    std::thread::sleep(Duration::from_secs(2));
    let console = machine.console();
    machine.cut_power()?;
    let mut now = [0; 4096];
    file.read_exact_at(&mut now, start)?;
    ensure!(now == theirs, "what was there is not left alone");

    let (_, rest) = console.split_once(&word).context("it was there")?;
    let consent = rest.split('`').next().unwrap_or_default();
    let place = "(in cmdline.txt on partitions 2 and 3, from another machine)";
    ensure!(console.contains(place), "where the word goes is not said: {console}");
    say(&format!("consent to format it: {consent}"));
    let volume = format!(
        "{}@@{}",
        card.image.display(),
        Table::read(&file)?.get(mbr::BOOT_A)?.start
    );
    let cmdline = card.image.with_file_name("cmdline.txt");
    let (inside, outside) = ("::cmdline.txt", cmdline.display().to_string());
    mcopy(&[&volume, inside, &outside])?;
    let words = fs::read_to_string(&cmdline)?;
    fs::write(&cmdline, format!("{} {}={consent}\n", words.trim_end(), boot::FORMAT))?;
    mcopy(&[&volume, &outside, inside])?;
    let mut machine = card.power_on(&WORKER, 6)?;
    machine.wait_for(
        "computatom-init: formatting DATA, as the kernel command line allows",
        READY,
    )?;
    machine.wait_for(MOUNTED, READY)?;
    machine.cut_power()?;
    size(card, mbr::DATA).map(drop)
}

/// The size of DATA, the partition with this number, in bytes, which its file system fills but for less than a group of its blocks.
pub(crate) fn size(card: &Card, number: u8) -> Result<u64> {
    let file = File::open(&card.image)?;
    let partition = Table::read(&file)?.get(number)?;
    // `s_blocks_count_lo` and `s_log_block_size` of the superblock (Linux, Documentation/filesystems/ext4/super.rst).
    let mut superblock = [0; 1024];
    file.read_exact_at(&mut superblock, partition.start + 1024)?;
    let word = |at: usize| u32::from_le_bytes(superblock[at..at + 4].try_into().expect("four bytes"));
    let (blocks, block) = (u64::from(word(4)), 1024_u64 << word(24));
    let group = 8 * block * block;
    ensure!(
        blocks * block <= partition.size && partition.size - blocks * block < group,
        "{blocks} blocks of {block} bytes are on {} bytes",
        partition.size
    );
    Ok(partition.size)
}
