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
