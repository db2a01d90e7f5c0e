//! An image to burn, in whatever it is compressed.

/// The frames of `.zst`.
mod frames;

/// The block map.
pub mod map;

/// Reading, piece by piece.
mod pieces;

/// The size in an `.xz`.
mod xz;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};

use self::frames::{Frame, Index};
use self::map::Map;
pub use self::pieces::Pieces;
use self::pieces::Stream;
use super::PIECE;
use crate::reporter::Reporter;
use crate::verify::digest::Hasher;
use crate::verify::sums::Sums;
use crate::verify::{Sha256, sums};
use crate::{bail_input, input_error, interrupt};

const SUMS: &str = "SHA256SUMS";
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";
/// Blocks of a map.
const BLOCK: u64 = 4096;
/// Bytes read at once on the way through the file.
const CHUNK: usize = 1 << 20;
/// Frames of at most this size are decompressed each for itself; larger ones would be decompressed once for each piece.
const LARGEST_FRAME: u64 = 2 * PIECE;
/// More frames than this are none that `build` made.
const MOST_FRAMES: usize = 1 << 20;
/// A map is read whole.
const LARGEST_MAP: u64 = 64 << 20;

/// An image that can be burned.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    file: File,
    form: Form,
    map: Map,
    /// `SHA256SUMS` beside it has its digest.
    vouched: bool,
    /// A map beside it says which bytes count.
    mapped: bool,
    /// Bytes that are written in place of the image's own.
    amended: Vec<(u64, Vec<u8>)>,
}

/// How the image is stored.
#[derive(Debug)]
enum Form {
    Raw,
    Frames(Vec<Frame>),
    Stream(Codec),
}

/// What can only be decompressed from its beginning.
#[derive(Clone, Copy, Debug)]
enum Codec {
    Zstd,
    Xz { streams: usize },
}

impl Image {
    /// Opens the image at `path`, checks it against `SHA256SUMS`, and takes the `.bmap`, if they lie beside it.
    ///
    /// # Errors
    ///
    /// Wrong input is what is no image, is damaged, or has another digest than the list says.
    pub fn open(path: &Path, reporter: &Reporter) -> Result<Self> {
        let name = path.display();
        let file = File::open(path).map_err(|error| input_error!("cannot open {name}: {error}"))?;
        let metadata = file.metadata().with_context(|| format!("looking at {name}"))?;
        if !metadata.is_file() {
            bail_input!("{name} is not a file: name an image (.img.zst, .img.xz or .img)");
        }
        let sums = listed(path)?;
        let expected = sums.as_ref().and_then(|sums| sums.of(path));
        let (form, size) = survey(&file, metadata.len(), expected, path, reporter)?;
        let found = bmap(path, sums.as_ref(), reporter)?;
        let mapped = found.is_some();
        let (mut map, map_vouched) = found.unwrap_or_else(|| (Map::whole(size), false));
        if expected.is_some() && map_vouched {
            // Both are as they were built: nothing is learnt by hashing what they say of each other.
            map.ranges.iter_mut().for_each(|mapped| mapped.digest = None);
        }
        if map.size != size {
            bail_input!(
                "{name} has {size} bytes, and the .bmap beside it is for an image of {}: they are not of one build",
                map.size
            );
        }
        if size == 0 {
            bail_input!("{name} is empty: it is no image");
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            form,
            map,
            vouched: expected.is_some(),
            mapped,
            amended: Vec::new(),
        })
    }

    /// Bytes of the image on a card.
    pub fn size(&self) -> u64 {
        self.map.size
    }

    /// What of it is to be written.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// Whether `SHA256SUMS` had its digest.
    pub fn vouched(&self) -> bool {
        self.vouched
    }

    /// Whether a map lay beside it.
    pub fn mapped(&self) -> bool {
        self.mapped
    }

    /// Its name, for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Has `bytes` written at `at`, in place of what the image has there.
    pub(super) fn amend(&mut self, at: u64, bytes: Vec<u8>) {
        self.write_also(at / BLOCK * BLOCK..(at + bytes.len() as u64).next_multiple_of(BLOCK));
        self.amended.push((at, bytes));
    }

    /// Has a range written, where it was not mapped.
    pub(super) fn write_also(&mut self, range: Range<u64>) {
        self.map.add(range);
    }

    /// A reader of the pieces with the numbers `wanted`, which ascend.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read.
    pub fn pieces(&self, wanted: Vec<u64>) -> Result<Pieces<'_>> {
        let stream = match self.form {
            Form::Stream(codec) => Some(Mutex::new(Stream {
                reader: open_stream(&self.file, codec)?,
                at: 0,
            })),
            Form::Raw | Form::Frames(_) => None,
        };
        Ok(Pieces {
            image: self,
            wanted,
            next: AtomicU64::new(0),
            stream,
        })
    }

    fn damaged(&self, error: impl std::fmt::Display) -> anyhow::Error {
        input_error!(
            "{} is damaged or ends early, so that it cannot be decompressed ({error}): build or download it again",
            self.name()
        )
    }
}

/// Reads the file once: for its digest, and for what it is and how large.
fn survey(file: &File, length: u64, expected: Option<Sha256>, path: &Path, reporter: &Reporter) -> Result<(Form, u64)> {
    let name = path.display();
    let mut magic = [0; 6];
    let begins = usize::try_from(length.min(6))?;
    file.read_exact_at(&mut magic[..begins], 0)
        .with_context(|| format!("reading {name}"))?;
    let zstd = magic.starts_with(ZSTD_MAGIC);
    let damaged =
        |error: anyhow::Error| input_error!("{name} is no image, or damaged: {error:#}; build or download it again");
    let mut index = zstd.then(Index::default);
    if zstd || expected.is_some() {
        let digest = pass(file, length, expected.is_some(), reporter, |chunk| match &mut index {
            Some(index) => index.feed(chunk),
            None => Ok(()),
        });
        // A wrong digest says more than where the frames went wrong.
        let digest = match digest {
            Err(error) if error.is::<crate::failure::InputError>() && expected.is_some() => {
                pass(file, length, true, reporter, |_| Ok(()))?
            }
            other => other.map_err(|error| {
                if error.is::<crate::failure::InputError>() {
                    damaged(error)
                } else {
                    error
                }
            })?,
        };
        if let Some(expected) = expected
            && digest != Some(expected)
        {
            bail_input!(
                "{name} is not what {SUMS} beside it says: it was damaged or changed after the build; build or download \
                 it again"
            );
        }
    }
    if let Some(index) = index {
        return match index.finish().map_err(damaged)? {
            Some(frames) if frames.len() <= MOST_FRAMES && frames.iter().all(|frame| frame.size <= LARGEST_FRAME) => {
                let size = frames.last().map_or(0, |frame| frame.start + frame.size);
                Ok((Form::Frames(frames), size))
            }
            Some(frames) => {
                let size = frames.last().map_or(0, |frame| frame.start.saturating_add(frame.size));
                Ok((Form::Stream(Codec::Zstd), size))
            }
            None => Ok((
                Form::Stream(Codec::Zstd),
                count(file, Codec::Zstd, reporter).map_err(damaged)?,
            )),
        };
    }
    if magic == XZ_MAGIC {
        let measured = xz::measure(file).map_err(damaged)?;
        let streams = measured.streams;
        return Ok((Form::Stream(Codec::Xz { streams }), measured.size));
    }
    if path
        .extension()
        .is_some_and(|extension| extension == "zst" || extension == "xz")
    {
        bail_input!("{name} is not compressed as its name says: it was damaged or renamed");
    }
    Ok((Form::Raw, length))
}

/// Reads the file from its beginning to its end; answers the digest if it is wanted.
fn pass(
    file: &File,
    length: u64,
    digest: bool,
    reporter: &Reporter,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Option<Sha256>> {
    let bar = reporter.bytes("checking the image", length);
    let mut hasher = digest.then(Hasher::default);
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    while at < length {
        interrupt::check()?;
        let part = &mut chunk[..usize::try_from((length - at).min(CHUNK as u64))?];
        file.read_exact_at(part, at).context("reading the image")?;
        if let Some(hasher) = &mut hasher {
            hasher.update(part);
        }
        each(part)?;
        at += part.len() as u64;
        bar.inc(part.len() as u64);
    }
    bar.finish_and_clear();
    Ok(hasher.map(Hasher::finish))
}

/// The size of what does not say it: by decompressing it once.
fn count(file: &File, codec: Codec, reporter: &Reporter) -> Result<u64> {
    let bar = reporter.busy("measuring the image, which does not say its size");
    let mut reader = open_stream(file, codec)?;
    let mut chunk = vec![0; CHUNK];
    let mut size = 0;
    loop {
        interrupt::check()?;
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => size += read as u64,
            Err(error) => bail_input!("{error}"),
        }
    }
    bar.finish_and_clear();
    Ok(size)
}

fn open_stream(file: &File, codec: Codec) -> Result<Box<dyn Read + Send>> {
    let mut handle = file.try_clone().context("opening the image again")?;
    handle.seek(SeekFrom::Start(0)).context("reading the image")?;
    let reader = BufReader::with_capacity(CHUNK, handle);
    Ok(match codec {
        Codec::Zstd => Box::new(zstd::Decoder::with_buffer(reader).context("starting zstd")?),
        Codec::Xz { streams: 1 } => Box::new(liblzma::read::XzDecoder::new_parallel(reader)),
        Codec::Xz { .. } => Box::new(liblzma::read::XzDecoder::new_multi_decoder(reader)),
    })
}

/// The list of digests beside the image.
fn listed(path: &Path) -> Result<Option<Sums>> {
    let list = path.with_file_name(SUMS);
    let Ok(metadata) = std::fs::metadata(&list) else {
        return Ok(None);
    };
    if metadata.len() > sums::LARGEST {
        bail_input!(
            "{} has {} bytes: it is no list of digests",
            list.display(),
            metadata.len()
        );
    }
    let text = std::fs::read(&list).with_context(|| format!("reading {}", list.display()))?;
    Sums::parse(&list.display().to_string(), &text).map(Some)
}

/// The map beside the image (`home.bmap` for `home.img.zst`, as `build` and bmaptool name it), and whether `SHA256SUMS`
/// has its digest.
fn bmap(path: &Path, sums: Option<&Sums>, reporter: &Reporter) -> Result<Option<(Map, bool)>> {
    let mut stem = path.to_owned();
    loop {
        let candidate = PathBuf::from(format!("{}.bmap", stem.display()));
        if candidate.is_file() {
            return read_map(&candidate, sums).map(Some);
        }
        let extension = stem.extension().unwrap_or_default();
        if !["zst", "xz", "img"].iter().any(|known| extension == *known) {
            reporter.step(format_args!(
                "there is no .bmap beside {}: all of the image is written, zeros too",
                path.display()
            ));
            return Ok(None);
        }
        stem.set_extension("");
    }
}

fn read_map(path: &Path, sums: Option<&Sums>) -> Result<(Map, bool)> {
    let name = path.display();
    let metadata = std::fs::metadata(path).with_context(|| format!("looking at {name}"))?;
    if metadata.len() > LARGEST_MAP {
        bail_input!("{name} has {} bytes: it is no block map", metadata.len());
    }
    let text = std::fs::read(path).with_context(|| format!("reading {name}"))?;
    let expected = sums.and_then(|sums| sums.of(path));
    if let Some(expected) = expected
        && Sha256::of(&text) != expected
    {
        bail_input!("{name} is not what {SUMS} beside it says: it was damaged or changed after the build");
    }
    let map = Map::parse(&text).map_err(|error| {
        input_error!("{name} cannot be used: {error:#}; get it again, or move it away to write the image whole")
    })?;
    Ok((map, expected.is_some()))
}
