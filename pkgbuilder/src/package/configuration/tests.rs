use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::*;

const KEY: &str = "S/OHRE9Nc4VmdGtJr11vBA==";
const PSK: &str = "b71288ba03c9197d6afda9f1f67f913c12f41fb9e3585da18c11e68099355e62";

fn settings() -> Settings {
    Settings::from_json(&format!(
        r#"{{"ConsulSerfEncrypt": "{KEY}", "NomadSerfEncrypt": "{KEY}", "CoreServers": ["192.168.2.51", "fd00::52"],
            "CoreCidr": "192.168.2.0/24", "WifiSsid": "My LAN", "WifiPsk": "{PSK}", "Datacenter": "attic"}}"#
    ))
    .unwrap()
}

fn everything() -> Vec<&'static Member> {
    MEMBERS.iter().collect()
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn control(deb: &Path, field: &str) -> String {
    said(Command::new("dpkg-deb").arg("--field").arg(deb).arg(field))
        .trim()
        .to_owned()
}

#[test]
fn dpkg_reads_every_package_and_only_their_maker_may() {
    let folder = tempfile::tempdir().unwrap();
    let written = write(&everything(), &settings(), folder.path(), &folder.path().join("data")).unwrap();
    assert_eq!(written.len(), MEMBERS.len());
    let private = folder.path().join(FOLDER);
    assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o700);
    for package in &written {
        assert_eq!(fs::metadata(&package.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(control(&package.path, "Package"), package.name);
        assert_eq!(control(&package.path, "Architecture"), "all");
        assert_eq!(control(&package.path, "Version"), package.version);
        let scripts = tempfile::tempdir().unwrap();
        said(
            Command::new("dpkg-deb")
                .arg("--control")
                .arg(&package.path)
                .arg(scripts.path()),
        );
        for script in ["postinst", "prerm", "postrm"] {
            let path = scripts.path().join(script);
            if path.exists() {
                said(Command::new("sh").arg("-n").arg(&path));
            }
        }
    }
    let server = &written
        .iter()
        .find(|package| package.name == "nomad-config-server")
        .unwrap()
        .path;
    assert_eq!(control(server, "Provides"), "nomad-config");
    assert_eq!(control(server, "Conflicts"), "nomad-config");
    assert_eq!(control(server, "Replaces"), "nomad-config-client");
}

/// Every file of a package that holds a secret is root's alone while it is unpacked, and a conffile.
#[test]
fn a_secret_is_in_files_of_root_and_nowhere_else() {
    let mut holders = Vec::new();
    for member in &MEMBERS {
        let package = member.package(&settings(), 1).unwrap();
        let texts = package.scripts.members().map(|(_, text)| text.to_owned());
        let around: Vec<String> = texts.chain([package.control.to_string()]).collect();
        for entry in &package.entries {
            let one = Package {
                entries: vec![entry.clone()],
                ..package.clone()
            };
            let mut tar = Vec::new();
            data::write_tar(&one.entries, 0, &mut tar).unwrap();
            let holds = [KEY, PSK].iter().any(|secret| {
                assert!(around.iter().all(|text| !text.contains(secret)), "{}", member.name);
                tar.windows(secret.len()).any(|window| window == secret.as_bytes())
            });
            if holds {
                assert_eq!(entry.mode, 0o600, "{}", entry.path);
                assert!(entry.conffile);
                holders.push(entry.path.clone());
            }
        }
    }
    assert_eq!(
        holders,
        [
            "/etc/consul.d/20-local.hcl",
            "/etc/nomad.d/20-local.hcl",
            "/etc/NetworkManager/system-connections/wifi-local.nmconnection",
            "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf",
        ]
    );
}

#[test]
fn the_version_rises_with_what_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let member = named(&["consul-config-server".to_owned()]).unwrap();
    let versions = |settings: &Settings| {
        let written = write(&member, settings, folder.path(), &folder.path().join("data")).unwrap();
        let files: Vec<_> = fs::read_dir(folder.path().join(FOLDER))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files, [written[0].path.clone()], "the older one is gone");
        written[0].version.rsplit_once('-').unwrap().1.to_owned()
    };
    let one = settings();
    let mut two = settings();
    two.servers.pop();
    assert_eq!((versions(&one), versions(&one)), ("1".to_owned(), "1".to_owned()));
    assert_eq!((versions(&two), versions(&two)), ("2".to_owned(), "2".to_owned()));
    assert_eq!(versions(&one), "3");
}

#[test]
fn the_same_settings_make_the_same_bytes() {
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let written = write(&everything(), &settings(), folder.path(), &folder.path().join("data")).unwrap();
        written
            .iter()
            .map(|package| fs::read(&package.path).unwrap())
            .collect::<Vec<_>>()
    };
    assert!(make() == make());
}

/// The version is of what the packages say, not of the folder that they lie in.
#[test]
fn neither_another_folder_nor_an_emptied_one_changes_a_version() {
    let world = tempfile::tempdir().unwrap();
    let data = world.path().join("data");
    let make = |folder: &str, settings: &Settings| {
        let written = write(&everything(), settings, &world.path().join(folder), &data).unwrap();
        let of = written
            .iter()
            .find(|package| package.name == "consul-config-server")
            .unwrap();
        let revision = of.version.rsplit_once('-').unwrap().1.to_owned();
        (revision, fs::read(&of.path).unwrap())
    };
    let one = settings();
    let mut two = settings();
    two.servers.pop();
    let first = make("a", &one);
    assert_eq!(first.0, "1");
    assert!(make("b", &one) == first, "another folder");
    fs::remove_dir_all(world.path().join("a")).unwrap();
    let second = make("a", &two);
    assert_eq!(second.0, "2", "other settings are newer in an emptied folder too");
    assert!(make("b", &two) == second, "and where the first ones lie");
    assert_eq!(make("a", &one).0, "3", "also when they go back");
    // Its maker alone can read what it remembers.
    let kept = data.join("configuration-revisions.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    // Forgotten, what lies in the folder still counts.
    fs::remove_file(&kept).unwrap();
    assert_eq!(make("a", &two).0, "4");
    fs::write(&kept, "{").unwrap();
    let error = write(&everything(), &one, &world.path().join("a"), &data).unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    assert!(error.to_string().contains("is damaged"), "{error}");
}

#[test]
fn what_a_package_needs_is_known_before_it_is_made() {
    let server = Settings::from_json(r#"{"CoreServers": ["10.0.0.1"]}"#).unwrap();
    let of = |name: &str| MEMBERS.iter().find(|member| member.name == name).unwrap();
    let missing = |name: &str, settings: &Settings| of(name).depends_on_missing(settings).map(|member| member.name);
    assert_eq!(missing("consul-config-client", &server), Some("consul-config-local"));
    assert_eq!(missing("consul-config-client", &settings()), None);
    assert_eq!(missing("nomad-config-client", &Settings::default()), None);
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let member = named(&["wifi-local".to_owned()]).unwrap();
    let error = write(
        &member,
        &Settings::default(),
        folder.path(),
        &folder.path().join("data"),
    )
    .unwrap_err();
    assert_eq!(crate::failure::exit_code(&error), 2);
    assert!(
        error.to_string().contains("wifi-local needs WifiSsid and WifiPsk"),
        "{error}"
    );
    assert!(!folder.path().join(FOLDER).exists(), "nothing is begun");
    let error = named(&["consul-config-sever".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("(did you mean `consul-config-server`?)"), "{error}");
}

/// The unit with the package's drop-in, as systemd judges it: at most 2.0 of 10 for what needs no privilege.
#[test]
fn servers_are_sandboxed() {
    let components = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jsonnet/components");
    let folder = tempfile::tempdir().unwrap();
    let unit = |name: &str| {
        let path = folder.path().join(name);
        fs::copy(components.join(name), &path).unwrap();
        path
    };
    let units = [unit("consul.service"), unit("nomad.service")];
    let drop_in = folder.path().join("nomad.service.d");
    fs::create_dir(&drop_in).unwrap();
    fs::write(drop_in.join("10-server.conf"), include_str!("nomad-server.conf")).unwrap();
    for unit in &units {
        said(
            Command::new("systemd-analyze")
                .args(["security", "--no-pager", "--offline=true", "--threshold=20"])
                .arg(unit),
        );
    }
    // The measure can fail: without its drop-in, Nomad has no sandbox.
    fs::remove_dir_all(drop_in).unwrap();
    let bare = Command::new("systemd-analyze")
        .args(["security", "--no-pager", "--offline=true", "--threshold=20"])
        .arg(&units[1])
        .output()
        .unwrap();
    assert!(!bare.status.success());
}
