//! DATA, which a first boot makes: on the smallest card that it has room on, through power cuts, and on a larger card.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use pkgbuilder::assemble::partitions::Table;

use super::board::Board;
use super::machine::Card;
use super::scenario::{PI, READY, Site, WORKER, say};

/// The smallest card that boards are to have room on; QEMU takes powers of two only.
const SMALL: u64 = 4 << 30;

/// The power fails while mke2fs writes, twice, and the third boot has its DATA: a sample of `tests/crash`, with a kernel. On
/// the smallest card that there is to be room on; copied to a larger one, it has that one's room.
pub(crate) fn cut_short(site: &Site) -> Result<()> {
    const MAKING: &str = "computatom-init: making a file system for DATA";
    const GROWING: &str = "computatom-init: growing the file system of DATA";
    const MOUNTED: &str = "EXT4-fs (mmcblk0p7): mounted filesystem";
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
    let small = data(&card)?;

    say("the same on a card of twice the size");
    File::options().write(true).open(&card.image)?.set_len(2 * SMALL)?;
    let mut machine = card.power_on(&WORKER, 4)?;
    machine.wait_for(GROWING, READY)?;
    machine.wait_for(MOUNTED, READY)?;
    machine.cut_power()?;
    let large = data(&card)?;
    ensure!(large == small + SMALL, "DATA had {small} bytes and has {large}");
    Ok(())
}

/// The size of DATA in bytes, which its file system fills but for less than a group of its blocks.
fn data(card: &Card) -> Result<u64> {
    let file = File::open(&card.image)?;
    let partition = Table::read(&file)?.get(7)?;
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
