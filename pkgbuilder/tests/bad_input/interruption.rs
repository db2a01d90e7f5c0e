use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::board::names;
use crate::server::Fault;
use crate::{World, assert_says, board, content_of};

const RECEIVED: usize = 50_000;

#[test]
fn ctrl_c_during_a_download() {
    let world = World::new();
    world.server.always("library_1.0-1_arm64.deb", Fault::Stall(RECEIVED));
    let before = content_of(&world.checkout());
    let mut command = world.command("build", &[]);
    command
        .env("COMPUTATOM_STALL_SECONDS", "600")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begun = Instant::now();
    let received = || {
        let partial = fs::read_dir(world.cache().join("partial")).into_iter().flatten();
        partial
            .flatten()
            .any(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() == RECEIVED as u64))
    };
    while !received() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the download did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let said = world.judge(&child.wait_with_output().unwrap(), 130);
    assert!(
        begun.elapsed() < Duration::from_mins(2),
        "it waited for the stalled server"
    );
    assert_says(
        &said,
        &[
            "interrupted: nothing was left half-written",
            "run the same command to go on",
        ],
    );
    assert_eq!(content_of(&world.checkout()), before, "something was written");

    // The next run goes on where this one stopped.
    world.server.heal();
    world.server.seen();
    world.succeeds(world.command("lock", &[]));
    let resumed = world
        .server
        .seen()
        .into_iter()
        .find(|seen| seen.path.ends_with("library_1.0-1_arm64.deb"));
    assert_eq!(resumed.unwrap().from, Some(RECEIVED));
}

/// Payloads of the packages of [`board::world`] that are decompressed.
fn unpacked(world: &World) -> usize {
    let names = names(&world.cache().join("unpacked"));
    names.iter().filter(|name| !name.starts_with('.')).count()
}

/// Unfinished files in the output folder.
fn unfinished(world: &World) -> usize {
    let names = names(&world.out());
    names.iter().filter(|name| name.starts_with(".computatom-")).count()
}

/// Builds the image, and sends `signal` as soon as `reached` is true.
fn stopped(world: &World, reached: &dyn Fn(&World) -> bool, signal: Signal) -> Output {
    let mut command = world.command("image", &[]);
    // However busy the machine: it is the signal that ends it.
    command.env("COMPUTATOM_STALL_SECONDS", "600");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while !reached(world) {
        if let Some(status) = child.try_wait().unwrap() {
            let output = child.wait_with_output().unwrap();
            panic!(
                "it ended before ({status}): {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "it did not get there");
        std::thread::sleep(Duration::from_millis(2));
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap()
}

/// Ctrl-C at one place: nothing under a final name, nothing hidden, and the next run makes the image.
#[track_caller]
fn ctrl_c(world: &World, reached: &dyn Fn(&World) -> bool) {
    let said = world.judge(&stopped(world, reached, Signal::INT), 130);
    assert_says(&said, &["interrupted: nothing was left half-written"]);
    let left = names(&world.out());
    assert!(left.iter().all(|name| name == ".lock"), "{left:?}");
    world.succeeds(world.command("image", &[]));
    world.assert_image(&[]);
}

#[test]
fn ctrl_c_while_scripts_are_interpreted() {
    let world = board::world(1, 300_000);
    ctrl_c(&world, &|world| unpacked(world) == 5);
}

#[test]
fn ctrl_c_while_the_root_is_written() {
    // It is kept in memory; the cache of its blocks is opened first.
    ctrl_c(&board::world(32, 1), &|world| world.cache().join("squashfs").exists());
}

#[test]
fn ctrl_c_while_the_image_is_compressed() {
    ctrl_c(&board::world(32, 1), &|world| unfinished(world) == 1);
}

/// A killed build cannot clean up after itself; the next one does, and leaves alone what somebody is still at.
#[test]
fn what_a_killed_build_leaves_is_swept_by_the_next() {
    let world = board::world(32, 1);
    let output = stopped(&world, &|world| unfinished(world) == 1, Signal::KILL);
    assert_eq!(output.status.code(), None, "it was killed");
    // The image, or one of its companions too by now.
    let left = unfinished(&world);
    assert!(left >= 1);
    let files = if left == 1 { "file" } else { "files" };
    let alive = pkgbuilder::atomic::Pending::create(&world.out().join("another")).unwrap();
    let said = world.succeeds(world.command("image", &[]));
    assert_says(
        &said,
        &[&format!(
            "removed {left} unfinished {files} that a killed build had left in out"
        )],
    );
    let name = alive.temporary().file_name().unwrap().to_str().unwrap().to_owned();
    world.assert_image(&[&name]);
}
