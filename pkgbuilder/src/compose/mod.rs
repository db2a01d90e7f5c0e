//! Stage 6: .debs to a root file system in memory.
//!
//! A package's payload is decompressed once into the cache and mapped from there: files of the tree are slices of that
//! mapping, so that a root of a gigabyte costs no memory of its own. What the same packages came to before is not composed
//! again: a change of site settings, which come in later, costs no composition.

mod digests;
mod kept;
mod payload;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bytes::Bytes;
use computatom_compose::Options;
use computatom_compose::deb::{Deb as Archive, Package};
use computatom_compose::order;
use computatom_compose::shell::Halted;
use computatom_compose::shell::process::Halt;
use computatom_compose::tree::Tree;
use computatom_spec::manifest::PackageRecord;
use rayon::prelude::*;

use crate::definition::image::Target;
use crate::definition::{Image, exclude};
use crate::failure::Interrupted;
use crate::fetch::cache::Cache;
use crate::reporter::Reporter;
use crate::verify::deb::VerifiedDeb;
use crate::{bail_input, input_error, interrupt};

pub use self::digests::{BLOCK, Digests};
pub use self::payload::Reading;
use self::payload::{Payload, map};

/// A verified package on disk.
#[derive(Clone, Debug)]
pub struct Input {
    /// The .deb.
    pub path: PathBuf,
    /// What it is; `digest` is that of the file.
    pub record: PackageRecord,
}

/// A composed root file system.
#[derive(Debug)]
pub struct Rootfs {
    /// The tree.
    pub tree: Tree,
    /// The digests of the files in it, as far as they are known.
    pub digests: Digests,
    /// What the tree lies in, while it is read whether it is what was written.
    pub reading: Reading,
}

/// Composes the root file system of `target` from verified packages; `asked` are the names that were asked for, all
/// others count as automatically installed.
pub fn compose(
    inputs: &[Input],
    image: &Image,
    target: &Target,
    asked: &[String],
    epoch: i64,
    cache: &Cache,
    reporter: &Reporter,
) -> Result<Rootfs> {
    let bar = reporter.items("unpacking packages", inputs.len() as u64);
    let payloads: Vec<Payload> = inputs
        .par_iter()
        .map(|input| {
            interrupt::check()?;
            let sha256 = input.record.digest.trim_start_matches("sha256:");
            let payload = Payload::of(&input.path, sha256, cache);
            let payload = payload.with_context(|| format!("unpacking {}", named(input)))?;
            bar.inc(1);
            Ok(payload)
        })
        .collect::<Result<_>>()?;
    bar.finish_and_clear();
    let options = Options {
        arch: target.arch.to_string(),
        epoch,
        keep_going: false,
        path_rules: exclude::rules(&image.exclude).map_err(|text| input_error!("`exclude`: {text}"))?,
        auto_installed: inputs
            .iter()
            .map(|input| input.record.name.clone())
            .filter(|name| !asked.contains(name))
            .collect(),
    };
    let key = kept::key(inputs, &options)?;
    let contents: Vec<Bytes> = payloads.iter().map(Payload::content).collect();
    if let Some((tree, digests)) = kept::load(cache, &key, &contents)? {
        let reading = Reading::begin(payloads);
        return Ok(Rootfs { tree, digests, reading });
    }
    let (packages, contents): (Vec<Package>, Vec<Bytes>) = inputs
        .par_iter()
        .zip(payloads)
        .map(|(input, payload)| {
            let read = payload.sound(&input.path, cache);
            let read = read.and_then(|content| Ok((with(&input.path, &content)?, content)));
            read.with_context(|| format!("reading {}", named(input)))
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .unzip();
    check_dependencies(&packages)?;
    let bar = reporter.items("configuring packages", 0);
    let composed = computatom_compose::compose(&packages, &options, &mut |progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        Ok(interrupt::check()?)
    });
    bar.finish_and_clear();
    let tree = composed
        .map_err(next_step)
        .with_context(|| format!("composing the root file system of {} for {}", image.name, target.name))?
        .tree;
    let digests = Digests::of_tree(&tree);
    kept::store(cache, &key, &tree, &digests, &contents)?;
    let reading = Reading::default();
    Ok(Rootfs { tree, digests, reading })
}

/// A package, for messages.
fn named(input: &Input) -> String {
    format!("package {} {}", input.record.name, input.record.version)
}

/// A package that cannot be unpacked or configured is no fault of the world's; a script that cannot be interpreted has a
/// way out.
fn next_step(error: anyhow::Error) -> anyhow::Error {
    if error.is::<Interrupted>() {
        return error;
    }
    let Some(halted) = error.downcast_ref::<Halted>() else {
        return input_error!("{error:#}");
    };
    let package = &halted.origin.package;
    let section = match &halted.halt {
        Halt::UnknownCommand(_) => "add the command (CONTRIBUTING.md, \"How to add a command\")",
        Halt::Unsupported { .. } => {
            "add what is missing (CONTRIBUTING.md, \"How to add a command\" and \"a case for the shell\")"
        }
        Halt::Limit(_) => "have the package's maintainers mend its script",
    };
    input_error!(
        "{error:#}; {section}, or do without {package} (what asks for it: `debian.packages` of the definition and its \
         targets, or what these depend on)"
    )
}

/// Fails for a package that needs what the others do not give.
///
/// The solver saw to it for Debian's; of our own packages it knew what their recipes say, not what their programs turned
/// out to need from the C library.
fn check_dependencies(packages: &[Package]) -> Result<()> {
    let unmet = order::plan(packages).unmet;
    let Some((name, relation)) = unmet.first() else {
        return Ok(());
    };
    let version = packages.iter().find(|package| package.name() == name);
    let version = version
        .map(|package| package.control.version.to_string())
        .unwrap_or_default();
    bail_input!(
        "{name} {version} needs {relation}, which no package of the image is: name one in the definition's \
         `debian.packages`; where it is the C library, build on a machine whose own is older, or take another source \
         by `--source`"
    )
}

/// A package of the archive whose payload is mapped from the cache.
pub fn open(deb: &VerifiedDeb, cache: &Cache) -> Result<Package> {
    let payload = Payload::of(deb.path(), &deb.locked().sha256, cache)?;
    with(deb.path(), &payload.sound(deb.path(), cache)?)
}

/// A package with its payload.
fn with(deb: &Path, payload: &Bytes) -> Result<Package> {
    let archive = opened(deb)?;
    Package::new(archive.control().clone(), payload).map_err(|error| input_error!("{error:#}"))
}

/// A .deb whose container and control information are as they should be.
fn opened(deb: &Path) -> Result<Archive> {
    Archive::open(&map(deb)?).map_err(|error| input_error!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use computatom_spec::arch::Arch;

    use super::*;
    use crate::package::control::Control;
    use crate::package::deb::Package as Ours;

    pub(super) fn ours(name: &str, version: &str, depends: &str) -> Ours {
        let control = Control {
            package: name.to_owned(),
            version: version.to_owned(),
            arch: Arch::Arm64.to_string(),
            maintainer: "A Person <a@example.org>".to_owned(),
            installed_size: 1,
            depends: vec![depends.to_owned()],
            section: "misc".to_owned(),
            summary: "is a test".to_owned(),
            ..Control::default()
        };
        Ours {
            control,
            epoch: 1,
            ..Ours::default()
        }
    }

    fn package(name: &str, version: &str, depends: &str) -> Package {
        let mut bytes = Vec::new();
        ours(name, version, depends).write(&mut bytes).unwrap();
        Archive::open(&bytes.into()).unwrap().unpack().unwrap()
    }

    #[test]
    fn a_program_that_needs_a_newer_c_library_than_the_image_has_is_refused() {
        let libc = package("libc6", "2.41-12", "libc6");
        let fits = package("nomad", "1.10.5-1", "libc6 (>= 2.34)");
        check_dependencies(&[libc.clone(), fits]).unwrap();
        let newer = package("nomad", "1.10.5-1", "libc6 (>= 2.42)");
        let error = check_dependencies(&[libc, newer]).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        assert!(
            error
                .to_string()
                .starts_with("nomad 1.10.5-1 needs libc6 (>= 2.42), which no"),
            "{error}"
        );
    }
}
