//! The Go toolchain of this machine, run so that nothing but its version and the module decides the result.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;

use crate::command;

/// What is compiled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Toolchain {
    arch: Arch,
    /// `go1.26.8`
    go: String,
    /// The C compiler and what it says of its version, where one is needed.
    cc: Option<(String, String)>,
}

impl Toolchain {
    /// Finds the tools for `arch`; otherwise what to install.
    pub(super) fn find(arch: Arch, cgo: bool) -> Result<Result<Self, String>> {
        let Some(go) = go_version()? else {
            return Ok(Err(
                "Go is not installed here: `apt-get install golang-go`, or https://go.dev/dl/".to_owned(),
            ));
        };
        let cc = if cgo {
            let cc = format!("{}-gcc", arch.names().gnu);
            let Some(version) = said(Command::new(&cc).arg("--version").env("LC_ALL", "C"))? else {
                let packages = compiler_packages(arch);
                return Ok(Err(format!("{cc} is not installed here: `apt-get install {packages}`")));
            };
            Some((cc, version))
        } else {
            None
        };
        Ok(Ok(Self { arch, go, cc }))
    }

    /// `go1.26.8`, and the C compiler's own line where one is used.
    pub(super) fn describe(&self) -> String {
        match &self.cc {
            Some((_, version)) => format!("{} and {version}", self.go),
            None => self.go.clone(),
        }
    }

    /// What is compiled for: the architecture, and how much of one a 32-bit Arm program may use.
    pub(super) fn target(&self) -> String {
        match self.arch.names().goarm {
            Some(goarm) => format!("{} GOARM={goarm}", self.arch),
            None => self.arch.to_string(),
        }
    }

    /// `go` with arguments, in `folder`, for the target; what the person has set for their own work is left out.
    pub(super) fn go(&self, folder: &Path, no_sum_db: &[String]) -> Command {
        let names = self.arch.names();
        let mut command = Command::new("go");
        command
            .current_dir(folder)
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .env("GOWORK", "off")
            .env("GO111MODULE", "on")
            .env("GOOS", "linux")
            .env("GOARCH", names.go)
            .env("GOAMD64", "v1")
            .env("GOARM64", "v8.0")
            .env("GOEXPERIMENT", "")
            .env("CGO_ENABLED", if self.cc.is_some() { "1" } else { "0" });
        for name in [
            "CGO_CFLAGS",
            "CGO_CPPFLAGS",
            "CGO_CXXFLAGS",
            "CGO_FFLAGS",
            "CGO_LDFLAGS",
            "GOFIPS140",
            "GOCOVERDIR",
        ] {
            command.env_remove(name);
        }
        match names.goarm {
            Some(goarm) => command.env("GOARM", goarm),
            None => command.env_remove("GOARM"),
        };
        if let Some((cc, _)) = &self.cc {
            command.env("CC", cc);
        }
        let own = std::env::var("GONOSUMDB").ok().filter(|own| !own.is_empty());
        let patterns: Vec<String> = own.into_iter().chain(no_sum_db.iter().cloned()).collect();
        if !patterns.is_empty() {
            command.env("GONOSUMDB", patterns.join(","));
        }
        command
    }
}

/// What Go says of its version; `None` where it is missing. It is asked once, for each answer takes it a twentieth of a
/// second.
fn go_version() -> Result<Option<String>> {
    static SAID: OnceLock<String> = OnceLock::new();
    if let Some(version) = SAID.get() {
        return Ok(Some(version.clone()));
    }
    let mut command = Command::new("go");
    command
        .args(["env", "GOVERSION"])
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off");
    let version = said(&mut command)?;
    Ok(version.map(|version| SAID.get_or_init(|| version).clone()))
}

/// The first line a tool prints; `None` where the tool is missing.
pub(super) fn said(command: &mut Command) -> Result<Option<String>> {
    match command.output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.lines().next().map(|line| line.trim().to_owned()))
        }
        Ok(_) => command::run(command).map(|_| None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("looking for the Go toolchain"),
    }
}

/// Debian's packages of the C compiler for `arch`.
fn compiler_packages(arch: Arch) -> String {
    if Arch::host() == Some(arch) {
        return "gcc libc6-dev".to_owned();
    }
    let names = arch.names();
    format!("gcc-{} libc6-dev-{}-cross", names.gnu.replace('_', "-"), names.debian)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_compiler_is_named_as_debian_does() {
        if Arch::host() != Some(Arch::Armel) {
            assert_eq!(
                compiler_packages(Arch::Armel),
                "gcc-arm-linux-gnueabi libc6-dev-armel-cross"
            );
        }
    }

    #[test]
    fn the_persons_own_settings_do_not_reach_the_build() {
        let toolchain = Toolchain {
            arch: Arch::Armel,
            go: "go1.26.8".to_owned(),
            cc: Some(("arm-linux-gnueabi-gcc".to_owned(), "gcc 12".to_owned())),
        };
        let command = toolchain.go(Path::new("/"), &["example.org/*".to_owned()]);
        let env = |wanted: &str| {
            command
                .get_envs()
                .find(|(name, _)| *name == wanted)
                .and_then(|(_, value)| value)
        };
        assert_eq!(env("GOARM").unwrap(), "6,softfloat");
        assert_eq!(env("GOFLAGS").unwrap(), "-mod=mod");
        assert_eq!(env("CC").unwrap(), "arm-linux-gnueabi-gcc");
        assert!(env("CGO_CFLAGS").is_none());
        assert!(env("GONOSUMDB").unwrap().to_string_lossy().ends_with("example.org/*"));
        assert_eq!(toolchain.describe(), "go1.26.8 and gcc 12");
    }
}
