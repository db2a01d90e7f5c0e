//! The contract between the image builder and the node: data only, no I/O.
//!
//! `pkgbuilder` writes these types into an image, `computatom-agent` reads them on the board.

/// Architectures and how each ecosystem spells them.
pub mod arch;

/// What a node does in the cluster.
pub mod role;

/// Site settings: what the owner of a cluster says about it.
pub mod site;

/// What an image contains, written beside it and into it.
pub mod manifest;

/// The kernel command line that `/init` reads.
pub mod boot;

/// A root partition: a squashfs and its hash tree.
pub mod verity;

/// UUIDs.
pub mod uuid;

/// The headers of a program that UEFI starts.
pub mod pe;

/// What a board is told that must not be in an image.
pub mod secrets;

/// Where things live on a node.
pub mod paths;
