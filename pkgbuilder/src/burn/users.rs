//! Who uses a disk: mounts, swap, and devices that are made of it.

use std::collections::BTreeSet;
use std::fs;

use super::drives::{Machine, text};

/// Mount points of the system that this program runs on.
const SYSTEM: &[&str] = &[
    "/",
    "/boot",
    "/boot/efi",
    "/boot/firmware",
    "/efi",
    "/usr",
    "/var",
    "/home",
];
/// How deep devices may lie on each other (a file system on LVM on LUKS on RAID is four).
const DEEPEST: usize = 8;

/// Who uses a disk, its partitions, and what lies on them.
pub(super) struct Users<'a> {
    machine: &'a Machine,
    mounts: Vec<Mount>,
    swaps: BTreeSet<String>,
    /// What for, as sentences begin.
    pub(super) uses: Vec<String>,
    /// The system runs from it.
    pub(super) system: bool,
}

/// A line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
struct Mount {
    number: String,
    /// Name of the device node; differs from the number's where a file system has several devices (btrfs).
    source: String,
    point: String,
}

impl<'a> Users<'a> {
    pub(super) fn new(machine: &'a Machine) -> Self {
        let proc = machine.root.join("proc");
        let node = |path: &str| {
            let path = machine.root.join(path.trim_start_matches('/'));
            let path = path.canonicalize().unwrap_or(path);
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        };
        let lines = text(&proc.join("self/mountinfo"));
        let mounts = lines.lines().filter_map(|line| {
            let (fields, rest) = line.split_once(" - ")?;
            let fields: Vec<&str> = fields.split(' ').collect();
            Some(Mount {
                number: (*fields.get(2)?).to_owned(),
                source: node(rest.split(' ').nth(1)?),
                point: unescape(fields.get(4)?),
            })
        });
        let swaps = text(&proc.join("swaps"));
        let swaps = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        Self {
            machine,
            mounts: mounts.collect(),
            swaps: swaps.map(|path| node(&unescape(path))).collect(),
            uses: Vec::new(),
            system: false,
        }
    }

    /// Collects the uses of a device, of its partitions, and of what is made of them.
    pub(super) fn collect(&mut self, name: &str, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        let number = text(&self.machine.class(name).join("dev"));
        for mount in &self.mounts {
            if mount.number == number || mount.source == name {
                let said = format!("{name} is mounted on {}", mount.point);
                if !self.uses.contains(&said) {
                    self.uses.push(said);
                }
                self.system |= SYSTEM.contains(&mount.point.as_str());
            }
        }
        if self.swaps.contains(name) {
            self.uses.push(format!("{name} is swap"));
            self.system = true;
        }
        let folder = self.machine.class(name);
        let holders = fs::read_dir(folder.join("holders")).into_iter().flatten().flatten();
        for holder in holders {
            let holder = holder.file_name().to_string_lossy().into_owned();
            let title = text(&self.machine.class(&holder).join("dm/name"));
            let title = if title.is_empty() { holder.clone() } else { title };
            self.uses.push(format!("{name} is part of {title}"));
            self.collect(&holder, depth + 1);
        }
        for by in self.loops(name) {
            self.uses.push(format!("{name} is what {by} shows"));
            self.collect(&by, depth + 1);
        }
        for part in self.machine.children(name) {
            self.collect(&part, depth + 1);
        }
    }

    /// Loop devices over a device.
    fn loops(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.machine.root.join("sys/block"))
            .into_iter()
            .flatten()
            .flatten();
        let backed = entries.filter(|entry| {
            let file = text(&entry.path().join("loop/backing_file"));
            file == format!("/dev/{name}")
        });
        backed
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }
}

/// Blanks and the like are octal numbers in `/proc` (proc_pid_mounts(5)).
fn unescape(field: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_proc() {
        for (field, plain) in [
            ("/a\\040b", "/a b"),
            ("\\", "\\"),
            ("\\9", "\\9"),
            ("\\134x", "\\x"),
            ("\\777", "\\777"),
        ] {
            assert_eq!(unescape(field), plain);
        }
    }
}
