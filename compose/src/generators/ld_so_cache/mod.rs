//! `/etc/ld.so.cache` in glibc's new format, and the links from SONAMEs to libraries, as `ldconfig(8)` makes them.
//!
//! The layout is that of glibc's `dl-cache.h`: a header, entries sorted for binary search, a string table with shared
//! suffixes, and an extension directory that names the generator and the `glibc-hwcaps` subdirectories.
//! `/var/cache/ldconfig/aux-cache` is not written: it is keyed by inode numbers, which an image does not have yet;
//! `ldconfig` makes it anew where it is missing.

/// The file itself.
mod cache;

/// What an ELF file says of itself.
mod shared_object;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use crate::system::System;
use crate::tree::{Follow, InodeId, Kind, Tree};
use cache::encode;
use shared_object::library;

/// A directory that is searched.
#[derive(Clone, Debug)]
struct Directory {
    path: String,
    id: InodeId,
    /// Name of its `glibc-hwcaps` subdirectory.
    hwcaps: Option<String>,
}

/// A line of the cache.
#[derive(Clone, Debug)]
struct Entry {
    soname: String,
    path: String,
    flags: u32,
    hwcaps: Option<String>,
}

/// A library found in a directory.
struct Library {
    name: String,
    is_link: bool,
    flags: u32,
}

/// Makes the cache and the links.
pub(super) fn generate(system: &mut System) -> Result<()> {
    let tree = &mut system.tree;
    let mut entries = Vec::new();
    let directories = directories(tree)?;
    for directory in &directories {
        search(tree, directory, &mut entries)?;
    }
    let names: BTreeSet<&str> = directories
        .iter()
        .filter_map(|directory| directory.hwcaps.as_deref())
        .collect();
    // Insertion into glibc's sorted list keeps the order of equal entries: so does this sort.
    entries.sort_by(compare);
    let cache = encode(&entries, names, &generator(tree)?)?;
    let _ = tree.unlink("/etc/ld.so.cache");
    tree.write("/etc/ld.so.cache", cache, 0o644)
        .context("writing /etc/ld.so.cache")?;
    Ok(())
}

/// What the tree's own `ldconfig` would call itself.
fn generator(tree: &Tree) -> Result<Vec<u8>> {
    let program = ["/usr/sbin/ldconfig.real", "/usr/sbin/ldconfig"]
        .iter()
        .find_map(|path| tree.read(path).ok());
    let program =
        program.context("reading /usr/sbin/ldconfig, whose version the cache names: is libc-bin installed?")?;
    let start = memchr::memmem::find(&program, b"ldconfig (").filter(|&start| program[start..].contains(&0));
    let start = start.context("looking for the version in /usr/sbin/ldconfig")?;
    let length = memchr::memchr(0, &program[start..]).context("looking for the version in /usr/sbin/ldconfig")?;
    Ok(program[start..start + length].to_vec())
}

/// The directories of `/etc/ld.so.conf`, then the standard ones; none twice, each with its `glibc-hwcaps`.
fn directories(tree: &Tree) -> Result<Vec<Directory>> {
    let mut paths = Vec::new();
    configured(tree, "/etc/ld.so.conf", &mut paths, 0)?;
    paths.extend(["/lib".to_owned(), "/usr/lib".to_owned()]);
    let mut found: Vec<Directory> = Vec::new();
    let add = |found: &mut Vec<Directory>, path: &str, hwcaps: Option<String>| {
        let Ok(id) = tree.lookup(path, Follow::Yes) else {
            return false;
        };
        let new = tree.inode(id).is_dir() && !found.iter().any(|known| known.id == id);
        if new {
            let path = path.to_owned();
            found.push(Directory { path, id, hwcaps });
        }
        new
    };
    for path in paths {
        if !add(&mut found, &path, None) {
            continue;
        }
        let below = format!("{path}/glibc-hwcaps");
        for (name, _) in tree.read_dir(&below).unwrap_or_default() {
            if !name.starts_with('.') && !name.contains(':') {
                add(&mut found, &format!("{below}/{name}"), Some(name));
            }
        }
    }
    Ok(found)
}

fn configured(tree: &Tree, file: &str, paths: &mut Vec<String>, depth: usize) -> Result<()> {
    if depth > 10 {
        bail!("{file} is included by itself");
    }
    let Ok(text) = tree.read_text(file) else {
        return Ok(());
    };
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(patterns) = line
            .strip_prefix("include")
            .filter(|rest| rest.starts_with([' ', '\t']))
        {
            for pattern in patterns.split_whitespace() {
                for included in matching(tree, pattern)? {
                    configured(tree, &included, paths, depth + 1)?;
                }
            }
        } else if !line.is_empty() && !line.starts_with("hwcap ") {
            let path = line
                .split('=')
                .next()
                .unwrap_or_default()
                .trim_end()
                .trim_end_matches('/');
            paths.push(path.to_owned());
        }
    }
    Ok(())
}

/// The files that an `include` pattern names, in byte order; only its last name may hold wildcards.
fn matching(tree: &Tree, pattern: &str) -> Result<Vec<String>> {
    let (directory, name) = pattern.rsplit_once('/').unwrap_or(("/etc", pattern));
    if directory.contains(['*', '?', '[']) {
        bail!("the include {pattern} in /etc/ld.so.conf has wildcards in a directory name");
    }
    let glob = globset::Glob::new(name)
        .with_context(|| format!("reading the include {pattern}"))?
        .compile_matcher();
    let names = tree
        .read_dir(directory)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, _)| name);
    let names = names.filter(|name| !name.starts_with('.') && glob.is_match(name));
    Ok(names.map(|name| format!("{directory}/{name}")).collect())
}

/// Whether a name can be that of a shared library or of the dynamic linker.
fn is_library_name(name: &str) -> bool {
    let prefix = ["lib", "ld-", "ld.so", "ld64.so"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    let temporary = [".dpkg-new", ".dpkg-tmp", ".#prelink#", "-gdb.py"]
        .iter()
        .any(|suffix| name.ends_with(suffix));
    prefix && name.contains(".so") && !temporary
}

/// Adds the libraries of a directory to the cache, one per SONAME, and links their SONAMEs.
fn search(tree: &mut Tree, directory: &Directory, entries: &mut Vec<Entry>) -> Result<()> {
    let mut libraries: BTreeMap<String, Library> = BTreeMap::new();
    let names = tree
        .read_dir(&directory.path)
        .with_context(|| format!("reading {}", directory.path))?;
    for (name, id) in names.into_iter().filter(|(name, _)| is_library_name(name)) {
        let path = format!("{}/{name}", directory.path);
        let mut is_link = tree.inode(id).is_symlink();
        let Ok(inode) = tree.stat(&path) else {
            if name.contains(".so.") {
                tree.unlink(&path)
                    .with_context(|| format!("removing the dangling link {path}"))?;
            }
            continue;
        };
        let Kind::File(content) = &inode.kind else {
            continue;
        };
        let Some((flags, soname)) = library(content) else {
            continue;
        };
        let mut soname = soname.unwrap_or_else(|| name.clone());
        if is_link {
            // A link counts as one only if it is the SONAME, or the name for the link editor.
            let for_linking = name.strip_suffix(".so").is_some() && soname.starts_with(&name);
            is_link = name == soname || for_linking;
        }
        if is_link {
            soname.clone_from(&name);
        }
        let better = libraries.get(&soname).is_none_or(|known| {
            !is_link && known.is_link || is_link == known.is_link && compare_names(&known.name, &name).is_lt()
        });
        if better {
            libraries.insert(soname, Library { name, is_link, flags });
        }
    }
    for (soname, library) in libraries {
        let file = if directory.hwcaps.is_none() {
            if !library.is_link {
                link(tree, &directory.path, &library.name, &soname)?;
            }
            soname.clone()
        } else {
            library.name
        };
        entries.push(Entry {
            path: format!("{}/{file}", directory.path),
            soname,
            flags: library.flags,
            hwcaps: directory.hwcaps.clone(),
        });
    }
    Ok(())
}

/// Makes `soname` lead to `name`, unless it does already or is a file itself.
fn link(tree: &mut Tree, directory: &str, name: &str, soname: &str) -> Result<()> {
    let (file, link) = (format!("{directory}/{name}"), format!("{directory}/{soname}"));
    let target = tree.lookup(&link, Follow::Yes);
    if target.is_ok() && target == tree.lookup(&file, Follow::Yes) {
        return Ok(());
    }
    match tree.lstat(&link) {
        Ok(inode) if !inode.is_symlink() => return Ok(()),
        Ok(_) => tree.unlink(&link)?,
        Err(_) => {}
    }
    tree.symlink(name, &link).with_context(|| format!("linking {link}"))?;
    Ok(())
}

/// `_dl_cache_libcmp`: digits compare as numbers, and come after everything else.
fn compare_names(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let Some(&first) = a.first() {
        let other = b.first().copied().unwrap_or(0);
        match (first.is_ascii_digit(), other.is_ascii_digit()) {
            (true, true) => {
                let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = |text: &[u8]| {
                    text.iter().fold(0_u64, |n, byte| {
                        n.saturating_mul(10).saturating_add(u64::from(byte - b'0'))
                    })
                };
                let (x, y) = (a.split_at(digits(a)), b.split_at(digits(b)));
                let ordering = number(x.0).cmp(&number(y.0));
                if ordering.is_ne() {
                    return ordering;
                }
                (a, b) = (x.1, y.1);
            }
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) if first != other => return first.cmp(&other),
            (false, false) => (a, b) = (&a[1..], &b[1..]),
        }
    }
    0.cmp(&b.first().copied().unwrap_or(0))
}

/// Names descending, so that the search finds the newest first; hwcaps entries before the plain ones.
fn compare(a: &Entry, b: &Entry) -> Ordering {
    compare_names(&b.soname, &a.soname)
        .then(b.flags.cmp(&a.flags))
        .then(b.hwcaps.is_some().cmp(&a.hwcaps.is_some()))
        .then_with(|| a.hwcaps.cmp(&b.hwcaps))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::cache::{ENTRY_SIZE, HEADER_SIZE};
    use super::*;
    use crate::generators::host;

    #[test]
    fn names_compare_as_in_glibc() {
        assert_eq!(compare_names("libx.so.10", "libx.so.9"), Ordering::Greater);
        assert_eq!(compare_names("libx.so.1", "libx.so"), Ordering::Greater);
        assert_eq!(compare_names("liba1.so", "libaa.so"), Ordering::Greater);
        assert_eq!(compare_names("libx", "libx"), Ordering::Equal);
    }

    /// The host's own libraries and `ldconfig`, in a root of their own.
    #[test]
    fn the_real_ldconfig_makes_the_same() {
        let root = tempfile::tempdir().unwrap();
        let libraries = root.path().join("usr/lib/x86_64-linux-gnu");
        std::fs::create_dir_all(&libraries).unwrap();
        for directory in [
            "usr/sbin",
            "etc/ld.so.conf.d",
            "usr/local/lib",
            "usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v2",
        ] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        std::os::unix::fs::symlink("usr/lib", root.path().join("lib")).unwrap();
        let Some(source) = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"]
            .iter()
            .map(Path::new)
            .find(|path| path.is_dir())
        else {
            return;
        };
        let mut copied = 0;
        for name in [
            "libc.so.6",
            "libm.so.6",
            "libz.so.1",
            "libdl.so.2",
            "libpthread.so.0",
            "liblzma.so.5",
            "libgcc_s.so.1",
            "libstdc++.so.6",
        ] {
            let Ok(real) = source.join(name).canonicalize() else {
                continue;
            };
            std::fs::copy(&real, libraries.join(real.file_name().unwrap())).unwrap();
            copied += 1;
        }
        assert!(copied > 3, "the host lacks its own libraries");
        std::os::unix::fs::symlink("libnowhere.so.1.0", libraries.join("libdangling.so.1")).unwrap();
        std::os::unix::fs::symlink("libc.so.6", libraries.join("libc.so")).unwrap();
        std::fs::copy(libraries.join("libc.so.6"), root.path().join("usr/local/lib/libc.so.6")).unwrap();
        std::fs::write(root.path().join("etc/ld.so.conf"), "include /etc/ld.so.conf.d/*.conf\n").unwrap();
        let conf =
            "# local first\n/usr/local/lib\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu/ # again\n/no/such\n";
        std::fs::write(root.path().join("etc/ld.so.conf.d/a.conf"), conf).unwrap();
        std::fs::copy("/sbin/ldconfig", root.path().join("usr/sbin/ldconfig")).unwrap();
        let mut system = System::new("amd64", 0);
        host::load(&mut system.tree, root.path());
        generate(&mut system).unwrap();
        let done = Command::new("/sbin/ldconfig")
            .arg("-r")
            .arg(root.path())
            .status()
            .unwrap();
        assert!(done.success());
        let theirs = std::fs::read(root.path().join("etc/ld.so.cache")).unwrap();
        let ours = system.tree.read("/etc/ld.so.cache").unwrap();
        let mut expected = System::new("amd64", 0);
        let _ = std::fs::remove_dir_all(root.path().join("var"));
        host::load(&mut expected.tree, root.path());
        assert_eq!(host::listing(&system.tree), host::listing(&expected.tree));
        // glibc before 2.37 (Debian 12) still notes the oldest kernel a library runs on; later ones leave the field 0.
        let mut theirs = theirs;
        let count = u32::from_le_bytes(theirs[20..24].try_into().unwrap()) as usize;
        for index in 0..count {
            let at = HEADER_SIZE + index * ENTRY_SIZE + 12;
            theirs[at..at + 4].fill(0);
        }
        assert!(theirs == ours[..], "the caches differ");
    }
}
