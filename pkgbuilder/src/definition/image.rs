//! The image definition, validated: what every later stage reads.

use std::collections::BTreeMap;

use computatom_spec::arch::Arch;
use computatom_spec::role::Role;
use computatom_spec::site::Site;
use serde::{Deserialize, Serialize};

pub use super::apt_source::{AptSource, Pin};
pub use super::format::Format;
use super::range::VersionRange;
pub use super::recipe::{Content, ContentType, Copyright, FileInfo, LintianOverride, Mode, Recipe};

/// A validated image definition. Only the definition stage makes one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Name, also of the output files (`home`).
    pub name: String,
    /// One sentence.
    pub description: String,
    /// What is built by `build` when nothing else is asked for (`raspberrypi-arm64`).
    pub targets: Vec<Target>,
    /// What its nodes can be, whatever the rules of the site say; sorted, without repetitions. An image of before there
    /// was this field could be all.
    #[serde(default = "every_role")]
    pub roles: Vec<Role>,
    /// The Debian side.
    pub debian: Debian,
    /// Programs that we package ourselves, or take from Debian, in the order named.
    pub components: Vec<Component>,
    /// Globs of the packages' paths that are not unpacked, as dpkg's `path-exclude`; with a leading `!` its
    /// `path-include`. `*` and `?` match `/` too; of the rules that match, the last one decides (dpkg(1)).
    pub exclude: Vec<String>,
    /// Files written into the root after composition.
    pub files: Vec<ImageFile>,
    /// systemd units enabled, disabled or masked whatever their packages wanted.
    pub units: Units,
    /// Sizes of the partitions.
    pub partitions: Partitions,
    /// What a virtual machine sees of its disk, in GiB: qcow2, vmdk and boxes. An image of before there was this field
    /// was on cards only.
    #[serde(default = "disk_gib")]
    pub disk_gib: u64,
    /// Appended to the kernel command line of every slot.
    pub cmdline: Vec<String>,
    /// The site settings baked in (public).
    pub site: Site,
}

fn every_role() -> Vec<Role> {
    Role::ALL.to_vec()
}

pub(super) fn disk_gib() -> u64 {
    16
}

/// A board family and architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `raspberrypi-arm64`: a name of the board table in `assemble/boards/`.
    pub name: String,
    /// Debian architecture.
    pub arch: Arch,
    /// Debian packages this target adds: kernel, firmware.
    pub packages: Vec<String>,
    /// What is made of the image where nothing else is asked for; none: what is usual for the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<Format>,
}

/// What is taken from the Debian archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// Suites, most preferred last: `trixie`, `trixie-updates`, `trixie-security`.
    pub suites: Vec<String>,
    /// Archive components: `main`, `non-free-firmware`.
    pub components: Vec<String>,
    /// Packages asked for by name; all essential ones come in addition.
    pub packages: Vec<String>,
    /// Which package to take where several provide what is needed.
    pub prefer: Vec<String>,
    /// Packages that must not be installed.
    pub avoid: Vec<String>,
    /// Whether Recommends are followed.
    pub recommends: bool,
    /// Further apt sources by name. Nothing is taken from them but what is pinned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, AptSource>,
    /// What is taken from them. Of the pins that match a package, the first decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
}

/// A program from outside Debian (or from it, by its `debian` source).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Name of the component and of its package (`nomad`).
    pub name: String,
    /// Upstream version (`1.10.5`); `*` where the source decides (Debian, this checkout).
    pub version: String,
    /// Which versions `pkgbuilder lock --update` may choose; without one, only the named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<VersionRange>,
    /// The oldest version that its sources and its recipe are good for; none where any is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    /// Versions that must not be used, with the reason and the way out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// SPDX licence expression.
    pub license: String,
    /// Upstream's page.
    pub homepage: String,
    /// One line for the package description.
    pub summary: String,
    /// Extended package description, lines of at most 80 characters; may be empty for what we do not package.
    #[serde(default)]
    pub description: String,
    /// Where it may come from, tried in this order.
    pub sources: Vec<Source>,
    /// Architectures that upstream's own archives are no longer made for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
    /// How its .deb is made; unused by the sources `debian` and `file`.
    pub recipe: Option<Recipe>,
}

/// Architectures that upstream stopped shipping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// The first version without them (`1.8.1`).
    pub from: String,
    /// Which.
    pub architectures: Vec<Arch>,
    /// The way out, as a clause: ``the source `go-module` builds it``.
    pub instead: String,
}

/// A place a component may come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// The publisher's archive.
    Release {
        /// URL with `{version}` and `{arch}` (in the publisher's spelling).
        url: String,
        /// Which spelling of the architecture the URL has: `hashicorp`, `goreleaser`.
        arch_names: String,
        /// Architectures whose machines run what the publisher ships under that spelling; all, unless named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        architectures: Option<Vec<Arch>>,
        /// `sha256` by Debian architecture, as the publisher signed it. One that is not here is not usable until it is
        /// pinned from `sums`.
        sha256: BTreeMap<Arch, String>,
        /// Where the publisher lists the digests.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sums: Option<Sums>,
    },
    /// The publisher's Go module, built here.
    GoModule(GoModule),
    /// A package of the Debian archive.
    Debian {
        /// Package name.
        package: String,
    },
    /// A local .deb, such as the agent's from this checkout.
    File {
        /// Path with `{version}` and `{arch}`, relative to the definition's repository.
        path: String,
        /// `sha256` by Debian architecture; empty for what this checkout builds itself.
        sha256: BTreeMap<Arch, String>,
        /// What the .deb says of other packages, for `lock`, which may come before it is built.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relations: Option<Relations>,
    },
}

impl Source {
    /// What definitions, arguments and manifests call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
            Self::GoModule { .. } => "go-module",
            Self::Debian { .. } => "debian",
            Self::File { .. } => "file",
        }
    }
}

/// Relationship fields of a package (Policy 7.1), each entry one relationship (`systemd (>= 257)`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relations {
    /// `Depends`.
    #[serde(default)]
    pub depends: Vec<String>,
    /// `Recommends`.
    #[serde(default)]
    pub recommends: Vec<String>,
    /// `Provides`.
    #[serde(default)]
    pub provides: Vec<String>,
}

/// A publisher's list of digests: `sha256sum` lines, one for each archive of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Whose habits it follows.
    #[serde(rename = "type")]
    pub kind: SumsKind,
    /// URL with `{version}`.
    pub url: String,
    /// Fingerprint (40 upper-case hex digits) of the OpenPGP key that must have signed it; `None` where the publisher
    /// does not sign: then the list is only as good as the TLS connection it came by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How a publisher lists and signs digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SumsKind {
    /// `<product>_<version>_SHA256SUMS`, its detached signature under the same name with `.sig`
    /// (<https://www.hashicorp.com/security>).
    Hashicorp,
    /// `sha256sums.txt` beside the archives of a release, unsigned (<https://prometheus.io/download/>).
    Prometheus,
    /// Any other file in the format of sha256sum(1); a signature, if there is one, under the same name with `.asc`.
    Sha256sum,
}

/// A Go module and how it is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoModule {
    /// Module path.
    pub module: String,
    /// The programs by name, each with the package inside the module that it is built from (`nomad`: `.`).
    pub binaries: std::collections::BTreeMap<String, String>,
    /// Build tags.
    pub tags: Vec<String>,
    /// Flags for the linker beside those that every build has, with `{version}`: `-X main.version={version}`.
    #[serde(default)]
    pub ldflags: Vec<String>,
    /// Whether it needs a C compiler.
    pub cgo: bool,
    /// `replace` directives of upstream's go.mod that point into its repository: dropped …
    pub drop_replace: Vec<String>,
    /// … or replaced by the tagged or pseudo-version of the same module (module -> version, or `commit` for the
    /// pseudo-version of the commit that the module itself was made from).
    pub replace: BTreeMap<String, String>,
    /// Module path patterns the checksum database need not know; their sums are in the lock.
    pub no_sum_db: Vec<String>,
}

impl GoModule {
    /// What the linker is told for `version`, beside what every build has.
    pub fn ldflags(&self, version: &str) -> String {
        self.ldflags.join(" ").replace("{version}", version)
    }
}

/// A file written into the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageFile {
    /// Absolute path.
    pub path: String,
    /// Content; exclusive with `symlink`.
    pub text: Option<String>,
    /// Link target.
    pub symlink: Option<String>,
    /// Octal mode.
    pub mode: String,
}

/// systemd units set by the definition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Units {
    /// Enabled.
    pub enable: Vec<String>,
    /// Disabled.
    pub disable: Vec<String>,
    /// Masked.
    pub mask: Vec<String>,
}

/// Partition sizes in MiB, each rounded up to the alignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partitions {
    /// BOOTSEL of a Raspberry Pi. UEFI machines have none: there it says nothing.
    pub bootsel_mib: u64,
    /// BOOT_A and BOOT_B of a Raspberry Pi, each. The EFI system partition, which holds the kernels of both slots, has
    /// twice as much.
    pub boot_mib: u64,
    /// ROOT_A and ROOT_B, each.
    pub root_mib: u64,
}
