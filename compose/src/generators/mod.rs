//! What compiled helpers would have generated at the end of an installation, made natively over the tree.
//!
//! Each generator runs when a command asked for it ([`System::pending`]); its output is what the helper's would be.

use anyhow::{Context as _, Result};

use crate::system::{Note, System};

/// `/etc/ssl/certs`: the bundle, its links and the subject hashes of `update-ca-certificates(8)`.
mod ca_certificates;

/// The DER subset that certificates need.
mod der;

/// What GLib compiles: schemas of settings, the list of GIO's modules.
mod glib;

/// udev's hardware database.
mod hwdb;

/// Java's keystore of certificates.
mod java_keystore;

/// The explanations of journal messages.
mod journal_catalog;

/// `/etc/ld.so.cache` and the links of `ldconfig(8)`.
mod ld_so_cache;

/// XML.
mod markup;

/// The database of types of files.
mod mime;

/// `modules.dep` and its relatives, as `depmod(8)` makes them.
mod modules;

/// The string table of systemd's databases.
mod string_pool;

/// Directories of the host as trees, for comparisons.
#[cfg(test)]
mod host;

/// A generator: changes the tree as its helper would.
type Generator = fn(&mut System) -> Result<()>;

/// Name in [`System::pending`], what it makes, and how.
const GENERATORS: &[(&str, &str, Generator)] = &[
    ("ca-certificates", "the CA bundle", ca_certificates::generate),
    ("catalog", "the journal's catalog", journal_catalog::generate),
    ("depmod", "the maps of kernel modules", modules::generate),
    ("gio-querymodules", "the list of GIO's modules", glib::gio_modules),
    ("glib-compile-schemas", "the schemas of settings", glib::schemas),
    ("hwdb", "the hardware database", hwdb::generate),
    // Of the links that the CA bundle's generator makes.
    ("java-keystore", "Java's keystore", java_keystore::generate),
    ("ldconfig", "the cache of shared libraries", ld_so_cache::generate),
    ("update-mime-database", "the database of types of files", mime::generate),
];

/// What is asked for and not made, and what that means on the node.
const UNMADE: &[(&str, &str)] = &[
    (
        "fc-cache",
        "the caches of fonts are not made: fontconfig reads the fonts without, or makes them itself",
    ),
    (
        "gtk-update-icon-cache",
        "the caches of icons are not made: GTK finds icons without",
    ),
    (
        "iconvconfig",
        "the cache of gconv's modules is not made: iconv reads its configuration without",
    ),
    (
        "install-info",
        "the directory of Info pages is not made: `update-info-dir` makes it on the node",
    ),
    ("mandb", "the index of manual pages is not made: man-db.timer makes it"),
    (
        "update-desktop-database",
        "the cache of desktop entries is not made: only desktops read it, and `update-desktop-database` makes it on \
         the node",
    ),
    (
        "update-fonts-alias",
        "the names of X11's own fonts are not made: only X servers read them, and `update-fonts-alias` makes them \
         on the node",
    ),
    (
        "update-fonts-dir",
        "the list of X11's own fonts is not made: only X servers read it, and `update-fonts-dir` makes it on the node",
    ),
    (
        "update-fonts-scale",
        "the list of X11's own scalable fonts is not made: only X servers read it, and `update-fonts-scale` makes \
         it on the node",
    ),
    (
        "update-initramfs",
        "no initramfs is made by Debian's scripts: the image has its own",
    ),
    (
        "update-mime",
        "the list of programs for types of files is not made: `update-mime` makes it on the node",
    ),
];

/// Notes what was asked for and has no generator.
pub(crate) fn note_rest(system: &mut System) {
    for name in std::mem::take(&mut system.pending) {
        let known = UNMADE.iter().find(|(unmade, _)| *unmade == name);
        let text = known.map_or_else(
            || format!("{name} was asked for and is not made here"),
            |(_, text)| (*text).to_owned(),
        );
        note(system, text);
    }
}

/// Says what a generator has left out, and why.
fn note(system: &mut System, text: String) {
    system.notes.push(Note {
        package: String::new(),
        script: "generators".to_owned(),
        text,
    });
}

/// Runs every generator that was asked for and takes it off the list; those left on it have none here.
pub fn run_all(system: &mut System) -> Result<()> {
    for (name, what, generate) in GENERATORS {
        if system.pending.remove(*name) {
            generate(system).with_context(|| format!("generating {what}"))?;
        }
    }
    Ok(())
}
