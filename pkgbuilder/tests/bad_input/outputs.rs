use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{World, assert_says, board, content_of, hello};

#[test]
fn a_file_where_the_output_folder_should_be() {
    let (world, digest) = hello::world();
    world.define(&[("components", &hello::component(&world, &digest.hex()))]);
    fs::write(world.checkout().join("taken"), "").unwrap();
    for subcommand in ["packages", "image", "build"] {
        world.server.seen();
        let said = world.refuses(world.command(subcommand, &["--out", "taken/out"]), 1);
        assert_says(&said, &["taken", "--out"]);
        assert_eq!(
            world.server.seen(),
            [],
            "{subcommand}: it is known before any work is done"
        );
    }
}

/// `command` after `script`, whose `$1` is `folder`, in a mount namespace of its own.
pub(crate) fn in_namespace(script: &str, folder: &Path, command: &Command) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    inside.arg(folder).arg(command.get_program()).args(command.get_args());
    inside.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

/// `command` where `folder` is mounted read-only: modes do not keep root out.
fn with_read_only(folder: &Path, command: &Command) -> Command {
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    in_namespace(script, folder, command)
}

#[test]
fn an_output_folder_that_is_not_writable() {
    let (world, digest) = hello::world();
    world.define(&[("components", &hello::component(&world, &digest.hex()))]);
    let out = world.checkout().join("out");
    fs::create_dir(&out).unwrap();
    for subcommand in ["packages", "image", "build"] {
        let command = with_read_only(&out, &world.command(subcommand, &[]));
        let said = world.refuses(command, 1);
        assert_says(&said, &["out", "Read-only file system", "--out"]);
    }
}

#[test]
fn a_cache_that_is_not_writable() {
    let world = World::new();
    fs::create_dir_all(world.folder.path().join("cache")).unwrap();
    let command = with_read_only(&world.folder.path().join("cache"), &world.command("lock", &[]));
    let said = world.refuses(command, 1);
    assert_says(&said, &["cache", "XDG_CACHE_HOME"]);
}

#[test]
fn a_lock_that_cannot_be_written() {
    let world = World::new();
    let command = with_read_only(&world.checkout().join("images"), &world.command("lock", &[]));
    let said = world.refuses(command, 1);
    assert_says(&said, &["images", "is it writable?"]);
}

/// A file system of 128 KiB for the cache, in a mount namespace of its own.
#[test]
fn a_disk_too_small_for_the_cache() {
    let world = World::new();
    let cache = world.folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    let script = "mount -t tmpfs -o size=128k tmpfs \"$1\" && shift && exec \"$@\"";
    let said = world.refuses(in_namespace(script, &cache, &world.command("lock", &[])), 1);
    assert_says(&said, &["to the cache", "No space left on device", "XDG_CACHE_HOME"]);
}

#[test]
fn two_builds_at_once() {
    let (world, digest) = hello::world();
    world.define(&[("components", &hello::component(&world, &digest.hex()))]);
    let mut builds = Vec::new();
    for _ in 0..4 {
        let mut command = world.command("packages", &[]);
        builds.push(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    }
    for build in builds {
        let output = build.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    world.assert_cache_is_valid();
    let packages = world.checkout().join("out/packages");
    let names: Vec<_> = content_of(&packages).into_keys().collect();
    for name in ["hello_1.0-1_arm64.deb", "computatom.asc", "dists/computatom/InRelease"] {
        assert!(names.contains(&packages.join(name)), "{names:?}");
    }
    let hidden = |path: &Path| path.file_name().unwrap().as_encoded_bytes().starts_with(b".");
    assert!(
        !names.iter().any(|path| hidden(path)),
        "nothing half-written: {names:?}"
    );
    let keys: Vec<_> = content_of(&world.folder.path().join("data")).into_keys().collect();
    let data = world.folder.path().join("data/computatom");
    assert_eq!(keys, [data.join(""), data.join("signing-key.asc")], "one key for all");
}

#[test]
fn a_folder_of_packages_that_holds_foreign_files() {
    let (world, digest) = hello::world();
    world.define(&[("components", &hello::component(&world, &digest.hex()))]);
    let packages = world.checkout().join("out/packages");
    fs::create_dir_all(&packages).unwrap();
    // What is no package is left alone, and said.
    fs::write(packages.join("notes.txt"), "mine").unwrap();
    let said = world.succeeds(world.command("packages", &[]));
    assert_says(&said, &["left alone in out/packages, as no packages: notes.txt\n"]);
    assert_says(
        &said,
        &["out/packages is an apt repository of 1 package (arm64), signed by "],
    );
    assert_eq!(fs::read(packages.join("notes.txt")).unwrap(), b"mine");
    // What only seems to be one would be missed.
    fs::write(packages.join("hello_9_arm64.deb"), "mine, too").unwrap();
    let said = world.refuses(world.command("packages", &[]), 2);
    assert_says(
        &said,
        &[
            "out/packages/hello_9_arm64.deb is not a package (",
            "move the file away",
        ],
    );
    fs::remove_file(packages.join("hello_9_arm64.deb")).unwrap();
    // Somebody else's repository in our place.
    let suite = packages.join("dists/computatom");
    fs::remove_dir_all(&suite).unwrap();
    fs::create_dir(&suite).unwrap();
    fs::write(suite.join("Release"), "Origin: Mine\n").unwrap();
    for subcommand in ["packages", "build"] {
        world.server.seen();
        let said = world.refuses(world.command(subcommand, &[]), 2);
        assert_says(
            &said,
            &[
                "out/packages/dists/computatom is not a repository that pkgbuilder made",
                "--out DIR",
            ],
        );
        assert_eq!(world.server.seen(), [], "it is known before any work is done");
    }
}

#[test]
fn two_builds_of_an_image_at_once() {
    let world = board::world(4, 1);
    let mut builds = Vec::new();
    for _ in 0..3 {
        let mut command = world.command("image", &[]);
        builds.push(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    }
    let mut waited = 0;
    for build in builds {
        let output = build.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        waited += said.matches("waiting for another build in out").count();
    }
    assert!(waited > 0, "they did not meet");
    world.assert_image(&[]);
}

/// A file system with enough room when the build begins, which somebody else fills while the root is written.
#[test]
fn a_disk_that_fills_up_while_the_image_is_written() {
    let world = board::world(16, 1);
    world.succeeds(world.command("lock", &[]));
    let out = world.out();
    fs::create_dir(&out).unwrap();
    let script = "mount -t tmpfs -o size=40m tmpfs \"$1\" && out=$1 && shift || exit\n\
                  \"$@\" & build=$!\n\
                  until ls \"$out\"/.computatom-* >/dev/null 2>&1 || ! kill -0 $build; do sleep 0.01; done\n\
                  head -c 60m /dev/zero 2>/dev/null > \"$out/filler\"\n\
                  code=0; wait $build || code=$?\n\
                  rm \"$out/filler\"; echo \"left: $(ls -A \"$out\")\" >&2; exit $code";
    let said = world.refuses(in_namespace(script, &out, &world.command("image", &[])), 1);
    assert_says(
        &said,
        &[
            "there is no space left for the image in out",
            "choose another folder with `--out`",
            "left: .lock\n",
        ],
    );
}

/// Mounts a file system of 1 MiB over a folder.
const SMALL: &str = "mount -t tmpfs -o size=1m tmpfs \"$1\" && shift && exec \"$@\"";

#[test]
fn an_output_folder_without_room_for_packages() {
    let (world, digest) = hello::world();
    world.define(&[("components", &hello::component(&world, &digest.hex()))]);
    fs::create_dir(world.out()).unwrap();
    let said = world.refuses(in_namespace(SMALL, &world.out(), &world.command("packages", &[])), 1);
    assert_says(
        &said,
        &["not enough room", "30.0 MiB for packages in out/packages", "--out DIR"],
    );
    assert_eq!(world.server.seen(), [], "it is known before any work is done");
}

#[test]
fn no_room_for_the_package_of_a_recipe() {
    let world = World::new();
    let out = world.checkout().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(world.checkout().join("big"), vec![0; 4 << 20]).unwrap();
    let recipe = "name: tool\narch: all\nversion: 1.0.0\nmaintainer: A Person <a@example.org>\ncontents:\n\
                  - {src: big, dst: /usr/lib/big}\n";
    fs::write(world.checkout().join("tool.yaml"), recipe).unwrap();
    let mut command = world.pkgbuilder();
    command.args(["packages", "--recipe", "tool.yaml"]);
    let said = world.refuses(in_namespace(SMALL, &out, &command), 1);
    assert_says(
        &said,
        &["not enough room", "4.0 MiB for packages in out/packages", "--out DIR"],
    );
}

#[test]
fn no_room_for_go() {
    let world = World::new();
    let small = world.folder.path().join("small");
    fs::create_dir(&small).unwrap();
    for (variable, what) in [
        ("GOCACHE", "Go's build cache"),
        ("GOMODCACHE", "Go modules to fetch"),
        ("TMPDIR", "Go's working files"),
    ] {
        let mut command = world.pkgbuilder();
        command.args(["packages", "--component", "process-exporter", "--arch", "arm64"]);
        command.env("GOPROXY", "off").env(variable, &small);
        let said = world.refuses(in_namespace(SMALL, &small, &command), 1);
        assert_says(&said, &["not enough room", what, "small"]);
        assert!(!said.contains("0 of 1"), "it is known before any work is done: {said}");
    }
}

#[test]
fn no_room_for_modules_that_are_to_be_pinned() {
    let world = World::new();
    world.define(&[("components", "{ 'prometheus-process-exporter': { version: '0.8.6' } }")]);
    let small = world.folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mut command = world.command("lock", &[]);
    command.env("GOPROXY", "off").env("GOMODCACHE", &small);
    let said = world.refuses(in_namespace(SMALL, &small, &command), 1);
    assert_says(&said, &["not enough room", "Go modules to fetch in", "small"]);
    assert_eq!(world.server.seen(), [], "it is known before any work is done");
}
