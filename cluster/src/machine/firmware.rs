//! UEFI firmware for virtual machines, found as libvirt finds it: by the descriptions that its packages install
//! (QEMU's docs/interop/firmware.json).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::escaped;
use super::kind::{Kind, Uefi};

/// A firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The program, read-only.
    pub code: PathBuf,
    /// What variables start as; every machine has its own copy.
    pub variables: PathBuf,
    /// QEMU's name for the form of both files.
    pub format: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Description {
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    executable: Option<FlashFile>,
    nvram_template: Option<FlashFile>,
}

#[derive(Debug, Deserialize)]
struct FlashFile {
    filename: PathBuf,
    format: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

/// Where descriptions lie, those of an administrator before those of packages; of two with one name the first counts.
fn folders() -> Vec<PathBuf> {
    ["/etc/qemu/firmware", "/usr/share/qemu/firmware"]
        .map(PathBuf::from)
        .to_vec()
}

impl Firmware {
    /// The first of the installed ones that fits; none for a machine without UEFI.
    ///
    /// # Errors
    /// There is none: which package has one.
    pub fn find(kind: Kind) -> Result<Option<Self>> {
        let Some(uefi) = kind.uefi() else {
            return Ok(None);
        };
        match Self::find_in(&folders(), uefi) {
            Some(firmware) => Ok(Some(firmware)),
            None => bail!(
                "there is no UEFI firmware for {} on this machine: install it ({})",
                kind.target(),
                uefi.packages
            ),
        }
    }

    /// Gives a machine variables of its own, which outlive its boots, unless it has them.
    ///
    /// # Errors
    /// cp says why.
    pub fn give_variables(&self, own: &Path) -> Result<()> {
        if own.exists() {
            return Ok(());
        }
        // Sparse: on Arm they are 64 MiB of nothing.
        let status = Command::new("cp")
            .args(["--sparse=always", "--no-preserve=mode"])
            .args([&self.variables, own])
            .status()
            .context("running cp")?;
        ensure!(
            status.success(),
            "copying {} to {}",
            self.variables.display(),
            own.display()
        );
        Ok(())
    }

    /// QEMU's `-drive`s of the program and of a machine's own variables.
    pub fn drives(&self, own: &str) -> [String; 2] {
        let Self { code, format, .. } = self;
        [(0, ",readonly=on", code.display().to_string().as_str()), (1, "", own)].map(|(unit, readonly, file)| {
            let file = escaped(file);
            format!("if=pflash,unit={unit},format={format}{readonly},file={file}")
        })
    }

    fn find_in(folders: &[PathBuf], of: Uefi) -> Option<Self> {
        let mut files: Vec<PathBuf> = Vec::new();
        for folder in folders {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let hidden = files.iter().any(|file| file.file_name() == Some(&entry.file_name()));
                if !hidden && entry.path().extension().is_some_and(|extension| extension == "json") {
                    files.push(entry.path());
                }
            }
        }
        // "The firmware with the lowest number is preferred."
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        files.iter().find_map(|file| Self::read(file, of))
    }

    fn read(file: &Path, of: Uefi) -> Option<Self> {
        // One that is damaged, or of a kind unknown to us, is not for us.
        let description: Description = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        let fits = description.targets.iter().any(|target| {
            // `pc-q35-*` and the like: no more than a star at the end occurs.
            target.architecture == of.architecture
                && target
                    .machines
                    .iter()
                    .any(|machines| machines.trim_end_matches('*').starts_with(of.machine))
        });
        // Our images are not signed.
        let locked = description
            .features
            .iter()
            .any(|feature| ["secure-boot", "enrolled-keys", "requires-smm"].contains(&feature.as_str()));
        let uefi = description.interface_types.iter().any(|interface| interface == "uefi");
        if !fits || locked || !uefi || description.mapping.device != "flash" {
            return None;
        }
        let (code, variables) = (description.mapping.executable?, description.mapping.nvram_template?);
        (code.filename.exists() && variables.filename.exists()).then_some(Self {
            code: code.filename,
            variables: variables.filename,
            format: code.format,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_takes_unsigned_images_is_chosen() {
        let temporary = tempfile::tempdir().unwrap();
        let (own, packages) = (temporary.path().join("own"), temporary.path().join("packages"));
        for folder in [&own, &packages] {
            fs::create_dir(folder).unwrap();
        }
        let describe = |folder: &Path, name: &str, architecture: &str, features: &str| {
            let code = folder.join(format!("{name}.fd"));
            fs::write(&code, "").unwrap();
            let text = format!(
                r#"{{"description": "", "interface-types": ["uefi"], "mapping": {{"device": "flash",
                   "executable": {{"filename": {code:?}, "format": "raw"}},
                   "nvram-template": {{"filename": {code:?}, "format": "raw"}}}},
                   "targets": [{{"architecture": "{architecture}", "machines": ["pc-q35-*", "virt-*"]}}],
                   "features": [{features}], "tags": []}}"#
            );
            fs::write(folder.join(format!("{name}.json")), text).unwrap();
        };
        let find = |kind| {
            Firmware::find_in(&[own.clone(), packages.clone()], Kind::uefi(kind).unwrap()).map(|firmware| {
                firmware
                    .code
                    .strip_prefix(temporary.path())
                    .unwrap()
                    .display()
                    .to_string()
            })
        };
        assert_eq!(find(Kind::Pc), None);
        describe(&packages, "40-secure", "x86_64", r#""secure-boot""#);
        describe(&packages, "60-plain", "x86_64", "");
        describe(&packages, "70-arm", "aarch64", "");
        fs::write(packages.join("10-damaged.json"), "{").unwrap();
        assert_eq!(find(Kind::Pc).as_deref(), Some("packages/60-plain.fd"));
        assert_eq!(find(Kind::Virt).as_deref(), Some("packages/70-arm.fd"));
        // An administrator's of the same name hides the package's.
        describe(&own, "60-plain", "x86_64", "");
        assert_eq!(find(Kind::Pc).as_deref(), Some("own/60-plain.fd"));
        assert!(Firmware::find(Kind::Pc).is_ok() || !Path::new("/usr/share/OVMF").exists());
    }
}
