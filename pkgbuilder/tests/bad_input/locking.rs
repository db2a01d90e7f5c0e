use std::fs;

use crate::{assert_says, hello};

/// `lock` pins without fetching what it pins, and a build asks the solver exactly what `lock` asked.
#[test]
fn lock_builds_nothing_and_says_what_moved() {
    let (mut world, digest) = hello::world();
    world.define(&[("components", &hello::component(&world, &digest.hex()))]);
    let said = world.succeeds(world.command("lock", &[]));
    assert_says(&said, &["hello: new, 1.0", "wrote "]);
    let seen = world.server.seen();
    assert!(!seen.iter().any(|seen| seen.path.contains("hello")), "{seen:?}");
    assert!(!world.checkout().join("out").exists());

    let said = world.succeeds(world.command("lock", &[]));
    assert_says(&said, &["nothing moved", "tiny.lock.json stands as it is"]);

    let before = fs::read(world.lock()).unwrap();
    let said = world.judge(&world.command("build", &["--locked"]).output().unwrap(), 2);
    assert_says(
        &said,
        &["composing raspberrypi-arm64 from 4 packages", "there is no kernel"],
    );
    world.judge(&world.command("build", &[]).output().unwrap(), 2);
    assert_eq!(fs::read(world.lock()).unwrap(), before);

    world.archive.add("trixie", "library", "1.0-2", "");
    world.archive.publish();
    world.define(&[]);
    let said = world.succeeds(world.command("lock", &[]));
    assert_says(
        &said,
        &["library: 1.0-1 -> 1.0-2", "hello: 1.0, no longer needed", "wrote "],
    );
}
