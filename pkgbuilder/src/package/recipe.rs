//! A component's recipe and what its source gave: a [`Package`].

use std::collections::BTreeMap;

use anyhow::Result;
use computatom_spec::arch::Arch;

use super::control::Control;
use super::data::{self, Entry};
use super::deb::Package;
use super::scripts::Scripts;
use super::{documents, elf};
use crate::definition::image::{Component, Content, Recipe};
use crate::{bail_input, input_error};

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Files by their name in the archive, module or build.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What it is made from, as a changelog says it: URL, or module and toolchain.
    pub origin: String,
    /// When upstream made it, seconds since 1970: every time stamp of the package.
    pub epoch: i64,
}

/// Names of the files that a recipe takes from its source: the contents' `src` and the licence, whose names are
/// alternatives.
pub fn wanted(recipe: &Recipe) -> Vec<&str> {
    let sources = recipe
        .contents
        .iter()
        .filter(|content| content.kind != "symlink")
        .filter_map(|content| content.src.as_deref());
    sources
        .chain(recipe.copyright.files.iter().map(String::as_str))
        .collect()
}

/// The Debian version of a component's package.
pub fn version(component: &Component, recipe: &Recipe) -> String {
    format!("{}-{}", component.version, recipe.revision)
}

/// The control stanza as far as the recipe alone tells it, and so before anything was fetched or built: what the solver
/// is asked with. It lacks what only the files of the source tell, their size and what programs need from the C library.
///
/// The C library is left to those files on purpose: which version a program needs depends on the machine that built it,
/// and a lock must not. That the chosen packages have what the finished ones need is looked at before composing.
pub fn declared(component: &Component, recipe: &Recipe, arch: Arch) -> Control {
    let placed: Vec<Entry> = recipe
        .contents
        .iter()
        .map(|content| Entry::file(&content.dst, 0, Vec::new()))
        .collect();
    let mut depends = recipe.depends.clone();
    depends.extend(providers(&Scripts::of(&placed, &recipe.services)));
    Control {
        package: component.name.clone(),
        version: version(component, recipe),
        arch: arch.to_string(),
        maintainer: recipe.maintainer.clone(),
        installed_size: 0,
        depends,
        recommends: recipe.recommends.clone(),
        provides: Vec::new(),
        conflicts: Vec::new(),
        replaces: Vec::new(),
        section: recipe.section.clone(),
        homepage: component.homepage.clone(),
        summary: component.summary.clone(),
        description: component.description.clone(),
    }
}

/// Makes the package of `component` for `arch`.
pub fn package(component: &Component, recipe: &Recipe, arch: Arch, payload: &Payload) -> Result<Package> {
    let name = &component.name;
    let mut control = declared(component, recipe, arch);
    let mut entries = Vec::new();
    let mut libraries = Vec::new();
    for content in &recipe.contents {
        let entry = entry(name, content, payload)?;
        if let data::Kind::File(bytes) = &entry.kind
            && let Some(relation) = elf::depends(&content.dst, bytes, arch)?
            && !control.depends.contains(&relation)
            && !libraries.contains(&relation)
        {
            libraries.push(relation);
        }
        entries.push(entry);
    }
    let licence = recipe
        .copyright
        .files
        .iter()
        .find_map(|file| payload.files.get(file))
        .ok_or_else(|| missing(name, &recipe.copyright.files.join(" or "), payload))?;
    let licence = String::from_utf8_lossy(licence);
    let doc = format!("/usr/share/doc/{name}");
    let copyright = documents::copyright(component, &recipe.copyright.holder, &payload.origin, &licence);
    entries.push(Entry::file(&format!("{doc}/copyright"), 0o644, copyright.into_bytes()));
    let changelog = documents::changelog(
        component,
        &control.version,
        &recipe.maintainer,
        &payload.origin,
        payload.epoch,
    );
    entries.push(documents::gzip(&format!("{doc}/changelog.Debian.gz"), &changelog)?);
    let overrides = documents::lintian_overrides(component);
    let path = format!("/usr/share/lintian/overrides/{name}");
    entries.push(Entry::file(&path, 0o644, overrides.into_bytes()));
    data::arrange(&mut entries);
    let scripts = Scripts::of(&entries, &recipe.services);
    // Behind what the recipe asks for, before what its scripts call: an order that depends on nothing else.
    control
        .depends
        .splice(recipe.depends.len()..recipe.depends.len(), libraries);
    control.installed_size = data::installed_size(&entries);
    Ok(Package {
        control,
        entries,
        scripts,
        epoch: payload.epoch,
    })
}

fn entry(name: &str, content: &Content, payload: &Payload) -> Result<Entry> {
    let Ok(mode) = u32::from_str_radix(&content.mode, 8) else {
        bail_input!("{name}: `{}` is not an octal mode", content.mode);
    };
    let mut entry = match (content.kind.as_str(), &content.src, &content.text) {
        ("dir", ..) => Entry::dir(&content.dst, mode),
        ("symlink", Some(target), _) => Entry::symlink(&content.dst, target),
        (_, Some(src), _) => {
            let bytes = payload.files.get(src).ok_or_else(|| missing(name, src, payload))?;
            Entry::file(&content.dst, mode, bytes.clone())
        }
        (_, None, text) => Entry::file(&content.dst, mode, text.clone().unwrap_or_default().into_bytes()),
    };
    entry.conffile = content.kind == "config";
    Ok(entry)
}

fn missing(name: &str, file: &str, payload: &Payload) -> anyhow::Error {
    input_error!(
        "packaging {name}: there is no {file} in {}; check the recipe's `src`",
        payload.origin
    )
}

/// What the scripts call and a system without systemd may lack, as `dh_installsysusers` and `dh_installtmpfiles` add it.
fn providers(scripts: &Scripts) -> Vec<String> {
    ["sysusers", "tmpfiles"]
        .iter()
        .filter(|tool| scripts.postinst.contains(&format!("systemd-{tool} ")))
        .map(|tool| format!("systemd | systemd-standalone-{tool} | systemd-{tool}"))
        .collect()
}
