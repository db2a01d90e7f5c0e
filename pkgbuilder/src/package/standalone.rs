//! Packages of recipes that are files of their own, outside any definition: `pkgbuilder packages --recipe`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_spec::manifest::PackageRecord;

use super::deb::Package;
use super::recipe;
use crate::atomic::Pending;
use crate::definition::recipe::{Recipe, read_file};
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
    let mut recipe = read_file(path)?;
    expand(&mut recipe, path, environment, reporter);
    let recipe = recipe.for_deb();
    if recipe.name.is_empty() || recipe.version.is_empty() {
        let missing = if recipe.name.is_empty() { "name" } else { "version" };
        bail_input!("{}: the recipe has no `{missing}`: write it", path.display());
    }
    let epoch = match environment("SOURCE_DATE_EPOCH") {
        Some(text) => {
            let epoch: i64 = text
                .parse()
                .map_err(|_| input_error!("$SOURCE_DATE_EPOCH is `{text}`, not a number of seconds"))?;
            Some(epoch)
        }
        None => None,
    };
    recipes(&recipe, architectures, path)?
        .iter()
        .map(|recipe| recipe::of_files(recipe, folder, epoch).with_context(|| format!("reading {}", path.display())))
        .collect()
}

/// The recipe for each architecture.
fn recipes(recipe: &Recipe, architectures: &[String], path: &Path) -> Result<Vec<Recipe>> {
    let said = if recipe.deb.arch.is_empty() {
        &recipe.arch
    } else {
        &recipe.deb.arch
    };
    if said.is_empty() && architectures.is_empty() {
        bail_input!(
            "{}: the recipe has no `arch`: write it, or give `--arch`",
            path.display()
        );
    }
    if said == "all" || architectures.is_empty() {
        return Ok(vec![recipe.clone()]);
    }
    let one = |arch: &String| {
        let mut recipe = recipe.clone();
        recipe.deb.arch.clone_from(arch);
        recipe
    };
    Ok(architectures.iter().map(one).collect())
}

/// Fills in variables; one that is not set is empty, as for nfpm, but not silently so.
fn expand(recipe: &mut Recipe, path: &Path, environment: Environment<'_>, reporter: &Reporter) {
    let mut unset = BTreeSet::new();
    recipe.expand(&mut |name| {
        let value = environment(name);
        if value.is_none() {
            unset.insert(name.to_owned());
        }
        value
    });
    for name in unset {
        reporter.warn(format_args!(
            "{}: ${name} is not set and taken as empty",
            path.display()
        ));
    }
}

/// Writes packages into the folder `output` under their usual names, each whole or not at all; gives back where.
pub fn write(packages: &[Package], output: &Path, reporter: &Reporter) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for package in packages {
        let name = package.file_name();
        let bar = reporter.busy(format!("packing {name}"));
        let mut pending = Pending::create(&output.join(&name))?;
        package
            .write(pending.file())
            .with_context(|| format!("packing {name}"))?;
        written.push(pending.commit()?);
        bar.finish_and_clear();
    }
    Ok(written)
}

/// What is said about `package`, written to `path`.
pub fn record(package: &Package, path: &Path) -> Result<PackageRecord> {
    Ok(PackageRecord {
        name: package.control.package.clone(),
        version: package.control.version.clone(),
        architecture: package.control.arch.clone(),
        digest: format!("sha256:{}", Sha256::of_file(path)?),
        source: "recipe".to_owned(),
        origin: String::new(),
        verified: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str =
        "name: tool\nversion: v1.2.3-beta\nmaintainer: A Person\ncontents:\n- {src: x, dst: /usr/bin/x}\n";

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
