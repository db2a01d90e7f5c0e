//! The root through dm-verity: what is read from it either has the digests of its tree, or is not read at all.
//!
//! The kernel's device-mapper is told directly (`include/uapi/linux/dm-ioctl.h`); there is no libdevmapper and no udev in
//! the initramfs.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use computatom_spec::verity::{BLOCK, Layout, Superblock};
use rustix::fs::{major, minor};
use rustix::ioctl::{self, Opcode, Updater};

use crate::disk::BlockDevice;

/// Where the kernel takes requests.
const CONTROL: &str = "/dev/mapper/control";
/// What the device is called: `/sys/block/dm-0/dm/name`.
const NAME: &str = "root";

/// A root that is not the one its command line asks for, or has rotted: another slot may be sound.
#[derive(Debug)]
pub struct Unverified(String);

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unverified {}

/// Maps the root in `partition` to a device whose content has the root hash `hash`, and returns its node.
///
/// # Errors
///
/// [`Unverified`] if the partition holds no such root; anything else is the kernel's refusal.
pub fn open(partition: &Path, hash: &[u8; 32]) -> Result<PathBuf> {
    let file = File::open(partition).with_context(|| format!("opening {}", partition.display()))?;
    let layout = layout(&file).map_err(|reason| unverified(partition, &reason))?;
    let control = File::options()
        .read(true)
        .write(true)
        .open(CONTROL)
        .with_context(|| format!("opening {CONTROL} (are the modules dm-mod and dm-verity in the initramfs?)"))?;
    let about = file.metadata()?;
    if !about.file_type().is_block_device() {
        bail!("{} is not a block device", partition.display());
    }
    let device = (major(about.rdev()), minor(about.rdev()));
    let mut request = Request::new(&layout.superblock);
    request
        .send::<CREATE>(&control)
        .with_context(|| format!("making the device-mapper device {NAME}"))?;
    let node = PathBuf::from(format!("/dev/dm-{}", minor(request.header.device)));
    // First so that a block that does not verify is an error of the read that met it …
    request.map(
        &control,
        &table(device, &layout, hash, ""),
        layout.superblock.data_blocks,
    )?;
    if let Err(error) = first_block(&node) {
        request
            .send::<REMOVE>(&control)
            .context("removing a device that does not verify")?;
        return Err(unverified(
            partition,
            &format!("its hash tree has not the root hash on the command line ({error:#})"),
        ));
    }
    // … and from now on one that restarts the board: nobody gets to see a wrong byte, or goes on without a right one.
    request.map(
        &control,
        &table(device, &layout, hash, " 1 restart_on_corruption"),
        layout.superblock.data_blocks,
    )?;
    Ok(node)
}

fn unverified(partition: &Path, reason: &str) -> anyhow::Error {
    anyhow::Error::new(Unverified(format!(
        "{} does not hold the root that the command line asks for: {reason}",
        partition.display()
    )))
}

/// Finds the tree behind the squashfs; the error says what is wrong with the partition.
pub(crate) fn layout(device: &impl BlockDevice) -> Result<Layout, String> {
    Layout::find(|buffer, at| device.read_at(buffer, at))
}

/// The parameters of the target (`Documentation/admin-guide/device-mapper/verity.rst`, "Construction Parameters").
fn table(device: (u32, u32), layout: &Layout, hash: &[u8; 32], options: &str) -> String {
    let (major, minor) = device;
    let Layout { superblock, tree } = layout;
    format!(
        "1 {major}:{minor} {major}:{minor} {BLOCK} {BLOCK} {} {tree} sha256 {} {}{options}",
        superblock.data_blocks,
        hex::encode(hash),
        hex::encode(superblock.salt)
    )
}

/// Reads the first block, and with it each level of the tree up to the root hash.
fn first_block(node: &Path) -> Result<()> {
    let mut block = vec![0; usize::try_from(BLOCK)?];
    let mut file = File::open(node).with_context(|| format!("opening {}", node.display()))?;
    file.read_exact(&mut block)
        .with_context(|| format!("reading {}", node.display()))
}

/// Requests of `dm-ioctl.h`.
const CREATE: Opcode = request(3);
const REMOVE: Opcode = request(4);
const SUSPEND: Opcode = request(6);
const LOAD: Opcode = request(9);

/// `_IOWR(DM_IOCTL, number, struct dm_ioctl)`.
const fn request(number: u8) -> Opcode {
    ioctl::opcode::read_write::<Header>(0xfd, number)
}

/// `struct dm_ioctl`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Header {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event: u32,
    padding: u32,
    /// As `huge_encode_dev` has it, which is what stat(2) says of small numbers.
    device: u64,
    name: [u8; 128],
    uuid: [u8; 129],
    data: [u8; 7],
}

/// `struct dm_target_spec`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Target {
    start: u64,
    /// In sectors of 512 bytes.
    length: u64,
    status: i32,
    next: u32,
    kind: [u8; 16],
}

/// A request with room for the one target that there ever is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Request {
    header: Header,
    target: Target,
    parameters: [u8; 1024],
}

/// The interface that is spoken: any kernel since 2.6 takes it.
const VERSION: [u32; 3] = [4, 0, 0];
const READ_ONLY: u32 = 1;

impl Request {
    fn new(superblock: &Superblock) -> Self {
        let mut header = Header {
            version: VERSION,
            data_size: u32::try_from(size_of::<Self>()).unwrap_or(u32::MAX),
            data_start: u32::try_from(size_of::<Header>()).unwrap_or(u32::MAX),
            target_count: 0,
            open_count: 0,
            flags: 0,
            event: 0,
            padding: 0,
            device: 0,
            name: [0; 128],
            uuid: [0; 129],
            data: [0; 7],
        };
        copy(&mut header.name, NAME);
        // As veritysetup(8) has it, whose `status root` then knows the device.
        copy(
            &mut header.uuid,
            &format!("CRYPT-VERITY-{}-{NAME}", superblock.uuid.to_string().replace('-', "")),
        );
        Self {
            header,
            target: Target {
                start: 0,
                length: 0,
                status: 0,
                next: 0,
                kind: [0; 16],
            },
            parameters: [0; 1024],
        }
    }

    /// Gives the device a new table, and lets it take effect.
    fn map(&mut self, control: &File, parameters: &str, data_blocks: u64) -> Result<()> {
        self.target.length = data_blocks * (BLOCK / crate::disk::SECTOR);
        copy(&mut self.target.kind, "verity");
        self.parameters.fill(0);
        copy(&mut self.parameters, parameters);
        self.send::<LOAD>(control)
            .with_context(|| format!("giving the device-mapper device {NAME} the table `{parameters}`"))?;
        // Without the flag DM_SUSPEND this resumes, with the table that was loaded.
        self.send::<SUSPEND>(control)
            .with_context(|| format!("resuming the device-mapper device {NAME}"))
    }

    #[allow(unsafe_code, reason = "an ioctl has no safe wrapper")]
    fn send<const REQUEST: Opcode>(&mut self, control: &File) -> Result<()> {
        // The kernel writes its own version and flags over ours; a device is found by its name or its uuid, not by both.
        self.header.version = VERSION;
        self.header.flags = READ_ONLY;
        self.header.event = 0;
        self.header.target_count = u32::from(REQUEST == LOAD);
        let mut sent = *self;
        if REQUEST != CREATE {
            sent.header.uuid.fill(0);
            sent.header.device = 0;
        }
        // SAFETY: the kernel copies `data_size` bytes in and out, which is the size of a `Request`; all of its fields are
        // plain numbers, for which any bits are valid.
        unsafe { ioctl::ioctl(control, Updater::<REQUEST, Self>::new(&mut sent)) }?;
        if REQUEST == CREATE {
            self.header.device = sent.header.device;
        }
        Ok(())
    }
}

/// Puts a text at the beginning of a field that is longer, and ended by its zeros.
fn copy(field: &mut [u8], text: &str) {
    field[..text.len()].copy_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use computatom_spec::uuid::Uuid;

    use super::*;

    #[test]
    fn the_table_is_what_the_kernel_takes() {
        let layout = Layout {
            superblock: Superblock {
                uuid: Uuid([0xab; 16]),
                data_blocks: 3,
                salt: [7; 32],
            },
            tree: 4,
        };
        assert_eq!(
            table((179, 5), &layout, &[0x1f; 32], " 1 restart_on_corruption"),
            format!(
                "1 179:5 179:5 4096 4096 3 4 sha256 {} {} 1 restart_on_corruption",
                "1f".repeat(32),
                "07".repeat(32)
            )
        );
    }

    #[test]
    fn the_kernels_structures_have_their_sizes() {
        assert_eq!(size_of::<Header>(), 312);
        assert_eq!(size_of::<Target>(), 40);
        assert_eq!(std::mem::offset_of!(Request, parameters), 352);
    }
}
