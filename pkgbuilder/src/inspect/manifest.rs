//! Reading manifests, which may be of other versions.

use anyhow::Result;
use computatom_spec::manifest::{FORMAT, Manifest};
use serde_json::Value;

use crate::{bail_input, input_error};

/// The manifest in `text`, called `name` in messages.
///
/// # Errors
///
/// What is no manifest, is cut off, or is of another format is wrong input.
pub fn parse(name: &str, text: &[u8]) -> Result<Manifest> {
    let document: Value = serde_json::from_slice(text).map_err(|error| {
        if error.is_eof() {
            input_error!("{name} ends early: it was cut off; take it from the build again")
        } else {
            input_error!("{name} is no manifest: {error}")
        }
    })?;
    // The format first: another one is the more helpful message than its missing keys.
    let Some(format) = document
        .get("format")
        .and_then(Value::as_u64)
        .filter(|_| document.get("packages").is_some())
    else {
        bail_input!("{name} is no manifest: it has no `format` and `packages`");
    };
    if format != u64::from(FORMAT) {
        let tool = document
            .get("tool")
            .and_then(Value::as_str)
            .unwrap_or("of unknown version");
        let age = if format < u64::from(FORMAT) { "older" } else { "newer" };
        bail_input!(
            "{name} is of format {format}, which an {age} pkgbuilder ({tool}) wrote, and this one reads format {FORMAT}: \
             use that pkgbuilder, or build the image again with this one"
        );
    }
    serde_json::from_value(document).map_err(|error| input_error!("{name} is a damaged manifest: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_manifest_of_this_format_is_said() {
        let said = |text: &str| parse("x", text.as_bytes()).unwrap_err().to_string();
        assert!(said("").contains("ends early"));
        assert!(said("{\"format\": 2, \"pack").contains("ends early"));
        assert!(said("nonsense").contains("is no manifest"));
        assert!(said("[]").contains("has no `format`"));
        assert!(said("{\"spdxVersion\": \"SPDX-2.3\", \"packages\": []}").contains("has no `format`"));
        let old = said("{\"format\": 1, \"tool\": \"0.1.0\", \"packages\": []}");
        assert!(
            old.contains("older pkgbuilder (0.1.0)") && old.contains("build the image again"),
            "{old}"
        );
        assert!(said("{\"format\": 99, \"packages\": []}").contains("newer"));
        assert!(said("{\"format\": 2, \"packages\": []}").contains("damaged manifest"));
    }

    proptest! {
        #[test]
        fn foreign_text_never_panics(text in "[\\[\\]{}\",:a-z0-9 ]{0,60}") {
            let _ = parse("x", text.as_bytes());
        }
    }
}
