//! The two checksums of what lies on a disk.

/// CRC-32 (ISO 3309), as in GPT: UEFI specification 2.10, section 5.3.2.
pub fn crc32(bytes: &[u8]) -> u32 {
    !reflected(0xedb8_8320, bytes)
}

/// CRC-32C (RFC 3720, appendix B.4) as ext4 uses it: begun with ones, not inverted at the end.
pub fn crc32c_of_ext4(bytes: &[u8]) -> u32 {
    reflected(0x82f6_3b78, bytes)
}

/// `polynomial` has its bits reversed.
fn reflected(polynomial: u32, bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let byte = u32::try_from(index).expect("less than 256");
        (0..8).fold(byte, |sum, _| (sum >> 1) ^ (polynomial & (sum & 1).wrapping_neg()))
    });
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (sum >> 8) ^ table[usize::from(sum.to_le_bytes()[0] ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_of_their_specifications() {
        // RFC 3720, B.4: 32 bytes of zeros give aa 36 91 8a, inverted at the end.
        assert_eq!(!crc32c_of_ext4(&[0; 32]), 0x8a91_36aa);
        // The check value of CRC-32 in every catalogue of them.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
