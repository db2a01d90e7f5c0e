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

/// The superblock of the root's hash tree.
pub mod verity;

/// Where things live on a node.
pub mod paths;
