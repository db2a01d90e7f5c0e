//! The decisions measured on a Raspberry Pi 4 Model B rev 1.2 (usr-ein/TriMixxx, `pi-qemu/PLAN.md` section 2.3, 2026-10-08),
//! row by row.

use super::card::{Damaged, Harm};
use super::models::Board;
use super::start::{Firmware, Flags};
use super::testing::{A, B_ON_TRIAL, Memory, NEW, TRIAL, eeprom, pi4, seen};

#[test]
fn row_1_an_old_eeprom_takes_the_last_line() {
    let card = Memory::fresh();
    let mut board = pi4(&card, "2021-04-29");
    for flags in [Flags::default(), TRIAL] {
        board.reboot(flags);
        assert_eq!(seen(&board.start()), (3, false), "{flags:?}");
    }
    // It is the EEPROM that decides.
    assert_eq!(seen(&pi4(&card, "2022-11-30").start()), (3, false));
    assert_eq!(seen(&pi4(&card, "2022-12-01").start()), A);
}

#[test]
fn rows_2_and_3_a_trial_is_for_once_and_does_not_outlive_the_power() {
    let card = Memory::fresh();
    let mut board = pi4(&card, NEW);
    assert_eq!(seen(&board.start()), A);
    board.reboot(TRIAL);
    assert_eq!(seen(&board.start()), B_ON_TRIAL);
    assert_eq!(seen(&board.start()), A);
    // Armed, then power off.
    board.reboot(TRIAL);
    board.power_cut();
    assert_eq!(seen(&board.start()), A);
    // Power pulled during the trial.
    board.reboot(TRIAL);
    assert_eq!(seen(&board.start()), B_ON_TRIAL);
    board.power_cut();
    assert_eq!(seen(&board.start()), A);
}

#[test]
fn rows_4_to_6_without_autoboot_txt() {
    let missing = Memory::fresh().without(1, "autoboot.txt");
    let mut bootable = missing.clone();
    bootable.0.insert(1, missing.0[&2].clone());
    assert_eq!(seen(&pi4(&bootable, NEW).start()), (1, false));

    let partial = missing.clone().with(1, "start.elf", "x");
    let outcome = pi4(&partial, NEW).start();
    assert_eq!(
        outcome.selection(),
        None,
        "PARTITION_WALK does not apply to partition 0"
    );
    assert!(
        outcome.reason().contains("partition 1 has no start4.elf"),
        "{}",
        outcome.reason()
    );

    // Whichever slot was committed.
    let committed = "[all]\ntryboot_a_b=1\nboot_partition=3\n[tryboot]\nboot_partition=2\n";
    for fresh in [Memory::fresh(), Memory::fresh().with(1, "autoboot.txt", committed)] {
        for harm in [Harm::Missing, Harm::Empty, Harm::Corrupt] {
            let mut card = Damaged::new(&fresh);
            card.harm("autoboot.txt", harm).unwrap();
            assert_eq!(seen(&pi4(&card, NEW).start()), A, "{harm:?}");
        }
    }
    assert_eq!(
        seen(&pi4(&Memory::fresh().with(1, "autoboot.txt", committed), NEW).start()),
        (3, false)
    );
}

#[test]
fn rows_7_and_8_kernels_that_hang() {
    let card = Memory::fresh();
    let mut board = pi4(&card, NEW);
    board.reboot(TRIAL);
    let trial = board.start();
    assert_eq!(seen(&trial), B_ON_TRIAL);
    assert!(
        board.hang(trial.selection().unwrap()),
        "kernel_watchdog_timeout=60 resets it"
    );
    assert_eq!(seen(&board.start()), A);

    // Committed A hangs, although kernel_watchdog_partition=3: A again, for ever.
    for _ in 0..5 {
        let outcome = board.start();
        assert_eq!(seen(&outcome), A);
        assert!(board.hang(outcome.selection().unwrap()));
    }
    let config = "arm_64bit=1\nupstream_kernel=1\n";
    let without = Memory::fresh().with(2, "config.txt", config);
    let mut board = pi4(&without, NEW);
    let outcome = board.start();
    assert!(!board.hang(outcome.selection().unwrap()), "nobody resets it");
}

#[test]
fn row_9_the_boot_watchdog_takes_its_partition() {
    let fresh = Memory::fresh();
    let mut card = Damaged::new(&fresh);
    card.harm("2:start4.elf", Harm::Truncate).unwrap();
    let mut watched = eeprom(NEW);
    watched.set("BOOT_WATCHDOG_TIMEOUT=45").unwrap();
    watched.set("BOOT_WATCHDOG_PARTITION=3").unwrap();
    let outcome = Firmware::new(&card, Board::Pi4, watched.clone()).start();
    assert_eq!(seen(&outcome), (3, false));
    assert!(
        outcome
            .steps
            .iter()
            .any(|step| step.decision.contains("reset after 45 s, to partition 3"))
    );
    // Without the setting, and with an EEPROM that has none: dark.
    assert_eq!(pi4(&card, NEW).start().selection(), None);
    watched.date = "2025-07-02".parse().unwrap();
    assert_eq!(
        Firmware::new(&card, Board::Pi4, watched.clone()).start().selection(),
        None
    );
    // Its own partition is damaged, too.
    card.harm("3:start4.elf", Harm::Truncate).unwrap();
    watched.date = NEW.parse().unwrap();
    let outcome = Firmware::new(&card, Board::Pi4, watched).start();
    assert!(outcome.selection().is_none() && outcome.reason().contains("again and again"));
}

#[test]
fn row_10_a_kernel_that_is_not_there_is_passed_over_without_a_word() {
    let card = Memory::fresh().with(2, "config.txt", "arm_64bit=1\nupstream_kernel=1\nkernel=missing.img\n");
    let outcome = pi4(&card, NEW).start();
    assert_eq!(outcome.selection().unwrap().kernel, "kernel8.img");
    let said = |text: &str| outcome.steps.iter().any(|step| step.because.contains(text));
    assert!(said("kernel=missing.img is not there"), "{:?}", outcome.steps);
}
