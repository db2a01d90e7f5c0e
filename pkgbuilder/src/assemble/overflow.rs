//! What is said of a root, or of a boot partition, that is larger than its room: by how much, and what is biggest in it.

use std::collections::BTreeMap;

use computatom_spec::manifest::Manifest;

use crate::housekeeping::quantity::bytes;
use crate::{input_error, provenance};

/// So many of the biggest are named.
const NAMED: usize = 5;

/// A root that needs so many bytes, with its hash tree, in a partition of `size`.
pub(super) fn of_root(needed: u64, size: u64, manifest: &Manifest) -> anyhow::Error {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, file) in manifest.files.iter().filter(|(_, file)| provenance::counts(file)) {
        // What is of no package has its own name.
        let name = if file.package.is_empty() { path } else { &file.package };
        *sizes.entry(name).or_default() += file.size;
    }
    input_error!(
        "the root file system has {} MiB with its hash tree and its partition {} MiB, which is {} too few: raise \
         `partitions.root_mib` to at least {}, or leave packages out; the biggest, before compression: {}",
        mib(needed),
        size >> 20,
        mib(needed - size),
        mib(needed),
        biggest(sizes.into_iter())
    )
}

/// The biggest by name, with their sizes.
pub(super) fn biggest<'a>(sizes: impl Iterator<Item = (&'a str, u64)>) -> String {
    let mut sizes: Vec<(&str, u64)> = sizes.collect();
    sizes.sort_by_key(|(name, size)| (std::cmp::Reverse(*size), *name));
    sizes.truncate(NAMED);
    let named: Vec<String> = sizes
        .iter()
        .map(|(name, size)| format!("{name} {}", bytes(*size)))
        .collect();
    named.join(", ")
}

/// MiB, rounded up.
pub(super) fn mib(size: u64) -> u64 {
    size.div_ceil(1 << 20)
}
