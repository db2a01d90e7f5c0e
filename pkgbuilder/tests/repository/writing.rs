use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use pkgbuilder::reporter::Reporter;
use pkgbuilder::repository::{self, SigningKey};
use pkgbuilder::verify::Sha256;

use crate::{World, content_of, native};

/// Which file each path is, and when it changed.
fn state(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let paths = content_of(folder).into_keys();
    paths
        .map(|path| {
            let metadata = fs::metadata(&path).unwrap();
            (path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
        })
        .collect()
}

#[test]
fn nothing_is_written_where_nothing_changed() {
    let world = World::new();
    assert!(world.update().changed);
    let before = state(&world.packages());
    let again = world.update();
    assert!(!again.changed);
    assert_eq!(again.packages, 3);
    assert_eq!(state(&world.packages()), before);
}

#[test]
fn equal_packages_and_an_equal_key_give_equal_bytes() {
    let (one, mut two) = (World::empty(), World::empty());
    fs::copy(one.folder.path().join("key.asc"), two.folder.path().join("key.asc")).unwrap();
    let key = two.folder.path().join("key.asc");
    two.key = SigningKey::open(Some(&key), &Reporter::new(true)).unwrap();
    for (world, architectures) in [(&one, ["amd64", "armel"]), (&two, ["armel", "amd64"])] {
        for architecture in architectures {
            world.add("hello", "1.0-1", architecture, 1_700_000_000);
        }
        world.update();
    }
    let relative = |world: &World| -> BTreeMap<PathBuf, Vec<u8>> {
        let content = content_of(&world.packages()).into_iter();
        content
            .map(|(path, content)| (path.strip_prefix(world.packages()).unwrap().to_owned(), content))
            // It names the folder.
            .filter(|(path, _)| path != Path::new("computatom.sources"))
            .collect()
    };
    assert_eq!(relative(&one), relative(&two));
    let release = fs::read_to_string(one.suite().join("Release")).unwrap();
    assert!(release.contains("\nDate: Tue, 14 Nov 2023 22:13:20 UTC\n"), "{release}");
    assert!(
        release.contains("\nArchitectures: amd64 arm64 armel armhf\n"),
        "{release}"
    );
    assert!(!release.contains("Valid-Until"), "{release}");
}

/// Fails unless everything that the `InRelease` in `suite` names is there under its digest; how many that was.
fn check_by_hash(suite: &Path) -> usize {
    let message = fs::read_to_string(suite.join("InRelease")).unwrap();
    let mut checked = 0;
    for line in message.lines().filter(|line| line.starts_with(' ')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [digest, size, path] = words.as_slice() else {
            panic!("{line}")
        };
        let folder = suite.join(path).parent().unwrap().join("by-hash/SHA256");
        let content = fs::read(folder.join(digest)).unwrap_or_else(|error| panic!("{path} of {line}: {error}"));
        assert_eq!(content.len().to_string(), *size);
        assert_eq!(Sha256::of(&content).hex(), *digest);
        checked += 1;
    }
    checked
}

#[test]
fn readers_meanwhile_find_what_they_were_promised() {
    let world = World::new();
    world.update();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0;
            while !over.load(Ordering::Relaxed) {
                read += check_by_hash(&world.suite());
            }
            read
        });
        // A reader is done with an `InRelease` before the second one after it.
        for version in 2..12 {
            world.add("hello", &format!("{version}"), native(), 1_700_000_000);
            assert!(world.update().changed);
        }
        over.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}

#[test]
fn objects_are_kept_for_one_generation() {
    let world = World::new();
    let objects = || {
        let folder = world.suite().join(format!("main/binary-{}/by-hash/SHA256", native()));
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.collect::<std::collections::BTreeSet<_>>()
    };
    world.update();
    let first = objects();
    assert_eq!(first.len(), 3);
    world.add("hello", "2", native(), 1_700_000_000);
    world.update();
    let second = objects();
    assert!(second.is_superset(&first) && second.len() == 6);
    world.update();
    assert_eq!(objects(), second, "nothing changed, nothing goes");
    // Somebody's own file among them.
    let own = world
        .suite()
        .join(format!("main/binary-{}/by-hash/SHA256/notes", native()));
    fs::write(&own, "mine").unwrap();
    world.add("hello", "3", native(), 1_700_000_000);
    world.update();
    assert!(objects().is_disjoint(&first));
    assert_eq!(objects().len(), 7);
    assert_eq!(fs::read(own).unwrap(), b"mine");
}

#[test]
fn updates_at_once_do_not_mix() {
    let world = World::new();
    std::thread::scope(|scope| {
        for version in 0..4 {
            let world = &world;
            scope.spawn(move || {
                // Not by `add`, whose stage all would share.
                let from = world.packages().join(format!("hello_1.0-1_{}.deb", native()));
                let private = World::empty();
                let made = private.add(&format!("other-{version}"), "1", native(), 1_700_000_000);
                fs::rename(&made, world.packages().join(made.file_name().unwrap())).unwrap();
                assert!(from.is_file());
                world.update();
            });
        }
    });
    assert!(!world.update().changed, "the last one saw all");
    assert_eq!(world.update().packages, 7);
    check_by_hash(&world.suite());
}

#[test]
fn foreign_files_are_left_alone() {
    let world = World::new();
    let own = [
        "notes.txt",
        "photo of me.deb",
        "Packages",
        ".hidden_1_amd64.deb",
        "archive/hello_9_amd64.deb",
    ];
    for name in own {
        let path = world.packages().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }
    fs::create_dir_all(world.packages().join("dists/stable")).unwrap();
    fs::write(world.packages().join("dists/stable/Release"), "Origin: Me\n").unwrap();
    assert_eq!(world.update().packages, 3);
    assert!(!world.update().changed);
    for name in own.into_iter().map(str::to_owned) {
        assert_eq!(fs::read(world.packages().join(&name)).unwrap(), b"mine", "{name}");
    }
    assert_eq!(
        fs::read(world.packages().join("dists/stable/Release")).unwrap(),
        b"Origin: Me\n"
    );
}

#[test]
fn a_file_that_is_no_package_but_called_like_one_is_refused() {
    let world = World::new();
    world.update();
    let path = world.packages().join("broken_1_arm64.deb");
    fs::write(&path, "not a package").unwrap();
    let said = world.refused();
    assert!(
        said.contains("broken_1_arm64.deb is not a package (") && said.contains("move the file away"),
        "{said}"
    );
    // Half a package.
    let whole = fs::read(world.packages().join("hello-data_1.0-1_all.deb")).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let said = world.refused();
    assert!(said.contains("broken_1_arm64.deb is not a package ("), "{said}");
    // Another package.
    fs::write(&path, &whole).unwrap();
    let said = world.refused();
    assert!(
        said.contains("holds hello-data 1.0-1 for all") && said.contains("call the file hello-data_1.0-1_all.deb"),
        "{said}"
    );
    fs::remove_file(path).unwrap();
    assert!(!world.update().changed);
}

#[test]
fn somebody_elses_repository_is_refused() {
    let world = World::new();
    for (name, content) in [
        ("Release", "Origin: Me\nSuite: computatom\n"),
        (
            "InRelease",
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Me\n-----BEGIN PGP SIGNATURE-----\n",
        ),
        ("InRelease", "nothing that apt would read"),
        ("index.html", "<html>"),
    ] {
        fs::create_dir_all(world.suite()).unwrap();
        fs::write(world.suite().join(name), content).unwrap();
        let said = world.refused();
        assert!(said.contains("is not a repository that pkgbuilder made"), "{said}");
        assert!(said.contains("--out DIR"), "{said}");
        assert!(
            repository::check(&world.packages()).is_err(),
            "and it is known before any work"
        );
        fs::remove_dir_all(world.suite()).unwrap();
    }
    fs::write(world.suite(), "a file").unwrap();
    assert!(
        world.refused().contains("is not a repository"),
        "a file where the folder would be"
    );
    fs::remove_file(world.suite()).unwrap();
    repository::check(&world.packages()).unwrap();
    repository::check(&world.folder.path().join("none yet")).unwrap();
}

#[test]
fn keys_that_will_not_do_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.asc");
    crate::key(&path);
    let refused = || {
        let error = SigningKey::open(Some(&path), &Reporter::new(true)).unwrap_err();
        assert_eq!(pkgbuilder::failure::exit_code(&error), 2);
        let said = format!("{error:#}");
        assert!(said.contains("key.asc"), "{said}");
        said
    };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refused().contains("can be read by others: run `chmod 600 "));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let secret = rpgpie::tsk::Tsk::load(&mut fs::read(&path).unwrap().as_slice())
        .unwrap()
        .remove(0);
    let public = secret.as_signed_secret_key().to_public_key();
    let options = pgp::composed::ArmorOptions::default();
    fs::write(&path, public.to_armored_string(options).unwrap()).unwrap();
    assert!(refused().contains("does not hold one OpenPGP secret key"));
    fs::write(&path, "").unwrap();
    assert!(refused().contains("does not hold one OpenPGP secret key"));

    let generate = |kind, password: Option<&pgp::types::Password>| {
        let version = pgp::types::KeyVersion::V4;
        let key = rpgpie::tsk::Tsk::generate(version, kind, None, Some("x".to_owned()), Vec::new(), password).unwrap();
        let options = pgp::composed::ArmorOptions::default();
        fs::write(&path, key.as_signed_secret_key().to_armored_string(options).unwrap()).unwrap();
    };
    generate(pgp::composed::KeyType::Ed25519Legacy, Some(&"secret".into()));
    assert!(refused().contains("locked by a passphrase"));
    generate(pgp::composed::KeyType::Rsa(2048), None);
    assert!(refused().contains("no Ed25519 part that may sign"));
    let missing = SigningKey::open(Some(&folder.path().join("none")), &Reporter::new(true)).unwrap_err();
    assert_eq!(pkgbuilder::failure::exit_code(&missing), 1, "{missing:#}");
}
