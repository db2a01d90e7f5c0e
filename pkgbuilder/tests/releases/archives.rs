use std::fs;
use std::process::Command;

use crate::server::Fault;
use crate::{Release, assert_says};

const ARCHIVE: &str = "/hashicorp/hello/1.2.0/hello_1.2.0_linux_arm64.zip";
const LIST: &str = "/hashicorp/hello/1.2.0/hello_1.2.0_SHA256SUMS";

#[test]
fn an_archive_is_verified_packaged_and_recorded() {
    let release = Release::new();
    let output = release.packages(&["--json"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let key = &release.publisher.key;
    assert_says(
        &said,
        &[&format!(
            "hello_1.2.0_SHA256SUMS of hello 1.2.0: signed by {key} on 9 Sep 2025"
        )],
    );
    // The list and its signature first: nothing is fetched that the publisher does not vouch for.
    let signature = format!("{LIST}.{}.sig", &key[32..]);
    assert_eq!(release.seen(), [LIST, &signature, ARCHIVE]);

    let records: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let record = &records[0];
    assert_eq!(record["source"], "release");
    let digest = release.publisher.digest("hello", "1.2.0", "arm64");
    let origin = "https://releases.hashicorp.com/hello/1.2.0/hello_1.2.0_linux_arm64.zip";
    assert_eq!(record["origin"], format!("{origin} sha256:{digest}"));
    assert_eq!(
        record["verified"],
        format!("pinned SHA-256, equal to hello_1.2.0_SHA256SUMS signed by OpenPGP key {key}")
    );
    let deb = release.world.checkout().join("out/packages/hello_1.2.0-1_arm64.deb");
    let listed = Command::new("dpkg-deb").arg("-c").arg(deb).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("./usr/bin/hello"));
}

#[test]
fn what_was_verified_once_needs_no_host_again() {
    let release = Release::new();
    release.assert_succeeds();
    release.seen();
    // The package is gone and has to be made anew; the archive, the list and its signature are in the cache.
    fs::remove_dir_all(release.world.cache().join("deb")).unwrap();
    release.assert_succeeds();
    assert_eq!(release.seen(), Vec::<String>::new());
}

#[test]
fn a_list_damaged_in_the_cache_is_fetched_again() {
    let release = Release::new();
    release.assert_succeeds();
    release.seen();
    fs::remove_dir_all(release.world.cache().join("deb")).unwrap();
    let notes = fs::read_dir(release.world.cache().join("sums")).unwrap();
    for note in notes {
        let text = fs::read_to_string(note.unwrap().path()).unwrap();
        for digest in text.lines() {
            let object = release
                .world
                .cache()
                .join("objects/sha256")
                .join(&digest[..2])
                .join(digest);
            let mut content = fs::read(&object).unwrap();
            content[0] ^= 1;
            fs::write(object, content).unwrap();
        }
    }
    release.assert_succeeds();
    let signature = format!("{LIST}.{}.sig", &release.publisher.key[32..]);
    assert_eq!(release.seen(), [LIST, &signature]);
}

#[test]
fn the_signature_may_have_the_plain_name_only() {
    let release = Release::new();
    let named = release
        .publisher
        .list("hello", "1.2.0")
        .with_file_name(format!("hello_1.2.0_SHA256SUMS.{}.sig", &release.publisher.key[32..]));
    fs::remove_file(named).unwrap();
    release.assert_succeeds();
}

#[test]
fn a_mirror_can_be_a_folder() {
    let release = Release::new();
    let folder = release.world.served().join("hashicorp");
    let mut command = release.world.command("packages", &["--release-host"]);
    command.arg(format!("releases.hashicorp.com={}", folder.display()));
    release.world.succeeds(command);
    assert_eq!(release.seen(), Vec::<String>::new());
}

#[test]
fn a_list_without_a_signature_counts_for_pinning_only() {
    let release = Release::new();
    release
        .publisher
        .github("prometheus", "hello", "1.2.0", &["arm64", "armv7"]);
    release.define(
        "sources: [{
           type: 'release',
           url: 'https://github.com/prometheus/hello/releases/download/v{version}/hello-{version}.linux-{arch}.tar.gz',
           arch_names: 'goreleaser',
           sums: {
             type: 'prometheus',
             url: 'https://github.com/prometheus/hello/releases/download/v{version}/sha256sums.txt',
           },
           sha256: {},
         }],
         recipe+: { copyright+: { files: ['LICENSE'] } },",
    );
    let said = release.world.refuses(release.packages(&[]), 2);
    assert_says(
        &said,
        &["hello 1.2.0 for arm64", "no archive of 1.2.0 for arm64 is pinned"],
    );
    release.world.succeeds(release.command("lock", &[]));
    let lock = fs::read_to_string(release.world.lock()).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let pinned = lock["components"]["hello"]["release"].as_object().unwrap();
    let architectures: Vec<&String> = pinned.keys().collect();
    assert_eq!(
        architectures,
        ["arm64", "armhf"],
        "every architecture that the publisher has"
    );
    // GitHub keeps its archives elsewhere.
    let storage = format!("{}/storage/{{path}}", release.world.server.url());
    let served = release.world.served();
    fs::create_dir(served.join("storage")).unwrap();
    fs::rename(served.join("github"), served.join("storage/github")).unwrap();
    release.world.server.fault("/github/", 1, Fault::Redirect(storage));
    let output = release.packages(&["--json", "--locked"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let records: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        records[0]["verified"],
        "pinned SHA-256 (sha256sums.txt is not signed by the publisher)"
    );
}
