//! Further apt sources: what is pinned is taken from them, nothing else, and each is believed by its own key alone.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;

use pkgbuilder::definition::Image;
use pkgbuilder::fetch::mirror::Mirror;
use pkgbuilder::resolve::{self, Policy, Settings};
use pkgbuilder::verify::Sha256;
use pkgbuilder::verify::deb::VerifiedDeb;
use serde_json::{Value, json};

use crate::server::archive::{self, Archive, now};
use crate::server::vendor::Vendor;
use crate::{World, apt_get, image, names};

/// An archive with a vendor's repository beside it, which has another `app`, another `library`, and `only-here`.
struct Two {
    world: World,
    vendor: Vendor,
}

impl Two {
    fn new() -> Self {
        let world = World::new();
        let vendor = Vendor::new(&world.folder.path().join("archive/vendor"));
        vendor.add("app", "3.0-1", "Depends: library (>= 1.0)");
        vendor.add("library", "9.0-1", "");
        vendor.add("only-here", "1.0-1", "");
        Self { world, vendor }
    }

    /// The vendor's repository as a definition names it.
    fn source(&self) -> Value {
        json!({
            "uris": [format!("{}/vendor", self.world.server.url())],
            "suites": [Vendor::SUITE],
            "components": [Vendor::COMPONENT],
            "signed_by": self.vendor.public(),
        })
    }

    /// A definition that asks for `packages` and takes `pinned` from the vendor.
    fn image(&self, packages: &[&str], pinned: &[&str]) -> Image {
        with_sources(
            packages,
            &json!({ "vendor": self.source() }),
            &json!([{ "packages": pinned, "source": "vendor" }]),
        )
    }

    fn refused(&mut self, image: &Image, code: u8) -> String {
        refused(&mut self.world, image, code)
    }
}

fn with_sources(packages: &[&str], sources: &Value, pins: &Value) -> Image {
    let mut definition = serde_json::to_value(image(packages)).unwrap();
    definition["debian"]["sources"] = sources.clone();
    definition["debian"]["pins"] = pins.clone();
    serde_json::from_value(definition).unwrap()
}

/// What is said of a definition that cannot be resolved; nothing may be locked.
#[track_caller]
fn refused(world: &mut World, image: &Image, code: u8) -> String {
    let before = world.lock.clone();
    let error = world.resolve_image(Policy::Keep, image).unwrap_err();
    let said = format!("{error:#}");
    assert_eq!(pkgbuilder::failure::exit_code(&error), code, "{said}");
    assert_eq!(world.lock, before);
    said
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

fn sources(debs: &[VerifiedDeb]) -> Vec<(&str, Option<&str>)> {
    debs.iter()
        .map(|deb| (deb.locked().name.as_str(), deb.locked().source.as_deref()))
        .collect()
}

#[test]
fn what_is_pinned_is_taken_from_there_and_nothing_else() {
    let mut two = Two::new();
    let unpinned = two.image(&["app"], &[]);
    // Validation wants a package in each pin; the choice does not mind.
    let debs = two.world.resolve_image(Policy::Keep, &unpinned).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-1"]);

    let pinned = two.image(&["app"], &["app"]);
    let debs = two.world.resolve_image(Policy::Keep, &pinned).unwrap();
    assert_eq!(names(&debs), ["app 3.0-1", "base 1.0", "library 1.0-1"]);
    assert_eq!(
        sources(&debs),
        [("app", Some("vendor")), ("base", None), ("library", None)]
    );

    let glob = two.image(&["app"], &["lib*"]);
    let debs = two.world.resolve_image(Policy::Keep, &glob).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 9.0-1"]);
}

#[test]
fn a_pin_holds_where_debian_has_the_newer_version() {
    let mut two = Two::new();
    two.world.archive.add("trixie", "app", "4.0-1", "");
    two.world.archive.publish();
    let pinned = two.image(&["app", "library"], &["app"]);
    let debs = two.world.resolve_image(Policy::Keep, &pinned).unwrap();
    assert_eq!(names(&debs), ["app 3.0-1", "base 1.0", "library 1.0-1"]);
}

#[test]
fn what_is_only_there_is_explained_with_the_pin_that_helps() {
    let mut two = Two::new();
    let asked = two.image(&["only-here"], &[]);
    let said = two.refused(&asked, 2);
    assert_says(
        &said,
        &[
            "there is no package `only-here`",
            "the apt source `vendor` has it",
            "`debian+: { pins+: [{ packages: ['only-here'], source: 'vendor' }] }`",
        ],
    );

    // As long as the vendor has an older one that fits, that is taken: unlike apt, we look at every version.
    fs::remove_file(two.vendor.root.join("app_3.0-1_arm64.deb")).unwrap();
    two.vendor.add("app", "5.0-1", "Depends: helper, library (>= 5)");
    two.vendor.add("helper", "1.0-1", "");
    let needed = two.image(&["app"], &["app"]);
    let said = two.refused(&needed, 2);
    assert_says(
        &said,
        &[
            "cannot be installed together",
            "what is missing is in a further apt source, and would be taken with `debian+: { pins+: \
             [{ packages: ['helper', 'library'], source: 'vendor' }] }`",
        ],
    );
    let helped = two.image(&["app"], &["app", "helper", "library"]);
    let debs = two.world.resolve_image(Policy::Keep, &helped).unwrap();
    assert_eq!(names(&debs), ["app 5.0-1", "base 1.0", "helper 1.0-1", "library 9.0-1"]);
}

#[test]
fn a_pin_that_takes_nothing_is_told() {
    let mut two = Two::new();
    two.world.archive.add("trixie", "other", "1.0", "");
    two.world.archive.publish();
    let asked = two.image(&["other"], &["other"]);
    let said = two.refused(&asked, 2);
    assert_says(
        &said,
        &["`other` is pinned to the apt source `vendor`, which does not have it for arm64"],
    );
    // Of a glob, or of what other targets need, only a warning.
    let glob = two.image(&["other"], &["oth*"]);
    let debs = two.world.resolve_image(Policy::Keep, &glob).unwrap();
    assert_eq!(names(&debs), ["base 1.0", "other 1.0"]);
}

#[test]
fn a_source_is_believed_by_its_own_key_alone() {
    let mut two = Two::new();
    let other = Vendor::new(&two.world.folder.path().join("archive/other"));
    other.add("app", "9-1", "");
    let mut source = two.source();
    source["signed_by"] = json!(other.public());
    let pins = json!([{ "packages": ["app"], "source": "vendor" }]);
    let wrong = with_sources(&["app"], &json!({ "vendor": source }), &pins);
    let said = two.refused(&wrong, 2);
    assert_says(
        &said,
        &[
            "InRelease of computatom (apt source `vendor`) carries no good signature of a trusted key",
            &format!("it takes a good signature of {}", other.fingerprint()),
            "`--apt-source vendor=URL`",
            "`debian.sources.vendor.signed_by`",
        ],
    );
    // Neither Debian's keys nor those of `--keyring` count for it.
    source["signed_by"] = json!(fs::read_to_string(two.world.archive.keyring()).unwrap());
    let debians = with_sources(&["app"], &json!({ "vendor": source }), &pins);
    two.refused(&debians, 2);
    let keyring = two.world.folder.path().join("vendor.asc");
    fs::write(&keyring, two.vendor.public()).unwrap();
    let mut settings = two.world.settings(Policy::Keep);
    settings.keyrings.push(keyring);
    let error = resolve_with(&mut two.world, &settings, &wrong).unwrap_err();
    assert_says(&format!("{error:#}"), &["carries no good signature"]);
    // And its key is none for Debian: the archive's own suite signed by it.
    let mirror = &two.world.archive;
    mirror.publish_suite("trixie", &archive::Signer::new("vendor"), now(), None);
    let image = two.image(&["app"], &["app"]);
    let said = two.refused(&image, 2);
    assert_says(
        &said,
        &["InRelease of trixie carries no good signature", "`--keyring FILE`"],
    );
}

fn resolve_with(world: &mut World, settings: &Settings, image: &Image) -> anyhow::Result<Vec<VerifiedDeb>> {
    let target = &image.targets[0];
    resolve::debian(&world.fetcher, settings, image, target, &[], &[], &mut world.lock)
}

#[test]
fn an_expired_source_is_refused_unless_that_is_allowed() {
    let mut world = World::new();
    let root = world.folder.path().join("archive/late");
    fs::create_dir(&root).unwrap();
    let mut late = Archive::new(&root);
    late.add("trixie", "app", "3.0-1", "");
    let day = 24 * 3600;
    late.publish_suite("trixie", late.signer(), now() - 9 * day, Some(now() - 2 * day));
    let source = json!({
        "uris": [format!("{}/late/debian", world.server.url())],
        "suites": ["trixie"],
        "components": ["main"],
        "signed_by": late.signer().public(),
    });
    let pins = json!([{ "packages": ["app"], "source": "late" }]);
    let image = with_sources(&["app"], &json!({ "late": source }), &pins);
    let said = refused(&mut world, &image, 2);
    assert_says(
        &said,
        &[
            "InRelease of trixie (apt source `late`) was valid until",
            "`--apt-source late=URL`",
            "`--allow-expired`",
        ],
    );
    let settings = Settings {
        allow_expired: true,
        ..world.settings(Policy::Keep)
    };
    let debs = resolve_with(&mut world, &settings, &image).unwrap();
    assert_eq!(names(&debs), ["app 3.0-1", "base 1.0"]);
}

#[test]
fn a_source_that_does_not_answer_is_named() {
    let mut two = Two::new();
    // A port that was free a moment ago, and nobody listens on.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let image = two.image(&["app"], &["app"]);
    let mut settings = two.world.settings(Policy::Keep);
    settings.apt_sources.push(format!("vendor=http://{address}/vendor"));
    let error = resolve_with(&mut two.world, &settings, &image).unwrap_err();
    assert_eq!(pkgbuilder::failure::exit_code(&error), 1);
    assert_says(
        &format!("{error:#}"),
        &[
            &format!("asking the apt source vendor at http://{address}/vendor"),
            "`--apt-source vendor=URL` names another place",
            "refused",
        ],
    );
    // Nor need the definition say where it is.
    let mut source = two.source();
    source["uris"] = json!([]);
    let pins = json!([{ "packages": ["app"], "source": "vendor" }]);
    let image = with_sources(&["app"], &json!({ "vendor": source }), &pins);
    let said = two.refused(&image, 2);
    assert_says(
        &said,
        &[
            "nobody says where the apt source `vendor` is",
            "`--apt-source vendor=URL`",
        ],
    );
    let place = format!("vendor={}/vendor/", two.world.server.url());
    settings.apt_sources = vec![place];
    let debs = resolve_with(&mut two.world, &settings, &image).unwrap();
    assert_eq!(names(&debs), ["app 3.0-1", "base 1.0", "library 1.0-1"]);
}

#[test]
fn what_is_locked_is_taken_from_the_cache_and_else_from_its_source() {
    let mut two = Two::new();
    let image = two.image(&["app"], &["app"]);
    let debs = two.world.resolve_image(Policy::Keep, &image).unwrap();
    two.world.server.seen();
    let locked = two.world.lock.clone();
    let again = two.world.resolve_image(Policy::Locked, &image).unwrap();
    assert_eq!(names(&again), names(&debs));
    assert_eq!(two.world.server.seen(), [], "everything was in the cache");
    assert_eq!(two.world.lock, locked);

    for deb in &debs {
        fs::remove_file(deb.path()).unwrap();
    }
    let again = two.world.resolve_image(Policy::Locked, &image).unwrap();
    assert_eq!(names(&again), names(&debs));
    let mut asked: Vec<String> = two.world.server.seen().into_iter().map(|seen| seen.path).collect();
    asked.sort();
    assert_eq!(
        asked,
        [
            "/debian/pool/main/base_1.0_arm64.deb",
            "/debian/pool/main/library_1.0-1_arm64.deb",
            "/vendor/app_3.0-1_arm64.deb"
        ]
    );
    // Another choice of sources is another question.
    let unpinned = two.image(&["app"], &["library"]);
    let error = two.world.resolve_image(Policy::Locked, &unpinned).unwrap_err();
    assert_says(
        &format!("{error:#}"),
        &["the definition has changed since the lock was written"],
    );
}

#[test]
fn a_vendors_wrong_bytes_stop_everything() {
    let mut two = Two::new();
    let image = two.image(&["app"], &["app"]);
    let path = two.vendor.root.join("app_3.0-1_arm64.deb");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let said = two.refused(&image, 2);
    assert_says(&said, &["app 3.0-1", "app_3.0-1_arm64.deb"]);
}

#[test]
fn a_further_suite_of_the_mirror_is_debians() {
    let mut world = World::new();
    world.archive.add("trixie-backports", "app", "3.0-1~bpo13+1", "");
    world.archive.add("trixie-backports", "library", "2.0-1~bpo13+1", "");
    world
        .archive
        .publish_suite("trixie-backports", world.archive.signer(), now(), None);
    let sources = json!({ "backports": { "suites": ["trixie-backports"] } });
    let pins = json!([{ "packages": ["app"], "source": "backports" }]);
    let image = with_sources(&["app", "library"], &sources, &pins);
    let debs = world.resolve_image(Policy::Keep, &image).unwrap();
    assert_eq!(names(&debs), ["app 3.0-1~bpo13+1", "base 1.0", "library 1.0-1"]);
    assert_eq!(debs[0].locked().suite, "trixie-backports");
    assert_eq!(debs[0].locked().source.as_deref(), Some("backports"));
}

#[test]
fn a_source_for_other_machines_is_not_asked() {
    let mut two = Two::new();
    let mut source = two.source();
    source["architectures"] = json!(["armhf"]);
    let pins = json!([{ "packages": ["app"], "source": "vendor" }]);
    let image = with_sources(&["app"], &json!({ "vendor": source }), &pins);
    let debs = two.world.resolve_image(Policy::Keep, &image).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-1"]);
    let asked = two.world.server.seen();
    assert!(asked.iter().all(|seen| !seen.path.starts_with("/vendor")), "{asked:?}");
}

#[test]
fn a_repository_without_inrelease_is_read_by_release_and_its_signature() {
    let mut two = Two::new();
    fs::remove_file(two.vendor.suite().join("InRelease")).unwrap();
    let image = two.image(&["app"], &["app"]);
    let debs = two.world.resolve_image(Policy::Keep, &image).unwrap();
    assert_eq!(names(&debs), ["app 3.0-1", "base 1.0", "library 1.0-1"]);
    // What is signed is the text as it is.
    let release = two.vendor.suite().join("Release");
    let text = fs::read_to_string(&release).unwrap();
    fs::write(&release, text.replace("Label: Computatom", "Label: Somebody")).unwrap();
    two.world.lock = pkgbuilder::resolve::Lock::new("test");
    let said = two.refused(&image, 2);
    assert_says(
        &said,
        &["Release.gpg of computatom (apt source `vendor`)", "is not good"],
    );
}

/// A flat repository: the index beside the packages, and no component.
fn flat(world: &World) -> Value {
    let root = world.folder.path().join("archive/flat");
    fs::create_dir(&root).unwrap();
    let signer = archive::Signer::new("flat");
    let packages = Vendor::new(&root);
    packages.add("app", "3.0-1", "");
    let index = fs::read_to_string(packages.suite().join("main/binary-arm64/Packages")).unwrap();
    // Flat indexes name files from here, and have every architecture's.
    let index = index.replace("Filename: ", "Filename: ./");
    let other = index
        .replace("3.0-1", "9.0-1")
        .replace("Architecture: arm64", "Architecture: riscv64");
    let index = format!("{index}\n{other}");
    fs::remove_dir_all(root.join("dists")).unwrap();
    fs::write(root.join("Packages"), &index).unwrap();
    let date = archive::rfc5322(now());
    let release = format!(
        "Date: {date}\nSHA256:\n {} {} Packages\n",
        Sha256::of(index.as_bytes()),
        index.len()
    );
    fs::write(root.join("InRelease"), signer.sign(&release)).unwrap();
    json!({
        "uris": [format!("{}/flat/", world.server.url())],
        "suites": ["./"],
        "signed_by": signer.public(),
    })
}

#[test]
fn a_flat_repository() {
    let mut world = World::new();
    let source = flat(&world);
    let pins = json!([{ "packages": ["app"], "source": "flat" }]);
    let image = with_sources(&["app", "library"], &json!({ "flat": source }), &pins);
    let debs = world.resolve_image(Policy::Keep, &image).unwrap();
    assert_eq!(names(&debs), ["app 3.0-1", "base 1.0", "library 1.0-1"]);
}

#[test]
fn apt_with_the_same_sources_and_pins_chooses_the_same() {
    let mut two = Two::new();
    fs::remove_file(two.vendor.root.join("app_3.0-1_arm64.deb")).unwrap();
    two.vendor.add("app", "5.0-1", "Depends: helper, library (>= 5)");
    two.vendor.add("helper", "1.0-1", "Provides: help");
    two.world.archive.add("trixie", "helper", "2.0-1", "");
    two.world.archive.add("trixie", "user", "1.0-1", "Depends: app | other");
    two.world
        .archive
        .add("trixie-backports", "user", "1.1-1~bpo13+1", "Depends: app, help");
    two.world
        .archive
        .add("trixie-backports", "library", "7.0-1~bpo13+1", "");
    two.world.archive.publish();
    let archive = &two.world.archive;
    archive.publish_suite("trixie-backports", archive.signer(), now(), None);
    let all = json!({ "vendor": two.source(), "backports": { "suites": ["trixie-backports"] } });
    let vendor = |packages: &[&str]| json!({ "packages": packages, "source": "vendor" });
    let backports = |packages: &[&str]| json!({ "packages": packages, "source": "backports" });
    for (packages, pins) in [
        (vec!["user"], json!([])),
        (vec!["app"], json!([vendor(&["app", "lib*", "helper"])])),
        (
            vec!["app"],
            json!([vendor(&["app", "helper"]), backports(&["library"])]),
        ),
        (vec!["app"], json!([backports(&["library"]), vendor(&["*"])])),
        (vec!["user"], json!([vendor(&["*"])])),
        (
            vec!["user", "library"],
            json!([vendor(&["app", "helper"]), backports(&["*"])]),
        ),
        (vec!["library"], json!([vendor(&["app"])])),
        (vec!["helper", "only-here"], json!([vendor(&["only-here"])])),
    ] {
        let image = with_sources(&packages, &all, &pins);
        let ours = two.world.resolve_image(Policy::Renew, &image).unwrap();
        let ours: BTreeSet<String> = names(&ours).into_iter().collect();
        let root = tempfile::tempdir().unwrap();
        let mirror = Mirror::parse(&format!("{}/debian", two.world.server.url())).unwrap();
        let apt = apt_get::Apt {
            root: root.path(),
            arch: image.targets[0].arch,
            mirror: &mirror,
            keys: vec![two.world.archive.keyring()],
            debian: &image.debian,
            local: &[],
        };
        assert_eq!(ours, apt.choice(&packages), "{packages:?} with {pins}");
    }
}
