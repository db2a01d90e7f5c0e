use std::process::Command;

use computatom_spec::site::Site;

use super::pins::pin_components;
use super::*;
use crate::definition::image::{Content, ContentType, Copyright, Debian, Partitions, Recipe, Target, Units};
use crate::definition::recipe::{FileInfo, Mode};
use crate::fetch::{Cache, Limits};
use crate::reporter::Reporter;

/// A folder, a cache in it, and a release "host" in it, reached by `file:`.
struct Fixture {
    folder: tempfile::TempDir,
    fetcher: Fetcher,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("cache")).unwrap();
        let limits = Limits {
            retries: 0,
            ..Limits::default()
        };
        let fetcher = Fetcher::with_limits(cache, Reporter::new(true), limits).unwrap();
        Self { folder, fetcher }
    }

    fn options(&self) -> Options {
        Options {
            root: self.folder.path().to_owned(),
            output: Some(self.folder.path().join("packages")),
            only: BTreeMap::new(),
            locked: false,
        }
    }

    fn resolve(&self, component: Component, options: &Options) -> Result<Components> {
        resolve_components(&self.fetcher, &image(component), Arch::Arm64, None, options)
    }

    /// Publishes a release; returns its source.
    fn release(&self, content: &str) -> Source {
        let path = self.folder.path().join("tool_1.0_linux_arm64.tar.gz");
        let gz = flate2::write::GzEncoder::new(fs::File::create(&path).unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(gz);
        for (name, content) in [("tool", content), ("LICENSE", "Do what you want.\n\nReally.\n")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mtime(1_700_000_000);
            header.set_mode(0o755);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        let digest = Sha256::of_file(&path).unwrap().hex();
        source(
            &format!(
                "file://{}/tool_{{version}}_linux_{{arch}}.tar.gz",
                self.folder.path().display()
            ),
            &digest,
        )
    }
}

fn source(url: &str, digest: &str) -> Source {
    Source::Release {
        url: url.to_owned(),
        arch_names: "hashicorp".to_owned(),
        architectures: None,
        sha256: [(Arch::Arm64, digest.to_owned())].into(),
        sums: None,
    }
}

fn text(dst: &str, text: &str, kind: ContentType) -> Content {
    Content {
        text: Some(text.to_owned()),
        dst: dst.to_owned(),
        kind,
        ..Content::default()
    }
}

fn component(sources: Vec<Source>) -> Component {
    let binary = Content {
        src: Some("tool".to_owned()),
        text: None,
        file_info: FileInfo {
            mode: Some(Mode(0o755)),
            ..FileInfo::default()
        },
        ..text("/usr/bin/tool", "", ContentType::File)
    };
    Component {
        name: "tool".to_owned(),
        version: "1.0".to_owned(),
        range: None,
        minimum: None,
        refused: BTreeMap::new(),
        license: "Apache-2.0".to_owned(),
        homepage: "https://example.org/".to_owned(),
        summary: "does things".to_owned(),
        description: "It does things.\n\nSometimes.".to_owned(),
        sources,
        dropped: Vec::new(),
        recipe: Some(Recipe {
            maintainer: "A Person <a@example.org>".to_owned(),
            copyright: Some(Copyright {
                holder: "2025 A Person".to_owned(),
                files: vec!["LICENSE.txt".to_owned(), "LICENSE".to_owned()],
            }),
            revision: Some(1),
            section: "admin".to_owned(),
            contents: vec![
                binary,
                text("/etc/tool.conf", "x = 1\n", ContentType::Config),
                text(
                    "/usr/lib/sysusers.d/tool.conf",
                    "u tool - \"Tool\"\n",
                    ContentType::File,
                ),
                text(
                    "/usr/lib/systemd/system/tool.service",
                    "[Service]\nExecStart=/usr/bin/tool\n",
                    ContentType::File,
                ),
                Content {
                    src: Some("tool".to_owned()),
                    text: None,
                    ..text("/usr/bin/tool-link", "", ContentType::Symlink)
                },
            ],
            services: vec!["tool.service".to_owned()],
            ..Recipe::default()
        }),
    }
}

fn image(component: Component) -> Image {
    Image {
        name: "x".to_owned(),
        description: String::new(),
        targets: vec![Target {
            name: "raspberrypi-arm64".to_owned(),
            arch: Arch::Arm64,
            packages: vec![],
            formats: Vec::new(),
        }],
        roles: vec![],
        debian: Debian {
            suites: vec![],
            components: vec![],
            packages: vec![],
            prefer: vec![],
            avoid: vec![],
            recommends: false,
            sources: BTreeMap::new(),
            pins: Vec::new(),
        },
        components: vec![component],
        exclude: vec![],
        files: vec![],
        units: Units::default(),
        partitions: Partitions {
            bootsel_mib: 4,
            boot_mib: 64,
            root_mib: 64,
        },
        disk_gib: 16,
        cmdline: vec![],
        site: Site::default(),
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn dpkg_deb_reads_the_package_and_its_sums_are_right() {
    let fixture = Fixture::new();
    let found = fixture
        .resolve(component(vec![fixture.release("#!/bin/sh\n")]), &fixture.options())
        .unwrap();
    let deb = &found.debs[0];
    let published = fixture.folder.path().join("packages/tool_1.0-1_arm64.deb");
    assert_eq!(Sha256::of_file(&published).unwrap(), deb.sha256);

    let fields = output(Command::new("dpkg-deb").arg("-f").arg(&published));
    assert_eq!(fields, deb.control, "our stanza is dpkg's");
    assert!(
        fields.contains("Depends: systemd | systemd-standalone-sysusers | systemd-sysusers\n"),
        "{fields}"
    );
    let listing = output(Command::new("dpkg-deb").env("TZ", "UTC").arg("-c").arg(&published));
    for line in [
        "drwxr-xr-x root/root         0 2023-11-14 22:13 ./\n",
        "-rwxr-xr-x root/root        10 2023-11-14 22:13 ./usr/bin/tool\n",
        "lrwxrwxrwx root/root         0 2023-11-14 22:13 ./usr/bin/tool-link -> tool\n",
    ] {
        assert!(listing.contains(line), "{listing}");
    }
    let root = fixture.folder.path().join("root");
    output(Command::new("dpkg-deb").arg("-R").arg(&published).arg(&root));
    assert_eq!(
        fs::read_to_string(root.join("DEBIAN/conffiles")).unwrap(),
        "/etc/tool.conf\n"
    );
    output(
        Command::new("md5sum")
            .args(["--check", "--quiet", "DEBIAN/md5sums"])
            .current_dir(&root),
    );
    let copyright = fs::read_to_string(root.join("usr/share/doc/tool/copyright")).unwrap();
    assert!(
        copyright.ends_with("License: Apache-2.0\n Do what you want.\n .\n Really.\n"),
        "{copyright}"
    );
}

#[test]
fn two_builds_are_identical_and_the_second_needs_no_source() {
    let (first, second) = (Fixture::new(), Fixture::new());
    let digest = |fixture: &Fixture| {
        let release = fixture.release("#!/bin/sh\nexit 0\n");
        // The origin names the URL, so both must have the same one to be the same.
        let Source::Release { sha256, .. } = release else {
            unreachable!()
        };
        let link = fixture.folder.path().join("tool_1.0_linux_arm64.tar.gz");
        let shared = std::env::temp_dir().join(format!("computatom-test-{}", std::process::id()));
        fs::create_dir_all(&shared).unwrap();
        fs::copy(&link, shared.join("tool_1.0_linux_arm64.tar.gz")).unwrap();
        let source = source(
            &format!("file://{}/tool_1.0_linux_arm64.tar.gz", shared.display()),
            &sha256[&Arch::Arm64],
        );
        let found = fixture
            .resolve(component(vec![source.clone()]), &fixture.options())
            .unwrap();
        fs::remove_dir_all(&shared).unwrap();
        let again = fixture.resolve(component(vec![source]), &fixture.options()).unwrap();
        assert_eq!(
            found.debs[0].sha256, again.debs[0].sha256,
            "from the cache, its source being gone"
        );
        found.debs[0].sha256
    };
    assert_eq!(digest(&first), digest(&second));
}

#[test]
fn a_source_out_of_reach_falls_through_unless_forbidden() {
    let fixture = Fixture::new();
    let gone = source("file:///nonexistent/x.zip", &"0".repeat(64));
    let debian = Source::Debian {
        package: "tool".to_owned(),
    };
    let found = fixture
        .resolve(component(vec![gone.clone(), debian.clone()]), &fixture.options())
        .unwrap();
    assert_eq!(found.debian, ["tool"]);
    assert_eq!(fixture.fetcher.reporter().warnings(), 1);

    let mut options = fixture.options();
    options.only.insert("tool".to_owned(), "release".to_owned());
    let error = fixture.resolve(component(vec![gone, debian]), &options).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 1);
    assert!(
        format!("{error:#}").contains("tool 1.0 for arm64 cannot be had now"),
        "{error:#}"
    );
}

#[test]
fn wrong_bytes_stop_the_build_although_there_is_another_source() {
    let fixture = Fixture::new();
    let Source::Release { url, .. } = fixture.release("x") else {
        unreachable!()
    };
    let wrong = source(&url, &"0".repeat(64));
    let debian = Source::Debian {
        package: "tool".to_owned(),
    };
    let error = fixture
        .resolve(component(vec![wrong, debian]), &fixture.options())
        .unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
    assert!(!fixture.folder.path().join("packages").exists());
}

#[test]
fn what_no_source_has_does_not_exist() {
    let fixture = Fixture::new();
    let Source::Release { url, arch_names, .. } = fixture.release("x") else {
        unreachable!()
    };
    let sha256 = [(Arch::Amd64, "0".repeat(64))].into();
    let other = Source::Release {
        url,
        arch_names,
        architectures: None,
        sha256,
        sums: None,
    };
    let error = fixture.resolve(component(vec![other]), &fixture.options()).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    let text = format!("{error:#}");
    assert!(
        text.contains("tool 1.0 for arm64 does not exist in any source; name another version"),
        "{text}"
    );
}

#[test]
fn choices_must_exist() {
    let fixture = Fixture::new();
    let component = component(vec![fixture.release("x")]);
    let refused = |name: &str, source: &str| {
        let mut options = fixture.options();
        options.only.insert(name.to_owned(), source.to_owned());
        let error = fixture.resolve(component.clone(), &options).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        error.to_string()
    };
    assert!(refused("tol", "release").contains("did you mean `tool`?"));
    assert!(refused("tool", "debian").contains("it has release"));
}

#[test]
fn a_locked_build_takes_only_what_the_lock_says() {
    let fixture = Fixture::new();
    let component = component(vec![fixture.release("x")]);
    let mut options = fixture.options();
    options.locked = true;
    let error = fixture.resolve(component.clone(), &options).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    assert!(error.to_string().contains("run `pkgbuilder lock`"), "{error}");

    options.locked = false;
    let found = fixture.resolve(component.clone(), &options).unwrap();
    let mut lock = Lock::new("x");
    lock.components = found.locked;
    options.locked = true;
    let image = image(component);
    let again = resolve_components(&fixture.fetcher, &image, Arch::Arm64, Some(&lock), &options).unwrap();
    assert_eq!(again.debs[0].sha256, found.debs[0].sha256);

    let mut newer = image;
    newer.components[0].version = "1.1".to_owned();
    let error = resolve_components(&fixture.fetcher, &newer, Arch::Arm64, Some(&lock), &options).unwrap_err();
    assert!(
        error.to_string().contains("asks for tool 1.1, the lock says 1.0"),
        "{error}"
    );
}

#[test]
fn a_missing_file_of_the_checkout_names_the_next_step() {
    let fixture = Fixture::new();
    let mut agent = component(vec![Source::File {
        path: "out/packages/tool_{version}_{arch}.deb".to_owned(),
        sha256: BTreeMap::new(),
        relations: None,
    }]);
    agent.version = "*".to_owned();
    let error = fixture.resolve(agent.clone(), &fixture.options()).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    assert!(error.to_string().contains("scripts/build makes it"), "{error}");

    let made = fixture
        .resolve(component(vec![fixture.release("x")]), &fixture.options())
        .unwrap();
    let folder = fixture.folder.path().join("out/packages");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&made.debs[0].path, folder.join("tool_1.0-1_arm64.deb")).unwrap();
    let found = fixture.resolve(agent, &fixture.options()).unwrap();
    assert_eq!(found.debs[0].sha256, made.debs[0].sha256);
    assert_eq!(found.debs[0].record.origin, "out/packages/tool_1.0-1_arm64.deb");
    assert!(found.locked.is_empty());
}

#[test]
fn pinning_fetches_and_builds_nothing_and_asks_the_solver_what_a_build_asks() {
    let fixture = Fixture::new();
    let component = component(vec![fixture.release("#!/bin/sh\n")]);
    let image = image(component.clone());
    let pins = pin_components(&fixture.fetcher, &image, Arch::Arm64, None, &fixture.options()).unwrap();
    let objects = fixture.fetcher.cache().root().join("objects/sha256");
    assert_eq!(fs::read_dir(objects).unwrap().count(), 0, "something was fetched");
    assert!(!fixture.folder.path().join("packages").exists());

    let built = fixture.resolve(component, &fixture.options()).unwrap();
    assert_eq!(pins.stanzas, built.stanzas);
    assert_eq!(pins.locked, built.locked);
    assert!(pins.stanzas[0].contains("Depends: systemd | systemd-standalone-sysusers | systemd-sysusers\n"));
}

#[test]
fn what_is_pinned_nowhere_cannot_be_locked() {
    let fixture = Fixture::new();
    let image = image(component(vec![fixture.release("x")]));
    let error = pin_components(&fixture.fetcher, &image, Arch::Armel, None, &fixture.options()).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    let text = error.to_string();
    assert!(
        text.contains("tool 1.0 for armel does not exist in any source"),
        "{text}"
    );
    assert!(
        text.contains("release: no archive of 1.0 for armel is pinned"),
        "{text}"
    );
}

#[test]
fn what_a_program_needs_from_the_c_library_is_not_asked_of_the_solver() {
    let component = component(vec![]);
    let recipe = component.recipe.as_ref().unwrap();
    let host = Arch::host().unwrap();
    let files = [
        ("tool".to_owned(), fs::read("/bin/true").unwrap().into()),
        ("LICENSE".to_owned(), b"free".to_vec().into()),
    ];
    let payload = recipe::Payload {
        files: files.into(),
        origin: "here".to_owned(),
        epoch: 1,
    };
    let package = recipe::package(&component, recipe, host, &payload).unwrap();
    let declared = recipe::declared(&component, recipe, host);
    let (library, others): (Vec<_>, Vec<_>) = package
        .control
        .depends
        .into_iter()
        .partition(|r| r.starts_with("libc6 ("));
    assert_eq!(library.len(), 1);
    assert_eq!(others, declared.depends);
    assert_eq!(package.control.recommends, declared.recommends);
}
