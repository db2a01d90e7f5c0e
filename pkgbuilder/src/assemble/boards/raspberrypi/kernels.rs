//! Who built the kernel, and what that means for the boot partition: one table.

use anyhow::{Context, Result};
use bytes::Bytes;

use super::super::super::device_tree;
use super::super::super::fat::Files;
use super::super::super::firmware;
use super::super::super::initramfs::Kernel;
use super::header::{ETHERNET_5, HEADERS};
use crate::bail_input;

/// A kernel's origin.
#[derive(Debug)]
pub(super) struct Flavour {
    /// What releases of its kernels have in them (`uname -r`).
    mark: &'static str,
    /// Lines of config.txt that its device trees ask for.
    pub(super) settings: &'static str,
    /// What the kernel is told besides what all are told.
    words: &'static [&'static str],
    /// Its consoles, where they are not the target's own.
    consoles: Option<&'static str>,
    /// Whether its device trees are Linux' own, into which ours has to be merged.
    upstream: bool,
}

/// The Raspberry Pi's own kernel. Its device trees understand `dtparam=`, and its firmware makes `serial0` the name of the
/// console on the pin header. The memory controller is off in it unless both words say otherwise
/// (github.com/raspberrypi/linux, "cgroup: Use cgroup_enable=memory"), and Nomad counts memory by it.
const RASPBERRY_PI: Flavour = Flavour {
    mark: "+rpt-rpi-",
    settings: "dtparam=i2c_arm=on\ndtparam=spi=on\ndtparam=watchdog=on\n",
    words: &["cgroup_enable=memory", "cgroup_memory=1"],
    consoles: Some("console=tty1 console=serial0,115200"),
    upstream: false,
};

/// Debian's, which is Linux' own: `upstream_kernel=1` makes the firmware look for device trees by the names that Linux gives
/// them.
const DEBIAN: Flavour = Flavour {
    mark: "",
    settings: "upstream_kernel=1\n",
    words: &[],
    consoles: None,
    upstream: true,
};

/// Every flavour; the first whose mark is in a release is meant.
const FLAVOURS: &[Flavour] = &[RASPBERRY_PI, DEBIAN];

impl Flavour {
    /// The flavour of a kernel.
    pub(super) fn of(kernel: &Kernel) -> &'static Self {
        let found = FLAVOURS.iter().find(|flavour| kernel.release.contains(flavour.mark));
        found.unwrap_or(&DEBIAN)
    }

    /// The kernel's consoles, those of the target unless it has its own, and what else it is told.
    pub(super) fn words(&self, consoles: &str) -> String {
        let consoles = self.consoles.unwrap_or(consoles);
        let words = std::iter::once(consoles).chain(self.words.iter().copied());
        words.collect::<Vec<_>>().join(" ")
    }

    /// Fails unless the kernel's device trees say that it knows a model.
    ///
    /// # Errors
    ///
    /// A model that it does not know is wrong input.
    pub(super) fn must_know(&self, model: firmware::Board, kernel: &Kernel, files: &Files) -> Result<()> {
        let (title, name) = (model.title(), model.device_tree(self.upstream));
        let Some(content) = files.get(name) else {
            bail_input!(
                "the kernel {} has no device tree for a {title} ({name}): choose a kernel that knows the board, or a \
                 target without it",
                kernel.release
            );
        };
        // A half of a Pi 5 is no node.
        if self.upstream && model == firmware::Board::Pi5 && !device_tree::has(content, ETHERNET_5)? {
            bail_input!(
                "the kernel {} does not know the Ethernet of a {title} yet: take that of trixie-backports, by \
                 `debian+: {{ sources+: {{ backports: {{ suites: ['trixie-backports'] }} }}, \
                 pins+: [{{ packages: ['linux-*'], source: 'backports' }}] }}`, or the Raspberry Pi's own \
                 (docs/apt-sources.md)",
                kernel.release
            );
        }
        Ok(())
    }

    /// A device tree of this kernel as it goes onto the boot partition.
    ///
    /// # Errors
    ///
    /// Fails if `content` is no device tree, or lacks what ours builds on.
    pub(super) fn device_tree(&self, content: Bytes) -> Result<Bytes> {
        if !self.upstream {
            return Ok(content);
        }
        for header in HEADERS {
            if device_tree::has(&content, header.known_by)? {
                let merged = device_tree::merge(&content, header.overlay);
                return Ok(merged.context("switching on I2C and SPI")?.into());
            }
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::testing::device_tree as nodes;
    use super::*;

    fn kernel(release: &str) -> Kernel {
        Kernel {
            release: release.to_owned(),
            image: Bytes::new(),
        }
    }

    #[test]
    fn a_release_says_whose_it_is() {
        for release in ["6.12.117+deb13-arm64", "6.12.107+deb13-rpi", "7.3.4+deb13-arm64"] {
            let flavour = Flavour::of(&kernel(release));
            assert!(flavour.upstream, "{release}");
            assert_eq!(flavour.words("console=ttyS1"), "console=ttyS1");
        }
        let flavour = Flavour::of(&kernel("6.12.47+rpt-rpi-v8"));
        assert_eq!(
            flavour.words("console=ttyS1"),
            "console=tty1 console=serial0,115200 cgroup_enable=memory cgroup_memory=1"
        );
    }

    #[test]
    fn only_linux_own_device_trees_are_changed() {
        let tree: Bytes = nodes(&[
            "/aliases",
            "/soc",
            "/soc/gpio@7e200000",
            "/soc/i2c@7e804000",
            "/soc/spi@7e204000",
        ])
        .into();
        let changed = DEBIAN.device_tree(tree.clone()).unwrap();
        assert!(device_tree::has(&changed, "/soc/spi@7e204000/spidev@1").unwrap());
        assert_eq!(RASPBERRY_PI.device_tree(tree.clone()).unwrap(), tree);
        let other: Bytes = nodes(&["/soc"]).into();
        assert!(!device_tree::has(&DEBIAN.device_tree(other).unwrap(), "/aliases").unwrap());
    }

    #[test]
    fn a_board_without_that_kernel_is_named() {
        let mut files = Files::new();
        let refused = |flavour: &Flavour, files: &Files, model| {
            let error = flavour
                .must_know(model, &kernel("6.12.117+deb13-arm64"), files)
                .unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            error.to_string()
        };
        let said = refused(&DEBIAN, &files, firmware::Board::Pi4);
        assert!(
            said.contains("no device tree for a Raspberry Pi 4 Model B (bcm2711-rpi-4-b.dtb)"),
            "{said}"
        );
        let said = refused(&RASPBERRY_PI, &files, firmware::Board::Pi3);
        assert!(said.contains("bcm2710-rpi-3-b.dtb"), "{said}");
        // What Linux 6.12 has of it.
        files.insert("bcm2712-rpi-5-b.dtb".to_owned(), nodes(&["/soc@107c000000"]).into());
        let said = refused(&DEBIAN, &files, firmware::Board::Pi5);
        assert!(
            said.contains("trixie-backports") && said.contains("6.12.117+deb13-arm64"),
            "{said}"
        );
        let known = [
            "/axi",
            "/axi/pcie@1000120000",
            "/axi/pcie@1000120000/pci@0,0",
            "/axi/pcie@1000120000/pci@0,0/dev@0,0",
            "/axi/pcie@1000120000/pci@0,0/dev@0,0/pci-ep-bus@1",
            ETHERNET_5,
        ];
        files.insert("bcm2712-rpi-5-b.dtb".to_owned(), nodes(&known).into());
        DEBIAN
            .must_know(firmware::Board::Pi5, &kernel("7.3.4+deb13-arm64"), &files)
            .unwrap();
    }
}
