//! Vagrant boxes: archives of a disk and of what a provider wants to know about it
//! (<https://developer.hashicorp.com/vagrant/docs/boxes/format>), and the catalogue from which `vagrant` takes them by name
//! and version.
//!
//! They are not compressed: their disks have hardly anything to gain, and whoever unpacks boxes reads both.

/// What VirtualBox wants to know.
mod virtualbox;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use computatom_spec::arch::Arch;
use serde_json::{Value, json};
use tar::{Builder, Header};

use super::output::Output;
use super::qcow2;
use super::source::Source;
use super::vmdk;
use crate::bail_input;
use crate::definition::format::Format;
use crate::package::date;
use crate::verify::Sha256;

/// What the defaults of a box for libvirt are.
const LIBVIRT: &str = include_str!("libvirt.Vagrantfile");
/// What the defaults of a box for VirtualBox are.
const VIRTUALBOX: &str = include_str!("virtualbox.Vagrantfile");

/// What a box is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) source: &'a Source<'a>,
    /// Size of the disk, in bytes.
    pub(super) virtual_size: u64,
    /// The image's name.
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) arch: Arch,
    /// Time of everything in it, seconds since 1970.
    pub(super) epoch: i64,
    /// Digest of the content of the disk.
    pub(super) content: Sha256,
}

/// Writes the box of `format`.
pub(super) fn write(subject: &Subject<'_>, format: Format, out: &mut Output, folder: &Path) -> Result<()> {
    let mut archive = Archive {
        builder: Builder::new(out),
        epoch: u64::try_from(subject.epoch).unwrap_or(0),
    };
    match format {
        Format::BoxLibvirt => libvirt(subject, &mut archive)?,
        _ => virtualbox(subject, &mut archive, folder)?,
    }
    archive.builder.finish().context("writing a box")
}

fn libvirt(subject: &Subject<'_>, archive: &mut Archive<'_>) -> Result<()> {
    let machine = machine(subject.arch)?;
    let mut loaders = String::new();
    for path in machine.firmware {
        loaders.push_str("    \"");
        loaders.push_str(path);
        loaders.push_str("\",\n");
    }
    let vagrantfile = LIBVIRT
        .replace("@LOADERS@", loaders.trim_end())
        .replace("@MACHINE_TYPE@", machine.kind)
        .replace("@MACHINE_ARCH@", machine.arch)
        .replace("@CPU_MODEL@", machine.cpu);
    let metadata = json!({
        "provider": "libvirt",
        "format": "qcow2",
        "virtual_size": subject.virtual_size >> 30,
        "architecture": subject.arch.names().debian,
    });
    archive.text("metadata.json", &pretty(&metadata)?)?;
    archive.text("Vagrantfile", &vagrantfile)?;
    let disk = qcow2::Plan::of(*subject.source, subject.virtual_size)?;
    archive.begin("box.img", disk.size())?;
    disk.write(archive.builder.get_mut())?;
    archive.end(disk.size())
}

fn virtualbox(subject: &Subject<'_>, archive: &mut Archive<'_>, folder: &Path) -> Result<()> {
    // How long it becomes is only known behind it.
    let mut disk = tempfile::tempfile_in(folder).context("creating a file for the disk of a box")?;
    let mut writer = std::io::BufWriter::new(&mut disk);
    vmdk::write(subject.source, subject.virtual_size, id(subject.content), &mut writer)?;
    writer.flush().context("writing the disk of a box")?;
    drop(writer);
    let length = disk.metadata().context("measuring the disk of a box")?.len();
    std::io::Seek::rewind(&mut disk).context("reading the disk of a box back")?;

    let metadata = json!({ "provider": "virtualbox", "architecture": subject.arch.names().debian });
    archive.text("metadata.json", &pretty(&metadata)?)?;
    archive.text("Vagrantfile", VIRTUALBOX)?;
    archive.text("box.ovf", &virtualbox::ovf(subject, length))?;
    archive.begin(virtualbox::DISK, length)?;
    std::io::copy(&mut disk, archive.builder.get_mut()).context("writing the disk into the box")?;
    archive.end(length)
}

/// What the descriptor of a disk calls its content.
pub(super) fn id(content: Sha256) -> u32 {
    let bytes = content.as_bytes();
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A virtual machine of QEMU.
struct Machine {
    kind: &'static str,
    arch: &'static str,
    /// A processor that runs everywhere, emulated too; a project's Vagrantfile says `host-passthrough` where it has KVM.
    cpu: &'static str,
    /// Where distributions put a UEFI that needs no file for its variables: Debian, Fedora, Arch.
    firmware: &'static [&'static str],
}

fn machine(arch: Arch) -> Result<&'static Machine> {
    const AMD64: Machine = Machine {
        kind: "q35",
        arch: "x86_64",
        cpu: "qemu64",
        firmware: &[
            "/usr/share/ovmf/OVMF.fd",
            "/usr/share/edk2/ovmf/OVMF.fd",
            "/usr/share/edk2/x64/OVMF.4m.fd",
        ],
    };
    const ARM64: Machine = Machine {
        kind: "virt",
        arch: "aarch64",
        cpu: "cortex-a57",
        firmware: &[
            "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
            "/usr/share/edk2/aarch64/QEMU_EFI.fd",
        ],
    };
    match arch {
        Arch::Amd64 => Ok(&AMD64),
        Arch::Arm64 => Ok(&ARM64),
        other => bail_input!("there is no box for {other}: virtual machines are amd64 or arm64"),
    }
}

/// A box under construction.
struct Archive<'a> {
    builder: Builder<&'a mut Output>,
    epoch: u64,
}

impl Archive<'_> {
    fn text(&mut self, name: &str, text: &str) -> Result<()> {
        self.begin(name, text.len() as u64)?;
        let out = self.builder.get_mut();
        out.write_all(text.as_bytes()).context("writing a box")?;
        self.end(text.len() as u64)
    }

    /// Begins a file whose content goes to the writer below.
    fn begin(&mut self, name: &str, size: u64) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name).context("naming a file of a box")?;
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.epoch);
        header.set_size(size);
        header.set_cksum();
        let out = self.builder.get_mut();
        out.write_all(header.as_bytes()).context("writing a box")
    }

    /// Fills the last block of a file of so many bytes.
    fn end(&mut self, size: u64) -> Result<()> {
        let missing = usize::try_from(size.next_multiple_of(512) - size)?;
        let out = self.builder.get_mut();
        out.write_all(&[0; 512][..missing]).context("writing a box")
    }
}

/// The catalogue of boxes: with the day of the build and the digest of the disk as the version, for a box that Vagrant has
/// is never looked at again under the same.
pub(super) fn catalogue(subject: &Subject<'_>, boxes: &[(Format, PathBuf, Sha256)]) -> Result<Vec<u8>> {
    let providers = boxes
        .iter()
        .map(|(format, path, sha256)| {
            let path = std::path::absolute(path).context("finding the output folder")?;
            Ok(json!({
                "name": if *format == Format::BoxLibvirt { "libvirt" } else { "virtualbox" },
                "url": format!("file://{}", escaped(&path)),
                "checksum_type": "sha256",
                "checksum": sha256.hex(),
                "architecture": subject.arch.names().debian,
                "default_architecture": true,
            }))
        })
        .collect::<Result<Vec<Value>>>()?;
    let catalogue = json!({
        "name": format!("computatom/{}", subject.name),
        "description": subject.description,
        "versions": [{ "version": version(subject), "providers": providers }],
    });
    Ok(pretty(&catalogue)?.into_bytes())
}

/// `20261121.2864434397`: numbers, as Vagrant orders them.
fn version(subject: &Subject<'_>) -> String {
    let now = date::compact(subject.epoch);
    // Day, then the rest.
    let day = now.get(..8).unwrap_or(&now);
    format!("{day}.{}", id(subject.content))
}

/// A path in a URL (RFC 3986, section 2).
fn escaped(path: &Path) -> String {
    use std::fmt::Write;
    let mut escaped = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            escaped.push(char::from(*byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

fn pretty(value: &Value) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).context("writing JSON")?;
    text.push('\n');
    Ok(text)
}
