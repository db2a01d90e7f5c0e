//! `giomodule.cache`, as `gio-querymodules(1)` makes it: which extension points each module implements.
//!
//! The real tool loads every module and calls its function `g_io_NAME_query`. No code of another machine runs here:
//! what that function of each known module gives is in a table, and every string of it must be in the module, with the
//! function's name. GIO loads a module that is not in the cache to ask it, so that an unknown one works too, and is
//! noted.

use anyhow::Result;

use crate::generators::note;
use crate::system::System;

/// Modules in Debian, and the extension points that they implement, in the order in which they say them.
const MODULES: &[(&str, &[&str])] = &[
    ("libdconfsettings.so", &["gsettings-backend"]),
    ("libgiognomeproxy.so", &["gio-proxy-resolver"]),
    ("libgiognutls.so", &["gio-tls-backend"]),
    ("libgiolibproxy.so", &["gio-proxy-resolver"]),
    (
        "libgioremote-volume-monitor.so",
        &["gio-native-volume-monitor", "gio-volume-monitor"],
    ),
    ("libgvfsdbus.so", &["gio-vfs", "gio-volume-monitor"]),
];

/// Lists the modules of each architecture's directory.
pub(in crate::generators) fn generate(system: &mut System) -> Result<()> {
    if !system.tree.is_dir("/usr/lib") {
        return Ok(());
    }
    for (triplet, _) in system.tree.read_dir("/usr/lib")? {
        let directory = format!("/usr/lib/{triplet}/gio/modules");
        if system.tree.is_dir(&directory) {
            list(system, &directory)?;
        }
    }
    Ok(())
}

fn list(system: &mut System, directory: &str) -> Result<()> {
    let mut text = String::new();
    let mut unknown = Vec::new();
    let mut names: Vec<String> = system
        .tree
        .read_dir(directory)?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    for name in names {
        if name.strip_suffix(".so").is_none_or(|stem| !stem.starts_with("lib")) {
            continue;
        }
        let path = format!("{directory}/{name}");
        let points = MODULES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, points)| *points);
        let content = if system.tree.is_file(&path) {
            system.tree.read(&path)?
        } else {
            bytes::Bytes::new()
        };
        match points {
            Some(points) if agrees(&content, &name, points) => {
                text += &[name.as_str(), ": ", &points.join(","), "\n"].concat();
            }
            _ => unknown.push(path),
        }
    }
    let cache = format!("{directory}/giomodule.cache");
    if !text.is_empty() {
        system.tree.write(&cache, text, 0o644)?;
    } else if system.tree.lexists(&cache) {
        system.tree.unlink(&cache)?;
    }
    for path in unknown {
        note(
            system,
            format!("{path} is not in the cache of GIO's modules: GIO asks it when it starts"),
        );
    }
    Ok(())
}

/// Whether a module has the function that is asked, and the strings that it is known to give.
fn agrees(content: &[u8], name: &str, points: &[&str]) -> bool {
    let has = |string: &str| memchr::memmem::find(content, format!("\0{string}\0").as_bytes()).is_some();
    let function = format!("g_io_{}_query", extracted(name).replace('-', "_"));
    (has(&function) || has("g_io_module_query")) && points.iter().all(|point| has(point))
}

/// The name in the names of a module's functions: `gnutls` of `libgiognutls.so`.
fn extracted(name: &str) -> &str {
    let name = name.strip_prefix("lib").unwrap_or(name);
    let name = name.strip_prefix("gio").unwrap_or(name);
    name.split_once('.').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_listed_by_what_they_implement() {
        let mut system = System::new("arm64", 0);
        let directory = "/usr/lib/aarch64-linux-gnu/gio/modules";
        system.tree.mkdir_all(directory, 0o755).unwrap();
        for (name, content) in [
            (
                "libgvfsdbus.so",
                "\0g_io_module_query\0\0gio-vfs\0\0gio-volume-monitor\0",
            ),
            (
                "libdconfsettings.so",
                "\0g_io_dconfsettings_query\0\0gsettings-backend\0",
            ),
            ("libgiognutls.so", "\0g_io_gnutls_query\0\0gio-tls-backend-2\0"),
            ("libother.so", "\0g_io_module_query\0"),
            ("gio-vfs.so", ""),
        ] {
            system
                .tree
                .write(&format!("{directory}/{name}"), content, 0o644)
                .unwrap();
        }
        let cache = format!("{directory}/giomodule.cache");
        generate(&mut system).unwrap();
        let text = "libdconfsettings.so: gsettings-backend\nlibgvfsdbus.so: gio-vfs,gio-volume-monitor\n";
        assert_eq!(system.tree.read_text(&cache).unwrap(), text);
        let notes: Vec<&str> = system.notes.iter().map(|note| note.text.as_str()).collect();
        assert!(notes.len() == 2 && notes[0].contains("/libgiognutls.so ") && notes[1].contains("/libother.so "));
        for name in ["libgvfsdbus.so", "libdconfsettings.so"] {
            system.tree.unlink(&format!("{directory}/{name}")).unwrap();
        }
        generate(&mut system).unwrap();
        assert!(!system.tree.exists(&cache));
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(MODULES.is_sorted_by_key(|(name, _)| name));
    }
}
