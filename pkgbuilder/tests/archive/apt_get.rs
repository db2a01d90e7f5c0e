//! What the real apt would install, with the sources and the pins of a definition, nothing being there yet.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use computatom_spec::arch::Arch;
use pkgbuilder::definition::image::Debian;
use pkgbuilder::fetch::mirror::Mirror;
use pkgbuilder::resolve::LocalPackage;

/// An apt with folders of its own.
pub(crate) struct Apt<'a> {
    /// An empty folder.
    pub(crate) root: &'a Path,
    pub(crate) arch: Arch,
    /// Where Debian's suites are.
    pub(crate) mirror: &'a Mirror,
    /// Who signs Debian's.
    pub(crate) keys: Vec<PathBuf>,
    /// Suites, further sources, pins, what is to be avoided.
    pub(crate) debian: &'a Debian,
    /// Packages that are here already.
    pub(crate) local: &'a [LocalPackage],
}

impl Apt<'_> {
    /// The sources in deb822 style, as sources.list(5) has it; keys of further sources become files of the root.
    fn sources(&self) -> String {
        let keys: Vec<String> = self.keys.iter().map(|key| key.display().to_string()).collect();
        let stanza = |uri: &str, suite: &str, components: &[String], key: &str| {
            let components = match components {
                [] => String::new(),
                some => format!("Components: {}\n", some.join(" ")),
            };
            format!("Types: deb\nURIs: {uri}\nSuites: {suite}\n{components}Signed-By: {key}\n\n")
        };
        let mut text = String::new();
        for suite in &self.debian.suites {
            text += &stanza(self.mirror.base(suite), suite, &self.debian.components, &keys.join(" "));
        }
        for (name, source) in &self.debian.sources {
            for suite in &source.suites {
                if let Some(armored) = &source.signed_by {
                    let key = self.root.join(format!("{name}.asc"));
                    fs::write(&key, armored).unwrap();
                    let key = key.display().to_string();
                    text += &stanza(&source.uris.join(" "), suite, &source.components, &key);
                } else {
                    text += &stanza(self.mirror.base(suite), suite, &self.debian.components, &keys.join(" "));
                }
            }
        }
        if !self.local.is_empty() {
            text += &self.local_source();
        }
        text
    }

    /// The packages that are here already, as a repository that nobody signs.
    fn local_source(&self) -> String {
        let folder = self.root.join("local");
        fs::create_dir_all(&folder).unwrap();
        let mut index = String::new();
        for LocalPackage {
            name,
            version,
            architecture,
            relations,
        } in self.local
        {
            writeln!(
                index,
                "Package: {name}\nVersion: {version}\nArchitecture: {architecture}"
            )
            .unwrap();
            for (field, value) in relations {
                writeln!(index, "{field}: {value}").unwrap();
            }
            writeln!(index, "Filename: ./{name}.deb\nSize: 1\nSHA256: {}\n", "0".repeat(64)).unwrap();
        }
        fs::write(folder.join("Packages"), index).unwrap();
        format!(
            "Types: deb\nURIs: file:{}\nSuites: ./\nTrusted: yes\n",
            folder.display()
        )
    }

    /// The pins, as apt_preferences(5) has them.
    fn preferences(&self) -> String {
        let mut text = String::new();
        for name in &self.debian.avoid {
            writeln!(text, "Package: {name}\nPin: version *\nPin-Priority: -1\n").unwrap();
        }
        let releases = |name: &str| {
            let suites = self.debian.sources[name].suites.iter();
            suites
                .map(|suite| format!("Pin: release n={suite}\n"))
                .collect::<Vec<_>>()
        };
        for (rank, pin) in self.debian.pins.iter().enumerate() {
            for release in releases(&pin.source) {
                let packages = pin.packages.join(" ");
                writeln!(text, "Package: {packages}\n{release}Pin-Priority: {}\n", 990 - rank).unwrap();
            }
        }
        for name in self.debian.sources.keys() {
            for release in releases(name) {
                writeln!(text, "Package: *\n{release}Pin-Priority: -1\n").unwrap();
            }
        }
        text
    }

    /// `name version` of what apt would install for essential packages, `packages` and those that are here already.
    pub(crate) fn choice(&self, packages: &[&str]) -> BTreeSet<String> {
        let root = self.root;
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "lists/partial",
            "archives/partial",
            "dpkg",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("dpkg/status"), "").unwrap();
        fs::write(root.join("etc/apt/sources.list.d/all.sources"), self.sources()).unwrap();
        fs::write(root.join("etc/apt/preferences"), self.preferences()).unwrap();
        let (root, arch) = (root.display(), self.arch);
        let config = format!(
            "Dir \"{root}\"; Dir::State \"{root}\"; Dir::State::status \"{root}/dpkg/status\"; Dir::Cache \"{root}\";\n\
             APT::Architecture \"{arch}\"; APT::Architectures {{ \"{arch}\"; }};\n\
             APT::Sandbox::User \"root\"; APT::Install-Recommends \"false\"; Acquire::Languages \"none\";\n"
        );
        let file = format!("{root}/apt.conf");
        fs::write(&file, config).unwrap();
        let apt = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            let output = command.env("APT_CONFIG", &file).args(arguments).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && !said.contains("W: "),
                "{arguments:?}: {said}"
            );
            String::from_utf8(output.stdout).unwrap()
        };
        apt(&["update", "-q"]);
        // apt counts itself as essential; the archive does not.
        let mut arguments = vec!["install", "-s", "?and(?essential, ?not(?exact-name(apt)))"];
        arguments.extend(packages);
        arguments.extend(self.local.iter().map(|package| package.name.as_str()));
        apt(&arguments)
            .lines()
            .filter_map(|line| line.strip_prefix("Inst "))
            // `Inst NAME (VERSION ORIGIN [ARCH]) …`
            .map(|line| line.split_once(' ').unwrap())
            .filter(|(name, _)| !self.local.iter().any(|package| package.name == *name))
            .map(|(name, rest)| format!("{name} {}", rest.split(' ').next().unwrap().trim_start_matches('(')))
            .collect()
    }
}
