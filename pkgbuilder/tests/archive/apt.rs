//! The real apt, on the real archive, chooses the same packages and versions as our solver.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use computatom_spec::arch::Arch;
use pkgbuilder::fetch::mirror::Mirror;
use pkgbuilder::fetch::{Cache, Fetcher};
use pkgbuilder::reporter::Reporter;
use pkgbuilder::resolve::debian::{Archive, Question};
use pkgbuilder::verify::openpgp::Keyring;

use crate::image;
use crate::report::{is_of_the_mirror, report};

const SUITES: [&str; 3] = ["trixie", "trixie-updates", "trixie-security"];

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

fn kernel(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "linux-image-amd64",
        Arch::Arm64 => "linux-image-arm64",
        Arch::Armhf => "linux-image-armmp",
        Arch::Armel => "linux-image-rpi",
    }
}

/// `name version` of what apt would install for essential packages and `packages`, nothing being there yet.
fn by_apt(root: &Path, mirror: &Mirror, arch: Arch, packages: &[&str]) -> BTreeSet<String> {
    for folder in [
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "lists/partial",
        "archives/partial",
        "dpkg",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("dpkg/status"), "").unwrap();
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify/keys");
    let keys: Vec<String> = fs::read_dir(keys)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "asc"))
        .map(|path| path.display().to_string())
        .collect();
    let sources = SUITES.map(|suite| {
        format!(
            "deb [signed-by={}] {} {suite} main non-free-firmware\n",
            keys.join(","),
            mirror.base(suite)
        )
    });
    fs::write(root.join("etc/apt/sources.list"), sources.concat()).unwrap();
    let root = root.display();
    let config = format!(
        "Dir \"{root}\"; Dir::State \"{root}\"; Dir::State::status \"{root}/dpkg/status\"; Dir::Cache \"{root}\";\n\
         APT::Architecture \"{arch}\"; APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Sandbox::User \"root\"; APT::Install-Recommends \"false\"; Acquire::Languages \"none\";\n"
    );
    let file = format!("{root}/apt.conf");
    fs::write(&file, config).unwrap();
    let apt = |arguments: &[&str]| {
        let output = Command::new("apt-get")
            .env("APT_CONFIG", &file)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    apt(&["update", "-q"]);
    // apt counts itself as essential; the archive does not.
    let mut arguments = vec!["install", "-s", "?and(?essential, ?not(?exact-name(apt)))"];
    arguments.extend(packages);
    apt(&arguments)
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .map(|line| {
            // `Inst NAME (VERSION ORIGIN [ARCH]) …`
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            format!("{name} {}", words.next().unwrap().trim_start_matches('('))
        })
        .collect()
}

#[test]
fn apt_chooses_the_same() {
    let mut compared = Vec::new();
    let mirror = Mirror::find(None, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(&folder.path().join("cache")).unwrap();
    let fetcher = Fetcher::new(cache, Reporter::new(true)).unwrap();
    let keyring = Keyring::debian().unwrap();
    for arch in Arch::ALL {
        let mut packages = PACKAGES.to_vec();
        packages.push(kernel(arch));
        let mut image = image(&packages);
        image.targets[0].arch = arch;
        let question = Question::new(&image, &image.targets[0], &[], &[]);
        let archive = Archive {
            fetcher: &fetcher,
            mirror: &mirror,
            keyring: &keyring,
            allow_expired: false,
        };
        let answer = match archive.solve(&question) {
            Err(error) if is_of_the_mirror(&format!("{error:#}")) => {
                report(&format!("the solver was not compared with apt for {arch}: {error:#}"));
                continue;
            }
            answer => answer.unwrap(),
        };
        let ours: BTreeSet<String> = answer
            .debs
            .iter()
            .map(|deb| format!("{} {}", deb.name, deb.version))
            .collect();
        assert!(ours.len() > 100, "{arch}: {ours:?}");
        let theirs = by_apt(&folder.path().join(arch.to_string()), &mirror, arch, &packages);
        let different: Vec<&String> = ours.symmetric_difference(&theirs).collect();
        assert_eq!(different, Vec::<&String>::new(), "{arch}");
        compared.push(arch);
    }
    // Two of them at least, one being what images are for: with less, nothing was proved.
    assert!(
        compared.len() > 1 && compared.contains(&Arch::Arm64),
        "compared: {compared:?}"
    );
}
