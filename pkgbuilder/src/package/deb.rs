//! The .deb container (`deb(5)`): an `ar` archive of `debian-binary`, `control.tar.xz` and `data.tar.xz`.

use std::io::Write;

use anyhow::{Context, Result};
use ar::{Builder, Header};
use liblzma::stream::{Check, MtStreamBuilder};
use liblzma::write::XzEncoder;

use super::control::Control;
use super::data::{self, Entry};
use super::scripts::Scripts;

/// xz preset. Measured on the 101 MB arm64 Nomad: preset 1 gives 23.0 MB in 10 s of CPU time, 6 (dpkg-deb's default)
/// 21 MB in more than 40 s: a tenth of the size is not worth four times the work for a package made here and used here.
const PRESET: u32 = 1;

/// Blocks are compressed independently and in parallel; their size, not the number of threads, decides the bytes.
const BLOCK: u64 = 8 << 20;

/// A package in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its control stanza.
    pub control: Control,
    /// Its files, as [`data::arrange`] left them.
    pub entries: Vec<Entry>,
    /// Its maintainer scripts.
    pub scripts: Scripts,
    /// Every time stamp in it, seconds since 1970.
    pub epoch: i64,
}

impl Package {
    /// `nomad_1.10.5-1_arm64.deb`
    pub fn file_name(&self) -> String {
        let Control {
            package, version, arch, ..
        } = &self.control;
        format!("{package}_{version}_{arch}.deb")
    }

    /// Writes the .deb: the same package gives the same bytes, whatever machine writes it.
    pub fn write(&self, out: impl Write) -> Result<()> {
        let epoch = u64::try_from(self.epoch).context("packing: the time stamp is before 1970")?;
        let mut archive = Builder::new(out);
        let mut member = |name: &str, content: &[u8]| -> Result<()> {
            let mut header = Header::new(name.as_bytes().to_vec(), content.len() as u64);
            header.set_mtime(epoch);
            header.set_mode(0o100_644);
            archive
                .append(&header, content)
                .with_context(|| format!("writing {name}"))
        };
        member("debian-binary", b"2.0\n")?;
        member("control.tar.xz", &compressed_tar(&self.control_entries(), epoch)?)?;
        member("data.tar.xz", &compressed_tar(&self.entries, epoch)?)
    }

    fn control_entries(&self) -> Vec<Entry> {
        let conffiles: Vec<String> = self
            .entries
            .iter()
            .filter(|entry| entry.conffile)
            .map(|entry| format!("{}\n", entry.path))
            .collect();
        let mut entries = vec![
            Entry::file("/control", 0o644, self.control.to_string().into_bytes()),
            Entry::file("/md5sums", 0o644, data::md5sums(&self.entries).into_bytes()),
        ];
        if !conffiles.is_empty() {
            entries.push(Entry::file("/conffiles", 0o644, conffiles.concat().into_bytes()));
        }
        for (name, text) in self.scripts.members() {
            entries.push(Entry::file(&format!("/{name}"), 0o755, text.as_bytes().to_vec()));
        }
        data::arrange(&mut entries);
        entries
    }
}

fn compressed_tar(entries: &[Entry], epoch: u64) -> Result<Vec<u8>> {
    let threads = std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    let stream = MtStreamBuilder::new()
        .threads(threads)
        .block_size(BLOCK)
        .preset(PRESET)
        .check(Check::Crc64)
        .encoder()
        .context("preparing to compress")?;
    let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
    data::write_tar(entries, epoch, &mut encoder)?;
    encoder.finish().context("compressing")
}
