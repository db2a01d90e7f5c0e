use std::fs;

use crate::{World, assert_says, hello};

/// A world whose catalog is `hello`, as `-packages` sees it.
fn world() -> World {
    let (world, digest) = hello::world();
    let jsonnet = world.checkout().join("jsonnet");
    fs::write(jsonnet.join("components/hello.libsonnet"), "{}").unwrap();
    let catalog = format!(
        "local computatom = import 'computatom.libsonnet';\ncomputatom.image({{\n  name: 'catalog',\n  targets: [{{ name: \
         'raspberrypi-arm64', arch: 'arm64', packages: [] }}],\n  components: {},\n}})\n",
        hello::component(&world, &digest.hex())
    );
    fs::write(jsonnet.join("catalog.jsonnet"), catalog).unwrap();
    world
}

/// Programs go where `pkgbuilder packages` puts them, configuration apart from them.
#[test]
fn the_older_tools_command_line_makes_programs_and_configuration() {
    let world = world();
    let mut command = world.pkgbuilder();
    command.args(["-arches", "all,arm64", "-packages", "hello,nomad-config-client"]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let made = String::from_utf8(output.stdout).unwrap();
    let names: Vec<&str> = made.lines().collect();
    assert_eq!(names.len(), 2, "{made}");
    assert!(
        names[0].starts_with("out/packages-private/nomad-config-client_"),
        "{made}"
    );
    assert_eq!(names[1], "out/packages/hello_1.0-1_arm64.deb");
    for name in names {
        assert!(world.checkout().join(name).is_file(), "{name}");
    }
}

#[test]
fn an_architecture_that_a_program_lacks() {
    let world = world();
    let mut command = world.pkgbuilder();
    command.args(["-arches=armv6", "-packages=hello"]);
    let output = command.output().unwrap();
    let said = world.judge(&output, 2);
    assert_says(&said, &["hello 1.0 for armel"]);
}
