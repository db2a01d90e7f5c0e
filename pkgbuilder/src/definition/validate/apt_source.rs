//! Further apt sources, and the pins that take packages from them.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Validator;
use crate::definition::apt_source::{AptSource, Pin, is_flat};
use crate::definition::image::Debian;
use crate::definition::{names, nearest};
use crate::verify::openpgp::Keyring;

/// How a key gets into a definition.
const KEY: &str = "give the publisher's armored public key itself: `signed_by: importstr 'keys/NAME.asc'`, the file \
                   beside the definition or below jsonnet/";

impl Validator<'_> {
    /// Checks the further sources of `debian` and its pins.
    pub(super) fn apt_sources(&self, debian: &Debian) -> Result<()> {
        for (name, source) in &debian.sources {
            let key = format!("debian.sources.{name}");
            if !names::host(name) || ["debian", "local"].contains(&name.as_str()) {
                let text =
                    format!("`{name}` is not a name for a source: lower-case letters, digits, `-`, not `debian`");
                return Err(self.wrong(&key, text));
            }
            self.apt_source(&key, source, debian)?;
        }
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for pin in &debian.pins {
            self.pin(pin, debian)?;
            for name in &pin.packages {
                if let Some(other) = seen.insert(name, &pin.source) {
                    let text = format!(
                        "`{name}` is pinned twice, to `{other}` and to `{}`: remove one",
                        pin.source
                    );
                    return Err(self.wrong("debian.pins", text));
                }
            }
        }
        Ok(())
    }

    fn apt_source(&self, key: &str, source: &AptSource, debian: &Debian) -> Result<()> {
        let suites = format!("{key}.suites");
        if source.suites.is_empty() {
            return Err(self.wrong(&suites, "at least one is needed"));
        }
        self.distinct(&suites, &source.suites)?;
        for suite in &source.suites {
            if !names::foreign_suite(suite) {
                return Err(self.wrong(
                    &suites,
                    format!("`{suite}` is not a suite as in `trixie-backports` or `./`"),
                ));
            }
        }
        let components = format!("{key}.components");
        self.distinct(&components, &source.components)?;
        if let Some(bad) = source
            .components
            .iter()
            .find(|name| !names::foreign_suite(name) || is_flat(name))
        {
            return Err(self.wrong(&components, format!("`{bad}` is not a component as in `main`")));
        }
        match &source.signed_by {
            None => self.on_the_mirror(key, source, debian),
            Some(armored) => self.repository(key, source, armored),
        }
    }

    /// A source without a key of its own: a further suite of Debian's.
    fn on_the_mirror(&self, key: &str, source: &AptSource, debian: &Debian) -> Result<()> {
        if !source.uris.is_empty() {
            let text = format!("a repository that is not Debian's needs its key: {KEY}");
            return Err(self.wrong(key, text));
        }
        for suite in &source.suites {
            let text = if debian.suites.contains(suite) {
                format!("`{suite}` is in `debian.suites` as well: remove one")
            } else if names::suite(suite) && !is_flat(suite) {
                continue;
            } else {
                format!("`{suite}` is not a suite of Debian's as in `trixie-backports`; a repository needs `signed_by`")
            };
            return Err(self.wrong(&format!("{key}.suites"), text));
        }
        Ok(())
    }

    /// Somebody's own repository.
    fn repository(&self, key: &str, source: &AptSource, armored: &str) -> Result<()> {
        let signed_by = format!("{key}.signed_by");
        let keyring = Some(armored)
            .filter(|armored| armored.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----"))
            .and_then(|armored| Keyring::read(armored.as_bytes()).ok())
            .filter(|keyring| !keyring.fingerprints().is_empty());
        if keyring.is_none() {
            return Err(self.wrong(&signed_by, format!("this is not an OpenPGP public key: {KEY}")));
        }
        for uri in &source.uris {
            let rest = ["http://", "https://", "file:///"]
                .iter()
                .find_map(|scheme| uri.strip_prefix(scheme));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains(['?', '#', ' '])) {
                let text = format!("`{uri}` is not a URL (http, https, file) of the folder above `dists/`");
                return Err(self.wrong(&format!("{key}.uris"), text));
            }
            if rest.is_some_and(|rest| rest.split('/').next().unwrap_or_default().contains('@')) {
                let text = "a definition holds no secrets: leave user and password out of the URL, and say it by \
                            `--apt-source` where they are needed";
                return Err(self.wrong(&format!("{key}.uris"), text));
            }
        }
        let flat = source.suites.iter().filter(|suite| is_flat(suite)).count();
        if flat > 0 && (!source.components.is_empty() || flat < source.suites.len()) {
            let text = "a flat repository (a suite that ends with `/`) has no components, and is a source of its own";
            return Err(self.wrong(&format!("{key}.suites"), text));
        }
        if flat == 0 && source.components.is_empty() {
            return Err(self.wrong(key, "it needs `components`, such as `['main']`"));
        }
        Ok(())
    }

    fn pin(&self, pin: &Pin, debian: &Debian) -> Result<()> {
        if !debian.sources.contains_key(&pin.source) {
            let known: Vec<String> = debian.sources.keys().cloned().collect();
            let near = nearest(&pin.source, &known);
            let there = match known.as_slice() {
                [] => "`debian.sources` has none".to_owned(),
                known => format!("there are: {}", known.join(", ")),
            };
            let text = format!("unknown source `{}`{near}; {there}", pin.source);
            return Err(self.wrong("debian.pins.source", text));
        }
        if pin.packages.is_empty() {
            return Err(self.wrong("debian.pins.packages", "a pin needs a package, such as `linux-image-*`"));
        }
        if let Some(bad) = pin.packages.iter().find(|glob| !names::package_glob(glob)) {
            let text = format!("`{bad}` is neither a package name nor a glob of names, such as `linux-image-*`");
            return Err(self.wrong("debian.pins.packages", text));
        }
        match pin.matchers() {
            Ok(_) => Ok(()),
            Err(text) => Err(self.wrong("debian.pins.packages", text)),
        }
    }
}
