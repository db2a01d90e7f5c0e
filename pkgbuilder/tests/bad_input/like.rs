use std::fs;

use crate::board::{self, STEM};
use crate::{World, assert_says};

fn manifest(world: &World) -> String {
    world.out().join(format!("{STEM}.manifest.json")).display().to_string()
}

#[test]
fn an_image_again_as_its_manifest_records_it() {
    let mut world = board::world(1, 1);
    world.succeeds(world.command("image", &[]));
    world.assert_image(&[]);
    let first = fs::read(world.out().join("SHA256SUMS")).unwrap();
    let manifest = manifest(&world);

    // Also where the archive has moved on since: what the lock names is in the cache.
    world.archive.add("trixie", "library", "1.0-2", "");
    world.archive.publish();
    world.succeeds(world.command("image", &["--like", &manifest, "--out", "again"]));
    assert_eq!(fs::read(world.checkout().join("again/SHA256SUMS")).unwrap(), first);

    // Another choice of packages is not repeated but said.
    world.succeeds(world.command("lock", &[]));
    let said = world.refuses(world.command("image", &["--like", &manifest]), 2);
    assert_says(
        &said,
        &[
            "has library 1.0-1, and the lock names 1.0-2",
            "check out the lock that it was built with",
        ],
    );
}

#[test]
fn what_cannot_be_repeated_is_said() {
    let world = board::world(1, 1);
    world.succeeds(world.command("image", &[]));
    let manifest = manifest(&world);
    let refused = |changed: &str, code: i32| world.refuses(world.command("image", &["--like", changed]), code);
    let said = refused("images/tiny.jsonnet", 2);
    assert_says(&said, &["images/tiny.jsonnet is no manifest", ".manifest.json"]);

    board::define(&world, &[("cmdline", "['quiet']")]);
    let said = refused(&manifest, 2);
    assert_says(
        &said,
        &[
            "was built from another definition: `cmdline[0]` differs",
            "check out the commit",
        ],
    );
    board::define(&world, &[]);

    let with = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        change(&mut value);
        let path = world.folder.path().join(format!("{name}.manifest.json"));
        fs::write(&path, value.to_string()).unwrap();
        path.display().to_string()
    };
    let said = refused(&with("tool", &|manifest| manifest["tool"] = "0.0.1".into()), 1);
    assert_says(&said, &["was built by pkgbuilder 0.0.1, and this is"]);
    let said = refused(&with("image", &|manifest| manifest["image"] = "home".into()), 2);
    assert_says(&said, &["the manifest is of the image `home`, not of `tiny`"]);
    let said = refused(&with("epoch", &|manifest| manifest["epoch"] = 1.into()), 2);
    assert_says(&said, &["bears the time 1, and the lock "]);
}

/// Consul, said to have been built from its Go module: only by the very toolchain it is built again.
#[test]
fn another_toolchain_or_a_missing_component_is_refused() {
    let world = board::world(1, 1);
    board::define(&world, &[("components", "{ consul: { source: 'go-module' } }")]);
    let inspected = world.pkgbuilder().args(["inspect", "tiny"]).output().unwrap();
    let definition: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let write = |packages: serde_json::Value| {
        let manifest = serde_json::json!({
            "format": 2, "image": "tiny", "target": "raspberrypi-arm64", "tool": env!("CARGO_PKG_VERSION"),
            "epoch": 0, "definition": definition, "packages": packages,
        });
        let path = world.folder.path().join("x.manifest.json");
        fs::write(&path, manifest.to_string()).unwrap();
        path.display().to_string()
    };
    let empty = write(serde_json::json!([]));
    let said = world.refuses(world.command("image", &["--like", &empty]), 2);
    assert_says(&said, &["holds no package of the component consul"]);

    let other = write(serde_json::json!([{
        "name": "consul", "version": "1.22.0-1", "architecture": "arm64", "digest": "sha256:00",
        "source": "go-module", "origin": "github.com/hashicorp/consul v1.22.0 (h1:x), built with go1.1",
    }]));
    let said = world.refuses(world.command("image", &["--like", &other]), 1);
    assert_says(
        &said,
        &[
            "consul was made from github.com/hashicorp/consul v1.22.0 (h1:x), built with go1.1",
            "and this machine has go1.",
            "install the other one, or build without `--like`",
        ],
    );
}
