//! What the documentation says, of each model; and what holds of any card.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::testing::program;
use super::card::Card;
use super::models::Board;
use super::start::{Firmware, Flags};
use super::testing::{A, Memory, NEW, TRIAL, eeprom, pi4, seen};

#[test]
fn a_partition_that_cannot_be_booted_is_walked_past_by_those_who_do() {
    let mut card = Memory::fresh();
    for name in ["start.elf", "start4.elf"] {
        card = card.without(2, name);
    }
    assert_eq!(seen(&pi4(&card, NEW).start()), (3, false));
    let outcome = pi4(&card, "2025-08-12").start();
    assert!(
        outcome
            .reason()
            .contains("partition 2 is asked for, and has no start*.elf"),
        "{}",
        outcome.reason()
    );
    let mut asked = eeprom("2025-02-11");
    asked.set("PARTITION_WALK=1").unwrap();
    assert_eq!(
        seen(&Firmware::new(&card, Board::Pi4, asked.clone()).start()),
        (3, false)
    );
    asked.date = "2025-02-10".parse().unwrap();
    assert_eq!(Firmware::new(&card, Board::Pi4, asked).start().selection(), None);
    // One that is not on the card at all: as if nothing had been asked for.
    let beyond = Memory::fresh().with(1, "autoboot.txt", "boot_partition=9\n");
    assert_eq!(seen(&pi4(&beyond, NEW).start()), A);
}

#[test]
fn the_argument_of_a_reboot_goes_before_autoboot_txt() {
    let card = Memory::fresh();
    let mut board = pi4(&card, NEW);
    board.reboot(Flags {
        tryboot: false,
        partition: 3,
    });
    assert_eq!(seen(&board.start()), (3, false));
}

#[test]
fn a_trial_by_file_takes_tryboot_txt() {
    let card = Memory::fresh()
        .with(1, "autoboot.txt", "boot_partition=2\n")
        .with(2, "tryboot.txt", "upstream_kernel=1\nkernel=kernel9.img\n")
        .with(2, "kernel9.img", "x");
    let mut board = pi4(&card, NEW);
    board.reboot(TRIAL);
    assert_eq!(board.start().selection().unwrap().kernel, "kernel9.img");
    assert_eq!(board.start().selection().unwrap().kernel, "kernel8.img");
}

#[test]
fn each_model_takes_its_own_files() {
    let mut card = Memory::fresh();
    for (name, content) in [
        ("kernel.img", "x"),
        ("bcm2835-rpi-zero.dtb", "x"),
        ("overlays/i2c.dtbo", "x"),
    ] {
        card.put(2, name, content);
    }
    card.put(
        2,
        "config.txt",
        "[pi0]\nauto_initramfs=1\n[pi02]\ndtoverlay=i2c,speed=4\n[pi3+]\ninitramfs initramfs.img\n[pi5]\nkernel=kernel9.img\n[all]\nupstream_kernel=1\narm_64bit=1\n",
    );
    let taken = |board: Board| Firmware::new(&card, board, eeprom(NEW)).start();
    for (board, kernel, device_tree, initramfs) in [
        (Board::Pi0, "kernel.img", "bcm2835-rpi-zero.dtb", ""),
        (Board::Pi3, "kernel8.img", "bcm2837-rpi-3-b.dtb", ""),
        (
            Board::Pi3Plus,
            "kernel8.img",
            "bcm2837-rpi-3-b-plus.dtb",
            "initramfs.img",
        ),
        (Board::Pi4, "kernel8.img", "bcm2711-rpi-4-b.dtb", ""),
        (Board::Pi5, "kernel8.img", "bcm2712-rpi-5-b.dtb", ""),
    ] {
        let outcome = taken(board);
        let found = outcome
            .selection()
            .unwrap_or_else(|| panic!("{board:?}: {}", outcome.reason()));
        assert_eq!(
            (
                found.kernel.as_str(),
                found.device_tree.as_str(),
                found.initramfs.as_str()
            ),
            (kernel, device_tree, initramfs),
            "{board:?}"
        );
        assert_eq!(found.root, Some(5));
    }
    // Sees the section of the Zero, too.
    assert_eq!(taken(Board::Pi02).selection().unwrap().overlays, ["overlays/i2c.dtbo"]);
    card.put(2, "initramfs", "x");
    let zero = Firmware::new(&card, Board::Pi0, eeprom(NEW)).start();
    assert_eq!(zero.selection().unwrap().initramfs, "initramfs");
    let outcome = Firmware::new(&card, Board::Pi1, eeprom(NEW)).start();
    assert!(
        outcome.reason().contains("no device tree for a Raspberry Pi 1"),
        "{}",
        outcome.reason()
    );
    let without = Memory::fresh().without(1, "bootcode.bin");
    for (board, dark) in [
        (Board::Pi3, true),
        (Board::Pi02, true),
        (Board::Pi4, false),
        (Board::Pi5, false),
    ] {
        let outcome = Firmware::new(&without, board, eeprom(NEW)).start();
        assert_eq!(outcome.selection().is_none(), dark, "{board:?}");
    }
}

#[test]
fn files_behind_a_prefix() {
    let mut card = Memory::fresh();
    card.put(
        2,
        "config.txt",
        "arm_64bit=1\nos_prefix=new/\nkernel=/shared.img\ncmdline=line.txt\ndtoverlay=x\n",
    );
    for name in [
        "shared.img",
        "new/bcm2711-rpi-4-b.dtb",
        "new/line.txt",
        "new/overlays/x.dtbo",
    ] {
        card.put(2, name, "x");
    }
    let outcome = pi4(&card, NEW).start();
    let taken = outcome.selection().unwrap();
    assert_eq!(
        (taken.kernel.as_str(), taken.device_tree.as_str()),
        ("shared.img", "new/bcm2711-rpi-4-b.dtb")
    );
    assert_eq!((taken.cmdline.as_str(), taken.overlays.len()), ("x", 0));
    card.put(2, "new/overlays/README", "x");
    assert_eq!(
        pi4(&card, NEW).start().selection().unwrap().overlays,
        ["new/overlays/x.dtbo"]
    );
    let card = card.without(2, "new/bcm2711-rpi-4-b.dtb");
    assert_eq!(
        pi4(&card, NEW).start().selection().unwrap().device_tree,
        "bcm2711-rpi-4-b.dtb"
    );
}

fn any_card() -> impl Strategy<Value = Memory> {
    let names = prop::sample::select(vec![
        "autoboot.txt",
        "config.txt",
        "tryboot.txt",
        "cmdline.txt",
        "bootcode.bin",
        "start.elf",
        "start4.elf",
        "kernel8.img",
        "kernel.img",
        "initramfs.img",
        "bcm2711-rpi-4-b.dtb",
        "bcm2837-rpi-3-b.dtb",
        "bcm2712-rpi-5-b.dtb",
        "upstream/kernel8.img",
        "overlays/x.dtbo",
        "",
    ]);
    let content = prop_oneof![
        "(\\[(all|none|tryboot|pi4|pi0)\\]|boot_partition=[0-9]{1,3}|tryboot_a_b=1|kernel=[a-z/.8]{0,12}|initramfs [a-z.]{0,9}|os_prefix=[a-z/]{0,9}|upstream_kernel=1|auto_initramfs=1|dtoverlay=[a-z:,]{0,4}|root=PARTUUID=[-a-f0-9]{0,12}|\n| |\\PC){0,12}"
            .prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..100),
        any::<bool>().prop_map(|_| program("x")),
        proptest::collection::vec(any::<u8>(), 0..90).prop_map(|bytes| [b"\x7fELF".to_vec(), bytes].concat()),
    ];
    let files = proptest::collection::btree_map(names.prop_map(str::to_owned), content.prop_map(Bytes::from), 0..14);
    proptest::collection::btree_map(1_u8..9, files, 0..5).prop_map(Memory)
}

proptest! {
    #[test]
    fn no_card_makes_it_panic_or_name_what_is_not_there(
        card in any_card(),
        dates in (2019_u16..2027, 1_u8..13, 1_u8..29),
        flags in proptest::collection::vec((any::<bool>(), any::<u8>(), any::<bool>()), 1..5),
        watchdog in (0_u8..2, any::<u8>()),
    ) {
        let (year, month, day) = dates;
        let mut settings = eeprom(&format!("{year:04}-{month:02}-{day:02}"));
        settings.set(&format!("BOOT_WATCHDOG_TIMEOUT={}", watchdog.0)).unwrap();
        settings.set(&format!("BOOT_WATCHDOG_PARTITION={}", watchdog.1)).unwrap();
        for board in Board::all() {
            let mut firmware = Firmware::new(&card, board, settings.clone());
            for (tryboot, partition, cut) in &flags {
                firmware.reboot(Flags { tryboot: *tryboot, partition: *partition });
                if *cut {
                    firmware.power_cut();
                }
                let outcome = firmware.start();
                prop_assert_eq!(firmware.flags, Flags::default(), "flags are for once");
                let Some(taken) = outcome.selection() else {
                    prop_assert!(!outcome.reason().is_empty());
                    continue;
                };
                prop_assert!(card.volumes().contains(&taken.partition));
                let there = |path: &str| card.read(taken.partition, path).is_some();
                prop_assert!(there(&taken.kernel) && there(&taken.device_tree));
                prop_assert!(taken.initramfs.is_empty() || there(&taken.initramfs));
                prop_assert!(taken.overlays.iter().all(|overlay| there(overlay)));
                prop_assert!(taken.root.is_none_or(|root| (1..8).contains(&root)));
                prop_assert!(!(*cut && taken.tryboot), "a trial outlives no power cut");
            }
        }
    }
}
