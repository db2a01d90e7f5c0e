//! A recipe and what it is made of: a [`Package`].

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;

use super::compression::Compression;
use super::contents::{self, Material};
use super::control::Control;
use super::data::{self, Body, Entry, Kind};
use super::deb::Package;
use super::scripts::Scripts;
use super::{chglog, documents, elf, places, version};
use crate::definition::image::Component;
use crate::definition::recipe::{self, ContentType, Copyright, LintianOverride, Recipe, Triggers, VersionSchema};
use crate::{bail_input, input_error};

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Files by their name in the archive, module or build.
    pub files: BTreeMap<String, Body>,
    /// What it is made from, as a changelog says it: URL, or module and toolchain.
    pub origin: String,
    /// When upstream made it, seconds since 1970: every time stamp of the package.
    pub epoch: i64,
}

impl Payload {
    /// The error for a name that it does not have.
    pub(super) fn missing(&self, file: &str) -> anyhow::Error {
        input_error!("there is no {file} in {}; check the recipe's `src`", self.origin)
    }
}

/// Names of the files that a recipe takes from its source: the contents' `src` and the licence, whose names are
/// alternatives.
pub fn wanted(recipe: &Recipe) -> Vec<&str> {
    let sources = recipe
        .contents
        .iter()
        .filter(|content| content.kind != ContentType::Symlink)
        .filter_map(|content| content.src.as_deref());
    sources
        .chain(
            recipe
                .copyright
                .iter()
                .flat_map(|copyright| &copyright.files)
                .map(String::as_str),
        )
        .collect()
}

/// A component's recipe with what the component says of itself.
fn whole(component: &Component, recipe: &Recipe, arch: Arch) -> Recipe {
    let mut whole = recipe.clone();
    whole.name.clone_from(&component.name);
    whole.version.clone_from(&component.version);
    whole.version_schema = VersionSchema::None;
    whole.license.clone_from(&component.license);
    whole.homepage.clone_from(&component.homepage);
    if whole.arch.is_empty() {
        whole.deb.arch = arch.to_string();
    }
    whole
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
        .map(|content| {
            let dst = places::into_folder(&content.dst, content.src.as_deref().unwrap_or_default());
            Entry::file(&dst, 0, Vec::new())
        })
        .collect();
    let own = &recipe.scripts;
    let own = Scripts {
        preinst: own.preinstall.clone(),
        postinst: own.postinstall.clone(),
        prerm: own.preremove.clone(),
        postrm: own.postremove.clone(),
    };
    let mut control = control(&whole(component, recipe, arch));
    // Scripts that cannot be merged are an error where the package is made.
    let scripts = Scripts::merged(own, &placed, &recipe.services).unwrap_or_default();
    control.depends.extend(providers(&scripts));
    control.summary.clone_from(&component.summary);
    control.description.clone_from(&component.description);
    control
}

/// Makes the package of `component` for `arch`.
pub fn package(component: &Component, recipe: &Recipe, arch: Arch, payload: &Payload) -> Result<Package> {
    let job = Job {
        recipe: &whole(component, recipe, arch),
        material: Material::Payload(payload),
        origin: &payload.origin,
        epoch: Some(payload.epoch),
        programs_for: Some(arch),
    };
    let mut package = job.package().with_context(|| format!("packaging {}", component.name))?;
    package.control.summary.clone_from(&component.summary);
    package.control.description.clone_from(&component.description);
    package.control.check()?;
    Ok(package)
}

/// Makes the package of a recipe of its own, whose files are named relative to `folder`. Its time stamps are the
/// recipe's `mtime`, else `epoch`, else the newest of its files'.
pub fn of_files(recipe: &Recipe, folder: &Path, epoch: Option<i64>) -> Result<Package> {
    let job = Job {
        recipe,
        material: Material::Folder(folder),
        origin: "",
        epoch,
        programs_for: None,
    };
    job.package().with_context(|| format!("packaging {}", recipe.name))
}

/// One package to make.
struct Job<'a> {
    /// All that is said about it.
    recipe: &'a Recipe,
    /// Where its files are.
    material: Material<'a>,
    /// What it is made from; empty where that is nobody's business.
    origin: &'a str,
    /// Time stamp that it has unless the recipe says one.
    epoch: Option<i64>,
    /// The architecture its programs must have; their libraries then become dependencies.
    programs_for: Option<Arch>,
}

impl Job<'_> {
    fn package(&self) -> Result<Package> {
        let recipe = self.recipe;
        recipe::check(recipe).map_err(|misfit| input_error!("`{}`: {}", misfit.key, misfit.text))?;
        let found = contents::find(recipe, self.material)?;
        let mtime = recipe.mtime.map(|moment| moment.0);
        let epoch = mtime.or(self.epoch).unwrap_or(found.newest);
        let mut entries = found.entries;
        let mut control = control(recipe);
        if let Some(arch) = self.programs_for {
            add_libraries(&mut control.depends, &entries, arch)?;
        }
        self.add_documents(&mut entries, &control.version, epoch)?;
        data::arrange(&mut entries);
        let scripts = self.scripts(&entries)?;
        // What the recipe asks for, what its programs need, what its scripts call: an order that depends on nothing else.
        control.depends.extend(providers(&scripts));
        control.installed_size = data::installed_size(&entries);
        let compression = match recipe.deb.compression.as_str() {
            "" => Compression::default(),
            text => Compression::parse(text)?,
        };
        let package = Package {
            control,
            entries,
            scripts,
            members: self.members()?,
            epoch,
            compression,
        };
        package.control.check()?;
        Ok(package)
    }

    /// A text file that the recipe names.
    fn text(&self, file: &str) -> Result<String> {
        let bytes = match self.material {
            Material::Payload(payload) => {
                let body = payload.files.get(file).ok_or_else(|| payload.missing(file))?;
                body.read()?.to_vec()
            }
            Material::Folder(folder) => std::fs::read(folder.join(file)).map_err(|error| {
                input_error!(
                    "cannot read `{file}` in {}, which the recipe names: {error}",
                    folder.display()
                )
            })?,
        };
        String::from_utf8(bytes).map_err(|_| input_error!("`{file}`, which the recipe names, is not UTF-8 text"))
    }

    fn add_documents(&self, entries: &mut Vec<Entry>, version: &str, epoch: i64) -> Result<()> {
        let recipe = self.recipe;
        let name = &recipe.name;
        let doc = format!("/usr/share/doc/{name}");
        if let Some(copyright) = &recipe.copyright {
            let text = documents::copyright(&documents::Copyright {
                name,
                homepage: &recipe.homepage,
                origin: self.origin,
                holder: &copyright.holder,
                license: &recipe.license,
                text: &self.licence(copyright)?,
            });
            entries.push(Entry::file(&format!("{doc}/copyright"), 0o644, text.into_bytes()));
        }
        let changelog = if !recipe.changelog.is_empty() {
            let releases =
                recipe::read_yaml::<Vec<chglog::Release>>(&self.text(&recipe.changelog)?, &recipe.changelog)?;
            Some(chglog::format(name, &releases))
        } else if recipe.copyright.is_some() {
            let origin = if self.origin.is_empty() {
                "a recipe"
            } else {
                self.origin
            };
            Some(documents::changelog(name, version, &recipe.maintainer, origin, epoch))
        } else {
            None
        };
        if let Some(changelog) = changelog {
            entries.push(documents::gzip(&format!("{doc}/changelog.Debian.gz"), &changelog)?);
        }
        let not_uploaded = LintianOverride {
            tag: "initial-upload-closes-no-bugs".to_owned(),
            reason: "made for our images, not uploaded to Debian".to_owned(),
        };
        let always = recipe.copyright.is_some();
        let overrides = always
            .then_some(&not_uploaded)
            .into_iter()
            .chain(&recipe.lintian_overrides);
        let overrides = documents::lintian_overrides(name, overrides);
        if !overrides.is_empty() {
            let path = format!("/usr/share/lintian/overrides/{name}");
            entries.push(Entry::file(&path, 0o644, overrides.into_bytes()));
        }
        let mut paths: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
        paths.sort_unstable();
        if let Some([twice, _]) = paths.array_windows().find(|[one, next]| one == next) {
            bail_input!(
                "`{}` is written from other fields of the recipe: remove it from `contents`",
                twice
            );
        }
        Ok(())
    }

    /// The first of the licence files that is there.
    fn licence(&self, copyright: &Copyright) -> Result<String> {
        let there = |file: &&String| match self.material {
            Material::Payload(payload) => payload.files.contains_key(*file),
            Material::Folder(folder) => folder.join(file).is_file(),
        };
        let names = || copyright.files.join(" or ");
        let file = copyright.files.iter().find(there).ok_or_else(|| match self.material {
            Material::Payload(payload) => payload.missing(&names()),
            Material::Folder(folder) => {
                input_error!(
                    "there is no {} in {}: check `copyright.files`",
                    names(),
                    folder.display()
                )
            }
        })?;
        let bytes = match self.material {
            Material::Payload(payload) => payload.files[file].read()?.to_vec(),
            Material::Folder(_) => return self.text(file),
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn scripts(&self, entries: &[Entry]) -> Result<Scripts> {
        let own = &self.recipe.scripts;
        let text = |script: &str| match script {
            "" => Ok(String::new()),
            script if script.starts_with("#!") => Ok(script.to_owned()),
            file => self.text(file),
        };
        let own = Scripts {
            preinst: text(&own.preinstall)?,
            postinst: text(&own.postinstall)?,
            prerm: text(&own.preremove)?,
            postrm: text(&own.postremove)?,
        };
        Scripts::merged(own, entries, &self.recipe.services).map_err(|text| input_error!("{text}"))
    }

    /// What control.tar has beside the usual: triggers and debconf's files.
    fn members(&self) -> Result<Vec<Entry>> {
        let deb = &self.recipe.deb;
        let mut members = Vec::new();
        let triggers = triggers(&deb.triggers)?;
        if !triggers.is_empty() {
            members.push(Entry::file("/triggers", 0o644, triggers.into_bytes()));
        }
        for (name, file, mode) in [
            ("rules", &deb.scripts.rules, 0o755),
            ("templates", &deb.scripts.templates, 0o644),
            ("config", &deb.scripts.config, 0o755),
        ] {
            if !file.is_empty() {
                members.push(Entry::file(&format!("/{name}"), mode, self.text(file)?.into_bytes()));
            }
        }
        Ok(members)
    }
}

/// The control stanza that the recipe tells.
fn control(recipe: &Recipe) -> Control {
    let (summary, description) = description(&recipe.description);
    Control {
        package: recipe.name.clone(),
        version: version::debian(recipe),
        arch: architecture(recipe),
        arch_variant: recipe.deb.arch_variant.clone(),
        maintainer: recipe.maintainer.clone(),
        installed_size: 0,
        pre_depends: recipe.deb.predepends.clone(),
        depends: recipe.depends.clone(),
        recommends: recipe.recommends.clone(),
        suggests: recipe.suggests.clone(),
        conflicts: recipe.conflicts.clone(),
        breaks: recipe.deb.breaks.clone(),
        replaces: recipe.replaces.clone(),
        provides: recipe.provides.clone(),
        section: recipe.section.clone(),
        priority: recipe.priority.clone(),
        homepage: recipe.homepage.clone(),
        summary,
        description,
        fields: recipe.deb.fields.clone(),
    }
}

/// Adds the C library that programs among the files need, once, in its newest version.
fn add_libraries(depends: &mut Vec<String>, entries: &[Entry], arch: Arch) -> Result<()> {
    for entry in entries {
        if let Kind::File(body) = &entry.kind
            && let Some(relation) = elf::depends(&entry.path, body, arch)?
            && !depends.contains(&relation)
        {
            depends.push(relation);
        }
    }
    Ok(())
}

/// The control file `triggers`, deb-triggers(5).
fn triggers(triggers: &Triggers) -> Result<String> {
    let mut text = String::new();
    for (directive, names) in [
        ("interest", &triggers.interest),
        ("interest-await", &triggers.interest_await),
        ("interest-noawait", &triggers.interest_noawait),
        ("activate", &triggers.activate),
        ("activate-await", &triggers.activate_await),
        ("activate-noawait", &triggers.activate_noawait),
    ] {
        for name in names {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic()) {
                bail_input!("`{name}` in `deb.triggers` is not the name of a trigger: ASCII without spaces");
            }
            text.extend([directive, " ", name, "\n"]);
        }
    }
    Ok(text)
}

/// Synopsis and extended description; lines lose the spaces around them, as nfpm has it.
fn description(text: &str) -> (String, String) {
    let text = if text.trim().is_empty() {
        "no description given"
    } else {
        text.trim()
    };
    let mut lines = text.lines().map(str::trim);
    let summary = lines.next().unwrap_or_default().to_owned();
    (summary, lines.flat_map(|line| [line, "\n"]).collect())
}

/// Debian's name of a recipe's architecture, which may be Go's.
fn architecture(recipe: &Recipe) -> String {
    let arch = match recipe.arch.as_str() {
        _ if !recipe.deb.arch.is_empty() => recipe.deb.arch.as_str(),
        "386" => "i386",
        "aarch64" => "arm64",
        "arm5" => "armel",
        "arm6" | "arm7" => "armhf",
        "mips64le" => "mips64el",
        "mipsle" => "mipsel",
        "ppc64le" => "ppc64el",
        "s390" => "s390x",
        "x86_64" => "amd64",
        arch => arch,
    };
    match recipe.platform.as_str() {
        "" | "linux" => arch.to_owned(),
        platform => format!("{platform}-{arch}"),
    }
}

/// What the scripts call and a system without systemd may lack, as `dh_installsysusers` and `dh_installtmpfiles` add it.
fn providers(scripts: &Scripts) -> Vec<String> {
    ["sysusers", "tmpfiles"]
        .iter()
        .filter(|tool| scripts.postinst.contains(&format!("systemd-{tool} ")))
        .map(|tool| format!("systemd | systemd-standalone-{tool} | systemd-{tool}"))
        .collect()
}
