//! `.qcow2`: the disk of a virtual machine, version 3 of the format (QEMU, docs/interop/qcow2.txt).
//!
//! Clusters of zeros are not in the file, nor is what the virtual disk is larger than the image. Clusters are not
//! compressed: a root is compressed already, and of `vm` for amd64 it would save 1 in 300.

use std::io::{self, Write};

use anyhow::{Context, Result};

use super::source::Source;

/// Bytes of a cluster.
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const CLUSTER_BITS: u32 = 16;
/// Entries of 8 bytes in one cluster: of a table of the second level, and of the refcount table.
const ENTRIES: u64 = CLUSTER / 8;
/// Counts of 16 bits in one cluster.
const COUNTS: u64 = CLUSTER / 2;
/// That an entry's cluster is used once, and may be written to.
const COPIED: u64 = 1 << 63;
/// Length of the header without the fields that came after the first of version 3.
const HEADER: u32 = 104;

/// Where everything will lie in the file.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    source: Source<'a>,
    /// In bytes.
    virtual_size: u64,
    /// Numbers of the clusters of the disk that hold something, in order.
    data: Vec<u64>,
    /// Numbers of the second-level tables that are there.
    tables: Vec<u64>,
    refcount_table: u64,
    refcount_blocks: u64,
    l1_clusters: u64,
}

impl<'a> Plan<'a> {
    /// Looks through the image for what a disk of `virtual_size` bytes has to hold.
    pub(super) fn of(source: Source<'a>, virtual_size: u64) -> Result<Self> {
        let mut data = Vec::new();
        source.in_chunks(
            usize::try_from(CLUSTER)?,
            |chunk| Ok(chunk.content.is_some()),
            |number, holds| {
                if holds {
                    data.push(number);
                }
                Ok(())
            },
        )?;
        let mut tables: Vec<u64> = data.iter().map(|cluster| cluster / ENTRIES).collect();
        tables.dedup();
        let l1_clusters = l1_entries(virtual_size).div_ceil(ENTRIES).max(1);
        let others = 1 + l1_clusters + tables.len() as u64 + data.len() as u64;
        // The counts count their own clusters as well.
        let (mut refcount_table, mut refcount_blocks) = (1, 1);
        loop {
            let blocks = (others + refcount_table + refcount_blocks).div_ceil(COUNTS);
            let table = blocks.div_ceil(ENTRIES);
            if (table, blocks) == (refcount_table, refcount_blocks) {
                break;
            }
            (refcount_table, refcount_blocks) = (table, blocks);
        }
        Ok(Self {
            source,
            virtual_size,
            data,
            tables,
            refcount_table,
            refcount_blocks,
            l1_clusters,
        })
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        (self.first_data() + self.data.len() as u64) * CLUSTER
    }

    fn first_block(&self) -> u64 {
        1 + self.refcount_table
    }

    fn l1(&self) -> u64 {
        self.first_block() + self.refcount_blocks
    }

    fn first_table(&self) -> u64 {
        self.l1() + self.l1_clusters
    }

    fn first_data(&self) -> u64 {
        self.first_table() + self.tables.len() as u64
    }

    /// Writes the file: header, counts, tables, data.
    pub(super) fn write(&self, out: &mut impl Write) -> Result<()> {
        self.write_tables(out).context("writing the tables of a qcow2 file")?;
        let zeros = vec![0; usize::try_from(CLUSTER)?];
        self.source.in_chunks(
            zeros.len(),
            |chunk| Ok(chunk.content.map(<[u8]>::to_vec)),
            |_, content| {
                if let Some(content) = content {
                    out.write_all(&content)
                        .and_then(|()| out.write_all(&zeros[content.len()..]))
                        .context("writing a qcow2 file")?;
                }
                Ok(())
            },
        )
    }

    fn write_tables(&self, out: &mut impl Write) -> io::Result<()> {
        let mut cluster = Cluster::default();
        self.header(&mut cluster)?;
        cluster.end(out, 1)?;
        for block in 0..self.refcount_blocks {
            cluster.put(((self.first_block() + block) * CLUSTER).to_be_bytes());
        }
        cluster.end(out, self.refcount_table)?;
        for _ in 0..self.first_data() + self.data.len() as u64 {
            cluster.put(1_u16.to_be_bytes());
        }
        cluster.end(out, self.refcount_blocks)?;
        let mut there = (self.first_table()..).zip(&self.tables).peekable();
        for number in 0..l1_entries(self.virtual_size) {
            let table = there.next_if(|(_, table)| **table == number);
            cluster.put(table.map_or(0, |(at, _)| (at * CLUSTER) | COPIED).to_be_bytes());
        }
        cluster.end(out, self.l1_clusters)?;
        let mut there = (self.first_data()..).zip(&self.data).peekable();
        for table in &self.tables {
            for number in table * ENTRIES..(table + 1) * ENTRIES {
                let data = there.next_if(|(_, data)| **data == number);
                cluster.put(data.map_or(0, |(at, _)| (at * CLUSTER) | COPIED).to_be_bytes());
            }
            cluster.end(out, 1)?;
        }
        Ok(())
    }

    fn header(&self, cluster: &mut Cluster) -> io::Result<()> {
        let word = |value: u64| u32::try_from(value).map_err(io::Error::other);
        cluster.put(*b"QFI\xfb");
        cluster.put(3_u32.to_be_bytes());
        // No backing file: its name's place and length.
        cluster.put([0; 8 + 4]);
        cluster.put(CLUSTER_BITS.to_be_bytes());
        cluster.put(self.virtual_size.to_be_bytes());
        // Not encrypted.
        cluster.put([0; 4]);
        cluster.put(word(l1_entries(self.virtual_size))?.to_be_bytes());
        cluster.put((self.l1() * CLUSTER).to_be_bytes());
        cluster.put(CLUSTER.to_be_bytes());
        cluster.put(word(self.refcount_table)?.to_be_bytes());
        // No snapshots: their number and place; no features: incompatible, compatible, clearable.
        cluster.put([0; 4 + 8 + 3 * 8]);
        // Counts of 1 << 4 bits.
        cluster.put(4_u32.to_be_bytes());
        cluster.put(HEADER.to_be_bytes());
        Ok(())
    }
}

/// Entries of the table of the first level: each for a table of the second, which is one cluster.
fn l1_entries(virtual_size: u64) -> u64 {
    virtual_size.div_ceil(CLUSTER * ENTRIES)
}

/// Clusters of tables under construction.
#[derive(Debug, Default)]
struct Cluster(Vec<u8>);

impl Cluster {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.extend_from_slice(&bytes);
    }

    /// Writes what was put, filled up to `clusters`, and begins anew.
    fn end(&mut self, out: &mut impl Write, clusters: u64) -> io::Result<()> {
        let length = usize::try_from(clusters * CLUSTER).map_err(io::Error::other)?;
        debug_assert!(self.0.len() <= length, "the plan has room for its tables");
        self.0.resize(length, 0);
        out.write_all(&self.0)?;
        self.0.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::super::super::testing::oracle;
    use super::super::source::testing::{holes, made};
    use super::*;

    fn written(folder: &Path, parts: &[(u64, Vec<u8>)], size: u64, virtual_size: u64) -> (PathBuf, PathBuf) {
        let raw = folder.join("x.img");
        let (file, mapped) = made(&raw, parts, size);
        let source = Source {
            image: &file,
            size,
            mapped: &mapped,
        };
        let plan = Plan::of(source, virtual_size).unwrap();
        let mut bytes = Vec::new();
        plan.write(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, plan.size());
        let path = folder.join("x.qcow2");
        std::fs::write(&path, bytes).unwrap();
        (raw, path)
    }

    #[test]
    fn qemu_finds_no_error_and_the_same_disk() {
        let folder = tempfile::tempdir().unwrap();
        for (size, virtual_size) in [
            (1 << 20, 1 << 20),
            (1_200_000_000 + 512, 3 << 30),
            (70_000_128, 5 << 40),
        ] {
            let (raw, path) = written(folder.path(), &holes(size), size, virtual_size);
            let checked = oracle(Command::new("qemu-img").arg("check").arg(&path));
            assert!(checked.contains("No errors were found on the image"), "{checked}");
            let compared = oracle(
                Command::new("qemu-img")
                    .args(["compare", "-f", "raw", "-F", "qcow2"])
                    .args([&raw, &path]),
            );
            assert!(compared.contains("Images are identical"), "{compared}");
            let about = oracle(Command::new("qemu-img").args(["info", "--output=json"]).arg(&path));
            let about: serde_json::Value = serde_json::from_str(&about).unwrap();
            assert_eq!(about["virtual-size"], virtual_size);
            assert_eq!(about["format-specific"]["data"]["compat"], "1.1");
            assert!(std::fs::metadata(&path).unwrap().len() < 20 << 20, "zeros are left out");
        }
    }

    #[test]
    fn a_disk_of_nothing_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let (_, path) = written(folder.path(), &[], 4 << 20, 16 << 30);
        oracle(Command::new("qemu-img").arg("check").arg(&path));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 4 * CLUSTER);
    }
}
