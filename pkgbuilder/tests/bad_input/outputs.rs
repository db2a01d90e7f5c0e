use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use pkgbuilder::verify::Sha256;

use crate::{World, assert_says};

/// A component of one script, released by our server as `hello.tar.gz`, whose pinned digest is `sha256`.
fn hello(world: &World, sha256: &str) -> String {
    format!(
        "{{ hello: {{
            version: '1.0',
            license: 'MIT',
            homepage: 'https://hello.example/',
            summary: 'says hello',
            description: 'Says it.\\n',
            sources: [{{
              type: 'release', url: '{}/hello.tar.gz', arch_names: 'debian', sha256: {{ arm64: '{sha256}' }},
            }}],
            recipe: {{
              maintainer: 'Test <test@example.invalid>', revision: 1, section: 'misc',
              copyright: {{ holder: 'Test', files: ['LICENSE'] }},
              contents: [{{ src: 'hello', dst: '/usr/bin/hello', type: 'file', mode: '0755' }}],
              depends: [], recommends: [], services: [], lintian_overrides: [],
            }},
        }} }}",
        world.server.url()
    )
}

/// A world that serves the archive of `hello`; also its digest.
fn with_hello() -> (World, Sha256) {
    let world = World::new();
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (name, content) in [("LICENSE", "free\n"), ("hello", "#!/bin/sh\necho hello\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mtime(1_757_428_604);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let archive = tar.into_inner().unwrap().finish().unwrap();
    fs::File::create(world.served().join("hello.tar.gz"))
        .unwrap()
        .write_all(&archive)
        .unwrap();
    (world, Sha256::of(&archive))
}

#[test]
fn a_wrong_digest() {
    let (world, right) = with_hello();
    let wrong = "0".repeat(64);
    world.define(&[("components", &hello(&world, &wrong))]);
    for subcommand in ["lock", "packages"] {
        let said = world.refuses(world.command(subcommand, &[]), 2);
        assert_says(
            &said,
            &[
                "hello 1.0 for arm64",
                "hello.tar.gz",
                "or correct what is pinned",
                &right.hex(),
                &format!("{wrong} was expected"),
            ],
        );
    }
    world.define(&[("components", &hello(&world, &right.hex()))]);
    world.succeeds(world.command("packages", &[]));
    let made = world.checkout().join("out/packages/hello_1.0-1_arm64.deb");
    let read = Command::new("dpkg-deb")
        .args(["-f"])
        .arg(made)
        .arg("Version")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&read.stdout), "1.0-1\n");
}

#[test]
fn a_file_where_the_output_folder_should_be() {
    let (world, digest) = with_hello();
    world.define(&[("components", &hello(&world, &digest.hex()))]);
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

/// `command` where `folder` is mounted read-only, in a mount namespace of its own: root may write anywhere else.
fn with_read_only(folder: &Path, command: &Command) -> Command {
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    let mut inside = Command::new("unshare");
    inside
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(folder);
    inside.arg(command.get_program()).args(command.get_args());
    inside.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

#[test]
fn an_output_folder_that_is_not_writable() {
    let (world, digest) = with_hello();
    world.define(&[("components", &hello(&world, &digest.hex()))]);
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
