//! Stage 4: nothing is used before its digest and signature are right.

/// SHA-256 of files and streams.
pub mod digest;

/// Who signed it: OpenPGP.
pub mod openpgp;

/// What a publisher says its archives are: lists of digests.
pub mod sums;

/// A suite's signed table of contents: `InRelease`.
pub mod release;

/// Packages of the archive whose bytes are the ones that the lock names.
pub mod deb;

pub use digest::Sha256;
