use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::assemble::testing::oracle;
use crate::burn::medium::Opened;

const MIB: usize = 1 << 20;
/// What was on a card before.
const OLD: u8 = 0xee;

/// A card in memory, with what cards do wrong.
#[derive(Debug, Default)]
struct Card {
    bytes: Mutex<Vec<u8>>,
    /// Bytes from here on are those from the beginning again: less room than it says.
    wraps_at: Option<u64>,
    /// Writing this byte fails.
    worn_at: Option<u64>,
    /// This byte keeps a bit of what it was.
    stuck_at: Option<u64>,
    /// Where was written, in order.
    writes: Mutex<Vec<Range<u64>>>,
}

impl Card {
    fn used(size: usize) -> Self {
        Self {
            bytes: Mutex::new(vec![OLD; size]),
            ..Self::default()
        }
    }

    fn place(&self, at: u64) -> usize {
        usize::try_from(self.wraps_at.map_or(at, |end| at % end)).unwrap()
    }

    fn content(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

impl Medium for Card {
    fn name(&self) -> &'static str {
        "the card"
    }

    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let range = at..at + bytes.len() as u64;
        self.writes.lock().unwrap().push(range.clone());
        if self.worn_at.is_some_and(|worn| range.contains(&worn)) {
            return Err(rustix::io::Errno::IO.into());
        }
        let mut content = self.bytes.lock().unwrap();
        if self.wraps_at.is_none() && self.stuck_at.is_none() {
            content[self.place(at)..self.place(range.end)].copy_from_slice(bytes);
            return Ok(());
        }
        for (byte, at) in bytes.iter().zip(range) {
            content[self.place(at)] = if self.stuck_at == Some(at) { byte ^ 1 } else { *byte };
        }
        Ok(())
    }

    fn zero(&self, range: Range<u64>) -> io::Result<()> {
        self.write(&vec![0; usize::try_from(range.end - range.start).unwrap()], range.start)
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let content = self.bytes.lock().unwrap();
        if self.wraps_at.is_none() {
            buffer.copy_from_slice(&content[self.place(at)..][..buffer.len()]);
            return Ok(());
        }
        for (byte, at) in buffer.iter_mut().zip(at..) {
            *byte = content[self.place(at)];
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        Ok(())
    }

    fn reread_table(&self) -> bool {
        true
    }
}

/// An image in a folder of its own, stored in some way.
struct Sample {
    folder: tempfile::TempDir,
    content: Vec<u8>,
}

fn noise(length: usize, seed: u32) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed.into()).fill_bytes(&mut bytes);
    bytes
}

impl Sample {
    fn new(content: Vec<u8>) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            content,
        }
    }

    /// A table, three stretches of something, zeros between them.
    fn usual() -> Self {
        let mut content = vec![0; 13 * MIB];
        content[..512].copy_from_slice(&noise(512, 9));
        content[4 * MIB..7 * MIB].copy_from_slice(&noise(3 * MIB, 1));
        content[9 * MIB..9 * MIB + 8192].copy_from_slice(&noise(8192, 2));
        content[12 * MIB - 4096..12 * MIB].fill(7);
        Self::new(content)
    }

    const USUAL: [Range<u64>; 4] = [
        0..4096,
        4 << 20..7 << 20,
        9 << 20..(9 << 20) + 8192,
        (12 << 20) - 4096..12 << 20,
    ];

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn raw(&self) -> PathBuf {
        let path = self.path("x.img");
        std::fs::write(&path, &self.content).unwrap();
        path
    }

    fn framed(&self, frame: usize) -> PathBuf {
        let frames = self
            .content
            .chunks(frame)
            .map(|part| zstd::bulk::compress(part, 1).unwrap());
        let path = self.path("x.img.zst");
        std::fs::write(&path, frames.collect::<Vec<_>>().concat()).unwrap();
        path
    }

    /// As other tools pipe them: one frame without a size.
    fn streamed(&self) -> PathBuf {
        let path = self.path("x.img.zst");
        std::fs::write(&path, zstd::encode_all(self.content.as_slice(), 1).unwrap()).unwrap();
        path
    }

    fn xz(&self) -> PathBuf {
        oracle(
            Command::new("xz")
                .args(["-0", "--keep", "--force", "--block-size=3MiB"])
                .arg(self.raw()),
        );
        self.path("x.img.xz")
    }

    /// A map of whole blocks, with digests.
    fn map(&self, ranges: &[Range<u64>]) {
        let lines = ranges.iter().map(|range| {
            let bytes = &self.content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            let (first, last) = (range.start / 4096, range.end.div_ceil(4096) - 1);
            format!("<Range chksum=\"{}\"> {first}-{last} </Range>\n", Sha256::of(bytes))
        });
        let text = format!(
            "<bmap><ImageSize> {} </ImageSize><BlockSize> 4096 </BlockSize><ChecksumType> sha256 </ChecksumType>\n{}</bmap>",
            self.content.len(),
            lines.collect::<String>()
        );
        std::fs::write(self.path("x.bmap"), text).unwrap();
    }

    fn sums(&self, names: &[&str]) {
        let lines = names.iter().map(|name| {
            let digest = Sha256::of_file(&self.path(name)).unwrap();
            format!("{digest}  {name}\n")
        });
        std::fs::write(self.path("SHA256SUMS"), lines.collect::<String>()).unwrap();
    }

    /// What a used card holds after this has been burned: what is mapped, and what was there elsewhere.
    fn expected(&self, size: usize, ranges: &[Range<u64>]) -> Vec<u8> {
        let mut card = vec![OLD; size];
        card[..MIB.min(self.content.len())].fill(0);
        for range in ranges {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            card[range.clone()].copy_from_slice(&self.content[range]);
        }
        card
    }
}

fn open(path: &Path) -> Result<Image> {
    Image::open(path, &Reporter::new(true))
}

fn burn_to(path: &Path, card: &dyn Medium) -> Result<Burned> {
    burn(&open(path)?, card, &Reporter::new(true))
}

fn said(done: Result<impl std::fmt::Debug>) -> String {
    format!("{:#}", done.unwrap_err())
}

#[test]
fn an_image_in_any_form_comes_to_the_same_card() {
    let sample = Sample::usual();
    let mut whole = sample.content.clone();
    whole.resize(16 * MIB, OLD);
    let mapped = sample.expected(16 * MIB, &Sample::USUAL);
    let forms: [(&str, &dyn Fn() -> PathBuf); 6] = [
        ("raw", &|| sample.raw()),
        ("frames of pieces", &|| sample.framed(4 * MIB)),
        ("frames of another size", &|| sample.framed(300_000)),
        ("a large frame", &|| sample.framed(13 * MIB)),
        ("a stream", &|| sample.streamed()),
        ("xz", &|| sample.xz()),
    ];
    for (form, make) in forms {
        let path = make();
        let _ = std::fs::remove_file(sample.path("x.bmap"));
        let card = Card::used(16 * MIB);
        let burned = burn_to(&path, &card).unwrap();
        assert!(card.content() == whole, "{form}");
        assert_eq!(burned.written, 13 << 20, "{form}");

        sample.map(&Sample::USUAL);
        let card = Card::used(16 * MIB);
        let burned = burn_to(&path, &card).unwrap();
        assert!(card.content() == mapped, "{form}, with a map");
        assert_eq!(burned.written, (3 << 20) + 4 * 4096, "{form}");
    }
}

#[test]
fn the_table_goes_first_and_comes_last() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let card = Card::used(16 * MIB);
    burn_to(&sample.raw(), &card).unwrap();
    let writes = card.writes.into_inner().unwrap();
    assert_eq!(writes.first(), Some(&(0..1 << 20)));
    assert_eq!(writes.last(), Some(&(0..4096)));
    let between = &writes[1..writes.len() - 1];
    assert!(between.iter().all(|range| range.start >= 4096), "{between:?}");
    assert!(between.is_sorted_by_key(|range| range.start), "{between:?}");
}

/// However burning ends, a card is whole or has no table.
fn no_table(card: &Card) -> bool {
    card.content()[..512].iter().all(|byte| *byte == 0)
}

#[test]
fn worn_and_counterfeit_cards_are_found_out_and_do_not_start() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let image = sample.framed(4 * MIB);
    let worn = Card {
        worn_at: Some(9 << 20),
        ..Card::used(16 * MIB)
    };
    let error = said(burn_to(&image, &worn));
    for part in [
        "writing the card",
        "blocks 2304 to 2305",
        "worn",
        "another reader",
        "no partition table",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(no_table(&worn));

    let stuck = Card {
        stuck_at: Some((5 << 20) + 5000),
        ..Card::used(16 * MIB)
    };
    let error = said(burn_to(&image, &stuck));
    assert!(
        error.contains("block 1281 (from byte 5246976) reads back other bytes"),
        "{error}"
    );
    assert!(no_table(&stuck));

    let counterfeit = Card {
        wraps_at: Some(6 << 20),
        ..Card::used(16 * MIB)
    };
    let error = said(burn_to(&image, &counterfeit));
    assert!(error.contains("counterfeit"), "{error}");
    assert!(no_table(&counterfeit));

    let first = Card {
        stuck_at: Some(3),
        ..Card::used(16 * MIB)
    };
    assert!(said(burn_to(&image, &first)).contains("its first block"));
    assert!(first.content()[4..512].iter().all(|byte| *byte == 0));
}

#[test]
fn a_second_run_mends_what_the_first_has_left() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let image = sample.framed(4 * MIB);
    let mut card = Card {
        worn_at: Some(9 << 20),
        ..Card::used(16 * MIB)
    };
    burn_to(&image, &card).unwrap_err();
    card.worn_at = None;
    burn_to(&image, &card).unwrap();
    assert!(card.content() == sample.expected(16 * MIB, &Sample::USUAL));
}

#[test]
fn images_that_are_not_what_they_should_be_are_refused() {
    let sample = Sample::usual();
    sample.map(&Sample::USUAL);
    let path = sample.framed(4 * MIB);
    sample.sums(&["x.img.zst", "x.bmap"]);
    assert!(open(&path).unwrap().vouched());
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[3 * MIB] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    assert!(said(open(&path)).contains("is not what SHA256SUMS beside it says"));
    std::fs::write(&path, &good[..good.len() - 5]).unwrap();
    assert!(said(open(&path)).contains("is not what SHA256SUMS beside it says"));

    // Without a list: cut off, or of another build than its map.
    std::fs::remove_file(sample.path("SHA256SUMS")).unwrap();
    assert!(said(open(&path)).contains("it ends early"));
    let card = Card::used(16 * MIB);
    let other = zstd::bulk::compress(&sample.content[..4 * MIB], 1).unwrap();
    std::fs::write(&path, [other, noise(0, 0)].concat()).unwrap();
    assert!(said(open(&path)).contains("not of one build"));
    let mut content = sample.content.clone();
    content[5 * MIB] ^= 1;
    let changed = Sample { content, ..sample };
    let path = changed.framed(4 * MIB);
    assert!(said(burn_to(&path, &card)).contains("do not belong together: bytes 4194304 to 7340031"));
    assert!(no_table(&card));

    let text = std::fs::read_to_string(changed.path("x.bmap")).unwrap();
    std::fs::write(changed.path("x.bmap"), text.replace("<ImageSize>", "<Size>")).unwrap();
    assert!(said(open(&path)).contains("cannot be used: it has no ImageSize"));
    std::fs::remove_file(changed.path("x.bmap")).unwrap();
    std::fs::write(&path, b"not compressed").unwrap();
    assert!(said(open(&path)).contains("not compressed as its name says"));
    std::fs::write(changed.path("x.img"), b"").unwrap();
    assert!(said(open(&changed.path("x.img"))).contains("is empty"));
    for nothing in ["nothing.img", "."] {
        let error = open(&changed.path(nothing)).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}

#[test]
fn a_file_takes_the_place_of_a_card() {
    // No multiple of any block.
    let sample = Sample::new(noise(5 * MIB + 513, 4));
    let path = sample.xz();
    let target = sample.path("card");
    std::fs::write(&target, vec![OLD; 6 * MIB]).unwrap();
    let mut medium = Opened::open(&target).unwrap();
    medium.fit(sample.content.len() as u64).unwrap();
    burn_to(&path, &medium).unwrap();
    let card = std::fs::read(&target).unwrap();
    assert!(card[..sample.content.len()] == sample.content);
    assert!(card[sample.content.len()..].iter().all(|byte| *byte == OLD) && card.len() == 6 * MIB);

    std::fs::write(&target, b"").unwrap();
    let mut medium = Opened::open(&target).unwrap();
    medium.fit(sample.content.len() as u64).unwrap();
    burn_to(&path, &medium).unwrap();
    assert!(std::fs::read(&target).unwrap() == sample.content);
    assert!(said(Opened::open(Path::new("/dev/null"))).contains("neither a block device nor a file"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_card_is_the_image_wherever_the_map_says(
        stretches in proptest::collection::vec((0_u64..700, 1_u64..700, any::<u32>()), 0..7),
        tail in 0_usize..5000,
        frame in prop_oneof![Just(4 * MIB), Just(1 << 20), 10_000_usize..9_000_000],
        with_map in any::<bool>(),
    ) {
        let (mut content, mut ranges) = (Vec::new(), Vec::new());
        for (gap, blocks, seed) in stretches {
            content.resize(content.len() + usize::try_from(gap * 4096).unwrap(), 0);
            let start = content.len() as u64;
            content.extend(noise(usize::try_from(blocks * 4096).unwrap(), seed));
            ranges.push(start..content.len() as u64);
        }
        content.resize(content.len() + tail + 1, 0);
        let sample = Sample::new(content);
        let card = Card::used(sample.content.len() + 10_000);
        let path = sample.framed(frame);
        let expected = if with_map {
            sample.map(&ranges);
            let mut expected = sample.expected(card.content().len(), &ranges);
            // The first block is written in any case.
            let head = sample.content.len().min(4096);
            expected[..head].copy_from_slice(&sample.content[..head]);
            expected
        } else {
            [sample.content.clone(), vec![OLD; 10_000]].concat()
        };
        burn_to(&path, &card).unwrap();
        prop_assert!(card.content() == expected);
    }
}

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
