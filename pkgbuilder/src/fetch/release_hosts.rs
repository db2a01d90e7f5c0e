//! Where publishers' release hosts are reached: at home, or at a mirror that stands in for them.
//!
//! A network without a way out, or one that keeps what it uses, has copies of `releases.hashicorp.com` and `github.com` of its
//! own. Only *where* changes: digests and signatures stay the publisher's, so a stand-in can withhold, but not forge.

use std::collections::BTreeMap;
use std::env;

use anyhow::Result;
use reqwest::Url;

use crate::input_error;

/// Environment variable with stand-ins as `--release-host` takes them, separated by white space or commas.
pub const RELEASE_MIRROR: &str = "COMPUTATOM_RELEASE_MIRROR";

/// Stand-ins for release hosts: host to base URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseHosts {
    bases: BTreeMap<String, Url>,
}

impl ReleaseHosts {
    /// The stand-ins of the environment, with `options` (`HOST=URL`) over them.
    pub fn find(options: &[String]) -> Result<Self> {
        let said = env::var(RELEASE_MIRROR).unwrap_or_default();
        let mut hosts = Self::default();
        for entry in said.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty()) {
            hosts.add(RELEASE_MIRROR, entry)?;
        }
        for entry in options {
            hosts.add("--release-host", entry)?;
        }
        Ok(hosts)
    }

    /// Adds `HOST=URL`; `said_by` names the option or variable in an error.
    fn add(&mut self, said_by: &str, entry: &str) -> Result<()> {
        let wrong = |why: &str| {
            input_error!(
                "{said_by}: `{entry}` {why}; write HOST=URL, as in \
                 `releases.hashicorp.com=https://mirror.example.org/hashicorp`"
            )
        };
        let (host, base) = entry.split_once('=').ok_or_else(|| wrong("has no `=`"))?;
        if host.is_empty() || host.contains(['/', ':', '@']) {
            return Err(wrong("does not begin with a host name"));
        }
        // A bare path is what people write for a copy on disk.
        let base = if base.starts_with('/') {
            format!("file://{base}")
        } else {
            base.to_owned()
        };
        let base = Url::parse(&base).map_err(|_| wrong("has no URL behind the `=`"))?;
        if !["http", "https", "file"].contains(&base.scheme()) {
            return Err(wrong("is reached neither by http(s) nor on disk"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong("has a URL that nothing can be appended to"));
        }
        self.bases.insert(host.to_ascii_lowercase(), base);
        Ok(())
    }

    /// Where a published file is reached from here.
    pub(super) fn locate(&self, url: &Url) -> Url {
        let Some(base) = url.host_str().and_then(|host| self.bases.get(host)) else {
            return url.clone();
        };
        let mut located = base.clone();
        located.set_path(&format!("{}{}", base.path().trim_end_matches('/'), url.path()));
        located.set_query(url.query());
        located
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(entries: &[&str]) -> ReleaseHosts {
        let mut hosts = ReleaseHosts::default();
        for entry in entries {
            hosts.add("--release-host", entry).unwrap();
        }
        hosts
    }

    fn located(hosts: &ReleaseHosts, url: &str) -> String {
        hosts.locate(&Url::parse(url).unwrap()).to_string()
    }

    #[test]
    fn only_the_named_host_is_replaced() {
        let hosts = hosts(&[
            "releases.hashicorp.com=http://user:word@mirror.example/hashicorp/",
            "github.com=/srv/github",
        ]);
        assert_eq!(
            located(&hosts, "https://releases.hashicorp.com/nomad/1.10.5/x.zip?a=b"),
            "http://user:word@mirror.example/hashicorp/nomad/1.10.5/x.zip?a=b"
        );
        assert_eq!(
            located(&hosts, "https://GitHub.com/a/b%20c"),
            "file:///srv/github/a/b%20c"
        );
        let other = "https://api.github.com/repos";
        assert_eq!(located(&hosts, other), other);
    }

    #[test]
    fn the_last_one_said_counts() {
        let hosts = hosts(&["github.com=http://one/", "github.com=http://two"]);
        assert_eq!(located(&hosts, "https://github.com/x"), "http://two/x");
    }

    #[test]
    fn what_is_no_stand_in_is_refused_with_an_example() {
        for (entry, why) in [
            ("http://mirror.example", "has no `=`"),
            ("=http://mirror.example", "does not begin with a host name"),
            ("https://github.com=http://mirror", "does not begin with a host name"),
            ("github.com=mirror", "has no URL"),
            ("github.com=ftp://mirror/", "neither by http(s)"),
            ("github.com=http://mirror/?path=", "nothing can be appended to"),
        ] {
            let error = ReleaseHosts::default().add("--release-host", entry).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            let text = error.to_string();
            assert!(text.contains(why) && text.contains("write HOST=URL"), "{text}");
        }
    }
}
