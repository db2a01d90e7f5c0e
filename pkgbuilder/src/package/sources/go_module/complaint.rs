//! What Go's complaints mean.

use anyhow::Result;

use crate::package::sources::Attempt;
use crate::{bail_input, command};

/// What Go's complaint means: wrong bytes end the build, a version that no proxy knows is absent, the rest is the
/// network's doing.
pub(super) fn complaint(name: &str, text: &str) -> Result<Attempt> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = command::last_lines(text, 2).map(str::trim).collect();
    let last = if words.is_empty() {
        "it said nothing".to_owned()
    } else {
        words.join("; ")
    };
    if ["checksum mismatch", "security error", "verifying module", "verifying go.mod"]
        .iter()
        .any(|sign| lower.contains(sign))
        // A checksum database that does not answer, or does not know the module, says nothing about the bytes.
        && !lower.contains("/lookup/")
    {
        bail_input!(
            "{name}: Go found wrong bytes in a module: do not use them:\n{}",
            command::tail(text)
        );
    }
    // Some proxies say 403 for what they do not have.
    let unknown = [
        "404 not found",
        "410 gone",
        "403 forbidden",
        "unknown revision",
        "invalid version",
        "no matching versions",
    ];
    if unknown.iter().any(|sign| lower.contains(sign)) {
        return Ok(Attempt::Absent(format!("no module proxy has it ({last})")));
    }
    Ok(Attempt::Unreachable(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_apart() {
        let mismatch = "verifying x@v1: checksum mismatch\n\tdownloaded: h1:a\n\tgo.sum: h1:b\n\nSECURITY ERROR\nThis";
        assert_eq!(crate::failure::exit_code(&complaint("x", mismatch).unwrap_err()), 2);
        let gone = complaint("x", "go: x@v9: reading https://proxy/x/@v/v9.info: 404 Not Found").unwrap();
        assert!(matches!(gone, Attempt::Absent(_)));
        let text = "x@v9: reading https://proxy/x/@v/v9.info: 403 Forbidden\n\tserver response: not here";
        let Attempt::Absent(reason) = complaint("x", text).unwrap() else {
            panic!("a proxy that refuses does not have it");
        };
        assert!(
            reason.ends_with("403 Forbidden; server response: not here)"),
            "{reason}"
        );
        let down = complaint(
            "x",
            "go: x@v1: Get \"https://proxy\": dial tcp: lookup proxy: no such host",
        )
        .unwrap();
        assert!(matches!(down, Attempt::Unreachable(reason) if reason.contains("no such host")));
    }
}
