use std::fs;
use std::path::Path;
use std::process::Command;

use pkgbuilder::fetch::mirror::Mirror;

use crate::server::Server;
use crate::{World, foreign, native, run, succeeds};

/// Debian 13 itself: its apt verifies with sqv, downloads as its own user and installs by the real dpkg.
///
/// Needs root and a Debian mirror, for mmdebstrap and chroot in name spaces of their own.
#[test]
fn debian_13_installs_over_file_and_http() {
    let world = World::new();
    let root = world.folder.path().join("root");
    let mirror = Mirror::find(None, None).unwrap();
    succeeds(
        Command::new("mmdebstrap")
            .args(["--variant=apt", "trixie"])
            .arg(format!("--architectures={},{}", native(), foreign()))
            .arg(&root)
            .arg(mirror.base("trixie")),
    );
    // As the person would: the folder somewhere public, the file with address and key among apt's sources.
    let public = root.join("srv/packages");
    fs::create_dir_all(&public).unwrap();
    for entry in fs::read_dir(world.packages()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, public.join(path.file_name().unwrap())).unwrap();
    }
    let update = || {
        let reporter = pkgbuilder::reporter::Reporter::new(true);
        pkgbuilder::repository::update(&public, &world.key, &world.cache, &reporter).unwrap()
    };
    update();
    let server = Server::start(&public);
    let sources = fs::read_to_string(public.join("computatom.sources")).unwrap();
    let chroot = |script: &str| chroot(&root, script);
    let list = root.join("etc/apt/sources.list");
    fs::write(list, "").unwrap();
    for address in ["file:///srv/packages/".to_owned(), format!("{}/", server.url())] {
        let line = sources.lines().find(|line| line.starts_with("URIs: ")).unwrap();
        let sources = sources.replace(line, &format!("URIs: {address}"));
        fs::write(root.join("etc/apt/sources.list.d/computatom.sources"), sources).unwrap();
        for architecture in [native(), foreign()] {
            let said = succeeds(&mut chroot(&format!(
                "apt-get -qy -o APT::Update::Error-Mode=any update 2>&1
                 apt-get -qy install hello:{architecture} hello-data 2>&1
                 dpkg-query -W -f '${{Package}} ${{Version}} ${{Architecture}}\\n' hello hello-data
                 apt-get -qy purge hello hello-data >/dev/null 2>&1"
            )));
            assert!(!said.contains("W: ") && !said.contains("unsandboxed"), "{said}");
            let installed = format!("hello 1.0-1 {architecture}\nhello-data 1.0-1 all\n");
            assert!(said.ends_with(&installed), "{said}");
        }
    }
    assert!(server.seen().iter().any(|seen| seen.path.contains("/by-hash/SHA256/")));
    // It is sqv that says so.
    assert!(root.join("usr/bin/sqv").is_file());
    let in_release = public.join("dists/computatom/InRelease");
    let text = fs::read_to_string(&in_release).unwrap();
    fs::write(&in_release, text.replace("Label: Computatom", "Label: Somebody")).unwrap();
    let output = run(&mut chroot("apt-get -qy -o APT::Update::Error-Mode=any update 2>&1"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("sqv"), "{said}");
}

fn chroot(root: &Path, script: &str) -> Command {
    let enter =
        "mount -t proc proc \"$0/proc\" && mount -t tmpfs tmpfs \"$0/tmp\" && exec chroot \"$0\" /bin/sh -ec \"$1\"";
    let mut command = Command::new("unshare");
    command
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env_remove("TMPDIR")
        .env("http_proxy", "")
        .args(["--mount", "--pid", "--fork", "sh", "-ec", enter])
        .arg(root)
        .arg(script);
    command
}
