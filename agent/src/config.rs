//! The site settings as the node finds them.

use std::error::Error;
use std::fmt;

use anyhow::Context;
use computatom_spec::paths;
use computatom_spec::role::ImageRoles;
use computatom_spec::site::{Site, lay_over};
use serde_json::{Map, Value};

use crate::atomic;
use crate::identity::Identity;
use crate::role::Assignment;
use crate::root::Root;

/// Site settings that the agent cannot act on: nothing on the node heals them.
#[derive(Debug)]
pub struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Fault {}

/// Reads the site settings of the running image, and over them those that this machine was started with; without any the
/// defaults hold.
///
/// # Errors
/// A [`Fault`] for settings that the agent cannot act on: the message names the key.
pub fn load(root: &Root) -> anyhow::Result<Site> {
    let (mut settings, mut from) = (Value::Object(Map::new()), paths::SITE);
    for place in [paths::SITE, paths::SITE_TOLD] {
        let text = root.read(place).with_context(|| format!("reading {place}"))?;
        let Some(text) = text else { continue };
        let value = serde_json::from_str(&text).map_err(|error| Fault(format!("{place} is not usable: {error}")))?;
        lay_over(&mut settings, value);
        from = place;
    }
    let fault = |text: String| Fault(format!("{from} is not usable: {text}"));
    let site: Site = serde_json::from_value(settings).map_err(|error| fault(error.to_string()))?;
    site.check().map_err(fault)?;
    Ok(site)
}

/// Takes what this machine was started with to where every part of the agent reads it: systemd hides credentials from units
/// that are shut in (systemd.exec(5): those have their own, or none).
///
/// # Errors
/// It cannot be read or written.
pub fn adopt(root: &Root) -> anyhow::Result<()> {
    let text = root
        .read(paths::SITE_CREDENTIAL)
        .with_context(|| format!("reading {}", paths::SITE_CREDENTIAL))?;
    if let Some(text) = text {
        atomic::write_if_changed(&root.path(paths::SITE_TOLD), &text, 0o644)
            .with_context(|| format!("writing {}", paths::SITE_TOLD))?;
    }
    Ok(())
}

/// Reads what the running image can be; an image that does not say it can be all.
///
/// # Errors
/// A [`Fault`] for a file that the agent cannot read.
pub fn image_roles(root: &Root) -> anyhow::Result<ImageRoles> {
    let text = root
        .read(paths::ROLES)
        .with_context(|| format!("reading {}", paths::ROLES))?;
    let Some(text) = text else {
        return Ok(ImageRoles::default());
    };
    serde_json::from_str(&text).map_err(|error| Fault(format!("{} is not usable: {error}", paths::ROLES)).into())
}

/// Settings under which every board has at least a name.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The site settings, or the defaults where they cannot be used.
    pub site: Site,
    /// What the image can be.
    pub image: ImageRoles,
    /// What is wrong with them. The defaults then give the node its name and nothing else: a board that starts a
    /// cluster which nobody asked for does more harm than one that says why it does not.
    pub fault: Option<String>,
}

impl Settings {
    /// Reads the settings; never fails.
    pub fn load(root: &Root) -> Self {
        let read = load(root).and_then(|site| Ok((site, image_roles(root)?)));
        match read {
            Ok((site, image)) => Self {
                site,
                image,
                fault: None,
            },
            Err(error) => Self {
                site: Site::default(),
                image: ImageRoles::default(),
                fault: Some(format!("{error:#}")),
            },
        }
    }

    /// The roles of `identity`; none while the settings cannot be used.
    pub fn assignment(&self, identity: &Identity) -> Assignment {
        let decided = match &self.fault {
            Some(_) => return Assignment::none("the site settings cannot be used"),
            None => Assignment::decide(&self.site, identity, &self.image),
        };
        // A rule that the check lets pass decides; were that ever wrong, the board says so and lives on.
        decided.unwrap_or_else(|error| Assignment::none(&format!("{error:#}")))
    }

    /// The error that ends a command which cannot do without the settings.
    ///
    /// # Errors
    /// The fault, where there is one.
    pub fn usable(&self) -> anyhow::Result<()> {
        match &self.fault {
            Some(fault) => Err(Fault(fault.clone()).into()),
            None => Ok(()),
        }
    }
}
