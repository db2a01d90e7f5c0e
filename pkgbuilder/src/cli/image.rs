//! `pkgbuilder image`: the disk image alone.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::options::{Definition, Inputs, Signing};
use crate::assemble::boards;
use crate::atomic;
use crate::definition::format::Format;
use crate::like::Like;
use crate::reporter::Reporter;

/// Build the disk image of a definition, without writing its packages to the output folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pkgbuilder image home
  pkgbuilder image home --target raspberrypi-arm64 --json
  pkgbuilder image vm --target uefi-amd64 --format qcow2,xz")]
pub(super) struct Arguments {
    #[command(flatten)]
    definition: Definition,

    #[command(flatten)]
    inputs: Inputs,

    #[command(flatten)]
    what: What,

    /// Folder of the results.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,

    /// Print what was made as JSON on standard output.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        build(
            &self.definition,
            &self.inputs,
            &self.what,
            &self.out,
            None,
            self.json,
            reporter,
        )
    }
}

/// Which images of the definition.
#[derive(Debug, Args)]
pub(super) struct What {
    /// Build this target only [default: all of the definition]
    #[arg(long, value_name = "NAME")]
    target: Option<String>,

    /// Make these of the image, whatever its definition says: img, zst, xz, qcow2, vmdk, box-libvirt, box-virtualbox, oci
    /// (docs/outputs.md) [default: what the target says, else zst, of a container oci]
    #[arg(long, value_name = "FORMAT,...")]
    format: Option<String>,

    /// Repeat the build that this manifest records, from the same sources, or say why that cannot be.
    #[arg(long, value_name = "MANIFEST", conflicts_with_all = ["source", "target"])]
    like: Option<PathBuf>,
}

/// What `build` and `image` share; packages are written and signed as `with_packages` says, if it does.
pub(super) fn build(
    definition: &Definition,
    inputs: &Inputs,
    what: &What,
    out: &Path,
    with_packages: Option<&Signing>,
    json: bool,
    reporter: &Reporter,
) -> Result<()> {
    let asked = what.format.as_deref().map(Format::parse_list).transpose()?;
    let mut workshop = inputs.workshop(definition, false, reporter)?;
    let like = what.like.as_deref().map(Like::read).transpose()?;
    let targets = workshop.targets(like.as_ref().map(Like::target).or(what.target.as_deref()))?;
    if let Some(like) = like {
        workshop.repeat(like)?;
    }
    let formats = targets
        .iter()
        .map(|target| boards::formats(target, asked.as_deref()))
        .collect::<Result<Vec<_>>>()?;
    atomic::check_writable(out)?;
    workshop.check_room(&targets, out)?;
    let folder = out.join("packages");
    let key = with_packages
        .map(|signing| signing.open(&folder, reporter))
        .transpose()?;
    let mut made = Vec::new();
    for (target, formats) in targets.iter().zip(formats) {
        let inputs = workshop.inputs(target, key.as_ref().map(|_| folder.clone()))?;
        if let Some(key) = &key {
            workshop.repository(&folder, key)?;
        }
        made.push(workshop.image(target, &inputs, &formats, out)?);
    }
    if json {
        super::print(&format!("{}\n", serde_json::to_string_pretty(&made)?))?;
    } else {
        for image in &made {
            reporter.step(image.summary());
        }
    }
    Ok(())
}
