//! The machine that builds: what lies in the cache, whether there is room, what is lacking.

/// What lies in the cache, and forgetting what is not needed.
pub mod stock;

/// Sizes and ages as people write them.
pub mod quantity;

/// Whether there is room before work starts.
pub mod space;

/// What this machine lacks and reaches.
pub mod doctor;
