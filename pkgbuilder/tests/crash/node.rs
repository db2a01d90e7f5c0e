//! What `computatom-agent slot` does on a machine: a tree with a disk in it.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use computatom_agent::root::Root;
use computatom_agent::slots::node::{Node, Stage};

use super::image::Image;
use super::machine::{Board, Workshop};
use super::{CARD, image, used};

/// A machine that was booted from such a card, its disk a file.
fn machine(image: &Image, trial: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut workshop = Workshop::new();
    let mut board = Board::new(&mut workshop, used(image), image.end);
    board.boot().unwrap();
    let at = |path: &str| folder.path().join(path);
    for path in [
        "dev",
        "proc",
        "sys/block/loop0",
        "sys/block/sda",
        "sys/firmware/efi/efivars",
    ] {
        fs::create_dir_all(at(path)).unwrap();
    }
    let cmdline = board.cmdline_text(trial).unwrap();
    fs::write(at("proc/cmdline"), cmdline).unwrap();
    write(&at("dev/sda"), image, &board);
    folder
}

fn write(path: &Path, image: &Image, board: &Board) {
    let card = board.card.borrow();
    let file = fs::File::create(path).unwrap();
    for (offset, page) in card.now.pages().filter(|(offset, _)| *offset < image.end) {
        file.write_all_at(page, offset).unwrap();
    }
    file.set_len(CARD).unwrap();
}

#[test]
fn a_uefi_machine_is_asked_for_a_trial_and_commits_it() {
    let image = image::uefi(CARD, true);
    let folder = machine(&image, false);
    let root = Root::at(folder.path());
    let mut node = Node::open(&root).unwrap();
    let report = node.report(true).unwrap();
    assert_eq!((report.running.as_str(), report.committed.as_deref()), ("a", Some("a")));
    assert_eq!(report.other, Some(None), "slot b verifies");
    node.try_other("0.2.0").unwrap();
    let variable = "sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
    assert!(
        fs::read(folder.path().join(variable))
            .unwrap()
            .starts_with(&[7, 0, 0, 0, b'n', 0, b'o', 0])
    );
    let pending = node.report(false).unwrap().pending.unwrap();
    assert_eq!(
        (pending.slot.as_str(), pending.version.as_str(), pending.state),
        ("b", "0.2.0", Stage::Armed)
    );
    assert_eq!(pending.root_hash.len(), 64);
    // The restart that follows it.
    let cmdline = fs::read_to_string(folder.path().join("proc/cmdline")).unwrap();
    let other = machine(&image, true);
    let trial = fs::read_to_string(other.path().join("proc/cmdline")).unwrap();
    assert_ne!(cmdline, trial);
    fs::write(folder.path().join("proc/cmdline"), trial).unwrap();
    let mut node = Node::open(&root).unwrap();
    let error = node.try_other("").unwrap_err();
    assert!(error.to_string().contains("on trial already"), "{error:#}");
    let (slot, changed) = node.commit().unwrap();
    assert_eq!((slot.to_string().as_str(), changed), ("b", true));
    assert!(!node.commit().unwrap().1, "a commit is idempotent");
    let report = node.report(false).unwrap();
    assert_eq!((report.committed.as_deref(), report.pending), (Some("b"), None));
    node.well().unwrap();
}

#[test]
fn what_cannot_be_tried_says_why_and_changes_nothing() {
    // Debian's kernel has no way to the firmware.
    let image = image::raspberrypi(CARD, true);
    let folder = machine(&image, false);
    let mut node = Node::open(&Root::at(folder.path())).unwrap();
    let before = node.report(false).unwrap();
    let error = format!("{:#}", node.try_other("").unwrap_err());
    assert!(
        error.contains("vcio") && error.contains("Raspberry Pi kernel"),
        "{error}"
    );
    assert_eq!(node.report(false).unwrap(), before);
    // Nothing is in slot B.
    let folder = machine(&image::uefi(CARD, false), false);
    let mut node = Node::open(&Root::at(folder.path())).unwrap();
    let error = format!("{:#}", node.try_other("").unwrap_err());
    assert!(error.contains("slot b") && error.contains("node-b.efi"), "{error}");
    assert!(matches!(node.report(true).unwrap().other, Some(Some(_))));
    // Another system, without slots.
    fs::write(folder.path().join("proc/cmdline"), "root=/dev/sda2 quiet\n").unwrap();
    let error = format!("{:#}", Node::open(&Root::at(folder.path())).unwrap_err());
    assert!(error.contains("no system with slots"), "{error}");
}
