//! Compositions of earlier builds: what the same packages and the same program came to.
//!
//! ```text
//! contents that scripts and generators wrote | index, JSON | length of the index u64 | sum (`Summed`)
//! ```
//!
//! Contents that came out of a package stay where they are, in its unpacked payload. Numbers are little endian.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;

use anyhow::{Context, Result};
use bytes::Bytes;
use computatom_compose::Options;
use computatom_compose::tree::{Inode, InodeId, Kind, Tree};
use serde::{Deserialize, Serialize};

use super::digests::{BLOCK, Digests, Sums};
use super::{Input, map};
use crate::atomic::Pending;
use crate::fetch::cache::Cache;
use crate::fetch::summed::{Summed, sound};
use crate::verify::Sha256;

/// The folder of the cache.
const KIND: &str = "composed";

/// How many are kept: each has some forty megabytes.
const MOST: usize = 8;

/// The digest of everything that a composition depends on: packages, rules, and this program.
pub(super) fn key(inputs: &[Input], options: &Options) -> Result<String> {
    let program = std::env::current_exe().context("finding this program")?;
    let program = Sha256::of_file(&program)?;
    let Options {
        arch,
        epoch,
        path_rules,
        auto_installed,
        keep_going,
    } = options;
    let mut text = format!("{program}\n{arch} {epoch} {keep_going}\n{path_rules:?}\n{auto_installed:?}\n");
    for input in inputs {
        text.extend([&input.record.digest, "\n"]);
    }
    Ok(Sha256::of(text.as_bytes()).hex())
}

#[derive(Serialize, Deserialize)]
struct Index {
    now: i64,
    contents: Vec<Content>,
    inodes: Vec<Kept>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    /// The package in whose payload it lies, by its place among the inputs; nothing where it lies in this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    package: Option<usize>,
    start: usize,
    length: usize,
    /// Digests in hex, one after the other: of the whole, then of its blocks, unless these are the same.
    sums: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    kind: What,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
enum What {
    Dir(BTreeMap<String, u32>),
    /// By its place among the contents.
    File(usize),
    Symlink(String),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// The tree composed under `key` before, and the digests of what is in it; `payloads` are those of the inputs. Nothing if
/// there is none, or it is not what was written.
pub(super) fn load(cache: &Cache, key: &str, payloads: &[Bytes]) -> Result<Option<(Tree, Digests)>> {
    let path = cache.derived(KIND, key)?;
    if !path.is_file() {
        return Ok(None);
    }
    let found = read(&map(&path)?, payloads);
    if found.is_some() {
        Cache::touch(&path);
    }
    Ok(found)
}

fn read(file: &Bytes, payloads: &[Bytes]) -> Option<(Tree, Digests)> {
    let (rest, length) = sound(file)?.split_last_chunk()?;
    let at = rest
        .len()
        .checked_sub(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let index: Index = serde_json::from_slice(&rest[at..]).ok()?;
    let own = file.slice(..at);
    let mut digests = Digests::default();
    let mut contents = Vec::with_capacity(index.contents.len());
    for Content {
        package,
        start,
        length,
        sums,
    } in index.contents
    {
        let whole = match package {
            Some(package) => payloads.get(package)?,
            None => &own,
        };
        let end = start.checked_add(length).filter(|end| *end <= whole.len())?;
        let content = whole.slice(start..end);
        digests.add(content.clone(), sums_of(&sums, length)?);
        contents.push(content);
    }
    let inodes: Option<Vec<Inode>> = index.inodes.into_iter().map(|kept| inode(kept, &contents)).collect();
    Some((Tree::of_inodes(inodes?, index.now)?, digests))
}

fn inode(kept: Kept, contents: &[Bytes]) -> Option<Inode> {
    let kind = match kept.kind {
        What::Dir(entries) => Kind::Dir(
            entries
                .into_iter()
                .map(|(name, index)| (name, InodeId::at(index)))
                .collect(),
        ),
        What::File(at) => Kind::File(contents.get(at)?.clone()),
        What::Symlink(target) => Kind::Symlink(target),
        What::Char(major, minor) => Kind::Char { major, minor },
        What::Block(major, minor) => Kind::Block { major, minor },
        What::Fifo => Kind::Fifo,
    };
    let mut inode = Inode::new(kind, kept.mode, kept.mtime);
    inode.uid = kept.uid;
    inode.gid = kept.gid;
    inode.xattrs = kept.xattrs;
    Some(inode)
}

/// Keeps a composed tree under `key`.
pub(super) fn store(cache: &Cache, key: &str, tree: &Tree, digests: &Digests, payloads: &[Bytes]) -> Result<()> {
    let path = cache.derived(KIND, key)?;
    let mut pending = Pending::create(&path)?;
    let mut writer = Writer::new(pending.file(), payloads);
    let doing = || cache.writing("the composed root");
    let inodes = tree
        .inodes()
        .iter()
        .map(|inode| {
            Ok(Kept {
                kind: writer.what(&inode.kind, digests)?,
                mode: inode.mode,
                uid: inode.uid,
                gid: inode.gid,
                mtime: inode.mtime,
                xattrs: inode.xattrs.clone(),
            })
        })
        .collect::<Result<_>>()
        .with_context(doing)?;
    writer.finish(tree.now, inodes).with_context(doing)?;
    pending.commit()?;
    cache.keep_newest(KIND, MOST)
}

/// A kept composition on its way.
struct Writer<'a> {
    file: Summed<&'a mut File>,
    /// Bytes of contents written.
    end: usize,
    contents: Vec<Content>,
    /// Which content lies at an address with a length.
    known: HashMap<(usize, usize), usize>,
    payloads: &'a [Bytes],
    /// Address and number of each payload, in order.
    starts: Vec<(usize, usize)>,
}

impl<'a> Writer<'a> {
    fn new(file: &'a mut File, payloads: &'a [Bytes]) -> Self {
        let addresses = payloads.iter().map(|payload| payload.as_ptr() as usize);
        let mut starts: Vec<(usize, usize)> = addresses.zip(0..).collect();
        starts.sort_unstable();
        Self {
            file: Summed::new(file),
            end: 0,
            contents: Vec::new(),
            known: HashMap::new(),
            payloads,
            starts,
        }
    }

    fn what(&mut self, kind: &Kind, digests: &Digests) -> Result<What> {
        Ok(match kind {
            Kind::Dir(entries) => {
                let entries = entries
                    .iter()
                    .map(|(name, id)| Ok((name.clone(), u32::try_from(id.index())?)));
                What::Dir(entries.collect::<Result<_>>()?)
            }
            Kind::File(content) => What::File(self.content(content, digests)?),
            Kind::Symlink(target) => What::Symlink(target.clone()),
            Kind::Char { major, minor } => What::Char(*major, *minor),
            Kind::Block { major, minor } => What::Block(*major, *minor),
            Kind::Fifo => What::Fifo,
        })
    }

    /// The number of a content, which is written if it lies in no package.
    fn content(&mut self, content: &Bytes, digests: &Digests) -> Result<usize> {
        let place = (content.as_ptr() as usize, content.len());
        if let Some(&number) = self.known.get(&place) {
            return Ok(number);
        }
        let (package, start) = if let Some((package, start)) = within(content, &self.starts, self.payloads) {
            (Some(package), start)
        } else {
            let start = self.end;
            self.file.write_all(content)?;
            self.end += content.len();
            (None, start)
        };
        self.contents.push(Content {
            package,
            start,
            length: content.len(),
            sums: text_of(&digests.of(content)),
        });
        let number = self.contents.len() - 1;
        self.known.insert(place, number);
        Ok(number)
    }

    fn finish(self, now: i64, inodes: Vec<Kept>) -> Result<()> {
        let Self { mut file, contents, .. } = self;
        let index = serde_json::to_vec(&Index { now, contents, inodes })?;
        file.write_all(&index)?;
        file.write_all(&(index.len() as u64).to_le_bytes())?;
        file.finish()?;
        Ok(())
    }
}

/// The package in whose payload a content lies, and where.
fn within(content: &Bytes, starts: &[(usize, usize)], payloads: &[Bytes]) -> Option<(usize, usize)> {
    let at = content.as_ptr() as usize;
    let (start, package) = *starts[..starts.partition_point(|(start, _)| *start <= at)].last()?;
    (at + content.len() <= start + payloads[package].len()).then_some((package, at - start))
}

fn text_of(sums: &Sums) -> String {
    let mut text = sums.whole.hex();
    if sums.blocks.len() > 1 {
        text.extend(sums.blocks.iter().map(Sha256::hex));
    }
    text
}

/// The digests of a content of some length, as [`text_of`] writes them.
fn sums_of(text: &str, length: usize) -> Option<Sums> {
    let bytes = hex::decode(text).ok()?;
    let (sums, []) = bytes.as_chunks() else {
        return None;
    };
    let sums: Vec<Sha256> = sums.iter().map(|sum| Sha256::from(*sum)).collect();
    let whole = *sums.first()?;
    let blocks = match length {
        0 => Vec::new(),
        1..=BLOCK => vec![whole],
        _ => sums[1..].to_vec(),
    };
    (blocks.len() == length.div_ceil(BLOCK)).then_some(Sums { whole, blocks })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tree(payload: &Bytes) -> Tree {
        let mut tree = Tree::new(7);
        tree.mkdir_all("/usr/bin", 0o755).unwrap();
        tree.write("/usr/bin/tool", payload.slice(512..700), 0o4755).unwrap();
        tree.write("/usr/bin/large", payload.slice(1024..=1024 + BLOCK), 0o644)
            .unwrap();
        tree.write("/written", "by a script", 0o600).unwrap();
        tree.write("/empty", "", 0o644).unwrap();
        tree.symlink("usr/bin", "/bin").unwrap();
        tree.link("/written", "/again").unwrap();
        let device = Inode::new(Kind::Char { major: 1, minor: 3 }, 0o666, 7);
        tree.create("/null", device).unwrap();
        let id = tree
            .lookup("/usr/bin/tool", computatom_compose::tree::Follow::No)
            .unwrap();
        tree.inode_mut(id)
            .xattrs
            .insert("security.capability".to_owned(), vec![1, 0, 255]);
        tree
    }

    fn tar(tree: &Tree) -> Vec<u8> {
        let mut out = Vec::new();
        tree.write_tar(&mut out).unwrap();
        out
    }

    #[test]
    fn a_tree_comes_back_as_it_was_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let payload: Bytes = (0..2 * BLOCK).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let other = Bytes::from(vec![1; 4096]);
        let payloads = [other.clone(), payload.clone()];
        let tree = tree(&payload);
        assert!(load(&cache, "key", &payloads).unwrap().is_none());
        store(&cache, "key", &tree, &Digests::of_tree(&tree), &payloads).unwrap();
        let path = cache.derived(KIND, "key").unwrap();
        let written = fs::read(&path).unwrap();
        // What lies in the packages is not kept again.
        assert!(written.len() < 4096, "{}", written.len());
        let (again, digests) = load(&cache, "key", &payloads).unwrap().unwrap();
        assert_eq!(tar(&again), tar(&tree));
        for path in ["/bin/tool", "/bin/large", "/written", "/empty"] {
            let content = again.read(path).unwrap();
            assert_eq!(digests.of(&content), Sums::of(&content), "{path}");
        }
        assert!(
            load(&cache, "key", &[payload, other]).unwrap().is_none(),
            "other payloads"
        );
        for at in [0, written.len() / 2, written.len() - 1] {
            let mut rotten = written.clone();
            rotten[at] ^= 1;
            fs::write(&path, &rotten).unwrap();
            assert!(load(&cache, "key", &payloads).unwrap().is_none(), "byte {at}");
            fs::write(&path, &written[..at]).unwrap();
            assert!(load(&cache, "key", &payloads).unwrap().is_none(), "{at} bytes");
        }
    }

    #[test]
    fn only_some_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path()).unwrap();
        let tree = Tree::new(7);
        for key in 0..MOST + 3 {
            store(&cache, &key.to_string(), &tree, &Digests::default(), &[]).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path().join(KIND)).unwrap().count(), MOST);
        assert!(load(&cache, &(MOST + 2).to_string(), &[]).unwrap().is_some());
    }
}
