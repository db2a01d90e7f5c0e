//! Bad input and a bad world, through the real binary: one clear sentence with the next step, the exit code
//! (2 input, 1 world, 130 interrupted), nothing half-written, and a cache that the next run can use.
//!
//! One case of each kind; the stages' own tests have the matrices.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../server/mod.rs"]
mod server;

#[path = "../world/mod.rs"]
mod world;

#[path = "../child/mod.rs"]
mod child;

/// Arguments that are wrong.
mod arguments;

/// Further apt sources.
mod apt_sources;

/// A world whose image can be assembled.
mod board;

/// Packages that no archive should have.
mod hostile;

/// Virtual clusters.
mod clusters;

/// Names under `.consul` on this machine.
mod dns;

/// Maintainer scripts that cannot be interpreted.
mod composing;

/// The command line of the older tool.
mod compatibility;

/// Components of the catalog.
mod components;

/// Definitions that are wrong.
mod definitions;

/// Ctrl-C.
mod interruption;

/// Images that are to be built again.
mod like;

/// Boards and the kernels that know them.
mod kernels;

/// The lock: what is pinned, and by whom.
mod locking;

/// Mirrors that are down, slow, or have moved on.
mod mirrors;

/// A component of one script.
mod hello;

/// Folders that cannot be written to, are full, or shared.
mod outputs;

/// Images and packages that are looked at and compared.
mod provenance;

/// Recipes of one's own that are wrong.
mod recipes;

/// Bytes that are not what they should be.
mod tampering;

use self::world::{World, assert_says, content_of};
