//! Fresh cards: the builder's own tables and boot partitions with a kernel of a few bytes, and roots with real trees.

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use computatom_agent::disk::BlockDevice;
use computatom_agent::disk::memory::Memory;
use computatom_spec::boot::{gpt, mbr};
use pkgbuilder::assemble::boards::raspberrypi::Slots;
use pkgbuilder::assemble::boards::rockchip::Extlinux;
use pkgbuilder::assemble::boards::uefi::Programs;
use pkgbuilder::assemble::boards::{self, Boot, BootInput, BootVolume};
use pkgbuilder::assemble::fat::{self, Files};
use pkgbuilder::assemble::partitions::Table;
use pkgbuilder::assemble::verity;
use pkgbuilder::definition::image::Partitions;
use pkgbuilder::verify::Sha256;

/// Bytes of a root here.
const ROOT: u64 = 40_000;
const SIGNATURE: u32 = 0xc0de_0042;

/// The image, and where it ends.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) bytes: Memory,
    /// The first byte of DATA.
    pub(crate) end: u64,
    /// The partition of DATA.
    pub(crate) data: u32,
    /// The first byte of slot A's root.
    pub(crate) root_a: u64,
}

/// What a Raspberry Pi starts from, on a card of `size` that was used before: behind the image lies something else.
/// `both` slots have a system, as after a first update.
pub(crate) fn raspberrypi(size: u64, both: bool) -> Image {
    let (table, file) = begin("raspberrypi-arm64");
    let hashes = [root(&file, &table, mbr::ROOT_A, 1), root(&file, &table, mbr::ROOT_B, 2)];
    let input = |root_hash| BootInput {
        table: &table,
        root_hash,
        cmdline: &[],
    };
    let mut volumes = slots().volumes(&input(hashes[0])).unwrap();
    if both {
        let slot_b = volumes
            .iter_mut()
            .find(|volume| volume.partition == mbr::BOOT_B)
            .unwrap();
        let roots = [mbr::ROOT_A, mbr::ROOT_B].map(|number| table.partuuid(number).unwrap());
        point_at_b(&mut slot_b.files, "cmdline.txt", hashes, &roots);
    } else {
        empty_root_b(&file, &table, mbr::ROOT_B);
    }
    write(&file, &table, &volumes);
    finish(&file, &table, size, mbr::DATA, mbr::ROOT_A)
}

/// What a UEFI machine starts from.
pub(crate) fn uefi(size: u64, both: bool) -> Image {
    let (table, file) = begin("uefi-amd64");
    let hashes = [root(&file, &table, gpt::ROOT_A, 1), root(&file, &table, gpt::ROOT_B, 2)];
    let volumes = |root_hash| {
        let input = BootInput {
            table: &table,
            root_hash,
            cmdline: &[],
        };
        programs().volumes(&input).unwrap()
    };
    let mut fresh = volumes(hashes[0]);
    if both {
        // The kernel of an update differs in its command line alone, which has the same length.
        let path = format!("EFI/Linux/{}", gpt::KERNEL_A);
        let mut other = volumes(hashes[1]).remove(0).files;
        let kernel = replace(
            &other.remove(&path).unwrap(),
            &table.partuuid(gpt::ROOT_A).unwrap(),
            &table.partuuid(gpt::ROOT_B).unwrap(),
        );
        fresh[0].files.insert(format!("EFI/Linux/{}", gpt::KERNEL_B), kernel);
    } else {
        empty_root_b(&file, &table, gpt::ROOT_B);
    }
    write(&file, &table, &fresh);
    finish(&file, &table, size, gpt::DATA, gpt::ROOT_A)
}

/// What a Rock64 starts from, U-Boot in front of it.
pub(crate) fn rock64(size: u64, both: bool) -> Image {
    let (table, file) = begin("rock64");
    let hashes = [root(&file, &table, gpt::ROOT_A, 1), root(&file, &table, gpt::ROOT_B, 2)];
    let input = BootInput {
        table: &table,
        root_hash: hashes[0],
        cmdline: &[],
    };
    let pieces = extlinux();
    for (at, bytes) in pieces.raw().unwrap() {
        file.write_all_at(&bytes, at).unwrap();
    }
    let mut volumes = pieces.volumes(&input).unwrap();
    if both {
        let roots = [gpt::ROOT_A, gpt::ROOT_B].map(|number| table.partuuid(number).unwrap());
        point_at_b(&mut volumes[0].files, "b/label.conf", hashes, &roots);
    } else {
        empty_root_b(&file, &table, gpt::ROOT_B);
    }
    write(&file, &table, &volumes);
    finish(&file, &table, size, gpt::DATA, gpt::ROOT_A)
}

fn begin(target: &str) -> (Table, File) {
    let sizes = Partitions {
        bootsel_mib: 4,
        boot_mib: 4,
        root_mib: 4,
    };
    let board = boards::find(target).unwrap();
    let table = board.partitions(&sizes, SIGNATURE).unwrap();
    let file = tempfile::tempfile().unwrap();
    file.set_len(table.disk_size()).unwrap();
    table.write(&file).unwrap();
    (table, file)
}

/// A squashfs, as far as its head, and its tree.
fn root(file: &File, table: &Table, number: u8, version: u8) -> Sha256 {
    let start = table.get(number).unwrap().start;
    let mut bytes = vec![version; usize::try_from(ROOT).unwrap()];
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[40..48].copy_from_slice(&ROOT.to_le_bytes());
    file.write_all_at(&bytes, start).unwrap();
    verity::write(file, start, ROOT, SIGNATURE).unwrap()
}

fn empty_root_b(file: &File, table: &Table, number: u8) {
    file.write_all_at(&[0; 4096], table.get(number).unwrap().start).unwrap();
}

fn point_at_b(files: &mut Files, name: &str, hashes: [Sha256; 2], roots: &[String; 2]) {
    let line = replace(&files[name], &roots[0], &roots[1]);
    let line = replace(&line, &hashes[0].to_string(), &hashes[1].to_string());
    files.insert(name.to_owned(), line);
}

/// The same bytes with another text of the same length in its place.
fn replace(bytes: &Bytes, old: &str, new: &str) -> Bytes {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let found = bytes.windows(old.len()).position(|window| window == old.as_bytes());
    let at = found.unwrap_or_else(|| panic!("{old} is not there"));
    bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    bytes.into()
}

fn write(file: &File, table: &Table, volumes: &[BootVolume]) {
    for volume in volumes {
        let partition = table.get(volume.partition).unwrap();
        fat::write(file, partition, volume.label, 1, &volume.files).unwrap();
    }
}

fn finish(file: &File, table: &Table, size: u64, data: u8, root_a: u8) -> Image {
    let end = table.disk_size();
    let mut card = Memory::new(size);
    // Pages of an earlier use: what nobody has written is not zeros.
    for page in (end..end + (64 << 20)).step_by(1 << 20) {
        card.write_at(&[0xef; 8192], page).unwrap();
    }
    let mut bytes = vec![0; usize::try_from(end).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    card.write_at(&bytes, 0).unwrap();
    Image {
        bytes: card,
        end,
        data: data.into(),
        root_a: table.get(root_a).unwrap().start,
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

fn files(named: &[(&str, &[u8])]) -> Files {
    let all = named.iter();
    all.map(|(name, bytes)| ((*name).to_owned(), Bytes::copy_from_slice(bytes)))
        .collect()
}

fn slots() -> Slots {
    let mut kernel = vec![0; 4096];
    kernel[56..60].copy_from_slice(b"ARM\x64");
    let config = "[all]\narm_64bit=1\nupstream_kernel=1\nkernel=kernel8.img\ninitramfs initramfs.img followkernel\n";
    let device_tree = b"\xd0\x0d\xfe\xed";
    // An ELF header that tells of no segments: a whole program to the firmware.
    let mut firmware = [0; 52];
    firmware[..4].copy_from_slice(b"\x7fELF");
    Slots {
        bootcode: Bytes::from_static(b"bootcode"),
        files: files(&[
            ("kernel8.img", &kernel),
            ("initramfs.img", b"070701"),
            ("config.txt", config.as_bytes()),
            ("start.elf", &firmware),
            ("start4.elf", &firmware),
            ("bcm2837-rpi-3-b.dtb", device_tree),
            ("bcm2837-rpi-zero-2-w.dtb", device_tree),
            ("bcm2711-rpi-4-b.dtb", device_tree),
        ]),
        words: "console=tty0 console=ttyS1,115200".to_owned(),
    }
}

fn extlinux() -> Extlinux {
    let mut kernel = vec![0; 4096];
    kernel[56..60].copy_from_slice(b"ARM\x64");
    let device_tree = b"\xd0\x0d\xfe\xed";
    Extlinux {
        loaders: vec![Bytes::from_static(b"idbloader"), Bytes::from_static(device_tree)],
        slot: files(&[
            ("vmlinuz", &kernel),
            ("initrd.img", b"070701"),
            ("board.dtb", device_tree),
        ]),
        consoles: "console=tty1 console=ttyS2,1500000",
    }
}

fn programs() -> Programs {
    Programs {
        suffix: "x64",
        console: "console=tty0 console=ttyS0,115200",
        loader: Bytes::from_static(b"systemd-boot"),
        stub: stub().into(),
        os_release: Bytes::from_static(b"ID=debian\n"),
        release: Bytes::from_static(b"6.12"),
        kernel: stub().into(),
        initramfs: Bytes::from_static(b"070701"),
    }
}

/// A program without sections, and room for the headers of some.
fn stub() -> Vec<u8> {
    let mut stub = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| stub[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &[0x40]);
    put(0x40, b"PE\0\0\x64\x86");
    put(0x40 + 20, &[0x70]);
    let optional = 0x40 + 24;
    put(optional, &[0x0b, 0x02]);
    for (at, value) in [(32, 0x1000_u32), (36, 0x200), (56, 0x1000), (60, 0x400)] {
        put(optional + at, &value.to_le_bytes());
    }
    stub
}
