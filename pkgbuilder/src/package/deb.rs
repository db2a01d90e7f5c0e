//! The .deb container (`deb(5)`): an `ar` archive of `debian-binary`, `control.tar` and `data.tar`.

use std::io::{BufWriter, Read, Seek, Write};

use anyhow::{Context, Result, bail};
use ar::{Builder, Header};
use tempfile::SpooledTempFile;

use super::compression::Compression;
use super::control::Control;
use super::data::{self, Entry};
use super::scripts::Scripts;

/// The largest member that an `ar` header can tell: its size has ten decimal digits.
const LARGEST_MEMBER: u64 = 9_999_999_999;

/// Bytes moved at once.
const CHUNK: usize = 256 << 10;

/// Compressed files of up to this many bytes are collected in memory, those of larger packages in a nameless file.
const IN_MEMORY: usize = 64 << 20;

/// A package that can be written; the contents of large files stay where they are until then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Package {
    /// Its control stanza.
    pub control: Control,
    /// Its files, as [`data::arrange`] left them.
    pub entries: Vec<Entry>,
    /// Its maintainer scripts.
    pub scripts: Scripts,
    /// Further members of control.tar (`triggers`, `templates`).
    pub members: Vec<Entry>,
    /// Every time stamp in it that is not said otherwise, seconds since 1970.
    pub epoch: i64,
    /// How its members are compressed.
    pub compression: Compression,
}

impl Package {
    /// `nomad_1.10.5-1_arm64.deb`
    pub fn file_name(&self) -> String {
        let Control {
            package, version, arch, ..
        } = &self.control;
        // An epoch's colon has no place in a file name (dpkg-name(1)).
        let version = version.split_once(':').map_or(version.as_str(), |(_, rest)| rest);
        format!("{package}_{version}_{arch}.deb")
    }

    /// Writes the .deb: the same package gives the same bytes, whatever machine writes it. The compressed files are
    /// collected first, for what stands before them needs their sums and their length.
    pub fn write(&self, out: impl Write) -> Result<()> {
        let epoch = u64::try_from(self.epoch).context("packing: the time stamp is before 1970")?;
        let (mut data, md5sums) = self.data()?;
        let size = data.stream_position().context("packing")?;
        if size > LARGEST_MEMBER {
            bail!("packing: {size} bytes of compressed files are more than a .deb can hold");
        }
        data.rewind().context("packing")?;
        let extension = self.compression.extension();
        let mut archive = Builder::new(BufWriter::with_capacity(CHUNK, out));
        let mut member = |name: &str, size: u64, content: &mut dyn Read| -> Result<()> {
            let mut header = Header::new(name.as_bytes().to_vec(), size);
            header.set_mtime(epoch);
            header.set_mode(0o100_644);
            archive
                .append(&header, content)
                .with_context(|| format!("writing {name}"))
        };
        member("debian-binary", 4, &mut &b"2.0\n"[..])?;
        let control = self.control_member(md5sums)?;
        let name = format!("control.tar{extension}");
        member(&name, control.len() as u64, &mut control.as_slice())?;
        member(&format!("data.tar{extension}"), size, &mut data)?;
        let mut out = archive.into_inner().context("writing the package")?;
        out.flush().context("writing the package")
    }

    /// The compressed files and their `md5sums`.
    fn data(&self) -> Result<(SpooledTempFile, String)> {
        let mut encoder = self.compression.encoder(tempfile::spooled_tempfile(IN_MEMORY))?;
        let md5sums = data::write_tar(&self.entries, self.epoch, &mut encoder)?;
        let file = encoder.finish().context("compressing, or writing a temporary file")?;
        Ok((file, md5sums))
    }

    fn control_member(&self, md5sums: String) -> Result<Vec<u8>> {
        let conffiles: Vec<String> = self
            .entries
            .iter()
            .filter(|entry| entry.conffile)
            .map(|entry| format!("{}\n", entry.path))
            .collect();
        let mut entries = vec![
            Entry::file("/control", 0o644, self.control.to_string().into_bytes()),
            Entry::file("/md5sums", 0o644, md5sums.into_bytes()),
        ];
        if !conffiles.is_empty() {
            entries.push(Entry::file("/conffiles", 0o644, conffiles.concat().into_bytes()));
        }
        for (name, text) in self.scripts.members() {
            entries.push(Entry::file(&format!("/{name}"), 0o755, text.as_bytes().to_vec()));
        }
        entries.extend(self.members.iter().cloned());
        data::arrange(&mut entries);
        let mut encoder = self.compression.encoder(Vec::new())?;
        data::write_tar(&entries, self.epoch, &mut encoder)?;
        encoder.finish().context("compressing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::data::Body;

    #[test]
    fn more_than_fits_into_memory_is_written_whole() {
        let content = tempfile::NamedTempFile::new().unwrap();
        let size = IN_MEMORY as u64 + 512;
        content.as_file().set_len(size).unwrap();
        let path = content.path().to_owned();
        let package = Package {
            entries: vec![Entry::file("/zeros", 0o644, Body::File { path, size })],
            compression: Compression::None,
            ..Package::default()
        };
        let mut made = tempfile::tempfile().unwrap();
        package.write(&mut made).unwrap();
        made.rewind().unwrap();
        let mut archive = ar::Archive::new(made);
        let mut lengths = Vec::new();
        while let Some(member) = archive.next_entry() {
            let mut member = member.unwrap();
            let read = std::io::copy(&mut member, &mut std::io::sink()).unwrap();
            lengths.push((String::from_utf8(member.header().identifier().to_vec()).unwrap(), read));
        }
        // Two headers, the content, two empty blocks.
        assert_eq!(lengths[2], ("data.tar".to_owned(), 2 * 512 + size + 1024));
        assert_eq!(lengths[0], ("debian-binary".to_owned(), 4));
    }
}
