//! Further apt sources beside Debian's own suites, in the words of sources.list(5) and apt_preferences(5).

use computatom_spec::arch::Arch;
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

/// A source of packages: a further suite of the Debian mirror, or somebody's own repository.
///
/// As apt's own `Pin-Priority: -1` would have it, nothing is taken from it but what a [`Pin`] names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AptSource {
    /// Base URLs, tried in this order (`http`, `https`, `file`). Without any, and without a key, the suites are on the
    /// Debian mirror; without any, but with a key, `--apt-source` says where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uris: Vec<String>,
    /// Suites (`trixie-backports`), or with a `/` at the end the folder of a flat repository (`./`).
    pub suites: Vec<String>,
    /// Archive components; on the Debian mirror those of the definition, unless named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// The public key that must have signed it, armored, for this source alone; without one the suites are Debian's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Architectures that it is asked for; all, unless named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<Arch>,
}

impl AptSource {
    /// Whether its suites are Debian's, on Debian's mirror, under Debian's keys.
    pub fn is_debian(&self) -> bool {
        self.signed_by.is_none()
    }

    /// Whether it has packages for machines of `arch`.
    pub fn serves(&self, arch: Arch) -> bool {
        self.architectures.is_empty() || self.architectures.contains(&arch)
    }
}

/// Whether a suite is the folder of a flat repository: one without components (sources.list(5)).
pub fn is_flat(suite: &str) -> bool {
    suite.ends_with('/')
}

/// Packages that are taken from a further source, whatever version Debian's own suites have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Names, or globs of names (`linux-image-*`), as in apt_preferences(5).
    pub packages: Vec<String>,
    /// Name of the source.
    pub source: String,
}

impl Pin {
    /// Its globs, ready to match; fails with the one that is none.
    pub fn matchers(&self) -> Result<Vec<GlobMatcher>, String> {
        self.packages
            .iter()
            .map(|glob| match GlobBuilder::new(glob).build() {
                Ok(glob) => Ok(glob.compile_matcher()),
                Err(error) => Err(format!("`{glob}` is not a glob: {}", error.kind())),
            })
            .collect()
    }
}
