//! Which bytes of an image count; the rest is zeros that need not be written to a card.

use std::ops::Range;

/// Blocks of a block map.
pub(super) const BLOCK: u64 = 4096;

/// Byte ranges, in order, apart from each other, each of whole blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds a range, widened to whole blocks.
    pub fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let mut new = range.start / BLOCK * BLOCK..range.end.next_multiple_of(BLOCK);
        self.0.retain(|old| {
            let touches = old.start <= new.end && new.start <= old.end;
            if touches {
                new = old.start.min(new.start)..old.end.max(new.end);
            }
            !touches
        });
        let place = self.0.partition_point(|old| old.start < new.start);
        self.0.insert(place, new);
    }

    /// The ranges.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// Bytes in all ranges.
    pub fn total(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether something in `range` counts.
    pub fn touches(&self, range: &Range<u64>) -> bool {
        self.iter().any(|own| own.start < range.end && range.start < own.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_become_one() {
        let mut ranges = Ranges::default();
        ranges.add(8192..8193);
        ranges.add(0..10);
        ranges.add(4096..8192);
        ranges.add(40_960..40_961);
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..12_288, 40_960..45_056]);
        assert_eq!(ranges.total(), 16_384);
        assert!(ranges.touches(&(12_287..12_288)) && !ranges.touches(&(12_288..40_960)));
    }

    proptest! {
        #[test]
        fn they_are_what_a_set_of_blocks_would_be(adds in proptest::collection::vec((0_u64..64, 1_u64..9), 0..20)) {
            let mut ranges = Ranges::default();
            let mut blocks = std::collections::BTreeSet::new();
            for (start, length) in adds {
                ranges.add(start * BLOCK..(start + length) * BLOCK);
                blocks.extend(start..start + length);
            }
            let listed: Vec<u64> = ranges.iter().flat_map(|range| range.start / BLOCK..range.end / BLOCK).collect();
            prop_assert_eq!(listed, blocks.into_iter().collect::<Vec<_>>());
        }
    }
}
