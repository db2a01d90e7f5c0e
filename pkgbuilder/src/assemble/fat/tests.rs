use std::fs::File;
use std::io::Write as _;
use std::process::Command;

use super::super::testing::oracle;
use super::*;

fn files() -> Files {
    let mut files = Files::new();
    files.insert("autoboot.txt".to_owned(), Bytes::from(vec![b'\n'; 512]));
    files.insert("bcm2710-rpi-3-b-plus.dtb".to_owned(), Bytes::from(vec![3; 30_000]));
    files.insert("bcm2711-rpi-4-b.dtb".to_owned(), Bytes::from(vec![4; 40_001]));
    files.insert("empty".to_owned(), Bytes::new());
    files.insert(
        "kernel8.img".to_owned(),
        (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect(),
    );
    for number in 0..40 {
        let name = format!("overlays/a-rather-long-overlay-name-{number}.dtbo");
        files.insert(name, Bytes::from(vec![number; 700]));
    }
    files
}

fn made(mib: u64) -> (tempfile::NamedTempFile, Partition) {
    let partition = Partition {
        number: 2,
        kind: super::super::partitions::Kind::Fat,
        start: 4 << 20,
        size: mib << 20,
    };
    let file = tempfile::Builder::new().suffix(".img").tempfile().unwrap();
    file.as_file().set_len(partition.end()).unwrap();
    write(file.as_file(), partition, "BOOT_A", 0xc0de_0042, &files()).unwrap();
    (file, partition)
}

/// The volume alone, for tools that want it at the beginning of a file.
fn alone(image: &File, partition: Partition) -> tempfile::NamedTempFile {
    let mut bytes = vec![0; usize::try_from(partition.size).unwrap()];
    image.read_exact_at(&mut bytes, partition.start).unwrap();
    let mut file = tempfile::Builder::new().suffix(".img").tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file
}

#[test]
fn fsck_and_mtools_agree() {
    for mib in [32, 64, 256] {
        let (file, partition) = made(mib);
        let volume = alone(file.as_file(), partition);
        let report = oracle(Command::new("fsck.vfat").args(["-n", "-v"]).arg(volume.path()));
        assert!(!report.contains("differ") && !report.contains("irty"), "{report}");
        let listing = oracle(
            Command::new("mdir")
                .args(["-b", "-/", "-i"])
                .arg(volume.path())
                .arg("::"),
        );
        for (path, content) in files() {
            assert!(listing.contains(&format!("::/{path}\n")), "{path} is not in\n{listing}");
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("copy");
            oracle(
                Command::new("mcopy")
                    .arg("-i")
                    .arg(volume.path())
                    .arg(format!("::{path}"))
                    .arg(&copy),
            );
            assert!(std::fs::read(copy).unwrap() == content, "{path} differs");
        }
        let about = oracle(Command::new("mdir").arg("-i").arg(volume.path()).arg("::"));
        assert!(
            about.contains("Volume in drive : is BOOT_A") && about.contains("C0DE-0042"),
            "{about}"
        );
    }
}

#[test]
fn the_bytes_depend_on_content_alone() {
    let (first, partition) = made(64);
    let (second, _) = made(64);
    let read = |file: &File| {
        let mut bytes = vec![0; usize::try_from(partition.end()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    };
    assert!(read(first.as_file()) == read(second.as_file()));
    assert!(read(first.as_file())[..4 << 20].iter().all(|byte| *byte == 0));
}

#[test]
fn files_are_read_back_without_case() {
    let (file, partition) = made(64);
    let volume = Volume::open(file.as_file(), partition).unwrap();
    for (path, content) in files() {
        assert!(volume.read(&path).unwrap().unwrap() == content, "{path}");
    }
    assert_eq!(volume.read("AUTOBOOT.TXT").unwrap().unwrap().len(), 512);
    assert!(volume.read("overlays").unwrap().is_none());
    assert!(volume.read("no/such/file").unwrap().is_none());
}

#[test]
fn too_much_is_said_before_it_is_written_with_what_would_do() {
    let written = |mib: u64, label| {
        let file = tempfile::tempfile().unwrap();
        let partition = Partition {
            number: 2,
            kind: super::super::partitions::Kind::Fat,
            start: 0,
            size: mib << 20,
        };
        write(&file, partition, label, 1, &files())
    };
    for (label, setting) in [
        ("BOOTSEL", "`partitions.bootsel_mib` to at least 12"),
        ("BOOT_A", "`partitions.boot_mib` to at least 12"),
        ("BOOT_B", "`partitions.boot_mib` to at least 12"),
        (
            "ESP",
            "`partitions.boot_mib`, of which ESP has twice as much, to at least 12",
        ),
        (
            "BOOT",
            "`partitions.boot_mib`, of which BOOT has twice as much, to at least 6",
        ),
    ] {
        let error = written(8, label).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        assert_eq!(
            error.to_string(),
            format!(
                "the boot files of {label} need 12 MiB and their partition has 8 MiB, which is 4 too few: raise {setting}; \
                 the biggest: kernel8.img 11.4 MiB, bcm2711-rpi-4-b.dtb 39.1 KiB, bcm2710-rpi-3-b-plus.dtb 29.3 KiB, \
                 overlays/a-rather-long-overlay-name-0.dtbo 700 bytes, overlays/a-rather-long-overlay-name-1.dtbo 700 bytes"
            )
        );
    }
    // What would do does, and less does not.
    written(12, "BOOT_A").unwrap();
    assert!(written(11, "BOOT_A").is_err());
}
