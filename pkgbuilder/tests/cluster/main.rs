//! Virtual clusters as a person makes them: the images of `out/`, booted by `pkgbuilder cluster`. Everything goes through
//! the program and the ports that it forwards. Needs QEMU, its firmware for UEFI, and dig.
//!
//! What a failed trial's nodes said is kept in `out/cluster/`.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../http/mod.rs"]
mod http;

#[path = "../child/mod.rs"]
mod child;

/// The program, and a cluster made by it.
mod tool;

/// One node: everything that a command can do to it.
mod one;

/// Several nodes: quorum, discovery, two datacenters.
mod several;

/// What several nodes do when one of them is lost, written anew or cut off.
mod faults;

/// Tasks of each of Nomad's drivers.
mod tasks;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One cluster at a time: emulation wants all cores.
    arguments.test_threads = Some(1);
    let trials = vec![
        trial("what_cannot_be_made_is_told", one::what_cannot_be_made_is_told),
        trial("a_node_lives_and_leaves_nothing", one::a_node_lives_and_leaves_nothing),
        trial(
            "an_interrupted_up_leaves_nothing",
            one::an_interrupted_up_leaves_nothing,
        ),
        trial("three_servers_lose_their_leader", several::three_servers),
        trial("three_servers_two_clients_and_a_monitor", several::the_default).with_ignored_flag(true),
        trial(
            "a_raspberry_pi_comes_back_as_itself",
            one::a_raspberry_pi_comes_back_as_itself,
        )
        .with_ignored_flag(true),
        trial("tasks_of_each_driver", several::tasks_of_each_driver).with_ignored_flag(true),
        trial("two_datacenters", several::two_datacenters).with_ignored_flag(true),
        trial("what_the_readme_says", several::the_readme).with_ignored_flag(true),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, run: fn() -> anyhow::Result<()>) -> Trial {
    Trial::test(name, move || run().map_err(|error| format!("{error:#}").into()))
}
