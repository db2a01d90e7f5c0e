//! What every lie of a release host comes to: the sentence, the exit code, the cache, and that the next run succeeds.

use std::fs;

use pkgbuilder::verify::Sha256;

use crate::server::Fault;
use crate::server::releases::{RELEASED, zip};
use crate::{Release, assert_says};

const ARCHIVE: &str = "hello_1.2.0_linux_arm64.zip";
const LIST: &str = "hello_1.2.0_SHA256SUMS";

#[test]
fn a_corrupt_archive() {
    let release = Release::new();
    release.world.server.always(ARCHIVE, Fault::Corrupt(100));
    let said = release.refuses(2);
    assert_says(
        &said,
        &[
            "hello 1.2.0 for arm64 from http://127.0.0.1",
            "its SHA-256 is",
            "it was thrown away",
        ],
    );
}

#[test]
fn another_versions_archive() {
    let release = Release::new();
    release.publisher.hashicorp("hello", "1.1.0", &["arm64"]);
    let folder = release.world.served().join("hashicorp/hello/1.1.0");
    let older = fs::read(folder.join("hello_1.1.0_linux_arm64.zip")).unwrap();
    release.world.server.always(ARCHIVE, Fault::Replace(older.clone()));
    let said = release.refuses(2);
    assert_says(&said, &[&Sha256::of(&older).hex(), "was expected"]);
}

#[test]
fn another_versions_list_well_signed() {
    let release = Release::new();
    release.publisher.hashicorp("hello", "1.1.0", &["arm64"]);
    let older = release.publisher.list("hello", "1.1.0");
    let signature = older.with_file_name("hello_1.1.0_SHA256SUMS.sig");
    release
        .world
        .server
        .always(".sig", Fault::Replace(fs::read(signature).unwrap()));
    release
        .world
        .server
        .always(LIST, Fault::Replace(fs::read(older).unwrap()));
    let said = release.refuses(2);
    assert_says(
        &said,
        &[
            "hello 1.2.0: hello_1.2.0_SHA256SUMS (signed by",
            "does not list hello_1.2.0_linux_arm64.zip",
        ],
    );
}

#[test]
fn a_changed_list() {
    let release = Release::new();
    let list = fs::read_to_string(release.publisher.list("hello", "1.2.0")).unwrap();
    let forged = list.replace('a', "b");
    release.world.server.always(&format!("{LIST}.."), Fault::Status(404));
    release.world.server.fault(LIST, 1, Fault::Replace(forged.into_bytes()));
    let said = release.refuses(2);
    assert_says(
        &said,
        &[
            "the signature of hello_1.2.0_SHA256SUMS of hello 1.2.0",
            &release.publisher.key,
            "what it signs was changed",
        ],
    );
}

#[test]
fn a_list_signed_by_somebody_else() {
    let release = Release::new();
    let list = fs::read(release.publisher.list("hello", "1.2.0")).unwrap();
    let other = release.publisher.gpg.key("stranger", "20200101");
    let forged = release.publisher.gpg.sign(&other, RELEASED, &list);
    release.world.server.always(".sig", Fault::Replace(forged));
    let said = release.refuses(2);
    assert_says(
        &said,
        &[&format!(
            "is by {other}, not by the trusted key {}",
            release.publisher.key
        )],
    );
}

#[test]
fn a_list_signed_by_an_expired_key() {
    let release = Release::new();
    // A subkey that lived for a year only.
    let list = fs::read(release.publisher.list("hello", "1.2.0")).unwrap();
    let gpg = &release.publisher.gpg;
    let subkey = gpg.subkey(&release.publisher.key, "20200101", "0");
    let late = gpg.sign(&subkey, RELEASED, &list);
    gpg.expire_subkey(&release.publisher.key, &subkey, "20200102", "2021-01-01");
    gpg.trust(&release.publisher.key, &release.world.checkout());
    release.world.server.always(".sig", Fault::Replace(late));
    let said = release.refuses(2);
    assert_says(&said, &["the key had expired or was revoked", "nothing of it was used"]);
}

#[test]
fn a_list_without_a_signature() {
    let release = Release::new();
    release.world.server.always(".sig", Fault::Status(404));
    let said = release.refuses(2);
    assert_says(
        &said,
        &[
            "carries no signature",
            "a mirror has to carry the publisher's signatures",
        ],
    );
    let release = Release::new();
    release.world.server.always(".sig", Fault::Replace(Vec::new()));
    let said = release.refuses(2);
    assert_says(&said, &["is not an OpenPGP signature"]);
}

#[test]
fn a_list_that_says_another_digest_than_is_pinned() {
    let release = Release::new();
    let right = release.publisher.digest("hello", "1.2.0", "arm64");
    let wrong = "0".repeat(64);
    release.define(&format!(
        "sources: [super.sources[0] {{ sha256: {{ arm64: '{wrong}' }} }}]"
    ));
    let said = release.world.refuses(release.packages(&[]), 2);
    assert_says(
        &said,
        &[
            &format!("says that {ARCHIVE} has the SHA-256 {right}, but {wrong} is pinned"),
            "nothing was fetched",
        ],
    );
    assert!(!release.seen().iter().any(|path| path.ends_with(ARCHIVE)));
    release.define("");
    release.assert_succeeds();
}

#[test]
fn an_archive_and_a_list_forged_together() {
    let release = Release::new();
    let forged = zip(&[("LICENSE.txt", "free\n"), ("hello", "#!/bin/sh\nrm -rf /\n")]);
    let list = format!("{}  {ARCHIVE}\n", Sha256::of(&forged));
    release.world.server.always(".zip", Fault::Replace(forged));
    release.world.server.always(".sig", Fault::Status(403));
    release.world.server.always(LIST, Fault::Replace(list.into_bytes()));
    assert_says(&release.refuses(2), &["carries no signature"]);
}

#[test]
fn a_key_file_with_another_key() {
    let release = Release::new();
    let other = release.publisher.gpg.key("stranger", "20200101");
    let path = release
        .world
        .checkout()
        .join(format!("jsonnet/keys/{}.asc", release.publisher.key));
    fs::write(&path, release.publisher.gpg.public(&other)).unwrap();
    let said = release.world.refuses(release.packages(&[]), 2);
    assert_says(
        &said,
        &[&format!("holds {other}, not the key {}", release.publisher.key)],
    );
    fs::write(&path, b"no key").unwrap();
    let said = release.world.refuses(release.packages(&[]), 2);
    assert_says(&said, &["holds no OpenPGP public key"]);
    fs::remove_file(&path).unwrap();
    let said = release.world.refuses(release.packages(&[]), 2);
    assert_says(&said, &["is not here", "put the publisher's public key there"]);
    release
        .publisher
        .gpg
        .trust(&release.publisher.key, &release.world.checkout());
    release.assert_succeeds();
}

#[test]
fn what_is_not_there_or_not_for_us() {
    for (part, status) in [(ARCHIVE, 403), (ARCHIVE, 404), (LIST, 404)] {
        let release = Release::new();
        release.world.server.always(part, Fault::Status(status));
        let said = release.refuses(1);
        assert_says(
            &said,
            &["hello 1.2.0 for arm64 cannot be had now", &format!("{status} ")],
        );
    }
}

#[test]
fn busy_cut_and_stalled_servers() {
    let release = Release::new();
    release
        .world
        .server
        .always(".zip", Fault::RetryAfter(429, "86400".to_owned()));
    let said = release.refuses(1);
    assert_says(&said, &["429 Too Many Requests, and not to be asked again for 86400 s"]);

    // A few times only: not a word about it, and the archive is whole.
    let release = Release::new();
    release.world.server.fault(".zip", 1, Fault::Status(500));
    release.world.server.fault(".zip", 1, Fault::Truncate(60));
    release.world.server.fault(".zip", 1, Fault::Stall(120));
    let mut command = release.packages(&[]);
    command.env("COMPUTATOM_STALL_SECONDS", "0.5");
    release.world.succeeds(command);
}

#[test]
fn redirects_in_a_circle() {
    let release = Release::new();
    let here = format!("{}/{{path}}", release.world.server.url());
    release.world.server.always(".zip", Fault::Redirect(here));
    assert_says(&release.refuses(1), &["it redirects in a circle"]);
}

#[test]
fn a_login_page() {
    let release = Release::new();
    release
        .world
        .server
        .always(LIST, Fault::Page("<html>log in</html>".to_owned()));
    assert_says(&release.refuses(2), &["is not an OpenPGP signature"]);
    let release = Release::new();
    release
        .world
        .server
        .always(".zip", Fault::Page("<html>log in</html>".to_owned()));
    assert_says(&release.refuses(2), &["is there a login page or proxy in the way?"]);
}

#[test]
fn a_stand_in_that_is_none() {
    let release = Release::new();
    let mut command = release.packages(&[]);
    command.args(["--release-host", "http://mirror.example"]);
    let said = release.world.refuses(command, 2);
    assert_says(
        &said,
        &["--release-host: `http://mirror.example` has no `=`", "write HOST=URL"],
    );
}
