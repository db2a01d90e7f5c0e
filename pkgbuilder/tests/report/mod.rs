//! What a test has to say although it passes.

use std::fs::File;
use std::io::Write;

/// Says that the world made a part of the proof impossible, or has moved on: where a person sees it also when the test
/// passes (the test harness keeps what `println!` says), and in the file that scripts/test shows at its end.
pub(crate) fn report(text: &str) {
    let line = format!("report: {text}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(path) = std::env::var_os("COMPUTATOM_REPORTS") {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// Whether an error is the mirror's own fault, which its next update mends: it lists what it does not have. That is a
/// report, and no red test.
pub(crate) fn is_of_the_mirror(error: &str) -> bool {
    ["out of step", "can no longer be had"]
        .iter()
        .any(|said| error.contains(said))
}
