//! Packages: chosen, locked, moved on.

use std::fs;

use pkgbuilder::resolve::{LocalPackage, Lock, Policy};

use crate::server::Fault;
use crate::{World, image, names};

#[test]
fn the_first_build_chooses_and_the_second_asks_nobody() {
    let mut world = World::new();
    let debs = world.resolve(Policy::Keep, &["app"]).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-1"]);
    assert!(world.lock.epoch > 0);
    assert_eq!(world.lock.debian["test-arm64"].len(), 3);
    // The real dpkg-deb reads what came.
    let read = std::process::Command::new("dpkg-deb")
        .arg("-f")
        .arg(debs[0].path())
        .arg("Version")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "2.0-1\n");

    world.server.seen();
    let locked = world.lock.clone();
    for policy in [Policy::Keep, Policy::Locked] {
        assert_eq!(names(&world.resolve(policy, &["app"]).unwrap()), names(&debs));
    }
    assert_eq!(world.server.seen(), []);
    assert_eq!(world.lock, locked);
}

#[test]
fn the_newest_version_of_all_suites_is_taken() {
    let mut world = World::new();
    world.archive.add("trixie-security", "library", "1.0-1+deb13u1", "");
    world.archive.publish();
    let debs = world.resolve(Policy::Keep, &["app"]).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-1+deb13u1"]);
    assert_eq!(debs[2].locked().suite, "trixie-security");
}

#[test]
fn a_changed_definition_chooses_again_unless_locked() {
    let mut world = World::new();
    world.archive.add("trixie", "other", "1", "");
    world.archive.publish();
    world.resolve(Policy::Keep, &["app"]).unwrap();
    let error = world.resolve(Policy::Locked, &["app", "other"]).unwrap_err();
    assert_eq!(pkgbuilder::failure::exit_code(&error), 2);
    let text = format!("{error:#}");
    assert!(
        text.contains("the definition has changed since the lock was written"),
        "{text}"
    );
    assert!(text.contains("`pkgbuilder lock test`"), "{text}");
    let debs = world.resolve(Policy::Keep, &["app", "other"]).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-1", "other 1"]);
}

#[test]
fn a_missing_lock_is_no_lock() {
    let mut world = World::new();
    let error = world.resolve(Policy::Locked, &["app"]).unwrap_err();
    assert_eq!(pkgbuilder::failure::exit_code(&error), 2);
    assert!(format!("{error:#}").contains("the lock does not know this target"));
}

const DROPPED: &str = "library_1.0-1_arm64.deb";

/// The mirror has moved on: `library` got a new version and the old file is gone.
fn moved_on() -> World {
    let mut world = World::new();
    world.resolve(Policy::Keep, &["app"]).unwrap();
    let pool = world.folder.path().join("archive/debian/pool/main");
    fs::rename(pool.join(DROPPED), world.folder.path().join(DROPPED)).unwrap();
    world.archive.add("trixie", "library", "1.0-2", "");
    world.archive.publish();
    world
}

fn empty_cache(world: &World) {
    for path in world.cached("objects") {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_dropped_version_that_is_in_the_cache_is_still_used() {
    let mut world = moved_on();
    world.server.seen();
    let debs = world.resolve(Policy::Keep, &["app"]).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-1"]);
    assert_eq!(world.server.seen(), []);
}

#[test]
fn a_dropped_version_stops_a_locked_build() {
    let mut world = moved_on();
    empty_cache(&world);
    let before = world.lock.clone();
    let error = world.resolve(Policy::Locked, &["app"]).unwrap_err();
    assert_eq!(pkgbuilder::failure::exit_code(&error), 1);
    let text = format!("{error:#}");
    assert!(
        text.contains("1 of the locked packages can no longer be had: library 1.0-1;"),
        "{text}"
    );
    assert!(text.contains("build without `--locked`"), "{text}");
    assert_eq!(world.lock, before);
}

#[test]
fn a_dropped_version_makes_a_plain_build_choose_again_and_say_so() {
    let mut world = moved_on();
    empty_cache(&world);
    let before = world.lock.clone();
    let debs = world.resolve(Policy::Keep, &["app"]).unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-2"]);
    let moves = pkgbuilder::resolve::moves(&before.debian["test-arm64"], &world.lock.debian["test-arm64"]);
    assert_eq!(moves, ["library: 1.0-1 -> 1.0-2"]);
    assert_eq!(world.fetcher.reporter().warnings(), 1);
    // What was written is what the next build takes.
    world.resolve(Policy::Locked, &["app"]).unwrap();
}

#[test]
fn a_dropped_version_is_found_in_a_snapshot_archive() {
    let mut world = moved_on();
    empty_cache(&world);
    let timestamp = pkgbuilder::verify::release::timestamp(world.lock.epoch);
    let pool = world
        .folder
        .path()
        .join("archive/snapshot/archive/debian")
        .join(timestamp)
        .join("pool/main");
    fs::create_dir_all(&pool).unwrap();
    fs::rename(world.folder.path().join(DROPPED), pool.join(DROPPED)).unwrap();
    let mut settings = world.settings(Policy::Locked);
    settings.snapshot = Some(format!("{}/snapshot", world.server.url()));
    let image = image(&["app"]);
    let debs = pkgbuilder::resolve::debian(
        &world.fetcher,
        &settings,
        &image,
        &image.targets[0],
        &[],
        &[],
        &mut world.lock,
    )
    .unwrap();
    assert_eq!(names(&debs), ["app 2.0-1", "base 1.0", "library 1.0-1"]);
}

#[test]
fn a_mirror_that_is_down_does_not_change_the_lock() {
    let mut world = World::new();
    world.resolve(Policy::Keep, &["app"]).unwrap();
    empty_cache(&world);
    world.server.always("pool", Fault::Status(503));
    let error = world.failure(&["app"], 1);
    assert!(error.contains("could not be fetched"), "{error}");
    assert!(error.contains("503"), "{error}");
}

#[test]
fn a_mirror_without_digests_in_its_paths_will_do() {
    let mut world = World::new();
    world.server.always("by-hash", Fault::Status(404));
    world.resolve(Policy::Keep, &["app"]).unwrap();
}

#[test]
fn a_mirror_that_is_out_of_step_is_not_an_attack() {
    let mut world = World::new();
    world.server.always("by-hash", Fault::Status(404));
    world.server.always(
        "trixie/main/binary-arm64/Packages.xz",
        Fault::Replace(b"older".to_vec()),
    );
    let error = world.failure(&["app"], 1);
    assert!(
        error.contains("/debian is out of step: it does not have the package index of trixie/main"),
        "{error}"
    );
    assert!(error.contains("`--mirror URL`"), "{error}");
    world.assert_cache_is_clean();
}

#[test]
fn a_folder_without_an_archive_is_no_mirror() {
    let mut world = World::new();
    world.server.always("InRelease", Fault::Status(404));
    let error = world.failure(&["app"], 1);
    assert!(error.contains("asking the mirror http://127.0.0.1"), "{error}");
    assert!(error.contains("404"), "{error}");
    assert!(error.contains("`--mirror URL` names another"), "{error}");
}

#[test]
fn an_unknown_package_is_refused_with_the_nearest_name() {
    let mut world = World::new();
    let error = world.failure(&["librarry"], 2);
    assert!(error.contains("there is no package `librarry`"), "{error}");
    assert!(error.contains("did you mean `library`?"), "{error}");
}

#[test]
fn packages_that_exclude_each_other_are_refused() {
    let mut world = World::new();
    world.archive.add("trixie", "rival", "1", "Conflicts: library");
    world.archive.publish();
    let error = world.failure(&["app", "rival"], 2);
    assert!(error.contains("cannot be installed together"), "{error}");
    assert!(error.contains("rival"), "{error}");
    assert!(error.contains("library"), "{error}");
}

#[test]
fn a_dependency_that_nothing_satisfies_is_named() {
    let mut world = World::new();
    world.archive.add("trixie", "broken", "1", "Depends: library (>= 9)");
    world.archive.publish();
    let error = world.failure(&["broken"], 2);
    assert!(error.contains("library (>= 9)"), "{error}");
}

#[test]
fn virtual_packages_follow_the_preference_rule() {
    let mut world = World::new();
    let archive = &mut world.archive;
    archive.add("trixie", "zeta-mta", "1", "Provides: mta (= 2)");
    archive.add("trixie", "alpha-mta", "1", "Provides: mta");
    archive.add("trixie", "mailer", "1", "Depends: mta");
    archive.add("trixie", "strict", "1", "Depends: mta (>= 2)");
    archive.add("trixie", "spelled", "1", "Depends: zeta-mta | mta");
    archive.publish();
    let mut chosen = |packages: &[&str], prefer: &[&str], avoid: &[&str]| {
        let mut image = image(packages);
        image.debian.prefer = prefer.iter().map(ToString::to_string).collect();
        image.debian.avoid = avoid.iter().map(ToString::to_string).collect();
        let debs = world.resolve_image(Policy::Renew, &image).unwrap();
        let mta = debs.iter().filter(|deb| deb.locked().name.ends_with("-mta"));
        mta.map(|deb| deb.locked().name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&["mailer"], &[], &[]), ["alpha-mta"], "by name");
    assert_eq!(chosen(&["mailer"], &["zeta-mta"], &[]), ["zeta-mta"], "by preference");
    assert_eq!(chosen(&["mailer"], &[], &["alpha-mta"]), ["zeta-mta"], "by avoidance");
    assert_eq!(
        chosen(&["spelled"], &[], &[]),
        ["zeta-mta"],
        "as apt: the first alternative"
    );
    assert_eq!(
        chosen(&["mailer", "strict"], &[], &[]),
        ["zeta-mta"],
        "one that is needed anyway"
    );
}

#[test]
fn recommends_are_followed_only_when_asked_and_possible() {
    let mut world = World::new();
    let archive = &mut world.archive;
    archive.add("trixie", "shiny", "1", "Recommends: extra, impossible, nonexistent");
    archive.add("trixie", "extra", "1", "Recommends: further");
    archive.add("trixie", "further", "1", "");
    archive.add("trixie", "impossible", "1", "Conflicts: base");
    archive.publish();
    let mut image = image(&["shiny"]);
    let debs = world.resolve_image(Policy::Renew, &image).unwrap();
    assert_eq!(names(&debs), ["base 1.0", "shiny 1"]);
    image.debian.recommends = true;
    let debs = world.resolve_image(Policy::Renew, &image).unwrap();
    assert_eq!(names(&debs), ["base 1.0", "extra 1", "further 1", "shiny 1"]);
}

#[test]
fn what_we_package_ourselves_adds_its_dependencies() {
    let mut world = World::new();
    let image = image(&[]);
    let settings = world.settings(Policy::Keep);
    let extra = ["library (>= 1.0)".to_owned()];
    let target = &image.targets[0];
    let debs =
        pkgbuilder::resolve::debian(&world.fetcher, &settings, &image, target, &extra, &[], &mut world.lock).unwrap();
    assert_eq!(names(&debs), ["base 1.0", "library 1.0-1"]);
}

#[test]
fn a_package_of_our_own_takes_the_place_of_the_archives() {
    let mut world = World::new();
    world.archive.add("trixie", "ours", "9", "Depends: base");
    world.archive.publish();
    let image = image(&[]);
    let settings = world.settings(Policy::Keep);
    let stanza = "Package: ours\nVersion: 1\nArchitecture: arm64\nDepends: library\n";
    let local = [LocalPackage::parse(stanza).unwrap()];
    let target = &image.targets[0];
    let debs = pkgbuilder::resolve::debian(&world.fetcher, &settings, &image, target, &[], &local, &mut world.lock);
    assert_eq!(names(&debs.unwrap()), ["base 1.0", "library 1.0-1"]);
}

#[test]
fn a_lock_survives_the_disk() {
    let mut world = World::new();
    world.resolve(Policy::Keep, &["app"]).unwrap();
    let path = world.folder.path().join("test.lock.json");
    world.lock.save(&path).unwrap();
    world.lock = Lock::load(&path, "test").unwrap().unwrap();
    assert_eq!(world.resolve(Policy::Locked, &["app"]).unwrap().len(), 3);
}
