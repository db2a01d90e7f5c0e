//! The site settings as the node finds them.

use anyhow::{Context, bail};
use computatom_spec::paths;
use computatom_spec::site::Site;
use ipnet::IpNet;

use crate::identity::hostname;
use crate::root::Root;

/// Reads the site settings of the running image; an image without any uses the defaults.
///
/// # Errors
/// Settings that the agent cannot act on: the message names the key.
pub fn load(root: &Root) -> anyhow::Result<Site> {
    let site: Site = match root
        .read(paths::SITE)
        .with_context(|| format!("reading {}", paths::SITE))?
    {
        Some(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", paths::SITE))?,
        None => Site::default(),
    };
    check(&site).with_context(|| format!("checking {}", paths::SITE))?;
    Ok(site)
}

/// Refuses what serde cannot: names and networks with a meaning.
fn check(site: &Site) -> anyhow::Result<()> {
    if site.servers.is_empty() {
        bail!("`servers` is empty: name at least one board that is to be a server");
    }
    for server in &site.servers {
        hostname::validate(server).with_context(|| format!("reading `servers` entry `{server}`"))?;
    }
    hostname::validate(&site.hostname_prefix)
        .with_context(|| format!("reading `hostname_prefix` `{}`", site.hostname_prefix))?;
    if let Some(lan) = &site.lan {
        lan.parse::<IpNet>()
            .with_context(|| format!("reading `lan` `{lan}`: write a network like 192.168.1.0/24"))?;
    }
    Ok(())
}
