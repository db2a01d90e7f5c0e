//! Disks: what is in them, whatever file they come in.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Made, command, judge};

/// The partitions of an image as sfdisk lists them: node, first byte, length, type.
fn partitions(image: &Path) -> Vec<(u64, u64, String)> {
    let listed: Value = serde_json::from_str(&judge(&mut command("sfdisk --json", image))).unwrap();
    let table = listed["partitiontable"]["partitions"].as_array().unwrap();
    table
        .iter()
        .map(|partition| {
            let number = |key: &str| partition[key].as_u64().unwrap() * 512;
            (
                number("start"),
                number("size"),
                partition["type"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// A partition as a file of its own.
fn taken(image: &Path, start: u64, size: u64, folder: &Path) -> PathBuf {
    let path = folder.join(format!("{start}"));
    let mut copy = Command::new("dd");
    copy.args(["bs=1M", "conv=sparse", "status=none"]);
    copy.arg(format!("if={}", image.display()))
        .arg(format!("of={}", path.display()));
    copy.arg(format!("skip={}", start >> 20))
        .arg(format!("count={}", size >> 20));
    judge(&mut copy);
    path
}

/// Table, boot partitions, root and its hash tree, each by its own program. `fat` and `root` are the types of partitions
/// that have one; the root is the first of its type.
fn judged(image: &Path, fat: &str, linux: &str, volumes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let verified = judge(&mut command("sfdisk --verify", image));
    assert!(verified.contains("No errors detected"), "{verified}");
    let partitions = partitions(image);
    let fats: Vec<_> = partitions.iter().filter(|(_, _, kind)| kind == fat).collect();
    assert_eq!(fats.len(), volumes, "{partitions:?}");
    let mut cmdlines = String::new();
    for (start, size, _) in fats {
        let volume = taken(image, *start, *size, folder.path());
        judge(&mut command("fsck.vfat -n", &volume));
        // Where the root hash is written depends on the board.
        cmdlines += &String::from_utf8_lossy(&std::fs::read(&volume).unwrap());
    }
    let hash = cmdlines
        .split("computatom.roothash=")
        .nth(1)
        .unwrap()
        .get(..64)
        .unwrap();

    let (start, size, _) = partitions.iter().find(|(_, _, kind)| kind == linux).unwrap();
    let root = taken(image, *start, *size, folder.path());
    let listed = judge(&mut command("unsquashfs -lln", &root));
    for path in ["/usr/bin/computatom-agent", "/usr/share/computatom/manifest.json"] {
        assert!(listed.contains(path), "{path} is not in the root");
    }
    let about = judge(&mut command("unsquashfs -s", &root));
    let bytes = about.split("Filesystem size ").nth(1).unwrap();
    let bytes: u64 = bytes.split(' ').next().unwrap().parse().unwrap();
    let mut verify = Command::new("veritysetup");
    verify.arg("verify").args([&root, &root]).arg(hash);
    verify.arg(format!("--hash-offset={}", bytes.next_multiple_of(4096)));
    judge(&mut verify);
}

/// Fails unless the disk in `path` is that of `raw`, with zeros behind it.
fn same_disk(raw: &Path, path: &Path) {
    let mut compare = command("qemu-img compare -f raw", raw);
    let said = judge(compare.arg(path));
    assert!(said.contains("Images are identical"), "{said}");
}

#[test]
fn a_card_of_a_raspberry_pi() {
    let made = Made::of();
    let file = |format| made.file("raspberrypi-arm64", format);
    let raw = file("img");
    judged(&raw, "c", "83", 3);
    let folder = tempfile::tempdir().unwrap();
    for (format, program) in [("zst", "zstd"), ("xz", "xz")] {
        judge(&mut command(&format!("{program} --test"), &file(format)));
        let unpacked = folder.path().join(format);
        let mut unpack = command(&format!("{program} -d -c"), &file(format));
        assert!(
            unpack
                .stdout(File::create(&unpacked).unwrap())
                .status()
                .unwrap()
                .success()
        );
        judge(command("cmp", &raw).arg(&unpacked));
        std::fs::remove_file(unpacked).unwrap();
    }
    // As people give it to bmaptool: it finds the map beside the image.
    let card = folder.path().join("card");
    judge(command("bmaptool copy", &file("zst")).arg(&card));
    same_disk(&raw, &card);
    judge(&mut command("qemu-img check", &file("qcow2")));
    same_disk(&raw, &file("qcow2"));
}

/// Type of an EFI system partition; U-Boot's boot partition has it, too.
const ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";

#[test]
fn a_disk_of_a_rock64() {
    let raw = Made::of().file("rock64", "img");
    let root = &partitions(&raw)[1].2;
    judged(&raw, ESP, root, 1);
}

#[test]
fn a_disk_of_a_pc_and_its_box_for_virtualbox() {
    let made = Made::of();
    let raw = made.file("uefi-amd64", "img");
    let root = &partitions(&raw)[1].2;
    judged(&raw, ESP, root, 1);
    let folder = tempfile::tempdir().unwrap();
    let packed = made.file("uefi-amd64", "box-virtualbox");
    judge(command("tar -xf", &packed).arg("-C").arg(folder.path()));
    // The machine names its disk.
    let machine = std::fs::read_to_string(folder.path().join("box.ovf")).unwrap();
    let mut entries = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
    let disk = entries
        .find(|path| path.extension().is_some_and(|extension| extension == "vmdk"))
        .unwrap();
    assert!(
        machine.contains(disk.file_name().unwrap().to_str().unwrap()),
        "{machine}"
    );
    judge(&mut command("qemu-img check", &disk));
    same_disk(&raw, &disk);
    judge(&mut command("ruby -c", &folder.path().join("Vagrantfile")));
}

#[test]
fn a_disk_of_a_virtual_machine() {
    let made = Made::of();
    let file = |format| made.file("uefi-arm64", format);
    let raw = file("img");
    let table = partitions(&raw);
    let root = &table[1].2;
    judged(&raw, ESP, root, 1);
    for format in ["qcow2", "vmdk"] {
        judge(&mut command("qemu-img check", &file(format)));
        same_disk(&raw, &file(format));
    }
    let folder = tempfile::tempdir().unwrap();
    judge(command("tar -xf", &file("box-libvirt")).arg("-C").arg(folder.path()));
    let disk = folder.path().join("box.img");
    judge(&mut command("qemu-img check", &disk));
    same_disk(&raw, &disk);
    judge(&mut command("ruby -c", &folder.path().join("Vagrantfile")));
}

/// Vagrant itself takes the boxes out of their catalogues, under the version that is there, and checks their digests.
#[test]
fn vagrant_adds_the_boxes() {
    for (target, provider) in [("uefi-arm64", "libvirt"), ("uefi-amd64", "virtualbox")] {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Made::of().folder().join(format!("outputs-{target}.box.json"));
        let written: Value = serde_json::from_slice(&std::fs::read(&catalogue).unwrap()).unwrap();
        let version = written["versions"][0]["version"].as_str().unwrap();
        let vagrant = |words: &[&str]| {
            let mut vagrant = Command::new("vagrant");
            vagrant.args(words).current_dir(folder.path());
            vagrant
                .env("VAGRANT_HOME", folder.path().join("home"))
                .env("VAGRANT_CHECKPOINT_DISABLE", "1");
            judge(&mut vagrant)
        };
        vagrant(&["box", "add", "--provider", provider, catalogue.to_str().unwrap()]);
        let listed = vagrant(&["box", "list"]);
        assert_eq!(listed.trim_end(), format!("computatom/outputs ({provider}, {version})"));
    }
}
