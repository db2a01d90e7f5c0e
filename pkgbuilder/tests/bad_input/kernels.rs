use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::server::vendor::Vendor;
use crate::{World, assert_says, board};

const TARGET: (&str, &str) = (
    "targets",
    "[{ name: 'raspberrypi5-arm64', arch: 'arm64', packages: [] }]",
);
const IMAGE: &str = "out/tiny-raspberrypi5-arm64.img.zst";

/// What the firmware model says that a board starts.
fn started(world: &World, model: &str) -> Value {
    let mut command = world.pkgbuilder();
    command.args(["firmware", IMAGE, "--json", "--board", model]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_board_that_the_kernel_does_not_know() {
    let world = board::world(1, 1);
    board::define(&world, &[TARGET]);
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(
        &said,
        &[
            "the kernel 6.12.10+deb13-arm64 has no device tree for a Raspberry Pi 5 (bcm2712-rpi-5-b.dtb)",
            "choose a kernel that knows the board, or a target without it",
        ],
    );
    assert_eq!(board::names(&world.out()), [".lock"]);
}

/// The Raspberry Pi's own kernel, from a repository that is made as theirs is: other names of device trees, overlays, and
/// what Debian's kernel has as a module in the kernel itself.
#[test]
fn the_vendors_kernel_from_its_repository() {
    let world = board::world(1, 1);
    let vendor = Vendor::new(&world.served().join("vendor"));
    let release = "6.12.47+rpt-rpi-v8";
    let trees = [
        "bcm2710-rpi-3-b.dtb",
        "bcm2710-rpi-3-b-plus.dtb",
        "bcm2710-rpi-zero-2-w.dtb",
        "bcm2711-rpi-4-b.dtb",
        "bcm2712-rpi-5-b.dtb",
    ];
    let mut files = board::linux(release, &trees);
    let overlay = format!("usr/lib/linux-image-{release}/overlays/hat.dtbo");
    files.push((overlay, 0o644, b"\xd0\x0d\xfe\xed hat".to_vec()));
    vendor.add_files("linux-image-rpi-v8", "6.12.47-1", "Provides: linux", &files);
    fs::write(world.checkout().join("images/vendor.asc"), vendor.public()).unwrap();
    let debian = "{
        packages: ['app', 'linux-image-rpi-v8', 'bulk'], prefer: [], avoid: [],
        sources: { vendor: { suites: ['computatom'], components: ['main'], signed_by: importstr 'vendor.asc' } },
        pins: [{ packages: ['linux-*'], source: 'vendor' }],
      }";
    board::define(&world, &[TARGET, ("debian+", debian)]);
    let place = format!("vendor={}/vendor", world.server.url());
    world.succeeds(world.command("image", &["--apt-source", &place]));

    for (model, tree) in ["pi3", "pi3+", "pi02", "pi4", "pi5"].into_iter().zip(trees) {
        let started = started(&world, model).to_string();
        assert_says(
            &started,
            &[
                &format!("\"{tree}\""),
                "console=serial0,115200 cgroup_enable=memory cgroup_memory=1 ",
            ],
        );
    }
    let manifest = fs::read(
        world
            .checkout()
            .join(Path::new("out/tiny-raspberrypi5-arm64.manifest.json")),
    )
    .unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let boot = &manifest["volumes"]["BOOT_A"];
    assert!(boot.get("overlays/hat.dtbo").is_some(), "{boot}");
    let packages = manifest["packages"].as_array().unwrap();
    let kernel = packages.iter().find(|package| package["name"] == "linux-image-rpi-v8");
    assert_eq!(kernel.unwrap()["source"], "apt");
}
