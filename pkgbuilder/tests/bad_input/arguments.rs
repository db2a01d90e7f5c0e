use crate::{World, assert_says};

#[test]
fn a_wrong_flag_is_answered_with_the_nearest() {
    let world = World::new();
    let said = world.refuses(world.command("lock", &["--lockd"]), 2);
    assert_says(
        &said,
        &["unexpected argument '--lockd'", "'--locked'", "Usage: pkgbuilder lock"],
    );
}

#[test]
fn an_unknown_definition() {
    let world = World::new();
    let mut command = world.pkgbuilder();
    command.args(["lock", "tinny"]);
    let said = world.refuses(command, 2);
    assert_says(&said, &["there is no definition `tinny`", "(did you mean `tiny`?)"]);
}

#[test]
fn an_unknown_target() {
    let world = World::new();
    let said = world.refuses(world.command("image", &["--target", "raspberrypi-arm46"]), 2);
    assert_says(
        &said,
        &["tiny has no target `raspberrypi-arm46`", "it has raspberrypi-arm64"],
    );
}

#[test]
fn an_unknown_source() {
    let world = World::new();
    let said = world.refuses(world.command("lock", &["--source", "nomad"]), 2);
    assert_says(&said, &["`--source nomad`", "COMPONENT=SOURCE"]);
}

#[test]
fn outside_a_checkout() {
    let world = World::new();
    let mut command = world.pkgbuilder();
    command.args(["lock", "tiny"]).current_dir(world.served());
    let said = world.refuses(command, 2);
    assert_says(&said, &["lies in no Computatom checkout", "run this in one"]);
}
