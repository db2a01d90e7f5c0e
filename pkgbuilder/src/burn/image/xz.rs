//! How large an `.xz` file is when it is decompressed: its indexes say so (tukaani.org/xz/xz-file-format.txt).

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use crate::bail_input;

/// Length of a stream's header, and of its footer (sections 2.1.1 and 2.1.2).
const HEADER: u64 = 12;
/// An index is read whole; one of this size describes an image of many terabytes.
const LONGEST_INDEX: u64 = 64 << 20;

/// What the indexes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// Bytes when decompressed.
    pub(super) size: u64,
    /// Streams one behind the other: xz itself and `build` write one.
    pub(super) streams: usize,
}

/// Reads the indexes, from the last to the first.
///
/// # Errors
///
/// What is not xz, or ends early, is wrong input.
pub(super) fn measure(file: &File) -> Result<Measured> {
    let mut end = file.metadata().context("reading the size of the image")?.len();
    let mut measured = Measured { size: 0, streams: 0 };
    while end > 0 {
        // Padding between streams is zeros, four at a time (section 2.2).
        let mut word = [0; 4];
        if end < 2 * HEADER {
            bail_input!("it ends early, or is not xz");
        }
        file.read_exact_at(&mut word, end - 4)
            .context("reading the end of a stream")?;
        if word == [0; 4] {
            end -= 4;
            continue;
        }
        let (size, length) = stream(file, end)?;
        measured.size = measured.size.saturating_add(size);
        measured.streams += 1;
        end -= length;
    }
    if measured.streams == 0 {
        bail_input!("it is empty");
    }
    Ok(measured)
}

/// Size of the content of the stream that ends at `end`, and its length in the file.
fn stream(file: &File, end: u64) -> Result<(u64, u64)> {
    let mut footer = [0; 12];
    file.read_exact_at(&mut footer, end - HEADER)
        .context("reading the footer of a stream")?;
    if footer[10..] != *b"YZ" {
        bail_input!("it does not end as an xz file does: it was cut off, or is no image");
    }
    let stored = u32::from_le_bytes([footer[4], footer[5], footer[6], footer[7]]);
    let length = (u64::from(stored) + 1) * 4;
    if length > LONGEST_INDEX || length + 2 * HEADER > end {
        bail_input!("its index has {length} bytes, which cannot be");
    }
    let mut index = vec![0; usize::try_from(length)?];
    file.read_exact_at(&mut index, end - HEADER - length)
        .context("reading the index of a stream")?;
    let Some((size, blocks)) = records(&index) else {
        bail_input!("its index is damaged");
    };
    let length = length + 2 * HEADER + blocks;
    if length > end {
        bail_input!("its index tells of more than there is");
    }
    Ok((size, length))
}

/// Bytes of all blocks, decompressed and as stored (section 4).
fn records(index: &[u8]) -> Option<(u64, u64)> {
    let mut bytes = index.iter().copied();
    if bytes.next()? != 0 {
        return None;
    }
    let (mut size, mut stored) = (0_u64, 0_u64);
    for _ in 0..number(&mut bytes)? {
        let unpadded = number(&mut bytes)?;
        stored = stored.checked_add(unpadded.checked_next_multiple_of(4)?)?;
        size = size.checked_add(number(&mut bytes)?)?;
    }
    Some((size, stored))
}

/// A number of one to nine bytes with seven bits each (section 1.2).
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let byte = bytes.next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::assemble::testing::oracle;

    #[test]
    fn xz_says_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &content).unwrap();
        oracle(
            Command::new("xz")
                .args(["-0", "--block-size=1MiB", "--keep"])
                .arg(&path),
        );
        let mut file = std::fs::read(folder.path().join("x.xz")).unwrap();
        let measured = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(bytes).unwrap();
            measure(&file)
        };
        let size = content.len() as u64;
        assert_eq!(measured(&file).unwrap(), Measured { size, streams: 1 });
        for cut in [file.len() - 1, file.len() / 2, 10, 0] {
            assert!(measured(&file[..cut]).is_err(), "{cut}");
        }
        let again = file.clone();
        file.extend([0; 8]);
        file.extend(again);
        let twice = Measured {
            size: 2 * size,
            streams: 2,
        };
        assert_eq!(measured(&file).unwrap(), twice);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), length in 0_u8..40) {
            let _ = records(&bytes);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.write_all(&[0, 0, 0, 0, length, 0, 0, 0, 0, 4, b'Y', b'Z']).unwrap();
            let _ = measure(&file);
        }
    }
}
