//! `pkgbuilder firmware` as people call it, on a card made by other tools than ours.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const MIB: u64 = 1 << 20;

/// An ELF program of no segments, as large as it says.
fn program() -> Vec<u8> {
    let mut program = vec![0; 52];
    program[..4].copy_from_slice(b"\x7fELF");
    program
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Two slots behind a partition that chooses, by sfdisk, mkfs.vfat and mcopy.
fn card(folder: &Path) -> PathBuf {
    let image = folder.join("card.img");
    fs::File::create(&image).unwrap().set_len(64 * MIB).unwrap();
    let script = format!(
        "printf 'label: dos\\nlabel-id: 0xc0de0042\\nstart=8192,size=16384,type=c\\nsize=32768,type=c\\nsize=32768,type=c\\ntype=83\\n' \
         | sfdisk -q {}",
        image.display()
    );
    succeeds(Command::new("sh").args(["-c", &script]));
    let files: [(&str, Vec<u8>); 6] = [
        ("start4.elf", program()),
        ("kernel8.img", b"kernel".to_vec()),
        ("bcm2711-rpi-4-b.dtb", b"tree".to_vec()),
        ("config.txt", b"dtoverlay=gpio-fan\n".to_vec()),
        ("cmdline.txt", b"root=PARTUUID=c0de0042-04 quiet\n".to_vec()),
        (
            "autoboot.txt",
            b"[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n".to_vec(),
        ),
    ];
    for (name, content) in &files {
        fs::write(folder.join(name), content).unwrap();
    }
    for (start, size, kept) in [(4, 8, &files[5..]), (12, 16, &files[..5]), (28, 16, &files[..5])] {
        succeeds(
            Command::new("mkfs.vfat")
                .arg(format!("--offset={}", start * MIB / 512))
                .arg(&image)
                .arg((size * 1024).to_string()),
        );
        let at = format!("{}@@{}", image.display(), start * MIB);
        for (name, _) in kept {
            succeeds(Command::new("mcopy").args(["-i", &at]).arg(folder.join(name)).arg("::"));
        }
    }
    image
}

/// Exit code and what was said.
fn firmware(image: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"))
        .arg("firmware")
        .arg(image)
        .args(arguments)
        .output()
        .unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn a_card_is_followed_and_each_decision_has_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let image = card(folder.path());
    let starts = |arguments: &[&str]| -> serde_json::Value {
        let (code, said) = firmware(&image, &[&["--board", "pi4", "--json"], arguments].concat());
        assert_eq!(code, 0, "{said}");
        serde_json::from_str(&said).unwrap()
    };
    let normal = starts(&[]);
    assert_eq!(normal["starts"]["partition"], 2);
    assert_eq!(normal["starts"]["root"], 4);
    assert_eq!(normal["starts"]["cmdline"], "root=PARTUUID=c0de0042-04 quiet");
    assert!(normal["steps"].as_array().unwrap().len() > 5);
    assert_eq!(starts(&["--tryboot"])["starts"]["partition"], 3);
    assert_eq!(starts(&["--eeprom", "2021-04-29"])["starts"]["partition"], 3);
    for harm in ["--corrupt", "--empty", "--missing"] {
        assert_eq!(
            starts(&[harm, "autoboot.txt", "--tryboot"])["starts"]["partition"],
            2,
            "{harm}"
        );
    }
    let watched = [
        "--eeprom-config=BOOT_WATCHDOG_TIMEOUT=45",
        "--eeprom-config=BOOT_WATCHDOG_PARTITION=3",
    ];
    assert_eq!(
        starts(&[&["--truncate", "2:start4.elf"], &watched[..]].concat())["starts"]["partition"],
        3
    );

    let (code, said) = firmware(&image, &["--board", "pi4"]);
    assert_eq!(code, 0);
    for part in [
        "boot_partition of autoboot.txt",
        "kernel       kernel8.img",
        "root         partition 4",
        "no overlay gpio-fan",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let (code, said) = firmware(&image, &["--board", "pi4", "--missing", "2:start4.elf"]);
    assert!(code == 0 && said.contains("PARTITION_WALK goes on"), "{said}");
    let (code, said) = firmware(&image, &["--board", "pi3"]);
    assert!(
        code == 1 && said.contains("no bootcode.bin") && said.contains("stays dark"),
        "{said}"
    );
}

#[test]
fn wrong_questions_are_answered_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let image = card(folder.path());
    let wrong = |image: &Path, arguments: &[&str], part: &str| {
        let (code, said) = firmware(image, arguments);
        assert!(code == 2 && said.contains(part), "{part}: {said}");
    };
    wrong(&image, &["--board", "pi44"], "did you mean `pi4`");
    wrong(&image, &["--board", "pi4", "--eeprom", "29.4.2021"], "as in 2021-04-29");
    wrong(&image, &["--board", "pi5", "--eeprom", "2021-04-29"], "of 2023-09-13");
    wrong(
        &image,
        &["--board", "pi3", "--eeprom", "2021-04-29"],
        "has no boot EEPROM",
    );
    wrong(
        &image,
        &["--board", "pi4", "--eeprom-config", "BOOT_ORDER=1"],
        "no setting of the EEPROM",
    );
    wrong(
        &image,
        &["--board", "pi4", "--corrupt", "autobot.txt"],
        "there is no autobot.txt",
    );
    wrong(
        &image,
        &["--board", "pi4", "--corrupt", "x:config.txt"],
        "`x` is not the number of a partition",
    );
    wrong(&folder.path().join("none.img"), &["--board", "pi4"], "cannot open");
    wrong(
        &folder.path().join("config.txt"),
        &["--board", "pi4"],
        "no image for a Raspberry Pi",
    );
    let gpt = folder.path().join("gpt.img");
    fs::File::create(&gpt).unwrap().set_len(8 * MIB).unwrap();
    succeeds(Command::new("sh").args([
        "-c",
        &format!("printf 'label: gpt\\n2048\\n' | sfdisk -q {}", gpt.display()),
    ]));
    wrong(&gpt, &["--board", "pi4"], "no FAT partition");
}
