//! What is asked of finished images and packages, and of what is none.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::{World, assert_says};

/// A manifest as a build writes it, smaller.
fn manifest(version: &str, timezone: &str) -> Value {
    json!({
        "format": 2,
        "image": "home",
        "target": "raspberrypi-arm64",
        "tool": "0.1.0",
        "epoch": 1_700_000_000,
        "definition": { "name": "home", "components": [], "site": { "timezone": timezone } },
        "packages": [{
            "name": "nomad", "version": version, "architecture": "arm64", "digest": format!("sha256:{version}"),
            "source": "release", "origin": "x", "section": "admin", "license": "BUSL-1.1", "license_from": "the catalog",
        }],
        "files": { "/usr/bin/nomad": { "digest": format!("sha256:{version}"), "size": 4096, "package": "nomad" } },
    })
}

fn write(path: &Path, manifest: &Value) {
    fs::write(path, serde_json::to_string_pretty(manifest).unwrap()).unwrap();
}

#[test]
fn diff_answers_with_its_exit_code_only_when_asked() {
    let world = World::new();
    let folder = world.checkout();
    let (a, b) = (folder.join("a.manifest.json"), folder.join("b.manifest.json"));
    write(&a, &manifest("1.10.4-1", "Etc/UTC"));
    write(&b, &manifest("1.10.5-1", "Europe/Berlin"));
    let run = |arguments: &[&str]| {
        let output = world.pkgbuilder().arg("diff").args(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code().unwrap(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    let (code, out, said) = run(&[a, b]);
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(out.contains("  ^ nomad  1.10.4-1  ->  1.10.5-1\n"), "{out}");
    assert!(out.contains("  ~ site.timezone: Etc/UTC  ->  Europe/Berlin\n"), "{out}");
    assert_eq!(run(&[a, b, "--exit-code"]), (1, out, String::new()));
    let (code, out, _) = run(&[a, a, "--exit-code"]);
    assert!(code == 0 && out.contains("no difference"), "{code} {out}");
    let (_, out, _) = run(&[b, a, "--json"]);
    let difference: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(difference["packages"][0]["kind"], "downgraded");
    // Trouble is another answer than a difference.
    let (code, _, said) = run(&[a, "gone.img", "--exit-code"]);
    assert!(code == 2 && said.contains("gone.img is not there"), "{code} {said}");
}

#[test]
fn diff_says_what_it_cannot_compare() {
    let world = World::new();
    let folder = world.checkout();
    let good = folder.join("good.manifest.json");
    write(&good, &manifest("1", "Etc/UTC"));
    let mut old = manifest("1", "Etc/UTC");
    old["format"] = json!(1);
    write(&folder.join("old.manifest.json"), &old);
    let text = fs::read_to_string(&good).unwrap();
    fs::write(folder.join("cut.manifest.json"), &text[..text.len() / 2]).unwrap();
    fs::write(folder.join("text.img"), "no image").unwrap();
    fs::write(folder.join("x_1_all.deb"), "!<arch>\n").unwrap();
    for (other, parts) in [
        ("old.manifest.json", &["is of format 1", "build the image again"][..]),
        ("cut.manifest.json", &["ends early"]),
        ("text.img", &["text.img is not an image that `pkgbuilder build` made"]),
        ("x_1_all.deb", &["is a single package"]),
        ("images", &["images is a folder", "name an image in it"]),
        ("tiny", &["tiny is a definition", "pkgbuilder build tiny"]),
        ("gone.manifest.json", &["gone.manifest.json is not there"]),
    ] {
        let mut command = world.pkgbuilder();
        command.arg("diff").arg(&good).arg(other);
        assert_says(&world.refuses(command, 2), parts);
    }
    let mut command = world.pkgbuilder();
    command.arg("diff").arg(&good);
    assert_says(&world.refuses(command, 2), &["<B>"]);
}

#[test]
fn inspect_shows_sizes_as_a_table_and_as_a_picture() {
    let world = World::new();
    let folder = world.checkout();
    let (path, svg) = (folder.join("home.manifest.json"), folder.join("sizes.svg"));
    write(&path, &manifest("1", "Etc/UTC"));
    let mut command = world.pkgbuilder();
    command.arg("inspect").arg(&path).args(["--sizes", "--svg"]).arg(&svg);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("100.0%"), "{text}");
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.contains("<title>nomad (admin): 4.0 KiB"),
        "{picture}"
    );
    for (arguments, parts) in [
        (&["home.manifest.json", "--svg", "x.svg"][..], &["--sizes"][..]),
        (
            &["home.manifest.json", "--spdx"],
            &["has no texts of licences", "name the image"],
        ),
        (&["tiny", "--sizes"], &["tiny is a definition", "build it"]),
        (&["none.deb"], &["cannot open none.deb"]),
        (&["home.manifest.json", "--spdx", "--sizes"], &["cannot be used with"]),
    ] {
        let mut command = world.pkgbuilder();
        command.arg("inspect").args(arguments);
        assert_says(&world.refuses(command, 2), parts);
    }
}
