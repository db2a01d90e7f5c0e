//! `pkgbuilder inspect`: look before building, and after.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{ArgGroup, Args};
use serde::Serialize;

use crate::inspect::image::Opened;
use crate::inspect::package::{self, PackageFile};
use crate::inspect::{self, Subject, sizes, treemap};
use crate::reporter::Reporter;
use crate::{assemble, atomic, bail_input, definition};

/// Print a definition as evaluated, or what an image or a package holds.
///
/// An image (.img, .img.zst) is read itself: its partitions, the manifest in its root, and every file. A .manifest.json is
/// believed.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("what").args(["licenses", "spdx", "sizes"]),
    after_help = "\
Examples:
  pkgbuilder inspect home
  pkgbuilder inspect out/home-raspberrypi-arm64.img.zst
  pkgbuilder inspect out/home-raspberrypi-arm64.img.zst --json | jq '.packages[] | select(.source != \"debian\")'
  pkgbuilder inspect out/home-raspberrypi-arm64.img.zst --licenses
  pkgbuilder inspect out/home-raspberrypi-arm64.img.zst --sizes --svg sizes.svg
  pkgbuilder inspect out/packages/nomad_1.10.5-1_arm64.deb --spdx")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct Arguments {
    /// Name of a definition, a path to a .jsonnet file, an image or manifest made by `build`, or a .deb.
    #[arg(value_name = "IMAGE")]
    subject: String,

    /// Site settings [default: site.jsonnet at the top of the repository, where there is one]
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,

    /// Print it whole, as JSON: of an image the manifest with every file (a definition always is).
    #[arg(long, conflicts_with = "licenses")]
    json: bool,

    /// Print the licence of each package.
    #[arg(long)]
    licenses: bool,

    /// Print the SBOM, as SPDX 2.3.
    #[arg(long)]
    spdx: bool,

    /// Print what takes the room: by group of packages, by package, by folder.
    #[arg(long)]
    sizes: bool,

    /// With --sizes: draw it as a treemap into this file as well.
    #[arg(long, value_name = "FILE", requires = "sizes")]
    svg: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn run(self, reporter: &Reporter) -> Result<()> {
        let path = Path::new(&self.subject);
        let subject = inspect::subject(path)?;
        if matches!(subject, Subject::Image | Subject::Companion)
            && let Some(doubt) = inspect::doubt(path)?
        {
            reporter.warn(doubt);
        }
        match subject {
            Subject::Definition => self.definition(reporter),
            Subject::Image => self.image(&Opened::open(path, reporter)?),
            Subject::Companion => self.companion(path),
            Subject::Package => self.package(&PackageFile::open(path)?),
        }
    }

    fn definition(&self, reporter: &Reporter) -> Result<()> {
        if self.licenses || self.spdx || self.sizes {
            bail_input!(
                "{} is a definition, which has no packages yet: build it, and name the image",
                self.subject
            );
        }
        let path = definition::find(&self.subject, Path::new("."))?;
        let image = definition::load(&path, self.site.as_deref(), assemble::boards::names())?;
        for warning in image.site.warnings() {
            reporter.warn(format_args!("site settings: {warning}"));
        }
        json(&image)
    }

    fn image(&self, image: &Opened) -> Result<()> {
        if self.spdx {
            json(&package::of_image(image)?)
        } else if self.sizes {
            let manifest = image.whole_manifest()?;
            self.sizes(&sizes::measure(&manifest, Some(&image.stored()), image.compressed()))
        } else if self.json {
            json(&image.whole_manifest()?)
        } else if self.licenses {
            super::print(&inspect::licenses(&image.manifest()?))
        } else {
            super::print(&format!("{}\n", inspect::table(&image.manifest()?)))
        }
    }

    fn companion(&self, path: &Path) -> Result<()> {
        let Some(manifest) = inspect::manifest_of(path)? else {
            bail_input!("{} is gone", path.display());
        };
        if self.spdx {
            bail_input!(
                "a manifest has no texts of licences, which an SBOM needs: name the image (the SBOM also lies beside it, as \
                 .spdx.json)"
            );
        }
        if self.sizes {
            self.sizes(&sizes::measure(&manifest, None, None))
        } else if self.json {
            json(&manifest)
        } else if self.licenses {
            super::print(&inspect::licenses(&manifest))
        } else {
            super::print(&format!("{}\n", inspect::table(&manifest)))
        }
    }

    fn package(&self, package: &PackageFile) -> Result<()> {
        if self.sizes {
            bail_input!("{} is a single package: --sizes is for images", self.subject);
        }
        if self.spdx {
            json(&package.spdx())
        } else if self.json {
            json(package.record())
        } else {
            super::print(&package.table())
        }
    }

    fn sizes(&self, sizes: &sizes::Sizes) -> Result<()> {
        if let Some(path) = &self.svg {
            atomic::write(path, treemap::svg(sizes).as_bytes())?;
        }
        if self.json {
            json(sizes)
        } else {
            super::print(&sizes.table())
        }
    }
}

fn json(value: &impl Serialize) -> Result<()> {
    super::print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}
