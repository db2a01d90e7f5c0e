//! `secrets`: what `pkgbuilder burn --secrets` put onto the card, moved to DATA and into the programs that need it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use computatom_spec::secrets::FILE;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::disk::table::Table;
use crate::init::cmdline::Cmdline;
use crate::root::Root;
use crate::slots::fat::Volume;
use crate::{config, secrets, wifi};

/// Where the first partition is mounted, for as long as it takes.
const BOOT: &str = "/run/computatom/boot";
/// The partition with secrets: of all layouts the first.
const FIRST: u32 = 1;

/// Move the secrets that the card was burned with to DATA, and configure what needs them
///
/// The file is overwritten and removed from the boot partition when DATA has it. With a wireless network among the
/// secrets, the configuration of wpa_supplicant and networkd is written.
///
/// Example: computatom-agent secrets
#[derive(Debug, Args)]
pub(super) struct MoveSecrets {}

impl MoveSecrets {
    #[allow(clippy::unused_self, reason = "every subcommand has the same shape")]
    pub(super) fn run(&self, root: &Root) -> Result<()> {
        if root.is_system() {
            if let Some(device) = with_secrets(root)? {
                mounted(&device, Path::new(BOOT), |boot| secrets::take(root, boot))?;
            }
        } else {
            secrets::take(root, &root.path(BOOT))?;
        }
        if let Some(wifi) = secrets::load(root)?.wifi {
            let site = config::load(root)?;
            wifi::configure(root, &wifi, site.wifi_country.as_deref())?;
        }
        Ok(())
    }
}

/// The first partition of the disk that this system runs from, if there are secrets on it. It is read by our own reader: a
/// FAT that nobody mounts is not touched.
fn with_secrets(root: &Root) -> Result<Option<PathBuf>> {
    let text = root.read("/proc/cmdline").context("reading the kernel command line")?;
    let cmdline =
        Cmdline::parse(&text.unwrap_or_default()).context("this is no system with a boot partition of ours")?;
    for name in root.list("/sys/block") {
        let Ok(disk) = fs::File::open(root.path("/dev").join(&name)) else {
            continue;
        };
        let Ok(table) = Table::read(&disk) else { continue };
        if table.find(&cmdline.root).is_none() {
            continue;
        }
        let first = table.partition(FIRST).context("the disk has no first partition")?;
        let found = Volume::open(&disk, first.extent)?.find(FILE)?;
        let between = if name.ends_with(|last: char| last.is_ascii_digit()) {
            "p"
        } else {
            ""
        };
        return Ok(found.map(|_| root.path("/dev").join(format!("{name}{between}{FIRST}"))));
    }
    Ok(None)
}

/// Mounts the FAT of `device` while `work` is done.
fn mounted(device: &Path, folder: &Path, work: impl FnOnce(&Path) -> Result<bool>) -> Result<bool> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::SYNCHRONOUS;
    mount(device, folder, c"vfat", flags, c"umask=0077").with_context(|| format!("mounting {}", device.display()))?;
    let done = work(folder);
    unmount(folder, UnmountFlags::empty()).with_context(|| format!("unmounting {}", folder.display()))?;
    done
}
