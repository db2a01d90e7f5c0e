//! The packages of `home`, judged by Debian's own tools: lintian, and `dpkg -i` in a chroot that mmdebstrap makes.
//!
//! Needs root (mmdebstrap, chroot in name spaces of its own), a Debian mirror, and what the packages are made from (a
//! release host, or Go and a C cross compiler); builds come from the cache after the first time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// The life of a package with a service.
mod upgrade;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use computatom_spec::arch::Arch;
use pkgbuilder::definition::image::Source;
use pkgbuilder::definition::{self, Image};
use pkgbuilder::failure::exit_code;
use pkgbuilder::fetch::mirror::Mirror;
use pkgbuilder::fetch::{Cache, Fetcher};
use pkgbuilder::package::pins::pin_components;
use pkgbuilder::package::{Components, Options, resolve_components};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::resolve::Lock;
use pkgbuilder::resolve::lock::LockedModule;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `home` with Nomad and Consul only: the CNI plugins are in the catalog's proof.
fn image() -> Image {
    let path = repository().join("images/home.jsonnet");
    let mut image = definition::load(&path, None, &["raspberrypi-arm64"]).unwrap();
    image
        .components
        .retain(|component| ["consul", "nomad"].contains(&component.name.as_str()));
    assert_eq!(image.components.len(), 2);
    image
}

/// `home`'s Nomad from its Go module only.
fn nomad_from_its_module() -> Image {
    let mut image = image();
    image.components.retain(|component| component.name == "nomad");
    let sources = &mut image.components[0].sources;
    sources.retain(|source| matches!(source, Source::GoModule(_)));
    image
}

fn fetcher(cache: Cache) -> Fetcher {
    Fetcher::new(cache, Reporter::new(false)).unwrap()
}

fn options(output: Option<&Path>) -> Options {
    Options {
        root: repository(),
        output: output.map(Path::to_owned),
        only: BTreeMap::new(),
        locked: false,
    }
}

/// Makes Nomad's and Consul's packages for arm64, as the lock says where there is one.
fn packages(output: &Path) -> Components {
    let lock = Lock::load(&repository().join("images/home.lock.json"), "home").unwrap();
    let fetcher = fetcher(Cache::open().unwrap());
    resolve_components(&fetcher, &image(), Arch::Arm64, lock.as_ref(), &options(Some(output))).unwrap()
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    text
}

#[test]
fn packages_are_lintian_clean_and_dpkg_installs_and_purges_them() {
    let folder = tempfile::tempdir().unwrap();
    let found = packages(folder.path());
    let names: Vec<&str> = found.debs.iter().map(|deb| deb.record.name.as_str()).collect();
    assert_eq!(names, ["consul", "nomad"]);
    let debs: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(debs.len(), 2);

    let mut lintian = Command::new("lintian");
    lintian
        .args(["--fail-on", "error,warning", "--allow-root", "--no-cfg"])
        .args(&debs);
    let said = run(&mut lintian);
    assert_eq!(said.trim(), "", "lintian is silent but for what is overridden");

    let root = folder.path().join("root");
    let mirror = Mirror::find(None, None).unwrap();
    run(Command::new("mmdebstrap")
        .args([
            "--variant=minbase",
            "--architectures=amd64,arm64",
            "--include=systemd,procps,libc6:arm64",
            "trixie",
        ])
        .arg(&root)
        .arg(mirror.base("trixie")));
    for deb in &debs {
        fs::copy(deb, root.join("tmp").join(deb.file_name().unwrap())).unwrap();
    }
    // systemd-tmpfiles opens paths by way of /proc.
    let enter = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" /bin/sh -ec \"$1\"";
    let chroot = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "sh", "-ec", enter])
            .arg(&root)
            .arg(script);
        run(&mut command)
    };
    chroot("dpkg -i /tmp/*.deb");
    let said =
        chroot("dpkg --verify consul nomad; dpkg-query -W -f '${Package} ${Status}\\n' consul:arm64 nomad:arm64");
    assert_eq!(said, "consul install ok installed\nnomad install ok installed\n");
    assert_eq!(
        chroot("getent passwd consul"),
        "consul:x:521:521:Consul:/var/lib/consul:/usr/sbin/nologin\n"
    );
    assert_eq!(
        chroot("stat -c '%U %a' /var/lib/consul /var/lib/nomad"),
        "consul 700\nroot 700\n"
    );
    assert!(
        root.join("etc/systemd/system/multi-user.target.wants/consul.service")
            .is_symlink()
    );
    for unit in ["consul", "nomad"] {
        chroot(&format!(
            "systemd-analyze verify --man=no /usr/lib/systemd/system/{unit}.service"
        ));
    }
    chroot("dpkg --purge consul nomad");
    assert!(
        !root
            .join("etc/systemd/system/multi-user.target.wants/consul.service")
            .is_symlink()
    );
}

#[test]
fn a_version_that_no_module_proxy_has_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let fetcher = fetcher(Cache::at(folder.path()).unwrap());
    let mut image = nomad_from_its_module();
    image.components[0].version = "99.1.0".to_owned();
    let error = resolve_components(&fetcher, &image, Arch::Arm64, None, &options(None)).unwrap_err();
    let text = format!("{error:#}");
    assert_eq!(exit_code(&error), 2, "{text}");
    assert!(
        text.contains("nomad 99.1.0 for arm64 does not exist in any source"),
        "{text}"
    );
}

#[test]
fn a_module_with_other_sums_than_the_lock_stops_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let fetcher = fetcher(Cache::at(folder.path()).unwrap());
    let image = nomad_from_its_module();
    let pins = pin_components(&fetcher, &image, Arch::Arm64, None, &options(None))
        .unwrap()
        .locked;
    let pinned = pins["nomad"].go_module.clone().unwrap();
    assert!(pinned.sum.starts_with("h1:") && pinned.go_mod_sum.starts_with("h1:"));
    assert_eq!(pinned.time, 1_757_428_605, "the day of 1.10.5");

    let refused = |change: &dyn Fn(&mut LockedModule)| {
        let mut lock = Lock::new("home");
        lock.components.clone_from(&pins);
        change(lock.components.get_mut("nomad").unwrap().go_module.as_mut().unwrap());
        let error = resolve_components(&fetcher, &image, Arch::Arm64, Some(&lock), &options(None)).unwrap_err();
        assert_eq!(exit_code(&error), 2);
        format!("{error:#}")
    };
    let text = refused(&|module| module.sum = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned());
    assert!(text.contains("the lock says h1:AAAA"), "{text}");
    let text = refused(&|module| module.go_sum_sha256 = "0".repeat(64));
    assert!(text.contains("have other sums than the lock says"), "{text}");
}
