//! From an image definition to packages and a disk image.
//!
//! The modules are the stages, in the order data flows through them:
//! `RawImage -> Image -> Lock -> Fetched -> Verified -> Deb -> Tree -> DiskImage`.

/// Jsonnet to a validated [`definition::Image`].
pub mod definition;

/// Which version of what from where: the [`resolve::Lock`].
pub mod resolve;

/// Bytes from mirrors and release hosts into the content-addressed cache.
pub mod fetch;

/// Nothing is used before its digest and signature are right.
pub mod verify;

/// Upstream binaries to reproducible .debs.
pub mod package;

/// A folder of .debs to a signed apt repository.
pub mod repository;

/// .debs to a root file system in memory.
pub mod compose;

/// A composed tree to a disk image.
pub mod assemble;

/// A disk image to a card.
pub mod burn;

/// An image as a cluster of virtual machines.
pub mod cluster;

/// Names under `.consul` on this machine.
pub mod dns;

/// What can be had from where.
pub mod catalog;

/// The stages in order, for one definition.
pub mod workshop;

/// An image again, as its manifest records it.
pub mod like;

/// What a root file system consists of, and by whom.
pub mod provenance;

/// What a finished image holds.
pub mod inspect;

/// What changed between two images.
pub mod diff;

/// The machine that builds: its cache, its room, its tools.
pub mod housekeeping;

/// The command line: one file per subcommand.
pub mod cli;

/// Errors by whose fault they are: the exit codes.
pub mod failure;

/// Ctrl-C, seen by long loops.
pub mod interrupt;

/// Progress and remarks for the person who waits.
pub mod reporter;

/// Files that appear whole or not at all.
pub mod atomic;

/// Writing while more is made.
pub mod write_behind;

/// Large files past the page cache.
pub mod direct;

/// Where a person keeps things.
pub mod xdg;

/// External programs, their output kept for the error message.
pub mod command;
