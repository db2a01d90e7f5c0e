//! A definition with what belongs to it, and its image.

use std::collections::BTreeMap;
use std::path::Path;

use computatom_spec::manifest::{FORMAT, Manifest, PackageRecord};

use super::super::{DiskImage, Job, assemble};
use super::{EPOCH, Tree, rootfs};
use crate::definition::format::Format;
use crate::definition::image::{Debian, Image, Partitions, Target, Units};
use crate::fetch::cache::Cache;
use crate::reporter::Reporter;

/// A lock that pins nothing but what every build needs.
pub(crate) fn lock() -> crate::resolve::Lock {
    crate::resolve::Lock {
        format: 1,
        image: "test".to_owned(),
        epoch: EPOCH,
        disk_signature: "c0de0042".to_owned(),
        components: BTreeMap::new(),
        debian: BTreeMap::new(),
        request: BTreeMap::new(),
    }
}

/// A definition that asks for little.
pub(crate) fn image() -> Image {
    Image {
        name: "test".to_owned(),
        description: "an image for tests".to_owned(),
        targets: vec![Target {
            name: "raspberrypi-arm64".to_owned(),
            arch: computatom_spec::arch::Arch::Arm64,
            packages: Vec::new(),
            formats: Vec::new(),
        }],
        roles: vec![computatom_spec::role::Role::Client],
        debian: Debian {
            suites: Vec::new(),
            components: Vec::new(),
            packages: Vec::new(),
            prefer: Vec::new(),
            avoid: Vec::new(),
            recommends: false,
            sources: BTreeMap::new(),
            pins: Vec::new(),
        },
        components: Vec::new(),
        exclude: Vec::new(),
        files: Vec::new(),
        units: Units::default(),
        partitions: Partitions {
            bootsel_mib: 8,
            boot_mib: 8,
            root_mib: 16,
        },
        disk_gib: 16,
        cmdline: Vec::new(),
        site: computatom_spec::site::Site::default(),
    }
}

/// The manifest of [`image`] with two packages.
pub(crate) fn manifest(image: &Image) -> Manifest {
    Manifest {
        format: FORMAT,
        image: image.name.clone(),
        target: image.targets[0].name.clone(),
        tool: "0".to_owned(),
        epoch: EPOCH,
        definition: serde_json::to_value(image).unwrap(),
        packages: packages(),
        files: BTreeMap::new(),
        volumes: BTreeMap::new(),
    }
}

/// Makes the image of a tree for a target, in `folder`/out, the uncompressed one beside the other.
pub(crate) fn build(tree: &Tree, target: &str, folder: &Path) -> anyhow::Result<DiskImage> {
    let mut image = image();
    target.clone_into(&mut image.targets[0].name);
    build_image(&image, tree, folder, &[Format::Img, Format::Zst])
}

/// The same of a definition, for its first target, in these formats.
pub(crate) fn build_image(image: &Image, tree: &Tree, folder: &Path, formats: &[Format]) -> anyhow::Result<DiskImage> {
    let job = Job {
        image,
        target: &image.targets[0],
        lock: &lock(),
        packages: &packages(),
        out: &folder.join("out"),
        cache: &Cache::at(&folder.join("cache"))?,
        level: 3,
        formats,
    };
    assemble(rootfs(tree), &job, &Reporter::new(true))
}

/// Two packages, one from the archive and one of our own.
pub(crate) fn packages() -> Vec<PackageRecord> {
    let record = |name: &str, version: &str, source: &str, origin: &str| PackageRecord {
        name: name.to_owned(),
        version: version.to_owned(),
        architecture: "arm64".to_owned(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        source: source.to_owned(),
        origin: origin.to_owned(),
        verified: "pinned SHA-256".to_owned(),
        ..PackageRecord::default()
    };
    vec![
        record(
            "libc6",
            "2:2.41-12+deb13u1",
            "debian",
            "pool/main/g/glibc/libc6_2.41-12+deb13u1_arm64.deb",
        ),
        record(
            "nomad",
            "1.10.5-1",
            "go-module",
            "github.com/hashicorp/nomad@v1.10.5 go1.24",
        ),
    ]
}
