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
fn too_much_is_said_before_it_is_written() {
    let (file, mut partition) = made(32);
    partition.size = 8 << 20;
    let error = write(file.as_file(), partition, "BOOT_A", 1, &files()).unwrap_err();
    assert!(error.to_string().contains("raise its size"), "{error}");
}
