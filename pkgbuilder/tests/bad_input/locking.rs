use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pkgbuilder::fetch::Cache;
use pkgbuilder::resolve::Lock;

use crate::server::Fault;
use crate::{World, assert_says, hello};

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

/// A subcommand that runs beside the test.
fn begin(world: &World, subcommand: &str) -> Child {
    let mut command = world.command(subcommand, &[]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[track_caller]
fn end(child: Child) {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `packages` has read the lock, and is long at it; meanwhile `lock` pins other things. Both are kept.
#[test]
fn what_another_process_has_pinned_meanwhile_stays() {
    let (world, digest) = hello::world();
    world.define(&[("components", &hello::component(&world, &digest.hex()))]);
    world.server.always("hello.tar.gz", Fault::Stall(0));
    let packages = begin(&world, "packages");
    let begun = Instant::now();
    while !world
        .server
        .seen()
        .iter()
        .any(|seen| seen.path.contains("hello.tar.gz"))
    {
        assert!(begun.elapsed() < Duration::from_secs(30), "the download did not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    // It has no component then, and so pins none.
    let only_debian = fs::read_to_string(world.checkout().join("images/tiny.jsonnet")).unwrap();
    world.define(&[]);
    world.succeeds(world.command("lock", &[]));
    let pinned = Lock::load(&world.lock(), "tiny").unwrap().unwrap();
    assert!(pinned.components.is_empty() && !pinned.debian.is_empty());
    fs::write(world.checkout().join("images/tiny.jsonnet"), only_debian).unwrap();
    world.server.heal();
    end(packages);
    let joined = Lock::load(&world.lock(), "tiny").unwrap().unwrap();
    assert_eq!(joined.components["hello"].version, "1.0");
    assert_eq!((joined.debian, joined.epoch), (pinned.debian, pinned.epoch));
}

#[test]
fn a_lock_that_another_process_writes_is_waited_for() {
    let world = World::new();
    let cache = Cache::at(&world.cache()).unwrap();
    let guard = Lock::guard(&cache, &world.lock()).unwrap();
    let mut locking = begin(&world, "lock");
    let begun = Instant::now();
    // All else is done long before: the .debs are in the cache.
    while fs::read_dir(world.cache().join("objects/sha256")).unwrap().count() < 5
        || begun.elapsed() < Duration::from_secs(2)
    {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not fetch");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(locking.try_wait().unwrap().is_none(), "it did not wait");
    assert!(!world.lock().exists());
    drop(guard);
    end(locking);
    assert!(world.lock().is_file());
}
