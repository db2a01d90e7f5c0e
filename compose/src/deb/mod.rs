//! Reading `.deb` files (`deb(5)`) from memory.
//!
//! Everything here is foreign: names, sizes and texts are checked where they are read, so that the stages
//! behind can rely on them.

use std::io::Read;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;

/// The `ar` container.
mod ar;

/// Stanzas of `deb-control(5)`.
pub mod stanza;

/// Relations between packages (`Depends`, `Replaces`, …).
pub mod relation;

/// What `control.tar` holds.
pub mod control;

/// What `data.tar` holds.
pub mod data;

pub use control::Control;
pub use data::{Entry, EntryKind};
pub use stanza::Stanza;

/// No control archive is near this size; more is an attack or an accident.
const MAX_CONTROL: u64 = 64 << 20;

/// `data.tar` is held in memory or mapped; more than this is an attack or an accident.
const MAX_DATA: u64 = 8 << 30;

/// How much larger than its `Installed-Size` says a `data.tar` may be: of 1 300 packages of trixie none of more than 4 MiB
/// is larger by more than a tenth.
const SLACK: u64 = 4;
/// And by how many bytes besides, for small packages and for packers that leave the field out.
const SPARE: u64 = 64 << 20;

/// How an archive member is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    fn of(member: &str, stem: &str) -> Option<Self> {
        match member.strip_prefix(stem)? {
            "" => Some(Self::None),
            ".gz" => Some(Self::Gzip),
            ".xz" => Some(Self::Xz),
            ".zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn reader(self, bytes: &[u8]) -> Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::None => Box::new(bytes),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
            Self::Xz => Box::new(liblzma::read::XzDecoder::new_multi_decoder(bytes)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(bytes).context("starting zstd")?),
        })
    }
}

/// An opened `.deb`: control information read, payload still compressed.
#[derive(Clone, Debug)]
pub struct Deb {
    control: Control,
    data: Bytes,
    compression: Compression,
}

impl Deb {
    /// Reads container and control archive of a `.deb`.
    pub fn open(bytes: &Bytes) -> Result<Self> {
        let members = ar::members(bytes).context("reading the .deb container")?;
        let mut members = members.into_iter();
        match members.next() {
            Some((name, content)) if name == "debian-binary" => {
                if !content.starts_with(b"2.") {
                    bail!("this .deb is of a format other than 2.x, which nothing here can read");
                }
            }
            _ => bail!("this is not a .deb: its first member is not `debian-binary`"),
        }
        // Members whose name starts with `_` are optional and to be skipped (deb(5)).
        let mut members = members.filter(|(name, _)| !name.starts_with('_'));
        let mut next = |stem: &str| match members.next() {
            None => bail!("this .deb ends before its {stem}"),
            Some((name, content)) => match Compression::of(&name, stem) {
                Some(compression) => Ok((compression, content)),
                None => bail!("this .deb has `{name}` where {stem}, .xz, .zst or .gz belongs"),
            },
        };
        let (compression, content) = next("control.tar")?;
        let tar = decompress(compression, &content, MAX_CONTROL).context("decompressing control.tar")?;
        let control = Control::parse(&tar).context("reading control.tar")?;
        let (compression, data) = next("data.tar")?;
        Ok(Self {
            control,
            data,
            compression,
        })
    }

    /// The control information.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The uncompressed `data.tar` as a stream, for a caller that keeps it in a file. One that is larger than the package
    /// says by far ends in an error ([`std::io::ErrorKind::InvalidData`]).
    pub fn data(&self) -> Result<impl Read + '_> {
        Ok(Bounded {
            reader: self.compression.reader(&self.data)?,
            left: self.limit(),
            limit: self.limit(),
        })
    }

    /// The most bytes that `data.tar` may have: what dpkg would reckon with, and some.
    fn limit(&self) -> u64 {
        let said = self.control.stanza.get("Installed-Size");
        match said.and_then(|kib| kib.trim().parse::<u64>().ok()) {
            Some(kib) => kib.saturating_mul(1024 * SLACK).saturating_add(SPARE).min(MAX_DATA),
            None => MAX_DATA,
        }
    }

    /// The uncompressed `data.tar`.
    pub fn decompress_data(&self) -> Result<Vec<u8>> {
        decompress(self.compression, &self.data, self.limit())
            .with_context(|| format!("decompressing data.tar of {}", self.control.name))
    }

    /// The package with its payload decompressed into memory.
    pub fn unpack(&self) -> Result<Package> {
        Package::new(self.control.clone(), &Bytes::from(self.decompress_data()?))
    }
}

/// A stream that must not be longer than its limit.
struct Bounded<R> {
    reader: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.left = (self.left)
            .checked_sub(length as u64)
            .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, too_large(self.limit)))?;
        Ok(length)
    }
}

/// What is said of an archive that is a decompression bomb, or as good as one.
fn too_large(limit: u64) -> String {
    format!(
        "it is larger than {} MiB when decompressed, far more than the package says of itself (`Installed-Size`)",
        limit >> 20
    )
}

fn decompress(compression: Compression, bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    compression
        .reader(bytes)?
        .take(limit + 1)
        .read_to_end(&mut plain)
        .context("this .deb is damaged")?;
    if plain.len() as u64 > limit {
        bail!(too_large(limit));
    }
    Ok(plain)
}

/// A package ready to be unpacked.
#[derive(Clone, Debug)]
pub struct Package {
    /// Control information.
    pub control: Control,
    /// The payload in the order of its archive.
    pub entries: Vec<Entry>,
}

impl Package {
    /// A package from its control information and its uncompressed `data.tar`, which file contents share.
    pub fn new(control: Control, data_tar: &Bytes) -> Result<Self> {
        let entries = data::entries(data_tar).with_context(|| format!("reading data.tar of {}", control.name))?;
        Ok(Self { control, entries })
    }

    /// Name, for messages and maps.
    pub fn name(&self) -> &str {
        &self.control.name
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A `.deb` with the given control members and data entries (`path`, content; directories end with `/`).
    pub(crate) fn deb(control: &[(&str, &str)], data: &[(&str, &str)]) -> Bytes {
        let tar = |files: &[(&str, &str)]| {
            let mut builder = tar::Builder::new(Vec::new());
            for (path, content) in files {
                let mut header = tar::Header::new_gnu();
                header.set_uid(0);
                header.set_gid(0);
                header.set_mtime(1);
                if let Some(target) = content.strip_prefix("-> ") {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_size(0);
                    header.set_mode(0o777);
                    builder.append_link(&mut header, path, target).unwrap();
                } else {
                    if path.ends_with('/') {
                        header.set_entry_type(tar::EntryType::Directory);
                    }
                    header.set_mode(0o755);
                    header.set_size(content.len() as u64);
                    builder.append_data(&mut header, path, content.as_bytes()).unwrap();
                }
            }
            builder.into_inner().unwrap()
        };
        let mut bytes = b"!<arch>\n".to_vec();
        for (name, content) in [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar", tar(control)),
            ("data.tar", tar(data)),
        ] {
            bytes.extend_from_slice(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                    0,
                    0,
                    0,
                    100_644,
                    content.len()
                )
                .as_bytes(),
            );
            bytes.extend_from_slice(&content);
            if content.len() % 2 == 1 {
                bytes.push(b'\n');
            }
        }
        Bytes::from(bytes)
    }

    /// A package `name` with further control fields, members and data entries.
    pub(crate) fn package(name: &str, fields: &str, members: &[(&str, &str)], data: &[(&str, &str)]) -> Package {
        let control = format!("Package: {name}\nVersion: 1\nArchitecture: all\n{fields}Description: x\n");
        let mut all = vec![("./control", control.as_str())];
        all.extend_from_slice(members);
        Deb::open(&deb(&all, data)).unwrap().unpack().unwrap()
    }

    #[test]
    fn a_package_of_dpkg_deb_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        std::fs::create_dir_all(root.join("DEBIAN")).unwrap();
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        std::fs::write(
            root.join("DEBIAN/control"),
            "Package: pp\nVersion: 1:2-3\nArchitecture: arm64\nMaintainer: a <a@b>\nDescription: d\n more\n",
        )
        .unwrap();
        std::fs::write(root.join("usr/bin/p"), "hello").unwrap();
        std::fs::hard_link(root.join("usr/bin/p"), root.join("usr/bin/q")).unwrap();
        for compression in ["none", "gzip", "xz", "zstd"] {
            let file = dir.path().join("p.deb");
            let status = std::process::Command::new("dpkg-deb")
                .args(["--root-owner-group", "-Z", compression, "-b"])
                .arg(&root)
                .arg(&file)
                .output()
                .expect("dpkg-deb makes the package: install it (package dpkg)");
            assert!(status.status.success(), "{status:?}");
            let package = Deb::open(&Bytes::from(std::fs::read(&file).unwrap()))
                .unwrap()
                .unpack()
                .unwrap();
            assert_eq!(package.control.version.to_string(), "1:2-3");
            let paths: Vec<&str> = package.entries.iter().map(|entry| entry.path.as_str()).collect();
            assert_eq!(paths, ["/", "/usr", "/usr/bin", "/usr/bin/p", "/usr/bin/q"]);
            assert!(matches!(&package.entries[3].kind, EntryKind::File(content) if content == "hello"));
            assert!(matches!(&package.entries[4].kind, EntryKind::Hardlink(target) if target == "/usr/bin/p"));
        }
    }

    #[test]
    fn what_is_not_a_deb_is_said_plainly() {
        let error = Deb::open(&Bytes::from_static(b"<html>")).unwrap_err();
        assert!(format!("{error:#}").contains("not an ar archive"), "{error:#}");
        let mut cut = deb(
            &[("./control", "Package: pp\nVersion: 1\nArchitecture: all\n")],
            &[("./a", "b")],
        )
        .to_vec();
        cut.truncate(cut.len() - 600);
        assert!(format!("{:#}", Deb::open(&Bytes::from(cut)).unwrap_err()).contains("cut short"));
    }

    proptest! {
        #[test]
        fn damaged_packages_never_panic(at in 0usize..4096, byte: u8, more in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = deb(
                &[("./control", "Package: pp\nVersion: 1\nArchitecture: all\n"), ("./postinst", "#!/bin/sh\n")],
                &[("./", ""), ("./usr/", ""), ("./usr/a", "content"), ("./usr/b", "-> a")],
            )
            .to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            for (offset, byte) in more.into_iter().enumerate() {
                let place = (at * 7 + offset) % bytes.len();
                bytes[place] = byte;
            }
            if let Ok(deb) = Deb::open(&Bytes::from(bytes)) && let Ok(package) = deb.unpack() {
                for entry in package.entries {
                    prop_assert!(entry.path.starts_with('/') && !entry.path.split('/').any(|name| name == ".."));
                }
            }
        }
    }
}
