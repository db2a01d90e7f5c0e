//! Device trees with changes of ours merged into them, as an overlay is by libfdt (`fdt_overlay_apply`).
//!
//! Debian's device trees know none of the `dtparam=` words of config.txt (they have no `__overrides__`), so what a board
//! needs beyond them is merged at build time. The format is chapter 5 of the Devicetree Specification.

use anyhow::{Context, Result, bail};
use dtoolkit::fdt::Fdt;
use dtoolkit::model::{DeviceTree, DeviceTreeNode, DeviceTreeProperty};
use dtoolkit::{Node as _, Property as _};

/// What an overlay says of one node.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Absolute path. A node that is not there is made; its parent has to be there.
    pub path: &'static str,
    /// Properties set, whatever they were.
    pub properties: &'static [(&'static str, Value)],
}

/// The value of a property.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Strings, each ended by a zero byte.
    Text(&'static [&'static str]),
    /// Numbers of 32 bits.
    Cells(&'static [Cell]),
    /// Nothing: that it is there says it all.
    Flag,
}

/// A number of 32 bits.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    /// As it is.
    Number(u32),
    /// The phandle of the node with this path; one that has none is given the next number.
    Phandle(&'static str),
}

/// Merges `overlay` into the device tree `blob`, node by node.
///
/// # Errors
///
/// Fails if `blob` is no device tree, or lacks a node that the overlay builds on.
pub fn merge(blob: &[u8], overlay: &[Node]) -> Result<Vec<u8>> {
    let mut tree = parse(blob)?;
    for node in overlay {
        make(&mut tree, node.path)?;
    }
    for node in overlay {
        for (name, value) in node.properties {
            let value = bytes(&mut tree, value)?;
            set(&mut tree, node.path, name, &value)?;
        }
    }
    Ok(tree.to_dtb())
}

/// The device tree `blob` with this serial number, which a firmware would put into it (Devicetree Specification, 3.2).
///
/// # Errors
///
/// Fails if `blob` is no device tree.
pub fn with_serial(blob: &[u8], serial: &str) -> Result<Vec<u8>> {
    let mut tree = parse(blob)?;
    set(&mut tree, "/", "serial-number", &[serial.as_bytes(), b"\0"].concat())?;
    Ok(tree.to_dtb())
}

/// Whether the device tree `blob` has a node at `path`.
///
/// # Errors
///
/// Fails if `blob` is no device tree.
pub fn has(blob: &[u8], path: &str) -> Result<bool> {
    Ok(parse(blob)?.find_node(path).is_some())
}

fn parse(blob: &[u8]) -> Result<DeviceTree> {
    let fdt = Fdt::new(blob).map_err(|error| anyhow::anyhow!("it is not a flattened device tree: {error}"))?;
    Ok(DeviceTree::from_fdt(&fdt))
}

/// Makes the node at `path` if it is not there.
fn make(tree: &mut DeviceTree, path: &str) -> Result<()> {
    if tree.find_node(path).is_some() {
        return Ok(());
    }
    let (parent, name) = path
        .rsplit_once('/')
        .context("the path of a node begins with a slash")?;
    let parent = if parent.is_empty() { "/" } else { parent };
    let Some(node) = tree.find_node_mut(parent) else {
        bail!("it has no node {parent}");
    };
    let child = DeviceTreeNode::new(name).map_err(|error| anyhow::anyhow!("naming node {path}: {error}"))?;
    node.add_child(child);
    Ok(())
}

fn set(tree: &mut DeviceTree, path: &str, name: &str, value: &[u8]) -> Result<()> {
    let node = tree
        .find_node_mut(path)
        .with_context(|| format!("it has no node {path}"))?;
    if let Some(property) = node.property_mut(name) {
        property.set_value(value);
    } else {
        let property = DeviceTreeProperty::new(name, value)
            .map_err(|error| anyhow::anyhow!("naming property {name} of {path}: {error}"))?;
        node.add_property(property);
    }
    Ok(())
}

fn bytes(tree: &mut DeviceTree, value: &Value) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match value {
        Value::Flag => {}
        Value::Text(texts) => {
            for text in *texts {
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(0);
            }
        }
        Value::Cells(cells) => {
            for cell in *cells {
                let number = match cell {
                    Cell::Number(number) => *number,
                    Cell::Phandle(path) => phandle(tree, path)?,
                };
                bytes.extend_from_slice(&number.to_be_bytes());
            }
        }
    }
    Ok(bytes)
}

/// The phandle of the node at `path`, by which others refer to it.
fn phandle(tree: &mut DeviceTree, path: &str) -> Result<u32> {
    let node = tree.find_node(path).with_context(|| format!("it has no node {path}"))?;
    if let Some(known) = phandle_of(node) {
        return Ok(known);
    }
    let next = highest(&tree.root).checked_add(1).context("it has no phandle left")?;
    set(tree, path, "phandle", &next.to_be_bytes())?;
    Ok(next)
}

fn phandle_of(node: &DeviceTreeNode) -> Option<u32> {
    let value = node.property("phandle")?.value().try_into().ok()?;
    Some(u32::from_be_bytes(value))
}

fn highest(node: &DeviceTreeNode) -> u32 {
    let below = node.children().map(highest).max().unwrap_or(0);
    phandle_of(node).unwrap_or(0).max(below)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::device_tree;
    use super::*;

    const OVERLAY: &[Node] = &[
        Node {
            path: "/soc/bus@1/lamp",
            properties: &[("reg", Value::Cells(&[Cell::Number(3)])), ("on", Value::Flag)],
        },
        Node {
            path: "/soc",
            properties: &[
                ("status", Value::Text(&["okay"])),
                (
                    "lamps",
                    Value::Cells(&[Cell::Phandle("/soc/bus@1/lamp"), Cell::Phandle("/soc/bus@1")]),
                ),
            ],
        },
    ];

    fn property(blob: &[u8], path: &str, name: &str) -> Vec<u8> {
        let tree = parse(blob).unwrap();
        tree.find_node(path).unwrap().property(name).unwrap().value().to_vec()
    }

    #[test]
    fn nodes_are_made_and_referred_to() {
        let base = device_tree(&["/soc", "/soc/bus@1"]);
        assert!(!has(&base, "/soc/bus@1/lamp").unwrap());
        let merged = merge(&base, OVERLAY).unwrap();
        assert!(has(&merged, "/soc/bus@1/lamp").unwrap());
        assert_eq!(property(&merged, "/soc", "status"), b"okay\0");
        assert_eq!(property(&merged, "/soc", "lamps"), [0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(property(&merged, "/soc/bus@1", "phandle"), [0, 0, 0, 2]);
        // Once more, nothing is new.
        assert_eq!(merge(&merged, OVERLAY).unwrap(), merged);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = merge(&device_tree(&["/soc"]), OVERLAY).unwrap_err();
        assert_eq!(error.to_string(), "it has no node /soc/bus@1");
        let error = merge(b"\xd0\x0d\xfe\xed", OVERLAY).unwrap_err();
        assert!(error.to_string().contains("not a flattened device tree"), "{error}");
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
            let mut blob = merge(&device_tree(&["/soc", "/soc/bus@1"]), OVERLAY).unwrap();
            for (at, byte) in changes {
                let at = at.index(blob.len());
                blob[at] = byte;
            }
            if let Ok(merged) = merge(&blob, OVERLAY) {
                prop_assert!(has(&merged, "/soc/bus@1/lamp").unwrap());
            }
        }
    }
}
