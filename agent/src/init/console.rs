//! Lines for the kernel log, which the console shows and the journal keeps.

use std::fs::OpenOptions;
use std::io::Write;

/// Writes one line to the kernel log at level `notice`, else to standard error.
pub fn say(text: &str) {
    write(NOTICE, text);
}

/// Writes why the board does not boot: at level `error`, which a console shows also with `quiet`.
pub fn alarm(text: &str) {
    write(ERROR, text);
}

/// Levels of the kernel log (`Documentation/ABI/testing/dev-kmsg`, syslog(3)); `quiet` shows those below 4.
const ERROR: u8 = 3;
const NOTICE: u8 = 5;

fn write(level: u8, text: &str) {
    let line = line(level, text);
    let logged = OpenOptions::new()
        .write(true)
        .open("/dev/kmsg")
        .and_then(|mut log| log.write_all(line.as_bytes()));
    if logged.is_err() {
        let _ = writeln!(std::io::stderr(), "computatom-init: {text}");
    }
}

fn line(level: u8, text: &str) -> String {
    format!("<{level}>computatom-init: {text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `quiet` sets the console's level to 4 (`CONSOLE_LOGLEVEL_QUIET` of the kernel): it shows what is below.
    #[test]
    fn quiet_hides_notices_but_no_alarm() {
        let shown = |line: &str| line[1..2].parse::<u8>().unwrap() < 4;
        assert!(shown(&line(ERROR, "x")) && !shown(&line(NOTICE, "x")));
    }
}
