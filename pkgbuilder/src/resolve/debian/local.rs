//! Packages that are here already and take part in the choice.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::input_error;

/// A package that is here already and takes part in the choice: one of our own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalPackage {
    /// Name.
    pub name: String,
    /// Version; not part of the question, or every build of ours would have everything chosen anew.
    #[serde(skip)]
    pub version: String,
    /// `Architecture`, `all` included.
    pub architecture: String,
    /// Relationship fields by name, each on one line.
    pub relations: BTreeMap<String, String>,
}

impl LocalPackage {
    /// Reads a control stanza.
    pub fn parse(stanza: &str) -> Result<Self> {
        let paragraph: deb822_fast::Paragraph = stanza
            .parse()
            .map_err(|error| input_error!("a control stanza cannot be read: {error}"))?;
        let field = |name: &str| {
            paragraph
                .get(name)
                .map(|value| value.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        let needed = |name: &str| field(name).ok_or_else(|| input_error!("a control stanza has no {name}: {stanza}"));
        let relations = [
            "Pre-Depends",
            "Depends",
            "Recommends",
            "Provides",
            "Conflicts",
            "Breaks",
        ];
        Ok(Self {
            name: needed("Package")?,
            version: needed("Version")?,
            architecture: needed("Architecture")?,
            relations: relations
                .into_iter()
                .filter_map(|name| Some((name.to_owned(), field(name)?)))
                .collect(),
        })
    }
}
