//! The control archive of a package: its stanza, its scripts and its lists.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use debversion::Version;

use super::relation::Relations;
use super::stanza::Stanza;

/// A member of the control archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Content.
    pub content: Bytes,
    /// Permission bits.
    pub mode: u32,
    /// Modification time, seconds since 1970.
    pub mtime: i64,
}

/// What a package says of itself.
#[derive(Clone, Debug)]
pub struct Control {
    /// `Package`.
    pub name: String,
    /// `Version`.
    pub version: Version,
    /// `Architecture`.
    pub architecture: String,
    /// `Essential: yes`.
    pub essential: bool,
    /// `Multi-Arch: same`: dpkg names its files `NAME:ARCH.*`.
    pub multi_arch_same: bool,
    /// `Depends`.
    pub depends: Relations,
    /// `Pre-Depends`.
    pub pre_depends: Relations,
    /// `Provides`.
    pub provides: Relations,
    /// `Replaces`.
    pub replaces: Relations,
    /// The whole stanza.
    pub stanza: Stanza,
    /// The other members by name (`postinst`, `conffiles`, `triggers`, `md5sums`, `templates`, …).
    pub members: BTreeMap<String, Member>,
}

/// A line of `conffiles` (`deb-conffiles(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conffile {
    /// Absolute path.
    pub path: String,
    /// The package does not ship it: an upgrade removes it.
    pub remove_on_upgrade: bool,
}

/// A line of `triggers` (`deb-triggers(5)`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Whether the package waits for (`interest`) or sets off (`activate`) the trigger.
    pub interest: bool,
    /// Whether who sets it off is configured only when it has been processed.
    pub awaits: bool,
    /// Its name; a file trigger's is an absolute path.
    pub name: String,
}

impl Control {
    /// Reads an uncompressed `control.tar`.
    pub fn parse(tar: &[u8]) -> Result<Self> {
        let mut members = BTreeMap::new();
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            let path = String::from_utf8(entry.path_bytes().into_owned())
                .map_err(|_| anyhow::anyhow!("a member's name is not UTF-8"))?;
            let name = path.trim_start_matches("./").trim_end_matches('/');
            if name.is_empty() {
                continue;
            }
            if !entry.header().entry_type().is_file() || name.contains('/') || name.starts_with('.') {
                bail!("`{path}` is not something a control archive may hold");
            }
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            let member = Member {
                content: content.into(),
                mode: entry.header().mode()? & 0o777,
                mtime: i64::try_from(entry.header().mtime()?).unwrap_or(0),
            };
            members.insert(name.to_owned(), member);
        }
        let Some(control) = members.remove("control") else {
            bail!("it has no `control` file");
        };
        let text = std::str::from_utf8(&control.content).context("`control` is not UTF-8")?;
        Self::from_stanza(Stanza::parse(text).context("reading `control`")?, members)
    }

    fn from_stanza(stanza: Stanza, members: BTreeMap<String, Member>) -> Result<Self> {
        let field = |name: &str| match stanza.get(name) {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => Err(anyhow::anyhow!("`control` has no `{name}` field")),
        };
        let name = field("Package")?;
        if !is_package_name(&name) {
            bail!("`{name}` is not a package name (Policy 5.6.1)");
        }
        let version = field("Version")?;
        let version = match version.parse() {
            Ok(version) => version,
            Err(error) => bail!("package {name} has the version `{version}`: {error}"),
        };
        let architecture = field("Architecture")?;
        if !architecture.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            bail!("package {name} has the architecture `{architecture}`, which is not one");
        }
        let relations = |field: &str| {
            Relations::parse(stanza.get(field).unwrap_or_default())
                .with_context(|| format!("reading {field} of package {name}"))
        };
        Ok(Self {
            depends: relations("Depends")?,
            pre_depends: relations("Pre-Depends")?,
            provides: relations("Provides")?,
            replaces: relations("Replaces")?,
            essential: stanza.get("Essential") == Some("yes"),
            multi_arch_same: stanza.get("Multi-Arch") == Some("same"),
            name,
            version,
            architecture,
            stanza,
            members,
        })
    }

    /// A member's text, invalid UTF-8 replaced.
    pub fn text(&self, member: &str) -> Option<String> {
        let member = self.members.get(member)?;
        Some(String::from_utf8_lossy(&member.content).into_owned())
    }

    /// The name dpkg gives to this package's files: `NAME`, or `NAME:ARCH` for `Multi-Arch: same`.
    pub fn file_stem(&self) -> String {
        if self.multi_arch_same {
            format!("{}:{}", self.name, self.architecture)
        } else {
            self.name.clone()
        }
    }

    /// The conffiles, in order.
    pub fn conffiles(&self) -> Vec<Conffile> {
        let text = self.text("conffiles").unwrap_or_default();
        let lines = text.lines().map(|line| {
            let line = line.trim();
            let path = line.strip_prefix("remove-on-upgrade").map(str::trim_start);
            Conffile {
                path: path.unwrap_or(line).to_owned(),
                remove_on_upgrade: path.is_some(),
            }
        });
        lines.filter(|conffile| conffile.path.starts_with('/')).collect()
    }

    /// The lines of `triggers`.
    pub fn triggers(&self) -> Result<Vec<Trigger>> {
        let mut found = Vec::new();
        for line in self.text("triggers").unwrap_or_default().lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let (Some(directive), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            let (interest, awaits) = match directive {
                "interest" | "interest-await" => (true, true),
                "interest-noawait" => (true, false),
                "activate" | "activate-await" => (false, true),
                "activate-noawait" => (false, false),
                other => bail!("package {}: `{other}` is not a trigger directive", self.name),
            };
            let name = name.to_owned();
            found.push(Trigger { interest, awaits, name });
        }
        Ok(found)
    }
}

/// Policy 5.6.1, so that a name is safe as part of a file name.
fn is_package_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    name.len() >= 2 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed)
}
