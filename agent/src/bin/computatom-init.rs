//! `/init` of the initramfs: finds the root, makes and mounts DATA, hands over to systemd.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        computatom_agent::init::console::say("computatom-init runs as process 1 of the initramfs and nowhere else");
        return ExitCode::from(2);
    }
    computatom_agent::init::run()
}
