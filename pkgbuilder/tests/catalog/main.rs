//! Every component of the catalog, really made: lintian judges the packages, the programs run and say which version
//! they are, on the oldest machine that an architecture promises, and `systemd-analyze` measures the sandboxes.
//!
//! Builds what the cache does not hold, which takes an hour or two the first time; foreign programs run in qemu-user.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../report/mod.rs"]
mod report;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use computatom_spec::arch::Arch;
use pkgbuilder::catalog;
use pkgbuilder::definition;
use pkgbuilder::definition::image::{Component, Source};

use self::report::{is_of_the_mirror, report};

/// Components that have to be there for 32-bit Arm.
const SMALL: [&str; 3] = ["consul", "nomad", "prometheus-node-exporter"];

/// Programs that tell their version otherwise than by `--version`.
const ASKED: [(&str, &str); 2] = [("restic", "version"), ("caddy", "version")];

/// Units whose programs need the machine as it is: Nomad mounts, consul-template writes other programs' files.
const UNCONFINED: [&str; 2] = ["nomad.service", "consul-template.service"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn components() -> Vec<Component> {
    let path = catalog::path(&repository()).unwrap();
    definition::load(&path, None, &["raspberrypi-arm64"])
        .unwrap()
        .components
}

/// Runs `command`, which must succeed; what it says.
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

/// `pkgbuilder packages`, its results in `out`.
fn pkgbuilder(out: &Path, components: &[&str], architectures: &[Arch]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"));
    command.current_dir(repository()).arg("packages").arg("--out").arg(out);
    // A key of this trial's own: nothing stays behind.
    command.env("XDG_DATA_HOME", out);
    for component in components {
        command.args(["--component", component]);
    }
    for arch in architectures {
        command.args(["--arch", arch.names().debian]);
    }
    command
}

/// Makes packages in a folder of their own; the .debs.
fn packages(out: &Path, components: &[&str], architectures: &[Arch]) -> Vec<PathBuf> {
    run(&mut pkgbuilder(out, components, architectures));
    let debs: Vec<PathBuf> = fs::read_dir(out.join("packages"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .collect();
    assert_eq!(debs.len(), components.len() * architectures.len(), "{debs:?}");
    debs
}

/// What runs programs of `arch` here, on the oldest processor that it promises.
fn machine(arch: Arch) -> Command {
    let (qemu, processor) = match arch {
        _ if Arch::host() == Some(arch) => return Command::new("env"),
        Arch::Amd64 => ("qemu-x86_64-static", "qemu64"),
        Arch::Arm64 => ("qemu-aarch64-static", "cortex-a53"),
        Arch::Armhf => ("qemu-arm-static", "cortex-a7"),
        // The Pi Zero's.
        Arch::Armel => ("qemu-arm-static", "arm1176"),
    };
    let mut command = Command::new(qemu);
    let library = format!("/usr/{}", arch.names().gnu);
    command.args(["-cpu", processor, "-L", &library]);
    command
}

/// Programs of an unpacked package.
fn programs(root: &Path) -> Vec<PathBuf> {
    ["usr/bin", "opt/cni/bin"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).into_iter().flatten())
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// A .deb unpacked beside it.
fn unpacked(deb: &Path) -> PathBuf {
    let root = deb.with_extension("unpacked");
    run(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(&root));
    root
}

/// `restic_0.18.1-1_arm64.deb` to name, upstream version and architecture.
fn parts(deb: &Path) -> (String, String, Arch) {
    let stem = deb.file_stem().unwrap().to_str().unwrap();
    let [name, version, arch] = stem.split('_').collect::<Vec<_>>().try_into().unwrap();
    let upstream = version.rsplit_once('-').unwrap().0.split('+').next().unwrap();
    (name.to_owned(), upstream.to_owned(), arch.parse().unwrap())
}

/// The programs of a package start on its architecture's oldest machine and say the package's version.
fn says_its_version(deb: &Path) {
    let (name, version, arch) = parts(deb);
    let programs = programs(&unpacked(deb));
    assert!(!programs.is_empty(), "{name} has no program");
    for program in programs {
        let file = program.file_name().unwrap().to_str().unwrap();
        let ask = ASKED
            .iter()
            .find(|(asked, _)| *asked == file)
            .map_or("--version", |(_, ask)| ask);
        let said = run(machine(arch).arg(&program).arg(ask));
        assert!(
            said.contains(&version),
            "{file} of {name} {version} for {arch} says {said}"
        );
    }
}

fn lintian(debs: &[PathBuf]) {
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--fail-on", "error,warning", "--allow-root", "--no-cfg"])
        .args(debs);
    assert_eq!(
        run(&mut lintian).trim(),
        "",
        "lintian is silent but for what is overridden"
    );
}

#[test]
fn every_component_for_64_bit_machines() {
    let components = components();
    // The others come from their publishers' archives alone, or from Debian, or from this checkout.
    let built: Vec<&str> = components
        .iter()
        .filter(|component| {
            component
                .sources
                .iter()
                .any(|source| matches!(source, Source::GoModule(_)))
        })
        .map(|component| component.name.as_str())
        .collect();
    assert!(built.len() >= 10, "{built:?}");
    let folder = tempfile::tempdir().unwrap();
    let debs = packages(folder.path(), &built, &[Arch::Amd64, Arch::Arm64]);
    lintian(&debs);
    for deb in &debs {
        says_its_version(deb);
    }
    for deb in debs.iter().filter(|deb| parts(deb).2 == Arch::Amd64) {
        let units = deb.with_extension("unpacked").join("usr/lib/systemd/system");
        for unit in fs::read_dir(units).into_iter().flatten() {
            let unit = unit.unwrap();
            if !UNCONFINED.iter().any(|name| unit.file_name() == *name) {
                run(Command::new("systemd-analyze")
                    .args(["security", "--no-pager", "--offline=true", "--threshold=20"])
                    .arg(unit.path()));
            }
        }
    }
}

#[test]
fn the_cluster_and_its_monitoring_for_32_bit_arm() {
    let folder = tempfile::tempdir().unwrap();
    let debs = packages(folder.path(), &SMALL, &[Arch::Armhf, Arch::Armel]);
    lintian(&debs);
    for deb in &debs {
        says_its_version(deb);
        let (name, _, arch) = parts(deb);
        for program in programs(&deb.with_extension("unpacked")) {
            let header = run(Command::new("readelf")
                .args(["--file-header", "--arch-specific"])
                .arg(&program));
            let attributes: BTreeMap<&str, &str> = header
                .lines()
                .filter_map(|line| line.trim().split_once(':'))
                .map(|(key, value)| (key.trim(), value.trim()))
                .collect();
            assert_eq!(attributes["Machine"], "ARM", "{name}");
            let foreign = if arch == Arch::Armel {
                "hard-float ABI"
            } else {
                "soft-float ABI"
            };
            assert!(!attributes["Flags"].contains(foreign), "{name} for {arch}: {header}");
            let newest = if arch == Arch::Armel { "v6" } else { "v7" };
            if let Some(version) = attributes.get("Tag_CPU_arch") {
                assert!(
                    version.as_bytes()[1] <= newest.as_bytes()[1],
                    "{name} for {arch}: {header}"
                );
            }
        }
    }
}

/// Prometheus and Alertmanager where their publisher's archives are out of reach: Debian's packages, whose programs say
/// the version that the package's name does.
#[test]
fn prometheus_and_alertmanager_for_64_bit_machines_from_debian() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["prometheus", "prometheus-alertmanager"];
    let mut command = pkgbuilder(folder.path(), &names, &[Arch::Amd64, Arch::Arm64]);
    for name in names {
        command.args(["--source", &format!("{name}=debian")]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let debs: Vec<PathBuf> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(PathBuf::from)
        .collect();
    let mut made: Vec<(String, Arch)> = debs
        .iter()
        .map(|deb| parts(deb))
        .map(|(name, _, arch)| (name, arch))
        .collect();
    made.sort_unstable();
    let wanted: Vec<(String, Arch)> = names
        .iter()
        .flat_map(|name| [Arch::Amd64, Arch::Arm64].map(|arch| ((*name).to_owned(), arch)))
        .collect();
    assert_eq!(made, wanted);
    for deb in &debs {
        says_its_version(deb);
    }
}

/// Prometheus for 32-bit Arm is Debian's. Where the mirror's security archive is out of step, as it may be for days on
/// some, that of the release alone is taken; where that is, too, so that nothing can be fetched for an architecture, it is told.
#[test]
fn prometheus_for_32_bit_arm_is_debians() {
    // Definitions lie in a checkout.
    let out = repository().join("out");
    fs::create_dir_all(&out).unwrap();
    let release = tempfile::tempdir_in(out).unwrap();
    let definition = release.path().join("release.jsonnet");
    fs::write(
        &definition,
        "(import 'catalog.jsonnet') + { debian+: { suites: ['trixie'] } }",
    )
    .unwrap();
    for arch in [Arch::Armhf, Arch::Armel] {
        let folder = tempfile::tempdir().unwrap();
        let mut command = pkgbuilder(folder.path(), &["prometheus"], &[arch]);
        let mut output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() && is_of_the_mirror(&said) {
            report(&format!(
                "Prometheus for {arch} with security updates: {}",
                said.lines().last().unwrap_or_default()
            ));
            output = command.arg(&definition).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if !output.status.success() && is_of_the_mirror(&said) {
                report(&format!(
                    "Prometheus for {arch}: {}",
                    said.lines().last().unwrap_or_default()
                ));
                continue;
            }
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let deb = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let program = unpacked(&deb).join("usr/bin/prometheus");
        let said = run(machine(arch).arg(&program).arg("--version"));
        assert!(
            deb.to_str().unwrap().contains(said.split_whitespace().nth(2).unwrap()),
            "{deb:?} says {said}"
        );
    }
}
