use std::fs;
use std::net::TcpListener;

use crate::server::Fault;
use crate::server::archive::now;
use crate::{World, assert_says};

#[test]
fn a_mirror_that_is_down() {
    let world = World::new();
    // A port that was free a moment ago, and nobody listens on.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = world.pkgbuilder();
    command.args(["lock", "tiny", "--mirror", &format!("http://{address}/debian")]);
    let said = world.refuses(command, 1);
    assert_says(
        &said,
        &[
            "InRelease",
            &address.to_string(),
            "refused",
            "`--mirror URL` names another",
        ],
    );
}

#[test]
fn a_mirror_that_stalls() {
    let world = World::new();
    world.server.always("library_1.0-1_arm64.deb", Fault::Stall(0));
    let said = world.refuses(world.command("lock", &[]), 1);
    assert_says(
        &said,
        &[
            "library 1.0-1 could not be fetched",
            "nothing for 0.5 s",
            "`--mirror URL` names another",
        ],
    );
    world.server.heal();
    world.succeeds(world.command("lock", &[]));
}

/// A locked world whose mirror has replaced `library` since.
fn moved_on() -> World {
    let mut world = World::new();
    world.succeeds(world.command("lock", &[]));
    fs::remove_file(world.served().join("debian/pool/main/library_1.0-1_arm64.deb")).unwrap();
    world.archive.add("trixie", "library", "1.0-2", "");
    world.archive.publish();
    world.empty_cache();
    world
}

#[test]
fn a_mirror_without_a_locked_version_stops_what_is_locked() {
    let world = moved_on();
    let said = world.refuses(world.command("lock", &["--locked"]), 1);
    assert_says(
        &said,
        &[
            "1 of the locked packages can no longer be had: library 1.0-1",
            "without `--locked`",
        ],
    );
}

#[test]
fn a_mirror_without_a_locked_version_makes_others_choose_again() {
    let world = moved_on();
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(
        &said,
        &[
            "the archive no longer has 1 of the locked packages; choosing again",
            "library: 1.0-1 -> 1.0-2",
            "wrote ",
            // And so on with the image, for which a kernel is too large a thing to be in this archive.
            "composing raspberrypi-arm64 from 3 packages",
            "error: there is no kernel in the root file system",
        ],
    );
    assert!(
        !world
            .checkout()
            .join("out")
            .join("tiny-raspberrypi-arm64.img.zst")
            .exists()
    );
    // From here on that is what is locked.
    assert!(fs::read_to_string(world.lock()).unwrap().contains("1.0-2"));
    world.server.seen();
    world.succeeds(world.command("lock", &["--locked"]));
    assert_eq!(world.server.seen(), []);
}

#[test]
fn an_expired_mirror_is_refused_unless_that_is_allowed() {
    let world = World::new();
    let day = 24 * 3600;
    let signer = world.archive.signer();
    let archive = &world.archive;
    archive.publish_suite("trixie-security", signer, now() - 9 * day, Some(now() - 2 * day));
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(
        &said,
        &[
            "InRelease of trixie-security was valid until",
            "`--mirror URL`",
            "`--allow-expired`",
        ],
    );
    let said = world.succeeds(world.command("lock", &["--allow-expired"]));
    assert_says(
        &said,
        &["warning: taken all the same, as `--allow-expired` says: InRelease of trixie-security was valid until"],
    );
    assert!(world.lock().is_file());
}
