//! The composed tree against the real thing: mmdebstrap and dpkg install the same packages in a chroot, and every
//! difference must be explained in `explained.txt`.
//!
//! Needs mmdebstrap, Debian's keyring and a mirror (the host's own). `COMPUTATOM_ORACLE_ROOT` names the tar of an
//! earlier run (it is printed at the end), to compare again without installing again.

mod compare;

mod explained;

mod real;

use bytes::Bytes;
use computatom_compose::deb::{Deb, Package};
use computatom_compose::{Options, compose};

/// What is installed beside the essential and required packages: the base of the image `home`.
const PACKAGES: &[&str] = &[
    "busybox",
    "ca-certificates",
    "curl",
    "dbus",
    "docker.io",
    "e2fsprogs",
    "firmware-brcm80211",
    "iproute2",
    "iptables",
    "iputils-ping",
    "kmod",
    "less",
    "libnss-myhostname",
    "libnss-resolve",
    "linux-image-amd64",
    "nftables",
    "openssh-server",
    "prometheus",
    "prometheus-node-exporter",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
    "wireless-regdb",
    "zstd",
];

/// The clock of both: mmdebstrap takes it from `SOURCE_DATE_EPOCH`.
const EPOCH: i64 = 1_763_000_000;

#[test]
fn the_tree_is_what_the_real_tools_make() {
    let tar = real::root_tar(PACKAGES, EPOCH);
    let bytes = Bytes::from(std::fs::read(&tar).expect("reading the real root"));
    let real = real::Root::read(&bytes);
    assert!(
        real.debs.len() > 100,
        "mmdebstrap kept only {} packages",
        real.debs.len()
    );
    let packages: Vec<Package> = real
        .debs
        .iter()
        .map(|deb| {
            Deb::open(deb)
                .expect("opening a .deb")
                .unpack()
                .expect("unpacking a .deb")
        })
        .collect();
    let options = Options {
        arch: "amd64".to_owned(),
        epoch: EPOCH,
        path_rules: Vec::new(),
        auto_installed: real.automatic.clone(),
        keep_going: true,
    };
    let composed = compose(&packages, &options, &mut |_| Ok(())).expect("composing");
    let ours = compare::side_of_tree(&composed.tree);
    let mut explanations = explained::read(include_str!("explained.txt"));
    let mut unexplained = Vec::new();
    let differences = compare::differences(&real.side, &ours);
    for difference in &differences {
        if !explanations
            .iter_mut()
            .any(|explanation| explanation.covers(difference))
        {
            unexplained.push(difference);
        }
    }
    let stale: Vec<String> = explanations.iter().filter_map(explained::Explanation::stale).collect();
    println!(
        "{} paths in the real root ({}), {} in ours, {} differences, {} unexplained",
        real.side.len(),
        tar.display(),
        ours.len(),
        differences.len(),
        unexplained.len()
    );
    for failure in &composed.failures {
        println!("failed: {failure}");
    }
    println!("{}", compare::by_cause(&unexplained));
    assert!(composed.failures.is_empty(), "scripts failed");
    assert!(
        unexplained.is_empty(),
        "differences that explained.txt does not explain"
    );
    assert!(
        stale.is_empty(),
        "explanations that explain nothing any more: {stale:#?}"
    );
}
