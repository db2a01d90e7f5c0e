//! The control stanza of a binary package (Debian Policy 5.3).

use std::fmt;

/// What dpkg and the solver know about a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// `Package`
    pub package: String,
    /// `Version`, with its Debian revision.
    pub version: String,
    /// `Architecture`; `all` where no program is in it.
    pub arch: String,
    /// `Maintainer`
    pub maintainer: String,
    /// `Installed-Size` in KiB.
    pub installed_size: u64,
    /// `Depends`
    pub depends: Vec<String>,
    /// `Recommends`
    pub recommends: Vec<String>,
    /// `Provides`
    pub provides: Vec<String>,
    /// `Conflicts`
    pub conflicts: Vec<String>,
    /// `Replaces`
    pub replaces: Vec<String>,
    /// `Section`
    pub section: String,
    /// `Homepage`
    pub homepage: String,
    /// Synopsis: the first line of `Description`.
    pub summary: String,
    /// The rest of `Description`; empty lines separate paragraphs.
    pub description: String,
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Package: {}", self.package)?;
        writeln!(f, "Version: {}", self.version)?;
        writeln!(f, "Architecture: {}", self.arch)?;
        writeln!(f, "Maintainer: {}", self.maintainer)?;
        writeln!(f, "Installed-Size: {}", self.installed_size)?;
        for (name, relations) in [
            ("Depends", &self.depends),
            ("Recommends", &self.recommends),
            ("Provides", &self.provides),
            ("Conflicts", &self.conflicts),
            ("Replaces", &self.replaces),
        ] {
            if !relations.is_empty() {
                writeln!(f, "{name}: {}", relations.join(", "))?;
            }
        }
        writeln!(f, "Section: {}", self.section)?;
        writeln!(f, "Priority: optional")?;
        if !self.homepage.is_empty() {
            writeln!(f, "Homepage: {}", self.homepage)?;
        }
        writeln!(f, "Description: {}", self.summary)?;
        for line in self.description.trim_end().lines() {
            // A line of a field cannot be empty: Policy 5.6.13 writes a dot.
            writeln!(f, " {}", if line.trim().is_empty() { "." } else { line })?;
        }
        Ok(())
    }
}
