use std::fs;

use crate::{World, assert_says};

#[test]
fn an_unknown_key_is_answered_with_the_nearest_file_and_line() {
    let world = World::new();
    world.define(&[("descripton", "'home'")]);
    for subcommand in ["lock", "build"] {
        let said = world.refuses(world.command(subcommand, &[]), 2);
        assert_says(
            &said,
            &[
                "images/tiny.jsonnet:7:3: unknown key `descripton` (did you mean `description`?)",
                "the keys there are: name, description, targets,",
            ],
        );
    }
}

#[test]
fn an_unknown_component_is_answered_with_the_nearest() {
    let world = World::new();
    world.define(&[("components", "{ nomed: {} }")]);
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(&said, &["images/tiny.jsonnet:5:", "`nomed`", "did you mean `nomad`?"]);
}

#[test]
fn an_unknown_debian_package() {
    let world = World::new();
    world.define(&[("debian+", "{ packages: ['app', 'libary'], prefer: [], avoid: [] }")]);
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(&said, &["there is no package `libary`"]);
}

#[test]
fn a_refused_version_is_answered_with_the_way_out() {
    let world = World::new();
    world.define(&[("components", "{ nomad: { version: '1.9.2' } }")]);
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(
        &said,
        &[
            "images/tiny.jsonnet:5:",
            "nomad 1.9.2 is refused",
            "take 1.9.3 or newer",
        ],
    );
}

#[test]
fn a_version_that_does_not_exist() {
    let world = World::new();
    world.define(&[("components", "{ consul: { version: '99.1.0' } }")]);
    let mut command = world.command("lock", &[]);
    // A release host and a module proxy that have nothing: our server.
    command
        .env(
            "COMPUTATOM_RELEASE_MIRROR",
            format!("releases.hashicorp.com={}/releases", world.server.url()),
        )
        .env("GOPROXY", format!("{}/goproxy", world.server.url()))
        .env("GOMODCACHE", world.folder.path().join("gomodcache"));
    let said = world.refuses(command, 2);
    assert_says(
        &said,
        &["consul 99.1.0 for arm64 does not exist in any source; name another version"],
    );
}

#[test]
fn a_lock_that_is_damaged() {
    let world = World::new();
    world.succeeds(world.command("lock", &[]));
    let text = fs::read_to_string(world.lock()).unwrap();
    fs::write(world.lock(), &text[..text.len() / 2]).unwrap();
    let said = world.refuses(world.command("image", &[]), 2);
    assert_says(
        &said,
        &[
            "images/tiny.lock.json",
            "restore it from version control, or remove it and run `pkgbuilder lock tiny`",
        ],
    );
}

#[test]
fn a_lock_of_another_schema() {
    let world = World::new();
    world.succeeds(world.command("lock", &[]));
    let text = fs::read_to_string(world.lock()).unwrap();
    for (format, older) in [("0", true), ("99", false)] {
        let other = text.replace("\"format\": 1", &format!("\"format\": {format}"));
        assert_ne!(other, text);
        // What another schema has that ours has not must not be what is complained about.
        let other = if older {
            other.replace("\"epoch\"", "\"source_date_epoch\"")
        } else {
            other
        };
        fs::write(world.lock(), other).unwrap();
        for subcommand in ["image", "lock"] {
            let said = world.refuses(world.command(subcommand, &["--locked"]), 2);
            assert_says(
                &said,
                &[
                    "images/tiny.lock.json is neither of format 1 nor 2",
                    "remove it and run `pkgbuilder lock tiny`",
                ],
            );
        }
    }
}

#[test]
fn packages_that_conflict() {
    let mut world = World::new();
    world.archive.add("trixie", "rival", "1.0", "Conflicts: library");
    world.archive.publish();
    world.define(&[("debian+", "{ packages: ['app', 'rival'], prefer: [], avoid: [] }")]);
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(
        &said,
        &[
            "the packages asked for cannot be installed together",
            "change the definition's `packages` or `avoid`",
            "rival",
            "library",
        ],
    );
}

#[test]
fn a_secret_in_a_definition_or_the_site_settings() {
    let world = World::new();
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXk\\n";
    let files = format!("{{ '/root/.ssh/id_ed25519': {{ text: '{key}' }} }}");
    world.define(&[("files", &files)]);
    for subcommand in ["lock", "image"] {
        let said = world.refuses(world.command(subcommand, &[]), 2);
        assert_says(
            &said,
            &[
                "images/tiny.jsonnet:7:",
                "id_ed25519.text` holds a private key",
                "holds no secrets",
            ],
        );
        assert!(!said.contains("b3BlbnNzaC1rZXk"), "it is not repeated: {said}");
    }
    world.define(&[]);
    fs::write(
        world.checkout().join("site.jsonnet"),
        format!("{{\n  ssh_keys: ['{key}'],\n}}\n"),
    )
    .unwrap();
    let said = world.refuses(world.command("lock", &[]), 2);
    assert_says(&said, &["site.jsonnet:2:", "`ssh_keys[0]` holds a private key"]);
    assert_eq!(world.server.seen(), []);
}
