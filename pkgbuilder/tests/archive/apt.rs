//! The real apt, on the real archive, chooses the same packages and versions as our solver.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use computatom_spec::arch::Arch;
use pkgbuilder::definition::image::{AptSource, Pin, Source};
use pkgbuilder::definition::{self, Image};
use pkgbuilder::fetch::apt_sources::AptSources;
use pkgbuilder::fetch::mirror::Mirror;
use pkgbuilder::fetch::{Cache, Fetcher};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::resolve::LocalPackage;
use pkgbuilder::resolve::debian::{Archive, Question};
use pkgbuilder::verify::openpgp::Keyring;

use crate::apt_get::Apt;
use crate::image;
use crate::report::{is_of_the_mirror, report};

/// What nodes are made of: deep and wide enough to meet virtual packages, alternatives and versioned provisions.
const PACKAGES: [&str; 12] = [
    "systemd-sysv",
    "systemd-resolved",
    "systemd-timesyncd",
    "dbus",
    "openssh-server",
    "docker.io",
    "prometheus",
    "prometheus-node-exporter",
    "nftables",
    "ca-certificates",
    "initramfs-tools",
    "firmware-brcm80211",
];

/// What people put on a node beside that.
const SIXTY: &str = include_str!("../images/sixty.txt");

/// What apt takes for an alternative (`awk`, `a | b`) before it takes, for another reason, what satisfies it as well; we
/// take no more than is needed. The first stands beside netavark, the second beside gawk.
const UNNEEDED: [&str; 2] = ["containernetworking-plugins", "mawk"];

fn kernel(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "linux-image-amd64",
        Arch::Arm64 => "linux-image-arm64",
        Arch::Armhf => "linux-image-armmp",
        Arch::Armel => "linux-image-rpi",
    }
}

/// The archive, read by both.
struct Judge {
    folder: tempfile::TempDir,
    mirror: Mirror,
    fetcher: Fetcher,
    keyring: Keyring,
}

impl Judge {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("cache")).unwrap();
        Self {
            mirror: Mirror::find(None, None).unwrap(),
            fetcher: Fetcher::new(cache, Reporter::new(true)).unwrap(),
            keyring: Keyring::debian().unwrap(),
            folder,
        }
    }

    /// The suites' keys, as files.
    fn keys() -> Vec<PathBuf> {
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify/keys");
        fs::read_dir(keys)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "asc"))
            .collect()
    }

    /// `name version` of what both choose for the first target of a definition, of which `name` is told; nothing if the
    /// mirror is at fault.
    fn compare(&self, name: &str, image: &Image, extra: &[String], local: &[LocalPackage]) -> Option<BTreeSet<String>> {
        let target = &image.targets[0];
        let question = Question::new(image, target, extra, local);
        let archive = Archive {
            fetcher: &self.fetcher,
            mirror: &self.mirror,
            keyring: &self.keyring,
            places: &AptSources::default(),
            allow_expired: false,
        };
        let answer = match archive.solve(&question) {
            Err(error) if is_of_the_mirror(&format!("{error:#}")) => {
                report(&format!("the solver was not compared with apt for {name}: {error:#}"));
                return None;
            }
            answer => answer.unwrap(),
        };
        let ours: BTreeSet<String> = answer
            .debs
            .iter()
            .map(|deb| format!("{} {}", deb.name, deb.version))
            .collect();
        assert!(ours.len() > 50, "{name}: {ours:?}");
        let root = self.folder.path().join(name.replace(' ', "-"));
        fs::create_dir(&root).unwrap();
        let apt = Apt {
            root: &root,
            arch: target.arch,
            mirror: &self.mirror,
            keys: Self::keys(),
            debian: &image.debian,
            local,
        };
        let packages: Vec<&str> = [&image.debian.packages, &target.packages, extra]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let theirs = apt.choice(&packages);
        let only_ours: Vec<&String> = ours.difference(&theirs).collect();
        assert_eq!(only_ours, Vec::<&String>::new(), "{name}");
        let unneeded = |package: &&String| UNNEEDED.contains(&package.split(' ').next().unwrap());
        let only_theirs: Vec<&String> = theirs.difference(&ours).filter(|package| !unneeded(package)).collect();
        assert_eq!(only_theirs, Vec::<&String>::new(), "{name}");
        Some(ours)
    }
}

/// `debian` with trixie-backports, from which `packages` are taken.
fn backports(image: &mut Image, packages: &[&str]) {
    let backports = AptSource {
        uris: Vec::new(),
        suites: vec!["trixie-backports".to_owned()],
        components: Vec::new(),
        signed_by: None,
        architectures: Vec::new(),
    };
    image.debian.sources = BTreeMap::from([("backports".to_owned(), backports)]);
    image.debian.pins = vec![Pin {
        packages: packages.iter().map(|&name| name.to_owned()).collect(),
        source: "backports".to_owned(),
    }];
}

/// Whether something of a backport is among what was chosen.
fn has_backport(chosen: &BTreeSet<String>, name: &str) -> bool {
    chosen
        .iter()
        .any(|package| package.starts_with(name) && package.contains("~bpo13"))
}

#[test]
fn apt_chooses_the_same() {
    let judge = Judge::new();
    let mut compared = Vec::new();
    for arch in Arch::ALL {
        let mut packages = PACKAGES.to_vec();
        packages.push(kernel(arch));
        let mut image = image(&packages);
        image.targets[0].arch = arch;
        if judge.compare(&arch.to_string(), &image, &[], &[]).is_some() {
            compared.push(arch);
        }
    }
    // Two of them at least, one being what images are for: with less, nothing was proved.
    assert!(
        compared.len() > 1 && compared.contains(&Arch::Arm64),
        "compared: {compared:?}"
    );
}

/// A shipped definition, with what of its components apt can judge: Debian's by name, the agent by what its package says.
fn shipped(name: &str) -> (Image, Vec<String>, Vec<LocalPackage>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root.join(format!("images/{name}.jsonnet"));
    let image = definition::load(&path, None, pkgbuilder::assemble::boards::names()).unwrap();
    let mut debian = Vec::new();
    let mut local = Vec::new();
    for component in &image.components {
        match &component.sources[0] {
            Source::Debian { package } => debian.push(package.clone()),
            Source::File {
                relations: Some(relations),
                ..
            } => local.push(LocalPackage {
                name: component.name.clone(),
                version: "1.0-1".to_owned(),
                architecture: image.targets[0].arch.to_string(),
                relations: [("Depends", &relations.depends), ("Provides", &relations.provides)]
                    .map(|(field, list)| (field.to_owned(), list.join(", ")))
                    .into(),
            }),
            _ => {}
        }
    }
    assert!(!debian.is_empty() && !local.is_empty(), "{name}");
    (image, debian, local)
}

#[test]
fn apt_chooses_the_same_for_what_is_shipped_and_with_pins() {
    let judge = Judge::new();
    for name in ["home", "core", "client", "monitor"] {
        let (mut image, debian, local) = shipped(name);
        judge.compare(name, &image, &debian, &local);
        backports(&mut image, &["linux-*", "firmware-*"]);
        let chosen = judge.compare(&format!("{name} with backports"), &image, &debian, &local);
        if let Some(chosen) = chosen {
            assert!(has_backport(&chosen, "linux-image-"), "{name}: {chosen:?}");
        }
    }
}

#[test]
fn apt_chooses_the_same_for_sixty_packages_and_with_pins() {
    let judge = Judge::new();
    let names = SIXTY
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|name| !name.is_empty());
    let mut image = image(&names.collect::<Vec<_>>());
    image.targets[0].arch = Arch::Amd64;
    judge.compare("sixty", &image, &[], &[]);
    backports(&mut image, &["linux-*", "firmware-*"]);
    if let Some(chosen) = judge.compare("sixty with backports", &image, &[], &[]) {
        assert!(has_backport(&chosen, "linux-image-"), "{chosen:?}");
    }
}
