//! The initramfs: our static `/init` and the few modules it needs to reach the root.
//!
//! A newc archive (`Documentation/driver-api/early-userspace/buffer-format.rst`), not compressed: the modules are
//! already, and what the firmware reads from the card in a blink takes a small board longer to unpack.
//!
//! ```text
//! /init        from the tree at computatom_spec::paths::INIT
//! /modules     one module path per line, in the order to load them
//! /usr/lib/modules/VERSION/…   the modules, as Debian compresses them: /init loads them with
//!              finit_module(MODULE_INIT_COMPRESSED_FILE)
//! /dev/console so that the kernel can give /init its standard streams
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use computatom_compose::tree::Tree;
use computatom_spec::paths;

use crate::{bail_input, input_error};

/// Where the modules of all kernels are.
const MODULES: &str = "/usr/lib/modules";

const S_IFDIR: u32 = 0o040_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFREG: u32 = 0o100_000;

/// The modules of an initramfs, in the order in which they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Modules<'a> {
    /// Without which no board of its kind starts.
    pub needed: &'a [&'a str],
    /// Loaded before them, where the kernel has them.
    pub wanted: &'a [&'a str],
}

/// A kernel of the tree: its image and its modules.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Release, as `uname -r` says it.
    pub release: String,
    /// The image.
    pub image: Bytes,
}

impl Kernel {
    /// The kernel of the tree; the newest, should there be several.
    ///
    /// # Errors
    ///
    /// A tree without one is wrong input.
    pub fn find(tree: &Tree) -> Result<Self> {
        let of = |folder: &str| tree.read_dir(folder).unwrap_or_default();
        let boot = of("/boot")
            .into_iter()
            .filter_map(|(name, _)| Some(name.strip_prefix("vmlinuz-")?.to_owned()));
        // Since 7.0, Debian's packages have it among the modules.
        let modules = of(MODULES).into_iter().map(|(release, _)| release);
        let newest = boot
            .chain(modules)
            .filter(|release| tree.is_dir(&format!("{MODULES}/{release}")) && image(tree, release).is_some())
            .max_by(|a, b| order(a).cmp(&order(b)))
            .ok_or_else(|| {
                input_error!(
                    "there is no kernel in the root file system (/boot/vmlinuz-* with {MODULES}): \
                     name one in the target's `packages`, as `linux-image-arm64`"
                )
            })?;
        let image = image(tree, &newest).context("the kernel that was found is not there")?;
        Ok(Self { release: newest, image })
    }
}

/// The image of a kernel release.
fn image(tree: &Tree, release: &str) -> Option<Bytes> {
    let paths = [
        format!("/boot/vmlinuz-{release}"),
        format!("{MODULES}/{release}/vmlinuz"),
    ];
    paths.iter().find_map(|path| tree.read(path).ok())
}

/// A release as numbers and words, to compare.
fn order(release: &str) -> Vec<(u64, &str)> {
    release
        .split(|c: char| !c.is_ascii_alphanumeric())
        .map(|part| (part.parse().unwrap_or(0), part))
        .collect()
}

/// Builds the archive for `kernel` with `modules` (names without `.ko`) and all they depend on.
///
/// # Errors
///
/// A tree without `/init` or without a module that is neither a file nor built in is wrong input.
pub fn build(tree: &Tree, kernel: &Kernel, modules: Modules<'_>, epoch: i64) -> Result<Vec<u8>> {
    let Ok(init) = tree.read(paths::INIT) else {
        bail_input!(
            "the root file system lacks {}: it is part of the package computatom-agent, add that to the definition",
            paths::INIT
        );
    };
    let mut archive = Archive {
        bytes: Vec::new(),
        inode: 0,
        folders: BTreeSet::new(),
        mtime: u32::try_from(epoch).context("the epoch is not after 1970 and before 2106")?,
    };
    for folder in ["dev", "proc", "run", "sys", "sysroot"] {
        archive.folder(folder)?;
    }
    archive.entry("dev/console", S_IFCHR | 0o600, (5, 1), &[])?;
    archive.entry("init", S_IFREG | 0o755, (0, 0), &init)?;
    let order = Index::of(tree, &kernel.release)?.load_order(modules)?;
    for path in &order {
        archive.file(path.trim_start_matches('/'), &tree.read(path)?)?;
    }
    let list: String = order.iter().flat_map(|path| [path.as_str(), "\n"]).collect();
    archive.file("modules", list.as_bytes())?;
    archive.finish()
}

/// The modules of a kernel.
struct Index<'a> {
    tree: &'a Tree,
    /// Module name to path.
    files: BTreeMap<String, String>,
    builtin: BTreeSet<String>,
}

impl<'a> Index<'a> {
    fn of(tree: &'a Tree, release: &str) -> Result<Self> {
        let folder = format!("/usr/lib/modules/{release}");
        let mut files = BTreeMap::new();
        for (path, _) in tree.walk(&format!("{folder}/kernel"))? {
            if let Some(name) = module_name(&path) {
                files.insert(name, path);
            }
        }
        let builtin = tree.read_text(&format!("{folder}/modules.builtin")).unwrap_or_default();
        Ok(Self {
            tree,
            files,
            builtin: builtin.lines().filter_map(module_name).collect(),
        })
    }

    /// Paths of the modules and of what they depend on, dependencies first.
    fn load_order(&self, modules: Modules<'_>) -> Result<Vec<String>> {
        let mut order = Vec::new();
        let mut done = BTreeSet::new();
        let name = |name: &&str| name.replace('-', "_");
        let wanted = modules
            .wanted
            .iter()
            .map(name)
            .filter(|name| self.files.contains_key(name));
        for name in wanted.chain(modules.needed.iter().map(name)) {
            self.visit(&name, &mut order, &mut done)?;
        }
        Ok(order)
    }

    fn visit(&self, name: &str, order: &mut Vec<String>, done: &mut BTreeSet<String>) -> Result<()> {
        if self.builtin.contains(name) || !done.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(path) = self.files.get(name) else {
            bail_input!(
                "the kernel has no module `{name}`, which the board needs to reach its root: choose another kernel package"
            );
        };
        let info = module_info(&self.tree.read(path)?).with_context(|| format!("reading module {path}"))?;
        for dependency in info {
            self.visit(&dependency, order, done)?;
        }
        order.push(path.clone());
        Ok(())
    }
}

/// `/…/sdhci-iproc.ko.xz` is the module `sdhci_iproc`.
fn module_name(path: &str) -> Option<String> {
    let file = path.rsplit('/').next()?;
    let (name, rest) = file.split_once(".ko")?;
    matches!(rest, "" | ".xz").then(|| name.replace('-', "_"))
}

/// The modules a module names in its `.modinfo` (`depends=a,b`): what depmod makes modules.dep of.
fn module_info(content: &[u8]) -> Result<Vec<String>> {
    use std::io::Read;
    let mut elf = Vec::new();
    if content.starts_with(b"\xfd7zXZ\0") {
        liblzma::read::XzDecoder::new(content).read_to_end(&mut elf)?;
    } else {
        elf.extend_from_slice(content);
    }
    if !elf.starts_with(b"\x7fELF") {
        bail!("it is not an ELF file");
    }
    // The section holds NUL-ended `key=value` strings; no other section of a module has such a string.
    let depends = elf
        .split(|byte| *byte == 0)
        .find_map(|text| text.strip_prefix(b"depends="))
        .context("it does not say what it depends on")?;
    let names = std::str::from_utf8(depends).context("its dependencies are not text")?;
    Ok(names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect())
}

struct Archive {
    bytes: Vec<u8>,
    inode: u32,
    folders: BTreeSet<String>,
    mtime: u32,
}

impl Archive {
    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        for (at, _) in path.match_indices('/') {
            self.folder(&path[..at])?;
        }
        self.entry(path, S_IFREG | 0o644, (0, 0), content)
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        if self.folders.insert(path.to_owned()) {
            self.entry(path, S_IFDIR | 0o755, (0, 0), &[])?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        self.inode += 1;
        let links = if mode & S_IFDIR == 0 { 1 } else { 2 };
        self.record(path, [self.inode, mode, 0, 0, links, self.mtime], device, content)
    }

    fn record(&mut self, path: &str, head: [u32; 6], device: (u32, u32), content: &[u8]) -> Result<()> {
        use std::io::Write;
        let size = u32::try_from(content.len()).with_context(|| format!("{path} is larger than 4 GiB"))?;
        let name_size = u32::try_from(path.len() + 1)?;
        self.bytes.extend_from_slice(b"070701");
        for field in head.into_iter().chain([size, 0, 0, device.0, device.1, name_size, 0]) {
            write!(self.bytes, "{field:08x}")?;
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        self.record("TRAILER!!!", [0, 0, 0, 0, 1, 0], (0, 0), &[])?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::super::testing::{EPOCH, with_kernel};
    use super::*;

    /// What cpio says is in an archive.
    fn listed(archive: &[u8]) -> String {
        let mut cpio = Command::new("cpio")
            .args(["-itvn", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(archive).unwrap();
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    /// One that is not there, which nobody misses, and one that is built in.
    const MODULES: Modules<'_> = Modules {
        wanted: &["virtio-blk", "sdhci-iproc"],
        needed: &["ext4", "mmc_block"],
    };

    fn needed<'a>(needed: &'a [&'a str]) -> Modules<'a> {
        Modules { needed, wanted: &[] }
    }

    #[test]
    fn cpio_lists_init_modules_and_console() {
        let tree = with_kernel();
        let kernel = Kernel::find(&tree).unwrap();
        assert_eq!(kernel.release, "6.12.10+deb13-arm64");
        let archive = build(&tree, &kernel, MODULES, EPOCH).unwrap();
        let list = listed(&archive);
        for line in [
            "-rwxr-xr-x",
            " init\n",
            "5,   1",
            " dev/console\n",
            " modules\n",
            "/sdhci-iproc.ko.xz\n",
        ] {
            assert!(list.contains(line), "{line} is not in\n{list}");
        }
        assert_eq!(build(&tree, &kernel, MODULES, EPOCH).unwrap(), archive);
    }

    #[test]
    fn dependencies_come_first_and_once() {
        let tree = with_kernel();
        let modules = Index::of(&tree, "6.12.10+deb13-arm64").unwrap();
        let order = modules.load_order(needed(&["sdhci-iproc", "sdhci", "ext4"])).unwrap();
        let names: Vec<String> = order.iter().filter_map(|path| module_name(path)).collect();
        assert_eq!(names, ["sdhci", "sdhci_pltfm", "sdhci_iproc", "crc16", "ext4"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut tree = with_kernel();
        let kernel = Kernel::find(&tree).unwrap();
        let error = build(&tree, &kernel, needed(&["f2fs"]), EPOCH).unwrap_err();
        assert!(error.to_string().contains("`f2fs`"), "{error}");
        tree.unlink(paths::INIT).unwrap();
        let error = build(&tree, &kernel, needed(&[]), EPOCH).unwrap_err();
        assert!(error.to_string().contains("computatom-agent"), "{error}");
        tree.remove_all("/boot").unwrap();
        assert!(Kernel::find(&tree).unwrap_err().to_string().contains("linux-image"));
    }

    #[test]
    fn newer_kernels_win() {
        assert!(order("6.12.107+deb13-arm64") > order("6.12.43+deb13-arm64"));
        assert!(order("6.12.43+deb13-arm64") > order("6.2.1"));
    }
}
