//! Where the further apt sources of a definition are: where it says, or at a copy that stands in for them.
//!
//! Only *where* changes: whose signatures count stays the definition's to say.

use std::collections::BTreeMap;
use std::env;

use anyhow::Result;

use super::mirror;
use crate::definition::image::AptSource;
use crate::definition::nearest;
use crate::{bail_input, input_error};

/// Environment variable with places as `--apt-source` takes them, separated by white space or commas.
pub const APT_SOURCES: &str = "COMPUTATOM_APT_SOURCES";

/// Base URLs by the name of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AptSources {
    bases: BTreeMap<String, String>,
}

impl AptSources {
    /// The places of the environment, with `options` (`NAME=URL`) over them; an option must name one of `sources`.
    pub fn find(options: &[String], sources: &BTreeMap<String, AptSource>) -> Result<Self> {
        let said = env::var(APT_SOURCES).unwrap_or_default();
        let mut places = Self::default();
        for entry in said.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty()) {
            places.add(APT_SOURCES, entry)?;
        }
        for entry in options {
            let name = places.add("--apt-source", entry)?;
            if !sources.contains_key(&name) {
                let known: Vec<String> = sources.keys().cloned().collect();
                let there = match known.as_slice() {
                    [] => "it has none".to_owned(),
                    known => format!("there are: {}", known.join(", ")),
                };
                bail_input!(
                    "--apt-source: the definition has no source `{name}`{}; {there}",
                    nearest(&name, &known)
                );
            }
        }
        Ok(places)
    }

    /// Adds `NAME=URL` and gives the name; `said_by` names the option or variable in an error.
    fn add(&mut self, said_by: &str, entry: &str) -> Result<String> {
        let (name, url) = entry
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| {
                input_error!("{said_by}: `{entry}` is not NAME=URL, as in `vendor=https://mirror.example.org/vendor`")
            })?;
        let base = mirror::base(url).map_err(|error| input_error!("{said_by}: {error}"))?;
        self.bases.insert(name.to_owned(), base);
        Ok(name.to_owned())
    }

    /// The base URLs of a source, without a slash at the end; `None` where it is on the Debian mirror.
    pub fn locate(&self, name: &str, source: &AptSource) -> Result<Option<Vec<String>>> {
        if let Some(base) = self.bases.get(name) {
            return Ok(Some(vec![base.clone()]));
        }
        if source.is_debian() {
            return Ok(None);
        }
        if source.uris.is_empty() {
            bail_input!(
                "nobody says where the apt source `{name}` is: give it `uris` in the definition, or say it by \
                 `--apt-source {name}=URL` or in {APT_SOURCES} (the folder above `dists/`)"
            );
        }
        source
            .uris
            .iter()
            .map(|uri| mirror::base(uri))
            .collect::<Result<_>>()
            .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uris: &[&str], key: Option<&str>) -> AptSource {
        AptSource {
            uris: uris.iter().map(|&uri| uri.to_owned()).collect(),
            suites: vec!["stable".to_owned()],
            components: vec![],
            signed_by: key.map(str::to_owned),
            architectures: vec![],
        }
    }

    #[test]
    fn what_a_person_says_stands_in_for_what_the_definition_says() {
        let vendor = source(&["https://a.example/x/", "https://b.example/y"], Some("key"));
        let sources = BTreeMap::from([("vendor".to_owned(), vendor.clone())]);
        let places = AptSources::find(&[], &sources).unwrap();
        let located = places.locate("vendor", &vendor).unwrap().unwrap();
        assert_eq!(located, ["https://a.example/x", "https://b.example/y"]);
        assert_eq!(places.locate("backports", &source(&[], None)).unwrap(), None);
        let error = places.locate("vendor", &source(&[], Some("key"))).unwrap_err();
        assert!(error.to_string().contains("`--apt-source vendor=URL`"), "{error}");
        let places = AptSources::find(&["vendor=/srv/vendor/".to_owned()], &sources).unwrap();
        let located = places.locate("vendor", &vendor).unwrap().unwrap();
        assert_eq!(located, ["file:///srv/vendor"]);
    }

    #[test]
    fn mistakes_are_told() {
        let sources = BTreeMap::from([("vendor".to_owned(), source(&[], Some("key")))]);
        let refused = |entry: &str| {
            let error = AptSources::find(&[entry.to_owned()], &sources).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            error.to_string()
        };
        assert!(refused("vendro=/x").contains("did you mean `vendor`?"));
        assert!(refused("vendor").contains("is not NAME=URL"));
        assert!(refused("vendor=ftp://x").contains("only http, https and file"));
    }
}
