//! Stage 2: which artifact of which version from which source. The answer is the [`Lock`].

/// The committed answer.
pub mod lock;

pub use lock::Lock;
