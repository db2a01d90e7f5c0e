//! Lines for the kernel log, which the console shows and the journal keeps.

use std::fs::OpenOptions;
use std::io::Write;

/// Writes one line to the kernel log at level `notice` (`Documentation/ABI/testing/dev-kmsg`), else to standard error.
pub fn say(text: &str) {
    let line = format!("<5>computatom-init: {text}\n");
    let logged = OpenOptions::new()
        .write(true)
        .open("/dev/kmsg")
        .and_then(|mut log| log.write_all(line.as_bytes()));
    if logged.is_err() {
        let _ = writeln!(std::io::stderr(), "computatom-init: {text}");
    }
}
