//! How the members of a .deb are compressed: in parallel, and the same bytes whatever the number of threads.

use std::fmt;
use std::io::{self, Write};

use anyhow::{Context, Result};
use flate2::{Compress, Crc, FlushCompress, Status};
use liblzma::stream::{Check, MtStreamBuilder};
use liblzma::write::XzEncoder;
use rayon::prelude::*;
use zstd::zstd_safe::CParameter;

use crate::{bail_input, input_error};

/// A compression that dpkg knows, with its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// gzip, levels 0 to 9.
    Gzip(u32),
    /// xz, presets 0 to 9.
    Xz(u32),
    /// zstd, levels 1 to 22.
    Zstd(i32),
}

/// xz preset 0. Measured on the 101 MB arm64 Nomad: preset 0 gives 23.9 MB in 5 s of CPU time, 1 gives 23.0 MB in 9 s, 6
/// (dpkg-deb's default) 20.3 MB in more than 40 s: a tenth of the size is not worth its time for a package made here and
/// used here. Not zstd, which is quicker still: dpkg knows it from Debian 12 on.
impl Default for Compression {
    fn default() -> Self {
        Self::Xz(0)
    }
}

impl Compression {
    /// Reads nfpm's spelling: `gzip`, `gzip:6`, `xz`, `zstd:19`, `none`; levels of xz are ours. Without a level: gzip 9
    /// as nfpm, xz 6 and zstd 19 as dpkg-deb.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let within = |least: u32, most: u32, default: u32| match level {
            None => Ok(default),
            Some(level) => level
                .parse()
                .ok()
                .filter(|level| (least..=most).contains(level))
                .ok_or_else(|| input_error!("`{text}` in `deb.compression`: {name} has the levels {least} to {most}")),
        };
        Ok(match name {
            "gzip" => Self::Gzip(within(0, 9, 9)?),
            "xz" => Self::Xz(within(0, 9, 6)?),
            "zstd" => Self::Zstd(within(1, 22, 19)?.cast_signed()),
            "none" if level.is_none() => Self::None,
            _ => {
                let known = ["gzip", "xz", "zstd", "none"].map(str::to_owned);
                let nearest = crate::definition::nearest(name, &known);
                bail_input!(
                    "`{text}` in `deb.compression` is unknown{nearest}: dpkg has gzip, xz, zstd, each with a level as in \
                     `zstd:3`, and none"
                )
            }
        })
    }

    /// What it adds to a member's name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip(_) => ".gz",
            Self::Xz(_) => ".xz",
            Self::Zstd(_) => ".zst",
        }
    }

    /// A writer that compresses into `out`.
    pub fn encoder<W: Write>(self, out: W) -> Result<Encoder<W>> {
        let threads = std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
        Ok(match self {
            Self::None => Encoder::None(out),
            Self::Gzip(level) => Encoder::Gzip(Gzip::new(out, level).context("preparing gzip")?),
            Self::Xz(preset) => {
                let stream = MtStreamBuilder::new()
                    .threads(threads)
                    .block_size(xz_block(preset))
                    .preset(preset)
                    .check(Check::Crc64)
                    .encoder()
                    .context("preparing xz")?;
                Encoder::Xz(XzEncoder::new_stream(out, stream))
            }
            Self::Zstd(level) => Encoder::Zstd(zstd_encoder(out, level, threads).context("preparing zstd")?),
        })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::Xz(level) => write!(f, "xz:{level}"),
            Self::Zstd(level) => write!(f, "zstd:{level}"),
        }
    }
}

/// With workers, be it one, the bytes do not depend on their number; without, they differ.
fn zstd_encoder<W: Write>(out: W, level: i32, threads: u32) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, level)?;
    encoder.multithread(threads)?;
    if level <= SMALL_WINDOW {
        encoder.set_parameter(CParameter::JobSize(ZSTD_JOB))?;
        encoder.set_parameter(CParameter::OverlapSizeLog(NO_OVERLAP))?;
    }
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Blocks are compressed independently and in parallel; their size, not the number of threads, decides the bytes. A
/// block is at least as large as the preset's dictionary (xz(1)), or a larger preset would be for nothing. Measured at
/// preset 6 on the 101 MB arm64 Nomad against the three dictionaries of xz and dpkg-deb: an eighth less CPU time, for
/// matches are looked for in less; 0.9 % more bytes.
fn xz_block(preset: u32) -> u64 {
    match preset {
        0..=6 => 8 << 20,
        7 => 16 << 20,
        8 => 32 << 20,
        _ => 64 << 20,
    }
}

/// The last zstd level whose jobs are [`ZSTD_JOB`] and not the library's four windows: to here a window has 2 MiB. Above,
/// windows are larger, and looking back into the job before is worth its time.
const SMALL_WINDOW: i32 = 4;

/// Bytes per job of the fast zstd levels: one window. Measured at level 3 on the 101 MB arm64 Nomad against the library's
/// 8 MiB with an overlap: an eighth less CPU time, 0.8 % more bytes.
const ZSTD_JOB: u32 = 2 << 20;

/// That a job does not look back into the one before (`ZSTD_c_overlapLog` of zstd.h).
const NO_OVERLAP: u32 = 1;

/// A compressor on its way.
#[allow(missing_debug_implementations, reason = "the encoders inside have none")]
#[allow(clippy::large_enum_variant, reason = "one per package")]
pub enum Encoder<W: Write> {
    /// As it is.
    None(W),
    /// gzip
    Gzip(Gzip<W>),
    /// xz
    Xz(XzEncoder<W>),
    /// zstd
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Writes what is left; gives back the writer below.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::None(out) => Ok(out),
            Self::Gzip(gzip) => gzip.finish(),
            Self::Xz(xz) => xz.finish(),
            Self::Zstd(zstd) => zstd.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(out) => out.write(bytes),
            Self::Gzip(gzip) => gzip.write(bytes),
            Self::Xz(xz) => xz.write(bytes),
            Self::Zstd(zstd) => zstd.write(bytes),
        }
    }

    /// Flushing would cut blocks short and change the bytes: only the end is written out.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes per independently compressed piece of a gzip stream.
const PIECE: usize = 1 << 20;

/// Pieces that are compressed together; memory is about twice this.
const PIECES: usize = 16;

/// How far deflate looks back: each piece begins with the end of the one before as its dictionary.
const WINDOW: usize = 32 << 10;

/// One gzip stream (RFC 1952) from pieces that are deflated in parallel, as pigz makes it: every piece but the last ends
/// with an empty stored block, so that they can be put together at a byte.
#[derive(Debug)]
pub struct Gzip<W: Write> {
    out: W,
    level: u32,
    /// The last [`WINDOW`] of what is written, then what is not.
    buffer: Vec<u8>,
    /// Where in `buffer` the unwritten begins.
    begin: usize,
    crc: Crc,
}

impl<W: Write> Gzip<W> {
    fn new(mut out: W, level: u32) -> io::Result<Self> {
        // No name, no time; XFL 2: slowest, 4: fastest; OS 3: Unix.
        let effort = match level {
            9 => 2,
            1 => 4,
            _ => 0,
        };
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, effort, 3])?;
        Ok(Self {
            out,
            level,
            buffer: Vec::with_capacity(WINDOW + PIECES * PIECE),
            begin: 0,
            crc: Crc::new(),
        })
    }

    /// Compresses what is in the buffer; only the last call may have a piece that is not whole.
    fn drain(&mut self, last: bool) -> io::Result<()> {
        let (buffer, begin) = (&self.buffer, self.begin);
        let mut starts: Vec<usize> = (begin..buffer.len()).step_by(PIECE).collect();
        if starts.is_empty() {
            starts.push(begin);
        }
        let final_start = starts.last().copied();
        let level = self.level;
        let pieces: Vec<io::Result<(Vec<u8>, Crc)>> = starts
            .into_par_iter()
            .map(|start| {
                let piece = &buffer[start..buffer.len().min(start + PIECE)];
                let before = &buffer[start.saturating_sub(WINDOW)..start];
                let mut crc = Crc::new();
                crc.update(piece);
                let end = last && Some(start) == final_start;
                Ok((deflate(piece, before, level, end)?, crc))
            })
            .collect();
        for piece in pieces {
            let (bytes, crc) = piece?;
            self.out.write_all(&bytes)?;
            self.crc.combine(&crc);
        }
        let keep = self.buffer.len().saturating_sub(WINDOW);
        self.buffer.drain(..keep);
        self.begin = self.buffer.len();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        self.drain(true)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.begin + PIECES * PIECE - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if taken == room {
            self.drain(false)?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One piece as raw deflate blocks.
fn deflate(piece: &[u8], before: &[u8], level: u32, last: bool) -> io::Result<Vec<u8>> {
    let mut deflate = Compress::new(flate2::Compression::new(level), false);
    if !before.is_empty() && level > 0 {
        deflate.set_dictionary(before).map_err(io::Error::other)?;
    }
    let mut out = Vec::with_capacity(piece.len() / 2 + 1024);
    let mode = if last {
        FlushCompress::Finish
    } else {
        FlushCompress::Sync
    };
    let mut rest = piece;
    loop {
        let before = deflate.total_in();
        let status = deflate.compress_vec(rest, &mut out, mode).map_err(io::Error::other)?;
        let taken = usize::try_from(deflate.total_in() - before).expect("no more than there is");
        rest = &rest[taken..];
        let room_left = out.len() < out.capacity();
        match status {
            Status::StreamEnd => return Ok(out),
            // A flush is complete when deflate leaves room in the output (zlib's manual, deflate()).
            Status::Ok | Status::BufError if rest.is_empty() && room_left && !last => return Ok(out),
            Status::Ok | Status::BufError => out.reserve(PIECE / 4),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn compressed(compression: Compression, content: &[u8]) -> Vec<u8> {
        let mut encoder = compression.encoder(Vec::new()).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// What the real tool makes of it.
    fn decompressed(tool: &str, content: &[u8]) -> Vec<u8> {
        let mut child = Command::new(tool)
            .arg("-dc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || input.write_all(content).unwrap());
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            output.stdout
        })
    }

    fn sample(length: usize) -> Vec<u8> {
        (0..length)
            .map(|i| u8::try_from((i * i / 977 + i / 3) % 253).unwrap())
            .collect()
    }

    #[test]
    fn the_real_tools_read_every_kind_and_size() {
        for length in [0, 1, 511, PIECE, PIECE + 1, PIECES * PIECE, PIECES * PIECE + 7] {
            let content = sample(length);
            for (tool, compression) in [
                ("gzip", Compression::Gzip(0)),
                ("gzip", Compression::Gzip(1)),
                ("gzip", Compression::Gzip(9)),
                ("xz", Compression::Xz(0)),
                ("zstd", Compression::Zstd(1)),
            ] {
                let made = compressed(compression, &content);
                assert!(decompressed(tool, &made) == content, "{compression} of {length} bytes");
            }
        }
    }

    #[test]
    fn pieces_cost_little() {
        let content = sample(3 * PIECE);
        let ours = compressed(Compression::Gzip(6), &content).len();
        let mut single = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        single.write_all(&content).unwrap();
        let single = single.finish().unwrap().len();
        assert!(ours < single + single / 50 + 100, "{ours} and {single}");
    }

    #[test]
    fn threads_do_not_change_the_bytes() {
        let content = sample(5 * PIECE);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| compressed(Compression::Gzip(6), &content))
        };
        assert!(with(1) == with(3));
    }

    #[test]
    fn threads_do_not_change_zstds_bytes() {
        let content = sample(3 * usize::try_from(ZSTD_JOB).unwrap() + 5);
        let with = |threads: u32, level: i32| {
            let mut encoder = zstd_encoder(Vec::new(), level, threads).unwrap();
            encoder.write_all(&content).unwrap();
            encoder.finish().unwrap()
        };
        for level in [3, 9] {
            let one = with(1, level);
            assert!(one == with(2, level) && one == with(7, level), "level {level}");
            assert!(decompressed("zstd", &one) == content, "level {level}");
        }
    }

    #[test]
    fn spellings() {
        for (text, compression) in [
            ("gzip", Compression::Gzip(9)),
            ("gzip:1", Compression::Gzip(1)),
            ("xz", Compression::Xz(6)),
            ("zstd:3", Compression::Zstd(3)),
            ("none", Compression::None),
        ] {
            assert_eq!(Compression::parse(text).unwrap(), compression);
        }
        for (text, part) in [
            ("gzp", "did you mean `gzip`?"),
            ("zstd:99", "levels 1 to 22"),
            ("xz:fast", "levels 0 to 9"),
            ("none:1", "is unknown"),
            ("gzip:1:2", "levels 0 to 9"),
        ] {
            let error = Compression::parse(text).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn gzip_gives_back_what_it_took(content in proptest::collection::vec(any::<u8>(), 0..5000), level in 0_u32..=9) {
            let made = compressed(Compression::Gzip(level), &content);
            let mut read = Vec::new();
            io::Read::read_to_end(&mut flate2::read::GzDecoder::new(made.as_slice()), &mut read).unwrap();
            prop_assert_eq!(read, content);
        }
    }
}
