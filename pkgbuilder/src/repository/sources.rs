//! `computatom.sources` (`sources.list(5)`, deb822 style): one file points a machine at the repository.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::{COMPONENT, SUITE};

/// The file for machines that see `folder` in their file system; others put another address after `URIs:`.
pub(super) fn text(folder: &Path, public_key: &str) -> Result<String> {
    let path = folder
        .canonicalize()
        .with_context(|| format!("finding {}", folder.display()))?;
    let mut text = format!(
        "# Made by pkgbuilder, anew with every change of the repository: copy it, do not edit it here.\n\
         # From another machine: serve the folder over HTTP and put its address after `URIs:`.\n\
         Types: deb\nURIs: file://{}/\nSuites: {SUITE}\nComponents: {COMPONENT}\nSigned-By:\n",
        quoted(&path)
    );
    for line in public_key.lines() {
        // An empty line would end the field.
        writeln!(text, " {}", if line.is_empty() { "." } else { line }).expect("a string takes all");
    }
    Ok(text)
}

/// The path as part of a URI (RFC 3986, section 2).
fn quoted(path: &Path) -> String {
    let mut quoted = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                quoted.push(char::from(*byte));
            }
            byte => write!(quoted, "%{byte:02X}").expect("a string takes all"),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_letters_of_a_path_are_quoted() {
        assert_eq!(quoted(Path::new("/srv/my packages/ä-1")), "/srv/my%20packages/%C3%A4-1");
    }
}
