use crate::{World, assert_says};

/// A world in which `app` has this postinst.
fn world(script: &str) -> World {
    let mut world = World::new();
    let postinst = ("DEBIAN/postinst".to_owned(), 0o755, script.as_bytes().to_vec());
    world
        .archive
        .add_files("trixie", "app", "2.0-1", "Depends: library (>= 1.0)", &[postinst]);
    world.archive.publish();
    world
}

#[test]
fn a_command_that_we_lack() {
    let world = world("#!/bin/sh\nset -e\n\nfrobnicate --now\n");
    world.succeeds(world.command("lock", &[]));
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(
        &said,
        &[
            "package app, postinst, line 4: `frobnicate`: no such command in the vocabulary",
            "add the command (CONTRIBUTING.md",
            "or do without app",
        ],
    );
    assert_eq!(crate::board::names(&world.out()), Vec::<String>::new());
}

#[test]
fn a_use_of_a_command_that_we_lack() {
    let world = world("#!/bin/sh\nset -e\nchmod --frobnicate /usr\n");
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(
        &said,
        &[
            "package app, postinst, line 3: `chmod`: ",
            "--frobnicate",
            "is not supported",
            "add what is missing (CONTRIBUTING.md",
            "or do without app",
        ],
    );
}

#[test]
fn a_script_that_does_not_end() {
    let world = world("#!/bin/sh\nset -e\nwhile :; do\n  x=1\ndone\n");
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(
        &said,
        &[
            "package app, postinst, line ",
            "have the package's maintainers mend its script",
            "or do without app",
        ],
    );
    assert_eq!(crate::board::names(&world.out()), Vec::<String>::new());
}

#[test]
fn a_script_that_fails() {
    let world = world("#!/bin/sh\nset -e\necho the disk of Babel is full >&2\nexit 3\n");
    let said = world.judge(&world.command("image", &[]).output().unwrap(), 2);
    assert_says(&said, &["app", "postinst", "3", "the disk of Babel is full"]);
}
