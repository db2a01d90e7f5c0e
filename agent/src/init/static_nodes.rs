//! Device nodes without a driver behind them yet: whoever opens one has the kernel load its module.
//!
//! systemd has two processes for them, one after the other, for which udev waits (kmod-static-nodes.service and
//! systemd-tmpfiles-setup-dev-early.service). udev itself then gives them their owners (`static_node=` of its rules).

use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::io::Errno;

/// A line of depmod's `modules.devname`: `tun net/tun c10:200`, which are module, path below `/dev`, kind and numbers
/// (`output_devname` of kmod's `tools/depmod.c`).
#[derive(Debug, PartialEq, Eq)]
struct StaticNode<'a> {
    path: &'a Path,
    kind: FileType,
    major: u32,
    minor: u32,
}

/// Makes in `/dev` those of the running kernel's modules in the root.
///
/// # Errors
/// The list or one of the nodes, by its path. A root without modules has none.
pub fn make(sysroot: &Path) -> Result<()> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let list = sysroot.join("usr/lib/modules").join(release).join("modules.devname");
    let Ok(text) = fs::read_to_string(&list) else {
        return Ok(());
    };
    for node in nodes(&text) {
        let place = Path::new("/dev").join(node.path);
        make_one(&node, &place).with_context(|| place.display().to_string())?;
    }
    Ok(())
}

fn make_one(node: &StaticNode<'_>, place: &Path) -> Result<()> {
    fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
    let mode = Mode::RUSR | Mode::WUSR;
    match mknodat(CWD, place, node.kind, mode, makedev(node.major, node.minor)) {
        // Its driver is there.
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The nodes of such a list; what is none is passed over.
fn nodes(list: &str) -> impl Iterator<Item = StaticNode<'_>> {
    list.lines().filter(|line| !line.starts_with('#')).filter_map(node)
}

fn node(line: &str) -> Option<StaticNode<'_>> {
    let mut words = line.split_whitespace().skip(1);
    let path = Path::new(words.next()?);
    let numbers = words.next()?;
    let kind = match numbers.chars().next()? {
        'c' => FileType::CharacterDevice,
        'b' => FileType::BlockDevice,
        _ => return None,
    };
    let (major, minor) = numbers[1..].split_once(':')?;
    // Nothing beside /dev.
    let below = path.components().all(|part| matches!(part, Component::Normal(_)));
    below.then_some(())?;
    Some(StaticNode {
        path,
        kind,
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depmods_list_of_debians_kernel_is_read() {
        let list = "# Device nodes to trigger on-demand module loading.\n\
                    tun net/tun c10:200\nfuse fuse c10:229\nxyz block/0 b7:0\n";
        let of = |path, kind, major, minor| StaticNode {
            path: Path::new(path),
            kind,
            major,
            minor,
        };
        let expected = [
            of("net/tun", FileType::CharacterDevice, 10, 200),
            of("fuse", FileType::CharacterDevice, 10, 229),
            of("block/0", FileType::BlockDevice, 7, 0),
        ];
        assert_eq!(nodes(list).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_node_below_dev_is_passed_over() {
        for line in [
            "",
            "tun",
            "tun net/tun",
            "tun net/tun 10:200",
            "tun net/tun c10",
            "tun net/tun c10:x",
            "tun net/tun é1:2",
        ] {
            assert_eq!(node(line), None, "{line}");
        }
        for path in ["../etc/passwd", "/etc/passwd", "net/../../etc/passwd"] {
            assert_eq!(node(&format!("tun {path} c10:200")), None, "{path}");
        }
    }
}
