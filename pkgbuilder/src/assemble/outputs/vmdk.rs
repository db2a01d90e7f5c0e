//! `.vmdk`: the disk of a virtual machine of VMware or VirtualBox, in the form for transport (`streamOptimized`; VMware,
//! Virtual Disk Format 5.0, "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse Extents").
//!
//! Grains of 64 KiB, each deflated for itself; a table behind the 512 that it is for; at the end the directory and the
//! header once more. Grains of zeros are not in the file.

use std::io::{self, Write};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::source::Source;

const SECTOR: u64 = 512;
/// Sectors of a grain.
const GRAIN: u64 = 128;
/// Grains of one table.
const GRAINS: usize = 512;
/// Where the descriptor is, and how many sectors it may have; where the first grain is.
const DESCRIPTOR: (u64, u64) = (1, 20);
const OVERHEAD: u64 = 128;
/// The text has its lines ended as it should; grains are compressed; markers tell what is what.
const FLAGS: u32 = 1 | 1 << 16 | 1 << 17;
/// The directory is where the footer says.
const AT_END: u64 = u64::MAX;
/// Kinds of markers.
const TABLE: u32 = 1;
const DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;

/// Writes the image as a disk of `virtual_size` bytes, a multiple of a grain; `id` is what the descriptor calls its content.
pub(super) fn write(source: &Source<'_>, virtual_size: u64, id: u32, out: &mut impl Write) -> Result<()> {
    let capacity = virtual_size / SECTOR;
    let grains = usize::try_from(virtual_size / (GRAIN * SECTOR))?;
    let mut writer = Writer {
        out,
        at: 0,
        table: vec![0; GRAINS],
        directory: Vec::new(),
    };
    writer.begin(capacity, id).context("writing a vmdk file")?;
    let full = usize::try_from(GRAIN * SECTOR)?;
    source.in_chunks(
        full,
        |chunk| {
            let Some(content) = chunk.content else { return Ok(None) };
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content).context("compressing a grain")?;
            // A disk is whole grains.
            encoder
                .write_all(&vec![0; full - content.len()])
                .context("compressing a grain")?;
            Ok(Some(encoder.finish().context("compressing a grain")?))
        },
        |number, content| writer.grain(number, content.as_deref()).context("writing a vmdk file"),
    )?;
    writer.end(grains, capacity).context("writing a vmdk file")
}

struct Writer<'a, W> {
    out: &'a mut W,
    /// Sectors written.
    at: u64,
    /// Where the grains of the table under construction are.
    table: Vec<u32>,
    /// Where the tables are; 0 for one without grains.
    directory: Vec<u32>,
}

impl<W: Write> Writer<'_, W> {
    fn begin(&mut self, capacity: u64, id: u32) -> io::Result<()> {
        self.put(&header(capacity, AT_END), 1)?;
        self.put(descriptor(capacity, id).as_bytes(), OVERHEAD - 1)
    }

    fn grain(&mut self, number: u64, content: Option<&[u8]>) -> io::Result<()> {
        let place = usize::try_from(number % GRAINS as u64).map_err(io::Error::other)?;
        if place == 0 && number > 0 {
            self.end_table()?;
        }
        let Some(content) = content else { return Ok(()) };
        self.table[place] = sector(self.at)?;
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        let marker = [&(number * GRAIN).to_le_bytes()[..], &length.to_le_bytes(), content].concat();
        let sectors = (marker.len() as u64).div_ceil(SECTOR);
        self.put(&marker, sectors)
    }

    /// Writes the table of the last 512 grains, if there is one among them.
    fn end_table(&mut self) -> io::Result<()> {
        if self.table.iter().all(|grain| *grain == 0) {
            self.directory.push(0);
            return Ok(());
        }
        let table: Vec<u8> = self.table.iter().flat_map(|grain| grain.to_le_bytes()).collect();
        self.marked(TABLE, &table)?;
        self.directory
            .push(sector(self.at)? - sector(table.len() as u64 / SECTOR)?);
        self.table.fill(0);
        Ok(())
    }

    fn end(mut self, grains: usize, capacity: u64) -> io::Result<()> {
        self.end_table()?;
        self.directory.resize(grains.div_ceil(GRAINS), 0);
        let directory: Vec<u8> = self.directory.iter().flat_map(|table| table.to_le_bytes()).collect();
        self.marked(DIRECTORY, &directory)?;
        let place = self.at - (directory.len() as u64).div_ceil(SECTOR);
        self.marked(FOOTER, &header(capacity, place))?;
        // The marker of the end is a sector of zeros.
        self.put(&[], 1)
    }

    /// Writes a marker and what it is for.
    fn marked(&mut self, kind: u32, content: &[u8]) -> io::Result<()> {
        let sectors = (content.len() as u64).div_ceil(SECTOR);
        self.put(&[&sectors.to_le_bytes()[..], &[0; 4], &kind.to_le_bytes()].concat(), 1)?;
        self.put(content, sectors)
    }

    /// Writes bytes and zeros up to so many sectors.
    fn put(&mut self, bytes: &[u8], sectors: u64) -> io::Result<()> {
        let length = usize::try_from(sectors * SECTOR).map_err(io::Error::other)?;
        self.out.write_all(bytes)?;
        self.out.write_all(&vec![0; length - bytes.len()])?;
        self.at += sectors;
        Ok(())
    }
}

fn sector(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| io::Error::other("a vmdk file has at most 2 TiB"))
}

/// `SparseExtentHeader`: 512 bytes, of which most are reserved.
fn header(capacity: u64, directory: u64) -> Vec<u8> {
    let mut header = b"KDMV".to_vec();
    let words = |header: &mut Vec<u8>, words: &[u64]| header.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    header.extend(3_u32.to_le_bytes());
    header.extend(FLAGS.to_le_bytes());
    words(&mut header, &[capacity, GRAIN, DESCRIPTOR.0, DESCRIPTOR.1]);
    header.extend(512_u32.to_le_bytes());
    // No second directory.
    words(&mut header, &[0, directory, OVERHEAD]);
    // It was closed as it should; what line ends look like, to find files that passed as text; deflate (RFC 1951).
    header.extend(b"\0\n \r\n");
    header.extend(1_u16.to_le_bytes());
    header.resize(512, 0);
    header
}

fn descriptor(capacity: u64, id: u32) -> String {
    // As disks without a geometry of their own have it, since there were disks of 8 GiB.
    let (heads, sectors) = (16, 63);
    let cylinders = (capacity / (heads * sectors)).min(16_383);
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={id:08x}\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
         # Extent description\nRW {capacity} SPARSE \"disk.vmdk\"\n\n\
         # The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\nddb.adapterType = \"ide\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"{heads}\"\nddb.geometry.sectors = \"{sectors}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::super::testing::oracle;
    use super::super::source::testing::{holes, made};
    use super::*;

    #[test]
    fn qemu_reads_the_same_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (raw, path) = (folder.path().join("x.img"), folder.path().join("x.vmdk"));
        for (size, virtual_size) in [(3 << 20, 3 << 20), (400_000_512, 16 << 30)] {
            let (file, mapped) = made(&raw, &holes(size), size);
            let source = Source {
                image: &file,
                size,
                mapped: &mapped,
            };
            let mut bytes = Vec::new();
            write(&source, virtual_size, 0xc0de_0042, &mut bytes).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            oracle(Command::new("qemu-img").arg("check").arg(&path));
            let compared = oracle(
                Command::new("qemu-img")
                    .args(["compare", "-f", "raw", "-F", "vmdk"])
                    .args([&raw, &path]),
            );
            assert!(compared.contains("Images are identical"), "{compared}");
            let about = oracle(Command::new("qemu-img").args(["info", "--output=json"]).arg(&path));
            let about: serde_json::Value = serde_json::from_str(&about).unwrap();
            assert_eq!(about["virtual-size"], virtual_size);
            assert_eq!(about["format-specific"]["data"]["create-type"], "streamOptimized");
            assert_eq!(about["format-specific"]["data"]["cid"], 0xc0de_0042_u32);
            assert!(bytes.len() < 2 << 20, "zeros are left out");
        }
    }
}
