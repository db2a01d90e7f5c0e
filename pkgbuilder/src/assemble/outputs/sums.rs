//! `SHA256SUMS`: digests of all images in the folder, as sha256sum(1) writes and checks them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::atomic::Pending;

const NAME: &str = "SHA256SUMS";

/// Begins the file with `fresh` (name to digest) for image `stem`, and keeps the lines of other images still there.
pub(super) fn merge(folder: &Path, stem: &str, fresh: &BTreeMap<String, String>) -> Result<Pending> {
    let path = folder.join(NAME);
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let own = format!("{stem}.");
    let mut all = fresh.clone();
    for (digest, name) in old.lines().filter_map(|line| line.split_once("  ")) {
        if !name.starts_with(&own) && folder.join(name).is_file() {
            all.insert(name.to_owned(), digest.to_owned());
        }
    }
    let mut pending = Pending::create(&path)?;
    for (name, digest) in all {
        writeln!(pending.file(), "{digest}  {name}").with_context(|| format!("writing {NAME}"))?;
    }
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::super::testing::oracle;
    use super::*;

    #[test]
    fn other_images_keep_their_lines_and_removed_ones_lose_them() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            std::fs::write(folder.path().join(name), name).unwrap();
            let sum = oracle(Command::new("sha256sum").arg(folder.path().join(name)));
            BTreeMap::from([(name.to_owned(), sum[..64].to_owned())])
        };
        for stem in ["a-x", "b-x"] {
            let fresh = put(&format!("{stem}.img.zst"));
            merge(folder.path(), stem, &fresh).unwrap().commit().unwrap();
        }
        let check = || oracle(Command::new("sha256sum").args(["-c", NAME]).current_dir(folder.path()));
        assert_eq!(check(), "a-x.img.zst: OK\nb-x.img.zst: OK\n");
        std::fs::remove_file(folder.path().join("a-x.img.zst")).unwrap();
        merge(folder.path(), "b-x", &put("b-x.img.zst"))
            .unwrap()
            .commit()
            .unwrap();
        assert_eq!(check(), "b-x.img.zst: OK\n");
    }
}
