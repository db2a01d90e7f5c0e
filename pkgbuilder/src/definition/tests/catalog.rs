//! The catalog's components and their versions.

use computatom_spec::arch::Arch;

use super::super::*;
use super::{BOARDS, image, load_text, refused, repository};

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
