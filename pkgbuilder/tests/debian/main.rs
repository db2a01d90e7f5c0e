//! The packages on an ordinary Debian machine without our image: booted in QEMU, where apt and dpkg install, upgrade,
//! remove and purge them, and the programs answer.
//!
//! Needs root (mmdebstrap), a Debian mirror, QEMU and what the packages are made from; what a run saw is kept in
//! `out/e2e/debian/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// The virtual machine.
mod machine;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use computatom_spec::arch::Arch;
use pkgbuilder::definition;
use pkgbuilder::fetch::{Cache, Fetcher};
use pkgbuilder::package::{Options, resolve_components};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::resolve::Lock;

/// Base64 of 32 bytes, as `consul keygen` makes them.
const KEY: &str = "kB5KfIcV0dGTHH2kRzbBbk0Ny3k7mHsQ0sKZfu3hXBo=";

/// The address that QEMU's user network gives the machine.
const ADDRESS: &str = "10.0.2.15";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Nomad's and Consul's packages for amd64, as `home` has them.
fn programs(output: &Path) {
    let path = repository().join("images/home.jsonnet");
    let mut image = definition::load(&path, None, &["raspberrypi-arm64"]).unwrap();
    image
        .components
        .retain(|component| ["nomad", "consul"].contains(&component.name.as_str()));
    let lock = Lock::load(&repository().join("images/home.lock.json"), "home").unwrap();
    let fetcher = Fetcher::new(Cache::open().unwrap(), Reporter::new(false)).unwrap();
    let options = Options {
        root: repository(),
        output: Some(output.to_owned()),
        only: BTreeMap::new(),
        locked: false,
    };
    resolve_components(&fetcher, &image, Arch::Amd64, lock.as_ref(), &options).unwrap();
}

/// The configuration packages, made by the program as a person would.
fn configuration(output: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("cluster.json");
    let text = format!(
        r#"{{"ConsulSerfEncrypt": "{KEY}", "NomadSerfEncrypt": "{KEY}", "CoreServers": ["{ADDRESS}"],
            "CoreCidr": "10.0.2.0/24", "WifiSsid": "attic", "WifiPsk": "{KEY}"}}"#
    );
    fs::write(&config, text).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"))
        .args(["-arches", "all", "-packages", "consul,nomad,wifi-local", "-config"])
        .arg(format!("@{}", config.display()))
        .current_dir(folder.path())
        .env("XDG_DATA_HOME", folder.path())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for path in String::from_utf8(made.stdout).unwrap().lines() {
        let path = folder.path().join(path);
        fs::copy(&path, output.join(path.file_name().unwrap())).unwrap();
    }
}

/// What a trial's steps printed, and how they ended.
struct Trial(BTreeMap<String, (String, i32)>);

impl Trial {
    fn parse(said: &str) -> Self {
        let mut steps = BTreeMap::new();
        for step in said.split("\n== ").map(|step| step.trim_start_matches("== ")) {
            if let Some((name, rest)) = step.split_once('\n')
                && let Some((output, code)) = rest.rsplit_once("-- ")
            {
                let code = code.trim().parse().unwrap_or(-1);
                steps.insert(name.trim().to_owned(), (output.trim().to_owned(), code));
            }
        }
        Self(steps)
    }

    /// A step's output, which must have ended with `code`.
    #[track_caller]
    fn ended(&self, step: &str, code: i32) -> &str {
        let (output, ended) = self.0.get(step).unwrap_or_else(|| panic!("`{step}` was not reached"));
        assert_eq!(*ended, code, "`{step}` said: {output}");
        output
    }

    /// A step that succeeded and said this at the end.
    #[track_caller]
    fn says(&self, step: &str, end: &str) {
        let output = self.ended(step, 0);
        assert!(output.ends_with(end), "`{step}` does not end with `{end}`: {output}");
    }
}

/// Names under `.consul` by `pkgbuilder dns`, through systemd-resolved and through dnsmasq.
fn names_resolve(trial: &Trial) {
    trial.says("lan-names", "192.0.2.7");
    for resolver in ["resolved", "dnsmasq"] {
        // `grep` finds no address.
        let without = trial.ended(&format!("{resolver}-without"), 1);
        assert!(without.contains(resolver), "{without}");
        trial.ended(&format!("{resolver}-removed"), 1);
    }
    let dry = trial.ended("resolved-dry", 2);
    assert!(dry.contains("nothing has been done"), "{dry}");
    trial.ended("resolved", 0);
    trial.says("resolved-names", ADDRESS);
    trial.says("resolved-others", "192.0.2.7");
    trial.says("dnsmasq", "192.0.2.7");
    trial.ended("dnsmasq-installed", 0);
    trial.says("dnsmasq-names", &format!("{ADDRESS}\n192.0.2.7"));
}

#[test]
fn apt_makes_an_ordinary_debian_a_member_of_a_cluster() {
    let folder = repository().join("out/e2e/debian");
    let trial = folder.join("trial");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&trial).unwrap();
    programs(&trial);
    configuration(&trial);
    fs::write(trial.join("trial.sh"), include_str!("trial.sh")).unwrap();
    fs::write(trial.join("key"), KEY).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_pkgbuilder"), trial.join("pkgbuilder")).unwrap();
    machine::install(&folder, &trial).unwrap();
    let said = machine::boot(&folder).unwrap();
    let trial = Trial::parse(&said);

    trial.ended("client", 0);
    // A client mounts and makes name spaces for its jobs: it is root.
    trial.says("client-runs", "enabled\nactive\nroot");
    trial.ended("consul", 0);
    trial.says("consul-leads", "enabled\nactive\nconsul");
    trial.says("consul-is-encrypted", "encrypted = true");
    let files = trial.ended("key-files", 1);
    assert!(files.contains("root:consul 640 /etc/consul.d/20-local.hcl"), "{files}");
    assert!(files.contains("Permission denied"), "{files}");
    names_resolve(&trial);
    trial.ended("server", 0);
    trial.says("server-leads", "enabled\nactive\nnomad");
    let alone = trial.ended("server-is-alone", 1);
    assert!(
        alone.contains("nomad-config-client deinstall ok config-files"),
        "{alone}"
    );
    assert!(alone.ends_with("1\n0"), "the other role's settings are gone: {alone}");
    let data = trial.ended("server-data", 0);
    assert!(data.starts_with("nomad:nomad 700"), "{data}");
    assert!(data.contains("root:nomad 640 /etc/nomad.d/20-local.hcl"), "{data}");
    trial.ended("sandboxes", 0);
    trial.says("wifi", "root:root 600\nroot:root 600");
    trial.ended("write", 0);
    trial.ended("upgrade", 0);
    trial.says("upgraded", "kept\nenabled\nactive\nconsul\nenabled\nactive\nnomad");
    trial.ended("no-restart", 0);
    trial.says("new-settings", "kept\nroot:consul 640");
    assert_eq!(trial.ended("journal", 1), "0", "no key in the journal");
    let removed = trial.ended("remove", 127);
    assert!(
        removed.ends_with("inactive\ninactive"),
        "stopping is no failure: {removed}"
    );
    let kept = trial.ended("removed", 0);
    assert!(
        !kept.starts_with("0\n") && !kept.contains("\n0\n"),
        "data stays: {kept}"
    );
    assert!(
        kept.contains("10-role.hcl") && kept.contains("20-local.hcl"),
        "settings stay: {kept}"
    );
    trial.says("again", "kept");
    trial.ended("purge", 0);
    let left = &trial.0["purged"].0;
    assert!(
        !left.lines().any(|line| line.starts_with('/')),
        "purging leaves neither settings nor data: {left}"
    );
    assert!(left.ends_with('0'), "no unit is enabled: {left}");
    assert_eq!(trial.ended("secrets-gone", 1), "");
    fs::remove_file(folder.join("disk.img")).unwrap();
}
