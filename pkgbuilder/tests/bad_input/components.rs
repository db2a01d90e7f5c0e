use crate::{World, assert_says};

/// `pkgbuilder packages` of the real catalog; GitHub is our server, which has nothing.
fn packages(world: &World, arguments: &[&str]) -> std::process::Command {
    let mut command = world.pkgbuilder();
    let github = format!("github.com={}/github", world.server.url());
    command.args(["packages", "--release-host", &github, "--out"]);
    command.arg(world.folder.path().join("out")).args(arguments);
    command
}

#[test]
fn packages_of_nothing_names_what_there_is() {
    let world = World::new();
    let said = world.refuses(packages(&world, &[]), 2);
    assert_says(&said, &["pkgbuilder packages home", "pkgbuilder packages --list"]);
}

#[test]
fn an_unknown_component_in_upstreams_spelling() {
    let world = World::new();
    let said = world.refuses(packages(&world, &["--component", "node_exportr"]), 2);
    assert_says(
        &said,
        &[
            "there is no component `node_exportr`",
            "(did you mean `node-exporter`?)",
            "caddy, ",
        ],
    );
}

#[test]
fn an_architecture_that_upstream_dropped() {
    let world = World::new();
    let said = |arch: &str| {
        let arguments = ["--component", "nomad", "--arch", arch, "--source", "nomad=release"];
        world.refuses(packages(&world, &arguments), 2)
    };
    assert_says(
        &said("armhf"),
        &[
            "nomad 1.10.5 for armhf does not exist in any source",
            "upstream has not shipped nomad for armhf since 1.8.1",
            "the source `go-module` builds it, or take an older version",
        ],
    );
    // Older ones are for ARMv7.
    let said = said("armel");
    assert_says(
        &said,
        &[
            "nomad 1.10.5 for armel does not exist in any source",
            "no archive that upstream ships of nomad runs on armel; that leaves `go-module`",
        ],
    );
    assert!(!said.contains("older version"), "{said}");
    assert!(!world.folder.path().join("out/packages").exists(), "nothing was made");
}

#[test]
fn every_failure_is_told() {
    let world = World::new();
    let arguments = [
        "--component=nomad",
        "--component=alertmanager",
        "--arch=armel",
        "--arch=armhf",
        "--source=nomad=release",
        "--source=alertmanager=release",
    ];
    let mut command = packages(&world, &arguments);
    let said = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert_says(
        &said,
        &[
            "error: 4 of 4 packages could not be made",
            "nomad for armhf: nomad 1.10.5 for armhf does not exist",
            "prometheus-alertmanager for armhf: ",
            "nomad for armel: ",
            "prometheus-alertmanager for armel: ",
        ],
    );
}

#[test]
fn an_update_takes_upstreams_spelling() {
    let world = World::new();
    let mut command = world.pkgbuilder();
    let api = format!("api.github.com={}/api", world.server.url());
    command.args(["lock", "jsonnet/catalog.jsonnet", "--release-host", &api]);
    command.args(["--update", "alertmanager", "--dry-run"]);
    let said = world.refuses(command, 1);
    assert_says(&said, &["nobody can be asked", "prometheus-alertmanager: release: "]);
}
