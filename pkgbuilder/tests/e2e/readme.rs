//! What the README tells people to type at a running cluster, typed.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pkgbuilder::inspect;

/// The fence of the blocks meant for a running cluster.
const FENCE: &str = "```sh cluster";

/// Runs every command of the README's cluster blocks from `repository`, the LAN's names resolved by `resolver`, with the
/// `nomad` that `image` holds.
pub(crate) fn commands(repository: &Path, image: &Path, resolver: Ipv4Addr, folder: &Path) -> Result<()> {
    let readme = fs::read_to_string(repository.join("README.md")).context("reading README.md")?;
    let commands = of(&readme);
    ensure!(!commands.is_empty(), "README.md has no `{FENCE}` block");
    resolve_by(resolver, folder)?;
    let path = format!(
        "{}:{}",
        nomad(repository, image, folder)?.display(),
        std::env::var("PATH")?
    );
    for command in commands {
        super::scenario::say(&format!("$ {command}"));
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &command])
            .current_dir(repository)
            .env("PATH", &path)
            .output()
            .with_context(|| format!("running `{command}`"))?;
        ensure!(
            output.status.success() && !output.stdout.is_empty(),
            "README.md: `{command}` ended with {} and printed {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// The commands of the cluster blocks, in order.
fn of(readme: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            FENCE => inside = true,
            "```" => inside = false,
            line if inside && !line.is_empty() => commands.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

/// Gives this mount namespace a resolver of its own.
fn resolve_by(resolver: Ipv4Addr, folder: &Path) -> Result<()> {
    let file = folder.join("resolv.conf");
    fs::write(&file, format!("nameserver {resolver}\nsearch lan\n"))?;
    let status = Command::new("mount")
        .arg("--bind")
        .arg(&file)
        .arg("/etc/resolv.conf")
        .status()
        .context("running mount")?;
    ensure!(
        status.success(),
        "cannot bind {} over /etc/resolv.conf in this mount namespace",
        file.display()
    );
    Ok(())
}

/// A folder with the `nomad` of the image's own package, run in emulation where this machine is another one.
fn nomad(repository: &Path, image: &Path, folder: &Path) -> Result<PathBuf> {
    let manifest = inspect::manifest_of(image)?.context("the image has no manifest")?;
    let record = manifest.packages.iter().find(|package| package.name == "nomad");
    let version = &record.context("the image has no package nomad")?.version;
    // File names are without the epoch.
    let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
    let package = repository.join(format!("out/packages/nomad_{version}_arm64.deb"));
    ensure!(
        package.is_file(),
        "{} is not there: run scripts/build first",
        package.display()
    );
    let unpacked = folder.join("nomad");
    let status = Command::new("dpkg-deb")
        .arg("--extract")
        .arg(&package)
        .arg(&unpacked)
        .status()?;
    ensure!(status.success(), "dpkg-deb cannot extract {}", package.display());
    let binary = unpacked.join("usr/bin/nomad");
    let folder = folder.join("bin");
    fs::create_dir_all(&folder)?;
    let script = if cfg!(target_arch = "aarch64") {
        format!("#!/bin/sh\nexec '{}' \"$@\"\n", binary.display())
    } else {
        // libc6-arm64-cross brings the libraries it is linked with.
        format!(
            "#!/bin/sh\nexec qemu-aarch64-static -L /usr/aarch64-linux-gnu '{}' \"$@\"\n",
            binary.display()
        )
    };
    let path = folder.join("nomad");
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}
