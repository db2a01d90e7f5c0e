//! The time zone of the site: `/etc/localtime` (localtime(5)), in an /etc that is new at every boot.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use anyhow::Context;
use computatom_spec::site::Site;

use crate::root::Root;

/// Points `/etc/localtime` to the site's zone.
///
/// # Errors
/// A zone that the image does not have, or /etc not writable.
pub fn apply(root: &Root, site: &Site) -> anyhow::Result<()> {
    let target = format!("/usr/share/zoneinfo/{}", site.timezone);
    let place = root.path("/etc/localtime");
    if fs::read_link(&place).is_ok_and(|current| current.as_os_str() == target.as_str()) {
        return Ok(());
    }
    fs::metadata(root.path(&target))
        .with_context(|| format!("setting the time zone `{}`: the image has no such zone", site.timezone))?;
    match fs::remove_file(&place) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err).context("replacing /etc/localtime"),
        _ => symlink(&target, &place).context("making /etc/localtime"),
    }
}
