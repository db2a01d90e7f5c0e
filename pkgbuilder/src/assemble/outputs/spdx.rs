//! `.spdx.json`: which packages an image consists of, of which licences, as SPDX 2.3 (spdx.github.io/spdx-spec/v2.3).

use std::collections::BTreeSet;

use computatom_spec::manifest::{Manifest, PackageRecord};
use serde_json::{Value, json};

use crate::provenance::licenses::Texts;
use crate::verify::Sha256;

/// Said where SPDX wants a word and there is nothing to say.
const UNKNOWN: &str = "NOASSERTION";
/// What the identifiers of licences that are not on SPDX' list begin with.
const REFERENCE: &str = "LicenseRef-";

/// The document for an image. Its namespace comes from the manifest's digest: unique, and the same for the same image.
pub fn document(manifest: &Manifest, texts: &Texts) -> Value {
    let name = format!("{}-{}", manifest.image, manifest.target);
    let identity = serde_json::to_vec(manifest).expect("a manifest is plain data");
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Image",
        "name": name,
        "versionInfo": date(manifest.epoch),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    })];
    packages.extend(manifest.packages.iter().map(package));
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")];
    for record in &manifest.packages {
        relationships.push(relationship("SPDXRef-Image", "CONTAINS", &reference(record)));
    }
    let about = About {
        name: &name,
        identity: &identity,
        epoch: manifest.epoch,
        tool: &manifest.tool,
    };
    about.document(&packages, &relationships, &extracted(&manifest.packages, texts))
}

/// The document for a single package, whose .deb was made at `epoch` (seconds since 1970).
pub fn of_package(record: &PackageRecord, texts: &Texts, epoch: i64) -> Value {
    let name = format!("{}_{}_{}", record.name, record.version, record.architecture);
    let identity = serde_json::to_vec(record).expect("a record is plain data");
    let about = About {
        name: &name,
        identity: &identity,
        epoch,
        tool: env!("CARGO_PKG_VERSION"),
    };
    let relationships = [relationship("SPDXRef-DOCUMENT", "DESCRIBES", &reference(record))];
    let extracted = extracted(std::slice::from_ref(record), texts);
    about.document(&[package(record)], &relationships, &extracted)
}

/// What a document says about itself.
struct About<'a> {
    name: &'a str,
    identity: &'a [u8],
    epoch: i64,
    tool: &'a str,
}

impl About<'_> {
    fn document(&self, packages: &[Value], relationships: &[Value], extracted: &[Value]) -> Value {
        let digest = Sha256::of(self.identity);
        let mut document = json!({
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": self.name,
            "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{digest}", escape(self.name)),
            "creationInfo": {
                "created": date(self.epoch),
                "creators": [format!("Tool: pkgbuilder-{}", self.tool)],
            },
            "packages": packages,
            "relationships": relationships,
        });
        if !extracted.is_empty() {
            document["hasExtractedLicensingInfos"] = extracted.into();
        }
        document
    }
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

/// The licences that the packages are of and SPDX' list does not have.
fn extracted(packages: &[PackageRecord], texts: &Texts) -> Vec<Value> {
    let words = |c: char| c.is_whitespace() || c == '(' || c == ')';
    let named: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| package.license.split(words))
        .filter(|word| word.starts_with(REFERENCE))
        .collect();
    let describe = |id: &str| {
        let found = texts.get(id);
        json!({
            "licenseId": id,
            "name": found.map_or("NOASSERTION", |found| &found.name),
            "extractedText": found.map_or("The text is not in the image.", |found| &found.text),
        })
    };
    named.into_iter().map(describe).collect()
}

fn package(record: &PackageRecord) -> Value {
    let declared = match record.license.as_str() {
        "" => UNKNOWN,
        expression => expression,
    };
    let mut package = json!({
        "SPDXID": reference(record),
        "name": record.name,
        "versionInfo": record.version,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": declared,
        "copyrightText": UNKNOWN,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl(record),
        }],
    });
    if !record.license_from.is_empty() {
        let what = if record.license.is_empty() {
            "No licence can be told"
        } else {
            "Licence"
        };
        package["licenseComments"] = format!("{what}: {}.", record.license_from).into();
    }
    if !record.origin.is_empty() {
        package["sourceInfo"] = format!("{}: {}", record.source, record.origin).into();
    }
    if record.source == "debian" {
        package["supplier"] = "Organization: Debian".into();
    }
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

/// github.com/package-url/purl-spec: Debian's own packages are of namespace `debian`, those of other repositories of
/// their name in the definition, ours of none.
fn purl(record: &PackageRecord) -> String {
    let namespace = match record.apt_source() {
        Some(vendor) => format!("{}/", escape(vendor)),
        None if record.source == "debian" => "debian/".to_owned(),
        None => String::new(),
    };
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
    use crate::provenance::licenses::Text;

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
        let document = document(&manifest(&image()), &Texts::new());
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
        assert!(document.get("hasExtractedLicensingInfos").is_none());
    }

    #[test]
    fn each_licence_that_spdx_does_not_know_is_given_with_its_text_and_no_other_is() {
        let mut manifest = manifest(&image());
        manifest.packages[0].license = "MIT AND (LicenseRef-own-1 OR LicenseRef-lost-2)".to_owned();
        manifest.packages[1].license_from = "its copyright file is free text".to_owned();
        let text = |text: &str| Text {
            name: "own".to_owned(),
            text: text.to_owned(),
        };
        let texts = ["LicenseRef-own-1", "LicenseRef-other-3"].map(|id| (id.to_owned(), text("Do.")));
        let document = document(&manifest, &Texts::from(texts));
        let extracted = document["hasExtractedLicensingInfos"].as_array().unwrap();
        let found: Vec<(&str, &str)> = extracted
            .iter()
            .map(|one| {
                (
                    one["licenseId"].as_str().unwrap(),
                    one["extractedText"].as_str().unwrap(),
                )
            })
            .collect();
        let lost = ("LicenseRef-lost-2", "The text is not in the image.");
        assert_eq!(found, [lost, ("LicenseRef-own-1", "Do.")]);
        let packages = document["packages"].as_array().unwrap();
        assert_eq!(packages[2]["licenseDeclared"], "NOASSERTION");
        assert_eq!(
            packages[2]["licenseComments"],
            "No licence can be told: its copyright file is free text."
        );
    }
}
