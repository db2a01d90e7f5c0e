use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pkgbuilder::reporter::Reporter;
use pkgbuilder::repository;

use crate::server::Server;
use crate::{World, foreign, key, native, run, succeeds};

/// A machine with apt and dpkg, in a folder.
struct Machine {
    root: PathBuf,
}

impl Machine {
    /// One that trusts the repository as its `computatom.sources` says, reached at `address`.
    fn new(world: &World, name: &str, address: Option<&str>) -> Self {
        let root = world.folder.path().join(name);
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg/updates",
            "var/lib/dpkg/info",
            "var/log/apt",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (file, content) in [
            ("status", String::new()),
            ("available", String::new()),
            ("arch", format!("{}\n{}\n", native(), foreign())),
        ] {
            fs::write(root.join("var/lib/dpkg").join(file), content).unwrap();
        }
        let sources = fs::read_to_string(world.packages().join("computatom.sources")).unwrap();
        let lines = sources.lines().map(|line| match (address, line.starts_with("URIs:")) {
            (Some(address), true) => format!("URIs: {address}/\n"),
            _ => format!("{line}\n"),
        });
        let sources: String = lines.collect();
        fs::write(root.join("etc/apt/sources.list.d/computatom.sources"), sources).unwrap();
        let at = root.display();
        let config = format!(
            "Dir \"{at}\"; Dir::State::status \"{at}/var/lib/dpkg/status\"; Dir::Bin::dpkg \"/usr/bin/dpkg\";\n\
             APT::Architectures {{ \"{}\"; \"{}\"; }}; APT::Sandbox::User \"\"; Acquire::Languages \"none\";\n\
             DPkg::Options {{ \"--root={at}\"; \"--force-not-root\"; \"--force-bad-path\"; }}; DPkg::Use-Pty \"false\";\n\
             Acquire::http::Proxy \"DIRECT\"; Debug::NoLocking \"true\";\n",
            native(),
            foreign()
        );
        fs::write(root.join("apt.conf"), config).unwrap();
        Self { root }
    }

    fn apt(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        command
            .env("APT_CONFIG", self.root.join("apt.conf"))
            .env("LC_ALL", "C")
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .args(["-q", "-y", "-o", "APT::Update::Error-Mode=any"])
            .args(arguments);
        command
    }

    /// Reads the repository anew.
    #[track_caller]
    fn updates(&self) -> String {
        succeeds(&mut self.apt(&["update"]))
    }

    /// What apt says when it will not take the repository.
    #[track_caller]
    fn distrusts(&self) -> String {
        let output = run(&mut self.apt(&["update"]));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "apt took it: {said}");
        said
    }

    /// Installs and returns what dpkg has then.
    #[track_caller]
    fn installs(&self, packages: &[&str]) -> String {
        let mut arguments = vec!["install", "--no-install-recommends"];
        arguments.extend(packages);
        succeeds(&mut self.apt(&arguments));
        self.installed()
    }

    fn installed(&self) -> String {
        succeeds(
            Command::new("dpkg-query")
                .arg(format!("--admindir={}", self.root.join("var/lib/dpkg").display()))
                .args([
                    "-W",
                    "-f",
                    "${Package} ${Version} ${Architecture} ${db:Status-Status}\\n",
                ]),
        )
    }
}

#[test]
fn apt_installs_over_file_and_http_for_two_architectures() {
    let world = World::new();
    world.update();
    let server = Server::start(&world.packages());
    for (name, address) in [("by-file", None), ("by-http", Some(server.url()))] {
        for architecture in [native(), foreign()] {
            let machine = Machine::new(&world, &format!("{name}-{architecture}"), address.as_deref());
            machine.updates();
            let installed = machine.installs(&[&format!("hello:{architecture}"), "hello-data"]);
            assert_eq!(
                installed,
                format!("hello 1.0-1 {architecture} installed\nhello-data 1.0-1 all installed\n")
            );
            let file = machine.root.join("usr/share/hello/version");
            assert_eq!(fs::read_to_string(file).unwrap(), "1.0-1\n");
        }
    }
    let seen: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    let of = |part: &str| seen.iter().filter(|path| path.contains(part)).count();
    for architecture in [native(), foreign()] {
        assert!(of(&format!("/binary-{architecture}/by-hash/SHA256/")) > 0, "{seen:?}");
        assert_eq!(of(&format!("/hello_1.0-1_{architecture}.deb")), 1, "{seen:?}");
    }
    assert!(of("/dists/computatom/InRelease") > 0, "{seen:?}");
    assert_eq!(of("/Packages"), 0, "indexes are only asked for by digest: {seen:?}");
}

#[test]
fn apt_sees_each_change() {
    let world = World::new();
    world.update();
    let server = Server::start(&world.packages());
    let machine = Machine::new(&world, "machine", Some(&server.url()));
    machine.updates();
    machine.installs(&["hello"]);
    // A new version that was made before the newest package: its date alone would make the repository older.
    let added = world.add("hello", "1:0.9-1", native(), 1_500_000_000);
    assert!(world.update().changed);
    machine.updates();
    let expected = format!("hello 1:0.9-1 {} installed\n", native());
    assert_eq!(machine.installs(&["hello"]), expected, "and old versions stay");
    // One that goes, and takes the newest date with it.
    fs::remove_file(added).unwrap();
    fs::remove_file(world.packages().join(format!("hello_1.0-1_{}.deb", native()))).unwrap();
    assert!(world.update().changed);
    machine.updates();
    let output = run(&mut machine.apt(&["install", "--reinstall", "--print-uris", "hello"]));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("0.9-1_"), "{said}");
    // An older version by name is there when it is asked for.
    world.add("hello", "1.0-1", native(), 1_700_000_000);
    world.add("hello", "2.0-1", native(), 1_700_000_000);
    assert!(world.update().changed);
    machine.updates();
    let mut older = machine.apt(&["install", "--allow-downgrades", "hello=1.0-1"]);
    succeeds(&mut older);
    assert_eq!(machine.installed(), format!("hello 1.0-1 {} installed\n", native()));
}

/// Changes one byte of a file.
fn tamper(path: &Path, find: &str) {
    let mut content = fs::read(path).unwrap();
    let at = content
        .windows(find.len())
        .position(|window| window == find.as_bytes())
        .unwrap_or_else(|| panic!("{find} is in {}", path.display()));
    content[at] ^= 1;
    fs::write(path, content).unwrap();
}

#[test]
fn apt_refuses_what_was_tampered_with() {
    let world = World::new();
    world.update();
    let file = |name: &str| Machine::new(&world, name, None);
    let in_release = world.suite().join("InRelease");
    let good = fs::read(&in_release).unwrap();

    tamper(&in_release, "Computatom");
    let said = file("text").distrusts();
    assert!(said.contains("BADSIG") || said.contains("is not signed"), "{said}");

    // A key that the machine does not know.
    fs::write(&in_release, &good).unwrap();
    let trusting = file("other-key");
    let other = key(&world.folder.path().join("other.asc"));
    repository::update(&world.packages(), &other, &world.cache, &Reporter::new(true)).unwrap();
    let said = trusting.distrusts();
    assert!(said.contains("NO_PUBKEY") || said.contains("is not signed"), "{said}");
    world.update();

    // Indexes that are not what InRelease says.
    for (path, content) in crate::content_of(&world.suite()) {
        if path.to_string_lossy().contains("Packages") || path.to_string_lossy().contains("by-hash") {
            fs::write(path, [content.as_slice(), b"\n"].concat()).unwrap();
        }
    }
    let said = file("indexes").distrusts();
    assert!(
        said.contains("unexpected size") || said.contains("Hash Sum mismatch"),
        "{said}"
    );
    assert!(world.update().changed, "what is wrong is written again");

    // A package that is not what its index says.
    let machine = file("package");
    machine.updates();
    let deb = world.packages().join(format!("hello_1.0-1_{}.deb", native()));
    tamper(&deb, "data.tar");
    let output = run(&mut machine.apt(&["install", "hello"]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("Hash Sum mismatch"), "{said}");
}
