//! What a UEFI machine would start from an image: systemd-boot, its settings, and the unified kernel image that they name.

use anyhow::{Context, Result, bail};
use computatom_spec::boot::{self, gpt};

use super::super::fat::Volume;
use super::super::medium::Medium;
use super::super::partitions::Table;
use super::super::uki;
use super::check_root;

/// Follows the firmware of an architecture (`x64`, `aa64`) through an image, and looks at what would be started.
///
/// # Errors
///
/// Fails if that does not end in a kernel and a root with the root hash that its command line asks for.
pub fn check(image: &dyn Medium, suffix: &str) -> Result<()> {
    let table = Table::read(image)?;
    let volume = Volume::open(image, table.get(gpt::ESP)?)?;
    let must = |name: &str| -> Result<Vec<u8>> {
        let content = volume.read(name)?;
        content.with_context(|| format!("the EFI system partition has no {name}"))
    };
    must(&format!("EFI/BOOT/BOOT{}.EFI", suffix.to_uppercase()))?;
    let conf = must("loader/loader.conf")?;
    let conf = String::from_utf8_lossy(&conf);
    let default =
        boot::default_entry(&conf).context("loader.conf has no `default`, so systemd-boot would show a menu")?;
    if default.contains(['*', '?']) {
        bail!("`default {default}` of loader.conf is a pattern: it must name one entry");
    }
    let name = format!("EFI/Linux/{default}");
    let kernel = must(&name)?;
    let section = |section: &str| -> Result<&[u8]> {
        let content = uki::section(&kernel, section).with_context(|| format!("reading {name}"))?;
        content.with_context(|| format!("{name} has no section {section}"))
    };
    section(".linux")?;
    if !section(".initrd")?.starts_with(super::NEWC_MAGIC) {
        bail!("the initramfs of {name} is not a newc archive");
    }
    check_root(image, &table, &String::from_utf8_lossy(section(".cmdline")?))
}
