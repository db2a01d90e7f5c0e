//! How a .deb is made, in nfpm's vocabulary (<https://nfpm.goreleaser.com/docs/configuration/>): the `recipe` of a
//! component and a file of its own speak the same, and both become a [`Recipe`].
//!
//! Ours beside nfpm's: `text` of contents, scripts written out in place, `copyright`, `revision`, `services` and
//! `lintian_overrides`. What is written for other packagers is read and has no effect; what we do not know is refused.

/// Modes and moments as recipes write them.
mod scalars;

/// `overrides.deb` laid over a recipe.
mod overrides;

/// `${NAME}` in a recipe's values.
mod expand;

/// What cannot become a package is refused here.
mod check;

/// Recipes as files of their own.
mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

pub use self::check::{Misfit, check};
pub use self::read::{read_file, read_yaml};
pub use self::scalars::{Mode, Moment};

/// Structs whose fields are all optional: missing and null are the default, as nfpm reads them; what is not known is
/// refused; defaults are not written out.
macro_rules! vocabulary {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
                pub $field: $type,
            )*
        }
    )*};
}

vocabulary! {
    /// A recipe. Empty texts and lists mean that nothing is said.
    pub struct Recipe {
        /// Package name; a component's recipe has the component's.
        pub name: String,
        /// Architecture in Go's spelling or Debian's; `all` for packages without programs.
        pub arch: String,
        /// Kernel; `linux` where nothing is said.
        pub platform: String,
        /// Upstream version; a component's recipe has the component's.
        pub version: String,
        /// Whether `version` is taken apart as a semantic version.
        pub version_schema: VersionSchema,
        /// Epoch of the Debian version.
        pub epoch: String,
        /// Debian revision.
        pub release: String,
        /// What follows `~` in the Debian version.
        pub prerelease: String,
        /// What follows `+` in the Debian version.
        pub version_metadata: String,
        /// Debian section.
        pub section: String,
        /// `Priority`; `optional` where nothing is said.
        pub priority: String,
        /// `Maintainer`: name and address.
        pub maintainer: String,
        /// Synopsis and, from the second line, extended description.
        pub description: String,
        /// Who publishes it; has no place in a .deb.
        pub vendor: String,
        /// Upstream's page.
        pub homepage: String,
        /// SPDX expression, for `copyright`.
        pub license: String,
        /// Changelog file in chglog's form.
        pub changelog: String,
        /// Whether `*`, `?`, `[` and `{` in `src` are plain characters.
        pub disable_globbing: bool,
        /// Time stamp of everything in the package.
        pub mtime: Option<Moment>,
        /// Taken from the modes of files that are packaged as they are; 002 where nothing is said.
        pub umask: Option<Mode>,
        /// Files of the package.
        pub contents: Vec<Content>,
        /// Maintainer scripts.
        pub scripts: Scripts,
        /// `Depends`
        pub depends: Vec<String>,
        /// `Recommends`
        pub recommends: Vec<String>,
        /// `Suggests`
        pub suggests: Vec<String>,
        /// `Conflicts`
        pub conflicts: Vec<String>,
        /// `Replaces`
        pub replaces: Vec<String>,
        /// `Provides`
        pub provides: Vec<String>,
        /// What only .debs have.
        pub deb: Deb,
        /// Other values for one packager.
        pub overrides: Overrides,
        /// For another packager.
        pub rpm: Foreign,
        /// For another packager.
        pub apk: Foreign,
        /// For another packager.
        pub archlinux: Foreign,
        /// For another packager.
        pub ipk: Foreign,
        /// For another packager.
        pub msix: Foreign,
        /// Ours: whose work it is, for `/usr/share/doc/<package>/copyright`.
        pub copyright: Option<Copyright>,
        /// Ours: Debian revision as a number; counts the recipe's own changes for one upstream version.
        pub revision: Option<u32>,
        /// Ours: systemd units the package enables and starts where it is installed by dpkg.
        pub services: Vec<String>,
        /// Ours: lintian tags overridden, each with its reason.
        pub lintian_overrides: Vec<LintianOverride>,
    }

    /// What `overrides` can say for one packager.
    pub struct Overridables {
        /// See [`Recipe::umask`].
        pub umask: Option<Mode>,
        /// See [`Recipe::contents`].
        pub contents: Vec<Content>,
        /// See [`Recipe::scripts`].
        pub scripts: Scripts,
        /// See [`Recipe::depends`].
        pub depends: Vec<String>,
        /// See [`Recipe::recommends`].
        pub recommends: Vec<String>,
        /// See [`Recipe::suggests`].
        pub suggests: Vec<String>,
        /// See [`Recipe::conflicts`].
        pub conflicts: Vec<String>,
        /// See [`Recipe::replaces`].
        pub replaces: Vec<String>,
        /// See [`Recipe::provides`].
        pub provides: Vec<String>,
        /// See [`Recipe::deb`].
        pub deb: Deb,
        /// For another packager.
        pub rpm: Foreign,
        /// For another packager.
        pub apk: Foreign,
        /// For another packager.
        pub archlinux: Foreign,
        /// For another packager.
        pub ipk: Foreign,
        /// For another packager.
        pub msix: Foreign,
    }

    /// Other values for one packager; ours is `deb`.
    pub struct Overrides {
        /// For .debs.
        pub deb: Option<Overridables>,
        /// For another packager.
        pub rpm: Foreign,
        /// For another packager.
        pub apk: Foreign,
        /// For another packager.
        pub archlinux: Foreign,
        /// For another packager.
        pub ipk: Foreign,
        /// For another packager.
        pub msix: Foreign,
    }

    /// One file, folder or link of a package, or several by a glob.
    pub struct Content {
        /// File of the upstream archive or build (`nomad`), or of the working folder for a recipe of its own; target of a
        /// symlink.
        pub src: Option<String>,
        /// Ours: literal content instead of `src`.
        pub text: Option<String>,
        /// Absolute path on the target; with `/` at its end a folder that the files of `src` go into.
        pub dst: String,
        /// What it is.
        #[serde(rename = "type")]
        pub kind: ContentType,
        /// The only packager it is for.
        pub packager: String,
        /// Whether `${NAME}` in `src` and `dst` stands for a variable of the environment.
        pub expand: bool,
        /// Owner and permissions.
        pub file_info: FileInfo,
    }

    /// Owner and permissions of a content; what is not said comes from the source, and root.
    pub struct FileInfo {
        /// User; `root` where nothing is said.
        pub owner: String,
        /// Group; `root` where nothing is said.
        pub group: String,
        /// Permissions.
        pub mode: Option<Mode>,
        /// Time stamp.
        pub mtime: Option<Moment>,
    }

    /// Maintainer scripts: the name of a file, or (ours) the script itself, told by its `#!`.
    ///
    /// A line `#DEBHELPER#` stands for what `services`, sysusers.d and tmpfiles.d need.
    pub struct Scripts {
        /// `preinst`
        pub preinstall: String,
        /// `postinst`
        pub postinstall: String,
        /// `prerm`
        pub preremove: String,
        /// `postrm`
        pub postremove: String,
    }

    /// What only .debs have.
    pub struct Deb {
        /// Architecture as Debian names it, instead of [`Recipe::arch`].
        pub arch: String,
        /// `Architecture-Variant`
        pub arch_variant: String,
        /// Further members of control.tar.
        pub scripts: DebScripts,
        /// dpkg's triggers.
        pub triggers: Triggers,
        /// `Breaks`
        pub breaks: Vec<String>,
        /// `Pre-Depends`
        pub predepends: Vec<String>,
        /// A signature inside the .deb: refused, nothing in Debian reads it.
        pub signature: Signature,
        /// `gzip`, `xz`, `zstd` (each with a level: `zstd:19`) or `none`.
        pub compression: String,
        /// Further control fields.
        pub fields: BTreeMap<String, String>,
    }

    /// Further members of control.tar: the names of files.
    pub struct DebScripts {
        /// `rules`
        pub rules: String,
        /// `templates` of debconf.
        pub templates: String,
        /// `config` of debconf.
        pub config: String,
    }

    /// dpkg's triggers, deb-triggers(5).
    pub struct Triggers {
        /// `interest`
        pub interest: Vec<String>,
        /// `interest-await`
        pub interest_await: Vec<String>,
        /// `interest-noawait`
        pub interest_noawait: Vec<String>,
        /// `activate`
        pub activate: Vec<String>,
        /// `activate-await`
        pub activate_await: Vec<String>,
        /// `activate-noawait`
        pub activate_noawait: Vec<String>,
    }

    /// A signature inside the .deb.
    pub struct Signature {
        /// Secret key.
        pub key_file: String,
        /// Which key of the file.
        pub key_id: String,
        /// `debsign` or `dpkg-sig`.
        pub method: String,
        /// Role.
        #[serde(rename = "type")]
        pub kind: String,
        /// Name.
        pub signer: String,
    }
}

/// Whether a version is taken apart as a semantic version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionSchema {
    /// It is, where it is one: `v1.2.3-beta` becomes `1.2.3~beta`.
    #[default]
    Semver,
    /// It stays as it is.
    None,
}

/// What a content is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentType {
    /// A file.
    #[default]
    #[serde(rename = "file", alias = "")]
    File,
    /// A file whose changes by its owner dpkg keeps.
    #[serde(rename = "config")]
    Config,
    /// For dpkg the same as [`Self::Config`].
    #[serde(rename = "config|noreplace")]
    ConfigNoReplace,
    /// For dpkg the same as [`Self::Config`].
    #[serde(rename = "config|missingok")]
    ConfigMissingOk,
    /// A folder.
    #[serde(rename = "dir")]
    Dir,
    /// A symbolic link to `src`.
    #[serde(rename = "symlink")]
    Symlink,
    /// Everything below the folder `src`.
    #[serde(rename = "tree")]
    Tree,
    /// For rpm only.
    #[serde(rename = "ghost")]
    Ghost,
    /// For rpm only.
    #[serde(rename = "doc")]
    Doc,
    /// For rpm only.
    #[serde(rename = "licence", alias = "license")]
    Licence,
    /// For rpm only.
    #[serde(rename = "readme")]
    Readme,
}

impl ContentType {
    /// Whether dpkg keeps what the owner changed.
    pub fn is_config(self) -> bool {
        matches!(self, Self::Config | Self::ConfigNoReplace | Self::ConfigMissingOk)
    }
}

impl Content {
    /// Whether it is for a .deb at all.
    pub fn is_for_deb(&self) -> bool {
        let rpm = matches!(
            self.kind,
            ContentType::Ghost | ContentType::Doc | ContentType::Licence | ContentType::Readme
        );
        !rpm && (self.packager.is_empty() || self.packager == "deb")
    }
}

/// What is for another packager: read, and forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreign;

impl<'de> Deserialize<'de> for Foreign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for Foreign {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// Where a package's licence text comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copyright {
    /// Copyright holder.
    pub holder: String,
    /// Names the licence file may have in the upstream archive or module; the first that is there is taken.
    pub files: Vec<String>,
}

/// A lintian tag that is not a mistake here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LintianOverride {
    /// Tag.
    pub tag: String,
    /// Why it does not apply.
    pub reason: String,
}

fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
