use super::super::testing::{EPOCH, image, manifest, sample};
use super::*;
use computatom_spec::role::ImageRoles;

/// A tree with something for every rule to do.
fn composed() -> Tree {
    let mut tree = sample();
    tree.now = EPOCH + 1000;
    let put = |tree: &mut Tree, path: &str, content: &str| super::put(tree, path, content.as_bytes(), 0o644).unwrap();
    for path in [
        "/etc/passwd-",
        "/var/cache/apt/pkgcache.bin",
        "/var/lib/dpkg/status-old",
        "/var/lib/apt/lists/x_Packages",
    ] {
        put(&mut tree, path, "old");
    }
    for path in [
        "/boot/vmlinuz-1",
        "/run/lock/x",
        "/tmp/x",
        "/proc/version",
        "/etc/ssh/ssh_host_rsa_key",
    ] {
        put(&mut tree, path, "x");
    }
    put(&mut tree, "/etc/hostname", "build-host\n");
    put(&mut tree, "/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    put(
        &mut tree,
        "/etc/shadow",
        "root:$y$hash:1:0:99999:7:::\ndaemon:*:1:0:99999:7:::\n",
    );
    put(&mut tree, "/etc/resolv.conf", "nameserver 192.0.2.1\n");
    put(&mut tree, "/var/lib/dpkg/status", "Package: x\n");
    put(&mut tree, "/usr/share/doc/x/changelog.gz", "x");
    put(&mut tree, "/usr/share/doc/x/copyright", "x");
    put(&mut tree, "/usr/share/man/man1/x.1.gz", "x");
    put(
        &mut tree,
        "/usr/lib/systemd/system/x.service",
        "[Install]\nWantedBy=multi-user.target\n",
    );
    tree
}

fn finished(change: impl FnOnce(&mut Image)) -> Result<Tree> {
    let mut image = image();
    change(&mut image);
    let mut tree = composed();
    finish(
        &mut tree,
        &Input {
            image: &image,
            manifest: &manifest(&image),
            container: false,
            epoch: EPOCH,
        },
    )?;
    Ok(tree)
}

#[test]
fn nothing_of_the_build_is_left() {
    let tree = finished(|_| {}).unwrap();
    for path in [
        "/etc/passwd-",
        "/var/cache/apt/pkgcache.bin",
        "/usr/lib/sysimage/dpkg/status-old",
        "/var/lib/apt/lists/x_Packages",
        "/boot/vmlinuz-1",
        "/run/lock",
        "/dev/null",
        "/etc/hostname",
        "/etc/ssh/ssh_host_rsa_key",
    ] {
        assert!(!tree.lexists(path), "{path}");
    }
    assert!(tree.is_dir("/var/cache/apt") && tree.is_dir("/boot"));
    assert_eq!(tree.stat("/tmp").unwrap().mode, 0o1777);
    assert_eq!(tree.read_text("/etc/machine-id").unwrap(), "");
    assert_eq!(
        tree.read_text("/etc/shadow").unwrap(),
        "root:*:1:0:99999:7:::\ndaemon:*:1:0:99999:7:::\n"
    );
}

#[test]
fn the_node_finds_what_the_contract_promises() {
    let tree = finished(|_| {}).unwrap();
    assert_eq!(tree.read_link("/var/lib/dpkg").unwrap(), "../../usr/lib/sysimage/dpkg");
    assert_eq!(tree.read_text("/var/lib/dpkg/status").unwrap(), "Package: x\n");
    assert_eq!(
        tree.read_link("/etc/resolv.conf").unwrap(),
        "../run/systemd/resolve/stub-resolv.conf"
    );
    let site: computatom_spec::site::Site = serde_json::from_slice(&tree.read(paths::SITE).unwrap()).unwrap();
    assert_eq!(site, image().site);
    let roles: ImageRoles = serde_json::from_slice(&tree.read(paths::ROLES).unwrap()).unwrap();
    assert_eq!((roles.image, roles.roles), (image().name, image().roles));
    let found: Manifest = serde_json::from_slice(&tree.read(paths::MANIFEST).unwrap()).unwrap();
    assert_eq!(found, manifest(&image()));
    assert_eq!(tree.stat("/usr/lib/clock-epoch").unwrap().mtime, EPOCH);
    assert!(
        tree.walk("/")
            .unwrap()
            .iter()
            .all(|(_, id)| tree.inode(*id).mtime <= EPOCH)
    );
}

#[test]
fn the_definition_has_the_last_word() {
    let tree = finished(|image| {
        image.units.enable = vec!["x.service".to_owned()];
        let file = |path: &str, text: Option<&str>, symlink: Option<&str>| ImageFile {
            path: path.to_owned(),
            text: text.map(str::to_owned),
            symlink: symlink.map(str::to_owned),
            mode: "0600".to_owned(),
        };
        image.files = vec![
            file("/etc/fstab", Some("own\n"), None),
            file("/etc/deep/er/link", None, Some("/run/target")),
        ];
    })
    .unwrap();
    assert_eq!(tree.read_text("/etc/fstab").unwrap(), "own\n");
    assert_eq!(tree.stat("/etc/fstab").unwrap().mode, 0o600);
    assert_eq!(tree.read_link("/etc/deep/er/link").unwrap(), "/run/target");
    assert!(tree.lexists("/etc/systemd/system/multi-user.target.wants/x.service"));
}

#[test]
fn a_wrong_unit_is_wrong_input() {
    let error = finished(|image| image.units.enable = vec!["y.service".to_owned()]).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    assert!(format!("{error:#}").contains("y.service"), "{error:#}");
}
