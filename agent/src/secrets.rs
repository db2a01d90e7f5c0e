//! Secrets: from the first partition, where `pkgbuilder burn --secrets` put them, to DATA, and into the programs that need them.
//!
//! The order is what makes a power cut harmless: the file on DATA is whole and synced before the one on the partition is
//! overwritten, and that one is overwritten and synced before its name goes. What a cut leaves is finished on the next boot.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use computatom_spec::secrets::{FILE, KEPT, LIMIT, Secrets};

use crate::root::Root;

/// Moves the file of secrets from the mounted folder `boot` to DATA; says whether there was one.
///
/// # Errors
///
/// Fails, and leaves the file where it is, if it is none that `burn` writes or DATA does not take it. The message never has
/// a part of it.
pub fn take(root: &Root, boot: &Path) -> Result<bool> {
    let found = boot.join(FILE);
    let mut content = Vec::new();
    match File::open(&found) {
        Ok(file) => file
            .take(LIMIT as u64 + 1)
            .read_to_end(&mut content)
            .with_context(|| format!("reading {FILE}"))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).context(format!("opening {FILE}")),
    };
    let kept = root.path(KEPT);
    // A text has no zeros: these are of an earlier removal.
    let half_removed = content.contains(&0) && kept.is_file();
    if !half_removed {
        if content.len() > LIMIT {
            bail!("{FILE} is larger than {LIMIT} bytes: burn the card with another one");
        }
        parse(&content)?;
        keep(&kept, &content).with_context(|| format!("writing {KEPT}"))?;
    }
    remove(&found, content.len()).with_context(|| format!("removing {FILE}"))?;
    Ok(true)
}

/// The secrets that DATA keeps; none if there are none.
///
/// # Errors
///
/// Fails if the file cannot be read, or is none of ours.
pub fn load(root: &Root) -> Result<Secrets> {
    match fs::read(root.path(KEPT)) {
        Ok(content) => parse(&content).with_context(|| format!("reading {KEPT}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Secrets::default()),
        Err(error) => Err(error).context(format!("reading {KEPT}")),
    }
}

fn parse(content: &[u8]) -> Result<Secrets> {
    // The parser's message could cite what it stumbles over.
    let Ok(secrets) = serde_json::from_slice::<Secrets>(content) else {
        bail!("the secrets are not of the shape that this image knows: burn the card with `--secrets` again");
    };
    if let Err(said) = secrets.check() {
        bail!("{said}: burn the card with `--secrets` again");
    }
    Ok(secrets)
}

/// Writes a file for root alone, whole and on the medium when this returns.
fn keep(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().context("it is in no folder")?;
    fs::create_dir_all(folder)?;
    let temporary = folder.join(".secrets.new");
    let _ = fs::remove_file(&temporary);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    // Whatever the umask.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Overwrites a file in its place, then removes it.
fn remove(path: &Path, length: usize) -> Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    drop(file);
    fs::remove_file(path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"wifi":{"ssid":"home","psk":"correct horse"}}"#;

    struct Node {
        folder: tempfile::TempDir,
        root: Root,
    }

    impl Node {
        fn new(content: Option<&[u8]>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("boot")).unwrap();
            let node = Self {
                root: Root::at(folder.path().join("root")),
                folder,
            };
            if let Some(content) = content {
                fs::write(node.found(), content).unwrap();
            }
            node
        }

        fn found(&self) -> std::path::PathBuf {
            self.folder.path().join("boot").join(FILE)
        }

        fn take(&self) -> Result<bool> {
            take(&self.root, &self.folder.path().join("boot"))
        }
    }

    #[test]
    fn the_file_moves_and_is_for_root_alone() {
        let node = Node::new(Some(TEXT.as_bytes()));
        // The bytes on the partition are what another name still shows.
        let other = node.folder.path().join("other");
        fs::hard_link(node.found(), &other).unwrap();
        assert!(node.take().unwrap());
        assert!(!node.found().exists());
        assert_eq!(fs::read(&other).unwrap(), vec![0; TEXT.len()]);
        let kept = node.root.path(KEPT);
        assert_eq!(fs::read_to_string(&kept).unwrap(), TEXT);
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(&node.root).unwrap().wifi.unwrap().psk, "correct horse");
        // Another boot finds nothing to do.
        assert!(!node.take().unwrap());
        // A card that was burned again brings other secrets.
        fs::write(node.found(), TEXT.replace("home", "attic")).unwrap();
        assert!(node.take().unwrap());
        assert_eq!(load(&node.root).unwrap().wifi.unwrap().ssid, "attic");
    }

    #[test]
    fn a_removal_that_was_cut_short_is_finished() {
        let node = Node::new(Some(TEXT.as_bytes()));
        node.take().unwrap();
        for zeros in [1, 20, TEXT.len()] {
            let mut torn = TEXT.as_bytes().to_vec();
            torn[..zeros].fill(0);
            fs::write(node.found(), torn).unwrap();
            assert!(node.take().unwrap());
            assert!(!node.found().exists());
            assert_eq!(load(&node.root).unwrap().wifi.unwrap().ssid, "home");
        }
    }

    #[test]
    fn what_is_none_of_ours_stays_and_is_not_shown() {
        for wrong in [
            &b"correct horse"[..],
            br#"{"wifi":{"ssid":"","psk":"correct horse"}}"#,
            b"\0\0",
            &vec![b'x'; LIMIT + 1],
        ] {
            let node = Node::new(Some(wrong));
            let error = format!("{:#}", node.take().unwrap_err());
            assert!(!error.contains("horse"), "{error}");
            assert_eq!(fs::read(node.found()).unwrap(), wrong);
            assert!(!node.root.path(KEPT).exists());
        }
        let node = Node::new(None);
        assert!(!node.take().unwrap());
        assert_eq!(load(&node.root).unwrap(), Secrets::default());
    }
}
