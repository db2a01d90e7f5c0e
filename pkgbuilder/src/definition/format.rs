//! The files that a build can leave of an image: their names in definitions and on the command line.

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::input_error;

/// A kind of file; one is made of the finished image for each that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `.img`: the image as it is on a card.
    Img,
    /// `.img.zst`: compressed, what `pkgbuilder burn` takes.
    Zst,
    /// `.img.xz`: the same for programs that know only xz.
    Xz,
    /// `.qcow2`: the disk of a virtual machine of QEMU.
    Qcow2,
    /// `.vmdk`: the disk of a virtual machine elsewhere.
    Vmdk,
    /// `.libvirt.box`: for Vagrant with libvirt.
    BoxLibvirt,
    /// `.virtualbox.box`: for Vagrant with VirtualBox.
    BoxVirtualbox,
    /// `.oci.tar`: a container image.
    Oci,
}

impl Format {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Img,
        Self::Zst,
        Self::Xz,
        Self::Qcow2,
        Self::Vmdk,
        Self::BoxLibvirt,
        Self::BoxVirtualbox,
        Self::Oci,
    ];

    /// What definitions and arguments call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Img => "img",
            Self::Zst => "zst",
            Self::Xz => "xz",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::BoxLibvirt => "box-libvirt",
            Self::BoxVirtualbox => "box-virtualbox",
            Self::Oci => "oci",
        }
    }

    /// What the names of its files end with, without the first dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Img => "img",
            Self::Zst => "img.zst",
            Self::Xz => "img.xz",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::BoxLibvirt => "libvirt.box",
            Self::BoxVirtualbox => "virtualbox.box",
            Self::Oci => "oci.tar",
        }
    }

    /// Whether it holds a disk larger than the image: that of a virtual machine.
    pub fn is_virtual(self) -> bool {
        matches!(self, Self::Qcow2 | Self::Vmdk | Self::BoxLibvirt | Self::BoxVirtualbox)
    }

    /// Reads the list of an argument, `img,qcow2`; what a file ends with (`img.xz`) is a name as well.
    ///
    /// # Errors
    ///
    /// A name that is none is wrong input; the sentence has the nearest one that exists.
    pub fn parse_list(list: &str) -> Result<Vec<Self>> {
        let mut formats = Vec::new();
        for name in list.split(',').map(str::trim) {
            let found = Self::ALL
                .into_iter()
                .find(|format| [format.name(), format.suffix()].contains(&name));
            let format = found.ok_or_else(|| {
                let known = Self::ALL.map(|format| format.name().to_owned());
                let nearest = super::nearest(name, &known);
                input_error!(
                    "`--format {list}`: unknown format `{name}`{nearest}; there are: {}",
                    known.join(", ")
                )
            })?;
            formats.push(format);
        }
        formats.sort_unstable();
        formats.dedup();
        Ok(formats)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_names_or_suffixes_each_once() {
        let parsed = Format::parse_list("qcow2, img.xz,img,xz").unwrap();
        assert_eq!(parsed, [Format::Img, Format::Xz, Format::Qcow2]);
    }

    #[test]
    fn an_unknown_one_is_refused_with_the_nearest() {
        for (given, nearest) in [("qcow", "qcow2"), ("box-libvrt", "box-libvirt"), ("img,zs", "zst")] {
            let error = Format::parse_list(given).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(
                error.to_string().contains(&format!("did you mean `{nearest}`?")),
                "{error}"
            );
        }
        assert!(
            Format::parse_list("")
                .unwrap_err()
                .to_string()
                .contains("there are: img, zst")
        );
    }

    #[test]
    fn definitions_have_the_names_of_arguments() {
        for format in Format::ALL {
            let json = serde_json::to_value(format).unwrap();
            assert_eq!(json, format.name());
            assert_eq!(Format::parse_list(format.name()).unwrap(), [format]);
        }
    }
}
