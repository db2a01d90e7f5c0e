//! linux-base's tools, which kernel packages call: hooks, and the links `/vmlinuz` and `/initrd.img`.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::commands::ending::{Done, Ending, settle};
use crate::shell::process::{Command, Process};
use crate::tree::Tree;

/// linux-base's tools.
pub(crate) const COMMANDS: &[(&str, Command)] = &[
    ("linux-run-hooks", |process| settle(process, run_hooks)),
    ("linux-update-symlinks", |process| settle(process, update_symlinks)),
    ("linux-version", |process| settle(process, version)),
    ("linux-check-removal", |_| Ok(0)),
];

/// `linux-run-hooks image postinst VERSION IMAGE -- ARGS`: the scripts of `/etc/kernel/postinst.d` and of
/// `/usr/share/kernel/postinst.d`, by run-parts.
fn run_hooks(process: &mut Process<'_>) -> Done {
    let args = process.args[1..].to_vec();
    let usage = || {
        Ending::with(
            2,
            "usage: linux-run-hooks image|headers MAINT-SCRIPT KERNEL-VER [IMAGE-PATH] -- ARGS",
        )
    };
    let separator = args.iter().position(|arg| arg == "--").ok_or_else(usage)?;
    let (folder, count) = match (args.first().map(String::as_str), args.get(1)) {
        (Some("image"), Some(script)) => (script.clone(), 2),
        (Some("headers"), Some(script)) => (format!("header_{script}"), 1),
        _ => return Err(usage()),
    };
    if separator != 2 + count {
        return Err(usage());
    }
    let folders: Vec<String> = ["/etc/kernel", "/usr/share/kernel"]
        .iter()
        .map(|root| format!("{root}/{folder}.d"))
        .filter(|folder| process.system.tree.is_dir(folder))
        .collect();
    if folders.is_empty() {
        return Ok(0);
    }
    process
        .env
        .insert("DEB_MAINT_PARAMS".to_owned(), args[separator + 1..].join(" "));
    let mut call = vec![
        "run-parts".to_owned(),
        "--report".to_owned(),
        "--exit-on-error".to_owned(),
    ];
    call.extend(args[2..separator].iter().map(|arg| format!("--arg={arg}")));
    call.extend(folders);
    Ok(process.spawn(&call, Bytes::new())?)
}

/// Whether and where the links are wanted, from `/etc/kernel-img.conf`.
fn link_folder(tree: &Tree) -> Option<String> {
    let text = tree.read_text("/etc/kernel-img.conf").unwrap_or_default();
    let (mut wanted, mut folder) = (true, "/".to_owned());
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or("");
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim();
        let yes = ["yes", "true", "1"].iter().any(|word| value.eq_ignore_ascii_case(word));
        match name.trim().to_ascii_lowercase().as_str() {
            "do_symlinks" => wanted = yes,
            "link_in_boot" if yes => "/boot".clone_into(&mut folder),
            "image_dest" => value.split_whitespace().next().unwrap_or("/").clone_into(&mut folder),
            _ => {}
        }
    }
    wanted.then(|| format!("{}/", folder.trim_end_matches('/')))
}

/// `linux-update-symlinks install|upgrade|remove VERSION IMAGE`: the newest two kernels become `vmlinuz` and
/// `vmlinuz.old`; a freshly installed one comes first.
fn update_symlinks(process: &mut Process<'_>) -> Done {
    let args = process.args[1..].to_vec();
    let [change, version, image] = args.as_slice() else {
        return Err(Ending::with(
            2,
            "usage: linux-update-symlinks {install|upgrade|remove} KERNEL-VER IMAGE-PATH",
        ));
    };
    let with_initrd = process.env.get("INITRD").is_none_or(|value| value != "No");
    let tree = &mut process.system.tree;
    let Some(folder) = link_folder(tree) else { return Ok(0) };
    let mut images = installed(tree)?;
    images.retain(|(other, _, _)| other != version);
    let initrd = with_initrd.then(|| format!("/boot/initrd.img-{version}"));
    let this = (version.clone(), image.clone(), initrd);
    if change == "upgrade" {
        let at = images
            .iter()
            .position(|(other, _, _)| compare(version, other) == Ordering::Less);
        images.insert(at.unwrap_or(images.len()), this.clone());
    }
    for link in ["vmlinuz.old", "vmlinuz"] {
        promote(tree, &mut images, &format!("{folder}{link}"));
    }
    if change == "install" {
        images.push(this);
    }
    let links = ["vmlinuz.old", "initrd.img.old", "vmlinuz", "initrd.img"].map(|name| format!("{folder}{name}"));
    let (old, new) = match images.as_slice() {
        [.., old, new] => (Some(old), Some(new)),
        [only] => (Some(only), Some(only)),
        [] => (None, None),
    };
    let targets = [
        old.map(|(_, image, _)| image.clone()),
        old.and_then(|(_, _, initrd)| initrd.clone()),
        new.map(|(_, image, _)| image.clone()),
        new.and_then(|(_, _, initrd)| initrd.clone()),
    ];
    let mut said = Vec::new();
    for (link, target) in links.iter().zip(targets) {
        let target = target.map(|path| relative(&path, &folder));
        if target.is_some() && tree.read_link(link).ok() == target {
            continue;
        }
        if tree.lexists(link) {
            tree.unlink(link)?;
        }
        if let Some(target) = target {
            tree.symlink(&target, link)?;
            said.push(format!("I: {link} is now a symlink to {target}"));
        }
    }
    for line in said {
        process.say(&line);
    }
    Ok(0)
}

type Image = (String, String, Option<String>);

/// Kernels in `/boot` with their initramfs, the oldest version first.
fn installed(tree: &Tree) -> Done<Vec<Image>> {
    if !tree.is_dir("/boot") {
        return Ok(Vec::new());
    }
    let mut images: Vec<Image> = Vec::new();
    for (name, _) in tree.read_dir("/boot")? {
        let version = name.strip_prefix("vmlinuz-").or(name.strip_prefix("vmlinux-"));
        if let Some(version) = version.filter(|version| version.rsplit('.').next() != Some("sig")) {
            let initrd = format!("/boot/initrd.img-{version}");
            let initrd = tree.is_file(&initrd).then_some(initrd);
            images.push((version.to_owned(), format!("/boot/{name}"), initrd));
        }
    }
    images.sort_by(|a, b| compare(&a.0, &b.0));
    Ok(images)
}

/// What a link already names has a higher rank than what is merely newer.
fn promote(tree: &Tree, images: &mut Vec<Image>, link: &str) {
    if let Ok(target) = tree.read_link(link) {
        let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = if target.starts_with('/') {
            target
        } else {
            format!("{folder}/{target}")
        };
        if let Some(at) = images.iter().position(|(_, image, _)| *image == path) {
            let image = images.remove(at);
            images.push(image);
        }
    }
}

/// `/boot/x` as seen from `/` or from `/boot/`.
fn relative(path: &str, folder: &str) -> String {
    match path.strip_prefix(folder) {
        Some(rest) => rest.to_owned(),
        None => format!(
            "{}{}",
            "../".repeat(folder.matches('/').count().saturating_sub(1)),
            path.trim_start_matches('/')
        ),
    }
}

/// Numbers and texts of a kernel version; a text ends before a `-`.
fn parts(version: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, c) in version.char_indices() {
        let same = version[start..at]
            .chars()
            .next_back()
            .is_none_or(|last| last.is_ascii_digit() == c.is_ascii_digit());
        if at > start && (!same || c == '-') {
            parts.push(&version[start..at]);
            start = at;
        }
    }
    parts.push(&version[start..]);
    parts
}

/// The order of kernel versions: numbers by value, `-rc` and `-trunk` before everything.
fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (parts(left), parts(right));
    let is_pre = |part: Option<&&str>| part.is_some_and(|part| matches!(*part, "-rc" | "-trunk"));
    for at in 0.. {
        let (a, b) = (left.get(at), right.get(at));
        match (is_pre(a), is_pre(b)) {
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            _ => {}
        }
        let (Some(a), Some(b)) = (a, b) else {
            return a.is_some().cmp(&b.is_some());
        };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// `linux-version list`, `sort` and `compare`.
fn version(process: &mut Process<'_>) -> Done {
    let args: Vec<String> = process.args[1..]
        .iter()
        .filter(|arg| !arg.starts_with("--"))
        .cloned()
        .collect();
    let reverse = process.args.iter().any(|arg| arg == "--reverse");
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut versions: Vec<String> = match words[..] {
        ["list"] => installed(&process.system.tree)?
            .into_iter()
            .map(|(version, _, _)| version)
            .collect(),
        ["sort"] => String::from_utf8_lossy(&process.read_stdin())
            .lines()
            .map(str::to_owned)
            .collect(),
        ["sort", ref given @ ..] => given.iter().map(|&version| version.to_owned()).collect(),
        ["compare", left, relation, right] => {
            let order = compare(left, right);
            let holds = match relation {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "eq" => order.is_eq(),
                "ge" => order.is_ge(),
                "gt" => order.is_gt(),
                _ => return Err(Ending::with(2, format!("unknown relation {relation}"))),
            };
            return Ok(u8::from(!holds));
        }
        _ => return Err(process.unsupported(words.join(" ")).into()),
    };
    if words[0] == "sort" {
        versions.sort_by(|a, b| if reverse { compare(b, a) } else { compare(a, b) });
    }
    for version in versions {
        process.say(&version);
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::System;

    fn links(change: &str, version: &str, system: &mut System) -> Vec<String> {
        let image = format!("/boot/vmlinuz-{version}");
        system.tree.write(&image, "", 0o644).unwrap();
        let mut process = Process::new(system, &["linux-update-symlinks", change, version, &image]);
        assert_eq!(settle(&mut process, update_symlinks), Ok(0));
        ["/vmlinuz", "/vmlinuz.old", "/initrd.img"]
            .map(|link| system.tree.read_link(link).unwrap_or_default())
            .to_vec()
    }

    #[test]
    fn a_fresh_kernel_comes_first() {
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all("/boot", 0o755).unwrap();
        let first = [
            "boot/vmlinuz-6.12.9-arm64",
            "boot/vmlinuz-6.12.9-arm64",
            "boot/initrd.img-6.12.9-arm64",
        ];
        assert_eq!(links("install", "6.12.9-arm64", &mut system), first);
        let second = [
            "boot/vmlinuz-6.12.10-arm64",
            "boot/vmlinuz-6.12.9-arm64",
            "boot/initrd.img-6.12.10-arm64",
        ];
        assert_eq!(links("install", "6.12.10-arm64", &mut system), second);
    }

    #[test]
    fn no_links_where_they_are_not_wanted() {
        let mut system = System::new("arm64", 0);
        system.tree.mkdir_all("/boot", 0o755).unwrap();
        system.tree.mkdir_all("/etc", 0o755).unwrap();
        system
            .tree
            .write("/etc/kernel-img.conf", "do_symlinks = No # none\n", 0o644)
            .unwrap();
        assert_eq!(links("install", "1", &mut system), ["", "", ""]);
    }

    #[test]
    fn kernel_versions_have_an_order() {
        let sorted = [
            "2.6.1-rc1",
            "2.6.1",
            "2.6.1-1",
            "2.6.1.2",
            "2.6.9",
            "2.6.10-1-amd64",
            "2.6.10-2-amd64",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("6.12.1", "6.12.1"), Ordering::Equal);
    }
}
