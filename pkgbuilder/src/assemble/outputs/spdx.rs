//! `.spdx.json`: which packages an image consists of, as SPDX 2.3 (spdx.github.io/spdx-spec/v2.3).

use computatom_spec::manifest::{Manifest, PackageRecord};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The document for an image. Its namespace comes from the manifest's digest: unique, and the same for the same image.
pub(super) fn document(manifest: &Manifest) -> Value {
    let name = format!("{}-{}", manifest.image, manifest.target);
    let identity = serde_json::to_vec(manifest).expect("a manifest is plain data");
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Image",
        "name": name,
        "versionInfo": date(manifest.epoch),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    })];
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-Image",
    })];
    for record in &manifest.packages {
        packages.push(package(record));
        relationships.push(json!({
            "spdxElementId": "SPDXRef-Image",
            "relationshipType": "CONTAINS",
            "relatedSpdxElement": reference(record),
        }));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://spdx.org/spdxdocs/{name}-{}", hex::encode(Sha256::digest(identity))),
        "creationInfo": {
            "created": date(manifest.epoch),
            "creators": [format!("Tool: pkgbuilder-{}", manifest.tool)],
        },
        "packages": packages,
        "relationships": relationships,
    })
}

fn package(record: &PackageRecord) -> Value {
    let mut package = json!({
        "SPDXID": reference(record),
        "name": record.name,
        "versionInfo": record.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": format!("{}: {}", record.source, record.origin),
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl(record),
        }],
    });
    if let Some(digest) = record.digest.strip_prefix("sha256:") {
        package["checksums"] = json!([{ "algorithm": "SHA256", "checksumValue": digest }]);
    }
    package
}

/// An SPDX identifier has letters, digits, `.` and `-` only.
fn reference(record: &PackageRecord) -> String {
    let clean = |text: &str| -> String {
        text.chars()
            .map(|c| match c {
                '+' => "plus".to_owned(),
                '_' => "-".to_owned(),
                c => c.to_string(),
            })
            .collect()
    };
    format!(
        "SPDXRef-Package-{}-{}",
        clean(&record.name),
        clean(&record.architecture)
    )
}

/// github.com/package-url/purl-spec: Debian's own packages are of namespace `debian`, ours of none.
fn purl(record: &PackageRecord) -> String {
    let namespace = if record.source == "debian" { "debian/" } else { "" };
    format!(
        "pkg:deb/{namespace}{}@{}?arch={}",
        escape(&record.name),
        escape(&record.version),
        escape(&record.architecture)
    )
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Seconds since 1970 as SPDX wants them: `2025-08-09T12:34:56Z` (days to a date: howardhinnant.github.io/date_algorithms.html).
fn date(epoch: i64) -> String {
    let (days, seconds) = (epoch.div_euclid(86_400), epoch.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March, so that the leap day is the last of a year.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::super::testing::{image, manifest, oracle};
    use super::*;

    #[test]
    fn dates_are_those_of_date() {
        for epoch in [
            0,
            951_782_400,
            1_709_164_800,
            1_735_689_599,
            1_763_719_200,
            4_102_444_800,
        ] {
            let expected = oracle(Command::new("date").args(["-u", "-d", &format!("@{epoch}"), "+%Y-%m-%dT%H:%M:%SZ"]));
            assert_eq!(date(epoch), expected.trim());
        }
    }

    #[test]
    fn packages_have_purls_and_valid_identifiers() {
        let document = document(&manifest(&image()));
        let packages = document["packages"].as_array().unwrap();
        let locators: Vec<&str> = packages
            .iter()
            .filter_map(|package| package["externalRefs"][0]["referenceLocator"].as_str())
            .collect();
        assert_eq!(
            locators,
            [
                "pkg:deb/debian/libc6@2:2.41-12%2Bdeb13u1?arch=arm64",
                "pkg:deb/nomad@1.10.5-1?arch=arm64"
            ]
        );
        for package in packages {
            let id = package["SPDXID"].as_str().unwrap();
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-'),
                "{id}"
            );
        }
        assert_eq!(document["relationships"].as_array().unwrap().len(), 3);
    }
}
