//! Publishers' lists of digests: HashiCorp's `SHA256SUMS`, Prometheus' `sha256sums.txt`, whatever sha256sum(1) writes.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::Sha256;
use crate::bail_input;

/// The largest list that is read: HashiCorp's have a few kilobytes.
pub const LARGEST: u64 = 1 << 20;

/// A list of digests by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    digests: BTreeMap<String, Sha256>,
}

impl Sums {
    /// Reads the lines `<digest>  <name>` (`*` before the name: binary mode). What is no such line is refused, and so are
    /// two digests for one name; `what` names the list in errors, which are [`crate::failure::InputError`]s.
    pub fn parse(what: &str, content: &[u8]) -> Result<Self> {
        let Ok(text) = std::str::from_utf8(content) else {
            bail_input!("{what} is not text: the server answered with something else");
        };
        let mut digests = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            let Some((digest, name)) = entry(line) else {
                let (number, start) = (index + 1, line.chars().take(60).collect::<String>());
                bail_input!("{what}, line {number}: `{start}` is not a SHA-256 digest and a file name");
            };
            if let Some(other) = digests.insert(name.to_owned(), digest)
                && other != digest
            {
                bail_input!("{what} has two digests for {name}: {other} and {digest}");
            }
        }
        if digests.is_empty() {
            bail_input!("{what} is empty: the server answered with something else");
        }
        Ok(Self { digests })
    }

    /// The digest of the file `name`.
    pub fn get(&self, name: &str) -> Option<Sha256> {
        self.digests.get(name).copied()
    }

    /// The digest of the file at `path`, which the list lies beside.
    pub fn of(&self, path: &Path) -> Option<Sha256> {
        self.get(path.file_name()?.to_str()?)
    }

    /// The names it lists.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.digests.keys().map(String::as_str)
    }
}

/// Digest and name of a line; the name is one of a file beside the list (`./` before it is as good as nothing).
fn entry(line: &str) -> Option<(Sha256, &str)> {
    let (digest, rest) = line.split_at_checked(64)?;
    if !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // sha256sum writes two characters between them; some publishers write one blank, or more of them.
    let name = rest.strip_prefix([' ', '\t'])?.trim_start_matches([' ', '\t']);
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.strip_prefix("./").unwrap_or(name);
    let plain = !name.is_empty() && !name.contains(['/', '\\']) && !name.contains(char::is_control);
    Some((digest.parse().ok()?, name)).filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "a24f3f3d230ceacdef3c69cf264ffa913d2cf90fd862d26d36c87a6d04512e22";
    const B: &str = "4242244ab1f6887e963d6bb674ac490ee9b270a29aff6f826c51ef3187c77044";

    fn refused(text: &str) -> String {
        let error = Sums::parse("the list", text.as_bytes()).unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2);
        error.to_string()
    }

    #[test]
    fn as_publishers_write_them() {
        let text = format!(
            "{A}  nomad_linux_arm64.zip\n{B} *nomad_linux_amd64.zip\r\n\n{}\t./x\n",
            B.to_uppercase()
        );
        let sums = Sums::parse("the list", text.as_bytes()).unwrap();
        assert_eq!(sums.get("nomad_linux_arm64.zip").unwrap().hex(), A);
        assert_eq!(sums.get("nomad_linux_amd64.zip").unwrap().hex(), B);
        assert_eq!(sums.get("x").unwrap().hex(), B);
        assert_eq!(sums.get("y"), None);
        assert_eq!(sums.names().count(), 3);
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_line() {
        assert!(refused("").contains("the list is empty"));
        assert!(refused(&format!("{A}  x\n<html>")).contains("the list, line 2: `<html>` is not a SHA-256 digest"));
        for bad in [
            A.to_owned(),
            format!("{A}  "),
            format!("{A}x  name"),
            format!("{}  name", &A[1..]),
            format!("g{}  name", &A[1..]),
            format!("{A}  ../../etc/passwd"),
            format!("{A}  a\\b"),
            format!("{A}{B}  sha512"),
        ] {
            assert!(refused(&bad).contains("line 1"), "{bad}");
        }
        let error = Sums::parse("the list", b"\xff\xfe").unwrap_err();
        assert!(error.to_string().contains("not text"));
    }

    #[test]
    fn one_file_has_one_digest() {
        assert!(refused(&format!("{A}  x\n{B}  x\n")).contains("two digests for x"));
        assert!(Sums::parse("the list", format!("{A}  x\n{A}  x\n").as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Sums::parse("the list", &bytes);
        }

        #[test]
        fn no_text_makes_it_panic(text in "([0-9a-f]{62,66}|\\PC{0,3}| |\\*|\n|\\.|/){0,40}") {
            if let Ok(sums) = Sums::parse("the list", text.as_bytes()) {
                prop_assert!(sums.names().all(|name| !name.is_empty() && !name.contains('/')));
            }
        }

        #[test]
        fn what_sha256sum_writes_is_read_back(
            files in proptest::collection::btree_map("[A-Za-z0-9._+-]{1,40}", any::<[u8; 8]>(), 1..20),
            binary in any::<bool>(),
        ) {
            let mark = if binary { '*' } else { ' ' };
            let lines: Vec<String> = files
                .iter()
                .map(|(name, content)| format!("{} {mark}{name}\n", Sha256::of(content)))
                .collect();
            let sums = Sums::parse("the list", lines.concat().as_bytes()).unwrap();
            for (name, content) in &files {
                prop_assert_eq!(sums.get(name), Some(Sha256::of(content)));
            }
            prop_assert_eq!(sums.names().count(), files.len());
        }
    }
}
