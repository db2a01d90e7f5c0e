use std::fs::File;

use crate::{World, assert_says};

#[test]
fn standard_output_that_takes_nothing() {
    let world = World::new();
    let mut command = world.pkgbuilder();
    command.args(["inspect", "tiny"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_says(&said, &["writing to standard output", "No space left"]);
    // As `pkgbuilder inspect tiny | head -n 1` does it.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_list_of_digests_is_no_definition() {
    let world = World::new();
    let path = world.folder.path().join("SHA256SUMS");
    std::fs::write(&path, "").unwrap();
    let mut command = world.pkgbuilder();
    command.arg("inspect").arg(&path);
    let said = world.refuses(command, 2);
    assert_says(
        &said,
        &["SHA256SUMS is nothing that can be inspected", "sha256sum --check"],
    );
}

#[test]
fn a_wrong_flag_is_answered_with_the_nearest() {
    let world = World::new();
    let said = world.refuses(world.command("lock", &["--lockd"]), 2);
    assert_says(
        &said,
        &["unexpected argument '--lockd'", "'--locked'", "Usage: pkgbuilder lock"],
    );
}

#[test]
fn an_unknown_definition() {
    let world = World::new();
    let mut command = world.pkgbuilder();
    command.args(["lock", "tinny"]);
    let said = world.refuses(command, 2);
    assert_says(&said, &["there is no definition `tinny`", "(did you mean `tiny`?)"]);
}

#[test]
fn an_unknown_target() {
    let world = World::new();
    let said = world.refuses(world.command("image", &["--target", "raspberrypi-arm46"]), 2);
    assert_says(
        &said,
        &["tiny has no target `raspberrypi-arm46`", "it has raspberrypi-arm64"],
    );
}

#[test]
fn a_format_that_there_is_not() {
    let world = World::new();
    for (given, expected) in [
        ("qcow", "unknown format `qcow` (did you mean `qcow2`?)"),
        ("img,tar", "unknown format `tar`; there are: img, zst, xz, qcow2"),
        ("box-libvirt", "there is no `box-libvirt` of raspberrypi-arm64"),
        ("zst,oci", "there is no `oci` of raspberrypi-arm64"),
    ] {
        for subcommand in ["image", "build"] {
            let said = world.refuses(world.command(subcommand, &["--format", given]), 2);
            assert_says(&said, &[expected]);
        }
    }
    assert_eq!(world.server.seen(), [], "it is known before any work is done");
}

#[test]
fn a_format_that_a_definition_has_wrong() {
    let world = World::new();
    let target = "[{ name: 'raspberrypi-arm64', arch: 'arm64', packages: [], formats: ['vmd'] }]";
    world.define(&[("targets", target)]);
    let said = world.refuses(world.command("image", &[]), 2);
    assert_says(
        &said,
        &[
            "images/tiny.jsonnet:",
            "unknown value",
            "`vmd`",
            "(did you mean `vmdk`?)",
        ],
    );
}

#[test]
fn an_unknown_source() {
    let world = World::new();
    let said = world.refuses(world.command("lock", &["--source", "nomad"]), 2);
    assert_says(&said, &["`--source nomad`", "COMPONENT=SOURCE"]);
}

#[test]
fn outside_a_checkout() {
    let world = World::new();
    let mut command = world.pkgbuilder();
    command.args(["lock", "tiny"]).current_dir(world.served());
    let said = world.refuses(command, 2);
    assert_says(&said, &["lies in no Computatom checkout", "run this in one"]);
}
