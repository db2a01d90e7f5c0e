//! Containers: the root of a node without kernel, initramfs and disk. Their engine gives them a name and a network.

use computatom_spec::arch::Arch;

use crate::definition::format::Format;

/// Name of the target for PCs.
pub const NAME_AMD64: &str = "oci-amd64";
/// Name of the target for Arm machines, 64 bit.
pub const NAME_ARM64: &str = "oci-arm64";

/// What there can be of one.
pub const FORMATS: &[Format] = &[Format::Oci];

/// The architecture of the target called `name`, if that is a container.
pub fn arch(name: &str) -> Option<Arch> {
    match name {
        NAME_AMD64 => Some(Arch::Amd64),
        NAME_ARM64 => Some(Arch::Arm64),
        _ => None,
    }
}
