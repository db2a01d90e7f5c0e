//! What an `exec` task finds in its chroot.
//!
//! Nomad's own default copies `/bin`, `/etc`, `/lib`, `/sbin` and `/usr` into every task directory by hard links.
//! Links cannot leave the verified root for DATA, so each task would copy hundreds of megabytes to the card.
//! This map is a few megabytes instead: the C library that a dynamically linked program needs, name resolution,
//! certificates, users, a shell and busybox. A task brings the rest as an artifact, or is a container.
//! Sources that an image does not have are skipped by Nomad.

use std::collections::BTreeMap;

use computatom_spec::arch::Arch;

/// Shared libraries in `/usr/lib/<triple>`: the C library's own, and the compilers' run-time libraries.
const LIBRARIES: [&str; 10] = [
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libresolv.so.2",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libgcc_s.so.1",
    "libstdc++.so.6",
];

/// Files whose place in the chroot is their place on the node.
const FILES: [&str; 10] = [
    "/etc/group",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/openssl.cnf",
];

/// The map `source on the node -> path in the chroot` (`client.chroot_env`).
pub fn environment(arch: Option<Arch>) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, String> = FILES
        .iter()
        .map(|path| ((*path).to_owned(), (*path).to_owned()))
        .collect();
    // The chroot has no /bin -> /usr/bin link, so programs go where `#!/bin/sh` looks.
    map.insert("/usr/bin/dash".to_owned(), "/bin/sh".to_owned());
    map.insert("/usr/bin/busybox".to_owned(), "/bin/busybox".to_owned());
    if let Some(arch) = arch {
        let directory = format!("/usr/lib/{}", arch.names().gnu);
        for library in LIBRARIES {
            let path = format!("{directory}/{library}");
            map.insert(path.clone(), path);
        }
        let (source, loader) = loader(arch);
        map.insert(format!("{directory}/{source}"), loader.to_owned());
    }
    map
}

/// The dynamic loader: its file name, and the path that programs ask the kernel for (the psABI's `PT_INTERP`).
const fn loader(arch: Arch) -> (&'static str, &'static str) {
    match arch {
        Arch::Amd64 => ("ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2"),
        Arch::Arm64 => ("ld-linux-aarch64.so.1", "/lib/ld-linux-aarch64.so.1"),
        Arch::Armhf => ("ld-linux-armhf.so.3", "/lib/ld-linux-armhf.so.3"),
        Arch::Armel => ("ld-linux.so.3", "/lib/ld-linux.so.3"),
    }
}
