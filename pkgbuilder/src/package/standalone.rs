//! Packages of recipes that are files of their own, outside any definition: `pkgbuilder packages --recipe`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use computatom_spec::manifest::PackageRecord;

use super::deb::Package;
use super::recipe;
use crate::atomic::Pending;
use crate::definition::recipe::{Recipe, read_file};
use crate::housekeeping::space::{self, Demand};
use crate::reporter::Reporter;
use crate::verify::Sha256;
use crate::{bail_input, input_error};

/// Variables of the environment, for recipes that name some.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Makes the packages of the recipe at `path`, whose files are named relative to `folder`: one for each of
/// `architectures`, which go before the recipe's own unless that is `all`. Nothing is written yet.
pub fn packages(
    path: &Path,
    architectures: &[String],
    folder: &Path,
    environment: Environment<'_>,
    reporter: &Reporter,
) -> Result<Vec<Package>> {
    let written = read_file(path)?;
    let epoch = match environment("SOURCE_DATE_EPOCH") {
        Some(text) => {
            let epoch: i64 = text
                .parse()
                .map_err(|_| input_error!("$SOURCE_DATE_EPOCH is `{text}`, not a number of seconds"))?;
            Some(epoch)
        }
        None => None,
    };
    let recipes = recipes(&written, architectures, path, environment, reporter)?;
    let packages = recipes
        .iter()
        .map(|recipe| recipe::of_files(recipe, folder, epoch).with_context(|| format!("reading {}", path.display())))
        .collect::<Result<Vec<Package>>>()?;
    let maintainer = packages
        .first()
        .map_or("", |package| package.control.maintainer.as_str());
    if !is_reachable(maintainer) {
        reporter.warn(format_args!(
            "{}: the maintainer `{maintainer}` is not written `Name <address>` (Debian Policy 5.6.2)",
            path.display()
        ));
    }
    Ok(packages)
}

/// The recipe for each architecture, as it is for a .deb.
fn recipes(
    written: &Recipe,
    architectures: &[String],
    path: &Path,
    environment: Environment<'_>,
    reporter: &Reporter,
) -> Result<Vec<Recipe>> {
    let mut unset = BTreeSet::new();
    let mut recipes = Vec::new();
    for arch in architectures {
        // What `--arch` says is also what the recipe's `$GOARCH` and `$GOARM` say.
        let names = arch.parse::<Arch>().ok().map(Arch::names);
        let of_arch = |name: &str| match (name, names) {
            ("GOARCH", Some(names)) => Some(names.go.to_owned()),
            ("GOARM", Some(names)) => Some(names.goarm.unwrap_or_default().to_owned()),
            _ => environment(name),
        };
        let mut recipe = expanded(written, &of_arch, &mut unset);
        if said(&recipe) == "all" {
            recipes = vec![recipe];
            break;
        }
        recipe.deb.arch.clone_from(arch);
        recipes.push(recipe);
    }
    if architectures.is_empty() {
        recipes.push(expanded(written, environment, &mut unset));
    }
    for name in unset {
        reporter.warn(format_args!(
            "{}: ${name} is not set and taken as empty",
            path.display()
        ));
    }
    for recipe in &recipes {
        check_head(recipe, path)?;
    }
    Ok(recipes)
}

/// Refuses a recipe without what every package has.
fn check_head(recipe: &Recipe, path: &Path) -> Result<()> {
    for (key, value, way_out) in [
        ("name", recipe.name.as_str(), ""),
        ("version", recipe.version.as_str(), ""),
        ("arch", said(recipe), ", or give `--arch`"),
    ] {
        if value.is_empty() {
            bail_input!("{}: the recipe has no `{key}`: write it{way_out}", path.display());
        }
    }
    Ok(())
}

/// The architecture that a recipe itself says.
fn said(recipe: &Recipe) -> &str {
    if recipe.deb.arch.is_empty() {
        &recipe.arch
    } else {
        &recipe.deb.arch
    }
}

/// Whether a maintainer has a name and an address. dpkg takes any, and so do nfpm's examples.
fn is_reachable(maintainer: &str) -> bool {
    maintainer
        .strip_suffix('>')
        .and_then(|rest| rest.split_once(" <"))
        .is_some_and(|(name, address)| {
            !name.trim().is_empty() && address.contains('@') && !address.contains(['<', ' '])
        })
}

/// Fills in variables; one that is not set is empty, as for nfpm, but not silently so: it is added to `unset`.
fn expanded(written: &Recipe, environment: Environment<'_>, unset: &mut BTreeSet<String>) -> Recipe {
    let mut recipe = written.clone();
    recipe.expand(&mut |name| {
        let value = environment(name);
        if value.is_none() {
            unset.insert(name.to_owned());
        }
        value
    });
    recipe.for_deb()
}

/// Writes packages into the folder `output` under their usual names, each whole or not at all; gives back where. One that
/// lies there with the same bytes is left alone.
pub fn write(packages: &[Package], output: &Path, reporter: &Reporter) -> Result<Vec<PathBuf>> {
    space::check(&room(packages, output))?;
    let mut written = Vec::new();
    for package in packages {
        let name = package.file_name();
        let bar = reporter.busy(format!("packing {name}"));
        let path = output.join(&name);
        let mut pending = Pending::create(&path)?;
        package
            .write(pending.file())
            .with_context(|| format!("packing {name}"))?;
        bar.finish_and_clear();
        if same(pending.temporary(), &path)? {
            written.push(path);
        } else {
            written.push(pending.commit()?);
        }
    }
    Ok(written)
}

/// What packages take, as if nothing could be compressed: in `output`, and each of them while it is made.
fn room(packages: &[Package], output: &Path) -> Vec<Demand> {
    let sizes: Vec<u64> = packages
        .iter()
        .map(|package| package.control.installed_size << 10)
        .collect();
    vec![
        Demand::new(output, sizes.iter().sum(), "packages"),
        Demand::new(
            &std::env::temp_dir(),
            sizes.into_iter().max().unwrap_or(0),
            "a package's content",
        ),
    ]
}

/// What is said about `package`, written to `path`.
pub fn record(package: &Package, path: &Path) -> Result<PackageRecord> {
    Ok(PackageRecord {
        name: package.control.package.clone(),
        version: package.control.version.clone(),
        architecture: package.control.arch.clone(),
        digest: format!("sha256:{}", Sha256::of_file(path)?),
        source: "recipe".to_owned(),
        ..PackageRecord::default()
    })
}

/// Whether the file `present`, if there is one, holds what `new` holds.
fn same(new: &Path, present: &Path) -> Result<bool> {
    let size = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len()).ok();
    Ok(size(new) == size(present) && Sha256::of_file(new)? == Sha256::of_file(present)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "name: tool\nversion: v1.2.3-beta\nmaintainer: A Person <a@example.org>\ncontents:\n- {src: x, dst: /usr/bin/x}\n";

    fn made(text: &str, architectures: &[&str]) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("x"), "#!/bin/sh\n").unwrap();
        let architectures: Vec<String> = architectures.iter().map(|&arch| arch.to_owned()).collect();
        let environment = |name: &str| (name == "GOARCH").then(|| "arm7".to_owned());
        let reporter = Reporter::new(true);
        let packages = packages(&path, &architectures, folder.path(), &environment, &reporter)?;
        let output = folder.path().join("out");
        let written = write(&packages, &output, &reporter)?;
        assert_eq!(std::fs::read_dir(&output).unwrap().count(), written.len());
        Ok(written
            .into_iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect())
    }

    #[test]
    fn one_package_per_architecture() {
        assert_eq!(
            made(&format!("{RECIPE}arch: arm64\n"), &[]).unwrap(),
            ["tool_1.2.3~beta_arm64.deb"]
        );
        assert_eq!(
            made(&format!("{RECIPE}arch: ${{GOARCH}}\n"), &[]).unwrap(),
            ["tool_1.2.3~beta_armhf.deb"]
        );
        assert_eq!(
            made(&format!("{RECIPE}arch: all\n"), &["arm64"]).unwrap(),
            ["tool_1.2.3~beta_all.deb"]
        );
        assert_eq!(
            made(RECIPE, &["arm64", "amd64"]).unwrap(),
            ["tool_1.2.3~beta_arm64.deb", "tool_1.2.3~beta_amd64.deb"]
        );
    }

    #[test]
    fn the_chosen_architecture_is_what_goarch_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        let text = RECIPE.replace("src: x", "src: 'x-${GOARCH}', expand: true");
        std::fs::write(&path, format!("{text}arch: ${{GOARCH}}\n")).unwrap();
        for name in ["x-amd64", "x-arm"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        // What `--arch` says goes before the environment, and one that is not set is set by it.
        for environment in [None, Some("riscv64")] {
            let environment = |name: &str| environment.filter(|_| name == "GOARCH").map(str::to_owned);
            let architectures = ["amd64".to_owned(), "armel".to_owned()];
            let packages = packages(&path, &architectures, folder.path(), &environment, &Reporter::new(true)).unwrap();
            let made: Vec<&str> = packages.iter().map(|package| package.control.arch.as_str()).collect();
            assert_eq!(made, ["amd64", "armel"]);
        }
    }

    #[test]
    fn maintainers_have_an_address() {
        for good in ["A Person <a@example.org>", "\"A, B\" <a@b>"] {
            assert!(is_reachable(good), "{good}");
        }
        for bad in ["nobody", "a@example.org", "A <>", "<a@b>", "A <a b@c>", "A <a@b> x"] {
            assert!(!is_reachable(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_unchanged_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        std::fs::write(&path, format!("{RECIPE}arch: all\nmtime: 2023-01-02\n")).unwrap();
        let write_with = |text: &str| {
            std::fs::write(folder.path().join("x"), text).unwrap();
            let reporter = Reporter::new(true);
            let packages = packages(&path, &[], folder.path(), &|_: &str| None, &reporter).unwrap();
            let deb = write(&packages, folder.path(), &reporter).unwrap().remove(0);
            let inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&deb).unwrap());
            (inode, Sha256::of_file(&deb).unwrap())
        };
        let first = write_with("one");
        assert_eq!(write_with("one"), first);
        assert_ne!(write_with("two"), first);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, part) in [
            (RECIPE.to_owned(), "has no `arch`: write it, or give `--arch`"),
            (RECIPE.replace("name: tool\n", ""), "has no `name`"),
            (RECIPE.replace("v1.2.3-beta", "${UNSET}"), "has no `version`"),
        ] {
            let error = made(&text, &[]).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
