use std::fs;

use serde_json::Value;

use crate::board::{self, STEM};
use crate::server::archive::now;
use crate::server::vendor::Vendor;
use crate::{World, assert_says};

/// A board's definition that takes `library` from backports, and `vendor-tool` from a vendor whose place it leaves open.
const DEFINITION: &str = "{
    packages: ['app', 'linux', 'bulk', 'vendor-tool'], prefer: [], avoid: [],
    sources: {
      backports: { suites: ['trixie-backports'] },
      vendor: { suites: ['computatom'], components: ['main'], signed_by: importstr 'vendor.asc' },
    },
    pins: [{ packages: ['lib*'], source: 'backports' }, { packages: ['vendor-*'], source: 'vendor' }],
  }";

/// A world with both sources.
fn world() -> (World, Vendor) {
    let mut world = board::world(1, 1);
    world.archive.add("trixie-backports", "library", "1.5-1~bpo13+1", "");
    let archive = &world.archive;
    archive.publish_suite("trixie-backports", archive.signer(), now(), None);
    let vendor = Vendor::new(&world.served().join("vendor"));
    vendor.add("vendor-tool", "3.0-1", "Depends: library (>= 1.2)");
    fs::write(world.checkout().join("images/vendor.asc"), vendor.public()).unwrap();
    board::define(&world, &[("debian+", DEFINITION)]);
    (world, vendor)
}

#[test]
fn lock_manifest_and_sbom_say_what_came_from_where() {
    let (world, vendor) = world();
    let place = format!("vendor={}/vendor", world.server.url());
    world.succeeds(world.command("image", &["--apt-source", &place]));
    world.assert_image(&[]);
    let read = |path: std::path::PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };

    let lock = read(world.lock());
    assert_eq!(lock["format"], 2);
    let locked = |name: &str| {
        let debs = lock["debian"][board::STEM.trim_start_matches("tiny-")]
            .as_array()
            .unwrap();
        debs.iter().find(|deb| deb["name"] == name).unwrap().clone()
    };
    assert_eq!(locked("library")["source"], "backports");
    assert_eq!(locked("library")["version"], "1.5-1~bpo13+1");
    assert_eq!(locked("vendor-tool")["source"], "vendor");
    assert_eq!(locked("app").get("source"), None);

    let manifest = read(world.out().join(format!("{STEM}.manifest.json")));
    let record = |name: &str| {
        let packages = manifest["packages"].as_array().unwrap();
        packages.iter().find(|package| package["name"] == name).unwrap().clone()
    };
    assert_eq!(record("library")["source"], "debian");
    let origin = "trixie-backports pool/main/library_1.5-1~bpo13+1_arm64.deb";
    assert_eq!(record("library")["origin"], origin);
    assert_eq!(record("vendor-tool")["source"], "apt");
    assert_eq!(
        record("vendor-tool")["origin"],
        "vendor computatom vendor-tool_3.0-1_arm64.deb"
    );
    let verified = record("vendor-tool")["verified"].as_str().unwrap().to_owned();
    assert!(verified.ends_with(&vendor.fingerprint()), "{verified}");

    let document = read(world.out().join(format!("{STEM}.spdx.json"))).to_string();
    assert_says(
        &document,
        &[
            "pkg:deb/vendor/vendor-tool@3.0-1?arch=arm64",
            "pkg:deb/debian/library@1.5-1~bpo13%2B1?arch=arm64",
            "apt: vendor computatom vendor-tool_3.0-1_arm64.deb",
        ],
    );
    let mut inspect = world.pkgbuilder();
    inspect.arg("inspect").arg(world.out().join(format!("{STEM}.img.zst")));
    let output = inspect.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let line = told.lines().find(|line| line.starts_with("vendor-tool")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        words[1..],
        ["3.0-1", "apt", "vendor", "computatom", "vendor-tool_3.0-1_arm64.deb"]
    );

    // From here on nobody is asked, and nobody need say where the vendor is.
    world.server.seen();
    let image = fs::read(world.out().join(format!("{STEM}.img.zst"))).unwrap();
    world.succeeds(world.command("image", &["--locked"]));
    assert_eq!(world.server.seen(), []);
    assert!(fs::read(world.out().join(format!("{STEM}.img.zst"))).unwrap() == image);
}

#[test]
fn a_source_whose_place_nobody_says() {
    let (world, _) = world();
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(
        &said,
        &[
            "nobody says where the apt source `vendor` is",
            "`--apt-source vendor=URL`",
        ],
    );
    let said = world.refuses(world.command("lock", &["--apt-source", "vendro=/srv"]), 2);
    assert_says(
        &said,
        &["the definition has no source `vendro`", "did you mean `vendor`?"],
    );
}

#[test]
fn a_source_that_somebody_else_signed() {
    let (world, vendor) = world();
    let other = Vendor::new(&world.served().join("other"));
    other.add("vendor-tool", "9.0-1", "");
    let place = format!("vendor={}/other", world.server.url());
    let said = world.refuses(world.command("lock", &["--apt-source", &place]), 2);
    assert_says(
        &said,
        &[
            "InRelease of computatom (apt source `vendor`) carries no good signature",
            &format!("signed by {}", other.fingerprint()),
            &format!("it takes a good signature of {}", vendor.fingerprint()),
        ],
    );
}
