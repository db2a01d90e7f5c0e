//! A root that rots is an error and never a wrong byte: whoever meets the bit first, the kernel or `/init`, the board resets.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use anyhow::{Result, ensure};
use computatom_spec::boot::gpt;
use computatom_spec::verity::{BLOCK, Layout};
use pkgbuilder::assemble::partitions::Table;

use super::board::Board;
use super::machine::Card;
use super::scenario::{CORE, READY, Site, say};

/// How far apart the bits are that rot first.
const APART: usize = 1 << 20;

/// One bit in each MiB of the root is another than it was: the board resets when it reads one. Then the top of its hash tree
/// rots, and `/init` refuses it before anything is mounted. After three such boots the board stands still, since there is no
/// other slot.
pub(crate) fn resets(site: &Site) -> Result<()> {
    say("a root that rots");
    let card = Card::burn(Board::Virt(1024), &site.image("vm", "uefi-arm64")?, &site.folder, "rot")?;
    let disk = File::options().read(true).write(true).open(&card.image)?;
    let root = Table::read(&disk)?.get(gpt::ROOT_A)?.start;
    let layout = Layout::find(|buffer, at| disk.read_exact_at(buffer, root + at)).map_err(anyhow::Error::msg)?;
    // Not the first: the boot is to get as far as systemd. And not the tree, of which /init reads the top.
    for at in (0..layout.superblock.data_blocks * BLOCK).step_by(APART).skip(1) {
        flip(&disk, root + at)?;
    }
    for number in 1..=2 {
        reset(&card, number, &["device-mapper: verity:", "is corrupted"])?;
    }
    flip(&disk, root + layout.top() * BLOCK)?;
    let refused = "does not hold the root that the command line asks for: its hash tree has not the root hash";
    reset(&card, 3, &[refused, "restarting in 10 s"])?;
    let mut machine = card.boot(&CORE, 4)?;
    machine.wait_for("slot a has failed 3 times and does not verify", READY)?;
    machine.wait_for("this board waits to be switched off", Duration::from_mins(1))
}

/// Makes one bit of a byte another.
fn flip(disk: &File, at: u64) -> Result<()> {
    let mut byte = [0];
    disk.read_exact_at(&mut byte, at)?;
    Ok(disk.write_all_at(&[byte[0] ^ 0x10], at)?)
}

/// A boot that ends with a reset, and of which the console says why.
fn reset(card: &Card, number: u32, why: &[&str]) -> Result<()> {
    let mut machine = card.boot(&CORE, number)?;
    machine.resets(READY)?;
    let console = machine.console();
    for said in why {
        ensure!(
            console.contains(said),
            "boot {number} ended, but nothing says `{said}`:\n{console}"
        );
    }
    say(&format!(
        "boot {number} reset after {} s",
        machine.began.elapsed().as_secs()
    ));
    Ok(())
}
