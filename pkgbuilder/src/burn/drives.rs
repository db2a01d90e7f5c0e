//! Disks as the kernel describes them in sysfs (`Documentation/ABI/stable/sysfs-block`), and what they are used for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use super::signature;
use super::users::Users;
use crate::bail_input;
use crate::housekeeping::quantity;

/// Sysfs counts in these, whatever the disk's own blocks are.
const SECTOR: u64 = 512;
/// The machine whose disks are looked at.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(super) root: PathBuf,
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drive {
    /// Its node, as in `/dev/sda`.
    pub path: PathBuf,
    /// Size in bytes; 0 for a reader without a card.
    pub size: u64,
    /// Who made it and what it calls itself.
    pub model: String,
    /// How it is attached: `usb`, `sd`, `emmc`, `nvme`, `ata`, `virtio`, `loop`, or empty.
    pub transport: &'static str,
    /// The medium can be taken out, or the whole disk can.
    pub removable: bool,
    /// The switch of a card, or a card that has worn out.
    pub read_only: bool,
    /// What holds it, and what its partitions are mounted as.
    pub uses: Vec<String>,
    /// The system runs from it.
    pub system: bool,
    /// What is on it.
    pub partitions: Vec<Part>,
}

/// A partition of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `sda1`
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Kind of its file system; empty where it is not known, or may not be read.
    pub kind: String,
    /// Its label.
    pub label: String,
}

impl Drive {
    /// Why it must not be burned.
    pub fn objection(&self) -> Option<String> {
        let name = self.path.display();
        if self.system {
            return Some(format!("{name} is the disk of this system ({})", self.uses.join(", ")));
        }
        if !self.uses.is_empty() {
            return Some(format!(
                "{name} is in use: {}; unmount or close that first",
                self.uses.join(", ")
            ));
        }
        if self.read_only {
            return Some(format!(
                "{name} is write-protected: move the switch of the card or its adapter, or take another card"
            ));
        }
        (self.size == 0).then(|| format!("{name} is empty: there is no card in it"))
    }

    /// Whether one would burn it: a card or a stick that nobody uses, and not as large as a disk with somebody's data.
    pub fn plausible(&self) -> bool {
        const LARGEST: u64 = 2 << 40;
        self.removable && self.objection().is_none() && self.size <= LARGEST
    }

    /// All of it, with what is concluded: `plausible`, and the `objection` to burning it, which may be null.
    pub fn to_json(&self) -> serde_json::Value {
        let mut value = serde_json::json!(self);
        value["plausible"] = self.plausible().into();
        value["objection"] = self.objection().into();
        value
    }

    /// A line for people, and one for each partition.
    pub fn describe(&self) -> String {
        let mark = if self.plausible() { '*' } else { ' ' };
        let mut lines = vec![format!(
            "{mark} {:<14} {:>10}  {:<6} {}",
            self.path.display(),
            quantity::bytes(self.size),
            self.transport,
            self.model
        )];
        lines.extend(self.partitions.iter().map(|part| format!("    {}", part.describe())));
        lines.extend(
            self.objection()
                .map(|objection| format!("    not this one: {objection}")),
        );
        lines.join("\n") + "\n"
    }
}

impl Part {
    /// Name, size, file system and label.
    pub fn describe(&self) -> String {
        let label = if self.label.is_empty() {
            String::new()
        } else {
            format!(" `{}`", self.label)
        };
        let text = format!(
            "{:<12} {:>10}  {}{label}",
            self.name,
            quantity::bytes(self.size),
            self.kind
        );
        text.trim_end().to_owned()
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::at(Path::new("/"))
    }
}

impl Machine {
    /// The machine whose `/sys`, `/proc`, `/run` and `/dev` are below `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Every disk that can be taken out, in the order of their names.
    ///
    /// # Errors
    ///
    /// Fails where there is no sysfs.
    pub fn removable(&self) -> Result<Vec<Drive>> {
        let folder = self.root.join("sys/block");
        let entries = fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let drives = names.iter().filter_map(|name| self.drive(name));
        Ok(drives.filter(|drive| drive.removable).collect())
    }

    /// The disk that `path` names.
    ///
    /// # Errors
    ///
    /// A partition, and a device that sysfs does not know, are wrong input.
    pub fn find(&self, path: &Path) -> Result<Drive> {
        let node = path
            .canonicalize()
            .with_context(|| format!("looking at {}", path.display()))?;
        let name = node.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(disk) = self.disk_of(&name) {
            bail_input!(
                "{} is a partition: name the whole disk, /dev/{disk}, whose partition table is written too",
                path.display()
            );
        }
        let Some(mut drive) = self.drive(&name) else {
            bail_input!("{} is not a disk", path.display());
        };
        drive.path = node;
        Ok(drive)
    }

    /// The disk that a partition is on.
    fn disk_of(&self, name: &str) -> Option<String> {
        let device = self.class(name).canonicalize().ok()?;
        if !device.join("partition").exists() {
            return None;
        }
        Some(device.parent()?.file_name()?.to_string_lossy().into_owned())
    }

    pub(super) fn class(&self, name: &str) -> PathBuf {
        self.root.join("sys/class/block").join(name)
    }

    fn drive(&self, name: &str) -> Option<Drive> {
        let folder = self.class(name);
        let device = folder.canonicalize().ok()?;
        let size = number(&folder.join("size"))? * SECTOR;
        let transport = transport(name, &device, &folder);
        let words = ["device/vendor", "device/model", "device/name"].map(|file| text(&folder.join(file)));
        let model: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
        let taken_out = number(&folder.join("removable")) == Some(1);
        let mut users = Users::new(self);
        users.collect(name, 0);
        Some(Drive {
            path: Path::new("/dev").join(name),
            size,
            model: model.join(" "),
            transport,
            removable: taken_out || matches!(transport, "usb" | "sd"),
            read_only: number(&folder.join("ro")) == Some(1),
            uses: users.uses,
            system: users.system,
            partitions: self.partitions(name),
        })
    }

    fn partitions(&self, disk: &str) -> Vec<Part> {
        let mut found: Vec<(u64, Part)> = self
            .children(disk)
            .into_iter()
            .filter_map(|name| {
                let folder = self.class(&name);
                let (kind, label) = self.content(&name);
                let part = Part {
                    size: number(&folder.join("size"))? * SECTOR,
                    kind,
                    label,
                    name,
                };
                Some((number(&folder.join("partition"))?, part))
            })
            .collect();
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, part)| part).collect()
    }

    /// Names of the partitions of a disk.
    pub(super) fn children(&self, disk: &str) -> Vec<String> {
        let entries = fs::read_dir(self.class(disk)).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.path().join("partition").exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// Kind and label of the file system: as udev has found it, which everybody may read, else by looking.
    fn content(&self, name: &str) -> (String, String) {
        let number = text(&self.class(name).join("dev"));
        let known = text(&self.root.join("run/udev/data").join(format!("b{number}")));
        let property = |key: &str| {
            let value = known
                .lines()
                .find_map(|line| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('='));
            value.unwrap_or_default().to_owned()
        };
        let kind = property("ID_FS_TYPE");
        if !kind.is_empty() {
            return (kind, property("ID_FS_LABEL"));
        }
        let file = fs::File::open(self.root.join("dev").join(name)).ok();
        let found = file.and_then(|file| signature::look(&file, 0));
        found.map_or_else(Default::default, |(kind, label)| (kind.to_owned(), label))
    }
}

fn transport(name: &str, device: &Path, folder: &Path) -> &'static str {
    let path = device.to_string_lossy();
    if name.starts_with("mmcblk") {
        return if text(&folder.join("device/type")) == "SD" {
            "sd"
        } else {
            "emmc"
        };
    }
    for (part, transport) in [
        ("/usb", "usb"),
        ("/nvme", "nvme"),
        ("/virtio", "virtio"),
        ("/ata", "ata"),
        ("/virtual/block/loop", "loop"),
    ] {
        if path.contains(part) {
            return transport;
        }
    }
    ""
}

pub(super) fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

fn number(path: &Path) -> Option<u64> {
    text(path).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A machine with a system on an NVMe disk (LVM on LUKS), a USB stick, a card and an empty reader.
    struct Desk(tempfile::TempDir);

    impl Desk {
        fn new() -> Self {
            let desk = Self(tempfile::tempdir().unwrap());
            desk.disk(
                "pci/nvme/nvme0/nvme0n1",
                "259:0",
                1 << 40,
                &[("device/model", "Fast One")],
            );
            desk.part("pci/nvme/nvme0/nvme0n1", "nvme0n1p1", "259:1", 1);
            desk.part("pci/nvme/nvme0/nvme0n1", "nvme0n1p2", "259:2", 2);
            desk.disk("virtual/block/dm-0", "252:0", 1 << 39, &[("dm/name", "luks-1")]);
            desk.disk("virtual/block/dm-1", "252:1", 1 << 39, &[("dm/name", "vg-root")]);
            desk.put("sys/class/block/nvme0n1p2/holders/dm-0", "");
            desk.put("sys/class/block/dm-0/holders/dm-1", "");
            let stick = [
                ("removable", "1"),
                ("device/vendor", "Stick  "),
                ("device/model", "Ultra"),
            ];
            desk.disk("pci/usb1/1-1/host/sda", "8:0", 32 << 30, &stick);
            desk.part("pci/usb1/1-1/host/sda", "sda1", "8:1", 1);
            desk.part("pci/usb1/1-1/host/sda", "sda2", "8:2", 2);
            desk.put("run/udev/data/b8:2", "S:x\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=photos\n");
            desk.disk(
                "pci/mmc_host/mmc0/mmcblk0",
                "179:0",
                64 << 30,
                &[("device/type", "SD"), ("device/name", "SC64G")],
            );
            desk.disk("pci/usb1/1-2/host/sdb", "8:16", 0, &[("removable", "1")]);
            desk.put("proc/swaps", "Filename Type Size Used Priority\n");
            desk.mounts("30 1 252:1 / / rw - ext4 /dev/mapper/vg-root rw\n31 30 259:1 / /boot/efi rw - vfat /dev/nvme0n1p1 rw\n");
            desk
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }

        fn mounts(&self, lines: &str) {
            self.put("proc/self/mountinfo", lines);
        }

        fn disk(&self, place: &str, dev: &str, size: u64, more: &[(&str, &str)]) {
            self.device(place, dev, size);
            for (file, text) in more {
                self.put(&format!("sys/devices/{place}/{file}"), text);
            }
            let name = Path::new(place).file_name().unwrap();
            let link = self.0.path().join("sys/block").join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(self.0.path().join("sys/devices").join(place), link).unwrap();
        }

        fn part(&self, disk: &str, name: &str, dev: &str, number: u64) {
            let place = format!("{disk}/{name}");
            self.device(&place, dev, 1 << 30);
            self.put(&format!("sys/devices/{place}/partition"), &number.to_string());
        }

        fn device(&self, place: &str, dev: &str, size: u64) {
            let name = Path::new(place).file_name().unwrap().to_str().unwrap();
            self.put(&format!("sys/devices/{place}/size"), &(size / SECTOR).to_string());
            self.put(&format!("sys/devices/{place}/dev"), dev);
            self.put(&format!("dev/{name}"), "");
            let link = self.0.path().join("sys/class/block").join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(self.0.path().join("sys/devices").join(place), link).unwrap();
        }

        fn machine(&self) -> Machine {
            Machine::at(self.0.path())
        }

        fn find(&self, name: &str) -> Result<Drive> {
            self.machine().find(&self.0.path().join("dev").join(name))
        }
    }

    #[test]
    fn cards_and_sticks_are_listed_and_the_likely_ones_marked() {
        let drives = Desk::new().machine().removable().unwrap();
        let found: Vec<(&str, &str, bool)> = drives
            .iter()
            .map(|drive| (drive.path.to_str().unwrap(), drive.transport, drive.plausible()))
            .collect();
        assert_eq!(
            found,
            [
                ("/dev/mmcblk0", "sd", true),
                ("/dev/sda", "usb", true),
                ("/dev/sdb", "usb", false)
            ]
        );
        assert_eq!(drives[0].model, "SC64G");
        let text = drives[1].describe();
        assert!(
            text.starts_with("* /dev/sda         32.0 GiB  usb    Stick Ultra\n"),
            "{text}"
        );
        assert!(text.contains("sda2            1.0 GiB  ext4 `photos`\n"), "{text}");
        assert!(drives[2].describe().contains("there is no card in it"));
    }

    #[test]
    fn the_disk_of_the_system_is_known_through_all_that_lies_on_it() {
        let desk = Desk::new();
        let objection = desk.find("nvme0n1").unwrap().objection().unwrap();
        for said in [
            "disk of this system",
            "nvme0n1p2 is part of luks-1",
            "dm-1 is mounted on /",
            "/boot/efi",
        ] {
            assert!(objection.contains(said), "{said}: {objection}");
        }
        // What is made of a disk is in use as well.
        assert!(desk.find("dm-0").unwrap().system);
    }

    #[test]
    fn what_is_in_use_is_refused_and_by_whom_is_said() {
        let desk = Desk::new();
        let objection = |name: &str| desk.find(name).unwrap().objection();
        assert_eq!(objection("sda"), None);
        desk.mounts("30 1 252:1 / / rw - ext4 /dev/mapper/vg-root rw\n31 30 8:2 / /media/my\\040photos rw - ext4 /dev/sda2 rw\n");
        let said = objection("sda").unwrap();
        assert!(said.contains("in use: sda2 is mounted on /media/my photos;"), "{said}");
        // btrfs has numbers of its own.
        desk.mounts("31 30 0:40 / /mnt rw - btrfs /dev/sda1 rw\n");
        assert!(objection("sda").unwrap().contains("sda1 is mounted on /mnt"));
        desk.mounts("");
        desk.put(
            "proc/swaps",
            "Filename Type Size Used Priority\n/dev/sda1 partition 1 0 -2\n",
        );
        assert!(objection("sda").unwrap().contains("sda1 is swap"));
        desk.put("proc/swaps", "");
        desk.put("sys/block/loop0/loop/backing_file", "/dev/mmcblk0");
        assert!(objection("mmcblk0").unwrap().contains("mmcblk0 is what loop0 shows"));
        desk.put("sys/class/block/sda1/holders/md127", "");
        assert!(objection("sda").unwrap().contains("sda1 is part of md127"));
    }

    #[test]
    fn partitions_protected_cards_and_what_is_no_disk() {
        let desk = Desk::new();
        let error = desk.find("sda1").unwrap_err();
        assert!(error.to_string().contains("name the whole disk, /dev/sda"), "{error}");
        assert_eq!(crate::failure::exit_code(&error), 2);
        desk.put("sys/class/block/sda/ro", "1");
        assert!(
            desk.find("sda")
                .unwrap()
                .objection()
                .unwrap()
                .contains("write-protected")
        );
        desk.put("dev/null", "");
        assert!(desk.find("null").unwrap_err().to_string().contains("not a disk"));
        assert!(desk.find("sdz").is_err());
    }
}
