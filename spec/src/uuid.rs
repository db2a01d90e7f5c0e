//! UUIDs, which UEFI calls GUIDs.

use std::fmt;

/// A UUID (RFC 9562), its bytes in the order in which it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The one of version 8, which is made by a rule of one's own (RFC 9562, section 5.8): that it is the beginning of a
    /// SHA-256.
    pub fn of_digest(digest: [u8; 32]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// Reads the usual form, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let plain = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
        let lengths = groups.iter().map(|group| group.len());
        if !plain || !lengths.eq([8, 4, 4, 4, 12]) {
            return None;
        }
        let number = u128::from_str_radix(&groups.concat(), 16).ok()?;
        Some(Self(number.to_be_bytes()))
    }

    /// As UEFI stores it: the first three groups little endian (UEFI specification 2.10, appendix A).
    pub fn to_disk(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }

    /// The one that UEFI has stored so.
    pub fn from_disk(bytes: [u8; 16]) -> Self {
        Self(Self(bytes).to_disk())
    }
}

/// The usual form (RFC 9562, section 4).
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_shown_and_read_in_its_usual_form() {
        let text = "0fc63daf-8483-4772-8e79-3d69d8477de4";
        let uuid = Uuid::parse(&text.to_uppercase()).unwrap();
        assert_eq!(uuid.to_string(), text);
        assert_eq!(uuid.0[..4], [0x0f, 0xc6, 0x3d, 0xaf]);
        for wrong in [
            "",
            "0fc63daf84834772-8e79-3d69-d8477de4",
            "0fc63daf-8483-4772-8e79-3d69d8477dg4",
            "0fc63daf-8483-4772-8e79-3d69d8477de",
            "+fc63daf-8483-4772-8e79-3d69d8477de4",
            "0fc63daf-8483-4772-8e79-3d69d8477d\u{e9}",
        ] {
            assert_eq!(Uuid::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn on_disk_it_begins_little_endian() {
        let uuid = Uuid::parse("0fc63daf-8483-4772-8e79-3d69d8477de4").unwrap();
        // As sfdisk writes this type.
        assert_eq!(
            uuid.to_disk(),
            [
                0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4
            ]
        );
        assert_eq!(Uuid::from_disk(uuid.to_disk()), uuid);
    }

    #[test]
    fn one_of_a_digest_says_its_version_and_variant() {
        for (byte, text) in [
            (0x00, "00000000-0000-8000-8000-000000000000"),
            (0xff, "ffffffff-ffff-8fff-bfff-ffffffffffff"),
        ] {
            assert_eq!(Uuid::of_digest([byte; 32]).to_string(), text);
        }
    }
}
