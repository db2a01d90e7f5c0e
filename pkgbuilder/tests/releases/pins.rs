//! The catalog's pins against the digests that were published.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use pkgbuilder::definition::jsonnet;

/// Product, version and architecture, in the publisher's spelling.
type Archive = (String, String, String);

fn published() -> BTreeMap<Archive, BTreeSet<String>> {
    let mut published: BTreeMap<Archive, BTreeSet<String>> = BTreeMap::new();
    for line in include_str!("published-sha256.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let words: Vec<&str> = line.split(' ').collect();
        let [product, version, arch, digest] = words.as_slice() else {
            panic!("{line}");
        };
        let archive = ((*product).to_owned(), (*version).to_owned(), (*arch).to_owned());
        published.entry(archive).or_default().insert((*digest).to_owned());
    }
    published
}

fn vocabulary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("jsonnet")
}

/// Every archive that the catalog pins of a product.
fn pinned(product: &str) -> BTreeMap<Archive, String> {
    let path = vocabulary().join(format!("pins/{product}.libsonnet"));
    let evaluated = jsonnet::evaluate(&path, &[vocabulary()], &vocabulary()).unwrap();
    let mut pinned = BTreeMap::new();
    for (version, archives) in evaluated.value.as_object().unwrap() {
        for (arch, digest) in archives.as_object().into_iter().flatten() {
            let archive = (product.to_owned(), version.clone(), arch.clone());
            pinned.insert(archive, digest.as_str().unwrap().to_owned());
        }
    }
    pinned
}

#[test]
fn nomads_and_consuls_pins_are_all_published() {
    let published = published();
    for product in ["nomad", "consul"] {
        let pinned = pinned(product);
        assert!(pinned.len() > 90, "{product}: {}", pinned.len());
        for (archive, digest) in &pinned {
            let known = published
                .get(archive)
                .unwrap_or_else(|| panic!("{archive:?} was never published"));
            assert!(known.contains(digest), "{archive:?}: {digest} is not one of {known:?}");
        }
        // And none of a version that is pinned is left out.
        let versions: BTreeSet<&String> = pinned.keys().map(|(_, version, _)| version).collect();
        for archive in published
            .keys()
            .filter(|(name, version, _)| name == product && versions.contains(version))
        {
            assert!(pinned.contains_key(archive), "{archive:?} is not pinned");
        }
    }
}

#[test]
fn no_other_pin_contradicts_what_was_published() {
    let published = published();
    for entry in fs::read_dir(vocabulary().join("pins")).unwrap() {
        let path = entry.unwrap().path();
        let product = path.file_stem().unwrap().to_str().unwrap();
        // Debian's name of it is another.
        let upstream = product.trim_start_matches("prometheus-").replace('-', "_");
        for ((_, version, arch), digest) in pinned(product) {
            if let Some(known) = published.get(&(upstream.clone(), version, arch)) {
                assert!(known.contains(&digest), "{product}: {digest} is not one of {known:?}");
            }
        }
    }
}
