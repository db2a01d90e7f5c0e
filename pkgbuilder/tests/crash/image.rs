//! A fresh card: the builder's own table and boot partitions with a kernel of a few bytes, and a root with a real tree.

use std::os::unix::fs::FileExt;

use bytes::Bytes;
use computatom_agent::disk::BlockDevice;
use computatom_agent::disk::memory::Memory;
use computatom_spec::boot::mbr;
use pkgbuilder::assemble::boards::{self, BootInput};
use pkgbuilder::assemble::fat::{self, Files};
use pkgbuilder::assemble::verity;
use pkgbuilder::definition::image::Partitions;

/// Bytes of a root here.
const ROOT: u64 = 40_000;

/// The image, and where it ends.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) bytes: Memory,
    pub(crate) end: u64,
}

/// What a Raspberry Pi starts from, on a card of `size` that was used before: behind the image lies something else.
pub(crate) fn raspberrypi(size: u64) -> Image {
    let sizes = Partitions {
        bootsel_mib: 4,
        boot_mib: 4,
        root_mib: 4,
    };
    let board = boards::find("raspberrypi-arm64").unwrap();
    let table = board.partitions(&sizes, 0xc0de_0042).unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(table.end()).unwrap();
    table.write(&file).unwrap();
    let start = table.get(mbr::ROOT_A).unwrap().start;
    file.write_all_at(&squashfs(1), start).unwrap();
    let root_hash = verity::write(&file, start, ROOT, "c0de0042").unwrap();
    let input = BootInput {
        table: &table,
        root_hash,
        cmdline: &[],
    };
    for volume in board.boot_volumes(boot_files(), &input).unwrap() {
        let partition = table.get(volume.partition).unwrap();
        fat::write(&file, partition, volume.label, 1, &volume.files).unwrap();
    }
    let mut card = Memory::new(size);
    // Pages of an earlier use: what nobody has written is not zeros.
    for page in (table.end()..table.end() + (64 << 20)).step_by(1 << 20) {
        card.write_at(&[0xef; 8192], page).unwrap();
    }
    let mut bytes = vec![0; usize::try_from(table.end()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    card.write_at(&bytes, 0).unwrap();
    Image {
        bytes: card,
        end: table.end(),
    }
}

/// The image burned to a card that has been in use, by a tool that leaves out what the image leaves open: the record and
/// the state before DATA, and DATA itself, are still those of the earlier use.
pub(crate) fn burned_again(image: &Image, used: &Memory) -> Memory {
    let mut card = used.clone();
    let open = image.end - computatom_spec::boot::ALIGNMENT;
    let mut bytes = vec![0; usize::try_from(open).unwrap()];
    image.bytes.read_at(&mut bytes, 0).unwrap();
    card.write_at(&bytes, 0).unwrap();
    card
}

/// The head of a squashfs of [`ROOT`] bytes, and a content that tells it from others.
fn squashfs(version: u8) -> Vec<u8> {
    let mut bytes = vec![version; usize::try_from(ROOT).unwrap()];
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[40..48].copy_from_slice(&ROOT.to_le_bytes());
    bytes
}

fn boot_files() -> Files {
    let mut kernel = vec![0; 4096];
    kernel[56..60].copy_from_slice(b"ARM\x64");
    let config = "[all]\narm_64bit=1\nupstream_kernel=1\nkernel=kernel8.img\ninitramfs initramfs.img followkernel\n";
    let device_tree = Bytes::from_static(b"\xd0\x0d\xfe\xed");
    [
        ("kernel8.img", Bytes::from(kernel)),
        ("initramfs.img", Bytes::from_static(b"070701")),
        ("config.txt", Bytes::from_static(config.as_bytes())),
        ("start.elf", Bytes::from_static(b"start")),
        ("start4.elf", Bytes::from_static(b"start4")),
        ("bcm2837-rpi-3-b.dtb", device_tree.clone()),
        ("bcm2711-rpi-4-b.dtb", device_tree),
        ("bootcode.bin", Bytes::from_static(b"bootcode")),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .collect()
}
