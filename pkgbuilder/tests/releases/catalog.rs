//! Vault and Terraform, whose one good source is the publisher's archive, out of the real catalog: the host is ours, and so
//! is the key that the checkout's catalog trusts.

use std::fs;
use std::process::Command;

use crate::assert_says;
use crate::server::releases::Publisher;
use crate::world::World;

const HASHICORP: &str = "C874011F0AB405110D02105534365D9472D7468F";

struct Catalog {
    world: World,
    publisher: Publisher,
    /// The catalog's versions of both.
    versions: [(&'static str, String); 2],
}

impl Catalog {
    fn new() -> Self {
        let world = World::new();
        let publisher = Publisher::new(&world.served());
        let versions = ["vault", "terraform"].map(|product| {
            let path = world.checkout().join(format!("jsonnet/components/{product}.libsonnet"));
            let text = fs::read_to_string(path).unwrap();
            let version = text.lines().find_map(|line| line.trim().strip_prefix("version: '"));
            let version = version.unwrap().trim_end_matches("',").to_owned();
            publisher.hashicorp(product, &version, &["386", "amd64", "arm", "arm64"]);
            (product, version)
        });
        Self {
            world,
            publisher,
            versions,
        }
    }

    /// Has the catalog of the checkout trust our publisher in HashiCorp's place.
    fn trust(&self) {
        let path = self.world.checkout().join("jsonnet/hashicorp.libsonnet");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(HASHICORP));
        fs::write(&path, text.replace(HASHICORP, &self.publisher.key)).unwrap();
        self.publisher.gpg.trust(&self.publisher.key, &self.world.checkout());
    }

    fn packages(&self, product: &str) -> Command {
        let mut command = self.world.pkgbuilder();
        let host = format!("releases.hashicorp.com={}/hashicorp", self.world.server.url());
        command.args(["packages", "--component", product, "--arch", "amd64", "--arch", "armhf"]);
        command.args(["--release-host", &host]);
        command
    }
}

/// The fields of a package, as dpkg-deb reads them.
fn field(catalog: &Catalog, file: &str, name: &str) -> String {
    let path = catalog.world.checkout().join("out/packages").join(file);
    let output = Command::new("dpkg-deb").arg("-f").arg(path).arg(name).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_signed_list_pins_what_the_catalog_does_not() {
    let catalog = Catalog::new();
    catalog.trust();
    for (product, version) in &catalog.versions {
        let said = catalog.world.succeeds(catalog.packages(product));
        assert_says(
            &said,
            &[&format!(
                "{product}_{version}_SHA256SUMS of {product} {version}: signed by"
            )],
        );
        for arch in ["amd64", "armhf"] {
            let file = format!("{product}_{version}-1_{arch}.deb");
            assert_eq!(field(&catalog, &file, "Package"), *product);
            assert_eq!(field(&catalog, &file, "Architecture"), arch);
        }
        // What is here already is not made again: nobody is asked.
        catalog.world.server.seen();
        catalog.world.succeeds(catalog.packages(product));
        assert_eq!(catalog.world.server.seen(), []);
    }
}

#[test]
fn the_catalog_trusts_hashicorp_only() {
    let catalog = Catalog::new();
    let said = catalog.world.refuses(catalog.packages("vault"), 2);
    assert_says(
        &said,
        &[&format!(
            "is by {}, not by the trusted key {HASHICORP}",
            catalog.publisher.key
        )],
    );
}

#[test]
fn without_the_release_host_the_way_out_is_named() {
    let catalog = Catalog::new();
    let mut command = catalog.packages("vault");
    command.args(["--release-host", "releases.hashicorp.com=http://127.0.0.1:9"]);
    let said = catalog.world.refuses(command, 1);
    assert_says(&said, &["vault", "for amd64 cannot be had now", "release: "]);
}
