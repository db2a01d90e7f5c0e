use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::server::Fault;
use crate::{World, assert_says, content_of};

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
