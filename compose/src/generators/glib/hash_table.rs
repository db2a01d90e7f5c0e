//! The order in which GLib's hash table gives its entries, for it decides about the order in the files made of them.
//!
//! The rules are GLib's (`glib/ghash.c`, since 2.60): open addressing in a power of two of slots, the first of them by
//! a prime modulus, the next by steps that grow by one; a full table moves its entries in place.

/// Slots of an empty table.
const MIN_SHIFT: u32 = 3;

/// The largest prime below each power of two, from 1 on; 1 where there is none.
const PRIMES: [u32; 32] = [
    1,
    2,
    3,
    7,
    13,
    31,
    61,
    127,
    251,
    509,
    1021,
    2039,
    4093,
    8191,
    16_381,
    32_749,
    65_521,
    131_071,
    262_139,
    524_287,
    1_048_573,
    2_097_143,
    4_194_301,
    8_388_593,
    16_777_213,
    33_554_393,
    67_108_859,
    134_217_689,
    268_435_399,
    536_870_909,
    1_073_741_789,
    2_147_483_647,
];

/// A map from strings whose order is that of a `GHashTable` with `g_str_hash`.
#[derive(Debug)]
pub(in crate::generators) struct HashTable<V> {
    slots: Vec<Slot<V>>,
    shift: u32,
    entries: u32,
    /// Entries, and slots that had one since the table last moved.
    occupied: u32,
}

#[derive(Debug)]
enum Slot<V> {
    Unused,
    Tombstone,
    Entry(u32, String, V),
}

impl<V> Default for HashTable<V> {
    fn default() -> Self {
        Self {
            slots: unused(1 << MIN_SHIFT),
            shift: MIN_SHIFT,
            entries: 0,
            occupied: 0,
        }
    }
}

fn unused<V>(count: usize) -> Vec<Slot<V>> {
    std::iter::repeat_with(|| Slot::Unused).take(count).collect()
}

/// `djb_hash` of GVDB, which is `g_str_hash`: bytes are signed.
pub(in crate::generators) fn hash(key: &str) -> u32 {
    key.bytes().fold(5381_u32, |hash, byte| {
        hash.wrapping_mul(33).wrapping_add_signed(i32::from(byte.cast_signed()))
    })
}

impl<V> HashTable<V> {
    /// Entries in it.
    pub(in crate::generators) fn len(&self) -> usize {
        self.entries as usize
    }

    fn first_slot(&self, hash: u32) -> usize {
        (hash.wrapping_mul(11) % PRIMES[self.shift as usize]) as usize
    }

    /// The slot of a key, or where it would be put.
    fn slot_of(&self, key: &str) -> (usize, u32) {
        // 0 and 1 mark slots without an entry.
        let hash = Some(hash(key)).filter(|hash| *hash > 1).unwrap_or(2);
        let mut at = self.first_slot(hash);
        let (mut tombstone, mut step) = (None, 0);
        loop {
            match &self.slots[at] {
                Slot::Unused => return (tombstone.unwrap_or(at), hash),
                Slot::Entry(known, name, _) if *known == hash && name == key => return (at, hash),
                Slot::Entry(..) => {}
                Slot::Tombstone => tombstone = tombstone.or(Some(at)),
            }
            step += 1;
            at = (at + step) & (self.slots.len() - 1);
        }
    }

    /// The value of a key.
    pub(in crate::generators) fn get(&self, key: &str) -> Option<&V> {
        match &self.slots[self.slot_of(key).0] {
            Slot::Entry(_, _, value) => Some(value),
            _ => None,
        }
    }

    /// The value of a key, to change it.
    pub(in crate::generators) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let (at, _) = self.slot_of(key);
        match &mut self.slots[at] {
            Slot::Entry(_, _, value) => Some(value),
            _ => None,
        }
    }

    /// Puts a value in, in the place of that which the key has.
    pub(in crate::generators) fn insert(&mut self, key: &str, value: V) {
        let (at, hash) = self.slot_of(key);
        match &mut self.slots[at] {
            Slot::Entry(_, _, old) => {
                *old = value;
                return;
            }
            Slot::Unused => self.occupied += 1,
            Slot::Tombstone => {}
        }
        self.slots[at] = Slot::Entry(hash, key.to_owned(), value);
        self.entries += 1;
        self.fit();
    }

    /// Takes a key out.
    pub(in crate::generators) fn remove(&mut self, key: &str) {
        let (at, _) = self.slot_of(key);
        if matches!(self.slots[at], Slot::Entry(..)) {
            self.slots[at] = Slot::Tombstone;
            self.entries -= 1;
            self.fit();
        }
    }

    /// Keys and values in the table's order.
    pub(in crate::generators) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Entry(_, key, value) => Some((key.as_str(), value)),
            _ => None,
        })
    }

    fn fit(&mut self) {
        let size = self.slots.len();
        let (entries, occupied) = (self.entries as usize, self.occupied as usize);
        if (size > entries * 4 && size > 1 << MIN_SHIFT) || size <= occupied + occupied / 16 {
            self.resize();
        }
    }

    fn resize(&mut self) {
        // `(int) (entries * 1.333)`, and as many bits as that has.
        let wanted = u64::from(self.entries) * 1333 / 1000;
        self.shift = (u64::BITS - wanted.leading_zeros()).clamp(MIN_SHIFT, 31);
        let size = 1_usize << self.shift;
        let old = self.slots.len();
        if size > old {
            self.slots.extend(unused(size - old));
        }
        let mut placed = vec![false; self.slots.len()];
        for at in 0..old {
            if placed[at] {
                continue;
            }
            let mut moving = std::mem::replace(&mut self.slots[at], Slot::Unused);
            // An entry takes the place of one that has not moved yet, which then moves on.
            while let Slot::Entry(hash, ..) = &moving {
                let (mut to, mut step) = (self.first_slot(*hash), 0);
                while placed[to] {
                    step += 1;
                    to = (to + step) & (size - 1);
                }
                placed[to] = true;
                moving = std::mem::replace(&mut self.slots[to], moving);
            }
        }
        self.slots.truncate(size);
        self.occupied = self.entries;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_map() {
        let mut table = HashTable::default();
        for number in 0..500 {
            table.insert(&format!("key-{number}"), number);
        }
        for number in (0..500).filter(|number| number % 7 != 0) {
            table.remove(&format!("key-{number}"));
        }
        table.insert("key-0", 1000);
        assert_eq!(table.len(), 72);
        assert_eq!(table.get("key-7"), Some(&7));
        assert_eq!(table.get("key-0"), Some(&1000));
        assert_eq!(table.get("key-8"), None);
        let mut all: Vec<i32> = table.iter().map(|(_, number)| *number).collect();
        all.sort_unstable();
        let mut expected: Vec<i32> = (0..500).filter(|number| number % 7 == 0).collect();
        expected[0] = 1000;
        expected.sort_unstable();
        assert_eq!(all, expected);
    }

    #[test]
    fn bytes_are_signed_in_the_hash() {
        assert_eq!(hash(""), 5381);
        assert_eq!(hash("a"), 177_670);
        assert_eq!(hash("\u{e4}"), (5381 * 33 - 61) * 33 - 92);
    }
}
