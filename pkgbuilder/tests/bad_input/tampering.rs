use std::fs;
use std::process::Command;

use crate::server::Fault;
use crate::{World, assert_says, hello};

/// The honest mirror is believed again at once.
#[track_caller]
fn heals(world: &World) {
    world.server.heal();
    world.succeeds(world.command("lock", &[]));
    assert!(world.lock().is_file());
}

#[test]
fn a_tampered_in_release() {
    let world = World::new();
    let text = fs::read_to_string(world.archive.in_release("trixie")).unwrap();
    let forged = text.replacen("Origin: Test", "Origin: Tess", 1);
    world
        .server
        .always("trixie/InRelease", Fault::Replace(forged.into_bytes()));
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(
        &said,
        &["InRelease of trixie carries no good signature", "`--mirror URL`"],
    );
    heals(&world);
}

#[test]
fn tampered_packages() {
    let world = World::new();
    world.server.always("binary-arm64", Fault::Corrupt(30));
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(
        &said,
        &[
            "package index of trixie",
            "is not the file that was asked for",
            "try again or elsewhere",
        ],
    );
    heals(&world);
}

#[test]
fn a_tampered_deb() {
    let world = World::new();
    world.server.always("library_1.0-1_arm64.deb", Fault::Corrupt(100));
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(
        &said,
        &[
            "library 1.0-1 from http://127.0.0.1",
            "its SHA-256 is",
            "try again or elsewhere",
        ],
    );
    heals(&world);
}

#[test]
fn a_wrong_digest() {
    let (world, right) = hello::world();
    let wrong = "0".repeat(64);
    world.define(&[("components", &hello::component(&world, &wrong))]);
    for subcommand in ["build", "packages"] {
        let said = world.refuses(world.command(subcommand, &[]), 2);
        assert_says(
            &said,
            &[
                "hello 1.0 for arm64",
                "hello.tar.gz",
                "or correct what is pinned",
                &right.hex(),
                &format!("{wrong} was expected"),
            ],
        );
    }
    world.define(&[("components", &hello::component(&world, &right.hex()))]);
    world.succeeds(world.command("packages", &[]));
    let made = world.checkout().join("out/packages/hello_1.0-1_arm64.deb");
    let read = Command::new("dpkg-deb")
        .args(["-f"])
        .arg(made)
        .arg("Version")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "1.0-1\n");
}
