//! What the image's `/var` has and DATA lacks is copied at every boot, so that an older DATA fits a newer image.
//!
//! What is there is left alone, whatever it is: `/var` belongs to the node.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Copies each entry below `image` that `data` lacks, with owner and mode. A file appears whole or not at all.
pub fn complete(image: &Path, data: &Path) -> Result<()> {
    let mut files = Vec::new();
    copy_all(image, data, &mut files)?;
    if files.is_empty() {
        return Ok(());
    }
    // All at once: a card takes as long for each file as for all of them.
    let folder = fs::File::open(data).with_context(|| format!("opening {}", data.display()))?;
    rustix::fs::syncfs(folder).with_context(|| format!("syncing {}", data.display()))?;
    for target in files {
        fs::rename(temporary(&target), &target).with_context(|| format!("making {}", target.display()))?;
    }
    Ok(())
}

/// Copies what is missing below a folder, but files under other names: `files` tells whose.
fn copy_all(image: &Path, data: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(image).with_context(|| format!("listing {}", image.display()))? {
        let entry = entry?;
        let (source, target) = (entry.path(), data.join(entry.file_name()));
        copy(&source, &target, files).with_context(|| format!("copying {}", source.display()))?;
    }
    Ok(())
}

fn copy(source: &Path, target: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let wanted = fs::symlink_metadata(source)?;
    let kind = wanted.file_type();
    let present = fs::symlink_metadata(target).ok();
    if kind.is_dir() {
        if present.is_none() {
            // A folder that has its name has its owner and mode too, wherever the power failed.
            let temporary = temporary(target);
            match fs::create_dir(&temporary) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
                _ => {}
            }
            lchown(&temporary, Some(wanted.uid()), Some(wanted.gid()))?;
            fs::set_permissions(&temporary, wanted.permissions())?;
            fs::rename(&temporary, target)?;
        } else if present.is_some_and(|present| !present.is_dir()) {
            return Ok(());
        }
        return copy_all(source, target, files);
    }
    if present.is_some() {
        return Ok(());
    }
    if kind.is_symlink() {
        symlink(fs::read_link(source)?, target)?;
        lchown(target, Some(wanted.uid()), Some(wanted.gid()))?;
    } else if kind.is_file() {
        let temporary = temporary(target);
        fs::copy(source, &temporary)?;
        lchown(&temporary, Some(wanted.uid()), Some(wanted.gid()))?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(wanted.mode()))?;
        files.push(target.to_owned());
    }
    Ok(())
}

/// The name under which an entry is made.
fn temporary(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".computatom-new");
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_a_power_cut_left_unfinished_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let (image, data) = (folder.path().join("image"), folder.path().join("data"));
        fs::create_dir_all(image.join("consul")).unwrap();
        fs::set_permissions(image.join("consul"), fs::Permissions::from_mode(0o700)).unwrap();
        // Made, but neither its mode nor its name are there yet.
        fs::create_dir_all(data.join("consul.computatom-new")).unwrap();
        complete(&image, &data).unwrap();
        assert_eq!(fs::metadata(data.join("consul")).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    }

    #[test]
    fn what_is_missing_is_copied_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (image, data) = (folder.path().join("image"), folder.path().join("data"));
        fs::create_dir_all(image.join("lib/consul")).unwrap();
        fs::set_permissions(image.join("lib/consul"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(image.join("lib/state"), "new").unwrap();
        fs::write(image.join("lib/other"), "other").unwrap();
        symlink("../../usr/lib/sysimage/dpkg", image.join("lib/dpkg")).unwrap();
        fs::create_dir_all(data.join("lib")).unwrap();
        fs::write(data.join("lib/state"), "the node's").unwrap();
        for _ in 0..2 {
            complete(&image, &data).unwrap();
            assert_eq!(fs::read_to_string(data.join("lib/state")).unwrap(), "the node's");
            assert_eq!(fs::read_to_string(data.join("lib/other")).unwrap(), "other");
            assert_eq!(fs::metadata(data.join("lib/consul")).unwrap().mode() & 0o7777, 0o700);
            assert_eq!(
                fs::read_link(data.join("lib/dpkg")).unwrap(),
                Path::new("../../usr/lib/sysimage/dpkg")
            );
            assert_eq!(fs::read_dir(data.join("lib")).unwrap().count(), 4);
        }
    }
}
