//! What a definition says is checked here, once: later stages rely on it.

/// Components.
mod component;

/// Further apt sources.
mod apt_source;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use computatom_spec::role::Role;
use computatom_spec::site::Site;

use super::exclude;
use super::image::{Debian, Image, ImageFile, Partitions, Target, Units};
use super::raw::{RawFile, RawImage, RawTarget};
use super::sources::Sources;
use super::{names, nearest};
use crate::input_error;

/// The largest card we reckon with: 2 TiB, where an MBR ends.
const LARGEST_MIB: u64 = 2 << 20;

/// Checks one definition; errors name the file and line that wrote the field.
pub(super) struct Validator<'a> {
    sources: &'a Sources,
    boards: &'a [&'a str],
}

impl<'a> Validator<'a> {
    pub(super) fn new(sources: &'a Sources, boards: &'a [&'a str]) -> Self {
        Self { sources, boards }
    }

    pub(super) fn image(&self, raw: RawImage, site: Site) -> Result<Image> {
        if !names::host(&raw.name) {
            return Err(self.wrong(
                "name",
                format!("`{}` is not a name: use lower-case letters, digits, `-`", raw.name),
            ));
        }
        if raw.description.lines().count() > 1 {
            return Err(self.wrong("description", "one line, please"));
        }
        let roles = self.roles(&raw)?;
        self.debian(&raw.debian)?;
        self.units(&raw.units)?;
        self.partitions(raw.partitions)?;
        if raw.disk_gib == 0 || raw.disk_gib > LARGEST_MIB >> 10 {
            let text = format!(
                "{} GiB for the disk of a virtual machine: it takes 1 to {}",
                raw.disk_gib,
                LARGEST_MIB >> 10
            );
            return Err(self.wrong("disk_gib", text));
        }
        exclude::rules(&raw.exclude).map_err(|text| self.wrong("exclude", text))?;
        for word in &raw.cmdline {
            if word.is_empty() || word.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(self.wrong("cmdline", format!("`{word}` is not one word of a command line")));
            }
        }
        let catalog = &raw.catalog;
        let components = raw
            .components
            .into_iter()
            .map(|(name, component)| self.component(name, component, catalog))
            .collect::<Result<_>>()?;
        Ok(Image {
            name: raw.name,
            description: raw.description,
            targets: self.targets(raw.targets)?,
            roles,
            debian: raw.debian,
            components,
            exclude: raw.exclude,
            files: self.files(raw.files)?,
            units: raw.units,
            partitions: raw.partitions,
            disk_gib: raw.disk_gib,
            cmdline: raw.cmdline,
            site,
        })
    }

    /// The roles that the image can be, each with the programs that it takes.
    fn roles(&self, raw: &RawImage) -> Result<Vec<Role>> {
        self.distinct("roles", &raw.roles)?;
        let known = Role::ALL.map(|role| role.name().to_owned());
        let mut roles = Vec::new();
        for name in &raw.roles {
            let Some(role) = Role::ALL.into_iter().find(|role| role.name() == name) else {
                let near = nearest(name, &known);
                let text = format!("unknown role `{name}`{near}; there are: {}", known.join(", "));
                return Err(self.wrong("roles", text));
            };
            let missing = programs(role).iter().find(|&&program| {
                !raw.components.contains_key(program) && !raw.debian.packages.iter().any(|it| it == program)
            });
            if let Some(program) = missing {
                let text = format!("a {role} needs `{program}`: add it to `components`, or leave the role out");
                return Err(self.wrong("roles", text));
            }
            roles.push(role);
        }
        roles.sort_unstable();
        Ok(roles)
    }

    fn targets(&self, raw: Vec<RawTarget>) -> Result<Vec<Target>> {
        if raw.is_empty() {
            return Err(self.wrong("targets", "an image needs a target, such as `raspberrypi-arm64`"));
        }
        let mut seen = BTreeSet::new();
        raw.into_iter()
            .map(|target| {
                let name = target.name;
                let boards: Vec<String> = self.boards.iter().map(|&board| board.to_owned()).collect();
                if !boards.contains(&name) {
                    let near = nearest(&name, &boards);
                    let text = format!("unknown target `{name}`{near}; there are: {}", boards.join(", "));
                    return Err(self.wrong("targets", text));
                }
                if !seen.insert(name.clone()) {
                    return Err(self.wrong("targets", format!("`{name}` is there twice")));
                }
                let Some(arch) = target.arch else {
                    let text =
                        format!("`{name}` has no entry in jsonnet/targets.libsonnet: add its architecture there");
                    return Err(self.wrong("targets", text));
                };
                self.packages("targets", &target.packages)?;
                let mut formats = target.formats;
                formats.sort_unstable();
                if formats.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err(self.wrong("targets", format!("`{name}` has one of its `formats` twice")));
                }
                Ok(Target {
                    name,
                    arch,
                    packages: target.packages,
                    formats,
                })
            })
            .collect()
    }

    fn debian(&self, debian: &Debian) -> Result<()> {
        for (key, list) in [
            ("debian.suites", &debian.suites),
            ("debian.components", &debian.components),
        ] {
            if list.is_empty() {
                return Err(self.wrong(key, "at least one is needed"));
            }
            for name in list {
                if !names::suite(name) {
                    return Err(self.wrong(key, format!("`{name}` is not a name as in `trixie-updates`")));
                }
            }
            self.distinct(key, list)?;
        }
        self.packages("debian.packages", &debian.packages)?;
        self.packages("debian.prefer", &debian.prefer)?;
        self.packages("debian.avoid", &debian.avoid)?;
        if let Some(name) = debian.packages.iter().find(|name| debian.avoid.contains(name)) {
            return Err(self.wrong("debian.avoid", format!("`{name}` is in `packages` as well: remove one")));
        }
        self.apt_sources(debian)
    }

    fn packages(&self, key: &str, packages: &[String]) -> Result<()> {
        for name in packages {
            if !names::package(name) {
                let text = format!("`{name}` is not a Debian package name: lower-case letters, digits, `+`, `-`, `.`");
                return Err(self.wrong(key, text));
            }
        }
        self.distinct(key, packages)
    }

    fn units(&self, units: &Units) -> Result<()> {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, list) in [
            ("units.enable", &units.enable),
            ("units.disable", &units.disable),
            ("units.mask", &units.mask),
        ] {
            for unit in list {
                if !names::unit(unit) {
                    return Err(self.wrong(
                        key,
                        format!("`{unit}` is not a unit: write its type, as in `ssh.service`"),
                    ));
                }
                if let Some(other) = seen.insert(unit, key) {
                    return Err(self.wrong(key, format!("`{unit}` is in `{other}` already")));
                }
            }
        }
        Ok(())
    }

    fn partitions(&self, sizes: Partitions) -> Result<()> {
        // FAT32 begins at 65 525 clusters; below 33 MiB the boot partitions become FAT16, which the firmware reads too.
        for (key, size, least, holds) in [
            ("partitions.bootsel_mib", sizes.bootsel_mib, 4, "the boot selector"),
            (
                "partitions.boot_mib",
                sizes.boot_mib,
                64,
                "firmware, kernel and initramfs",
            ),
            ("partitions.root_mib", sizes.root_mib, 64, "the root file system"),
        ] {
            if size < least || size > LARGEST_MIB {
                return Err(self.wrong(
                    key,
                    format!("{size} MiB for {holds}: it takes {least} to {LARGEST_MIB}"),
                ));
            }
        }
        Ok(())
    }

    fn files(&self, raw: BTreeMap<String, RawFile>) -> Result<Vec<ImageFile>> {
        raw.into_iter()
            .map(|(path, file)| {
                let key = format!("files.{path}");
                self.path(&key, &path)?;
                if file.text.is_some() == file.symlink.is_some() {
                    return Err(self.wrong(&key, format!("`{path}` needs either `text` or `symlink`")));
                }
                let mode = file.mode.unwrap_or_else(|| "0644".to_owned());
                self.mode(&key, &mode)?;
                Ok(ImageFile {
                    path,
                    text: file.text,
                    symlink: file.symlink,
                    mode,
                })
            })
            .collect()
    }

    fn path(&self, key: &str, path: &str) -> Result<()> {
        let parts = path.strip_prefix('/').map(|rest| rest.split('/').collect::<Vec<_>>());
        if parts.is_none_or(|parts| parts.iter().any(|part| ["", ".", ".."].contains(part))) {
            return Err(self.wrong(
                key,
                format!("`{path}` is not an absolute path without `.`, `..` and `//`"),
            ));
        }
        Ok(())
    }

    fn mode(&self, key: &str, mode: &str) -> Result<()> {
        match u32::from_str_radix(mode, 8) {
            Ok(bits) if bits <= 0o7777 && (3..=4).contains(&mode.len()) => Ok(()),
            _ => Err(self.wrong(key, format!("`{mode}` is not an octal mode such as `0644`"))),
        }
    }

    fn distinct(&self, key: &str, list: &[String]) -> Result<()> {
        let mut seen = BTreeSet::new();
        match list.iter().find(|name| !seen.insert(*name)) {
            Some(twice) => Err(self.wrong(key, format!("`{twice}` is there twice"))),
            None => Ok(()),
        }
    }

    /// The error for the field at `key`, with the place that wrote it.
    fn wrong(&self, key: &str, text: impl std::fmt::Display) -> anyhow::Error {
        let file = self
            .sources
            .files()
            .first()
            .map_or("the definition", |file| file.shown.as_str());
        match self.sources.field(key) {
            Some(place) => input_error!("{}: `{key}`: {text}", self.sources.position(place)),
            None => input_error!("{file}: `{key}`: {text}"),
        }
    }
}

/// The components, or packages of Debian, without which no node can have `role`.
fn programs(role: Role) -> &'static [&'static str] {
    match role {
        Role::Server | Role::Client => &["consul", "nomad"],
        Role::Monitor => &["consul", "prometheus"],
    }
}
