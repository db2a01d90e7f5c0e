//! .debs that are signed for and digested as they should be, and hold what no package may.

use std::io::Write;

use crate::{World, assert_says};

const CONTROL: &str = "Package: app\nVersion: 2.0-1\nArchitecture: arm64\nMaintainer: Test <test@example.invalid>\n\
                       Installed-Size: 1\nPriority: optional\nDescription: a test package\n";

/// A tar archive by the `tar` crate; of `name` also what no writer of archives would take.
fn tar(members: &[(&str, tar::EntryType, u32, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, mode, content) in members {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        if matches!(kind, tar::EntryType::Block | tar::EntryType::Char) {
            header.set_device_major(8).unwrap();
            header.set_device_minor(0).unwrap();
        }
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A .deb around a `data.tar`, of which `member` tells how it is compressed.
fn deb(member: &str, data: &[u8]) -> Vec<u8> {
    let control = tar(&[("./control", tar::EntryType::Regular, 0o644, CONTROL.as_bytes())]);
    let mut archive = ar::Builder::new(Vec::new());
    for (name, content) in [
        ("debian-binary", &b"2.0\n"[..]),
        ("control.tar", &control),
        (member, data),
    ] {
        let header = ar::Header::new(name.as_bytes().to_vec(), content.len() as u64);
        archive.append(&header, content).unwrap();
    }
    archive.into_inner().unwrap()
}

/// A world whose `app` is this .deb.
fn world(deb: &[u8]) -> World {
    let mut world = World::new();
    world.archive.add_deb("trixie", "app", CONTROL, deb);
    world.archive.publish();
    world
}

/// What is said of an image with this .deb in it, of which nothing may be left.
#[track_caller]
fn refused(deb: &[u8], expected: &[&str]) {
    let world = world(deb);
    world.succeeds(world.command("lock", &[]));
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(&said, expected);
    assert_eq!(crate::board::names(&world.out()), Vec::<String>::new());
}

#[test]
fn a_path_outside_the_root() {
    for name in ["./../../etc/passwd", "/etc/passwd", "usr/../../x"] {
        let data = tar(&[(name, tar::EntryType::Regular, 0o644, b"root::0:0:::\n")]);
        let told = if name.starts_with('/') {
            "is not one a package may use"
        } else {
            "leads out of the package"
        };
        refused(&deb("data.tar", &data), &["app", told]);
    }
}

#[test]
fn a_hard_link_to_what_is_outside_the_package() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Link);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    builder
        .append_link(&mut header, "usr/share/x", "nowhere/shadow")
        .unwrap();
    let data = builder.into_inner().unwrap();
    refused(
        &deb("data.tar", &data),
        &[
            "unpacking /usr/share/x of package app",
            "which the package does not hold",
        ],
    );
}

#[test]
fn a_device_node() {
    for kind in [tar::EntryType::Block, tar::EntryType::Char] {
        let data = tar(&[
            ("./srv/", tar::EntryType::Directory, 0o755, b""),
            ("./srv/sda", kind, 0o666, b""),
        ]);
        refused(
            &deb("data.tar", &data),
            &[
                "unpacking /srv/sda of package app",
                "it is a device, which no package may hold",
            ],
        );
    }
}

#[test]
fn a_set_user_id_program_that_everybody_may_write() {
    for mode in [0o4777, 0o2775, 0o6757] {
        let data = tar(&[
            ("./usr/", tar::EntryType::Directory, 0o755, b""),
            ("./usr/bin/", tar::EntryType::Directory, 0o755, b""),
            ("./usr/bin/app", tar::EntryType::Regular, mode, b"\x7fELF"),
        ]);
        let mode = format!("mode {mode:04o}");
        refused(
            &deb("data.tar", &data),
            &[
                "unpacking /usr/bin/app of package app",
                "runs with the rights of others",
                &mode,
            ],
        );
    }
}

#[test]
fn a_decompression_bomb() {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    let zeros = vec![0; 1 << 20];
    for _ in 0..80 {
        encoder.write_all(&zeros).unwrap();
    }
    let data = encoder.finish().unwrap();
    assert!(data.len() < 100_000);
    refused(
        &deb("data.tar.xz", &data),
        &[
            "unpacking package app 2.0-1: decompressing data.tar",
            "larger than 64 MiB when decompressed",
            "`Installed-Size`",
        ],
    );
}

#[test]
fn a_broken_container() {
    let good = deb("data.tar", &tar(&[("./", tar::EntryType::Directory, 0o755, b"")]));
    refused(&good[..200], &["unpacking package app 2.0-1", "cut short"]);
    refused(b"<html>", &["unpacking package app 2.0-1", "not an ar archive"]);
    refused(
        &deb("data.tar.xz", b"\xfd7zXZ\0 and no more"),
        &["unpacking package app 2.0-1: decompressing data.tar"],
    );
}

#[test]
fn two_packages_with_one_file() {
    let mut world = World::new();
    let file = ("usr/share/common".to_owned(), 0o644, b"ours".to_vec());
    for (name, fields) in [("library", ""), ("app", "Depends: library (>= 1.0)")] {
        let version = if name == "app" { "2.0-1" } else { "1.0-1" };
        world
            .archive
            .add_files("trixie", name, version, fields, std::slice::from_ref(&file));
    }
    world.archive.publish();
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(
        &said,
        &[
            "packages library and app both hold /usr/share/common",
            "remove one of them from the definition",
        ],
    );
    assert_eq!(crate::board::names(&world.out()), Vec::<String>::new());
}
