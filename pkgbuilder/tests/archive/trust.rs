//! Signatures and digests that are wrong: exit code 2, one sentence, nothing kept.

use std::fs;

use crate::World;
use crate::server::Fault;
use crate::server::archive::{Signer, now};

#[test]
fn a_tampered_in_release_is_refused() {
    let mut world = World::new();
    let path = world.archive.in_release("trixie");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("Origin: Test", "Origin: Tess", 1)).unwrap();
    let error = world.failure(&["app"], 2);
    assert!(
        error.contains("InRelease of trixie carries no good signature"),
        "{error}"
    );
    world.assert_cache_is_clean();
    assert!(
        world
            .cached("objects")
            .iter()
            .all(|path| !fs::read_to_string(path).unwrap().contains("Tess"))
    );
}

#[test]
fn a_stranger_cannot_sign() {
    let mut world = World::new();
    world
        .archive
        .publish_suite("trixie", &Signer::new("stranger"), now(), None);
    let error = world.failure(&["app"], 2);
    assert!(error.contains("no good signature of a trusted key"), "{error}");
}

#[test]
fn an_unsigned_answer_is_refused() {
    let mut world = World::new();
    world.server.always(
        "trixie/InRelease",
        Fault::Replace(b"<html>please log in</html>".to_vec()),
    );
    let error = world.failure(&["app"], 2);
    assert!(error.contains("is not a signed message"), "{error}");
    world.assert_cache_is_clean();
}

#[test]
fn text_outside_the_signature_is_refused() {
    let mut world = World::new();
    let path = world.archive.in_release("trixie");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\nCodename: forged\nSHA256:\n")).unwrap();
    let error = world.failure(&["app"], 2);
    assert!(error.contains("InRelease of trixie is damaged"), "{error}");
    fs::write(&path, format!("Codename: forged\n\n{text}")).unwrap();
    let error = world.failure(&["app"], 2);
    assert!(error.contains("InRelease of trixie is not a signed message"), "{error}");
}

#[test]
fn another_suites_in_release_is_refused() {
    let mut world = World::new();
    let updates = fs::read(world.archive.in_release("trixie-updates")).unwrap();
    fs::write(world.archive.in_release("trixie"), updates).unwrap();
    let error = world.failure(&["app"], 2);
    assert!(
        error.contains("InRelease of trixie is the one of `trixie-updates`"),
        "{error}"
    );
}

#[test]
fn an_expired_in_release_is_refused_and_can_be_allowed() {
    let mut world = World::new();
    let day = 24 * 3600;
    let signer = world.archive.signer();
    world
        .archive
        .publish_suite("trixie-security", signer, now() - 9 * day, Some(now() - 2 * day));
    let error = world.failure(&["app"], 2);
    assert!(
        error.contains("InRelease of trixie-security was valid until"),
        "{error}"
    );
    assert!(error.contains("--mirror URL"), "{error}");

    let mut settings = world.settings(pkgbuilder::resolve::Policy::Keep);
    settings.allow_expired = true;
    let image = crate::image(&["app"]);
    let target = &image.targets[0];
    pkgbuilder::resolve::debian(&world.fetcher, &settings, &image, target, &[], &[], &mut world.lock).unwrap();
    assert_eq!(world.fetcher.reporter().warnings(), 1);
}

#[test]
fn an_in_release_from_the_future_is_refused() {
    let mut world = World::new();
    world
        .archive
        .publish_suite("trixie", world.archive.signer(), now() + 3 * 24 * 3600, None);
    let error = world.failure(&["app"], 2);
    assert!(error.contains("in the future"), "{error}");
}

#[test]
fn tampered_package_indexes_are_refused() {
    let mut world = World::new();
    world.server.always("binary-arm64", Fault::Corrupt(30));
    let error = world.failure(&["app"], 2);
    assert!(error.contains("package index of trixie"), "{error}");
    assert!(
        error.contains("is not the file that was asked for: its SHA-256 is"),
        "{error}"
    );
    world.assert_cache_is_clean();
    // The cache is as good as before: the same command goes through once the mirror is honest.
    world.server.heal();
    world.resolve(pkgbuilder::resolve::Policy::Keep, &["app"]).unwrap();
}

#[test]
fn a_tampered_deb_is_refused() {
    let mut world = World::new();
    world.server.always("library_1.0-1_arm64.deb", Fault::Corrupt(100));
    let error = world.failure(&["app"], 2);
    assert!(error.contains("library 1.0-1 from http://127.0.0.1"), "{error}");
    assert!(error.contains("its SHA-256 is"), "{error}");
    world.assert_cache_is_clean();
}

#[test]
fn a_deb_of_another_size_is_refused_before_it_is_read() {
    let mut world = World::new();
    world
        .server
        .always("library_1.0-1_arm64.deb", Fault::Replace(b"!<arch>\n".to_vec()));
    let error = world.failure(&["app"], 2);
    assert!(error.contains("it has 8 bytes, but"), "{error}");
    world.assert_cache_is_clean();
}

#[test]
fn a_deb_damaged_in_the_cache_is_fetched_again() {
    let mut world = World::new();
    let debs = world.resolve(pkgbuilder::resolve::Policy::Keep, &["app"]).unwrap();
    let victim = debs.iter().find(|deb| deb.locked().name == "library").unwrap();
    let mut content = fs::read(victim.path()).unwrap();
    content[200] ^= 1;
    fs::write(victim.path(), content).unwrap();
    world.server.seen();
    world.resolve(pkgbuilder::resolve::Policy::Locked, &["app"]).unwrap();
    let seen = world.server.seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(seen[0].path.ends_with("library_1.0-1_arm64.deb"));
    world.assert_cache_is_clean();
}
