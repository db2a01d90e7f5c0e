//! Stage 1: `images/<name>.jsonnet` to a validated [`Image`].

/// The validated image definition and its parts.
pub mod image;

pub use image::Image;
