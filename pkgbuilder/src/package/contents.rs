//! From the contents of a recipe to the files of a package.
//!
//! Where `src` means files of this machine, globs, trees, modes and destinations are nfpm's: see `PrepareForPackager` in
//! its package `files`. Folders above files are root's here; nfpm gives some of them the file's owner.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

use super::data::{Body, Entry, Kind};
use super::places;
use super::recipe::Payload;
use crate::definition::recipe::{Content, ContentType, FileInfo, Recipe};
use crate::{bail_input, input_error};

/// What is taken from the modes of packaged files where a recipe has no `umask`.
const UMASK: u32 = 0o002;

/// Where the `src` of contents is.
#[derive(Clone, Copy, Debug)]
pub enum Material<'a> {
    /// What a component's source gave; names are exact.
    Payload(&'a Payload),
    /// A folder of this machine; names are relative to it, and may be patterns.
    Folder(&'a Path),
}

/// The files of a package, before folders are added and all are put in order.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Files, folders, links; one per path.
    pub entries: Vec<Entry>,
    /// The newest time stamp among files of this machine; 0 if there are none.
    pub newest: i64,
}

/// Finds what the contents of `recipe` name.
pub fn find(recipe: &Recipe, material: Material<'_>) -> Result<Found> {
    let mut finder = Finder {
        recipe,
        found: BTreeMap::new(),
        newest: 0,
    };
    for content in recipe.contents.iter().filter(|content| content.is_for_deb()) {
        finder.content(content, material)?;
    }
    Ok(Found {
        entries: finder.found.into_values().map(|(entry, _)| entry).collect(),
        newest: finder.newest,
    })
}

struct Finder<'a> {
    recipe: &'a Recipe,
    /// By path; whether it may be replaced, as folders of trees may.
    found: BTreeMap<String, (Entry, bool)>,
    newest: i64,
}

impl Finder<'_> {
    fn content(&mut self, content: &Content, material: Material<'_>) -> Result<()> {
        let Content { dst, file_info, .. } = content;
        let mode = |default: u32| file_info.mode.map_or(default, |mode| mode.0);
        match (content.kind, &content.src, &content.text, material) {
            (ContentType::Dir, ..) => self.add(content, Entry::dir(dst, mode(0o755))),
            (ContentType::Symlink, Some(target), ..) => self.add(content, Entry::symlink(dst, target)),
            (_, None, text, _) => {
                let text = text.clone().unwrap_or_default();
                self.add(content, Entry::file(dst, mode(0o644), text.into_bytes()))
            }
            (ContentType::Tree, Some(src), _, Material::Folder(folder)) => self.tree(content, src, folder),
            (ContentType::Tree, Some(_), _, Material::Payload(payload)) => {
                bail_input!(
                    "`{dst}` is a tree of {}, which has no folders to take: name its files one by one",
                    payload.origin
                )
            }
            (_, Some(src), _, Material::Payload(payload)) => {
                let body = payload.files.get(src).ok_or_else(|| payload.missing(src))?;
                let dst = places::into_folder(dst, src);
                self.add(content, Entry::file(&dst, mode(0o644), body.clone()))
            }
            (_, Some(src), _, Material::Folder(folder)) => {
                for (path, dst) in places::find(src, dst, folder, !self.recipe.disable_globbing)? {
                    let entry = self.entry(&path, &dst, file_info)?;
                    self.add(content, entry)?;
                }
                Ok(())
            }
        }
    }

    /// A file or link of this machine as it is, but for what `info` says.
    fn entry(&mut self, path: &Path, dst: &str, info: &FileInfo) -> Result<Entry> {
        let metadata = fs::symlink_metadata(path).with_context(|| format!("reading {}", path.display()))?;
        if metadata.is_symlink() {
            return Self::link(path, dst);
        }
        if !metadata.is_file() {
            bail_input!(
                "{} is neither a file nor a link: a package cannot hold it",
                path.display()
            );
        }
        self.newest = self.newest.max(metadata.mtime());
        let mode = info
            .mode
            .map_or(metadata.mode() & 0o7777 & !self.umask(), |mode| mode.0);
        Ok(Entry::file(dst, mode, Body::of_file(path.to_owned())?))
    }

    fn link(path: &Path, dst: &str) -> Result<Entry> {
        let target = fs::read_link(path).with_context(|| format!("reading {}", path.display()))?;
        let target = target
            .to_str()
            .ok_or_else(|| input_error!("the link {} has a target that is not UTF-8", path.display()))?;
        Ok(Entry::symlink(dst, target))
    }

    fn umask(&self) -> u32 {
        match self.recipe.umask {
            Some(umask) if umask.0 != 0 => umask.0,
            _ => UMASK,
        }
    }

    /// Adds an entry with the content's owner and time stamp, unless there is another at its path.
    fn add(&mut self, content: &Content, entry: Entry) -> Result<()> {
        let FileInfo {
            owner, group, mtime, ..
        } = &content.file_info;
        let mut entry = entry.owned_by(owner, group);
        entry.mtime = mtime.map(|moment| moment.0);
        entry.conffile = content.kind.is_config() && matches!(entry.kind, Kind::File(_));
        self.put(entry, false)
    }

    fn put(&mut self, entry: Entry, replaceable: bool) -> Result<()> {
        let path = entry.path.clone();
        match self.found.get(&path) {
            Some((_, true)) | None => {}
            Some((present, false)) => {
                if replaceable && present.kind == Kind::Dir && entry.kind == Kind::Dir {
                    return Ok(());
                }
                bail_input!("two contents are to be `{path}`: remove one, or choose another `dst`");
            }
        }
        let folders = path.match_indices('/').skip(1).map(|(slash, _)| &path[..slash]);
        for folder in folders {
            if let Some((above, _)) = self.found.get(folder)
                && above.kind != Kind::Dir
            {
                bail_input!(
                    "`{path}` lies below `{folder}`, which another content has as a file: choose another `dst`"
                );
            }
        }
        if entry.kind != Kind::Dir {
            let below = format!("{path}/");
            if let Some((inside, _)) = self.found.range(below.clone()..).next()
                && inside.starts_with(&below)
            {
                bail_input!("`{path}` is a file, but `{inside}` lies below it: choose another `dst`");
            }
        }
        self.found.insert(path, (entry, replaceable));
        Ok(())
    }

    /// Everything below `src`, and `dst` itself with the mode that `src` has.
    fn tree(&mut self, content: &Content, src: &str, folder: &Path) -> Result<()> {
        let top = folder.join(src);
        if !top.is_dir() {
            bail_input!(
                "there is no folder `{src}` in {} for the tree `{}`: check its `src`",
                folder.display(),
                content.dst
            );
        }
        let base = content.dst.trim_end_matches('/').to_owned();
        let mut pending = vec![(top, base.clone())];
        while let Some((path, dst)) = pending.pop() {
            let metadata = fs::symlink_metadata(&path).with_context(|| format!("reading {}", path.display()))?;
            // The folder named may be a link to one; those inside stay links.
            if metadata.is_dir() || (dst == base && path.is_dir()) {
                for child in places::children(&path)? {
                    let name = child.file_name().and_then(|name| name.to_str());
                    let name = name.ok_or_else(|| input_error!("{} is not UTF-8", child.display()))?;
                    pending.push((child.clone(), format!("{dst}/{name}")));
                }
                if !dst.is_empty() {
                    self.tree_folder(content, &path, &dst)?;
                }
            } else {
                let info = &content.file_info;
                let entry = self.entry(&path, &dst, info)?.owned_by(&info.owner, &info.group);
                self.put(entry, false)?;
            }
        }
        Ok(())
    }

    fn tree_folder(&mut self, content: &Content, path: &Path, dst: &str) -> Result<()> {
        let info = &content.file_info;
        let metadata = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
        let mode = info
            .mode
            .map_or(metadata.mode() & 0o7777 & !self.umask(), |mode| mode.0);
        let mut entry = Entry::dir(dst, mode);
        if !is_shared(dst) {
            entry = entry.owned_by(&info.owner, &info.group);
        }
        self.put(entry, true)
    }
}

/// Folders of the file system hierarchy that no package owns alone: a tree's owner is not theirs (hier(7), and what
/// Debian's base-files has).
fn is_shared(path: &str) -> bool {
    const SHARED: [&str; 45] = [
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/lib64",
        "/media",
        "/mnt",
        "/opt",
        "/proc",
        "/root",
        "/run",
        "/sbin",
        "/srv",
        "/sys",
        "/tmp",
        "/usr",
        "/usr/bin",
        "/usr/games",
        "/usr/include",
        "/usr/lib",
        "/usr/lib64",
        "/usr/libexec",
        "/usr/lib/systemd",
        "/usr/lib/systemd/system",
        "/usr/lib/sysusers.d",
        "/usr/lib/tmpfiles.d",
        "/usr/local",
        "/usr/sbin",
        "/usr/share",
        "/usr/share/applications",
        "/usr/share/doc",
        "/usr/share/icons",
        "/usr/share/man",
        "/usr/share/misc",
        "/usr/src",
        "/var",
        "/var/cache",
        "/var/lib",
        "/var/local",
        "/var/log",
        "/var/mail",
        "/var/spool",
        "/var/tmp",
    ];
    SHARED.contains(&path)
        || ["/usr/share/man/", "/usr/local/"]
            .iter()
            .any(|folder| path.starts_with(folder))
        || ["/etc/logrotate.d", "/etc/default", "/etc/init.d", "/etc/cron.d"].contains(&path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A folder with files of mode 0664 unless they are programs.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in [
            ("a.conf", 0o664),
            ("b.conf", 0o664),
            ("sub/c.conf", 0o664),
            ("sub/deep/run", 0o775),
        ] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for name in ["sub", "sub/deep"] {
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o775)).unwrap();
        }
        symlink("../a.conf", folder.path().join("sub/link")).unwrap();
        folder
    }

    fn found(recipe: serde_json::Value) -> Result<Vec<String>> {
        let folder = folder();
        let recipe: Recipe = serde_json::from_value(recipe).unwrap();
        let found = find(&recipe, Material::Folder(folder.path()))?;
        Ok(found
            .entries
            .iter()
            .map(|entry| {
                let kind = match &entry.kind {
                    Kind::Dir => "d".to_owned(),
                    Kind::File(body) => String::from_utf8(body.read().unwrap().to_vec()).unwrap(),
                    Kind::Symlink(target) => format!("-> {target}"),
                };
                let conffile = if entry.conffile { " conffile" } else { "" };
                format!("{} {:04o} {} {kind}{conffile}", entry.path, entry.mode, entry.owner.0)
            })
            .collect())
    }

    #[test]
    fn globs_go_where_nfpm_puts_them() {
        let contents = |contents| found(serde_json::json!({ "contents": contents })).unwrap();
        assert_eq!(
            contents(serde_json::json!([{ "src": "./*.conf", "dst": "/etc/x/", "type": "config|noreplace" }])),
            [
                "/etc/x/a.conf 0664 root a.conf conffile",
                "/etc/x/b.conf 0664 root b.conf conffile"
            ]
        );
        // Below the folder that all matches share; a matched folder brings all it holds.
        assert_eq!(
            contents(serde_json::json!([{ "src": "sub/*", "dst": "/x" }])),
            [
                "/x/c.conf 0664 root sub/c.conf",
                "/x/deep/run 0775 root sub/deep/run",
                "/x/link 0777 root -> ../a.conf"
            ]
        );
        assert_eq!(
            contents(serde_json::json!([{ "src": "**/*.conf", "dst": "/x/", "file_info": { "mode": "0600" } }])),
            ["/x/c.conf 0600 root sub/c.conf"]
        );
        assert_eq!(
            contents(serde_json::json!([{ "src": "sub/deep", "dst": "/x" }])),
            ["/x/run 0775 root sub/deep/run"]
        );
    }

    #[test]
    fn trees_keep_modes_and_give_owners_but_not_to_shared_folders() {
        let tree = serde_json::json!({ "contents": [
            { "src": "sub", "dst": "/usr/share", "type": "tree", "file_info": { "owner": "mail", "group": "mail" } },
        ]});
        assert_eq!(
            found(tree).unwrap(),
            [
                "/usr/share 0775 root d",
                "/usr/share/c.conf 0664 mail sub/c.conf",
                "/usr/share/deep 0775 mail d",
                "/usr/share/deep/run 0775 mail sub/deep/run",
                "/usr/share/link 0777 mail -> ../a.conf",
            ]
        );
    }

    #[test]
    fn the_umask_applies_to_modes_that_are_not_said() {
        let recipe = serde_json::json!({ "umask": "027", "contents": [
            { "src": "a.conf", "dst": "/a" },
            { "src": "a.conf", "dst": "/b", "file_info": { "mode": "0666" } },
            { "text": "t", "dst": "/c" },
            { "dst": "/d", "type": "dir" },
        ]});
        let expected = [
            "/a 0640 root a.conf",
            "/b 0666 root a.conf",
            "/c 0644 root t",
            "/d 0755 root d",
        ];
        assert_eq!(found(recipe).unwrap(), expected);
    }

    #[test]
    fn what_is_not_there_or_collides_is_refused() {
        for (contents, part) in [
            (
                serde_json::json!([{ "src": "none", "dst": "/x" }]),
                "there is no file `none`",
            ),
            (
                serde_json::json!([{ "src": "*.none", "dst": "/x" }]),
                "`*.none` matches no file",
            ),
            (
                serde_json::json!([{ "src": "none", "dst": "/x", "type": "tree" }]),
                "there is no folder `none`",
            ),
            (
                serde_json::json!([{ "src": "a.conf", "dst": "/x/" }, { "src": "a.conf", "dst": "/x/a.conf" }]),
                "two contents are to be `/x/a.conf`",
            ),
            (
                serde_json::json!([{ "src": "a.conf", "dst": "/x" }, { "src": "a.conf", "dst": "/x/y" }]),
                "`/x/y` lies below `/x`",
            ),
            (
                serde_json::json!([{ "src": "a.conf", "dst": "/x/y" }, { "src": "a.conf", "dst": "/x" }]),
                "`/x` is a file, but `/x/y` lies below it",
            ),
        ] {
            let error = found(serde_json::json!({ "contents": contents })).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains(part), "{error}");
        }
        let plain = serde_json::json!({ "disable_globbing": true, "contents": [{ "src": "*.conf", "dst": "/x" }] });
        assert!(
            found(plain)
                .unwrap_err()
                .to_string()
                .contains("there is no file `*.conf`")
        );
    }
}
