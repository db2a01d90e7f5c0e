//! A second slot is tried and committed on a machine whose firmware keeps its variables.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use computatom_spec::boot::gpt;
use pkgbuilder::assemble::partitions::{Partition, Table};

use super::board::Board;
use super::cluster::Node;
use super::machine::{Card, Machine};
use super::scenario::{CORE, LONG, Site, kept, say, wait};

/// What `slot status` is to say: the slot that runs, the one that starts, and how far the trial is.
type Expected = (&'static str, &'static str, Option<&'static str>);

/// A trial lasts one boot, whatever ends it; a commit stays.
pub(crate) fn trial_and_commit(site: &Site) -> Result<()> {
    say("two slots");
    let card = Card::burn(
        Board::Virt(1536),
        &site.image("vm", "uefi-arm64")?,
        &site.folder,
        "slots",
    )?;
    write_second_slot(&card, &site.folder.join("slots"))?;

    let mut machine = boot(&card, 1, ("a", "a", None))?;
    let other = machine.run("computatom-agent slot status --verify", LONG)?;
    ensure!(other.contains("other      verifies"), "{other}");
    restart_into_trial(machine)?;
    let machine = boot(&card, 2, ("b", "a", Some("running")))?;
    say("power cut during the trial");
    machine.cut_power()?;
    let machine = boot(&card, 3, ("a", "a", Some("failed")))?;
    restart_into_trial(machine)?;
    let mut machine = boot(&card, 4, ("b", "a", Some("running")))?;
    let node = Node::new(CORE.name, CORE.address);
    kept(&mut machine, &node, |machine| {
        // What the node itself calls ready: before that it refuses to commit.
        wait(machine, "slot b", LONG, || {
            let status = node.get(4690, "/status.json")?;
            let checked = status["checks"].as_array().is_some_and(|checks| !checks.is_empty());
            let waits = &status["waits_for"];
            ensure!(checked && *waits == serde_json::json!([]), "it waits for {waits}");
            Ok(())
        })?;
        let said = machine.run("computatom-agent slot commit", LONG)?;
        ensure!(said.contains("slot b starts from now on"), "{said}");
        Ok(())
    })?;
    machine.cut_power()?;
    boot(&card, 5, ("b", "b", None))?.cut_power()
}

/// Boots until the slots can be asked, and compares.
fn boot(card: &Card, number: u32, expected: Expected) -> Result<Machine> {
    let node = Node::new(CORE.name, CORE.address);
    let mut machine = card.boot(&CORE, number)?;
    kept(&mut machine, &node, |machine| {
        wait(machine, &format!("boot {number}"), LONG, || {
            let slots = node.get(4690, "/status.json")?["slots"].clone();
            let now = (
                slots["running"].as_str(),
                slots["committed"].as_str(),
                slots["pending"]["state"].as_str(),
            );
            ensure!(
                now == (Some(expected.0), Some(expected.1), expected.2),
                "{expected:?} is {slots}"
            );
            Ok(())
        })
    })?;
    Ok(machine)
}

/// `slot try`, and the restart that it makes.
fn restart_into_trial(mut machine: Machine) -> Result<()> {
    let armed = machine.run("computatom-agent slot try --version 2", LONG)?;
    ensure!(armed.contains("slot b is started by the next restart"), "{armed}");
    let _ = machine.run("systemctl --no-block reboot", LONG);
    machine.resets(LONG)
}

/// Slot b with the same system: the root again, and the kernel with the other root on its command line.
fn write_second_slot(card: &Card, folder: &Path) -> Result<()> {
    let disk = File::options().read(true).write(true).open(&card.image)?;
    let table = Table::read(&disk)?;
    copy(&disk, &table.get(gpt::ROOT_A)?, &table.get(gpt::ROOT_B)?)?;
    let volume = format!("{}@@{}", card.image.display(), table.get(gpt::ESP)?.start);
    let kernel = folder.join("kernel.efi");
    mcopy(&[
        &volume,
        &format!("::EFI/Linux/{}", gpt::KERNEL_A),
        &kernel.display().to_string(),
    ])?;
    let mut bytes = fs::read(&kernel)?;
    let (from, to) = (table.partuuid(gpt::ROOT_A)?, table.partuuid(gpt::ROOT_B)?);
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter_map(|(at, window)| (window == from.as_bytes()).then_some(at))
        .collect();
    let [at] = places[..] else {
        anyhow::bail!("the kernel names its root {} times", places.len());
    };
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    fs::write(&kernel, bytes)?;
    mcopy(&[
        &volume,
        &kernel.display().to_string(),
        &format!("::EFI/Linux/{}", gpt::KERNEL_B),
    ])
}

/// Copies what a partition holds to another of the same size; zeros stay holes.
fn copy(disk: &File, from: &Partition, to: &Partition) -> Result<()> {
    let mut buffer = vec![0; 4 << 20];
    for at in (0..from.end() - from.start).step_by(buffer.len()) {
        let length = buffer.len().min(usize::try_from(from.end() - from.start - at)?);
        disk.read_exact_at(&mut buffer[..length], from.start + at)?;
        if buffer[..length].iter().any(|byte| *byte != 0) {
            disk.write_all_at(&buffer[..length], to.start + at)?;
        }
    }
    Ok(())
}

/// `mcopy -i VOLUME FROM TO`; what is there is written over.
pub(crate) fn mcopy(arguments: &[&str; 3]) -> Result<()> {
    let [volume, from, to] = arguments;
    let status = Command::new("mcopy")
        .args(["-n", "-o", "-i", volume, from, to])
        .status()
        .context("running mcopy (package mtools)")?;
    ensure!(status.success(), "mcopy of {from} to {to} ended with {status}");
    Ok(())
}
