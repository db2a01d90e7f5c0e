use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::report::report;
use crate::{MIB, burn, image, noise, run};

/// A loop device over a file; it is given back at the end.
struct Loop(String);

impl Loop {
    /// None where there cannot be one, which is reported: it takes root.
    fn over(file: &Path) -> Option<Self> {
        let output = Command::new("losetup")
            .args(["--find", "--show", "--partscan"])
            .arg(file)
            .output();
        match output {
            Ok(output) if output.status.success() => {
                Some(Self(String::from_utf8(output.stdout).unwrap().trim().to_owned()))
            }
            other => {
                report(&format!(
                    "burning block devices: no loop device can be had here ({other:?})"
                ));
                None
            }
        }
    }

    /// Over a new file of this size.
    fn of(folder: &Path, size: usize) -> Option<Self> {
        let file = folder.join("card");
        std::fs::write(&file, vec![0xee; size]).unwrap();
        Self::over(&file)
    }

    fn path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_device_is_burned_and_the_kernel_sees_its_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), 16 * MIB);
    let Some(card) = Loop::of(folder.path(), 24 * MIB) else {
        return;
    };
    let (code, said) = run(&mut burn(&[&image, card.path()]));
    assert!(code == 2 && said.contains("say --yes"), "{said}");
    let (code, said) = run(burn(&[&image, card.path()]).arg("--yes"));
    assert_eq!(code, 0, "{said}");
    for part in ["will be lost", "no card and no stick", "burned", "MB/s"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    succeeds(
        Command::new("cmp")
            .args(["--bytes", &(16 * MIB).to_string()])
            .arg(&image)
            .arg(card.path()),
    );
    // Not every kernel reads tables by itself; this has it know the partitions, as it does after a card is put in.
    succeeds(Command::new("partx").arg("--update").arg(card.path()));
    let listed = succeeds(
        Command::new("lsblk")
            .args(["--noheadings", "--list", "--output", "NAME,SIZE"])
            .arg(card.path()),
    );
    assert_eq!(listed.lines().count(), 3, "{listed}");

    // What is on it now is said, then it is burned again.
    let first = format!("{}p1", card.path().display());
    succeeds(Command::new("mkfs.vfat").args(["-n", "PHOTOS", &first]));
    let (code, said) = run(&mut burn(&[&image, card.path()]));
    assert!(code == 2 && said.contains("4.0 MiB  vfat `PHOTOS`"), "{said}");
    let (code, said) = run(burn(&[&image, Path::new(&first)]).arg("--yes"));
    assert!(
        code == 2 && said.contains("is a partition: name the whole disk"),
        "{said}"
    );
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::EXCL;
    let held = rustix::fs::open(&first, flags, rustix::fs::Mode::empty()).unwrap();
    let (code, said) = run(burn(&[&image, card.path()]).arg("--yes"));
    assert!(code == 2 && said.contains("is in use"), "{said}");
    drop(held);
    let (code, said) = run(burn(&[&image, card.path()]).arg("--yes"));
    assert_eq!(code, 0, "{said}");
    succeeds(
        Command::new("cmp")
            .args(["--bytes", &(16 * MIB).to_string()])
            .arg(&image)
            .arg(card.path()),
    );
}

#[test]
fn devices_that_are_in_use_too_small_or_protected_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), 16 * MIB);
    let Some(card) = Loop::of(folder.path(), 24 * MIB) else {
        return;
    };
    let refused = |said: &str| {
        let (code, text) = run(burn(&[&image, card.path()]).arg("--yes"));
        assert!(code == 2 && text.contains(said), "{said}: {text}");
    };
    // Mounted where nobody else sees it, so that only the kernel's own answer is left.
    succeeds(Command::new("mkfs.ext4").arg("-q").arg(card.path()));
    let builder = env!("CARGO_BIN_EXE_pkgbuilder");
    let inside = format!(
        "mount {card} {point} && {builder} burn {image} {card} --yes",
        card = card.path().display(),
        point = folder.path().display(),
        image = image.display(),
    );
    let mut apart = Command::new("unshare");
    apart.args(["--mount", "--propagation", "private", "sh", "-c", &inside]);
    let (code, said) = run(&mut apart);
    assert!(code == 2 && said.contains("is mounted on "), "{said}");

    {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::EXCL;
        let _held = rustix::fs::open(card.path(), flags, rustix::fs::Mode::empty()).unwrap();
        refused("is in use: unmount what is on it");
    }
    succeeds(Command::new("blockdev").arg("--setro").arg(card.path()));
    refused("is write-protected");
    succeeds(Command::new("blockdev").arg("--setrw").arg(card.path()));
    let over = Loop::over(card.path()).unwrap();
    refused("is what loop");
    drop(over);
    File::options()
        .write(true)
        .open(folder.path().join("card"))
        .unwrap()
        .set_len(4 << 20)
        .unwrap();
    succeeds(Command::new("losetup").args(["--set-capacity"]).arg(card.path()));
    refused("has 4194304 bytes (4.0 MiB), and the image needs 16777216 (16.0 MiB)");
}

#[test]
fn a_device_that_fails_half_way_is_named_with_its_block() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), 16 * MIB);
    assert_eq!(std::fs::read(&image).unwrap()[8 * MIB..], noise(16 * MIB)[8 * MIB..]);
    // Its file is in a memory too small for it.
    let inside = format!(
        "mount -t tmpfs -o size=10m none {point} && truncate -s 24M {point}/card && card=$(losetup --find --show {point}/card) && \
         {builder} burn {image} $card --yes; code=$?; head -c 4096 $card | tr -d '\\0' | wc -c; losetup --detach $card; exit $code",
        point = "/mnt",
        builder = env!("CARGO_BIN_EXE_pkgbuilder"),
        image = image.display(),
    );
    let Some(probe) = Loop::of(folder.path(), MIB) else {
        return;
    };
    drop(probe);
    let mut apart = Command::new("unshare");
    apart.args(["--mount", "--propagation", "private", "sh", "-c", &inside]);
    let (code, said) = run(&mut apart);
    assert_eq!(code, 1, "{said}");
    for part in ["writing /dev/loop", "blocks 2048 to 3071", "no partition table now"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        said.lines().any(|line| line.trim() == "0"),
        "its first block is not empty: {said}"
    );
}
