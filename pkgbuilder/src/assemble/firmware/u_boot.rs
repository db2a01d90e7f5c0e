//! What U-Boot would start from an image: the first bootable partition, its `extlinux.conf`, the files that it includes, and
//! the label that they come to (U-Boot, doc/README.pxe).

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use computatom_spec::boot::{extlinux, gpt};

use super::super::fat::Volume;
use super::super::medium::Medium;
use super::super::partitions::{SECTOR, Table};
use super::{ARM64_MAGIC, DEVICE_TREE_MAGIC, NEWC_MAGIC, check_root};

/// Files that include others are followed so deep (`MAX_NEST_LEVEL` in U-Boot's boot/pxe_utils.c).
const DEPTH: usize = 16;
/// Where U-Boot itself lies: a tree of images, which is in the format of a device tree.
const U_BOOT: u64 = 16384 * SECTOR;

/// What a label starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Label {
    kernel: Option<String>,
    initrd: Option<String>,
    fdt: Option<String>,
    append: Option<String>,
}

/// A menu.
#[derive(Debug, Default)]
struct Menu {
    default: Option<String>,
    labels: BTreeMap<String, Label>,
}

impl Menu {
    /// Reads `text`, and what it includes.
    fn read(&mut self, text: &str, depth: usize, file: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<()> {
        let mut label: Option<String> = None;
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let rest = rest.trim();
            match word {
                "label" => {
                    self.labels.entry(rest.to_owned()).or_default();
                    label = Some(rest.to_owned());
                }
                "default" => self.default = Some(rest.to_owned()),
                "include" if depth < DEPTH => {
                    let included = file(rest)?;
                    self.read(&String::from_utf8_lossy(&included), depth + 1, file)?;
                }
                "include" => bail!("{rest} is included too deep"),
                _ => {
                    let of = label.as_ref().and_then(|label| self.labels.get_mut(label));
                    let of = of.with_context(|| format!("`{word}` stands before any label"))?;
                    let field = match word {
                        "kernel" => &mut of.kernel,
                        "initrd" => &mut of.initrd,
                        "fdt" => &mut of.fdt,
                        "append" => &mut of.append,
                        _ => bail!("`{word}` is none of the words that are written here"),
                    };
                    *field = Some(rest.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Follows U-Boot through the image, and looks at what each label would start.
///
/// # Errors
///
/// Fails if one does not end in a kernel and a root with the root hash that its command line asks for.
pub fn check(image: &dyn Medium) -> Result<()> {
    let mut head = [0; 4];
    image.read_exact_at(&mut head, U_BOOT).context("reading U-Boot")?;
    if head != DEVICE_TREE_MAGIC {
        bail!("there is no U-Boot at sector {}", U_BOOT / SECTOR);
    }
    let table = Table::read(image)?;
    let volume = Volume::open(image, table.get(gpt::ESP)?)?;
    let must = |name: &str| -> Result<Vec<u8>> {
        let content = volume.read(name.trim_start_matches('/'))?;
        content.with_context(|| format!("the boot partition has no {name}"))
    };
    let mut menu = Menu::default();
    menu.read(&String::from_utf8_lossy(&must(extlinux::MENU)?), 0, &must)?;
    let default = menu.default.context("extlinux.conf has no `default`")?;
    if !menu.labels.contains_key(&default) {
        bail!("extlinux.conf has no label {default}, which it says to start");
    }
    for (name, label) in &menu.labels {
        let context = || format!("label {name} of extlinux.conf");
        let files = [
            (&label.kernel, "kernel", ARM64_MAGIC),
            (&label.initrd, "initramfs", (0, NEWC_MAGIC)),
            (&label.fdt, "device tree", (0, DEVICE_TREE_MAGIC)),
        ];
        for (path, kind, (at, magic)) in files {
            let path = path
                .as_deref()
                .with_context(|| format!("there is no {kind}"))
                .with_context(context)?;
            if must(path).with_context(context)?.get(at..at + magic.len()) != Some(magic) {
                bail!("{path}, the {kind} of label {name}, is none for a 64-bit Arm board");
            }
        }
        let append = label
            .append
            .as_deref()
            .context("there is no command line")
            .with_context(context)?;
        check_root(image, &table, append).with_context(context)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_counts_and_the_last_default() {
        let file = |path: &str| -> Result<Vec<u8>> {
            match path {
                "/a/label.conf" => Ok(b"label a\n\tkernel /a/k\n\tappend root=1 x\n".to_vec()),
                "/loop" => Ok(b"include /loop\n".to_vec()),
                _ => bail!("there is no {path}"),
            }
        };
        let mut menu = Menu::default();
        menu.read("# menu\ndefault b\ninclude /a/label.conf\n\ndefault a\n", 0, &file)
            .unwrap();
        assert_eq!(menu.default.as_deref(), Some("a"));
        assert_eq!(menu.labels["a"].append.as_deref(), Some("root=1 x"));
        let refused = |text: &str| Menu::default().read(text, 0, &file).unwrap_err().to_string();
        assert_eq!(refused("kernel /k"), "`kernel` stands before any label");
        assert_eq!(refused("include /b"), "there is no /b");
        assert_eq!(refused("include /loop"), "/loop is included too deep");
        assert!(refused("label a\nlocalboot 1").contains("`localboot`"));
    }
}
