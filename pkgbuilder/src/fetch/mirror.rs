//! Where the Debian mirror is: said by the person, else found in this machine's own apt sources.
//!
//! No host name is built in. Only *where* is taken from the machine; suites and components are ours, and
//! every file is verified from the archive's keys down.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use deb822_fast::Deb822;
use reqwest::Url;

use crate::{bail_input, input_error};

/// Environment variable with the mirror, as `--mirror` takes it.
pub const MIRROR: &str = "COMPUTATOM_MIRROR";
/// Environment variable with the base URL of a snapshot archive (below it: `archive/debian/<timestamp>/`).
pub const SNAPSHOT: &str = "COMPUTATOM_SNAPSHOT";

/// Names under which Debian publishes suites since apt knows them.
const SUITES: [&str; 10] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "unstable",
    "testing",
    "stable",
    "oldstable",
];

/// The base URLs of a mirror, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Of `debian`: `dists/` and `pool/` lie below it.
    debian: String,
    /// Of `debian-security`.
    security: String,
    /// Snapshot archive, if one is configured.
    snapshot: Option<String>,
}

impl Mirror {
    /// The mirror of `--mirror`, else of the environment, else of this machine's apt sources; the snapshot archive
    /// behind it is the given one, else the environment's.
    pub fn find(option: Option<&str>, snapshot: Option<&str>) -> Result<Self> {
        let from_environment = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let named = option.map(str::to_owned).or_else(|| from_environment(MIRROR));
        let mut mirror = match named {
            Some(value) => Self::parse(&value)?,
            None => Self::of_apt(Path::new("/etc/apt"))?.ok_or_else(|| {
                input_error!(
                    "no Debian mirror is known: this machine's apt sources name none; say one by `--mirror URL` or \
                     in {MIRROR} (the folder above `dists/` and `pool/`)"
                )
            })?,
        };
        let snapshot = snapshot.map(str::to_owned).or_else(|| from_environment(SNAPSHOT));
        mirror.snapshot = snapshot.as_deref().map(base).transpose()?;
        Ok(mirror)
    }

    /// Reads `URL` or `URL,SECURITY-URL`; without the second, security lies beside the first.
    pub fn parse(value: &str) -> Result<Self> {
        let (debian, security) = if let Some((debian, security)) = value.split_once(',') {
            (base(debian)?, base(security)?)
        } else {
            let debian = base(value)?;
            let security = beside(&debian);
            (debian, security)
        };
        Ok(Self {
            debian,
            security,
            snapshot: None,
        })
    }

    /// What is being done when the mirror does not answer, for the context of an error.
    pub fn question(&self) -> String {
        format!("asking the mirror {} (`--mirror URL` names another)", self.debian)
    }

    /// The base URL for a suite.
    pub fn base(&self, suite: &str) -> &str {
        if is_security(suite) {
            &self.security
        } else {
            &self.debian
        }
    }

    /// Where a file of a suite lay at a time (`20260912T075541Z`), if a snapshot archive is configured.
    pub fn snapshot(&self, suite: &str, timestamp: &str) -> Option<String> {
        let archive = if is_security(suite) {
            "debian-security"
        } else {
            "debian"
        };
        let snapshot = self.snapshot.as_ref()?;
        Some(format!("{snapshot}/archive/{archive}/{timestamp}"))
    }

    /// The mirror of the apt configuration in `folder` (`sources.list`, `sources.list.d/`); `None` if it has none.
    pub fn of_apt(folder: &Path) -> Result<Option<Self>> {
        let mut found = Vec::new();
        for path in source_files(folder)? {
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            if path.extension().is_some_and(|extension| extension == "sources") {
                found.extend(stanzas(&text));
            } else {
                found.extend(text.lines().filter_map(one_line));
            }
        }
        let mut debian = Vec::new();
        let mut security = Vec::new();
        for source in found.iter().filter(|source| source.is_debian()) {
            for uri in &source.uris {
                let Some(url) = resolve_list(uri)? else { continue };
                let trusted = source.signed_by.is_some();
                if source.suites.iter().any(|suite| is_security(suite)) {
                    security.push((!trusted, url));
                } else {
                    debian.push((!trusted, url));
                }
            }
        }
        // A stanza that names Debian's keyring says more than one without a key; else the first one counts.
        debian.sort_by_key(|(untrusted, _)| *untrusted);
        security.sort_by_key(|(untrusted, _)| *untrusted);
        let Some((_, debian)) = debian.into_iter().next() else {
            return Ok(None);
        };
        let security = match security.into_iter().next() {
            Some((_, url)) => url,
            None => beside(&debian),
        };
        Ok(Some(Self {
            debian,
            security,
            snapshot: None,
        }))
    }
}

fn is_security(suite: &str) -> bool {
    suite.ends_with("-security") || suite.ends_with("/updates")
}

/// A URL without a slash at the end.
pub(super) fn base(text: &str) -> Result<String> {
    let text = text.trim();
    // `file:/path` and a bare path are what people write for a mirror on disk.
    let text = if text.starts_with('/') {
        format!("file://{text}")
    } else {
        text.to_owned()
    };
    let url = Url::parse(&text).map_err(|error| input_error!("mirror `{text}` is not a URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https" | "file") {
        bail_input!("mirror `{text}`: only http, https and file are understood");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// `…/debian` -> `…/debian-security`.
fn beside(debian: &str) -> String {
    match debian.rsplit_once('/') {
        Some((parent, _)) => format!("{parent}/debian-security"),
        None => debian.to_owned(),
    }
}

/// One stanza or line of apt's sources.
#[derive(Debug, Default, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

impl Source {
    /// Whether it is Debian's own: by its keyring, or without one by what it offers.
    fn is_debian(&self) -> bool {
        let suites = self.suites.iter().any(|suite| {
            let name = suite.split(['-', '/']).next().unwrap_or(suite);
            SUITES.contains(&name)
        });
        let key = self
            .signed_by
            .as_deref()
            .is_none_or(|key| key.contains("debian-archive"));
        suites && key && self.components.iter().any(|component| component == "main")
    }
}

/// The files that apt reads, in its order (sources.list(5)).
fn source_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![folder.join("sources.list")];
    let parts = folder.join("sources.list.d");
    if parts.is_dir() {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&parts).with_context(|| format!("reading {}", parts.display()))? {
            found.push(entry?.path());
        }
        found.sort();
        files.extend(found);
    }
    files.retain(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("list" | "sources")) && path.is_file()
    });
    Ok(files)
}

/// Stanzas in deb822 style; a file that cannot be read as such has none.
fn stanzas(text: &str) -> Vec<Source> {
    let Ok(document) = text.parse::<Deb822>() else {
        return Vec::new();
    };
    let words = |value: Option<&str>| -> Vec<String> {
        value
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    document
        .iter()
        .filter(|stanza| stanza.get("Enabled") != Some("no"))
        .filter(|stanza| words(stanza.get("Types")).iter().any(|kind| kind == "deb"))
        .map(|stanza| Source {
            uris: words(stanza.get("URIs")),
            suites: words(stanza.get("Suites")),
            components: words(stanza.get("Components")),
            signed_by: stanza.get("Signed-By").map(str::to_owned),
        })
        .collect()
}

/// A line of the one-line style: `deb [option=value …] URI suite component…`.
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let uri = words.next()?;
    let suite = words.next()?;
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(str::to_owned);
    Some(Source {
        uris: vec![uri],
        suites: vec![suite],
        components: words.collect(),
        signed_by,
    })
}

/// The URL behind one of apt's; `mirror+file:` names a list whose first line counts. Other schemes are not ours.
fn resolve_list(uri: &str) -> Result<Option<String>> {
    if let Some(list) = uri.strip_prefix("mirror+file:") {
        let path = Path::new("/").join(list.trim_start_matches('/'));
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let first = text
            .lines()
            .map(|line| line.split(['\t', ' ', '#']).next().unwrap_or_default())
            .find(|line| !line.is_empty());
        return first.map(base).transpose();
    }
    Ok(base(uri).ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn apt(files: &[(&str, &str)]) -> Option<Mirror> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sources.list.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Mirror::of_apt(folder.path()).unwrap()
    }

    #[test]
    fn deb822_stanzas_give_both_archives() {
        let text = "Types: deb\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates\n\
                    Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
                    Types: deb\nURIs: http://safe.example/sec\nSuites: bookworm-security\nComponents: main\n\
                    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n";
        let mirror = apt(&[("sources.list.d/debian.sources", text)]).unwrap();
        assert_eq!(mirror.base("trixie"), "http://mirror.example/debian");
        assert_eq!(mirror.base("trixie-updates"), "http://mirror.example/debian");
        assert_eq!(mirror.base("trixie-security"), "http://safe.example/sec");
    }

    #[test]
    fn one_line_style_and_a_security_archive_beside() {
        let text = "# comment\ndeb [arch=amd64] https://m.example/x/debian trixie main non-free-firmware # why\n";
        let mirror = apt(&[("sources.list", text)]).unwrap();
        assert_eq!(mirror.base("trixie"), "https://m.example/x/debian");
        assert_eq!(mirror.base("trixie-security"), "https://m.example/x/debian-security");
    }

    #[test]
    fn other_peoples_repositories_are_not_the_mirror() {
        let docker = "deb [signed-by=/etc/apt/keyrings/docker.gpg] https://d.example/linux/debian bookworm stable\n";
        let signed = "Types: deb\nURIs: https://n.example/\nSuites: bookworm\nComponents: main\n\
                      Signed-By: /usr/share/keyrings/nodesource.gpg\n";
        let ubuntu = "deb http://u.example/ubuntu noble main universe\n";
        let disabled = "Enabled: no\nTypes: deb\nURIs: http://m.example/debian\nSuites: trixie\nComponents: main\n";
        assert_eq!(
            apt(&[
                ("sources.list", ubuntu),
                ("sources.list.d/docker.list", docker),
                ("sources.list.d/node.sources", signed),
                ("sources.list.d/off.sources", disabled),
                ("sources.list.d/debian.sources.disabled", disabled),
            ]),
            None
        );
    }

    #[test]
    fn the_keyring_decides_between_two() {
        let bare = "deb http://bare.example/debian trixie main\n";
        let keyed =
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://k.example/debian trixie main\n";
        let mirror = apt(&[("sources.list", bare), ("sources.list.d/k.list", keyed)]).unwrap();
        assert_eq!(mirror.base("trixie"), "http://k.example/debian");
    }

    #[test]
    fn a_mirror_list_of_cloud_images() {
        let list = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            list.path(),
            "https://cdn.example/debian\nhttps://other.example/debian\n",
        )
        .unwrap();
        let text = format!("deb mirror+file://{} bookworm main\n", list.path().display());
        let mirror = apt(&[("sources.list", &text)]).unwrap();
        assert_eq!(mirror.base("trixie"), "https://cdn.example/debian");
    }

    #[test]
    fn said_by_the_person() {
        let mirror = Mirror::parse("/srv/mirror/debian/").unwrap();
        assert_eq!(mirror.base("trixie"), "file:///srv/mirror/debian");
        assert_eq!(mirror.base("trixie-security"), "file:///srv/mirror/debian-security");
        let mirror = Mirror::parse("http://a.example/d,http://b.example/s").unwrap();
        assert_eq!(mirror.base("trixie-security"), "http://b.example/s");
        assert!(Mirror::parse("ftp://a.example/debian").is_err());
        assert!(Mirror::parse("a.example").is_err());
    }

    #[test]
    fn a_snapshot_is_by_archive_and_time() {
        let mirror = Mirror::parse("http://a.example/debian").unwrap();
        assert_eq!(mirror.snapshot("trixie", "20260912T075541Z"), None);
        let mirror = Mirror::find(Some("http://a.example/debian"), Some("http://s.example/")).unwrap();
        assert_eq!(
            mirror.snapshot("trixie-security", "20260912T075541Z").unwrap(),
            "http://s.example/archive/debian-security/20260912T075541Z"
        );
    }

    proptest! {
        #[test]
        fn no_sources_make_it_panic(text in "((deb|Types:|URIs:|Suites:|\\[|\\]|#| |\n)|\\PC){0,60}") {
            stanzas(&text);
            text.lines().for_each(|line| drop(one_line(line)));
        }
    }
}
