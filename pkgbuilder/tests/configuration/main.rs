//! Configuration packages through the program: the older tool's command line, bad input, and that a key is in root-only
//! files of the packages and nowhere else.

#![allow(clippy::unwrap_used, reason = "tests")]

/// Consul, Nomad and Prometheus read what is made.
#[cfg(feature = "oracle")]
mod judged;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const KEY: &str = "S/OHRE9Nc4VmdGtJr11vBA==";
const PSK: &str = "correct horse battery staple";

fn settings() -> String {
    format!(
        r#"{{"ConsulSerfEncrypt": "{KEY}", "CoreServers": ["192.168.2.51", "192.168.2.52", "192.168.2.53"],
            "CoreCidr": "192.168.2.0/24", "WifiSsid": "YourSSID", "WifiPsk": "{PSK}"}}"#
    )
}

/// A folder that is home, cache, temporary folder and working folder of the program.
struct World(TempDir);

impl World {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let tmp = self.path().join("tmp");
        fs::create_dir_all(&tmp).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pkgbuilder"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env("HOME", self.path())
            .env("XDG_CACHE_HOME", self.path().join("cache"))
            .env("XDG_DATA_HOME", self.path().join("data"))
            .env("TMPDIR", tmp);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What was said on both streams by a run that must succeed.
    #[track_caller]
    fn succeeds(&self, arguments: &[&str]) -> (String, String) {
        both(self.run(arguments))
    }

    /// What was said by a run that must be refused as wrong input, and leave nothing behind.
    #[track_caller]
    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(!self.path().join("out").exists(), "something was written");
        said
    }
}

#[track_caller]
fn both(output: Output) -> (String, String) {
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
}

#[test]
fn a_key_is_in_root_only_files_of_the_packages_and_nowhere_else() {
    let world = World::new();
    let (made, said) = world.succeeds(&[
        "-arches",
        "all",
        "-packages",
        "consul,nomad,wifi-local",
        "-config",
        &settings(),
    ]);
    assert!(
        said.contains("can be read by every user of this machine in the list of processes"),
        "{said}"
    );
    let mut secret_files = Vec::new();
    for path in files(world.path()) {
        let bytes = fs::read(&path).unwrap();
        for secret in [KEY, PSK] {
            assert!(!holds(&bytes, secret), "{} shows a key", path.display());
            assert!(
                !holds(made.as_bytes(), secret) && !holds(said.as_bytes(), secret),
                "a key was said"
            );
            assert!(!holds(path.to_string_lossy().as_bytes(), secret));
        }
        if path.extension().is_none_or(|extension| extension != "deb") {
            continue;
        }
        // What is inside is compressed: looked at on its own.
        let permissions = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(permissions, 0o600, "{}", path.display());
        let control = run(Command::new("dpkg-deb").arg("--ctrl-tarfile").arg(&path));
        let data = run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&path));
        for secret in [KEY, PSK] {
            assert!(!holds(&control, secret), "{}", path.display());
            for entry in tar::Archive::new(data.as_slice()).entries().unwrap() {
                let mut entry = entry.unwrap();
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
                if holds(&bytes, secret) {
                    let header = entry.header();
                    assert_eq!((header.mode().unwrap() & 0o777, header.uid().unwrap()), (0o600, 0));
                    secret_files.push(entry.path().unwrap().to_string_lossy().into_owned());
                }
            }
        }
    }
    secret_files.sort();
    assert_eq!(
        secret_files,
        [
            "./etc/NetworkManager/system-connections/wifi-local.nmconnection",
            "./etc/consul.d/20-local.hcl",
            "./etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
        ]
    );
    let private = world.path().join("out/packages-private");
    assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(
        !world.path().join("out/packages").exists(),
        "nothing of it is where packages are served from"
    );
}

#[test]
fn settings_come_from_a_file_standard_input_or_the_argument() {
    let names = |world: &World, made: &str| -> Vec<(String, Vec<u8>)> {
        made.lines()
            .map(|path| (path.to_owned(), fs::read(world.path().join(path)).unwrap()))
            .collect()
    };
    let world = World::new();
    let file = world.path().join("cluster.json");
    fs::write(&file, settings()).unwrap();
    let at = format!("@{}", file.display());
    let (made, said) = world.succeeds(&["-arches=all", "-packages=consul", "--config", &at]);
    assert!(!said.contains("list of processes"), "{said}");
    let by_file = names(&world, &made);
    assert_eq!(by_file.len(), 4);

    let world = World::new();
    let mut child = world
        .command(&["-arches=all", "-packages=consul", "-config=-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(settings().as_bytes()).unwrap();
    let (made, said) = both(child.wait_with_output().unwrap());
    assert!(!said.contains("list of processes"), "{said}");
    assert!(names(&world, &made) == by_file);

    let world = World::new();
    let given = format!("-config={}", settings());
    let (made, _) = world.succeeds(&["-arches=all", "-packages=consul", &given]);
    assert!(names(&world, &made) == by_file);

    // The subcommand of our own makes the same.
    let world = World::new();
    let file = world.path().join("cluster.json");
    fs::write(&file, settings()).unwrap();
    let at = format!("@{}", file.display());
    let mut arguments = vec!["configuration", "--config", &at];
    arguments.extend(by_file.iter().map(|(path, _)| {
        let name = path.rsplit('/').next().unwrap();
        name.split('_').next().unwrap()
    }));
    let (made, _) = world.succeeds(&arguments);
    assert!(names(&world, &made) == by_file);
}

/// dpkg knows each package that one of them depends on, or it is not made.
#[test]
fn what_is_made_can_be_installed_from_what_is_made() {
    for (config, count) in [
        (settings(), 7),
        (r#"{"CoreServers": ["10.0.0.1"]}"#.to_owned(), 4),
        ("{}".to_owned(), 3),
    ] {
        let world = World::new();
        let (made, _) = world.succeeds(&["-arches", "all", "-packages", "consul,nomad", "-config", &config]);
        let fields = |deb: &str, field: &str| {
            let path = world.path().join(deb);
            String::from_utf8(run(Command::new("dpkg-deb").arg("--field").arg(path).arg(field))).unwrap()
        };
        let names: Vec<String> = made
            .lines()
            .map(|deb| fields(deb, "Package").trim().to_owned())
            .collect();
        assert_eq!(names.len(), count, "{names:?}");
        for deb in made.lines() {
            for needed in fields(deb, "Depends").split(',').map(str::trim) {
                let ours = needed.contains("-config-");
                assert!(
                    !ours || names.iter().any(|name| name == needed),
                    "{deb} depends on {needed}"
                );
            }
        }
    }
}

#[test]
fn bad_input_is_told_in_one_sentence_without_the_values() {
    let world = World::new();
    let compatible = |config: &str| world.refuses(&["-arches", "all", "-packages", "consul", "-config", config]);
    let said = compatible("{\n  \"ConsulSerfEncrypt\": \"opensesame\",\n  \"CoreServers\": [\"a\",],\n}");
    assert!(said.contains("-config is not JSON: line 3 column 23"), "{said}");
    assert!(!said.contains("opensesame"), "{said}");
    let said = compatible(r#"{"ConsulSerfEncrypt": "b3BlbnNlc2FtZQ=="}"#);
    assert!(
        said.contains("base64 of 10 bytes") && !said.contains("b3Blbn"),
        "{said}"
    );
    let said = compatible(r#"{"CoreServer": []}"#);
    assert!(
        said.contains("unknown key `CoreServer` (did you mean `CoreServers`?)"),
        "{said}"
    );
    let said = compatible(r#"{"CoreCidr": "192.168.2.0/42"}"#);
    assert!(said.contains("`CoreCidr`") && said.contains("at most 32"), "{said}");
    let said = compatible("@/no/such/file");
    assert!(
        said.contains("cannot read the settings in /no/such/file: No such file"),
        "{said}"
    );
    let said = compatible("@");
    assert!(said.contains("no name follows it: write `-config @FILE`"), "{said}");
    let said = compatible("cluster.json");
    assert!(
        said.contains("is not JSON") && said.contains("write `@` before it"),
        "{said}"
    );
    assert!(!said.contains("cluster.json"), "{said}");
    let said = compatible("@.");
    assert!(said.contains("cannot read the settings in .: Is a directory"), "{said}");
    let said = world.refuses(&["-arches", "arm46", "-packages", "consul"]);
    assert!(
        said.contains("unknown architecture `arm46` (did you mean `arm64`?)"),
        "{said}"
    );
    let said = world.refuses(&["-arches", "all", "-packages", "consul-config-clint"]);
    assert!(
        said.contains("unknown package `consul-config-clint` (did you mean `consul-config-client`?)"),
        "{said}"
    );
    let said = world.refuses(&["-arches", "all", "-packages", "wifi-local", "-config", "{}"]);
    assert!(said.contains("wifi-local needs WifiSsid and WifiPsk"), "{said}");
    let said = world.refuses(&["configuration", "--config", "@/no/such/file"]);
    assert!(said.contains("cannot read the settings"), "{said}");
    let said = world.refuses(&["configuration", "wifi-loca"]);
    assert!(
        said.contains("no configuration package `wifi-loca` (did you mean `wifi-local`?)"),
        "{said}"
    );
    for (arches, packages) in [
        ("all,arm64", "consul-config-static-hostid,nomad,consul"),
        ("arm64", "nomad"),
        ("arm64", "node_exporter"),
    ] {
        let said = world.refuses(&["-arches", arches, "-packages", packages]);
        assert!(said.contains("lies in no Computatom checkout"), "{said}");
    }
    let said = world.refuses(&["configuration", "--site", "nowhere.jsonnet"]);
    assert!(said.contains("there is no site file nowhere.jsonnet"), "{said}");
}

#[test]
fn the_cache_is_listed_and_pruned_only_where_locks_can_be_kept() {
    let world = World::new();
    let (made, _) = world.succeeds(&["cache", "list", "--json"]);
    assert_eq!(made.trim(), "[]");
    let said = world.refuses(&["cache", "prune", "--older-than", "30d"]);
    assert!(
        said.contains("run this in the checkout whose locks are to be kept"),
        "{said}"
    );
    let said = world.refuses(&["cache", "prune", "--keep-size", "ten"]);
    assert!(said.contains("`ten` is not a size such as 500M"), "{said}");
}

/// Pruning waits for a build, and says so; a build's cache is its own meanwhile.
#[test]
fn pruning_waits_for_who_uses_the_cache() {
    let world = World::new();
    for folder in ["jsonnet", "images"] {
        fs::create_dir(world.path().join(folder)).unwrap();
    }
    fs::write(world.path().join("jsonnet/computatom.libsonnet"), "{}").unwrap();
    let cache = pkgbuilder::fetch::Cache::at(&world.path().join("cache/computatom")).unwrap();
    let (sha256, _) = cache.put(b"content").unwrap();
    let mut prune = world
        .command(&["cache", "prune", "--keep-size", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 128];
    let stderr = prune.stderr.as_mut().unwrap();
    let count = std::io::Read::read(stderr, &mut said).unwrap();
    assert!(String::from_utf8_lossy(&said[..count]).contains("another pkgbuilder is at work"));
    assert!(prune.try_wait().unwrap().is_none());
    assert!(cache.get(&sha256).is_some());
    let object = cache.object(&sha256);
    drop(cache);
    assert!(prune.wait().unwrap().success());
    assert!(!object.exists());
}

/// Whatever it finds on this machine, it says what mends it, and its exit code is what it found.
#[test]
fn doctor_says_what_is_missing_and_what_mends_it() {
    let world = World::new();
    let mut command = world.command(&["doctor", "--json"]);
    // A machine with no program at all, and a mirror that is not there.
    command.env("PATH", world.path()).env(
        "COMPUTATOM_MIRROR",
        format!("file://{}/nowhere", world.path().display()),
    );
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("things are missing that a build cannot do without"),
        "{said}"
    );
    let findings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let of = |name: &str| findings.iter().find(|finding| finding["name"] == name).unwrap();
    assert_eq!(of("cargo")["verdict"], "bad");
    assert!(of("cargo")["mend"].as_str().unwrap().contains("rustup.rs"));
    assert_eq!(of("go")["verdict"], "lacking");
    assert_eq!(of("debian mirror")["verdict"], "bad");
    assert!(
        of("aarch64-linux-gnu-gcc")["mend"]
            .as_str()
            .unwrap()
            .starts_with("apt-get install gcc-aarch64")
    );
    assert!(of("room in the cache")["found"].as_str().unwrap().contains(" free in "));

    let mut command = world.command(&["doctor"]);
    command.env("PATH", world.path());
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(text.contains("BAD   cc "), "{text}");
    assert!(
        text.contains("\nto mend:\n  sudo apt-get install --no-install-recommends gcc libc6-dev "),
        "{text}"
    );
}
