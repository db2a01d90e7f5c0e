//! The stanzas of `/var/lib/dpkg/status`, as dpkg-query shows them.

use crate::commands::ending::Done;
use crate::commands::fnmatch::matches;
use crate::tree::Tree;

/// Where dpkg keeps the packages and their fields.
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

/// A stanza of the status file.
#[derive(Debug, Default)]
pub(crate) struct Stanza {
    pub(super) text: String,
    fields: Vec<(String, String)>,
}

impl Stanza {
    fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push('\n');
                    value.push_str(line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
        Self {
            text: text.to_owned(),
            fields,
        }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(super) fn name(&self) -> &str {
        self.get("Package")
    }

    /// The name as dpkg shows it: with the architecture where several can be installed at once.
    pub(super) fn qualified(&self) -> String {
        if self.get("Multi-Arch") == "same" {
            format!("{}:{}", self.name(), self.get("Architecture"))
        } else {
            self.name().to_owned()
        }
    }

    pub(super) fn is(&self, pattern: &str) -> bool {
        match pattern.split_once(':') {
            Some((name, arch)) => matches(name, self.name()) && matches(arch, self.get("Architecture")),
            None => matches(pattern, self.name()),
        }
    }

    /// The words of `Status`: what is wanted, whether it went wrong, what is.
    fn status(&self) -> [&str; 3] {
        let mut words = self.get("Status").split(' ');
        [
            words.next().unwrap_or(""),
            words.next().unwrap_or(""),
            words.next().unwrap_or("not-installed"),
        ]
    }

    /// `ii `, as in the first column of `dpkg -l`.
    fn abbreviation(&self) -> String {
        let [want, flag, status] = self.status();
        let want = want.chars().next().unwrap_or('u');
        let status = match status {
            "not-installed" => 'n',
            "config-files" => 'c',
            "half-installed" => 'H',
            "unpacked" => 'U',
            "half-configured" => 'F',
            "triggers-awaited" => 'W',
            "triggers-pending" => 't',
            _ => 'i',
        };
        format!("{want}{status}{}", if flag == "reinstreq" { 'R' } else { ' ' })
    }

    pub(super) fn field(&self, name: &str) -> String {
        let [want, flag, status] = self.status();
        match name {
            "binary:Package" => self.qualified(),
            "binary:Summary" => self.get("Description").lines().next().unwrap_or("").to_owned(),
            "db:Status-Abbrev" => self.abbreviation(),
            "db:Status-Want" => want.to_owned(),
            "db:Status-Eflag" => flag.to_owned(),
            "db:Status-Status" => status.to_owned(),
            "source:Package" | "source:Version" => {
                let source = self.get("Source");
                let (package, version) = source.split_once(" (").unwrap_or((source, ""));
                let (own, found) = if name == "source:Package" {
                    (self.name(), package)
                } else {
                    (self.get("Version"), version.trim_end_matches(')'))
                };
                if found.is_empty() {
                    own.to_owned()
                } else {
                    found.to_owned()
                }
            }
            _ => self.get(name).to_owned(),
        }
    }
}

pub(crate) fn installed(tree: &Tree) -> Done<Vec<Stanza>> {
    if !tree.exists(STATUS) {
        return Ok(Vec::new());
    }
    let text = tree.read_text(STATUS)?;
    let stanzas = text
        .split("\n\n")
        .map(|stanza| stanza.trim_matches('\n'))
        .filter(|stanza| !stanza.is_empty());
    let mut found: Vec<Stanza> = stanzas.map(Stanza::parse).collect();
    found.sort_by(|a, b| a.name().cmp(b.name()));
    Ok(found)
}
