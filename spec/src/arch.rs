//! One table for every name an architecture goes by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An architecture we build for, named as Debian names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit PCs.
    Amd64,
    /// Raspberry Pi 3, 4, 5, Zero 2 W; rock64; 64-bit Arm VMs.
    Arm64,
    /// ARMv7 with hardware floating point.
    Armhf,
    /// What Debian offers an ARMv6 board (Pi 1, Zero): soft-float, ARMv5 baseline.
    Armel,
}

/// How the ecosystems spell one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Debian (`dpkg --print-architecture`).
    pub debian: &'static str,
    /// HashiCorp's zip suffix (releases.hashicorp.com).
    pub hashicorp: &'static str,
    /// The suffix of Prometheus' and goreleaser's archives.
    pub goreleaser: &'static str,
    /// `GOARCH`.
    pub go: &'static str,
    /// `GOARM`, where it applies. For armel 6, because our builds must run on the Pi Zero, and without the use of a
    /// floating-point unit, because that is what Debian means by armel.
    pub goarm: Option<&'static str>,
    /// The Rust target of dynamically linked programs.
    pub rust: &'static str,
    /// The GNU triple: multiarch directory and prefix of Debian's cross compilers.
    pub gnu: &'static str,
    /// The OCI platform architecture.
    pub oci: &'static str,
}

impl Arch {
    /// All architectures.
    pub const ALL: [Self; 4] = [Self::Amd64, Self::Arm64, Self::Armhf, Self::Armel];

    /// The row of this architecture.
    pub const fn names(self) -> Names {
        match self {
            Self::Amd64 => Names {
                debian: "amd64",
                hashicorp: "amd64",
                goreleaser: "amd64",
                go: "amd64",
                goarm: None,
                rust: "x86_64-unknown-linux-gnu",
                gnu: "x86_64-linux-gnu",
                oci: "amd64",
            },
            Self::Arm64 => Names {
                debian: "arm64",
                hashicorp: "arm64",
                goreleaser: "arm64",
                go: "arm64",
                goarm: None,
                rust: "aarch64-unknown-linux-gnu",
                gnu: "aarch64-linux-gnu",
                oci: "arm64",
            },
            Self::Armhf => Names {
                debian: "armhf",
                hashicorp: "arm",
                goreleaser: "armv7",
                go: "arm",
                goarm: Some("7"),
                rust: "armv7-unknown-linux-gnueabihf",
                gnu: "arm-linux-gnueabihf",
                oci: "arm",
            },
            Self::Armel => Names {
                debian: "armel",
                hashicorp: "arm",
                goreleaser: "armv6",
                go: "arm",
                goarm: Some("6,softfloat"),
                rust: "arm-unknown-linux-gnueabi",
                gnu: "arm-linux-gnueabi",
                oci: "arm",
            },
        }
    }

    /// The architecture of the machine this program was compiled for.
    pub const fn host() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::Amd64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Arm64)
        } else {
            None
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.names().debian)
    }
}

impl FromStr for Arch {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|arch| arch.names().debian == name)
            .ok_or_else(|| format!("`{name}` is not one of amd64, arm64, armhf, armel"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_names_round_trip() {
        for arch in Arch::ALL {
            assert_eq!(arch.to_string().parse::<Arch>().unwrap(), arch);
            assert_eq!(serde_json::to_value(arch).unwrap(), arch.names().debian);
        }
    }
}
