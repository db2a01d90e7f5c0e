//! Names that no package has: what was meant, or where it is.

use anyhow::Result;

use super::index::Index;
use super::pins::written;
use crate::input_error;

/// Similarity above which a name is suggested for one that does not exist.
const SIMILAR: f64 = 0.8;

/// Fails for a name that no package has or provides, with the nearest one that exists.
pub(super) fn known(index: &Index<'_>, name: &str) -> Result<()> {
    if index.by_name.contains_key(name) || index.provided.contains_key(name) {
        return Ok(());
    }
    if let Some(source) = index.offered.by(name).next() {
        return Err(input_error!(
            "there is no package `{name}` in the suites and components of the definition; the apt source `{source}` has \
             it, and nothing is taken from there without a pin: {}",
            written(std::iter::once((name, source)))
        ));
    }
    let nearest = index
        .by_name
        .keys()
        .map(|candidate| (strsim::jaro_winkler(candidate, name), *candidate))
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)));
    let hint = nearest.map_or(String::new(), |(_, candidate)| format!("; did you mean `{candidate}`?"));
    Err(input_error!(
        "there is no package `{name}` in the suites and components of the definition{hint}"
    ))
}
