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
