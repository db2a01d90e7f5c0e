mod apt_sources;
mod catalog;

use computatom_spec::role::Role;

use super::*;

const BOARDS: [&str; 2] = ["raspberrypi-arm64", "rock64"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Loads a definition written beside the real vocabulary.
fn load_text(text: &str) -> Result<Image> {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository().join("jsonnet"), folder.path().join("jsonnet")).unwrap();
    std::fs::create_dir(folder.path().join("images")).unwrap();
    let path = folder.path().join("images/x.jsonnet");
    std::fs::write(
        &path,
        format!("local computatom = import 'computatom.libsonnet';\n{text}"),
    )
    .unwrap();
    let root = folder.path().canonicalize().unwrap();
    load_with(&path, None, &BOARDS, &root, &BTreeMap::new())
}

fn image(fields: &str) -> String {
    format!("computatom.image({{\n  name: 'x',\n  targets: ['raspberrypi-arm64'],\n  {fields}\n}})")
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let error = load_text(text).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2, "{error:?}");
    let error = format!("{error:#}");
    for part in expected {
        assert!(error.contains(part), "`{part}` is not in:\n{error}");
    }
}

/// Every definition that is shipped.
const SHIPPED: [&str; 7] = ["home", "core", "client", "monitor", "vm", "vagrant", "container"];

fn shipped(name: &str) -> Image {
    let root = repository();
    let path = root.join(format!("images/{name}.jsonnet"));
    load_with(&path, None, crate::assemble::board_names(), &root, &BTreeMap::new()).unwrap()
}

#[test]
fn every_image_is_as_it_was() {
    for name in SHIPPED {
        let image = shipped(name);
        let json = serde_json::to_string_pretty(&image).unwrap() + "\n";
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}/image.json"));
        if std::env::var_os("COMPUTATOM_WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
            crate::atomic::write(&golden, json.as_bytes()).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap();
        assert!(
            json == expected,
            "{name} changed; if that is meant: COMPUTATOM_WRITE_GOLDEN=1 cargo test every_image_is_as_it_was"
        );
        assert_eq!(serde_json::from_str::<Image>(&expected).unwrap(), image);
    }
    let folder = std::fs::read_dir(repository().join("images")).unwrap();
    let definitions = folder.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|it| it == "jsonnet")
    });
    assert_eq!(definitions.count(), SHIPPED.len(), "a definition has no golden text");
}

#[test]
fn images_can_be_what_they_have_the_programs_for() {
    let roles = |name: &str| {
        shipped(name)
            .roles
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        SHIPPED.map(roles),
        [
            "server client monitor",
            "server",
            "client",
            "monitor",
            "server client monitor",
            "server client monitor",
            "server monitor"
        ]
    );
    let has = |image: &Image, name: &str| {
        image.components.iter().any(|component| component.name == name)
            || image.debian.packages.iter().any(|it| it == name)
    };
    let (core, client, monitor) = (shipped("core"), shipped("client"), shipped("monitor"));
    assert!(has(&core, "nomad") && !has(&core, "docker.io") && !has(&core, "prometheus"));
    assert!(has(&client, "docker.io") && has(&client, "cni-plugins") && !has(&client, "prometheus"));
    assert!(has(&monitor, "prometheus") && !has(&monitor, "nomad") && !has(&monitor, "docker.io"));
    for image in [&core, &client, &monitor] {
        assert!(
            has(image, "consul") && has(image, "prometheus-node-exporter"),
            "{}",
            image.name
        );
    }
}

#[test]
fn roles_are_known_names_with_their_programs() {
    refused(
        &image("roles: ['sever'],"),
        &[
            "images/x.jsonnet:5:3: `roles`: unknown role `sever` (did you mean `server`?); there are: server, client, monitor",
        ],
    );
    refused(
        &image("roles: ['monitor'], components+: { consul: {} },"),
        &["`roles`: a monitor needs `prometheus`: add it to `components`, or leave the role out"],
    );
    refused(
        &image("roles: ['server', 'server'],"),
        &["`roles`: `server` is there twice"],
    );
    refused(&image("roles: 'server',"), &["images/x.jsonnet:5:3: `roles`"]);
    refused(
        &image("rolls: ['server'],"),
        &["unknown key `rolls` (did you mean `roles`?)"],
    );
    let image = load_text(&image(
        "roles: ['monitor', 'server'], components+: { consul: {}, nomad: {}, prometheus: computatom.debian },",
    ));
    assert_eq!(image.unwrap().roles, [Role::Server, Role::Monitor]);
}

#[test]
fn an_image_of_before_there_were_roles_could_be_all() {
    let mut old = serde_json::to_value(shipped("core")).unwrap();
    old.as_object_mut().unwrap().remove("roles");
    assert_eq!(serde_json::from_value::<Image>(old).unwrap().roles, Role::ALL);
}

#[test]
fn the_example_site_is_the_default_site() {
    let root = repository();
    let site = load_site(Some(&root.join("site.example.jsonnet")), &serde_json::Map::new(), &root).unwrap();
    assert_eq!(site, computatom_spec::site::Site::default());
}

#[test]
fn unknown_keys_are_told_with_file_line_and_neighbour() {
    refused(
        &image("debain+: {},"),
        &["images/x.jsonnet:5:3: unknown key `debain` (did you mean `debian`?)"],
    );
    refused(
        &image("debian+: {\n    packges+: ['vim'] },"),
        &["images/x.jsonnet:6:5: unknown key `debian.packges` (did you mean `packages`?)"],
    );
    refused(
        &image("components+: { nomad: { versoin: '1' } },"),
        &["images/x.jsonnet:5:27: unknown key `components.nomad.versoin` (did you mean `version`?)"],
    );
    refused(
        &image("['de' + 'bain']: 1,"),
        &["images/x.jsonnet (in what it evaluates to): unknown key `debain`"],
    );
}

#[test]
fn replacing_defaults_by_accident_is_explained() {
    refused(
        &image("debian: { packages: [] },"),
        &["images/x.jsonnet:5:3:", "has no `suites`", "`debian+:"],
    );
}

#[test]
fn wrong_types_are_told_with_their_line() {
    refused(
        &image("partitions+: { root_mib: 'big' },"),
        &["images/x.jsonnet:5:18: `partitions.root_mib`", "big"],
    );
    refused(&image("description: ['x'],"), &["images/x.jsonnet:5:3: `description`"]);
}

#[test]
fn unknown_components_targets_and_versions_name_the_way_out() {
    refused(
        &image("components+: { nomda: {} },"),
        &[
            "images/x.jsonnet:5:18",
            "unknown component `nomda` (did you mean `nomad`?)",
        ],
    );
    refused(
        "computatom.image({ name: 'x', targets: ['raspberypi-arm64'] })",
        &[
            "images/x.jsonnet:2:31",
            "unknown target `raspberypi-arm64` (did you mean `raspberrypi-arm64`?)",
        ],
    );
    refused(
        &image("components+: { nomad: { version: '1.9.2' } },"),
        &["1.9.2 is refused", "take 1.9.3 or newer"],
    );
    refused(
        &image("components+: { nomad: { version: 'v1.9.3' } },"),
        &["without `v`"],
    );
    refused(
        &image("components+: { nomad: { source: 'relase' } },"),
        &["did you mean `release`?"],
    );
    refused(
        &image("components+: { vault: { source: 'debian' } },"),
        &["at this version it has: release"],
    );
}

#[test]
fn a_version_without_pins_has_a_release_that_is_yet_to_be_pinned() {
    let image = load_text(&image("components+: { nomad: { version: '99.1.0' } },")).unwrap();
    let nomad = image
        .components
        .iter()
        .find(|component| component.name == "nomad")
        .unwrap();
    assert_eq!(
        nomad.sources.iter().map(image::Source::name).collect::<Vec<_>>(),
        ["release", "go-module"]
    );
    let image::Source::Release { sha256, sums, .. } = &nomad.sources[0] else {
        unreachable!()
    };
    assert!(sha256.is_empty() && sums.is_some());
}

#[test]
fn one_source_can_be_demanded() {
    let image = load_text(&image("components+: { nomad: { source: 'go-module' } },")).unwrap();
    let nomad = image
        .components
        .iter()
        .find(|component| component.name == "nomad")
        .unwrap();
    assert_eq!(
        nomad.sources.iter().map(image::Source::name).collect::<Vec<_>>(),
        ["go-module"]
    );
}

#[test]
fn values_are_checked() {
    refused(
        &image("exclude+: ['usr/**'],"),
        &["images/x.jsonnet:5:3: `exclude`", "not absolute"],
    );
    refused(
        &image("debian+: { packages+: ['Vim'] },"),
        &["images/x.jsonnet:5:14: `debian.packages`", "`Vim`"],
    );
    refused(&image("debian+: { packages+: ['less'] },"), &["`less` is there twice"]);
    refused(&image("debian+: { avoid+: ['less'] },"), &["`packages` as well"]);
    refused(&image("units+: { mask+: ['ssh'] },"), &["`ssh.service`"]);
    refused(&image("units+: { enable+: ['man-db.timer'] },"), &["already"]);
    refused(
        &image("partitions+: { boot_mib: 1 },"),
        &["images/x.jsonnet:5:18", "1 MiB"],
    );
    refused(
        &image("files+: { 'etc/motd': { text: '' } },"),
        &["images/x.jsonnet:5:13", "absolute"],
    );
    refused(&image("files+: { '/etc/motd': {} },"), &["either `text` or `symlink`"]);
    refused(&image("files+: { '/etc/motd': { text: '', mode: '9' } },"), &["octal"]);
    refused(&image("cmdline+: ['a b'],"), &["one word"]);
    refused(&image("site: { lan: 'home' },"), &["CIDR"]);
    refused(
        "computatom.image({ name: 'X y', targets: [] })",
        &["images/x.jsonnet:2:20: `name`"],
    );
    refused("computatom.image({ name: 'x', targets: [] })", &["needs a target"]);
}

#[test]
fn recipes_are_checked() {
    let recipe = |fields: &str| image(&format!("components+: {{ nomad: {{ recipe+: {{ {fields} }} }} }},"));
    refused(&recipe("contents+: [{ dst: '/usr/bin/nomad', src: 'x' }]"), &["twice"]);
    refused(&recipe("contents+: [{ dst: '/lib/x', src: 'x' }]"), &["below /usr"]);
    refused(
        &recipe("contents+: [{ dst: '/usr/x', text: 'x', type: 'config' }]"),
        &["below /etc"],
    );
    refused(
        &recipe("contents+: [{ dst: '/usr/x', type: 'smylink' }]"),
        &[
            "unknown value",
            "(did you mean `symlink`?)",
            "file, config, config|noreplace",
        ],
    );
    refused(
        &recipe("contents+: [{ dst: '/usr/x', text: 'x', file_info: { mode: 644 } }]"),
        &[
            "images/x.jsonnet:5:",
            "an octal mode such as `0644` (in Jsonnet in quotes)",
        ],
    );
    refused(
        &recipe("contents+: [{ dst: 'usr/x', text: 'x' }]"),
        &["`components.nomad.recipe.contents[", "not an absolute path"],
    );
    refused(
        &recipe("scripts: { postinstall: 'x.sh' }"),
        &["the text itself, as `importstr` gives it"],
    );
    refused(&recipe("version: '1'"), &["`version` is the component's own field"]);
    refused(
        &recipe("services+: ['other.service']"),
        &["`contents` has no `/usr/lib/systemd/system/other.service`"],
    );
    refused(
        &recipe("lintian_overrides+: [{ tag: 'x', reason: ' ' }]"),
        &["no reason"],
    );
    refused(&recipe("section:: 'x'"), &["has no `section`"]);
}

#[test]
fn evaluation_errors_point_at_their_place() {
    refused(
        "computatom.image({ name: nmae })",
        &["images/x.jsonnet:2:26: there is no variable `nmae`", "^^^^"],
    );
    refused("computatom.image({ name: 'x' ", &["images/x.jsonnet:", "expected"]);
    refused(
        "computatom.imgae({})",
        &[
            "there is no field `imgae` (did you mean `image`?)",
            "images/x.jsonnet:2:",
        ],
    );
    refused("error 'not today'", &["images/x.jsonnet:2:1: not today"]);
    refused("local f(x) = f(x) + 1; f(1)", &["too deep"]);
    refused(
        "import 'nowhere.libsonnet'",
        &["images/x.jsonnet:2:1", "there is no `nowhere.libsonnet` in images/"],
    );
    refused("importstr '../../../../../../etc/passwd'", &["imports stay inside"]);
    refused("import 'x.jsonnet'", &["images/x.jsonnet"]);
    refused("std.extVar('HOME')", &["no external variable"]);
    refused("{ a: 01 }", &["images/x.jsonnet:2:6", "quote it"]);
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    refused(
        &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        &["x.jsonnet"],
    );
}

#[test]
fn definitions_are_found_by_name() {
    let root = repository();
    assert_eq!(find("home", &root).unwrap(), root.join("images/home.jsonnet"));
    assert_eq!(
        find("images/home.jsonnet", &root).unwrap(),
        root.join("images/home.jsonnet")
    );
    let error = find("hoem", &root.join("images")).unwrap_err().to_string();
    assert!(error.contains("did you mean `home`?"), "{error}");
    assert!(find("/nowhere/x.jsonnet", &root).is_err());
}

#[test]
fn the_definition_says_who_maintains_its_packages() {
    let maintainer = |fields: &str| {
        let image = load_text(&image(fields)).unwrap();
        let component = image
            .components
            .into_iter()
            .find(|component| component.name == "nomad")
            .unwrap();
        component.recipe.unwrap().maintainer
    };
    assert_eq!(
        maintainer("components+: { nomad: {} },"),
        "Computatom packagers <packagers@computatom.invalid>"
    );
    let ours = "components+: { nomad: {} }, maintainer: 'Ada <ada@example.com>',";
    assert_eq!(maintainer(ours), "Ada <ada@example.com>");
    let one = "maintainer: 'Ada <ada@example.com>', components+: { nomad: { recipe+: { maintainer: 'Bob <b@example.com>' } } },";
    assert_eq!(maintainer(one), "Bob <b@example.com>");
    refused(
        &image("components+: { nomad: {} }, maintainer: 'Ada',"),
        &["`maintainer` is `Name <address>`"],
    );
}
