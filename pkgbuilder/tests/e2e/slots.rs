//! A second slot is tried and committed on a machine whose firmware keeps its variables, and then its partition is lost.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use computatom_agent::slots::LIMIT;
use computatom_spec::boot::gpt;
use pkgbuilder::assemble::partitions::{Partition, Table};

use super::board::Board;
use super::cluster::Node;
use super::machine::{Card, Machine};
use super::scenario::{CORE, LONG, Site, kept, say, wait};

/// What `slot status` is to say: the slot that runs, the one that starts, and how far the trial is.
type Expected = (&'static str, &'static str, Option<&'static str>);

/// What a node has stored, which no slot takes with it.
const NOTE: &str = "/var/lib/note";

/// A trial lasts one boot, whatever ends it; a commit stays; a slot that is lost gives way to the other one.
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
    let mut machine = boot(&card, 5, ("b", "b", None))?;
    wait(&mut machine, "a boot that went well", LONG, || {
        let slots = node.get(4690, "/status.json")?["slots"].clone();
        ensure!(slots["failed"][1] == 0, "{slots}");
        Ok(())
    })?;
    machine.run(&format!("echo kept >{NOTE}; sync {NOTE}"), LONG)?;
    machine.cut_power()?;
    lost(&card, 6)
}

/// The partition of slot b, which starts, is no longer in the table: that is said and counted, until slot a starts.
fn lost(card: &Card, number: u32) -> Result<()> {
    say("slot b is lost");
    let root = Table::read(&File::open(&card.image)?)?.partuuid(gpt::ROOT_B)?;
    delete_partition(&card.image, gpt::ROOT_B)?;
    let missing = format!("slot b is missing: there is no partition {root}");
    let last = number + LIMIT;
    for number in number..last {
        gives_up(card, number, &root, &missing)?;
    }
    let why = format!("slot b has failed {LIMIT} times, slot a verifies and starts from now on");
    gives_up(card, last, &root, &why)?;
    let mut machine = boot(card, last + 1, ("a", "a", None))?;
    let slots = status(&mut machine)?;
    ensure!(
        slots["committed"] == "a" && slots["failed"][1] == LIMIT && slots["other"].is_string(),
        "{slots}"
    );
    let note = machine.run(&format!("cat {NOTE}"), LONG)?;
    ensure!(note.trim() == "kept", "what was stored is {note}");
    machine.cut_power()
}

/// A boot that ends in `/init`: it has waited for the partition, for a disk may be slower than the firmware that has read it,
/// and says why it goes no further.
fn gives_up(card: &Card, number: u32, root: &str, why: &str) -> Result<()> {
    let mut machine = card.boot(&CORE, number)?;
    machine.resets(LONG)?;
    let (console, waited) = (machine.console(), machine.began.elapsed());
    let waits = format!("waiting for the disk with partition {root}");
    for said in [&waits, why, "restarting in 10 s"] {
        ensure!(
            console.contains(said),
            "boot {number} ended, but nothing says `{said}`:\n{console}"
        );
    }
    ensure!(
        waited > Duration::from_mins(1),
        "boot {number} gave up after {} s",
        waited.as_secs()
    );
    say(&format!("boot {number} gave up after {} s", waited.as_secs()));
    Ok(())
}

/// What `slot status` says, with a look at all of the other slot.
pub(crate) fn status(machine: &mut Machine) -> Result<serde_json::Value> {
    let said = machine.run("computatom-agent slot status --json --verify", LONG)?;
    let json = said.get(said.find('{').unwrap_or_default()..=said.rfind('}').unwrap_or_default());
    serde_json::from_str(json.unwrap_or_default()).with_context(|| format!("reading what `slot status` says: {said}"))
}

/// As by a person's slip with a partitioning tool, which writes both halves of a GPT.
fn delete_partition(image: &Path, number: u8) -> Result<()> {
    let output = Command::new("/usr/sbin/sfdisk")
        .args(["--quiet", "--delete"])
        .arg(image)
        .arg(number.to_string())
        .output()
        .context("running sfdisk (package fdisk)")?;
    ensure!(
        output.status.success(),
        "sfdisk --delete: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
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
pub(crate) fn restart_into_trial(mut machine: Machine) -> Result<()> {
    let armed = machine.run("computatom-agent slot try --version 2", LONG)?;
    ensure!(armed.contains("slot b is started by the next restart"), "{armed}");
    let _ = machine.run("systemctl --no-block reboot", LONG);
    machine.resets(LONG)
}

/// Slot b with the same system: the root again, and the kernel with the other root on its command line.
pub(crate) fn write_second_slot(card: &Card, folder: &Path) -> Result<()> {
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
