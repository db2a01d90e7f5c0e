//! The catalog's pins against the digests that were published.

use std::collections::{BTreeMap, BTreeSet};
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
fn prometheus_pins_do_not_contradict_what_was_published() {
    let published = published();
    let path = vocabulary().join("pins/prometheus.libsonnet");
    let evaluated = jsonnet::evaluate(&path, &[vocabulary()], &vocabulary()).unwrap();
    let mut compared = 0;
    for (product, versions) in evaluated.value.as_object().unwrap() {
        for (version, archives) in versions.as_object().unwrap() {
            for (arch, digest) in archives.as_object().unwrap() {
                let arch = if arch == "armhf" { "armv7" } else { arch };
                let archive = (product.clone(), version.clone(), arch.to_owned());
                let known = published
                    .get(&archive)
                    .unwrap_or_else(|| panic!("{archive:?} is not known"));
                let digest = digest.as_str().unwrap();
                assert!(known.contains(digest), "{archive:?}: {digest} is not one of {known:?}");
                compared += 1;
            }
        }
    }
    assert!(compared > 0);
}
