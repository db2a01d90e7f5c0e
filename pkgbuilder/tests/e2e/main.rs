//! The end-to-end test: the image that a person would burn, booted and looked at from outside.
//!
//! Runs in network and mount namespaces of its own that vanish with it, and, for who is not root, in a user namespace
//! where they are; needs QEMU, dnsmasq, iproute2 and dig (`scripts/test` installs them) and `/dev/net/tun`. What a failed
//! run saw is kept in `out/e2e/`.

mod board;
mod cluster;
mod cuts;
mod data;
mod full;
#[path = "../http/mod.rs"]
mod http;
mod machine;
mod network;
mod plugins;
mod readme;
mod rot;
mod scenario;
mod slots;
mod ssh;
mod write_log;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Set in the child that already lives in its own network namespace.
const INSIDE: &str = "COMPUTATOM_E2E_INSIDE";

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_none() {
        // A namespace made for the whole process from outside: no thread can escape it.
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let error = command
            .args(["--net", "--mount", "--"])
            .args(std::env::args_os())
            .env(INSIDE, "1")
            .exec();
        scenario::say(&format!("cannot start `unshare` (package util-linux): {error}"));
        return ExitCode::FAILURE;
    }
    let mut arguments = libtest_mimic::Arguments::from_args();
    // One board at a time: emulation wants all cores.
    arguments.test_threads = Some(1);
    match scenario::Site::new() {
        Ok(site) => libtest_mimic::run(&arguments, site.trials()).exit_code(),
        Err(error) => {
            scenario::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
