//! Which versions a publisher has: HashiCorp's index, GitHub's list of releases, a Go module proxy.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Workbench;
use super::go_module;
use crate::bail_input;
use crate::definition::image::{Component, GoModule, Sums, SumsKind};
use crate::fetch::Request;

/// The largest index that is read: HashiCorp's of a product with a thousand builds has half a megabyte.
const LARGEST: u64 = 32 << 20;

/// What a publisher lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// These versions, in any order, pre-releases and other editions among them; and who says so.
    Versions {
        /// As the publisher writes them, without `v`.
        versions: Vec<String>,
        /// The index's URL, or `module proxy`.
        by: String,
    },
    /// It cannot be asked now.
    Unreachable(String),
}

/// Where a release archive's publisher lists the versions.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Index {
    /// `https://releases.hashicorp.com/nomad/index.json`
    Hashicorp(String),
    /// `https://api.github.com/repos/prometheus/prometheus/releases`
    Github(String),
}

impl Index {
    fn of(url: &str, sums: Option<&Sums>) -> Option<Self> {
        if sums.is_some_and(|sums| sums.kind == SumsKind::Hashicorp) {
            let (product, _) = url.split_once("{version}")?;
            return Some(Self::Hashicorp(format!("{product}index.json")));
        }
        let path = url.strip_prefix("https://github.com/")?;
        let mut parts = path.split('/');
        let (owner, repository) = (parts.next()?, parts.next()?);
        // The newest hundred are enough to find the newest of any range that somebody still keeps.
        Some(Self::Github(format!(
            "https://api.github.com/repos/{owner}/{repository}/releases?per_page=100"
        )))
    }

    fn url(&self) -> &str {
        match self {
            Self::Hashicorp(url) | Self::Github(url) => url,
        }
    }

    /// The versions in an index, without those that the publisher itself calls drafts.
    fn read(&self, content: &[u8]) -> serde_json::Result<Vec<String>> {
        match self {
            Self::Hashicorp(_) => {
                let product: Product = serde_json::from_slice(content)?;
                Ok(product.versions.into_iter().map(|(version, _)| version).collect())
            }
            Self::Github(_) => {
                let releases: Vec<GithubRelease> = serde_json::from_slice(content)?;
                Ok(releases
                    .into_iter()
                    .filter(|release| !release.draft)
                    .map(GithubRelease::version)
                    .collect())
            }
        }
    }
}

/// <https://releases.hashicorp.com/docs/api/v1/>, as far as it is read.
#[derive(Debug, Deserialize)]
struct Product {
    versions: serde_json::Map<String, serde_json::Value>,
}

/// <https://docs.github.com/en/rest/releases/releases>, as far as it is read.
#[derive(Debug, Deserialize)]
struct GithubRelease {
    tag_name: String,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    prerelease: bool,
}

impl GithubRelease {
    /// Not everybody marks a pre-release in its name: then it is done here.
    fn version(self) -> String {
        let version = self.tag_name.strip_prefix('v').unwrap_or(&self.tag_name).to_owned();
        if self.prerelease && !version.contains('-') {
            format!("{version}-prerelease")
        } else {
            version
        }
    }
}

/// Asks the publisher of a release archive; `None` where it has no index that we know.
pub(super) fn of_release(
    bench: &Workbench<'_>,
    component: &Component,
    url: &str,
    sums: Option<&Sums>,
) -> Result<Option<Listed>> {
    let Some(index) = Index::of(url, sums) else {
        return Ok(None);
    };
    let request = Request {
        urls: vec![index.url().to_owned()],
        sha256: None,
        size: None,
        label: format!("the versions of {}", component.name),
    };
    let fetched = match bench.fetcher.fetch(request)? {
        Ok(fetched) => fetched,
        Err(unreachable) => return Ok(Some(Listed::Unreachable(unreachable.reasons.join("; ")))),
    };
    let path = &fetched.path;
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let content = if size > LARGEST {
        Vec::new()
    } else {
        fs::read(path).with_context(|| format!("reading {}", path.display()))?
    };
    // It is out of date tomorrow.
    bench.fetcher.cache().remove(&fetched.sha256);
    match index.read(&content) {
        Ok(versions) => Ok(Some(Listed::Versions {
            versions,
            by: index.url().split('?').next().unwrap_or_default().to_owned(),
        })),
        Err(error) => bail_input!(
            "{} is no list of versions ({error}): the server answered with something else",
            index.url()
        ),
    }
}

/// Asks the module proxy, which Go itself knows to find (`GOPROXY`).
pub(super) fn of_module(bench: &Workbench<'_>, go: &GoModule) -> Result<Listed> {
    Ok(match go_module::versions(bench, go)? {
        Ok(versions) => Listed::Versions {
            versions,
            by: "module proxy".to_owned(),
        },
        Err(reason) => Listed::Unreachable(reason),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(kind: SumsKind) -> Sums {
        Sums {
            kind,
            url: String::new(),
            key: None,
        }
    }

    #[test]
    fn where_publishers_list_their_versions() {
        let hashicorp = "https://releases.hashicorp.com/nomad/{version}/nomad_{version}_linux_{arch}.zip";
        assert_eq!(
            Index::of(hashicorp, Some(&sums(SumsKind::Hashicorp))).unwrap().url(),
            "https://releases.hashicorp.com/nomad/index.json"
        );
        let github = "https://github.com/prometheus/prometheus/releases/download/v{version}/x.tar.gz";
        assert_eq!(
            Index::of(github, Some(&sums(SumsKind::Prometheus))).unwrap().url(),
            "https://api.github.com/repos/prometheus/prometheus/releases?per_page=100"
        );
        assert_eq!(Index::of("https://example.org/x-{version}.zip", None), None);
    }

    #[test]
    fn drafts_are_no_releases_and_pre_releases_say_so() {
        let text = br#"[
            {"tag_name": "v3.8.1", "draft": false, "prerelease": false, "assets": []},
            {"tag_name": "v3.9.0", "draft": false, "prerelease": true},
            {"tag_name": "v3.9.0-rc.0", "prerelease": true},
            {"tag_name": "v9.9.9", "draft": true, "prerelease": false}
        ]"#;
        let index = Index::Github(String::new());
        assert_eq!(index.read(text).unwrap(), ["3.8.1", "3.9.0-prerelease", "3.9.0-rc.0"]);
        let index = Index::Hashicorp(String::new());
        let text = br#"{"name": "nomad", "versions": {"1.10.5": {"builds": []}, "1.10.5+ent": {}}}"#;
        assert_eq!(index.read(text).unwrap(), ["1.10.5", "1.10.5+ent"]);
        assert!(index.read(b"<html>").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Index::Github(String::new()).read(&bytes);
            let _ = Index::Hashicorp(String::new()).read(&bytes);
        }
    }
}
