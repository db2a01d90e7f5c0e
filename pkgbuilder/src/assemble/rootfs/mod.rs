//! What happens to a composed tree before it becomes the read-only root: one rule after the other, all in [`RULES`].

mod container;
mod units;

use anyhow::{Context, Result};
use computatom_compose::tree::{Follow, Inode, Tree};
use computatom_spec::manifest::Manifest;
use computatom_spec::paths;
use computatom_spec::role::ImageRoles;
use computatom_spec::site::Site;

use crate::definition::image::{Image, ImageFile};
use crate::{bail_input, interrupt};

/// What the rules go by.
#[derive(Debug)]
pub struct Input<'a> {
    /// The definition.
    pub image: &'a Image,
    /// What the image contains.
    pub manifest: &'a Manifest,
    /// Whether it is for a container, and not for a disk.
    pub container: bool,
    /// No file is younger, seconds since 1970.
    pub epoch: i64,
}

type Rule = fn(&mut Tree, &Input<'_>) -> Result<()>;

/// The rules in their order: what is removed, what every node has, what the definition says (so that it has the last
/// word), and the times of it all.
const RULES: &[(&str, Rule)] = &[
    ("looking for what the site settings need", look_for_wifi),
    ("removing caches, backups and locks", remove_leftovers),
    ("leaving the kernel to its partition", remove_kernels),
    ("emptying mount points", empty_mount_points),
    ("removing what is a node's own", remove_identity),
    ("moving dpkg's database into the image", move_dpkg_database),
    ("locking root's password", lock_root),
    ("linking resolv.conf", link_resolv_conf),
    ("writing fstab and hosts", write_tables),
    ("writing site settings and manifest", write_contract),
    ("switching units", units::switch),
    ("fitting it for a container", container::fit),
    ("writing the definition's files", write_files),
    ("stamping the clock", stamp_clock),
    ("saying that /etc and /var are up to date", stamp_updates),
    ("clamping times", clamp_times),
];

/// Makes a composed tree the root of an image.
///
/// # Errors
///
/// A definition that asks for what the tree cannot do (a unit that is not there) is wrong input.
pub fn finish(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    tree.now = input.epoch;
    for (what, rule) in RULES {
        interrupt::check()?;
        rule(tree, input).with_context(|| format!("{what} (root file system)"))?;
    }
    Ok(())
}

/// `/etc` starts from the image at every boot, so nothing in it is ever older than `/usr`: without these stamps
/// systemd would rebuild ldconfig's cache, users and catalog each time (`ConditionNeedsUpdate=` in systemd.unit(5)).
/// The stamp of `/var` is the image's too; DATA of an older image keeps its own, and gets its update once.
fn stamp_updates(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    let text = format!("TIMESTAMP_NSEC={}000000000\n", input.epoch);
    for path in ["/etc/.updated", "/var/.updated"] {
        tree.write(path, text.clone(), 0o644)?;
    }
    Ok(())
}

fn remove_leftovers(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    const FILES: &[&str] = &[
        "/etc/.pwd.lock",
        "/etc/group-",
        "/etc/gshadow-",
        "/etc/passwd-",
        "/etc/shadow-",
        "/etc/subgid-",
        "/etc/subuid-",
        "/var/lib/dpkg/diversions-old",
        "/var/lib/dpkg/lock",
        "/var/lib/dpkg/lock-frontend",
        "/var/lib/dpkg/statoverride-old",
        "/var/lib/dpkg/status-old",
        "/var/lib/dpkg/triggers/Lock",
    ];
    // The folders themselves stay: packages ship them, with owners and modes.
    const FOLDERS: &[&str] = &["/var/backups", "/var/cache", "/var/lib/apt/lists"];
    for path in FILES {
        remove(tree, path)?;
    }
    for folder in FOLDERS {
        if tree.is_dir(folder) {
            for (path, id) in tree.walk(folder)? {
                if !tree.inode(id).is_dir() {
                    tree.unlink(&path)?;
                }
            }
        }
    }
    Ok(())
}

/// A country for the wireless network is of no use without the program that joins one.
fn look_for_wifi(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    if input.image.site.wifi_country.is_some() && tree.stat("/usr/sbin/wpa_supplicant").is_err() {
        bail_input!(
            "the site settings have a `wifi_country`, and the image has no wpa_supplicant to join a network: add \
             `computatom.wifi` to the definition, or leave `wifi_country` out"
        );
    }
    Ok(())
}

/// Where Debian's newer packages have the kernel, for a script that copies it to `/boot`.
fn remove_kernels(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    for (release, _) in tree.read_dir("/usr/lib/modules").unwrap_or_default() {
        remove(tree, &format!("/usr/lib/modules/{release}/vmlinuz"))?;
    }
    Ok(())
}

/// `/boot` lies on partitions of its own; the others are mounted over at every boot.
fn empty_mount_points(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    const EMPTY: &[(&str, u32)] = &[
        ("/boot", 0o755),
        ("/dev", 0o755),
        ("/mnt", 0o755),
        ("/proc", 0o555),
        ("/run", 0o755),
        ("/sys", 0o555),
        ("/tmp", 0o1777),
        ("/var/tmp", 0o1777),
    ];
    for (path, mode) in EMPTY {
        remove(tree, path)?;
        tree.mkdir_all(path, 0o755)?;
        tree.chmod(path, *mode)?;
    }
    Ok(())
}

/// Name, machine id and host keys are made or found by every node itself. An empty machine-id says so to systemd (an absent
/// one would be a first boot with all presets; machine-id(5)).
fn remove_identity(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    remove(tree, "/etc/hostname")?;
    remove(tree, "/var/lib/systemd/random-seed")?;
    if tree.lstat("/var/lib/dbus/machine-id").is_ok_and(Inode::is_file) {
        remove(tree, "/var/lib/dbus/machine-id")?;
    }
    if tree.is_dir("/etc/ssh") {
        for (name, _) in tree.read_dir("/etc/ssh")? {
            if name.starts_with("ssh_host_") {
                tree.unlink(&format!("/etc/ssh/{name}"))?;
            }
        }
    }
    remove(tree, "/etc/machine-id")?;
    put(tree, "/etc/machine-id", b"", 0o444)
}

/// The database tells what is in the image, so it is replaced with it; `/var` belongs to the node and is not.
fn move_dpkg_database(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    const OLD: &str = "/var/lib/dpkg";
    if !tree.lstat(OLD).is_ok_and(Inode::is_dir) {
        return Ok(());
    }
    let parent = paths::DPKG.rsplit_once('/').map_or("/", |(parent, _)| parent);
    tree.mkdir_all(parent, 0o755)?;
    tree.rename(OLD, paths::DPKG)?;
    tree.symlink(&format!("../..{}", paths::DPKG), OLD)?;
    Ok(())
}

fn lock_root(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    const SHADOW: &str = "/etc/shadow";
    if !tree.is_file(SHADOW) {
        return Ok(());
    }
    let text = tree.read_text(SHADOW)?;
    let locked: String = text
        .lines()
        .map(
            |line| match line.strip_prefix("root:").and_then(|rest| rest.split_once(':')) {
                // `*` is no password and yet lets a key in (shadow(5), sshd_config(5) on locked accounts).
                Some((_, rest)) => format!("root:*:{rest}\n"),
                None => format!("{line}\n"),
            },
        )
        .collect();
    tree.write(SHADOW, locked, 0o640)?;
    Ok(())
}

fn link_resolv_conf(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    remove(tree, "/etc/resolv.conf")?;
    make_parent(tree, "/etc/resolv.conf")?;
    tree.symlink("../run/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")?;
    Ok(())
}

fn write_tables(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    const FSTAB: &str = "# /init mounts the root, /var (DATA) and the overlay on /etc before systemd starts.\n";
    const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    put(tree, "/etc/fstab", FSTAB.as_bytes(), 0o644)?;
    if tree.lexists("/etc/hosts") {
        return Ok(());
    }
    put(tree, "/etc/hosts", HOSTS.as_bytes(), 0o644)
}

fn write_contract(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    let zone = &input.image.site.timezone;
    // Without the database (package tzdata) the clock shows UTC, which is the default.
    if *zone != Site::default().timezone && !tree.is_file(&format!("/usr/share/zoneinfo/{zone}")) {
        bail_input!(
            "the site settings say `timezone: '{zone}'`, but the image has no /usr/share/zoneinfo/{zone}; \
             correct the name, or add tzdata to the packages"
        );
    }
    put(tree, paths::SITE, &json(&input.image.site)?, 0o644)?;
    let roles = ImageRoles {
        image: input.image.name.clone(),
        roles: input.image.roles.clone(),
    };
    put(tree, paths::ROLES, &json(&roles)?, 0o644)?;
    put(tree, paths::MANIFEST, &json(input.manifest)?, 0o644)
}

fn write_files(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    for file in &input.image.files {
        write_file(tree, file).with_context(|| format!("writing {}", file.path))?;
    }
    Ok(())
}

fn write_file(tree: &mut Tree, file: &ImageFile) -> Result<()> {
    remove(tree, &file.path)?;
    match (&file.text, &file.symlink) {
        (Some(text), None) => {
            let Ok(mode) = u32::from_str_radix(&file.mode, 8) else {
                bail_input!(
                    "the mode `{}` of {} is not octal: write it as `0644`",
                    file.mode,
                    file.path
                );
            };
            put(tree, &file.path, text.as_bytes(), mode)
        }
        (None, Some(target)) => {
            make_parent(tree, &file.path)?;
            tree.symlink(target, &file.path)?;
            Ok(())
        }
        _ => bail_input!("the file {} needs either `text` or `symlink`", file.path),
    }
}

/// systemd sets a clock that is behind to the time of this file (systemd(1)): boards have none of their own.
fn stamp_clock(tree: &mut Tree, _: &Input<'_>) -> Result<()> {
    remove(tree, "/usr/lib/clock-epoch")?;
    put(tree, "/usr/lib/clock-epoch", b"", 0o644)
}

/// Nothing is younger than the image: what was made here has the build's epoch, packages keep their own times.
fn clamp_times(tree: &mut Tree, input: &Input<'_>) -> Result<()> {
    for id in tree.walk("/")?.into_iter().map(|(_, id)| id).chain([Tree::root()]) {
        let inode = tree.inode_mut(id);
        inode.mtime = inode.mtime.clamp(0, input.epoch);
    }
    Ok(())
}

/// Writes a file as it shall be, whatever was there.
fn put(tree: &mut Tree, path: &str, content: &[u8], mode: u32) -> Result<()> {
    make_parent(tree, path)?;
    let id = tree.write(path, content.to_vec(), mode)?;
    tree.inode_mut(id).mode = mode & 0o7777;
    Ok(())
}

fn make_parent(tree: &mut Tree, path: &str) -> Result<()> {
    if let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
        tree.mkdir_all(parent, 0o755)?;
    }
    Ok(())
}

/// Removes what is at a path, if there is something; links are not followed.
fn remove(tree: &mut Tree, path: &str) -> Result<()> {
    if tree.lookup(path, Follow::No).is_ok() {
        tree.remove_all(path)?;
    }
    Ok(())
}

/// JSON for people and programs: indented, ended by a newline.
pub(super) fn json(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests;
