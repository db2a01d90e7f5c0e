//! Files of the right shape that hold nothing.

use std::io::Write;

/// A program of the right shape for UEFI, with one section of data and room for the headers of more.
pub(crate) fn efi_program(data: usize) -> Vec<u8> {
    let (pe, headers) = (0x80, 0x400);
    let mut program = vec![0; headers];
    let mut put = |at: usize, bytes: &[u8]| program[at..at + bytes.len()].copy_from_slice(bytes);
    let word = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    let stored = data.next_multiple_of(512);
    put(0, b"MZ");
    put(0x3c, &word(pe));
    put(pe, b"PE\0\0\x64\x86\x01\0");
    // The optional header: 240 bytes, with sixteen data directories.
    put(pe + 20, &[240, 0, 0x22, 0]);
    let optional = pe + 24;
    put(optional, &[0x0b, 0x02]);
    for (at, value) in [
        (8, stored),
        (32, 0x1000),
        (36, 512),
        (56, 0x1000 + data.next_multiple_of(0x1000)),
        (60, headers),
        (108, 16),
    ] {
        put(optional + at, &word(value));
    }
    // UEFI application.
    put(optional + 68, &[10, 0]);
    let section = optional + 240;
    put(section, b".data");
    for (at, value) in [(8, data), (12, 0x1000), (16, stored), (20, headers), (36, 0x4000_0040)] {
        put(section + at, &word(value));
    }
    program.extend(vec![0xa5; data]);
    program.resize(headers + stored, 0);
    program
}

/// A kernel module of nothing but its `.modinfo`.
pub(super) fn module(depends: &str) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder
        .write_all(format!("\x7fELF\0license=GPL\0depends={depends}\0name=x\0").as_bytes())
        .unwrap();
    encoder.finish().unwrap()
}

/// A program of one segment, as firmware is: its header, the header of the segment, and `content`.
pub(crate) fn program(content: &str) -> Vec<u8> {
    let mut program = vec![0; 84];
    program[..4].copy_from_slice(b"\x7fELF");
    program[28] = 52;
    program[42] = 32;
    program[44] = 1;
    program[52 + 4] = 84;
    program[52 + 16] = u8::try_from(content.len()).unwrap();
    program.extend_from_slice(content.as_bytes());
    program
}

/// A device tree of these nodes, each after its parent, and nothing else.
pub(crate) fn device_tree(nodes: &[&str]) -> Vec<u8> {
    let mut tree = dtoolkit::model::DeviceTree::new();
    for path in nodes {
        let (parent, name) = path.rsplit_once('/').unwrap();
        let parent = tree
            .find_node_mut(if parent.is_empty() { "/" } else { parent })
            .unwrap();
        parent.add_child(dtoolkit::model::DeviceTreeNode::new(name).unwrap());
    }
    tree.to_dtb()
}
