//! Maintainer scripts that are replaced, because what they do cannot or must not be done while composing.
//!
//! Each is pinned by the digest of the script it stands for: a new version of the script stops the composition
//! until somebody has looked at it.

use anyhow::{Result, bail};
use sha2::{Digest as _, Sha256};

use crate::deb::Package;
use crate::system::{Note, System};

/// One replaced script.
struct Configurator {
    package: &'static str,
    script: &'static str,
    /// SHA-256 digests of the versions of the script that this stands for.
    digests: &'static [&'static str],
    /// Why the script is not interpreted.
    reason: &'static str,
    /// What is done instead.
    apply: fn(&mut System, args: &[&str]) -> Result<()>,
}

/// All of them.
const TABLE: &[Configurator] = &[];

/// Does what replaces a script; `false` if the script is to be interpreted.
pub fn apply(system: &mut System, package: &Package, script: &str, args: &[&str]) -> Result<bool> {
    let found = TABLE
        .iter()
        .find(|row| row.package == package.name() && row.script == script);
    let (Some(row), Some(member)) = (found, package.control.members.get(script)) else {
        return Ok(false);
    };
    let digest = hex::encode(Sha256::digest(&member.content));
    if !row.digests.contains(&digest.as_str()) {
        bail!(
            "package {}: its {script} has the digest {digest}, which the configurator that replaces it does not know: \
             compare it with the version the configurator was written for, then add the digest",
            package.name()
        );
    }
    (row.apply)(system, args)?;
    system.notes.push(Note {
        package: package.name().to_owned(),
        script: script.to_owned(),
        text: format!("replaced: {}", row.reason),
    });
    Ok(true)
}
