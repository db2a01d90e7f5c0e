//! Identifiers that are the same in every build of an image: made from the disk signature of its lock.

use std::fmt;

use crate::verify::Sha256;

/// The digest of what an identifier is for (`verity salt`) and of the disk signature.
pub(super) fn derived(what: &str, signature: u32) -> [u8; 32] {
    *Sha256::of(format!("computatom {what} {signature:08x}\n").as_bytes()).as_bytes()
}

/// A UUID of version 8, made by a rule of its own (RFC 9562, section 5.8); UEFI calls it a GUID.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub(super) [u8; 16]);

impl Guid {
    /// The one for `what` on the disk with a signature.
    pub(super) fn derived(what: &str, signature: u32) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&derived(what, signature)[..16]);
        bytes[6] = bytes[6] & 0x0f | 0x80;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }

    /// The one stored in 16 bytes as UEFI does.
    pub(super) fn from_disk(bytes: &[u8]) -> Self {
        let mut guid = Self([0; 16]);
        guid.0.copy_from_slice(&bytes[..16]);
        Self(guid.to_disk())
    }

    /// As UEFI stores it: the first three groups little endian (UEFI specification, appendix A).
    pub(super) fn to_disk(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex::encode(self.0);
        let groups = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        f.write_str(&groups.join("-"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_purpose_and_one_disk_have_one_guid() {
        let guid = Guid::derived("partition 1", 0xc0de_0042);
        assert_eq!(guid, Guid::derived("partition 1", 0xc0de_0042));
        assert_ne!(guid, Guid::derived("partition 2", 0xc0de_0042));
        assert_ne!(guid, Guid::derived("partition 1", 0xc0de_0043));
        let text = guid.to_string();
        assert_eq!((text.len(), text.as_bytes()[14]), (36, b'8'));
        let Guid(bytes) = guid;
        assert_eq!(guid.to_disk()[..4], [bytes[3], bytes[2], bytes[1], bytes[0]]);
        assert_eq!(guid.to_disk()[8..], bytes[8..]);
        assert_eq!(Guid::from_disk(&guid.to_disk()), guid);
    }
}
