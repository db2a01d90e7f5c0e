//! Further sources of Debian packages, and pins.

use computatom_spec::arch::Arch;

use super::{image, load_text, refused};

/// A definition with these further sources and pins.
fn with_sources(sources: &str, pins: &str) -> String {
    image(&format!("debian+: {{ sources: {sources}, pins: {pins} }}"))
}

#[test]
fn further_sources_and_pins_are_a_few_lines() {
    let definition = load_text(&with_sources(
        "{ backports: { suites: ['trixie-backports'] } }",
        "[{ packages: ['linux-image-*', 'raspi-firmware'], source: 'backports' }]",
    ))
    .unwrap();
    let backports = &definition.debian.sources["backports"];
    assert!(backports.is_debian() && backports.serves(Arch::Arm64));
    assert_eq!(definition.debian.pins[0].packages, ["linux-image-*", "raspi-firmware"]);
}

#[test]
fn mistakes_in_further_sources_are_told() {
    let key = include_str!("../../verify/keys/debian-archive-trixie-stable.asc");
    // A real key: whose does not matter here.
    let vendor = |fields: &str| format!("{{ vendor: {{ {fields}, signed_by: '{key}' }} }}");
    let good = "uris: ['https://vendor.example/debian'], suites: ['trixie'], components: ['main']";
    let pinned = "[{ packages: ['app'], source: 'vendor' }]";
    load_text(&with_sources(&vendor(good), pinned)).unwrap();
    load_text(&with_sources(&vendor("suites: ['./']"), pinned)).unwrap();
    let sources = |sources: &str, expected: &[&str]| {
        let expected = [&["images/x.jsonnet:"], expected].concat();
        refused(&with_sources(sources, "[]"), &expected);
    };
    sources(
        "{ vendor: { suits: ['x'] } }",
        &["unknown key `debian.sources.vendor.suits`", "did you mean `suites`?"],
    );
    sources(
        "{ vendor: { suites: [] } }",
        &["`debian.sources.vendor.suites`: at least one"],
    );
    sources("{ vendor: { suites: ['a b'] } }", &["`a b` is not a suite"]);
    sources(
        "{ vendor: { suites: ['./'] } }",
        &["is not a suite of Debian's", "needs `signed_by`"],
    );
    sources(
        "{ 'Vendor X': { suites: ['x'] } }",
        &["`Vendor X` is not a name for a source"],
    );
    sources(
        "{ debian: { suites: ['x'] } }",
        &["`debian` is not a name for a source"],
    );
    sources(
        "{ more: { suites: ['trixie'] } }",
        &["`trixie` is in `debian.suites` as well"],
    );
    sources(
        "{ vendor: { uris: ['https://vendor.example'], suites: ['x'], components: ['main'] } }",
        &["needs its key", "`signed_by: importstr 'keys/NAME.asc'`"],
    );
    sources(
        "{ vendor: { suites: ['x'], signed_by: 'keys/vendor.asc' } }",
        &["not an OpenPGP public key", "importstr"],
    );
    sources(
        "{ vendor: { suites: ['x'], signed_by: '-----BEGIN PGP PRIVATE KEY BLOCK-----' } }",
        &["`debian.sources.vendor.signed_by` holds a private key"],
    );
    sources(
        &vendor("suites: ['x']"),
        &["`debian.sources.vendor`: it needs `components`"],
    );
    sources(&vendor("suites: ['./'], components: ['main']"), &["a flat repository"]);
    sources(
        &vendor("suites: ['x'], components: ['main'], uris: ['ftp://x']"),
        &["`ftp://x` is not a URL"],
    );
    sources(
        &vendor("suites: ['x'], components: ['main'], uris: ['https://me:word@vendor.example']"),
        &["a definition holds no secrets", "`--apt-source`"],
    );
    refused(
        &with_sources(
            &vendor("suites: ['x'], components: ['main'], architectures: ['mips']"),
            "[]",
        ),
        &[
            "`debian.sources.vendor.architectures[0]`: unknown value `mips`",
            "amd64",
        ],
    );
    let pins = |pins: &str, expected: &[&str]| refused(&with_sources(&vendor(good), pins), expected);
    pins(
        "[{ packages: ['app'], source: 'vendro' }]",
        &["unknown source `vendro` (did you mean `vendor`?)"],
    );
    pins("[{ packages: [], source: 'vendor' }]", &["a pin needs a package"]);
    pins(
        "[{ packages: ['App'], source: 'vendor' }]",
        &["`App` is neither a package name nor a glob"],
    );
    pins("[{ packages: ['app['], source: 'vendor' }]", &["`app[` is not a glob"]);
    pins("[{ package: 'app', source: 'vendor' }]", &["unknown key", "`packages`"]);
    pins(
        "[{ packages: ['app', 'lib*'], source: 'vendor' }, { packages: ['app'], source: 'vendor' }]",
        &["`app` is pinned twice"],
    );
}
