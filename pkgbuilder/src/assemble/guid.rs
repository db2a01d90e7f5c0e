//! Identifiers that are the same in every build of an image: made from the disk signature of its lock.

use computatom_spec::uuid::Uuid;

use crate::verify::Sha256;

/// The digest of what an identifier is for (`verity salt`) and of the disk signature.
pub(super) fn derived(what: &str, signature: u32) -> [u8; 32] {
    *Sha256::of(format!("computatom {what} {signature:08x}\n").as_bytes()).as_bytes()
}

/// The UUID for `what` on the disk with a signature.
pub(super) fn uuid(what: &str, signature: u32) -> Uuid {
    Uuid::of_digest(derived(what, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_purpose_and_one_disk_have_one_uuid() {
        let one = uuid("partition 1", 0xc0de_0042);
        assert_eq!(one, uuid("partition 1", 0xc0de_0042));
        assert_ne!(one, uuid("partition 2", 0xc0de_0042));
        assert_ne!(one, uuid("partition 1", 0xc0de_0043));
    }
}
