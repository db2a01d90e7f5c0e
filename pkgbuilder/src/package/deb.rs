//! The .deb container (`deb(5)`): an `ar` archive of `debian-binary`, `control.tar` and `data.tar`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use anyhow::{Context, Result, bail};
use ar::{Builder, Header};

use super::compression::Compression;
use super::control::Control;
use super::data::{self, Entry};
use super::scripts::Scripts;

/// The largest member that an `ar` header can tell: its size has ten decimal digits.
const LARGEST_MEMBER: u64 = 9_999_999_999;

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
    /// collected in a nameless file, for what stands before them needs their sums and their length.
    pub fn write(&self, out: impl Write) -> Result<()> {
        let epoch = u64::try_from(self.epoch).context("packing: the time stamp is before 1970")?;
        let (mut data, md5sums) = self.data()?;
        let size = data.stream_position().context("packing")?;
        if size > LARGEST_MEMBER {
            bail!("packing: {size} bytes of compressed files are more than a .deb can hold");
        }
        data.rewind().context("packing")?;
        let extension = self.compression.extension();
        let mut archive = Builder::new(out);
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
        member(&format!("data.tar{extension}"), size, &mut BufReader::new(data))
    }

    /// The compressed files and their `md5sums`.
    fn data(&self) -> Result<(File, String)> {
        let file = tempfile::tempfile().context("creating a temporary file")?;
        let mut encoder = self.compression.encoder(BufWriter::new(file))?;
        let md5sums = data::write_tar(&self.entries, self.epoch, &mut encoder)?;
        let writer = encoder.finish().context("compressing")?;
        let file = writer.into_inner().map_err(std::io::IntoInnerError::into_error);
        Ok((file.context("writing a temporary file")?, md5sums))
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
