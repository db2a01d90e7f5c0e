//! Power cuts in a real first boot: all that its kernel, its mke2fs and its services write is logged, and what a cut after some
//! of it may have left is booted. (`tests/crash` does so with `/init`'s own code, ten thousand times, and without a kernel.)

use std::fs::File;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};

use super::board::Board;
use super::cluster::Node;
use super::machine::Card;
use super::scenario::{CORE, LONG, Site, kept, say, wait};
use super::write_log::WriteLog;

/// How many cuts are booted, one in each part of the log.
const CUTS: usize = 6;

pub(crate) fn sample(site: &Site) -> Result<()> {
    say("the writes of a first boot");
    let image = site.image("vm", "uefi-arm64")?;
    let board = Board::Virt(1536);
    let card = Card::burn(board, &image, &site.folder, "cuts")?.logged()?;
    let node = Node::new(CORE.name, CORE.address);
    let mut machine = card.boot(&CORE, 1)?;
    kept(&mut machine, &node, |machine| {
        wait(machine, "Nomad", LONG, || node.nomad_ready())
    })?;
    machine.cut_power()?;
    let log = WriteLog::open(&card.log())?;
    let (entries, flushes) = log.count();
    say(&format!("{entries} entries, {flushes} flushes"));
    ensure!(flushes > 10, "a first boot flushes more often than {flushes} times");

    // Others with each run, as the log is another one; which they are is said.
    let seed: u64 = rand::thread_rng().gen_range(0..1 << 32);
    let mut lost = 0;
    for number in 0..CUTS {
        let mut random = StdRng::seed_from_u64(seed << 8 | number as u64);
        let part = number * entries / CUTS..(number + 1) * entries / CUTS;
        let happened = log.loses(part.clone()).choose(&mut random).unwrap_or(part.start);
        let card = Card::burn(board, &image, &site.folder, &format!("cuts/{number}"))?;
        let left_out = log.replay(&File::options().write(true).open(&card.image)?, happened, &mut random)?;
        lost += left_out;
        say(&format!(
            "power cut after {happened} of {entries} entries, {left_out} sectors lost (seed {seed})"
        ));
        let mut machine = card.boot(&CORE, 1)?;
        kept(&mut machine, &node, |machine| {
            wait(machine, "Nomad", LONG, || node.nomad_ready())?;
            let without = machine.run("cat /run/computatom/without-data 2>/dev/null || echo none", LONG)?;
            ensure!(without.trim() == "none", "it runs without DATA: {without}");
            Ok(())
        })?;
        machine.cut_power()?;
        std::fs::remove_file(&card.image)?;
    }
    ensure!(lost > 0, "no cut lost anything");
    Ok(())
}
