//! A card as firmware sees it: partitions, and files of those that are FAT.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use bytes::Bytes;

use super::super::fat::Volume;
use super::super::medium::Medium;
use super::super::partitions::{Kind, Table};
use crate::{bail_input, input_error};

/// What the model of the firmware asks of a card. Paths have no leading `/`, and are compared as FAT does, without case.
pub trait Card {
    /// Numbers of the FAT partitions, in order.
    fn volumes(&self) -> Vec<u8>;

    /// Names of the files of a volume.
    fn files(&self, partition: u8) -> Vec<String>;

    /// The content of a file.
    fn read(&self, partition: u8, path: &str) -> Option<Bytes>;

    /// The partition that the kernel finds by this `PARTUUID`.
    fn partition_of(&self, partuuid: &str) -> Option<u8>;
}

/// The card that an image makes.
#[derive(Debug)]
pub struct ImageCard<'a> {
    /// What Linux reads: logical partitions, too.
    table: Table,
    /// The FAT partitions, which firmware reads; nothing where one cannot be read.
    volumes: BTreeMap<u8, Option<(Volume<'a>, Vec<String>)>>,
    read: RefCell<HashMap<(u8, String), Option<Bytes>>>,
}

impl<'a> ImageCard<'a> {
    /// Opens the boot partitions of an image. A volume that cannot be read has no files.
    ///
    /// # Errors
    ///
    /// Fails if there is no partition table; an image without a FAT partition is wrong input.
    pub fn open(file: &'a dyn Medium) -> Result<Self> {
        let primary = Table::read_primary(file)?;
        let partitions = primary
            .partitions
            .iter()
            .filter(|partition| partition.kind == Kind::Fat);
        let volumes: BTreeMap<_, _> = partitions
            .map(|partition| {
                let opened = Volume::open(file, *partition).and_then(|volume| {
                    let files = volume.files()?;
                    Ok((volume, files))
                });
                (partition.number, opened.ok())
            })
            .collect();
        if volumes.is_empty() {
            bail_input!("the image has no FAT partition, so no Raspberry Pi starts from it");
        }
        Ok(Self {
            // Logical partitions that cannot be read are none of the firmware's business.
            table: Table::read(file).unwrap_or(primary),
            volumes,
            read: RefCell::default(),
        })
    }

    /// Its partition table, as Linux reads it.
    pub fn table(&self) -> &Table {
        &self.table
    }
}

impl Card for ImageCard<'_> {
    fn volumes(&self) -> Vec<u8> {
        self.volumes.keys().copied().collect()
    }

    fn files(&self, partition: u8) -> Vec<String> {
        let volume = self.volumes.get(&partition).and_then(Option::as_ref);
        volume.map(|(_, files)| files.clone()).unwrap_or_default()
    }

    fn read(&self, partition: u8, path: &str) -> Option<Bytes> {
        let key = (partition, path.to_ascii_lowercase());
        if let Some(known) = self.read.borrow().get(&key) {
            return known.clone();
        }
        let volume = self.volumes.get(&partition).and_then(Option::as_ref);
        let found = volume.and_then(|(volume, _)| volume.read(path).ok().flatten());
        let found = found.map(Bytes::from);
        self.read.borrow_mut().insert(key, found.clone());
        found
    }

    fn partition_of(&self, partuuid: &str) -> Option<u8> {
        let mut partitions = self.table.partitions.iter();
        let found = partitions.find(|partition| {
            self.table
                .partuuid(partition.number)
                .is_ok_and(|own| own.eq_ignore_ascii_case(partuuid))
        });
        Some(found?.number)
    }
}

/// What is done to a file of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Its bytes are noise.
    Corrupt,
    /// It has only its first half.
    Truncate,
    /// It is there, with no bytes.
    Empty,
    /// It is not there.
    Missing,
}

/// A card with files that were damaged.
#[derive(Debug)]
pub struct Damaged<'a, C> {
    card: &'a C,
    harms: BTreeMap<(u8, String), Harm>,
}

impl<'a, C: Card> Damaged<'a, C> {
    /// The card as it is.
    pub fn new(card: &'a C) -> Self {
        Self {
            card,
            harms: BTreeMap::new(),
        }
    }

    /// Harms a file: `2:start4.elf`, or `autoboot.txt` on the first partition that has it.
    ///
    /// # Errors
    ///
    /// A file that is not there is wrong input.
    pub fn harm(&mut self, what: &str, harm: Harm) -> Result<()> {
        let (partition, path) = match what.split_once(':') {
            Some((number, path)) => {
                let number: u8 = number.parse().map_err(|_| {
                    input_error!("`{what}`: `{number}` is not the number of a partition, as in 2:start4.elf")
                })?;
                (Some(number), path)
            }
            None => (None, what),
        };
        let has = |number: &u8| {
            self.card
                .files(*number)
                .iter()
                .any(|file| file.eq_ignore_ascii_case(path))
        };
        let found = self
            .card
            .volumes()
            .into_iter()
            .filter(|number| partition.is_none_or(|wanted| wanted == *number))
            .find(has);
        let Some(number) = found else {
            bail_input!(
                "there is no {path} on {}",
                match partition {
                    Some(number) => format!("partition {number}"),
                    None => "any boot partition".to_owned(),
                }
            );
        };
        self.harms.insert((number, path.to_ascii_lowercase()), harm);
        Ok(())
    }

    fn harm_of(&self, partition: u8, path: &str) -> Option<Harm> {
        self.harms.get(&(partition, path.to_ascii_lowercase())).copied()
    }
}

impl<C: Card> Card for Damaged<'_, C> {
    fn volumes(&self) -> Vec<u8> {
        self.card.volumes()
    }

    fn files(&self, partition: u8) -> Vec<String> {
        let mut files = self.card.files(partition);
        files.retain(|file| self.harm_of(partition, file) != Some(Harm::Missing));
        files
    }

    fn read(&self, partition: u8, path: &str) -> Option<Bytes> {
        let content = self.card.read(partition, path)?;
        match self.harm_of(partition, path) {
            None => Some(content),
            Some(Harm::Missing) => None,
            Some(Harm::Empty) => Some(Bytes::new()),
            Some(Harm::Truncate) => Some(content.slice(..content.len() / 2)),
            Some(Harm::Corrupt) => Some(noise(content.len()).into()),
        }
    }

    fn partition_of(&self, partuuid: &str) -> Option<u8> {
        self.card.partition_of(partuuid)
    }
}

/// Bytes without a meaning, the same each time (a linear congruence with the numbers of Knuth's MMIX).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect()
}

/// The content of a file that has to be there.
pub(super) fn must(card: &impl Card, partition: u8, path: &str, board: &str) -> Result<Bytes> {
    card.read(partition, path).with_context(|| {
        format!("boot partition {partition} has no {path}, or it cannot be read: a {board} stays dark")
    })
}
