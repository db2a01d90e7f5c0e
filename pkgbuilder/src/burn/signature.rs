//! What a partition holds, as far as its first blocks tell, and what its owner calls it.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Enough for every signature below.
const LENGTH: usize = 68 << 10;

/// A file system: its kind and its label, which may be empty.
pub(super) fn look(file: &File, at: u64) -> Option<(&'static str, String)> {
    let mut head = vec![0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        match file.read_at(&mut head[filled..], at + filled as u64) {
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
    }
    recognise(&head[..filled])
}

/// Offsets as libblkid has them (`libblkid/src/superblocks`).
fn recognise(head: &[u8]) -> Option<(&'static str, String)> {
    let has = |at: usize, magic: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(magic));
    let label = |at: usize, length: usize| {
        let bytes = head.get(at..at + length).unwrap_or_default();
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text)
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .collect::<String>()
    };
    let found = match () {
        () if has(0x438, b"\x53\xef") => ("ext4", label(0x478, 16)),
        () if has(0x10040, b"_BHRfS_M") => ("btrfs", label(0x1012b, 64)),
        () if has(0, b"XFSB") => ("xfs", label(108, 12)),
        () if has(1024, b"\x10\x20\xf5\xf2") => ("f2fs", String::new()),
        () if has(0, b"hsqs") => ("squashfs", String::new()),
        () if has(0, b"LUKS\xba\xbe") => ("LUKS", String::new()),
        () if has(536, b"LVM2 001") || has(24, b"LVM2 001") => ("LVM", String::new()),
        () if has(4086, b"SWAPSPACE2") => ("swap", label(1052, 16)),
        () if has(3, b"NTFS    ") => ("ntfs", String::new()),
        () if has(3, b"EXFAT   ") => ("exfat", String::new()),
        () if has(82, b"FAT32   ") => ("vfat", label(71, 11)),
        () if has(54, b"FAT1") => ("vfat", label(43, 11)),
        () if has(0x8001, b"CD001") => ("iso9660", label(0x8028, 32)),
        () => return None,
    };
    Some(match found {
        ("vfat", label) if label == "NO NAME" => ("vfat", String::new()),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::assemble::testing::oracle;

    #[test]
    fn what_the_makers_of_file_systems_make_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for (program, options, kind, label) in [
            ("mke2fs", &["-q", "-t", "ext4", "-L", "photos"][..], "ext4", "photos"),
            ("mkfs.vfat", &["-F", "16", "-n", "BOOT"], "vfat", "BOOT"),
            ("mkfs.vfat", &["-F", "32", "-n", "LARGE"], "vfat", "LARGE"),
            ("mkfs.vfat", &[], "vfat", ""),
            ("mkswap", &["-L", "paging"], "swap", "paging"),
        ] {
            let file = File::create(&path).unwrap();
            file.set_len(64 << 20).unwrap();
            oracle(Command::new(program).args(options).arg(&path));
            let found = look(&File::open(&path).unwrap(), 0);
            assert_eq!(found, Some((kind, label.to_owned())), "{program} {options:?}");
            file.set_len(0).unwrap();
        }
        assert_eq!(look(&File::open(&path).unwrap(), 0), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = recognise(&bytes);
        }
    }
}
