//! `pkgbuilder`: packages and images for a cluster of small boards.

use std::process::ExitCode;

fn main() -> ExitCode {
    pkgbuilder::cli::run()
}
