use computatom_spec::arch::Arch;
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

#[test]
fn packages_without_a_definition_have_the_catalogs_maintainer() {
    let path = repository().join("jsonnet/maintainer.libsonnet");
    let evaluated = jsonnet::evaluate(&path, &[], &repository()).unwrap();
    assert_eq!(evaluated.value, maintainer());
}

/// The value of a line `key = "value"` of the agent's metadata for cargo-deb.
fn of_the_agent(key: &str) -> String {
    let text = std::fs::read_to_string(repository().join("agent/Cargo.toml")).unwrap();
    let (_, metadata) = text.split_once("[package.metadata.deb]").unwrap();
    let line = metadata
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
    line.unwrap().trim_end_matches('"').to_owned()
}

#[test]
fn the_catalog_knows_what_the_agents_package_says() {
    assert_eq!(of_the_agent("maintainer"), maintainer());
    let image = load_text(&image("")).unwrap();
    let agent = &image.components[0];
    let image::Source::File {
        relations: Some(relations),
        ..
    } = &agent.sources[0]
    else {
        panic!("{agent:?}")
    };
    for (field, declared) in [
        ("depends", &relations.depends),
        ("recommends", &relations.recommends),
        ("provides", &relations.provides),
    ] {
        let said = of_the_agent(field);
        // cargo-deb sorts them.
        let mut said: Vec<&str> = said.split(", ").collect();
        said.sort_unstable();
        assert_eq!(*declared, said, "{field}");
    }
}

#[test]
fn enterprise_versions_are_refused() {
    for version in ["1.10.5+ent", "1.10.5+ent.hsm"] {
        refused(
            &image(&format!("components+: {{ nomad: {{ version: '{version}' }} }},")),
            &[
                "images/x.jsonnet:5:",
                &format!("nomad {version} is refused"),
                "enterprise build",
                "write `1.10.5`",
            ],
        );
    }
}

#[test]
fn versions_below_the_catalogs_minimum_are_refused() {
    for (name, old, oldest) in [
        ("cni-plugins", "1.1.1", "1.2.0"),
        ("nomad", "0.9.0", "1.7.0"),
        ("consul", "1.9.17", "1.17.0"),
    ] {
        let at = |version: &str| image(&format!("components+: {{ '{name}': {{ version: '{version}' }} }},"));
        refused(
            &at(old),
            &[
                "images/x.jsonnet:5:",
                &format!("{name} {old} is older than {oldest}"),
                &format!("name {oldest} or newer"),
            ],
        );
        load_text(&at(oldest)).unwrap();
    }
    // Whatever comes from Debian is as old as Debian has it.
    load_text(&image(
        "components+: { nomad: { version: '*', sources: [{ type: 'debian', package: 'nomad' }] } },",
    ))
    .unwrap();
    refused(
        &image("components+: { nomad: { minimum: 'old' } },"),
        &["`components.nomad.minimum`", "`old` is not a version"],
    );
}

#[test]
fn the_tap_plugin_came_with_1_3() {
    let programs = |version: &str| {
        let image = load_text(&image(&format!(
            "components+: {{ 'cni-plugins': {{ version: '{version}' }} }},"
        )))
        .unwrap();
        let component = image
            .components
            .into_iter()
            .find(|known| known.name == "cni-plugins")
            .unwrap();
        let module = component.sources.into_iter().find_map(|source| match source {
            image::Source::GoModule(module) => Some(module),
            _ => None,
        });
        let contents = component.recipe.unwrap().contents;
        assert_eq!(contents.len(), module.as_ref().unwrap().binaries.len());
        module.unwrap().binaries
    };
    assert!(!programs("1.2.0").contains_key("tap"));
    assert!(programs("1.3.0").contains_key("tap") && programs("1.9.1").contains_key("tap"));
}

#[test]
fn every_component_of_the_catalog_has_a_range_below_the_next_major_version() {
    let path = repository().join("jsonnet/catalog.jsonnet");
    let catalog = load_with(&path, None, &BOARDS, &repository(), &BTreeMap::new()).unwrap();
    assert!(catalog.components.len() > 10);
    // This checkout decides the agent's.
    for component in catalog
        .components
        .iter()
        .filter(|known| known.name != "computatom-agent")
    {
        let range = component
            .range
            .as_ref()
            .unwrap_or_else(|| panic!("{} has no range", component.name));
        let version = range::parse(&component.version).unwrap();
        assert!(range.holds(&version), "{}", component.name);
        let patched = semver::Version::new(version.major, version.minor, version.patch + 1);
        assert!(range.holds(&patched), "{}", component.name);
        let next = semver::Version::new(version.major + 1, 0, 0);
        assert!(!range.holds(&next), "{}", component.name);
    }
}

#[test]
fn nomads_32_bit_archive_is_for_armhf_only() {
    use computatom_spec::arch::Arch;

    let release = |name: &str, version: &str| {
        let image = load_text(&image(&format!(
            "components+: {{ {name}: {{ version: '{version}' }} }},"
        )))
        .unwrap();
        let component = image.components.into_iter().find(|known| known.name == name).unwrap();
        component.sources.into_iter().next().unwrap()
    };
    let url = crate::package::sources::release::url;
    for version in ["1.8.0", "99.1.0"] {
        let nomad = release("nomad", version);
        assert!(url(&nomad, version, Arch::Armhf).unwrap().ends_with("linux_arm.zip"));
        assert_eq!(url(&nomad, version, Arch::Armel), None);
    }
    let image::Source::Release { sha256, .. } = release("nomad", "1.8.0") else {
        panic!("the first source is the release")
    };
    assert_eq!(
        sha256.into_keys().collect::<Vec<_>>(),
        [Arch::Amd64, Arch::Arm64, Arch::Armhf]
    );
    // Consul's runs on ARMv5.
    assert!(url(&release("consul", "1.22.0"), "1.22.0", Arch::Armel).is_some());
}

/// A definition with these further sources and pins.
fn with_sources(sources: &str, pins: &str) -> String {
    image(&format!("debian+: {{ sources: {sources}, pins: {pins} }}"))
}

#[test]
fn further_sources_and_pins_are_a_few_lines() {
    let definition = load_text(&with_sources(
        "{ backports: { suites: ['trixie-backports'] } }",
        "[{ packages: ['linux-image-*', 'raspi-firmware'], source: 'backports' }]",
    ))
    .unwrap();
    let backports = &definition.debian.sources["backports"];
    assert!(backports.is_debian() && backports.serves(Arch::Arm64));
    assert_eq!(definition.debian.pins[0].packages, ["linux-image-*", "raspi-firmware"]);
}

#[test]
fn mistakes_in_further_sources_are_told() {
    let key = include_str!("../verify/keys/debian-archive-trixie-stable.asc");
    // A real key: whose does not matter here.
    let vendor = |fields: &str| format!("{{ vendor: {{ {fields}, signed_by: '{key}' }} }}");
    let good = "uris: ['https://vendor.example/debian'], suites: ['trixie'], components: ['main']";
    let pinned = "[{ packages: ['app'], source: 'vendor' }]";
    load_text(&with_sources(&vendor(good), pinned)).unwrap();
    load_text(&with_sources(&vendor("suites: ['./']"), pinned)).unwrap();
    let sources = |sources: &str, expected: &[&str]| {
        let expected = [&["images/x.jsonnet:"], expected].concat();
        refused(&with_sources(sources, "[]"), &expected);
    };
    sources(
        "{ vendor: { suits: ['x'] } }",
        &["unknown key `debian.sources.vendor.suits`", "did you mean `suites`?"],
    );
    sources(
        "{ vendor: { suites: [] } }",
        &["`debian.sources.vendor.suites`: at least one"],
    );
    sources("{ vendor: { suites: ['a b'] } }", &["`a b` is not a suite"]);
    sources(
        "{ vendor: { suites: ['./'] } }",
        &["is not a suite of Debian's", "needs `signed_by`"],
    );
    sources(
        "{ 'Vendor X': { suites: ['x'] } }",
        &["`Vendor X` is not a name for a source"],
    );
    sources(
        "{ debian: { suites: ['x'] } }",
        &["`debian` is not a name for a source"],
    );
    sources(
        "{ more: { suites: ['trixie'] } }",
        &["`trixie` is in `debian.suites` as well"],
    );
    sources(
        "{ vendor: { uris: ['https://vendor.example'], suites: ['x'], components: ['main'] } }",
        &["needs its key", "`signed_by: importstr 'keys/NAME.asc'`"],
    );
    sources(
        "{ vendor: { suites: ['x'], signed_by: 'keys/vendor.asc' } }",
        &["not an OpenPGP public key", "importstr"],
    );
    sources(
        "{ vendor: { suites: ['x'], signed_by: '-----BEGIN PGP PRIVATE KEY BLOCK-----' } }",
        &["`debian.sources.vendor.signed_by` holds a private key"],
    );
    sources(
        &vendor("suites: ['x']"),
        &["`debian.sources.vendor`: it needs `components`"],
    );
    sources(&vendor("suites: ['./'], components: ['main']"), &["a flat repository"]);
    sources(
        &vendor("suites: ['x'], components: ['main'], uris: ['ftp://x']"),
        &["`ftp://x` is not a URL"],
    );
    sources(
        &vendor("suites: ['x'], components: ['main'], uris: ['https://me:word@vendor.example']"),
        &["a definition holds no secrets", "`--apt-source`"],
    );
    refused(
        &with_sources(
            &vendor("suites: ['x'], components: ['main'], architectures: ['mips']"),
            "[]",
        ),
        &[
            "`debian.sources.vendor.architectures[0]`: unknown value `mips`",
            "amd64",
        ],
    );
    let pins = |pins: &str, expected: &[&str]| refused(&with_sources(&vendor(good), pins), expected);
    pins(
        "[{ packages: ['app'], source: 'vendro' }]",
        &["unknown source `vendro` (did you mean `vendor`?)"],
    );
    pins("[{ packages: [], source: 'vendor' }]", &["a pin needs a package"]);
    pins(
        "[{ packages: ['App'], source: 'vendor' }]",
        &["`App` is neither a package name nor a glob"],
    );
    pins("[{ packages: ['app['], source: 'vendor' }]", &["`app[` is not a glob"]);
    pins("[{ package: 'app', source: 'vendor' }]", &["unknown key", "`packages`"]);
    pins(
        "[{ packages: ['app', 'lib*'], source: 'vendor' }, { packages: ['app'], source: 'vendor' }]",
        &["`app` is pinned twice"],
    );
}
