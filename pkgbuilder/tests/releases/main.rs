//! Release archives through the real binary, from a publisher on loopback whose keys are thrown away: found, verified,
//! packaged, updated; and what every lie of the server comes to.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../server/mod.rs"]
mod server;

#[path = "../world/mod.rs"]
mod world;

/// Signatures, with gpgv as the judge.
mod signatures;

/// Archives that come as they should.
mod archives;

/// Components of the real catalog.
mod catalog;

/// Servers that lie.
mod lies;

/// Newer versions, stale locks.
mod updates;

/// What is pinned against what is published.
mod pins;

/// Proxies and TLS.
mod proxies;

use std::process::Command;

use self::server::releases::Publisher;
use self::world::{World, assert_says};

/// A world with a publisher, whose definition has the component `hello` in version 1.2.0 for arm64, as HashiCorp
/// publishes.
struct Release {
    world: World,
    publisher: Publisher,
}

impl Release {
    fn new() -> Self {
        let world = World::new();
        let publisher = Publisher::new(&world.served());
        publisher.hashicorp("hello", "1.2.0", &["amd64", "arm64"]);
        publisher.gpg.trust(&publisher.key, &world.checkout());
        let release = Self { world, publisher };
        release.define("");
        release
    }

    /// Defines `hello` with `fields` over the usual ones.
    fn define(&self, fields: &str) {
        let digest = self.publisher.digest("hello", "1.2.0", "arm64");
        let key = &self.publisher.key;
        let component = format!(
            "{{ hello: {{
              local component = self,
              version: '1.2.0',
              license: 'MIT',
              homepage: 'https://hello.example/',
              summary: 'says hello',
              description: 'Says it.\\n',
              sources: [{{
                type: 'release',
                url: 'https://releases.hashicorp.com/hello/{{version}}/hello_{{version}}_linux_{{arch}}.zip',
                arch_names: 'hashicorp',
                sums: {{
                  type: 'hashicorp',
                  url: 'https://releases.hashicorp.com/hello/{{version}}/hello_{{version}}_SHA256SUMS',
                  key: '{key}',
                }},
                sha256: std.get({{ '1.2.0': {{ arm64: '{digest}' }} }}, component.version, {{}}),
              }}],
              recipe: {{
                maintainer: 'Test <test@example.invalid>', revision: 1, section: 'misc',
                copyright: {{ holder: 'Test', files: ['LICENSE.txt'] }},
                contents: [{{ src: 'hello', dst: '/usr/bin/hello', file_info: {{ mode: '0755' }} }}],
                depends: [], recommends: [], services: [], lintian_overrides: [],
              }},
            }} + {{ {fields} }} }}"
        );
        self.world.define(&[("components", &component)]);
    }

    /// A subcommand for the definition; release hosts are our server.
    fn command(&self, subcommand: &str, arguments: &[&str]) -> Command {
        let mut command = self.world.command(subcommand, arguments);
        let here = self.world.server.url();
        // A machine under load is no stalled server.
        command.env("COMPUTATOM_STALL_SECONDS", "10");
        command.env(
            "COMPUTATOM_RELEASE_MIRROR",
            format!("releases.hashicorp.com={here}/hashicorp github.com={here}/github,api.github.com={here}/api"),
        );
        command
    }

    /// `packages` with these arguments.
    fn packages(&self, arguments: &[&str]) -> Command {
        self.command("packages", arguments)
    }

    /// What the program refuses `packages` with; then the honest server is believed at once.
    #[track_caller]
    fn refuses(&self, code: i32) -> String {
        let said = self.world.refuses(self.packages(&[]), code);
        self.world.server.heal();
        self.assert_succeeds();
        said
    }

    /// Packages, and the package is there.
    #[track_caller]
    fn assert_succeeds(&self) {
        let said = self.world.succeeds(self.packages(&[]));
        let made = self.world.checkout().join("out/packages/hello_1.2.0-1_arm64.deb");
        assert!(made.is_file(), "{said}");
    }

    /// Paths below the release host that were asked for.
    fn seen(&self) -> Vec<String> {
        let seen = self.world.server.seen();
        seen.into_iter().map(|seen| seen.path).collect()
    }
}
