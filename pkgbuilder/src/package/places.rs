//! Which files of this machine a `src` means, and where each goes, as nfpm has it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::glob::{self, Pattern};
use crate::{bail_input, input_error};

/// The files that `src` means, and where each goes; `globbing` is whether it may be a pattern.
pub(super) fn find(src: &str, dst: &str, folder: &Path, globbing: bool) -> Result<Vec<(PathBuf, String)>> {
    let src = src.strip_prefix("./").unwrap_or(src).trim_end_matches('/');
    let plain = !globbing || !glob::is_pattern(src);
    let named = folder.join(src);
    if plain {
        if fs::symlink_metadata(&named).is_err() {
            bail_input!(
                "there is no file `{src}` in {}: check the `src` of `{dst}`; it is relative to the folder that the \
                 command runs in",
                folder.display()
            );
        }
        let mut files = Vec::new();
        below(&named, src, &mut |_| true, false, &mut files)?;
        return place(&named, src, dst, files);
    }
    let pattern = Pattern::parse(src)?;
    let start = glob::fixed_folder(src);
    let mut files = Vec::new();
    if folder.join(start).is_dir() {
        let name = if start == "/" {
            start
        } else {
            start.trim_end_matches('/')
        };
        below(
            &folder.join(start),
            name,
            &mut |name| pattern.matches(name),
            true,
            &mut files,
        )?;
    }
    if files.is_empty() {
        bail_input!(
            "`{src}` matches no file in {}: check the `src` of `{dst}`, or write `disable_globbing: true` if it is a \
             name",
            folder.display()
        );
    }
    let matched: Vec<&str> = files.iter().map(|(_, name)| name.as_str()).collect();
    let common = common_folder(&matched).to_owned();
    place(&folder.join(&common), &common, dst, files)
}

/// Files with their names as patterns see them: those that `wanted` says, and everything below folders that it says.
fn below(
    path: &Path,
    name: &str,
    wanted: &mut dyn FnMut(&str) -> bool,
    searching: bool,
    files: &mut Vec<(PathBuf, String)>,
) -> Result<()> {
    let matched = !searching || wanted(name);
    let metadata = fs::symlink_metadata(path).with_context(|| format!("reading {}", path.display()))?;
    if !metadata.is_dir() {
        if matched {
            files.push((path.to_owned(), name.to_owned()));
        }
        return Ok(());
    }
    for child in children(path)? {
        let own = child.file_name().and_then(|name| name.to_str());
        let own = own.ok_or_else(|| input_error!("{} is not UTF-8", child.display()))?;
        let inside = match name {
            "" => own.to_owned(),
            "/" => format!("/{own}"),
            name => format!("{name}/{own}"),
        };
        below(&child, &inside, wanted, searching && !matched, files)?;
    }
    Ok(())
}

/// Where files go: into the folder `dst/` by their own names, else below `dst` as they are below `base`.
fn place(base: &Path, base_name: &str, dst: &str, files: Vec<(PathBuf, String)>) -> Result<Vec<(PathBuf, String)>> {
    files
        .into_iter()
        .map(|(path, name)| {
            let place = if dst.ends_with('/') {
                into_folder(dst, &name)
            } else {
                let inside = path.strip_prefix(base).ok().and_then(Path::to_str);
                match inside.with_context(|| format!("finding {name} below {base_name}"))? {
                    "" => dst.to_owned(),
                    inside => format!("{dst}/{inside}"),
                }
            };
            Ok((path, place))
        })
        .collect()
}

/// The path of a file that goes to `dst`, or into the folder `dst/` by its own name.
pub(super) fn into_folder(dst: &str, src: &str) -> String {
    if dst.ends_with('/') {
        format!("{dst}{}", src.rsplit('/').next().unwrap_or(src))
    } else {
        dst.to_owned()
    }
}

/// The folder of the longest common beginning of the names.
fn common_folder<'a>(names: &[&'a str]) -> &'a str {
    let first = names.first().copied().unwrap_or_default();
    let common = names.iter().fold(first.len(), |length, name| {
        let same = first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        length.min(same)
    });
    // A slash is one byte in UTF-8 and in no other character: cutting there is safe.
    first.as_bytes()[..common]
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or("", |slash| &first[..slash])
}

/// The entries of a folder, by their names.
pub(super) fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading {}", folder.display());
    let mut children = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        children.push(entry.with_context(reading)?.path());
    }
    children.sort();
    Ok(children)
}
