//! Burning around a node's DATA.
//!
//! DATA begins where the image ends, and nothing of it is written over. What is lost is its entry in the partition table,
//! so the image's table is given one before it is written: p4 reaches around it, and p6 links to it. The 4 MiB before DATA,
//! which have what the node remembers of its slots (docs/boot.md), are emptied: the slots are other ones now. `/init` then
//! checks DATA and grows it, as on every boot.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};
use computatom_spec::boot::{ALIGNMENT, DATA_LABEL, mbr};

use super::image::Image;
use super::{PIECE, signature};
use crate::assemble::partitions::{Kind, Partition, SECTOR, Scheme, Table};
use crate::{bail_input, input_error};

/// A block map counts in these.
const BLOCK: u64 = 4096;
/// `struct ext4_super_block` begins here; offsets of `s_blocks_count_lo`, `s_log_block_size`, `s_block_group_nr` and
/// `s_blocks_count_hi` in it.
const SUPERBLOCK: u64 = 1024;
const BLOCKS: usize = 0x4;
const LOG_SIZE: usize = 0x18;
const GROUP: usize = 0x5a;
const BLOCKS_HIGH: usize = 0x150;

/// Gives the image's table an entry for the DATA that is on `card`, which has `room` bytes; gives its size in bytes.
///
/// # Errors
///
/// Wrong input is an image that is not laid out as a Raspberry Pi's card with its `.bmap`, and a card without DATA where
/// this image would have it.
pub fn data(image: &mut Image, card: &File, room: u64) -> Result<u64> {
    let start = image.size();
    let scratch = tables(image)?;
    let table = Table::read(&scratch).map_err(|error| input_error!("{}: {error:#}", image.name()))?;
    let Ok(extended) = table.get(mbr::EXTENDED) else {
        bail_input!(
            "{} has no extended partition for DATA: only cards of a Raspberry Pi keep theirs",
            image.name()
        );
    };
    let known = matches!(table.scheme, Scheme::Mbr { .. }) && extended.end() == start && table.get(mbr::DATA).is_err();
    if !known {
        bail_input!(
            "{} is not laid out as `build` does it, so DATA cannot be kept",
            image.name()
        );
    }
    let size = find(card, start, room)?;
    let table = with_data(table, start, size);
    table
        .write(&scratch)
        .context("making room for DATA in the partition table")?;
    let logical = table
        .partitions
        .iter()
        .filter(|partition| partition.number > mbr::EXTENDED);
    let records = logical.map(|partition| partition.start - ALIGNMENT);
    for at in std::iter::once(0).chain(records) {
        let mut sector = vec![0; usize::try_from(SECTOR)?];
        scratch
            .read_exact_at(&mut sector, at)
            .context("reading the partition table")?;
        image.amend(at, sector);
    }
    image.write_also(start - ALIGNMENT + BLOCK..start);
    Ok(size)
}

/// A file with the tables of the image and nothing else. Their blocks are alone in their pieces, or the first of them.
fn tables(image: &Image) -> Result<File> {
    if !image.mapped() {
        bail_input!("{} has no .bmap beside it, which keeping DATA takes", image.name());
    }
    let begins = image.map().ranges.iter().map(|mapped| &mapped.range);
    let records = begins.filter(|range| range.start.is_multiple_of(PIECE) && range.end - range.start == BLOCK);
    let pieces: Vec<u64> = records.map(|range| range.start / PIECE).collect();
    let scratch = tempfile::tempfile().context("creating a temporary file (is $TMPDIR writable?)")?;
    scratch.set_len(image.size()).context("sizing a temporary file")?;
    let source = image.pieces(pieces.clone())?;
    let (mut buffer, mut compressed) = (vec![0; usize::try_from(PIECE)?], Vec::new());
    while let Some((index, _)) = source.next(&mut buffer, &mut compressed)? {
        let block = &buffer[..usize::try_from(BLOCK)?];
        scratch
            .write_all_at(block, pieces[index] * PIECE)
            .context("writing a temporary file")?;
    }
    Ok(scratch)
}

/// Size of the partition for the DATA that begins at `start`.
fn find(card: &File, start: u64, room: u64) -> Result<u64> {
    let mut superblock = [0; 1024];
    let read = card.read_exact_at(&mut superblock, start + SUPERBLOCK);
    let found = signature::look(card, start);
    let named = found.is_some_and(|(kind, label)| kind == "ext4" && label == DATA_LABEL);
    // Copies of a superblock say of which group they are: one may lie where DATA would begin.
    if read.is_err() || !named || superblock[GROUP..GROUP + 2] != [0, 0] {
        bail_input!(
            "there is no DATA on the card at byte {start}, where this image would have it: the card was burned with other \
             sizes of partitions, or never started; without --keep-data it is burned anew"
        );
    }
    let word = |at: usize| {
        let bytes = superblock[at..at + 4].try_into().unwrap_or_default();
        u64::from(u32::from_le_bytes(bytes))
    };
    let blocks = word(BLOCKS) | word(BLOCKS_HIGH) << 32;
    let size = 1024_u64
        .checked_shl(u32::try_from(word(LOG_SIZE))?)
        .and_then(|block| blocks.checked_mul(block))
        .and_then(|bytes| bytes.checked_next_multiple_of(ALIGNMENT));
    let left = room.saturating_sub(start) / ALIGNMENT * ALIGNMENT;
    match size {
        Some(size) if size > 0 && size <= left => Ok(size),
        _ => bail_input!(
            "DATA on the card says that it is larger than the card: its superblock is damaged; without --keep-data the card \
             is burned anew"
        ),
    }
}

fn with_data(mut table: Table, start: u64, size: u64) -> Table {
    for partition in table
        .partitions
        .iter_mut()
        .filter(|partition| partition.number == mbr::EXTENDED)
    {
        partition.size = start + size - partition.start;
    }
    table.partitions.push(Partition {
        number: mbr::DATA,
        kind: Kind::Linux,
        start,
        size,
    });
    table
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::medium::{Medium, Opened};
    use super::super::testing::{MIB, OLD, Sample, noise, open, said};
    use super::super::write::burn;
    use super::*;
    use crate::assemble::testing::oracle;
    use crate::reporter::Reporter;

    /// An image with a Raspberry Pi's partitions, its map as `build` makes it; `seed` is what its root holds.
    fn laid_out(root_mib: u64, seed: u32) -> (Sample, u64) {
        use crate::assemble::partitions::Table;
        let sizes = crate::definition::image::Partitions {
            bootsel_mib: 4,
            boot_mib: 4,
            root_mib,
        };
        let table = Table::raspberrypi(&sizes, 0xc0de_0042).unwrap();
        let mut sample = Sample::new(vec![0; usize::try_from(table.disk_size()).unwrap()]);
        let path = sample.raw();
        table
            .write(&std::fs::File::options().read(true).write(true).open(&path).unwrap())
            .unwrap();
        sample.content = std::fs::read(&path).unwrap();
        let root = table.get(5).unwrap().start;
        let at = usize::try_from(root).unwrap();
        sample.content[at..at + MIB].copy_from_slice(&noise(MIB, seed));
        let written = table.written().into_iter();
        let blocks = written.map(|range| range.start / 4096 * 4096..range.end.next_multiple_of(4096));
        let mut ranges: Vec<_> = blocks.chain(std::iter::once(root..root + (1 << 20))).collect();
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        sample.map(&ranges);
        (sample, table.disk_size())
    }

    #[test]
    fn data_of_a_node_is_kept_where_that_is_asked_for() {
        use computatom_agent::disk::table::{self, Change, Room};
        let card_size = 96 << 20;
        let (first, start) = laid_out(8, 1);
        let target = first.path("card");
        std::fs::write(&target, vec![OLD; card_size]).unwrap();
        let burn_image = |sample: &Sample, keep: bool| -> Result<()> {
            let mut image = open(&sample.framed(4 * MIB))?;
            if keep {
                let card = std::fs::File::open(&target).unwrap();
                crate::burn::keep::data(&mut image, &card, card_size as u64)?;
            }
            burn(&image, &Opened::open(&target)?, &Reporter::new(true)).map(drop)
        };
        let boot = || {
            let mut disk = std::fs::File::options().read(true).write(true).open(&target).unwrap();
            match table::ensure_data(&mut disk, 7, 1 << 20, |_, _| Ok(())).unwrap() {
                Room::Ready { extent, change, .. } => (extent, change),
                Room::None(reason) => panic!("{reason}"),
            }
        };
        // A node that has never started has no DATA.
        burn_image(&first, false).unwrap();
        assert!(said(burn_image(&first, true)).contains("there is no DATA on the card"));
        burn_image(&first, false).unwrap();
        let (extent, change) = boot();
        assert_eq!((extent.start * 512, change), (start, Change::Added));
        // A file system smaller than its partition: the power failed before it was grown.
        oracle(
            Command::new("mke2fs")
                .args(["-q", "-F", "-t", "ext4", "-L", "DATA", "-E"])
                .arg(format!("offset={start}"))
                .arg(&target)
                .arg("40M"),
        );
        let offset = |number: u64| usize::try_from(start + number).unwrap();
        let mut bytes = std::fs::read(&target).unwrap();
        let before = bytes[offset(0)..].to_vec();
        // What the node remembers of its slots.
        bytes.splice(offset(0) - (1 << 20)..offset(0) - (1 << 20) + 5, *b"state");
        std::fs::write(&target, &bytes).unwrap();

        let (second, same) = laid_out(8, 2);
        assert_eq!(same, start);
        burn_image(&second, true).unwrap();
        let card = std::fs::read(&target).unwrap();
        assert!(card[offset(0)..] == before, "DATA is as it was");
        assert!(
            card[offset(0) - 4 * MIB + 4096..offset(0)]
                .iter()
                .all(|byte| *byte == 0),
            "the state is gone"
        );
        let root = 20 * MIB;
        assert!(
            card[root..root + MIB] == second.content[root..root + MIB],
            "the root is the new one"
        );
        let verified = oracle(Command::new("sfdisk").arg("--verify").arg(&target));
        assert!(verified.contains("No errors detected"), "{verified}");
        let (extent, change) = boot();
        assert_eq!((extent.start * 512, change), (start, Change::Grown));
        assert_eq!(boot(), (extent, Change::None));
        assert!(std::fs::read(&target).unwrap()[offset(0)..] == before);
        // Once more: the table may be gone, as after a burning that was interrupted.
        let wiped = Opened::open(&target).unwrap();
        wiped.zero(0..1 << 20).unwrap();
        burn_image(&second, true).unwrap();
        assert_eq!(boot().0, extent);

        // Other sizes, other images, and a superblock that lies.
        assert!(said(burn_image(&laid_out(12, 3).0, true)).contains("other sizes of partitions"));
        assert!(said(burn_image(&Sample::usual(), true)).contains("which keeping DATA takes"));
        let usual = Sample::usual();
        usual.map(&Sample::USUAL);
        assert_eq!(crate::failure::exit_code(&burn_image(&usual, true).unwrap_err()), 2);
        let mut large = std::fs::read(&target).unwrap();
        large[offset(1024 + 4)..offset(1024 + 8)].fill(0xff);
        std::fs::write(&target, &large).unwrap();
        assert!(said(burn_image(&second, true)).contains("larger than the card"));
    }
}
