//! A machine id that survives a new card: derived from what the board is, not from what is written on the card.
//!
//! Consul and Nomad derive their node ids from it, so a board that was burned anew comes back as itself.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// Keeps our hashes apart from everybody else's hashes of the same serial.
const DOMAIN: &[u8] = b"computatom machine id\0";
/// What firmware has for an UUID whose maker has not given it one: many machines have each, which would make them one node.
const OF_NOBODY: [&str; 4] = [
    // American Megatrends' (<https://github.com/oshi/oshi/issues/2417>), and with its bytes swapped.
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    // From the list of the FOG project (`invalidUuids`).
    "12345678-1234-5678-90ab-cddeefaabbcc",
    // HP's MicroServer Gen8 (<https://github.com/rockstor/rockstor-core/issues/2143>).
    "31393138-3538-5a43-3135-353130323750",
];
/// Where a board without any identity of its own remembers the one it drew, below `/var`.
const REMEMBERED: &str = "lib/computatom/machine-id";

/// The machine id (32 hex digits, `machine-id(5)`): the board's serial, DMI UUID or MAC address hashed, else a random
/// one remembered under `var`.
pub fn of(root: &Path, var: &Path) -> Result<String> {
    if let Some(seed) = seed(root) {
        return Ok(format_id(
            &Sha256::new()
                .chain_update(DOMAIN)
                .chain_update(seed.as_bytes())
                .finalize(),
        ));
    }
    let path = var.join(REMEMBERED);
    if let Ok(id) = fs::read_to_string(&path)
        && id.trim().len() == 32
        && id.trim().bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Ok(id.trim().to_owned());
    }
    let mut random = [0; 16];
    fs::File::open(root.join("dev/urandom"))
        .and_then(|mut source| source.read_exact(&mut random))
        .context("drawing a machine id")?;
    let id = format_id(&random);
    let folder = path.parent().expect("the path has a folder");
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let temporary = path.with_extension("new");
    fs::write(&temporary, format!("{id}\n")).with_context(|| format!("writing {}", temporary.display()))?;
    fs::File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, &path).with_context(|| format!("writing {}", path.display()))?;
    Ok(id)
}

/// The first of device-tree serial, DMI UUID and permanent MAC address that says something.
fn seed(root: &Path) -> Option<String> {
    let read = |path: &str| {
        let text = fs::read_to_string(root.join(path)).ok()?;
        let text = text
            .trim_matches(|c: char| c == '\0' || c.is_whitespace())
            .to_ascii_lowercase();
        // Firmware that has no number to give fills the field with zeros or f's.
        let says_nothing = text.chars().all(|c| matches!(c, '0' | 'f' | '-' | ':'));
        (!says_nothing && !OF_NOBODY.contains(&text.as_str())).then_some(text)
    };
    let serial = read("proc/device-tree/serial-number").map(|text| format!("serial {text}"));
    let uuid = || read("sys/class/dmi/id/product_uuid").map(|text| format!("uuid {text}"));
    let mac = || {
        let mut interfaces: Vec<_> = fs::read_dir(root.join("sys/class/net")).ok()?.flatten().collect();
        interfaces.sort_by_key(fs::DirEntry::file_name);
        interfaces.into_iter().find_map(|interface| {
            // 0 is NET_ADDR_PERM (`include/uapi/linux/netdevice.h`); without a device behind it, it is virtual.
            let name = interface.file_name().into_string().ok()?;
            let path = format!("sys/class/net/{name}");
            let permanent = fs::read_to_string(root.join(&path).join("addr_assign_type"))
                .ok()?
                .trim()
                == "0";
            (permanent && root.join(&path).join("device").exists()).then(|| read(&format!("{path}/address")))?
        })
    };
    serial.or_else(uuid).or_else(|| mac().map(|text| format!("mac {text}")))
}

/// 16 bytes as 32 hex digits, marked as a random (version 4) UUID the way `machine-id(5)` recommends.
fn format_id(bytes: &[u8]) -> String {
    let mut id: [u8; 16] = bytes[..16].try_into().expect("sixteen bytes");
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    hex::encode(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_serial_comes_first_and_is_stable() {
        let root = tempfile::tempdir().unwrap();
        write(
            &root.path().join("proc/device-tree/serial-number"),
            "10000000abcdef01\0",
        );
        write(
            &root.path().join("sys/class/dmi/id/product_uuid"),
            "1B4E28BA-2FA1-11D2-883F-0016D3CCA427\n",
        );
        let id = of(root.path(), &root.path().join("var")).unwrap();
        assert_eq!(id, of(root.path(), Path::new("/nowhere")).unwrap());
        assert_eq!((id.len(), &id[12..13]), (32, "4"));
        fs::remove_dir_all(root.path().join("proc")).unwrap();
        assert_ne!(id, of(root.path(), Path::new("/nowhere")).unwrap());
    }

    #[test]
    fn a_serial_of_zeros_says_nothing_and_a_drawn_id_is_remembered() {
        let root = tempfile::tempdir().unwrap();
        write(
            &root.path().join("proc/device-tree/serial-number"),
            "0000000000000000\0",
        );
        write(&root.path().join("dev/urandom"), "sixteen bytes ok");
        let var = root.path().join("var");
        let id = of(root.path(), &var).unwrap();
        write(&root.path().join("dev/urandom"), "other 16 bytes !");
        assert_eq!(of(root.path(), &var).unwrap(), id);
    }

    #[test]
    fn an_uuid_that_many_machines_have_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sys/class/dmi/id/product_uuid");
        write(&path, "03000200-0400-0500-0006-000700080009\n");
        assert_eq!(seed(root.path()), None);
        write(&path, "1B4E28BA-2FA1-11D2-883F-0016D3CCA427\n");
        assert_eq!(seed(root.path()).unwrap(), "uuid 1b4e28ba-2fa1-11d2-883f-0016d3cca427");
    }

    #[test]
    fn only_a_permanent_address_of_a_device_counts() {
        let root = tempfile::tempdir().unwrap();
        let net = root.path().join("sys/class/net");
        for (name, kind, device) in [("eth0", "1", true), ("lo", "0", false), ("usb0", "0", true)] {
            write(
                &net.join(name).join("address"),
                &format!("b8:27:eb:00:00:{:02x}\n", name.len()),
            );
            write(&net.join(name).join("addr_assign_type"), kind);
            if device {
                fs::create_dir(net.join(name).join("device")).unwrap();
            }
        }
        assert_eq!(seed(root.path()).unwrap(), "mac b8:27:eb:00:00:04");
    }
}
