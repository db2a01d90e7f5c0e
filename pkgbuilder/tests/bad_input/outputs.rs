use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{World, assert_says, content_of, hello};

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
fn in_namespace(script: &str, folder: &Path, command: &Command) -> Command {
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
    let names: Vec<_> = content_of(&world.checkout().join("out")).into_keys().collect();
    let packages = world.checkout().join("out/packages");
    assert_eq!(names, [packages.join(""), packages.join("hello_1.0-1_arm64.deb")]);
}
