//! `cargo run -p pkgbuilder --example resolve -- arm64 PACKAGE...`: which packages of trixie that would be.

use anyhow::{Context, Result};
use pkgbuilder::definition::Image;
use pkgbuilder::fetch::{Cache, Fetcher};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::resolve::{self, Lock, Settings};

#[allow(clippy::print_stdout, reason = "the list is what is asked for")]
fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let arch = arguments.next().context("usage: resolve ARCH PACKAGE...")?;
    let packages: Vec<String> = arguments.collect();
    let image: Image = serde_json::from_value(serde_json::json!({
        "name": "example", "description": "",
        "targets": [{ "name": "example", "arch": arch, "packages": packages }],
        "debian": {
            "suites": ["trixie", "trixie-updates", "trixie-security"], "components": ["main", "non-free-firmware"],
            "packages": [], "prefer": [], "avoid": [], "recommends": false
        },
        "components": [], "exclude": [], "files": [], "units": { "enable": [], "disable": [], "mask": [] },
        "partitions": { "bootsel_mib": 1, "boot_mib": 1, "root_mib": 1 }, "cmdline": [], "site": {}
    }))?;
    let fetcher = Fetcher::new(Cache::open()?, Reporter::new(false))?;
    let settings = Settings::default();
    let mut lock = Lock::new("example");
    for deb in resolve::debian(&fetcher, &settings, &image, &image.targets[0], &[], &[], &mut lock)? {
        println!(
            "{} {} {}",
            deb.locked().name,
            deb.locked().version,
            deb.path().display()
        );
    }
    Ok(())
}
