//! A component: its version, its sources in order, its recipe.

use anyhow::Result;
use debversion::Version;

use super::Validator;
use crate::definition::image::{Component, GoModule, Recipe, Source};
use crate::definition::range::{self, VersionRange};
use crate::definition::raw::RawComponent;
use crate::definition::{names, nearest, recipe};

impl Validator<'_> {
    pub(super) fn component(&self, name: String, raw: RawComponent, catalog: &[String]) -> Result<Component> {
        let key = format!("components.{name}");
        let Some(sources) = raw.sources else {
            let near = nearest(&name, catalog);
            let text = format!(
                "unknown component `{name}`{near}; the catalog has {}, and one of your own needs `sources`",
                catalog.join(", ")
            );
            return Err(self.wrong(&key, text));
        };
        if !names::package(&name) {
            return Err(self.wrong(
                &key,
                format!("`{name}` is not a package name: lower-case letters, digits, `+-.`"),
            ));
        }
        let missing = |field: &str| self.wrong(&key, format!("`{name}` has no `{field}`"));
        let version = raw.version.ok_or_else(|| missing("version"))?;
        let version_key = format!("{key}.version");
        if let Some(reason) = raw.refused.get(&version) {
            return Err(self.wrong(&version_key, format!("{name} {version} is refused: {reason}")));
        }
        let sources = self.sources_of(&key, &name, sources, raw.source.as_deref())?;
        let packaged = sources
            .iter()
            .any(|source| matches!(source, Source::Release { .. } | Source::GoModule(_)));
        if version != "*" && !names::version(&version) {
            let text = format!("`{version}` is not a version such as `1.10.5` (without `v` and without Debian's `-1`)");
            return Err(self.wrong(&version_key, text));
        }
        self.allowed_version(&key, &name, &version, raw.minimum.as_deref())?;
        let range = raw.range.map(|range| range.parse::<VersionRange>()).transpose();
        let range = range.map_err(|text| self.wrong(&format!("{key}.range"), text))?;
        if let Some(range) = &range
            && !range::parse(&version).is_some_and(|version| range.holds(&version))
        {
            let text =
                format!("{name} {version} is outside of its range `{range}`: name a version in it, or change `range`");
            return Err(self.wrong(&version_key, text));
        }
        if packaged && version == "*" {
            return Err(self.wrong(
                &version_key,
                format!("{name} needs a version: its sources do not decide it"),
            ));
        }
        if packaged {
            let recipe = raw.recipe.as_ref().ok_or_else(|| missing("recipe"))?;
            let recipe = recipe.clone().for_deb();
            self.recipe(&format!("{key}.recipe"), &recipe)?;
        }
        Ok(Component {
            version,
            range,
            minimum: raw.minimum,
            refused: raw.refused,
            license: raw.license.ok_or_else(|| missing("license"))?,
            homepage: raw.homepage.ok_or_else(|| missing("homepage"))?,
            summary: raw.summary.ok_or_else(|| missing("summary"))?,
            description: raw.description,
            sources,
            dropped: raw.dropped,
            recipe: raw.recipe.filter(|_| packaged).map(Recipe::for_deb),
            name,
        })
    }

    /// Editions that no source here has, and versions older than the component's `minimum`.
    fn allowed_version(&self, key: &str, name: &str, version: &str, minimum: Option<&str>) -> Result<()> {
        let version_key = format!("{key}.version");
        if let Some((plain, edition)) = range::enterprise(version) {
            let text = format!(
                "{name} {version} is refused: `+{edition}` is an enterprise build, which needs a licence of its \
                 publisher's and is not what the sources give: write `{plain}`"
            );
            return Err(self.wrong(&version_key, text));
        }
        let Some(minimum) = minimum else { return Ok(()) };
        let oldest = minimum.parse::<Version>().ok().filter(|_| names::version(minimum));
        let Some(oldest) = oldest else {
            let text = format!("`{minimum}` is not a version such as `1.10.5`");
            return Err(self.wrong(&format!("{key}.minimum"), text));
        };
        if version != "*" && version.parse::<Version>().is_ok_and(|version| version < oldest) {
            let text = format!(
                "{name} {version} is older than {minimum}, the oldest that its sources and its recipe are good for: \
                 name {minimum} or newer"
            );
            return Err(self.wrong(&version_key, text));
        }
        Ok(())
    }

    /// The sources in their order, or the only one that the definition allows.
    fn sources_of(&self, key: &str, name: &str, sources: Vec<Source>, only: Option<&str>) -> Result<Vec<Source>> {
        let kinds: Vec<String> = sources.iter().map(|source| source.name().to_owned()).collect();
        let sources: Vec<Source> = sources
            .into_iter()
            .filter(|source| only.is_none_or(|only| source.name() == only))
            .collect();
        if let (true, Some(only)) = (sources.is_empty(), only) {
            let near = nearest(only, &kinds);
            let text = format!(
                "{name} has no source `{only}`{near}; at this version it has: {}",
                kinds.join(", ")
            );
            return Err(self.wrong(&format!("{key}.source"), text));
        }
        if sources.is_empty() {
            return Err(self.wrong(
                &format!("{key}.sources"),
                format!("{name} comes from nowhere: name a source"),
            ));
        }
        for source in &sources {
            self.source(key, source)?;
        }
        Ok(sources)
    }

    fn source(&self, key: &str, source: &Source) -> Result<()> {
        let key = format!("{key}.sources");
        match source {
            Source::Release { url, sha256, sums, .. } => {
                for url in std::iter::once(url).chain(sums.as_ref().map(|sums| &sums.url)) {
                    if !(url.starts_with("https://") || url.starts_with("http://")) {
                        return Err(self.wrong(&key, format!("`{url}` is not an http(s) address")));
                    }
                }
                if let Some(fingerprint) = sums.as_ref().and_then(|sums| sums.key.as_ref())
                    && (fingerprint.len() != 40 || !fingerprint.chars().all(|c| matches!(c, '0'..='9' | 'A'..='F')))
                {
                    let text = format!("`{fingerprint}` is not a key's fingerprint in 40 upper-case hex digits");
                    return Err(self.wrong(&key, text));
                }
                self.digests(&key, sha256.values())
            }
            Source::GoModule(go) => go_module(go).map_err(|text| self.wrong(&key, text)),
            Source::Debian { package } => self.packages(&key, std::slice::from_ref(package)),
            Source::File {
                path,
                sha256,
                relations,
            } => {
                if path.starts_with('/') || path.split('/').any(|part| part == "..") {
                    return Err(self.wrong(&key, format!("`{path}` must stay inside the checkout")));
                }
                let relations = relations.iter();
                let mut entries = relations
                    .flat_map(|all| [&all.depends, &all.recommends, &all.provides])
                    .flatten();
                if let Some(entry) = entries.find(|entry| entry.is_empty() || entry.contains(['\n', ','])) {
                    return Err(self.wrong(&key, format!("`{entry}` in `relations` is not one relationship")));
                }
                self.digests(&key, sha256.values())
            }
        }
    }

    fn digests<'d>(&self, key: &str, digests: impl Iterator<Item = &'d String>) -> Result<()> {
        for digest in digests {
            if digest.len() != 64 || !digest.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
                return Err(self.wrong(key, format!("`{digest}` is not a SHA-256 in 64 lower-case hex digits")));
            }
        }
        Ok(())
    }

    /// A component's recipe: what it is of, the component says; the rest is stricter than nfpm, for our packages keep
    /// Debian's policy.
    fn recipe(&self, key: &str, recipe: &Recipe) -> Result<()> {
        for (field, value) in [
            ("name", &recipe.name),
            ("version", &recipe.version),
            ("license", &recipe.license),
            ("homepage", &recipe.homepage),
            ("description", &recipe.description),
        ] {
            if !value.is_empty() {
                return Err(self.wrong(key, format!("`{field}` is the component's own field: write it there")));
            }
        }
        if !["", "all"].contains(&recipe.arch.as_str()) {
            return Err(self.wrong(key, "`arch` is that of the target, or `all`"));
        }
        if !recipe.maintainer.contains('<') || !recipe.maintainer.ends_with('>') {
            return Err(self.wrong(key, "`maintainer` is `Name <address>`"));
        }
        if recipe.section.is_empty() {
            return Err(self.wrong(
                key,
                "the recipe has no `section`: write one of Debian's, such as `admin`",
            ));
        }
        let scripts = &recipe.scripts;
        for script in [
            &scripts.preinstall,
            &scripts.postinstall,
            &scripts.preremove,
            &scripts.postremove,
        ] {
            if !script.is_empty() && !script.starts_with("#!") {
                let text = format!("the script `{script}` is to be the text itself, as `importstr` gives it");
                return Err(self.wrong(&format!("{key}.scripts"), text));
            }
        }
        if recipe.copyright.is_none() {
            return Err(self.wrong(
                key,
                "`copyright` is missing: whose work it is, and where the licence text is",
            ));
        }
        recipe::check(recipe).map_err(|misfit| self.wrong(&format!("{key}.{}", misfit.key), misfit.text))?;
        for content in &recipe.contents {
            let dst = &content.dst;
            let wrong = |text: &str| Err(self.wrong(key, format!("`{dst}`: {text}")));
            // Policy 10.7.2: what an owner may change lies in /etc.
            if content.kind.is_config() && !dst.starts_with("/etc/") {
                return wrong("a `config` file belongs below /etc");
            }
            // Since trixie dpkg's root is merged: files there would collide with the links.
            if ["/bin/", "/sbin/", "/lib/"].iter().any(|old| dst.starts_with(old)) {
                return wrong("write the path below /usr");
            }
        }
        Ok(())
    }
}

/// What is wrong with a Go module, if anything.
fn go_module(go: &GoModule) -> Result<(), String> {
    if go.module.contains('@') || go.module.contains("://") {
        let module = &go.module;
        return Err(format!(
            "`{module}` is not a module path such as github.com/hashicorp/nomad"
        ));
    }
    if go.binaries.is_empty() {
        return Err("`binaries` names no program".to_owned());
    }
    for (binary, package) in &go.binaries {
        if binary.is_empty() || binary.contains('/') {
            return Err(format!("`{binary}` in `binaries` is not the name of a program"));
        }
        if package != "." && !package.starts_with("./") {
            return Err(format!(
                "`{package}` in `binaries` is not a package of the module: `.`, or a folder as in `./cmd/{binary}`"
            ));
        }
    }
    // Go takes them apart at spaces and quotes.
    match go.ldflags.iter().find(|flag| flag.contains(['\'', '"'])) {
        Some(flag) => Err(format!("`{flag}` in `ldflags` has quotes, which Go takes for its own")),
        None => Ok(()),
    }
}
