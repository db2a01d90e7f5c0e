//! Configuration packages: what makes an ordinary Debian or Raspberry Pi OS machine, without our image, a member of a
//! cluster.
//!
//! They hold what a person says about one cluster, keys included, so they never touch the cache: they are written to
//! a folder that only their maker can read ([`FOLDER`]), apart from the packages that are served to others. A key lies
//! in a file of the package that only root (and the program's own group) can read, and nowhere else.

use std::fmt::Write as _;

/// Values that nobody but their reader may see.
pub mod secret;

/// What the packages are made from.
pub mod settings;

/// What a package consists of.
mod parts;

/// Its maintainer scripts.
mod scripts;

/// The little HCL that is needed.
mod hcl;

/// `consul-config-*`
mod consul;

/// `nomad-config-*`
mod nomad;

/// `prometheus-config-local`
mod prometheus;

/// `wifi-local`
mod wifi;

/// Which revision a package has.
mod revisions;

/// The folder of the finished packages.
mod folder;

use anyhow::Result;

use self::parts::Parts;
pub use self::settings::Settings;
use super::control::Control;
use super::data::{self, Entry};
use super::deb::Package;
use super::documents;
use super::scripts::Scripts;
use crate::bail_input;
use crate::definition::{maintainer, nearest};

pub use self::folder::{FOLDER, Written, write};

/// The time stamp of every file: the day the first of these packages was made. Settings have no date.
const EPOCH: i64 = 1_795_219_200;

const LICENCE: &str = "Apache-2.0 or MIT";

/// A configuration package that can be made.
#[derive(Debug)]
pub struct Member {
    /// Name of the package.
    pub name: &'static str,
    /// What it configures: the name before its first `-`.
    pub product: &'static str,
    /// Keys that it cannot do without.
    needs: &'static [&'static str],
    parts: fn(&Settings) -> Parts,
}

/// Every configuration package.
pub const MEMBERS: [Member; 9] = [
    Member::new(
        "consul-config-local",
        &["ConsulSerfEncrypt", "CoreServers"],
        consul::local,
    ),
    Member::new("consul-config-server", &["CoreServers"], consul::server),
    Member::new("consul-config-client", &[], consul::client),
    Member::new("consul-config-static-hostid", &[], consul::static_hostid),
    Member::new("nomad-config-local", &[], nomad::local),
    Member::new("nomad-config-server", &["CoreServers"], nomad::server),
    Member::new("nomad-config-client", &[], nomad::client),
    Member::new("prometheus-config-local", &["CoreServers"], prometheus::local),
    Member::new("wifi-local", &["WifiSsid", "WifiPsk"], wifi::local),
];

impl Member {
    const fn new(name: &'static str, needs: &'static [&'static str], parts: fn(&Settings) -> Parts) -> Self {
        let mut end = 0;
        while name.as_bytes()[end] != b'-' {
            end += 1;
        }
        let (product, _) = name.split_at(end);
        Self {
            name,
            product,
            needs,
            parts,
        }
    }

    /// Keys that this package needs and `settings` lack.
    pub fn missing(&self, settings: &Settings) -> Vec<&'static str> {
        self.needs.iter().copied().filter(|key| !settings.has(key)).collect()
    }

    /// The other members that this one cannot be installed without.
    pub fn depends(&self, settings: &Settings) -> Vec<&'static Member> {
        let depends = (self.parts)(settings).depends;
        let among = |member: &&Member| depends.iter().any(|name| name == member.name);
        MEMBERS.iter().filter(among).collect()
    }

    /// The first member that this one cannot be installed without and that `settings` do not suffice for.
    pub fn depends_on_missing(&self, settings: &Settings) -> Option<&'static Member> {
        self.depends(settings).into_iter().find_map(|member| {
            if member.missing(settings).is_empty() {
                member.depends_on_missing(settings)
            } else {
                Some(member)
            }
        })
    }

    /// The package with this Debian revision.
    fn package(&self, settings: &Settings, revision: u32) -> Result<Package> {
        let parts = (self.parts)(settings);
        let name = self.name;
        let version = format!("{}-{revision}", env!("CARGO_PKG_VERSION"));
        let mut entries: Vec<Entry> = parts.files.iter().map(parts::File::entry).collect();
        let doc = format!("/usr/share/doc/{name}");
        entries.push(Entry::file(
            &format!("{doc}/copyright"),
            0o644,
            copyright(name).into_bytes(),
        ));
        let changelog = format!(
            "{name} ({version}) stable; urgency=medium\n\n  * Made from the settings of one cluster.\n\n -- \
             {}  {}\n",
            maintainer(),
            super::date::ChangelogDate(EPOCH)
        );
        entries.push(documents::gzip(&format!("{doc}/changelog.Debian.gz"), &changelog)?);
        let overrides = lintian_overrides(name, &parts);
        entries.push(Entry::file(
            &format!("/usr/share/lintian/overrides/{name}"),
            0o644,
            overrides.into_bytes(),
        ));
        data::arrange(&mut entries);
        let texts = scripts::of(&parts);
        let mut depends = parts.depends;
        if texts.postinst.contains("systemd-sysusers") {
            depends.push("systemd | systemd-standalone-sysusers | systemd-sysusers".to_owned());
        }
        let siblings = MEMBERS.iter().filter(|member| {
            member.name != name && parts.family.is_some() && (member.parts)(settings).family == parts.family
        });
        Ok(Package {
            control: Control {
                package: name.to_owned(),
                version,
                arch: "all".to_owned(),
                maintainer: maintainer().to_owned(),
                installed_size: data::installed_size(&entries),
                depends,
                recommends: parts.recommends,
                provides: parts.family.map(str::to_owned).into_iter().collect(),
                conflicts: parts.family.map(str::to_owned).into_iter().collect(),
                // Its sibling's conffile becomes this package's, so that no other role is left behind.
                replaces: siblings.map(|member| member.name.to_owned()).collect(),
                section: "admin".to_owned(),
                summary: parts.summary,
                description: parts.description,
                ..Control::default()
            },
            entries,
            scripts: Scripts {
                postinst: texts.postinst,
                prerm: texts.prerm,
                postrm: texts.postrm,
                ..Scripts::default()
            },
            epoch: EPOCH,
            ..Package::default()
        })
    }
}

/// The members called `names`.
pub fn named(names: &[String]) -> Result<Vec<&'static Member>> {
    let mut members = Vec::new();
    for name in names {
        let Some(member) = MEMBERS.iter().find(|member| member.name == name) else {
            let known = MEMBERS.map(|member| member.name.to_owned());
            let nearest = nearest(name, &known);
            bail_input!(
                "there is no configuration package `{name}`{nearest}; there are {}",
                known.join(", ")
            );
        };
        members.push(member);
    }
    Ok(members)
}

fn copyright(name: &str) -> String {
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: {name}\n\n\
         Files: *\nCopyright: 2026 the authors of Computatom\nLicense: {LICENCE}\n \
         On Debian systems, the text of the Apache License is in\n /usr/share/common-licenses/Apache-2.0.\n"
    )
}

fn lintian_overrides(name: &str, parts: &Parts) -> String {
    let mut text = format!("# made for one cluster, not uploaded to Debian\n{name}: initial-upload-closes-no-bugs\n");
    for file in &parts.files {
        if file.audience != parts::Audience::Everyone {
            let path = file.path.trim_start_matches('/');
            let _ = writeln!(
                text,
                "# it holds a key\n{name}: non-standard-file-perm 0600 != 0644 [{path}]"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests;
