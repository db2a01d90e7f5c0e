//! systemd-tmpfiles(8) `--create` and `--remove` while an image is built.
//!
//! Lines for the boot (`!`) and those whose argument is a credential (`^`) are left to the node: there are none here.

use std::collections::BTreeMap;

use super::config_files;
use crate::commands::arguments::{Arguments, is_whole_tree};
use crate::commands::ending::{Done, Ending, settle};
use crate::commands::fnmatch::matches;
use crate::shell::process::{Command, Process};
use crate::tree::{Follow, Inode, Kind, Tree, TreeError};

/// What a line says.
mod line;

use line::{Line, Owner};

/// systemd-tmpfiles
pub(crate) const COMMANDS: &[(&str, Command)] = &[("systemd-tmpfiles", |process| settle(process, tmpfiles))];

/// Status of a run with lines that make no sense (`EX_DATAERR`).
const DATA_ERROR: u8 = 65;

const OPTIONS: &[&str] = &[
    "--create",
    "--remove",
    "--clean",
    "--boot",
    "--graceful",
    "--root =",
    "--prefix =",
    "--exclude-prefix =",
    "-E",
    "--no-pager",
];

fn tmpfiles(process: &mut Process<'_>) -> Done {
    let given = Arguments::of(process, OPTIONS)?;
    if !is_whole_tree(given.value("--root").unwrap_or("")) {
        return Err(process.unsupported("another root").into());
    }
    let tree = &process.system.tree;
    let files = if given.operands.is_empty() {
        config_files::all(tree, "tmpfiles.d", ".conf")?
    } else {
        let find = |name: &String| {
            config_files::named(tree, "tmpfiles.d", name)
                .ok_or_else(|| Ending::failed(format!("Failed to open '{name}': No such file or directory")))
        };
        given.operands.iter().map(find).collect::<Done<Vec<String>>>()?
    };
    let mut excluded: Vec<&str> = given.values("--exclude-prefix").collect();
    if given.has("-E") {
        excluded.extend(["/dev", "/proc", "/run", "/sys"]);
    }
    let below =
        |path: &str, prefix: &str| path == prefix || path.starts_with(&format!("{}/", prefix.trim_end_matches('/')));
    let mut status = 0;
    for file in files {
        let text = process.system.tree.read_text(&file)?;
        for text in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let line = match Line::parse(process, text, given.has("--boot")) {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(sentence) => {
                    process.fail(&sentence);
                    status = DATA_ERROR;
                    continue;
                }
            };
            if given.value("--prefix").is_some_and(|prefix| !below(&line.path, prefix))
                || excluded.iter().any(|prefix| below(&line.path, prefix))
            {
                continue;
            }
            let done = carry_out(process, &line, given.has("--create"), given.has("--remove"));
            if let Err(Ending::Failed { text, .. }) = done {
                process.fail(&text);
                if !line.is('-') {
                    status = 73; // EX_CANTCREAT
                }
            } else {
                done?;
            }
        }
    }
    Ok(status)
}

fn carry_out(process: &mut Process<'_>, line: &Line, create: bool, remove: bool) -> Done<()> {
    if remove {
        removal(&mut process.system.tree, line)?;
    }
    if !create {
        return Ok(());
    }
    match line.kind {
        'a' | 'A' => process.note(format!("the access control list of {} is set on the node", line.path)),
        // Attributes of btrfs and ext4 (`chattr`): there is no such file system yet.
        'h' | 'H' | 'x' | 'X' | 'r' | 'R' => {}
        _ => creation(&mut process.system.tree, line)?,
    }
    Ok(())
}

fn creation(tree: &mut Tree, line: &Line) -> Done<()> {
    let path = line.path.as_str();
    match line.kind {
        'd' | 'D' | 'v' | 'q' | 'Q' => {
            let new = !tree.lexists(path);
            if new {
                parents(tree, path)?;
                tree.mkdir(path, 0o755)?;
            }
            if tree.is_dir(path) {
                set_metadata(tree, path, line, new)
            } else {
                Ok(())
            }
        }
        'e' | 'z' | 'm' => glob(tree, path)?
            .iter()
            .try_for_each(|path| set_metadata(tree, path, line, false)),
        'Z' => {
            for path in glob(tree, path)? {
                let below: Vec<String> = tree.walk(&path)?.into_iter().map(|(path, _)| path).collect();
                for path in std::iter::once(path).chain(below) {
                    set_metadata(tree, &path, line, false)?;
                }
            }
            Ok(())
        }
        'f' | 'F' => {
            let new = !tree.lexists(path);
            if new || line.is('+') || line.kind == 'F' {
                parents(tree, path)?;
                tree.write(path, line.argument.clone().unwrap_or_default(), 0o644)?;
            }
            set_metadata(tree, path, line, new)
        }
        'w' => {
            let content = line.argument.clone().unwrap_or_default();
            for path in glob(tree, path)? {
                if line.is('+') {
                    tree.append(&path, content.as_bytes(), 0o644)?;
                } else {
                    // As systemd, from the beginning and without cutting off what is longer.
                    let mut all = tree.read(&path)?.to_vec();
                    let end = content.len().min(all.len());
                    all.splice(..end, content.bytes());
                    tree.write(&path, all, 0o644)?;
                }
            }
            Ok(())
        }
        'L' => link(tree, line),
        'C' => copy(tree, line),
        'p' | 'c' | 'b' => node(tree, line),
        't' | 'T' => attributes(tree, line),
        other => Err(Ending::with(DATA_ERROR, format!("unknown type `{other}` for {path}"))),
    }
}

fn link(tree: &mut Tree, line: &Line) -> Done<()> {
    let (path, target) = (line.path.as_str(), line.source());
    if line.is('?') {
        let from = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let absolute = if target.starts_with('/') {
            target.clone()
        } else {
            format!("{from}/{target}")
        };
        if !tree.exists(&absolute) {
            return Ok(());
        }
    }
    match tree.read_link(path) {
        Ok(old) if old == target => return Ok(()),
        _ if !tree.lexists(path) => parents(tree, path)?,
        _ if line.is('+') => tree.remove_all(path)?,
        _ => return Ok(()),
    }
    let id = tree.symlink(&target, path)?;
    let inode = tree.inode_mut(id);
    inode.uid = line.uid.map_or(inode.uid, |(uid, _)| uid);
    inode.gid = line.gid.map_or(inode.gid, |(gid, _)| gid);
    Ok(())
}

/// Copies a file or a tree unless the destination is there already (an empty directory does not count).
fn copy(tree: &mut Tree, line: &Line) -> Done<()> {
    let (path, source) = (line.path.as_str(), line.source());
    let occupied = match tree.stat(path).map(|inode| &inode.kind) {
        Ok(Kind::Dir(entries)) => !entries.is_empty(),
        Ok(_) => true,
        Err(_) => false,
    };
    if occupied || !tree.exists(&source) {
        return Ok(());
    }
    let mut below = vec![(source.clone(), tree.lookup(&source, Follow::Yes)?)];
    if tree.is_dir(&source) {
        below.extend(tree.walk(&source)?);
    }
    parents(tree, path)?;
    for (from, id) in below {
        let to = format!("{path}{}", &from[source.len()..]);
        if tree.is_dir(&to) {
            continue;
        }
        let mut inode = tree.inode(id).clone();
        if inode.is_dir() {
            inode.kind = Kind::Dir(BTreeMap::new());
        }
        tree.create(&to, inode)?;
    }
    set_metadata(tree, path, line, true)
}

fn node(tree: &mut Tree, line: &Line) -> Done<()> {
    let path = line.path.as_str();
    let numbers = line.argument.as_deref().and_then(|text| text.split_once(':'));
    let device = numbers.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let kind = match (line.kind, device) {
        ('p', _) => Kind::Fifo,
        ('c', Some((major, minor))) => Kind::Char { major, minor },
        ('b', Some((major, minor))) => Kind::Block { major, minor },
        _ => return Err(Ending::with(DATA_ERROR, format!("{path} lacks device numbers"))),
    };
    if tree.lexists(path) {
        if !line.is('+') {
            return Ok(());
        }
        tree.remove_all(path)?;
    }
    parents(tree, path)?;
    let now = tree.now;
    tree.create(path, Inode::new(kind, 0o644, now))?;
    set_metadata(tree, path, line, true)
}

/// `t`: extended attributes, `name=value` separated by spaces.
fn attributes(tree: &mut Tree, line: &Line) -> Done<()> {
    for path in glob(tree, &line.path)? {
        let id = tree.lookup(&path, Follow::Yes)?;
        for word in config_files::words(line.argument.as_deref().unwrap_or("")) {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| Ending::with(DATA_ERROR, format!("`{word}` is no extended attribute")))?;
            tree.inode_mut(id)
                .xattrs
                .insert(name.to_owned(), value.as_bytes().to_vec());
        }
    }
    Ok(())
}

fn removal(tree: &mut Tree, line: &Line) -> Done<()> {
    for path in if matches!(line.kind, 'r' | 'R' | 'D') {
        glob(tree, &line.path)?
    } else {
        Vec::new()
    } {
        match line.kind {
            'r' if tree.lstat(&path)?.is_dir() => {
                if tree.read_dir(&path)?.is_empty() {
                    tree.rmdir(&path)?;
                }
            }
            'D' if tree.is_dir(&path) => {
                for (name, _) in tree.read_dir(&path)? {
                    tree.remove_all(&format!("{path}/{name}"))?;
                }
            }
            'D' => {}
            _ => tree.remove_all(&path)?,
        }
    }
    Ok(())
}

fn parents(tree: &mut Tree, path: &str) -> Done<()> {
    match path.rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => {
            tree.mkdir_all(parent, 0o755)?;
        }
        _ => {}
    }
    Ok(())
}

fn set_metadata(tree: &mut Tree, path: &str, line: &Line, new: bool) -> Done<()> {
    let id = tree.lookup(path, Follow::No)?;
    let inode = tree.inode_mut(id);
    let pick = |owner: Owner| owner.filter(|(_, only_new)| new || !only_new).map(|(id, _)| id);
    inode.uid = pick(line.uid).unwrap_or(inode.uid);
    inode.gid = pick(line.gid).unwrap_or(inode.gid);
    if let Some(mode) = line.mode.filter(|mode| (new || !mode.only_new) && !inode.is_symlink()) {
        inode.mode = if mode.masked {
            masked(mode.bits, inode)
        } else {
            mode.bits
        };
    }
    Ok(())
}

/// `~`: read, write and execute bits only where the file has some already; setuid and setgid never on files.
fn masked(bits: u32, inode: &Inode) -> u32 {
    let mut bits = bits;
    for class in [0o444, 0o222, 0o111] {
        if inode.mode & class == 0 {
            bits &= !class;
        }
    }
    if inode.is_dir() { bits } else { bits & !0o7000 }
}

/// The existing paths that match a pattern, component by component.
fn glob(tree: &Tree, pattern: &str) -> Result<Vec<String>, TreeError> {
    let mut found = vec![String::new()];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for base in found {
            if !part.contains(['*', '?', '[']) {
                next.push(format!("{base}/{part}"));
            } else if tree.is_dir(&format!("{base}/")) {
                let hidden = part.starts_with('.');
                next.extend(
                    tree.read_dir(&format!("{base}/"))?
                        .into_iter()
                        .filter(|(name, _)| (hidden || !name.starts_with('.')) && matches(part, name))
                        .map(|(name, _)| format!("{base}/{name}")),
                );
            }
        }
        found = next;
    }
    Ok(found.into_iter().filter(|path| tree.lexists(path)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    fn run(system: &mut System, conf: &str) -> u8 {
        system.tree.mkdir_all("/etc/tmpfiles.d", 0o755).unwrap();
        system
            .tree
            .write("/etc/tmpfiles.d/t.conf", conf.to_owned(), 0o644)
            .unwrap();
        let mut process = Process::new(system, &["systemd-tmpfiles", "--create", "t.conf"]);
        settle(&mut process, tmpfiles).unwrap()
    }

    fn root() -> System {
        let mut system = System::new("arm64", 0);
        let tree = &mut system.tree;
        tree.mkdir_all("/etc", 0o755).unwrap();
        tree.write(
            "/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nnet:x:998:998::/:/bin/sh\n",
            0o644,
        )
        .unwrap();
        tree.write("/etc/group", "root:x:0:\nnet:x:998:\njournal:x:999:\n", 0o644)
            .unwrap();
        system
    }

    #[test]
    fn directories_files_and_links_are_made() {
        let mut system = root();
        let conf = "d$ /run/systemd/netif 0755 net net -\nq /tmp 1777 root root 10d\nL /var/lock - - - - ../run/lock\n\
             f /etc/a 0600 net - - two  words\nL+ /etc/mtab - - - - ../proc/self/mounts\n\
             r! /forcefsck\nf^ /root/.ssh/authorized_keys :0600 root :root - ssh.authorized_keys.root\n\
             z /var/log/journal/%m 2755 root journal - -\nC /x 0444 root root - /.extra/profile\n";
        assert_eq!(run(&mut system, conf), 0);
        let tree = &system.tree;
        let meta = |path: &str| {
            tree.lstat(path)
                .map(|inode| (inode.mode, inode.uid, inode.gid))
                .unwrap()
        };
        assert_eq!(meta("/run/systemd/netif"), (0o755, 998, 998));
        assert_eq!(meta("/run/systemd"), (0o755, 0, 0));
        assert_eq!(meta("/tmp"), (0o1777, 0, 0));
        assert_eq!(meta("/etc/a"), (0o600, 998, 0));
        assert_eq!(tree.read_text("/etc/a").unwrap(), "two  words");
        assert_eq!(tree.read_link("/var/lock").unwrap(), "../run/lock");
        // A credential's line must not write the credential's name into the file.
        assert!(!tree.lexists("/root") && !tree.lexists("/x") && !tree.lexists("/var/log"));
    }

    #[test]
    fn what_exists_is_adjusted_or_kept() {
        let mut system = root();
        for dir in ["/root", "/run/log/journal/abc", "/var"] {
            system.tree.mkdir_all(dir, 0o755).unwrap();
        }
        system.tree.write("/run/log/journal/abc/x", "", 0o600).unwrap();
        system.tree.symlink("elsewhere", "/var/lock").unwrap();
        let conf = "d- /root :0700 root :root -\nL /var/lock - - - - ../run/lock\n\
             Z /run/log/journal/* ~2750 root journal - -\nd /run/log 0700 - - -\n";
        assert_eq!(run(&mut system, conf), 0);
        let tree = &system.tree;
        assert_eq!(tree.stat("/root").unwrap().mode, 0o755);
        assert_eq!(tree.read_link("/var/lock").unwrap(), "elsewhere");
        assert_eq!(tree.stat("/run/log/journal/abc").unwrap().mode, 0o2750);
        assert_eq!(tree.stat("/run/log/journal/abc/x").unwrap().mode, 0o640);
        assert_eq!(tree.stat("/run/log/journal/abc/x").unwrap().gid, 999);
        assert_eq!(tree.stat("/run/log").unwrap().mode, 0o700);
    }

    #[test]
    fn bad_lines_are_named_and_the_others_done() {
        let mut system = root();
        assert_eq!(
            run(
                &mut system,
                "d /a 0755 nobody-here - -\nd relative\nd /b 99 - -\nd /c\n"
            ),
            DATA_ERROR
        );
        assert!(system.tree.is_dir("/c") && !system.tree.lexists("/a") && !system.tree.lexists("/b"));
    }
}
