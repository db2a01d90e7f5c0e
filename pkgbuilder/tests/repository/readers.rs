use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgp::composed::{Deserializable, SignedPublicKey};
use pgp::ser::Serialize;

use crate::{World, foreign, native, run, succeeds};

/// The public key without armor, as gpgv wants it.
fn keyring(world: &World) -> PathBuf {
    let armored = fs::read_to_string(world.packages().join("computatom.asc")).unwrap();
    let (key, _) = SignedPublicKey::from_string(&armored).unwrap();
    let path = world.folder.path().join("keyring.gpg");
    fs::write(&path, key.to_bytes().unwrap()).unwrap();
    path
}

#[test]
fn gpgv_verifies_both_signatures() {
    let world = World::new();
    world.update();
    let (keyring, suite) = (keyring(&world), world.suite());
    let gpgv = |files: &[&Path]| {
        let mut command = Command::new("gpgv");
        command
            .arg("--keyring")
            .arg(&keyring)
            .args(["--output", "-"])
            .args(files);
        command
    };
    let (in_release, release) = (suite.join("InRelease"), suite.join("Release"));
    let text = succeeds(&mut gpgv(&[&in_release]));
    let plain = fs::read_to_string(&release).unwrap();
    assert_eq!(text.trim_end(), plain.trim_end(), "both say the same");
    let message = fs::read_to_string(&in_release).unwrap();
    assert!(
        !message.contains("\n\n-----BEGIN PGP SIGNATURE"),
        "no empty line at the end: {message}"
    );
    succeeds(&mut gpgv(&[&suite.join("Release.gpg"), &release]));
    fs::write(&release, plain.replace("main", "mail")).unwrap();
    assert!(!run(&mut gpgv(&[&suite.join("Release.gpg"), &release])).status.success());
}

#[test]
fn sqv_verifies_the_signature() {
    let world = World::new();
    world.update();
    let mut command = Command::new("sqv");
    command
        .arg("--keyring")
        .arg(world.packages().join("computatom.asc"))
        .arg(world.suite().join("Release.gpg"))
        .arg(world.suite().join("Release"));
    let said = succeeds(&mut command);
    assert_eq!(said.trim(), world.key.fingerprint());
}

/// The stanzas of a package index by name, version and architecture, each with its fields.
fn stanzas(index: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for stanza in index.split("\n\n").filter(|stanza| !stanza.trim().is_empty()) {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        // A continuation line belongs to the field before it.
        for field in stanza.trim().replace("\n ", "\u{1}").lines() {
            let (name, value) = field.split_once(": ").unwrap();
            fields.insert(name.to_owned(), value.replace('\u{1}', "\n "));
        }
        let name = format!("{} {} {}", fields["Package"], fields["Version"], fields["Architecture"]);
        assert!(found.insert(name, fields).is_none());
    }
    found
}

#[test]
fn indexes_say_what_dpkg_scanpackages_says() {
    let world = World::new();
    world.add("hello", "1:0.9~rc1+x-1", native(), 1_500_000_000);
    assert_eq!(world.update().packages, 4);
    for architecture in [native(), foreign()] {
        let mut scan = Command::new("dpkg-scanpackages");
        scan.current_dir(world.packages())
            .args(["--multiversion", "--hash", "sha256", "--arch", architecture, "."]);
        let theirs = succeeds(&mut scan).replace("Filename: ./", "Filename: ");
        let ours = world.suite().join(format!("main/binary-{architecture}/Packages"));
        let ours = stanzas(&fs::read_to_string(ours).unwrap());
        assert_eq!(ours, stanzas(&theirs));
        assert!(ours.contains_key("hello-data 1.0-1 all"), "{ours:?}");
    }
}

#[test]
fn compressed_indexes_are_the_plain_one() {
    let world = World::new();
    world.update();
    let index = world.suite().join(format!("main/binary-{}/Packages", native()));
    let plain = fs::read_to_string(&index).unwrap();
    for (program, ending) in [("gzip", "gz"), ("xz", "xz")] {
        assert_eq!(
            succeeds(Command::new(program).arg("-dc").arg(index.with_extension(ending))),
            plain
        );
    }
}
