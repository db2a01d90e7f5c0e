use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pkgbuilder::fetch::Cache;
use pkgbuilder::resolve::Lock;

use crate::server::Fault;
use crate::world::TARGET;
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

/// Makes the agent's package as `scripts/agent-package` does, but for what is in it.
fn build_agent(world: &World) {
    let content = world.folder.path().join("agent/DEBIAN");
    fs::create_dir_all(&content).unwrap();
    let control = "Package: computatom-agent\nVersion: 0.1.0-1\nArchitecture: arm64\n\
        Maintainer: Test <test@example.invalid>\n\
        Depends: e2fsprogs, libc6 (>= 2.34), libgcc-s1 (>= 4.2), systemd (>= 257), systemd-resolved, udev\n\
        Recommends: busybox, ca-certificates, iptables\nProvides: linux-initramfs-tool\nDescription: test\n";
    fs::write(content.join("control"), control).unwrap();
    let folder = world.checkout().join("out/packages");
    fs::create_dir_all(&folder).unwrap();
    let made = Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .args([
            world.folder.path().join("agent"),
            folder.join("computatom-agent_0.1.0-1_arm64.deb"),
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A fresh checkout has no agent yet. What `lock` asks the solver there is what it asks, and a build asks, once there is
/// one.
#[test]
fn locking_needs_no_agent_that_is_built() {
    let mut world = World::new();
    for (name, version) in [
        ("e2fsprogs", "1.47"),
        ("libc6", "2.41"),
        ("libgcc-s1", "14"),
        ("systemd", "257.9"),
        ("systemd-resolved", "257.9"),
        ("udev", "257.9"),
    ] {
        world.archive.add("trixie", name, version, "");
    }
    world.archive.publish();
    world.define(&[("components", "{ 'computatom-agent': {} }")]);
    assert_says(&world.succeeds(world.command("lock", &[])), &["wrote "]);
    let without = fs::read(world.lock()).unwrap();
    let names: Vec<String> = Lock::load(&world.lock(), "tiny").unwrap().unwrap().debian[TARGET]
        .iter()
        .map(|deb| deb.name.clone())
        .collect();
    assert!(names.contains(&"systemd-resolved".to_owned()), "{names:?}");
    world.succeeds(world.command("lock", &["--check"]));
    // What packs it still says what is missing.
    let said = world.judge(&world.command("build", &["--locked"]).output().unwrap(), 2);
    assert_says(
        &said,
        &["computatom-agent for arm64 is not there", "scripts/build makes it"],
    );

    build_agent(&world);
    assert_says(&world.succeeds(world.command("lock", &[])), &["nothing moved"]);
    world.succeeds(world.command("lock", &["--check"]));
    let said = world.judge(&world.command("build", &["--locked"]).output().unwrap(), 2);
    assert_says(&said, &["composing raspberrypi-arm64 from ", "there is no kernel"]);
    assert_eq!(fs::read(world.lock()).unwrap(), without);
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
