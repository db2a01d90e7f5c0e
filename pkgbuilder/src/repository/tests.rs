use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use computatom_compose::deb::stanza::Stanza;

use super::*;
use crate::package::control::Control;
use crate::package::deb::Package;

fn package(folder: &Path, version: &str) {
    let control = Control {
        package: "hello".to_owned(),
        version: version.to_owned(),
        arch: Arch::Arm64.to_string(),
        maintainer: "Test <test@example.invalid>".to_owned(),
        installed_size: 1,
        section: "misc".to_owned(),
        summary: "says hello".to_owned(),
        description: "Says it.\n".to_owned(),
        ..Control::default()
    };
    let package = Package {
        control,
        epoch: 1_700_000_000,
        ..Package::default()
    };
    fs::create_dir_all(folder).unwrap();
    package
        .write(File::create(folder.join(package.file_name())).unwrap())
        .unwrap();
}

/// Files by path below `folder`.
fn content_of(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut content = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                content.insert(name, fs::read(path).unwrap());
            }
        }
    }
    content
}

/// Whatever `InRelease` names is there; one that is not there names nothing.
fn assert_readable(folder: &Path) {
    let Some(text) = in_release(folder) else { return };
    let stanza = Stanza::parse(&text).unwrap();
    for line in stanza.get("SHA256").unwrap().lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let below = words[2].rsplit_once('/').unwrap().0;
        let object = folder
            .join("dists/computatom")
            .join(below)
            .join("by-hash/SHA256")
            .join(words[0]);
        let content = fs::read(&object).unwrap_or_else(|error| panic!("{}: {error}", object.display()));
        assert_eq!(release::Sum::of(&content).sha256.hex(), words[0]);
    }
}

#[test]
fn a_run_that_is_cut_after_any_file_is_finished_by_the_next() {
    let top = tempfile::tempdir().unwrap();
    let cache = Cache::at(&top.path().join("cache")).unwrap();
    let path = top.path().join("data/signing-key.asc");
    assert!(key::make(&path).unwrap());
    let key = SigningKey::open(Some(&path), &Reporter::new(true)).unwrap();
    let reporter = Reporter::new(true);
    // The first run, and one that changes what an earlier one made.
    for versions in [&["1"][..], &["1", "2"]] {
        let folder = top.path().join("whole");
        let _ = fs::remove_dir_all(&folder);
        let prepare = |folder: &Path| {
            for (at, version) in versions.iter().enumerate() {
                if at > 0 {
                    update(folder, &key, &cache, &reporter).unwrap();
                }
                package(folder, version);
            }
        };
        prepare(&folder);
        let files = contents(&folder, &key, &listing::scan(&folder, &cache).unwrap().packages).unwrap();
        update(&folder, &key, &cache, &reporter).unwrap();
        let whole = content_of(&folder);
        for cut in 0..files.ordered.len() {
            fs::remove_dir_all(&folder).unwrap();
            prepare(&folder);
            let (ordered, _) = files.ordered.split_at(cut);
            let part = Files {
                ordered: ordered.to_vec(),
                before: None,
            };
            write(&folder, &part).unwrap();
            assert_readable(&folder);
            update(&folder, &key, &cache, &reporter).unwrap();
            assert_eq!(content_of(&folder), whole, "cut after {cut} files");
            assert_readable(&folder);
        }
    }
}

#[test]
fn a_key_is_made_once_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("computatom/signing-key.asc");
    assert!(key::make(&path).unwrap());
    let first = fs::read(&path).unwrap();
    assert!(!key::make(&path).unwrap(), "another was faster");
    assert_eq!(fs::read(&path).unwrap(), first);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}
