use super::super::boards::{self, BootInput};
use super::super::testing::{EPOCH, with_kernel};
use super::super::{fat, partitions, verity};
use super::*;
use crate::definition::image::Partitions;

/// A card whose boot partitions `change` may spoil.
fn card(change: impl Fn(u8, &mut fat::Files)) -> tempfile::NamedTempFile {
    let sizes = Partitions {
        bootsel_mib: 8,
        boot_mib: 8,
        root_mib: 8,
    };
    let board = boards::find("raspberrypi-arm64").unwrap();
    let table = board.partitions(&sizes, 0xc0de_0042).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(table.disk_size()).unwrap();
    table.write(file.as_file()).unwrap();
    let root = table.get(boot::mbr::ROOT_A).unwrap();
    file.as_file().write_all_at(b"hsqs", root.start).unwrap();
    // `bytes_used`
    file.as_file().write_all_at(&[0, 16], root.start + 40).unwrap();
    let input = BootInput {
        table: &table,
        root_hash: verity::write(file.as_file(), root.start, 4096, 0xc0de_0042).unwrap(),
        cmdline: &[],
    };
    let pieces = board.boot(&with_kernel(), EPOCH).unwrap();
    for mut volume in pieces.volumes(&input).unwrap() {
        change(volume.partition, &mut volume.files);
        let partition = table.get(volume.partition).unwrap();
        fat::write(file.as_file(), partition, volume.label, 1, &volume.files).unwrap();
    }
    file
}

#[test]
fn a_fresh_card_boots_every_board_every_way() {
    let card = card(|_, _| {});
    check(card.as_file(), &[Board::Pi3, Board::Pi02, Board::Pi4]).unwrap();
    let pi3 = boot(card.path(), Board::Pi3, &Options::default()).unwrap();
    assert_eq!(pi3.device_tree_name, "bcm2837-rpi-3-b.dtb");
    assert!(pi3.cmdline.starts_with("root=PARTUUID=c0de0042-05 "));
}

#[test]
fn what_keeps_a_board_dark_is_said() {
    let cases: [(u8, &str, &str); 6] = [
        (1, "bootcode.bin", "bootcode.bin"),
        (2, "start.elf", "start.elf"),
        (2, "kernel8.img", "kernel8.img"),
        (2, "initramfs.img", "initramfs.img"),
        (2, "bcm2837-rpi-3-b.dtb", "device tree"),
        (3, "cmdline.txt", "cmdline.txt"),
    ];
    for (partition, file, said) in cases {
        let card = card(|number, files| {
            if number == partition {
                files.remove(file).unwrap();
            }
        });
        let error = format!("{:#}", check(card.as_file(), &[Board::Pi3]).unwrap_err());
        assert!(error.contains(said), "{file}: {error}");
    }
}

#[test]
fn a_kernel_cut_off_in_the_middle_is_found_at_the_end_of_the_build() {
    for (name, said) in [
        ("start4.elf", "not a whole program"),
        ("kernel8.img", "not an arm64 kernel"),
        ("bcm2711-rpi-4-b.dtb", "not a device tree"),
    ] {
        let cut = card(|_, files| {
            if let Some(content) = files.get_mut(name) {
                *content = content.slice(..content.len().min(60) / 2);
                if name == "bcm2711-rpi-4-b.dtb" {
                    *content = content.slice(..3);
                }
            }
        });
        let error = format!("{:#}", check(cut.as_file(), &[Board::Pi4]).unwrap_err());
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_root_that_is_not_there_is_said() {
    let wrong = card(|_, files| {
        if let Some(line) = files.get_mut("cmdline.txt") {
            *line = String::from_utf8(line.to_vec())
                .unwrap()
                .replace("c0de0042-05", "c0de0042-06")
                .into();
        }
    });
    let error = format!("{:#}", check(wrong.as_file(), &[Board::Pi4]).unwrap_err());
    assert!(error.contains("partition 6") && error.contains("squashfs"), "{error}");
    let table = partitions::Table::read(wrong.as_file()).unwrap();
    assert_eq!(table.partuuid(6).unwrap(), "c0de0042-06");
}
