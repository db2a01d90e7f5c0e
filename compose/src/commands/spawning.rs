//! Commands that start others: `nice`, `timeout`, `flock` and the like.

use super::arguments::Arguments;
use crate::shell::process::{Command, Outcome, Process};

pub(super) const COMMANDS: &[(&str, Command)] = &[
    ("flock", |process| {
        under(
            process,
            &[
                "-x --exclusive",
                "-s --shared",
                "-n --nonblock",
                "-e",
                "-o --close",
                "-w --timeout =",
                "-E =",
            ],
            1,
        )
    }),
    ("ionice", |process| {
        under(process, &["-c --class =", "-n --classdata =", "-t --ignore"], 0)
    }),
    ("nice", |process| under(process, &["-n --adjustment ="], 0)),
    ("nohup", |process| under(process, &[], 0)),
    ("setsid", |process| {
        under(process, &["-c --ctty", "-f --fork", "-w --wait"], 0)
    }),
    ("timeout", |process| {
        under(process, &["-k --kill-after =", "-s --signal ="], 1)
    }),
];

/// Runs the command in the operands, of which the first `skipped` are for this one: priorities, time limits and locks
/// mean nothing where one thing happens after another.
fn under(process: &mut Process<'_>, options: &'static [&'static str], skipped: usize) -> Outcome {
    let args = Arguments::in_order(process, options)?;
    let Some(command) = args.operands.get(skipped..).filter(|command| !command.is_empty()) else {
        return Err(process.unsupported("use without a command"));
    };
    let stdin = process.read_stdin();
    process.spawn(command, stdin)
}
