//! What a card may hold after the power was cut.
//!
//! What was written before the last barrier is there. Of what was written since, any sectors may be there and any may
//! not, whatever the order of the writes; a sector that was written more than once may hold any of these; cards that
//! write 4 KiB at once tear between those. And one sector may be torn within: up to some byte the new one and the old
//! one behind it, or the other way round.

use std::collections::BTreeMap;

use computatom_agent::disk::memory::Memory;
use computatom_agent::disk::{BlockDevice, SECTOR};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::card::Event;

type Sector = [u8; 512];

/// What may be in doubt after an event.
#[derive(Debug)]
pub(crate) struct Doubt<'a> {
    /// What is certainly there.
    durable: Memory,
    /// Sectors written since, with all they held, the oldest first.
    open: BTreeMap<u64, Vec<Sector>>,
    events: std::slice::Iter<'a, Event>,
    /// How many events have happened.
    pub(crate) happened: usize,
}

impl<'a> Doubt<'a> {
    pub(crate) fn before(card: Memory, events: &'a [Event]) -> Self {
        Self {
            durable: card,
            open: BTreeMap::new(),
            events: events.iter(),
            happened: 0,
        }
    }

    /// Lets one more event happen; false if there is none.
    pub(crate) fn step(&mut self) -> bool {
        let Some(event) = self.events.next() else { return false };
        self.happened += 1;
        match event {
            Event::Write(offset, bytes) => self.write(*offset, bytes),
            Event::Flush => {
                for (sector, versions) in std::mem::take(&mut self.open) {
                    self.durable
                        .write_at(versions.last().unwrap(), sector * SECTOR)
                        .unwrap();
                }
            }
        }
        true
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        for sector in offset / SECTOR..end.div_ceil(SECTOR) {
            let mut content = match self.open.get(&sector) {
                Some(versions) => *versions.last().unwrap(),
                None => self.durable_sector(sector),
            };
            let before = content;
            let (start, stop) = (offset.max(sector * SECTOR), end.min((sector + 1) * SECTOR));
            let number = |offset: u64| usize::try_from(offset).unwrap();
            content[number(start % SECTOR)..number(stop - sector * SECTOR)]
                .copy_from_slice(&bytes[number(start - offset)..number(stop - offset)]);
            if content != before {
                self.open.entry(sector).or_default().push(content);
            }
        }
    }

    fn durable_sector(&self, sector: u64) -> Sector {
        let mut content = [0; 512];
        self.durable.read_at(&mut content, sector * SECTOR).unwrap();
        content
    }

    /// One of the cards that may be left: the simple ones first, then as chance has it.
    pub(crate) fn cut(&self, variant: u64) -> Memory {
        let mut random = StdRng::seed_from_u64(variant << 32 | self.happened as u64);
        let mut card = self.durable.clone();
        // Cards that write whole pages; and how much of what is open is there.
        let together = if random.gen_bool(0.5) { 1 } else { 8 };
        let share = [1.0, 0.0, 0.5, 0.9, 0.1][usize::try_from(variant % 5).unwrap()];
        let mut chosen = BTreeMap::new();
        for (sector, versions) in &self.open {
            let version = chosen.entry(sector / together).or_insert_with(|| {
                let there = random.gen_bool(share);
                there.then(|| if share < 1.0 { random.gen_range(0.0..1.0) } else { 1.0 })
            });
            if let Some(version) = version {
                let index = index_of(*version, versions.len());
                card.write_at(&versions[index], sector * SECTOR).unwrap();
            }
        }
        // The simplest cut tears nothing.
        if variant >= 2 && !self.open.is_empty() {
            self.tear(&mut card, &mut random);
        }
        card
    }

    fn tear(&self, card: &mut Memory, random: &mut StdRng) {
        // The last one written is the likeliest, and the one that says most.
        let index = random.gen_range(0..self.open.len());
        let (sector, versions) = self.open.iter().nth(index).unwrap();
        let new = versions.last().unwrap();
        let old = match versions.len() {
            1 => self.durable_sector(*sector),
            count => versions[count - 2],
        };
        let differing: Vec<usize> = (1..512)
            .filter(|at| new[*at] != old[*at] || new[at - 1] != old[at - 1])
            .collect();
        let Some(at) = differing.get(random.gen_range(0..differing.len().max(1))) else {
            return;
        };
        let mut torn = if random.gen_bool(0.5) { *new } else { old };
        let rest = if torn == *new { &old } else { new };
        torn[*at..].copy_from_slice(&rest[*at..]);
        card.write_at(&torn, sector * SECTOR).unwrap();
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a small number"
)]
fn index_of(share: f64, count: usize) -> usize {
    ((share * count as f64) as usize).min(count - 1)
}
