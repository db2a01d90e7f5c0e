//! A card with room for the image and for nothing else: the board says so, and works until the power goes.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::board::Board;
use super::cluster::Node;
use super::machine::Card;
use super::scenario::{CORE, LONG, PI, Site, healthy, kept, say, wait};

/// QEMU takes cards with a power of two as their size only: an image with slots of 1.5 GiB leaves too little of 4 GiB.
const CARD_SIZE: u64 = 4 << 30;
/// The pin of a Pi 3 B+'s activity light (`bcm2837-rpi-3-b-plus.dts` in Linux).
const LIGHT: u32 = 29;
const SLOTS: &str = "name: 'core', partitions+: { root_mib: 1536 },";

pub(crate) fn card_without_room(site: &Site) -> Result<()> {
    const SAID: &str = "computatom-init: running without DATA: the card";
    say("a card that is too small");
    let folder = site.folder.join("full");
    fs::create_dir_all(&folder)?;
    let definition = fs::read_to_string(site.repository.join("images/core.jsonnet"))?;
    ensure!(definition.contains("name: 'core',"), "core.jsonnet has no name");
    let path = folder.join("core.jsonnet");
    fs::write(&path, definition.replace("name: 'core',", SLOTS))?;
    fs::copy(
        site.repository.join("images/core.lock.json"),
        folder.join("core.lock.json"),
    )?;
    let image = site.build(&path.display().to_string(), PI, "{}", &folder.join("out"))?;
    let card = Card::burn_sized(Board::Pi3Plus, &image, &site.folder, "full", CARD_SIZE)?;
    let before = table(&card)?;
    let node = Node::new(CORE.name, CORE.address);
    let mut machine = card.boot(&CORE, 1)?;
    kept(&mut machine, &node, |machine| {
        machine.wait_for(SAID, LONG)?;
        wait(machine, "Consul in memory", LONG, || node.consul_ready())?;
        wait(machine, "Nomad's servers in memory", LONG, || node.nomad_serves())?;
        let warnings = node.get(4690, "/status.json")?["warnings"].to_string();
        ensure!(
            warnings.contains("without DATA") && warnings.contains("too small"),
            "the node warns of {warnings}"
        );
        let kind = machine.run("findmnt -no FSTYPE /var", Duration::from_mins(1))?;
        ensure!(kind.trim() == "tmpfs", "/var is {kind}");
        blinks(&machine.light(LIGHT, Duration::from_secs(6))?)?;
        healthy(machine)
    })?;
    machine.cut_power()?;
    ensure!(table(&card)? == before, "the partition table is another one");
    Ok(())
}

/// Evenly, some five times in a second; a busy machine is slower.
fn blinks(seen: &[bool]) -> Result<()> {
    let on = seen.iter().filter(|on| **on).count();
    let changes = seen.windows(2).filter(|pair| pair[0] != pair[1]).count();
    say(&format!(
        "the light was on {on} of {} times, and changed {changes} times",
        seen.len()
    ));
    ensure!(
        changes >= 12 && on * 4 > seen.len() && on * 4 < seen.len() * 3,
        "the light does not blink evenly: {seen:?}"
    );
    Ok(())
}

fn table(card: &Card) -> Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let mut sector = vec![0; 512];
    fs::File::open(&card.image)?.read_exact_at(&mut sector, 0)?;
    Ok(sector)
}
