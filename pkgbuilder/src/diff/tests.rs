use computatom_spec::manifest::FileRecord;
use serde_json::json;

use super::*;
use crate::assemble::testing;

fn subject() -> Subject {
    let image = testing::image();
    let mut manifest = testing::manifest(&image);
    let file = |package: &str, size: u64| FileRecord {
        digest: format!("sha256:{size}"),
        size,
        package: package.to_owned(),
        ..FileRecord::default()
    };
    manifest.files = BTreeMap::from([
        ("/usr/bin/nomad".to_owned(), file("nomad", 5000)),
        ("/usr/lib/libc.so.6".to_owned(), file("libc6", 2000)),
        ("/etc/made".to_owned(), file("", 10)),
    ]);
    let boot = BTreeMap::from([("cmdline.txt".to_owned(), file("", 80))]);
    manifest.volumes = BTreeMap::from([("BOOT_A".to_owned(), boot)]);
    Subject {
        name: "a.img".to_owned(),
        manifest,
        compressed: None,
    }
}

#[test]
fn an_image_is_the_same_as_itself() {
    let one = subject();
    let difference = compare(&one, &one);
    assert!(difference.same, "{difference:?}");
    assert!(difference.table(false).ends_with("\nno difference\n"));
}

#[test]
fn versions_files_settings_and_sizes_are_told() {
    let before = subject();
    let mut after = subject();
    after.name = "b.img".to_owned();
    let manifest = &mut after.manifest;
    manifest.packages[1].version = "1.10.10-1".to_owned();
    manifest.packages[0].version = "2:2.40-1".to_owned();
    let mut added = manifest.packages[0].clone();
    added.name = "docker.io".to_owned();
    manifest.packages.push(added);
    manifest.files.get_mut("/usr/bin/nomad").unwrap().digest = "sha256:new".to_owned();
    manifest.files.get_mut("/usr/bin/nomad").unwrap().size = 7048;
    manifest.files.get_mut("/usr/lib/libc.so.6").unwrap().mode = "755".to_owned();
    manifest.files.remove("/etc/made");
    manifest
        .volumes
        .get_mut("BOOT_A")
        .unwrap()
        .get_mut("cmdline.txt")
        .unwrap()
        .digest = "sha256:x".to_owned();
    manifest.definition["site"]["timezone"] = json!("Europe/Berlin");
    manifest.definition["partitions"]["root_mib"] = json!(99);

    let difference = compare(&before, &after);
    assert!(!difference.same);
    let kinds: Vec<(&str, Kind, i64)> = difference
        .packages
        .iter()
        .map(|package| (package.name.as_str(), package.kind, package.growth))
        .collect();
    assert_eq!(
        kinds,
        [
            ("docker.io", Kind::Added, 0),
            ("libc6", Kind::Downgraded, 0),
            ("nomad", Kind::Upgraded, 2048)
        ]
    );
    let files: Vec<(&str, Kind, String)> = difference
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.kind, file.what.join(" ")))
        .collect();
    assert_eq!(
        files,
        [
            ("/etc/made", Kind::Removed, String::new()),
            ("/usr/bin/nomad", Kind::Changed, "content".to_owned()),
            ("/usr/lib/libc.so.6", Kind::Changed, "mode".to_owned()),
            ("BOOT_A:/cmdline.txt", Kind::Changed, "content".to_owned()),
        ]
    );
    assert_eq!(difference.definition[0].place, "partitions.root_mib");
    assert_eq!(difference.site[0].place, "site.timezone");
    let table = difference.table(false);
    for line in [
        "compared    a.img  ->  b.img",
        "packages    2  ->  3",
        "  ~ partitions.root_mib: 16  ->  99",
        "  ~ site.timezone: Etc/UTC  ->  Europe/Berlin",
        "packages: 1 added, 1 upgraded, 1 downgraded",
        "  ^ nomad      1.10.5-1  ->  1.10.10-1  (+2.0 KiB)",
        "files: 1 removed, 3 changed",
        "    ~ /usr/bin/nomad  4.9 KiB  ->  6.9 KiB  (content)",
        "  BOOT_A",
    ] {
        assert!(table.lines().any(|found| found == line), "{line}\n{table}");
    }
    let json = serde_json::to_value(&difference).unwrap();
    assert_eq!(json["packages"][2]["kind"], "upgraded");
    assert_eq!(json["same"], false);
}

#[test]
fn the_same_version_made_of_something_else_is_told() {
    let before = subject();
    let mut after = subject();
    after.manifest.packages[1].digest = "sha256:other".to_owned();
    after.manifest.packages[1].source = "release".to_owned();
    let difference = compare(&before, &after);
    assert_eq!(difference.packages[0].kind, Kind::Changed);
    let also: Vec<&str> = difference.packages[0]
        .also
        .iter()
        .map(|change| change.place.as_str())
        .collect();
    assert_eq!(also, ["source", "digest"]);
}

#[test]
fn many_files_of_a_package_are_counted_unless_all_are_wanted() {
    let before = subject();
    let mut after = subject();
    for number in 0..9 {
        after
            .manifest
            .files
            .insert(format!("/usr/share/{number}"), FileRecord::default());
    }
    let difference = compare(&before, &after);
    let table = difference.table(false);
    assert!(table.contains("      and 4 more (`--files` names them)\n"), "{table}");
    assert!(!difference.table(true).contains(" more "));
}
