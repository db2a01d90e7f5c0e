//! The life of a package with a service, from a recipe: installed, upgraded, removed, purged by real dpkg in a chroot.
//! What is asked of systemd is written down by a `deb-systemd-invoke` of the test, for nothing runs in a chroot.

use std::fs;
use std::path::Path;
use std::process::Command;

use pkgbuilder::fetch::mirror::Mirror;
use pkgbuilder::package::standalone;
use pkgbuilder::reporter::Reporter;

use super::run;

/// Writes down what it is asked; dpkg looks in /usr/local/sbin first.
const INVOKE: &str = "#!/bin/sh\necho \"$*\" >>/var/tmp/asked\n";

/// The package of `tests/packages/service.yaml` in a version.
fn package(version: &str, output: &Path) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages");
    let environment = |name: &str| match name {
        "VERSION" => Some(version.to_owned()),
        "SOURCE_DATE_EPOCH" => Some("1700000000".to_owned()),
        _ => None,
    };
    let reporter = Reporter::new(false);
    let packages = standalone::packages(&folder.join("service.yaml"), &[], &folder, &environment, &reporter).unwrap();
    standalone::write(&packages, output, &reporter).unwrap();
}

#[test]
fn a_package_of_a_recipe_is_lintian_clean_upgrades_and_keeps_data_until_it_is_purged() {
    let folder = tempfile::tempdir().unwrap();
    package("1.0.0", folder.path());
    package("1.1.0", folder.path());
    let debs = ["1.0.0", "1.1.0"].map(|version| folder.path().join(format!("homelab_{version}-1_all.deb")));
    let mut lintian = Command::new("lintian");
    lintian
        .args(["--fail-on", "error,warning", "--allow-root", "--no-cfg"])
        .args(&debs);
    assert_eq!(run(&mut lintian).trim(), "", "lintian is silent");

    let root = folder.path().join("root");
    let mirror = Mirror::find(None, None).unwrap();
    run(Command::new("mmdebstrap")
        .args(["--variant=minbase", "--include=systemd", "trixie"])
        .arg(&root)
        .arg(mirror.base("trixie")));
    for deb in &debs {
        fs::copy(deb, root.join("tmp").join(deb.file_name().unwrap())).unwrap();
    }
    fs::write(root.join("usr/local/sbin/deb-systemd-invoke"), INVOKE).unwrap();
    let enter = "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" /bin/sh -ec \"$1\"";
    let chroot = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "sh", "-ec", enter])
            .arg(&root)
            .arg(format!("mkdir -p /run/systemd/system; {script}"));
        run(&mut command)
    };
    let asked = || {
        let path = root.join("var/tmp/asked");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text
    };
    chroot("chmod 755 /usr/local/sbin/deb-systemd-invoke; dpkg -i /tmp/homelab_1.0.0-1_all.deb");
    assert_eq!(asked(), "start homelab.service\n", "a new one is started");
    // What dpkg could not give to a group that did not exist yet has it now.
    let secret = chroot("stat -c '%U:%G %a' /etc/homelab/key /var/lib/homelab");
    assert_eq!(secret, "root:homelab 640\nhomelab:homelab 750\n");
    let wanted = root.join("etc/systemd/system/multi-user.target.wants/homelab.service");
    assert!(wanted.is_symlink());

    chroot("echo data >/var/lib/homelab/data; echo changed >/etc/homelab/homelab.conf");
    chroot("dpkg --force-confold -i /tmp/homelab_1.1.0-1_all.deb");
    assert_eq!(
        asked(),
        "restart homelab.service\n",
        "a running one is restarted, and only that"
    );
    assert_eq!(
        chroot("cat /etc/homelab/homelab.conf /var/lib/homelab/data"),
        "changed\ndata\n"
    );
    assert_eq!(chroot("stat -c '%U:%G %a' /etc/homelab/key"), "root:homelab 640\n");

    chroot("dpkg --remove homelab");
    assert_eq!(asked(), "stop homelab.service\n");
    assert_eq!(
        chroot("cat /etc/homelab/homelab.conf /var/lib/homelab/data"),
        "changed\ndata\n"
    );

    chroot("dpkg --purge homelab");
    assert!(!root.join("var/lib/homelab").exists(), "data goes with the package");
    assert!(!root.join("etc/homelab").exists());
    assert!(!wanted.is_symlink());
}
