//! Release hosts: what publishers' own look like, in folders that the server serves.

use std::fmt::Write as _;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::gpg::Gpg;

/// When everything here was released.
pub(crate) const RELEASED: &str = "20250909";

/// A publisher with a key, and folders to publish in.
#[derive(Debug)]
pub(crate) struct Publisher {
    root: PathBuf,
    /// Its keys.
    pub(crate) gpg: Gpg,
    /// Fingerprint of the key that it signs with.
    pub(crate) key: String,
}

impl Publisher {
    /// A publisher below the folder `root`.
    pub(crate) fn new(root: &Path) -> Self {
        let gpg = Gpg::new();
        let key = gpg.key("publisher", "20200101");
        Self {
            root: root.to_owned(),
            gpg,
            key,
        }
    }

    /// Publishes a version of `product` for HashiCorp's architectures the way releases.hashicorp.com does: zip archives,
    /// `SHA256SUMS`, signatures under both names, and the index of the version.
    pub(crate) fn hashicorp(&self, product: &str, version: &str, architectures: &[&str]) {
        let folder = self.root.join("hashicorp").join(product).join(version);
        fs::create_dir_all(&folder).unwrap();
        let mut sums = String::new();
        for arch in architectures {
            let name = format!("{product}_{version}_linux_{arch}.zip");
            let program = format!("#!/bin/sh\necho '{product} v{version} on {arch}'\n");
            let archive = zip(&[("LICENSE.txt", "free as it is\n"), (product, &program)]);
            writeln!(sums, "{}  {name}", hex::encode(Sha256::digest(&archive))).unwrap();
            fs::write(folder.join(name), archive).unwrap();
        }
        let name = format!("{product}_{version}_SHA256SUMS");
        fs::write(folder.join(&name), &sums).unwrap();
        self.sign(product, version);
        let short = &self.key[32..];
        let builds: Vec<_> = architectures
            .iter()
            .map(|arch| {
                let filename = format!("{product}_{version}_linux_{arch}.zip");
                json!({
                    "name": product, "version": version, "os": "linux", "arch": arch, "filename": filename,
                    "url": format!("https://releases.hashicorp.com/{product}/{version}/{filename}"),
                })
            })
            .collect();
        let index = json!({
            "name": product, "version": version, "shasums": name, "shasums_signature": format!("{name}.sig"),
            "shasums_signatures": [format!("{name}.{short}.sig"), format!("{name}.sig")], "builds": builds,
        });
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
        self.index(product);
    }

    /// Signs the list of digests of a version (anew).
    pub(crate) fn sign(&self, product: &str, version: &str) {
        let list = self.list(product, version);
        let content = fs::read(&list).unwrap();
        let signature = self.gpg.sign(&self.key, RELEASED, &content);
        for suffix in [format!(".{}.sig", &self.key[32..]), ".sig".to_owned()] {
            fs::write(appended(&list, &suffix), &signature).unwrap();
        }
    }

    /// The list of digests of a version.
    pub(crate) fn list(&self, product: &str, version: &str) -> PathBuf {
        let folder = self.root.join("hashicorp").join(product).join(version);
        folder.join(format!("{product}_{version}_SHA256SUMS"))
    }

    /// Digest of the archive of a version for an architecture, as its list says.
    pub(crate) fn digest(&self, product: &str, version: &str, arch: &str) -> String {
        let list = fs::read_to_string(self.list(product, version)).unwrap();
        let name = format!("{product}_{version}_linux_{arch}.zip");
        let line = list.lines().find(|line| line.ends_with(&name)).unwrap();
        line.split(' ').next().unwrap().to_owned()
    }

    /// Writes the index of all versions of a product.
    fn index(&self, product: &str) {
        let folder = self.root.join("hashicorp").join(product);
        let mut versions = serde_json::Map::new();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if let Ok(text) = fs::read_to_string(path.join("index.json")) {
                let version = path.file_name().unwrap().to_str().unwrap().to_owned();
                versions.insert(version, serde_json::from_str(&text).unwrap());
            }
        }
        let index = json!({ "name": product, "versions": versions });
        fs::write(folder.join("index.json"), index.to_string()).unwrap();
    }

    /// Publishes a version of `product` the way Prometheus' projects do on GitHub: tar.gz archives with a folder in them
    /// and an unsigned `sha256sums.txt`, below `releases/download/v<version>/`, and what GitHub's API says of it.
    pub(crate) fn github(&self, owner: &str, product: &str, version: &str, architectures: &[&str]) {
        let folder = self
            .root
            .join(format!("github/{owner}/{product}/releases/download/v{version}"));
        fs::create_dir_all(&folder).unwrap();
        let mut sums = String::new();
        for arch in architectures {
            let stem = format!("{product}-{version}.linux-{arch}");
            let archive = targz(&[
                (&format!("{stem}/LICENSE"), "free\n"),
                (&format!("{stem}/{product}"), "#!/bin/sh\necho up\n"),
            ]);
            writeln!(sums, "{}  {stem}.tar.gz", hex::encode(Sha256::digest(&archive))).unwrap();
            fs::write(folder.join(format!("{stem}.tar.gz")), archive).unwrap();
        }
        fs::write(folder.join("sha256sums.txt"), sums).unwrap();
        let api = self.root.join(format!("api/repos/{owner}/{product}"));
        fs::create_dir_all(&api).unwrap();
        let path = api.join("releases");
        let mut releases: Vec<serde_json::Value> =
            fs::read(&path).map_or(Vec::new(), |text| serde_json::from_slice(&text).unwrap());
        let prerelease = version.contains('-');
        releases.insert(
            0,
            json!({ "tag_name": format!("v{version}"), "draft": false, "prerelease": prerelease }),
        );
        fs::write(path, serde_json::to_vec(&releases).unwrap()).unwrap();
    }
}

fn appended(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A zip archive of programs.
pub(crate) fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let time = zip::DateTime::from_date_and_time(2025, 9, 9, 14, 36, 44).unwrap();
    let options = zip::write::SimpleFileOptions::default()
        .last_modified_time(time)
        .unix_permissions(0o755);
    for (name, content) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A tar.gz archive of programs.
pub(crate) fn targz(files: &[(&str, &str)]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(gz);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mtime(1_757_428_604);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
